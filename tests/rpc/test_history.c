/*
 * The configuration of another time: ConfigDiff, ConfigRollback, and what is trimmed.
 */
#include "rpc_cases.h"

#include "base/buffer.h"
#include "model/record.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "mxadm/v1/admin.pb-c.h"
#include "store/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ED25519 "4"

static struct fixture *fx;

static int begin(const struct fixture_options *options)
{
    fx = fixture_create(options);
    add_domain(fx, "example.org", "alice"); /* revision 1 */
    return 0;
}

static int setup(void **state)
{
    (void) state;
    return begin(NULL);
}

static int setup_sqlite(void **state)
{
    static const struct fixture_options options = { .sqlite = true };

    (void) state;
    return begin(&options);
}

static int setup_files(void **state)
{
    static const struct fixture_options options = { .key_directory = true };

    (void) state;
    return begin(&options);
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const char *number(uint64_t value)
{
    return fixture_text(fx, "%llu", (unsigned long long) value);
}

static void add_account(const char *name, const char *domain)
{
    OK(ask(fx, &root, "AccountAdd", "account", name, "address",
           fixture_text(fx, "%s@%s", name, domain), NULL));
}

static void remove_account(const char *name)
{
    OK(ask(fx, &root, "AccountRemove", "account", name, NULL));
}

static const Mxadm__V1__ConfigDiffResponse *diff(const struct rpc_peer *peer, uint64_t from,
                                                 uint64_t to)
{
    return OK(ask(fx, peer, "ConfigDiff", "from_revision", number(from), "to_revision", number(to),
                  NULL))
        ->message;
}

static const Mxadm__V1__ConfigRollbackResponse *roll_back(uint64_t revision)
{
    return OK(ask(fx, &root, "ConfigRollback", "revision", number(revision), NULL))->message;
}

/* -------------------------------------------------------------------- diff */

static void a_diff_has_each_record_that_differs_once(void **state)
{
    const Mxadm__V1__ConfigDiffResponse *changes;

    (void) state;
    add_account("bob", "example.org");   /* 2 */
    add_account("carol", "example.org"); /* 3 */
    remove_account("bob");               /* 4 */
    OK(ask(fx, &root, "AddressAdd", "account", "carol", "address", "c2@example.org", NULL));
    changes = diff(&viewer, 1, 0);
    assert_int_equal(changes->total, 3);
    assert_int_equal(changes->n_records, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(changes->records[i]->action, MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD);
        assert_null(changes->records[i]->before);
    }
    assert_string_equal(changes->records[0]->after->account->name, "carol");
    changes = diff(&viewer, 2, 4);
    assert_int_equal(changes->total, 4);
    assert_int_equal(diff(&viewer, 5, 5)->total, 0);
    assert_int_equal(diff(&viewer, 5, 0)->total, 0);
    /* The same from the backend. */
    fixture_restart(fx);
    assert_int_equal(diff(&viewer, 1, 0)->total, 3);
    assert_int_equal(diff(&viewer, 1, 3)->total, 4);
}

static void what_changed_and_changed_back_is_no_difference(void **state)
{
    const Mxadm__V1__ConfigDiffResponse *changes;

    (void) state;
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.description", "new",
           "update_mask.paths", "description", NULL));
    changes = diff(&viewer, 1, 2);
    assert_int_equal(changes->total, 1);
    assert_int_equal(changes->records[0]->action, MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_UPDATE);
    assert_string_equal(changes->records[0]->before->domain->description, "");
    assert_string_equal(changes->records[0]->after->domain->description, "new");
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.description", "",
           "update_mask.paths", "description", NULL));
    assert_int_equal(fixture_revision(fx), 3);
    assert_int_equal(diff(&viewer, 1, 3)->total, 0);
}

static void a_domain_administrator_sees_what_differs_in_own_domains(void **state)
{
    (void) state;
    add_domain(fx, "example.net", "carol");
    add_account("bob", "example.org");
    assert_int_equal(diff(&scoped, 1, 0)->total, 1);
    assert_string_equal(diff(&scoped, 1, 0)->records[0]->after->address->address,
                        "bob@example.org");
    assert_true(diff(&viewer, 1, 0)->total > 5);
}

