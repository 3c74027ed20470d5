/*
 * ChangeList: in order and without a gap, from memory and from the backend, filtered, scoped,
 * without a secret.
 */
#include "rpc_cases.h"

#include "base/log.h"
#include "mxadm/v1/admin.pb-c.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static struct fixture *fx;

static int begin(const struct fixture_options *options)
{
    fx = fixture_create(options);
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

static void add_account(const char *name)
{
    OK(ask(fx, &root, "AccountAdd", "account", name, "address",
           fixture_text(fx, "%s@example.org", name), NULL));
}

static const Mxadm__V1__ChangeListResponse *list(const struct rpc_peer *peer, const char *field,
                                                 const char *value)
{
    return OK(ask(fx, peer, "ChangeList", "page_size", "1000", field, value, NULL))->message;
}

static const Mxadm__V1__ChangeListResponse *all(const struct rpc_peer *peer)
{
    return list(peer, NULL, NULL);
}

/* The record of a change in words: "ADD domain", for what its kind and action are. */
static bool has_record(const Mxadm__V1__Change *change, Mxadm__V1__ChangeAction action,
                       Mxadm__V1__Record__RecordCase kind)
{
    for (size_t i = 0; i < change->n_records; i++) {
        const Mxadm__V1__RecordChange *record = change->records[i];
        const Mxadm__V1__Record *shown = record->after != NULL ? record->after : record->before;

        if (record->action == action && shown->record_case == kind) {
            return true;
        }
    }
    return false;
}

#define ADD        MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD
#define UPDATE     MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_UPDATE
#define REMOVE     MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_REMOVE
#define KIND(name) MXADM__V1__RECORD__RECORD_##name

/* All changes page by page, each but the last page full; the number of changes. */
static uint64_t page_through(uint64_t after, const char *page_size)
{
    uint64_t revision = after;

    for (;;) {
        const Mxadm__V1__ChangeListResponse *page =
            OK(ask(fx, &viewer, "ChangeList", "after_revision", number(revision), "page_size",
                   page_size, NULL))
                ->message;

        for (size_t i = 0; i < page->n_changes; i++) {
            assert_int_equal(page->changes[i]->revision, ++revision);
        }
        assert_int_equal(page->revision, revision);
        if (page->n_changes == 0) {
            return revision - after;
        }
    }
}

/* ------------------------------------------------------------------ content */

static void a_change_says_who_when_how_and_each_record_before_and_after(void **state)
{
    const struct options options = { .id = "0123456789abcdef" };
    const Mxadm__V1__ChangeListResponse *changes;
    const Mxadm__V1__Change *change;

    (void) state;
    add_domain(fx, "example.org", "alice");
    OK(ask_with(fx, &admin, &options, "AccountAdd", "account", "bob", "address", "bob@example.org",
                NULL));
    OK(ask(fx, &root, "AccountRemove", "account", "bob", NULL));
    changes = all(&viewer);
    assert_int_equal(changes->n_changes, 3);
    assert_int_equal(changes->revision, 3);
    assert_int_equal(changes->record_offset, 0);

    change = changes->changes[0];
    assert_int_equal(change->revision, 1);
    assert_string_equal(change->principal, "uid:0");
    assert_string_equal(change->method, "mxadm.v1.Admin/DomainAdd");
    assert_int_equal(change->request_id.len, 0);
    assert_int_equal(change->record_count, change->n_records);
    assert_true(has_record(change, ADD, KIND(DOMAIN)));
    assert_true(has_record(change, ADD, KIND(ACCOUNT)));
    assert_true(has_record(change, ADD, KIND(ADDRESS)));
    assert_true(has_record(change, ADD, KIND(DKIM_SELECTOR)));
    assert_true(has_record(change, ADD, KIND(PRIVATE_KEY)));
    assert_true(has_record(change, ADD, KIND(USED_SELECTOR)));
    assert_true(has_record(change, ADD, KIND(VAULT_KEY)));

    change = changes->changes[1];
    assert_string_equal(change->principal, "uid:70001");
    assert_int_equal(change->request_id.len, 16);
    assert_memory_equal(change->request_id.data, options.id, 16);
    assert_non_null(change->time);
    assert_true(change->time->seconds > 1700000000);
    assert_int_equal(change->n_records, 2);
    for (size_t i = 0; i < change->n_records; i++) {
        assert_int_equal(change->records[i]->action, ADD);
        assert_null(change->records[i]->before);
    }
    assert_string_equal(change->records[0]->after->account->name, "bob");

    change = changes->changes[2];
    assert_int_equal(change->n_records, 2);
    for (size_t i = 0; i < change->n_records; i++) {
        assert_int_equal(change->records[i]->action, REMOVE);
        assert_null(change->records[i]->after);
        assert_same_message(&changes->changes[1]->records[i]->after->base,
                            &change->records[i]->before->base);
    }
}

static bool contains(const uint8_t *bytes, size_t len, const uint8_t *part, size_t part_len)
{
    return memmem(bytes, len, part, part_len) != NULL;
}

static void private_keys_are_shown_by_their_fingerprint_alone(void **state)
{
    const struct reply *reply;
    const Mxadm__V1__ChangeListResponse *changes;
    const Mxadm__V1__DkimSelector *selector = NULL;
    const Mxadm__V1__PrivateKeyFingerprint *key = NULL;
    static const char mark[] = "PRIVATE KEY";

    (void) state;
    add_domain(fx, "example.org", "alice");
    reply = OK(ask(fx, &root, "ChangeList", NULL));
    changes = reply->message;
    for (size_t i = 0; i < changes->changes[0]->n_records; i++) {
        const Mxadm__V1__Record *record = changes->changes[0]->records[i]->after;

        if (record->record_case == KIND(PRIVATE_KEY)) {
            key = record->private_key;
            /* Domain, selector, 32 bytes and their heads: no room for anything else. */
            assert_true(protobuf_c_message_get_packed_size(&record->base) < 80);
        } else if (record->record_case == KIND(VAULT_KEY)) {
            assert_int_equal(protobuf_c_message_get_packed_size(&record->vault_key->base), 0);
        } else if (record->record_case == KIND(DKIM_SELECTOR)) {
            selector = record->dkim_selector;
        }
    }
    if (key == NULL || selector == NULL) {
        fail_msg("a record is missing");
        return;
    }
    assert_string_equal(key->domain, "example.org");
    assert_int_equal(key->public_key_sha256.len, 32);
    assert_false(contains(reply->bytes, reply->len, (const uint8_t *) mark, sizeof(mark) - 1));
}

static void the_bytes_of_a_secret_are_in_no_answer(void **state)
{
    static const char *const methods[] = { "ChangeList", "ConfigDiff" };
    static const char token[] = "Bearer 0123456789-very-secret";
    uint8_t der[256];
    int der_len;
    const Mxadm__V1__DKIMKeyExportResponse *key;
    const char *body;
    const char *end;

    (void) state;
    log_configure(LOG_ERROR, false);
    add_domain(fx, "example.org", "alice");
    OK(ask(fx, &root, "AccountSave", "account.name", "alice", "account.outgoing_webhook.url",
           "https://hook.example/", "account.outgoing_webhook.authorization", token,
           "update_mask.paths", "outgoing_webhook", NULL));
    OK(ask(fx, &root, "AccountSave", "account.name", "alice", "account.description", "x",
           "update_mask.paths", "description", NULL));
    OK(ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector", "s1", "algorithm", "4",
           NULL));
    key = OK(ask(fx, &root, "DKIMKeyExport", "domain", "example.org", "selector", "s1", NULL))
              ->message;
    body = strstr(key->private_key, "KEY-----") + strlen("KEY-----\n");
    end = strstr(body, "\n-----END");
    der_len = EVP_DecodeBlock(der, (const uint8_t *) body, (int) (end - body));
    assert_true(der_len >= 48); /* Ed25519 in PKCS#8: the seed is its end (RFC 8410) */
    for (int i = 0; i < 2; i++) {
        const char *field = i == 0 ? "after_revision" : "from_revision";
        /* The key reader too: the history is read by programs that store and print it. */
        const struct reply *reply = OK(ask(fx, &root, methods[i], field, "1", NULL));

        assert_true(contains(reply->bytes, reply->len, (const uint8_t *) "(hidden)", 8));
        assert_false(
            contains(reply->bytes, reply->len, (const uint8_t *) token, sizeof(token) - 1));
        assert_false(contains(reply->bytes, reply->len, der + 16, 32));
    }
}

