/*
 * What a change writes does not depend on how many siblings its record has: a member of an alias,
 * an address of an account and an alias of a domain are records of their own. Told by the plan of
 * the same call with few and with many siblings, and by the change that it then makes.
 */
#include "rpc_cases.h"

#include "support/message_text.h"

#include <stdio.h>
#include <stdlib.h>

#define FEW   10
#define MANY  20000
#define GROUP 1000 /* calls of a batch, members of a call */

static struct fixture *fx;

/* ------------------------------------------------------------------ filling */

static void ask_text(const char *method, const char *text)
{
    const ProtobufCServiceDescriptor *service = &mxadm__v1__admin__descriptor;
    struct arena *arena = arena_create((size_t) 64 * 1024 * 1024);
    ProtobufCMessage *request;
    uint8_t *packed;

    assert_non_null(arena);
    request = message_parse(
        arena, service, protobuf_c_service_descriptor_get_method_by_name(service, method)->input,
        text);
    packed = arena_alloc(arena, protobuf_c_message_get_packed_size(request) + 1);
    assert_non_null(packed);
    OK(ask_message(fx, &root, method, packed, protobuf_c_message_pack(request, packed)));
    arena_destroy(arena);
}

struct text {
    char *data;
    size_t len;
    FILE *file;
};

static void text_open(struct text *text)
{
    text->file = open_memstream(&text->data, &text->len);
    assert_non_null(text->file);
}

static void text_ask(struct text *text, const char *method)
{
    assert_int_equal(fclose(text->file), 0);
    ask_text(method, text->data);
    free(text->data);
    fixture_forget(fx);
}

/* `count` addresses of the account, and as many members of the alias of its name. */
static void fill_account_and_alias(const char *name, unsigned count)
{
    for (unsigned from = 0; from < count; from += GROUP) {
        unsigned to = from + GROUP < count ? from + GROUP : count;
        struct text batch;
        struct text members;

        text_open(&batch);
        text_open(&members);
        (void) fprintf(members.file, "address: '%s-all@example.org' ", name);
        for (unsigned i = from; i < to; i++) {
            (void) fprintf(batch.file,
                           "calls { method: 'mxadm.v1.Admin/AddressAdd' message: <AddressAdd"
                           " address: '%s%u@example.org' account: '%s'> } ",
                           name, i, name);
            (void) fprintf(members.file, "members: '%s%u@example.org' ", name, i);
        }
        (void) fprintf(batch.file, "atomic: true");
        text_ask(&batch, "Batch");
        text_ask(&members, from == 0 ? "AliasAdd" : "AliasAddressesAdd");
    }
}

static void fill_domain(const char *name, unsigned count)
{
    for (unsigned from = 0; from < count; from += GROUP) {
        struct text batch;

        text_open(&batch);
        for (unsigned i = from; i < from + GROUP && i < count; i++) {
            (void) fprintf(batch.file,
                           "calls { method: 'mxadm.v1.Admin/AliasAdd' message: <AliasAdd"
                           " address: 'a%u@%s.example' members: 'owner@example.org'> } ",
                           i, name);
        }
        (void) fprintf(batch.file, "atomic: true");
        text_ask(&batch, "Batch");
    }
}

static void fill(const char *name, unsigned count)
{
    OK(ask(fx, &root, "AccountAdd", "account", name, "address",
           fixture_text(fx, "%s@example.org", name), NULL));
    OK(ask(fx, &root, "DomainAdd", "domain", fixture_text(fx, "%s.example", name), "account",
           "owner", NULL));
    fill_account_and_alias(name, count);
    fill_domain(name, count);
}

/* ----------------------------------------------------------------- counting */

static const struct options plan = { .validate_only = true };

/* Records that the change of the last call has, which must be those that were planned for it. */
static size_t count_records(const struct reply *planned, const struct reply *done)
{
    const char *after = fixture_text(fx, "%llu", (unsigned long long) OK(done)->revision - 1);
    const Mxadm__V1__ChangeListResponse *list =
        OK(ask(fx, &root, "ChangeList", "after_revision", after, NULL))->message;

    assert_int_equal(list->n_changes, 1);
    assert_int_equal(list->changes[0]->record_count, OK(planned)->envelope->n_changes);
    return planned->envelope->n_changes;
}

/* Plans a call, makes it, and counts. */
#define RECORDS(count, ...)                                                                        \
    do {                                                                                           \
        const struct reply *planned_ = ask_with(fx, &root, &plan, __VA_ARGS__, NULL);              \
                                                                                                   \
        (count) = count_records(planned_, ask(fx, &root, __VA_ARGS__, NULL));                      \
    } while (0)

static void a_member_costs_the_same_in_an_alias_of_many(void **state)
{
    size_t few;
    size_t many;

    (void) state;
    RECORDS(few, "AliasAddressesAdd", "address", "few-all@example.org", "members",
            "owner@example.org");
    RECORDS(many, "AliasAddressesAdd", "address", "many-all@example.org", "members",
            "owner@example.org");
    assert_int_equal(many, few);
    assert_int_equal(few, 1);
}

static void an_address_costs_the_same_in_an_account_of_many(void **state)
{
    size_t few;
    size_t many;

    (void) state;
    RECORDS(few, "AddressAdd", "address", "one@example.org", "account", "few");
    RECORDS(many, "AddressAdd", "address", "two@example.org", "account", "many");
    assert_int_equal(many, few);
    assert_int_equal(few, 1);
}

static void an_alias_costs_the_same_in_a_domain_of_many(void **state)
{
    size_t few;
    size_t many;

    (void) state;
    RECORDS(few, "AliasAdd", "address", "new@few.example", "members", "owner@example.org");
    RECORDS(many, "AliasAdd", "address", "new@many.example", "members", "owner@example.org");
    assert_int_equal(many, few);
    assert_int_equal(few, 2);
}

static void removing_costs_the_same_among_many(void **state)
{
    size_t count;

    (void) state;
    RECORDS(count, "AliasAddressesRemove", "address", "many-all@example.org", "members",
            "many7@example.org");
    assert_int_equal(count, 1);
    RECORDS(count, "AddressRemove", "address", "many7@example.org");
    assert_int_equal(count, 1);
    RECORDS(count, "AliasRemove", "address", "a7@many.example");
    assert_int_equal(count, 2);
}

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "owner");
    fill("few", FEW);
    fill("many", MANY);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_costs_the_same_in_an_alias_of_many),
        cmocka_unit_test(an_address_costs_the_same_in_an_account_of_many),
        cmocka_unit_test(an_alias_costs_the_same_in_a_domain_of_many),
        cmocka_unit_test(removing_costs_the_same_among_many),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