static void a_diff_asks_for_revisions_that_are_there_and_in_order(void **state)
{
    (void) state;
    add_account("bob", "example.org");
    REFUSED(ask(fx, &viewer, "ConfigDiff", NULL), INVALID_ARGUMENT, NULL);
    REFUSED(ask(fx, &viewer, "ConfigDiff", "from_revision", "2", "to_revision", "1", NULL),
            INVALID_ARGUMENT, NULL);
    REFUSED(ask(fx, &viewer, "ConfigDiff", "from_revision", "3", NULL), OUT_OF_RANGE,
            "REVISION_UNKNOWN");
    REFUSED(ask(fx, &viewer, "ConfigDiff", "from_revision", "1", "to_revision", "3", NULL),
            OUT_OF_RANGE, "REVISION_UNKNOWN");
}

/* ---------------------------------------------------------------- rollback */

/* Entries of the store without revisions: of the dump, the lines of records. */
static const char *records_of(const char *dump)
{
    return strchr(dump, '\n') + 1;
}

static unsigned count_domain_selectors(const char *domain)
{
    const Mxadm__V1__DKIMListResponse *list =
        OK(ask(fx, &viewer, "DKIMList", "domain", domain, NULL))->message;

    return (unsigned) list->total;
}

static void a_rollback_makes_the_configuration_what_it_was(void **state)
{
    const Mxadm__V1__ConfigRollbackResponse *response;
    const Mxadm__V1__Account *before;
    const Mxadm__V1__Account *after;

    (void) state;
    add_account("bob", "example.org"); /* 2 */
    before = ((const Mxadm__V1__AccountGetResponse *) OK(
                  ask(fx, &viewer, "AccountGet", "account", "bob", NULL))
                  ->message)
                 ->account;
    add_account("carol", "example.org");   /* 3 */
    remove_account("bob");                 /* 4 */
    add_domain(fx, "example.net", "dave"); /* 5 */
    response = roll_back(2);
    assert_int_equal(response->added, 2);
    assert_true(response->removed > 4);
    assert_int_equal(response->updated, 0);
    assert_int_equal(fixture_revision(fx), 6);
    after = ((const Mxadm__V1__AccountGetResponse *) OK(
                 ask(fx, &viewer, "AccountGet", "account", "bob", NULL))
                 ->message)
                ->account;
    assert_int_equal(after->revision, 6);
    assert_same_message(&before->create_time->base, &after->create_time->base);
    REFUSED(ask(fx, &viewer, "AccountGet", "account", "carol", NULL), NOT_FOUND,
            "ACCOUNT_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "DomainGet", "domain", "example.net", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
    /* Only that names of selectors were used is still known. */
    for (size_t i = 0; i < diff(&viewer, 2, 0)->n_records; i++) {
        assert_int_equal(diff(&viewer, 2, 0)->records[i]->after->record_case,
                         MXADM__V1__RECORD__RECORD_USED_SELECTOR);
    }
    /* And once more is nothing. */
    response = roll_back(2);
    assert_int_equal(response->added + response->updated + response->removed, 0);
    assert_int_equal(fixture_revision(fx), 6);
}

static void a_rollback_to_now_makes_no_revision(void **state)
{
    (void) state;
    assert_int_equal(roll_back(1)->removed, 0);
    assert_int_equal(fixture_revision(fx), 1);
}

static void a_rollback_can_be_rolled_back_after_a_restart(void **state)
{
    const char *bob;

    (void) state;
    add_account("bob", "example.org");
    bob = fixture_text(fx, "%s", records_of(fixture_dump(fx)));
    (void) roll_back(1);
    REFUSED(ask(fx, &viewer, "AccountGet", "account", "bob", NULL), NOT_FOUND, NULL);
    fixture_restart(fx);
    (void) roll_back(2);
    OK(ask(fx, &viewer, "AccountGet", "account", "bob", NULL));
    assert_int_equal(diff(&viewer, 2, 0)->total, 0);
    /* Other revisions, the same entries. */
    assert_int_equal(strlen(bob), strlen(records_of(fixture_dump(fx))));
}

static void a_rollback_over_a_removed_selector_brings_its_key_back(void **state)
{
    const Mxadm__V1__DKIMKeyExportResponse *key;
    const char *pem;

    (void) state;
    OK(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "s1", "algorithm", ED25519,
           NULL)); /* 2 */
    key = OK(ask(fx, &root, "DKIMKeyExport", "domain", "example.org", "selector", "s1", NULL))
              ->message;
    pem = fixture_text(fx, "%s", key->private_key);
    const char *files = fixture_key_files(fx);

    OK(ask(fx, &root, "DKIMRemove", "domain", "example.org", "selector", "s1", NULL));
    assert_string_not_equal(fixture_key_files(fx), files);
    fixture_restart(fx);
    assert_int_equal(roll_back(2)->added, 1);
    key = OK(ask(fx, &root, "DKIMKeyExport", "domain", "example.org", "selector", "s1", NULL))
              ->message;
    /* The first line of the file says when it was exported. */
    assert_string_equal(strstr(key->private_key, "-----BEGIN"), strstr(pem, "-----BEGIN"));
    for (const char *line = files; *line != '\0'; line = strchr(line, '\n') + 1) {
        char name[512];

        (void) snprintf(name, sizeof(name), "%.*s", (int) strcspn(line, "\n"), line);
        assert_int_equal(access(fixture_key_path(fx, name), F_OK), 0);
    }
    /* And away again: no file signs any more, the name stays used. */
    (void) roll_back(1);
    REFUSED(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "s1", NULL),
            FAILED_PRECONDITION, "SELECTOR_USED");
    assert_int_equal(count_domain_selectors("example.org"), 2);
}