/* ------------------------------------------------------------------- pages */

static void pages_follow_each_other_without_a_gap(void **state)
{
    (void) state;
    add_domain(fx, "example.org", "alice");
    for (int i = 0; i < 250; i++) {
        add_account(fixture_text(fx, "a%d", i));
    }
    assert_int_equal(page_through(0, "7"), 251);
    assert_int_equal(page_through(0, "0"), 251); /* 100 a page */
    assert_int_equal(page_through(100, "1000"), 151);
}

static void history_is_the_same_from_memory_and_from_the_backend(void **state)
{
    const struct reply *recent;
    const struct reply *stored;

    (void) state;
    add_domain(fx, "example.org", "alice");
    for (int i = 0; i < 120; i++) {
        add_account(fixture_text(fx, "a%d", i));
    }
    recent = OK(ask(fx, &viewer, "ChangeList", "page_size", "1000", NULL));
    fixture_restart(fx); /* after it nothing is in memory */
    stored = OK(ask(fx, &viewer, "ChangeList", "page_size", "1000", NULL));
    assert_int_equal(recent->len, stored->len);
    assert_memory_equal(recent->bytes, stored->bytes, stored->len);
    add_account("new");
    assert_int_equal(page_through(0, "50"), 122); /* from both */
}

#define MANY 200

static void add_many_addresses(int from)
{
    struct pending *pending[MANY];

    for (int i = 0; i < MANY; i++) {
        pending[i] =
            ask_later(fx, i % 2 == 0 ? &root : &admin, NULL, "AddressAdd", "account", "bulk",
                      "address", fixture_text(fx, "a%060d@example.org", from + i), NULL);
    }
    for (int i = 0; i < MANY; i++) {
        OK(await(pending[i]));
    }
    fixture_forget(fx);
}

static void a_change_larger_than_a_page_comes_in_parts(void **state)
{
    uint64_t revision;
    uint64_t offset = 0;
    uint64_t records = 0;
    unsigned parts = 0;
    const Mxadm__V1__ChangeListResponse *page;

    (void) state;
    add_domain(fx, "example.org", "alice");
    add_account("bulk");
    for (int i = 0; i < 6000; i += MANY) {
        add_many_addresses(i);
    }
    revision = fixture_revision(fx);
    OK(ask(fx, &root, "AccountRemove", "account", "bulk", NULL));
    do {
        page = OK(ask(fx, &viewer, "ChangeList", "after_revision", number(revision),
                      "record_offset", number(offset), NULL))
                   ->message;
        assert_int_equal(page->n_changes, 1);
        assert_int_equal(page->changes[0]->revision, revision + 1);
        assert_int_equal(page->changes[0]->record_offset, records);
        assert_int_equal(page->changes[0]->record_count, 6002);
        records += page->changes[0]->n_records;
        offset = page->record_offset;
        assert_int_equal(page->revision, offset == 0 ? revision + 1 : revision);
        assert_int_equal(offset, offset == 0 ? 0 : records);
        parts++;
    } while (offset != 0);
    assert_int_equal(records, 6002);
    assert_true(parts >= 2);
}

/* ------------------------------------------------------------------ filters */

static void setup_two_domains(void)
{
    add_domain(fx, "example.org", "alice");                                                  /* 1 */
    add_domain(fx, "example.net", "carol");                                                  /* 2 */
    add_account("bob");                                                                      /* 3 */
    OK(ask(fx, &admin, "AddressAdd", "account", "bob", "address", "bob@example.net", NULL)); /* 4 */
    OK(ask(fx, &admin, "AddressRemove", "address", "bob@example.net", NULL));                /* 5 */
}