static void a_plan_of_a_rollback_changes_nothing(void **state)
{
    const struct options plan = { .validate_only = true };
    const char *before;
    const struct reply *reply;

    (void) state;
    add_account("bob", "example.org");
    before = fixture_dump(fx);
    reply = OK(ask_with(fx, &root, &plan, "ConfigRollback", "revision", "1", NULL));
    assert_string_equal(fixture_dump(fx), before);
    assert_int_equal(((const Mxadm__V1__ConfigRollbackResponse *) reply->message)->removed, 2);
    assert_int_equal(reply->envelope->n_changes, 2);
}

static void a_rollback_is_the_administrators_and_to_a_revision_that_is_there(void **state)
{
    (void) state;
    add_account("bob", "example.org"); /* 2 */
    REFUSES(fx, INVALID_ARGUMENT, NULL, ask(fx, &root, "ConfigRollback", NULL));
    REFUSES(fx, OUT_OF_RANGE, "REVISION_UNKNOWN",
            ask(fx, &root, "ConfigRollback", "revision", "3", NULL));
    REFUSES(fx, PERMISSION_DENIED, NULL, ask(fx, &viewer, "ConfigRollback", "revision", "1", NULL));
    REFUSES(fx, PERMISSION_DENIED, NULL, ask(fx, &scoped, "ConfigRollback", "revision", "1", NULL));
}

/* A change that no operation would make, in the history of the daemon's disk. */
static void append_foreign(const struct record_key *key, struct slice before, struct slice after)
{
    struct backend_edit edit = {
        key->data, key->len, before.data, before.len, after.data, after.len
    };
    struct backend_request request = { .edits = &edit, .edit_count = 1 };
    struct buffer change = BUFFER_INIT;

    change_begin(&change, NULL, 0, 1);
    change_put_edit(&change, &edit);
    request.change = change.data;
    request.change_len = change.len;
    backend_sim_append(fixture_disk(fx), &request);
    buffer_fini(&change);
    fixture_restart(fx);
}