static void a_domain_filter_lets_through_the_records_of_the_domain(void **state)
{
    const Mxadm__V1__ChangeListResponse *changes;

    (void) state;
    setup_two_domains();
    changes = list(&viewer, "domain", "EXAMPLE.net");
    assert_int_equal(changes->n_changes, 3);
    assert_int_equal(changes->revision, 5);
    assert_int_equal(changes->changes[0]->revision, 2);
    assert_true(has_record(changes->changes[0], ADD, KIND(DOMAIN)));
    assert_true(has_record(changes->changes[0], ADD, KIND(PRIVATE_KEY)));
    assert_false(has_record(changes->changes[0], ADD, KIND(ACCOUNT)));
    assert_true(changes->changes[0]->record_count > changes->changes[0]->n_records);
    assert_int_equal(changes->changes[1]->revision, 4);
    assert_int_equal(changes->changes[2]->revision, 5);
    /* What nothing passes still moves on. */
    changes = list(&viewer, "domain", "nowhere.example");
    assert_int_equal(changes->n_changes, 0);
    assert_int_equal(changes->revision, 5);
}

static void an_account_filter_lets_through_the_records_of_the_account(void **state)
{
    const Mxadm__V1__ChangeListResponse *changes;

    (void) state;
    setup_two_domains();
    changes = list(&viewer, "account", "bob");
    assert_int_equal(changes->n_changes, 3);
    assert_int_equal(changes->changes[0]->revision, 3);
    assert_int_equal(changes->changes[0]->n_records, 2);
    assert_int_equal(changes->changes[2]->revision, 5);
    assert_true(has_record(changes->changes[2], REMOVE, KIND(ADDRESS)));
}

static void a_principal_filter_and_times_look_at_the_head(void **state)
{
    const Mxadm__V1__ChangeListResponse *changes;
    int64_t then;

    (void) state;
    setup_two_domains();
    changes = list(&viewer, "principal", "uid:70001");
    assert_int_equal(changes->n_changes, 2);
    assert_int_equal(changes->changes[0]->revision, 4);
    assert_int_equal(changes->revision, 5);
    assert_int_equal(list(&viewer, "principal", "loopback")->n_changes, 0);
    then = changes->changes[0]->time->seconds;
    assert_int_equal(list(&viewer, "from_time", number((uint64_t) then - 1000))->n_changes, 5);
    assert_int_equal(list(&viewer, "from_time", number((uint64_t) then + 1000))->n_changes, 0);
    assert_int_equal(list(&viewer, "to_time", number((uint64_t) then + 1000))->n_changes, 5);
    assert_int_equal(list(&viewer, "to_time", number((uint64_t) then - 1000))->n_changes, 0);
    assert_int_equal(list(&viewer, "to_time", number((uint64_t) then - 1000))->revision, 5);
}

static void a_domain_administrator_sees_own_domains_alone(void **state)
{
    const Mxadm__V1__ChangeListResponse *changes;

    (void) state;
    setup_two_domains();
    changes = all(&scoped);
    assert_int_equal(changes->revision, 5);
    assert_int_equal(changes->n_changes, 2);
    assert_int_equal(changes->changes[0]->revision, 1);
    assert_true(has_record(changes->changes[0], ADD, KIND(DOMAIN)));
    assert_false(has_record(changes->changes[0], ADD, KIND(VAULT_KEY)));
    assert_int_equal(changes->changes[1]->revision, 3);
    REFUSED(ask(fx, &scoped, "ChangeList", "domain", "example.net", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
}

/* ----------------------------------------------------------------- refusals */

static void a_revision_that_is_not_there_yet_is_unknown(void **state)
{
    (void) state;
    add_domain(fx, "example.org", "alice");
    REFUSED(ask(fx, &viewer, "ChangeList", "after_revision", "2", NULL), OUT_OF_RANGE,
            "REVISION_UNKNOWN");
    REFUSED(ask(fx, &viewer, "ChangeList", "after_revision", "18446744073709551615", NULL),
            OUT_OF_RANGE, "REVISION_UNKNOWN");
    assert_int_equal(list(&viewer, "after_revision", "1")->n_changes, 0);
}

static void what_is_wrong_with_a_filter_is_said(void **state)
{
    const struct reply *reply =
        REFUSED(ask(fx, &viewer, "ChangeList", "domain", "a..b", "account", "a/b", "from_time",
                    "999999999999999", "principal", repeated(fx, "x", 65), NULL),
                INVALID_ARGUMENT, NULL);

    (void) state;
    assert_true(has_violation(reply, "domain"));
    assert_true(has_violation(reply, "account"));
    assert_true(has_violation(reply, "from_time"));
    assert_true(has_violation(reply, "principal"));
    REFUSED(ask(fx, &stranger, "ChangeList", NULL), UNAUTHENTICATED, "CALLER_UNKNOWN");
    refuses_hostile_bytes(fx, "ChangeList", "domain");
}

static void damaged_history_is_data_loss_and_no_wrong_answer(void **state)
{
    (void) state;
    log_configure(LOG_AUDIT, false);
    add_domain(fx, "example.org", "alice");
    add_account("bob");
    add_account("carol");
    fixture_restart(fx);
    log_configure(LOG_AUDIT, false);
    backend_sim_disk_damage(fixture_disk(fx), 2);
    REFUSED(ask(fx, &viewer, "ChangeList", NULL), DATA_LOSS, "HISTORY_DAMAGED");
}

/* ------------------------------------------------------------------ waiting */

static const struct options patient = { .timeout_ms = 3600 * 1000 };

static struct pending *follow(const struct rpc_peer *peer, uint64_t after, const char *field,
                              const char *value)
{
    return ask_later(fx, peer, &patient, "ChangeList", "wait", "1", "after_revision", number(after),
                     field, value, NULL);
}

static const Mxadm__V1__ChangeListResponse *changes_of(struct pending *pending)
{
    return OK(await(pending))->message;
}

static void who_waits_is_answered_by_the_next_change(void **state)
{
    const Mxadm__V1__ChangeListResponse *changes;
    struct pending *waiting;

    (void) state;
    add_domain(fx, "example.org", "alice");
    waiting = follow(&viewer, 1, NULL, NULL);
    assert_false(is_answered(waiting));
    add_account("bob");
    changes = changes_of(waiting);
    assert_int_equal(changes->n_changes, 1);
    assert_int_equal(changes->changes[0]->revision, 2);
    assert_int_equal(changes->revision, 2);
    /* What is there is not waited for. */
    assert_int_equal(changes_of(follow(&viewer, 0, NULL, NULL))->n_changes, 2);
}

static void a_filter_is_waited_for_over_changes_that_it_leaves_out(void **state)
{
    const Mxadm__V1__ChangeListResponse *changes;
    struct pending *waiting[3];

    (void) state;
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "example.net", "carol");
    waiting[0] = follow(&viewer, 0, "account", "bob");
    waiting[1] = follow(&viewer, 1, "domain", "own.example");
    waiting[2] = follow(&scoped, 2, NULL, NULL);
    for (int i = 0; i < 50; i++) {
        OK(ask(fx, &root, "AddressAdd", "account", "carol", "address",
               fixture_text(fx, "carol%d@example.net", i), NULL));
        /* Each has gone over it when this is answered or waits. */
        assert_false(is_answered(waiting[0]));
        assert_false(is_answered(waiting[1]));
        assert_false(is_answered(waiting[2]));
    }
    add_account("bob");
    changes = changes_of(waiting[0]);
    assert_int_equal(changes->n_changes, 1);
    assert_int_equal(changes->changes[0]->revision, 53);
    assert_int_equal(changes->changes[0]->n_records, 2);
    changes = changes_of(waiting[2]);
    assert_int_equal(changes->n_changes, 1);
    assert_int_equal(changes->changes[0]->n_records, 1);
    assert_false(is_answered(waiting[1]));
    add_domain(fx, "own.example", "dave");
    assert_int_equal(changes_of(waiting[1])->revision, 54);
}

static void a_wait_ends_before_its_deadline_with_an_empty_list(void **state)
{
    const struct options options = { .timeout_ms = 200 };
    const Mxadm__V1__ChangeListResponse *changes;

    (void) state;
    add_domain(fx, "example.org", "alice");
    add_account("bob");
    changes = OK(ask_with(fx, &viewer, &options, "ChangeList", "wait", "1", "domain",
                          "nowhere.example", NULL))
                  ->message;
    assert_int_equal(changes->n_changes, 0);
    assert_int_equal(changes->revision, 2); /* how far it speaks */
}

static void who_waits_when_the_server_stops_hears_how_far_it_got(void **state)
{
    struct pending *waiting;

    (void) state;
    add_domain(fx, "example.org", "alice");
    waiting = follow(&viewer, 0, "domain", "nowhere.example");
    fixture_restart(fx);
    assert_int_equal(changes_of(waiting)->n_changes, 0);
    assert_int_equal(changes_of(waiting)->revision, 1);
    /* What it would find now has to come from the backend before it waits. */
    waiting = follow(&viewer, 0, "domain", "example.net");
    add_domain(fx, "example.net", "carol");
    assert_int_equal(changes_of(waiting)->changes[0]->revision, 2);
}

static void a_client_that_hung_up_gives_its_place_back(void **state)
{
    static const struct fixture_options options = { .limits = "  waiting_calls: 2\n" };
    const struct options revision = { .timeout_ms = 3600 * 1000, .min_revision = 1000 };
    struct pending *waiting[2];

    (void) state;
    (void) begin(&options);
    for (int i = 0; i < 10; i++) {
        waiting[0] = follow(&viewer, 0, NULL, NULL);
        waiting[1] = ask_later(fx, &root, &revision, "ServerInfo", NULL);
        REFUSED(await(follow(&loopback, 0, NULL, NULL)), RESOURCE_EXHAUSTED, "TOO_MANY_WAITING");
        hang_up(waiting[0]);
        hang_up(waiting[1]);
        REFUSED(await(waiting[0]), CANCELLED, "CLIENT_GONE");
        REFUSED(await(waiting[1]), CANCELLED, "CLIENT_GONE");
    }
}

#define THOUSANDS 6000

static void thousands_wait_and_one_change_answers_all(void **state)
{
    static struct pending *waiting[THOUSANDS];
    static const struct rpc_peer *const peers[] = { &viewer, &root, &admin };

    (void) state;
    add_domain(fx, "example.org", "alice");
    for (uint64_t round = 1; round <= 2; round++) {
        for (int i = 0; i < THOUSANDS; i++) {
            waiting[i] = follow(peers[i % 3], round, i % 2 == 0 ? "account" : NULL, "bob");
        }
        /* All others are served, though no principal may have more than 192 calls in work. */
        for (int i = 0; i < 100; i++) {
            OK(ask(fx, peers[i % 3], "DomainGet", "domain", "example.org", NULL));
        }
        for (int i = 0; i < THOUSANDS; i++) {
            assert_false(is_answered(waiting[i]));
        }
        if (round == 1) {
            add_account("bob");
        } else {
            OK(ask(fx, &root, "AddressAdd", "account", "bob", "address",
                   fixture_text(fx, "bob%d@example.org", (int) round), NULL));
        }
        for (int i = 0; i < THOUSANDS; i++) {
            assert_int_equal(changes_of(waiting[i])->n_changes, 1);
            assert_int_equal(changes_of(waiting[i])->revision, round + 1);
        }
    }
}

#define CASE(name)   cmocka_unit_test_setup_teardown(name, setup, teardown)
#define SQLITE(name) cmocka_unit_test_setup_teardown(name, setup_sqlite, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_change_says_who_when_how_and_each_record_before_and_after),
        CASE(private_keys_are_shown_by_their_fingerprint_alone),
        CASE(the_bytes_of_a_secret_are_in_no_answer),
        CASE(pages_follow_each_other_without_a_gap),
        CASE(history_is_the_same_from_memory_and_from_the_backend),
        SQLITE(history_is_the_same_from_memory_and_from_the_backend),
        CASE(a_change_larger_than_a_page_comes_in_parts),
        CASE(a_domain_filter_lets_through_the_records_of_the_domain),
        CASE(an_account_filter_lets_through_the_records_of_the_account),
        CASE(a_principal_filter_and_times_look_at_the_head),
        CASE(a_domain_administrator_sees_own_domains_alone),
        CASE(a_revision_that_is_not_there_yet_is_unknown),
        CASE(what_is_wrong_with_a_filter_is_said),
        CASE(damaged_history_is_data_loss_and_no_wrong_answer),
        CASE(who_waits_is_answered_by_the_next_change),
        CASE(a_filter_is_waited_for_over_changes_that_it_leaves_out),
        CASE(a_wait_ends_before_its_deadline_with_an_empty_list),
        CASE(who_waits_when_the_server_stops_hears_how_far_it_got),
        SQLITE(who_waits_when_the_server_stops_hears_how_far_it_got),
        cmocka_unit_test_teardown(a_client_that_hung_up_gives_its_place_back, teardown),
        CASE(thousands_wait_and_one_change_answers_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