/* It comes and goes: revisions 2 and 3. */
static void come_and_go(const struct record_key *key, const ProtobufCMessage *record)
{
    uint8_t packed[512];
    struct slice value = slice_of(packed, protobuf_c_message_pack(record, packed));

    append_foreign(key, slice_of(NULL, 0), value);
    append_foreign(key, value, slice_of(NULL, 0));
}

static void a_rollback_against_the_rules_is_refused_with_what_stands_in_the_way(void **state)
{
    struct record_key key = record_key(RECORD_ADDRESS, "example.org", "ghost");
    Mxadm__V1__Address ghost = MXADM__V1__ADDRESS__INIT;

    (void) state;
    ghost.address = (char *) "ghost@example.org";
    ghost.account = (char *) "nobody";
    come_and_go(&key, &ghost.base);
    assert_true(has_blocker(ask(fx, &root, "ConfigRollback", "revision", "2", NULL), "address",
                            "ghost@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ROLLBACK_CONFLICT",
            ask(fx, &root, "ConfigRollback", "revision", "2", NULL));
}

static void a_private_key_that_does_not_open_is_not_brought_back(void **state)
{
    struct record_key key = record_key(RECORD_SEALED_KEY, "example.org", "s1");
    Mxadm__Internal__V1__SealedKey sealed = MXADM__INTERNAL__V1__SEALED_KEY__INIT;
    uint8_t bytes[64] = { 0 };

    (void) state;
    sealed.domain = (char *) "example.org";
    sealed.selector = (char *) "s1";
    sealed.nonce = (ProtobufCBinaryData){ 12, bytes };
    sealed.key_id = (ProtobufCBinaryData){ 8, bytes };
    sealed.ciphertext = (ProtobufCBinaryData){ 64, bytes };
    come_and_go(&key, &sealed.base);
    assert_non_null(strstr(ask(fx, &root, "ConfigRollback", "revision", "2", NULL)->words, "'s1'"));
    REFUSES(fx, DATA_LOSS, "PRIVATE_KEY_DAMAGED",
            ask(fx, &root, "ConfigRollback", "revision", "2", NULL));
}

/* ---------------------------------------------------------------- trimming */

static void trim_below(uint64_t revision)
{
    struct backend *backend = fixture_sim(fx);
    struct mx_error err;
    bool more = true;

    while (more) {
        assert_int_equal(backend->ops->trim(backend, revision, 0, 1000, &more, &err), BACKEND_OK);
    }
}

static uint64_t oldest_revision(void)
{
    return ((const Mxadm__V1__ServerInfoResponse *) OK(ask(fx, &viewer, "ServerInfo", NULL))
                ->message)
        ->oldest_revision;
}

static void assert_trimmed(const struct reply *reply, const char *oldest)
{
    const Mxadm__V1__ErrorInfo *info;

    REFUSED(reply, OUT_OF_RANGE, "HISTORY_TRIMMED");
    info = reply->envelope->status->error_info;
    assert_int_equal(info->n_metadata, 1);
    assert_string_equal(info->metadata[0]->key, "oldest_revision");
    assert_string_equal(info->metadata[0]->value, oldest);
}

static void what_was_trimmed_is_refused_with_the_floor(void **state)
{
    const Mxadm__V1__ChangeListResponse *page;

    (void) state;
    for (int i = 0; i < 20; i++) {
        add_account(fixture_text(fx, "a%d", i), "example.org");
    }
    assert_int_equal(oldest_revision(), 0);
    fixture_restart(fx); /* from the backend from here on */
    page = OK(ask(fx, &viewer, "ChangeList", "page_size", "5", NULL))->message;
    assert_int_equal(page->revision, 5);
    trim_below(11); /* while somebody goes through the pages */
    for (int i = 0; i < 2; i++) {
        assert_trimmed(ask(fx, &viewer, "ChangeList", "after_revision", "5", NULL), "10");
        assert_trimmed(ask(fx, &viewer, "ConfigDiff", "from_revision", "9", NULL), "10");
        assert_trimmed(ask(fx, &root, "ConfigRollback", "revision", "9", NULL), "10");
        page = OK(ask(fx, &viewer, "ChangeList", "after_revision", "10", NULL))->message;
        assert_int_equal(page->changes[0]->revision, 11);
        assert_int_equal(page->revision, 21);
        fixture_restart(fx); /* then it is known from the start */
        assert_int_equal(oldest_revision(), 10);
    }
    assert_true(roll_back(10)->removed > 0);
}

/* The writer trims between two groups, the first time soon after the start. */
static void history_is_kept_as_long_as_the_settings_say(void **state)
{
    static const struct fixture_options keep = { .sqlite = true,
                                                 .limits =
                                                     "  group: 1\nhistory:\n  changes_keep: 5\n" };

    (void) state;
    (void) begin(&keep);
    for (int i = 0; i < 10; i++) {
        add_account(fixture_text(fx, "a%d", i), "example.org"); /* 2 to 11 */
    }
    for (int round = 0; round < 2; round++) {
        fixture_restart(fx);
        /* When the second is answered, the trim behind the first is done. */
        add_account(fixture_text(fx, "b%d", round), "example.org");
        add_account(fixture_text(fx, "c%d", round), "example.org");
        assert_int_equal(oldest_revision(), 7 + 2 * round);
        /* Of what memory has, too, nothing older is shown. */
        assert_trimmed(ask(fx, &viewer, "ChangeList", "after_revision",
                           number(6 + 2 * (uint64_t) round), NULL),
                       number(7 + 2 * (uint64_t) round));
        OK(ask(fx, &viewer, "ChangeList", "after_revision", number(7 + 2 * (uint64_t) round),
               NULL));
    }
}

static void a_rollback_beside_changes_without_end_comes_to_its_turn(void **state)
{
    struct pending *others[200];
    struct pending *rollback = NULL;

    (void) state;
    add_account("bob", "example.org"); /* 2 */
    for (int i = 0; i < 200; i++) {
        others[i] = ask_later(fx, i % 2 == 0 ? &root : &admin, NULL, "AddressAdd", "account", "bob",
                              "address", fixture_text(fx, "b%d@example.org", i), NULL);
        if (i == 50) {
            rollback = ask_later(fx, &root, NULL, "ConfigRollback", "revision", "1", NULL);
        }
    }
    OK(await(rollback));
    for (int i = 0; i < 200; i++) {
        (void) await(others[i]); /* before it, or refused behind it */
    }
    REFUSED(ask(fx, &viewer, "AccountGet", "account", "bob", NULL), NOT_FOUND, NULL);
}

#define CASE(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SQLITE(name) cmocka_unit_test_setup_teardown(name, setup_sqlite, teardown)
#define FILES(name)  cmocka_unit_test_setup_teardown(name, setup_files, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_diff_has_each_record_that_differs_once),
        SQLITE(a_diff_has_each_record_that_differs_once),
        CASE(what_changed_and_changed_back_is_no_difference),
        CASE(a_domain_administrator_sees_what_differs_in_own_domains),
        CASE(a_diff_asks_for_revisions_that_are_there_and_in_order),
        CASE(a_rollback_makes_the_configuration_what_it_was),
        SQLITE(a_rollback_makes_the_configuration_what_it_was),
        CASE(a_rollback_to_now_makes_no_revision),
        CASE(a_rollback_can_be_rolled_back_after_a_restart),
        SQLITE(a_rollback_can_be_rolled_back_after_a_restart),
        FILES(a_rollback_over_a_removed_selector_brings_its_key_back),
        CASE(a_plan_of_a_rollback_changes_nothing),
        CASE(a_rollback_is_the_administrators_and_to_a_revision_that_is_there),
        CASE(a_rollback_against_the_rules_is_refused_with_what_stands_in_the_way),
        CASE(a_private_key_that_does_not_open_is_not_brought_back),
        CASE(what_was_trimmed_is_refused_with_the_floor),
        cmocka_unit_test_teardown(history_is_kept_as_long_as_the_settings_say, teardown),
        CASE(a_rollback_beside_changes_without_end_comes_to_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
