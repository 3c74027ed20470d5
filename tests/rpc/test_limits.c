/*
 * What bounds the server, and what it does with many at once: group commit, the queue, calls in
 * flight, draining, keys.
 */
#include "rpc_cases.h"

#include "base/clock.h"
#include "base/digest.h"
#include "rpc/rpc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RSA4096 "3"
#define ED25519 "4"

static struct fixture *fx;

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static void begin(const char *limits, const char *keys)
{
    const struct fixture_options options = { .limits = limits, .keys = keys };

    fx = fixture_create(&options);
    add_domain(fx, "example.org", "alice");
}

static struct pending *add_later(const struct rpc_peer *peer, const char *name)
{
    return ask_later(fx, peer, NULL, "AccountAdd", "account", name, "address",
                     fixture_text(fx, "%s@example.org", name), NULL);
}

/* A change that is being made durable until the gate opens. */
static struct pending *block_writer(const struct rpc_peer *peer)
{
    struct pending *blocker;

    backend_gate_shut(fixture_gate(fx));
    blocker = add_later(peer, "blocker");
    assert_true(backend_gate_await(fixture_gate(fx)));
    return blocker;
}

/* ------------------------------------------------------------ group commit */

#define MANY 200

static void what_waits_is_made_durable_with_one_commit(void **state)
{
    struct pending *blocker;
    struct pending *many[MANY];
    bool seen[MANY] = { false };
    uint64_t revision;
    unsigned commits;

    (void) state;
    begin("  in_flight_per_principal: 250\n", NULL);
    revision = fixture_revision(fx);
    commits = backend_gate_commits(fixture_gate(fx));
    blocker = block_writer(&root);
    for (int i = 0; i < MANY; i++) {
        many[i] = add_later(&root, fixture_text(fx, "m%d", i));
    }
    for (int i = 0; i < MANY; i++) {
        assert_false(is_answered(many[i])); /* nothing is said before it is durable */
    }
    assert_int_equal(fixture_revision(fx), revision);
    backend_gate_open(fixture_gate(fx));
    OK(await(blocker));
    for (int i = 0; i < MANY; i++) {
        uint64_t made = OK(await(many[i]))->revision;

        /* Each is a revision of its own. */
        assert_in_range(made, revision + 2, revision + 1 + MANY);
        assert_false(seen[made - revision - 2]);
        seen[made - revision - 2] = true;
    }
    assert_int_equal(backend_gate_commits(fixture_gate(fx)), commits + 2);
    assert_int_equal(fixture_revision(fx), revision + 1 + MANY);
}

static void what_is_refused_within_a_group_leaves_the_others_alone(void **state)
{
    struct pending *blocker;
    struct pending *calls[30];

    (void) state;
    begin(NULL, NULL);
    blocker = block_writer(&root);
    for (int i = 0; i < 30; i += 3) {
        const char *name = fixture_text(fx, "m%d", i);

        calls[i] = add_later(&root, name);
        calls[i + 1] = add_later(&root, name); /* of the same group: is there already */
        calls[i + 2] = ask_later(fx, &root, NULL, "AddressAdd", "account", name, "address",
                                 fixture_text(fx, "%s.2@example.org", name), NULL);
    }
    backend_gate_open(fixture_gate(fx));
    OK(await(blocker));
    for (int i = 0; i < 30; i += 3) {
        OK(await(calls[i]));
        REFUSED(await(calls[i + 1]), ALREADY_EXISTS, "ACCOUNT_EXISTS");
        OK(await(calls[i + 2])); /* a later change sees the earlier one of its group */
    }
}

static unsigned waiting_for_keys(void)
{
    const struct reply *reply = OK(ask(fx, &root, "ServerInfo", NULL));
    const Mxadm__V1__ServerInfoResponse *info = reply->message;
    unsigned waiting = 0;

    for (size_t i = 0; i < info->n_key_pools; i++) {
        waiting += info->key_pools[i]->waiting;
    }
    return waiting;
}

/* One that asks for a key has been run, up to there. */
static void the_next_group_is_checked_while_one_is_made_durable(void **state)
{
    struct pending *blocker;
    struct pending *next;

    (void) state;
    begin("", NULL);
    blocker = block_writer(&root);
    next = ask_later(fx, &root, NULL, "DKIMAdd", "domain", "example.org", "selector", "long",
                     "algorithm", RSA4096, NULL);
    while (waiting_for_keys() == 0) {
        fixture_pass_time(fx, 1);
    }
    assert_false(is_answered(blocker));
    backend_gate_open(fixture_gate(fx));
    OK(await(blocker));
    OK(await(next));
}

/* Only the commit can know it for a repeat: then its group is run again, and nobody is harmed. */
static void a_repeat_that_would_be_accepted_again_is_answered_as_at_first(void **state)
{
    const struct options options = { .id = "of the first one" };
    const struct reply *first;
    const struct reply *again;
    struct pending *calls[4];

    (void) state;
    begin("", NULL);
    first = OK(ask_with(fx, &root, &options, "AddressAdd", "address", "gone@example.org", "account",
                        "alice", NULL));
    OK(ask(fx, &root, "AddressRemove", "address", "gone@example.org", NULL));
    calls[0] = block_writer(&root);
    calls[1] = add_later(&root, "before");
    calls[2] = ask_later(fx, &root, &options, "AddressAdd", "address", "gone@example.org",
                         "account", "alice", NULL);
    calls[3] = add_later(&root, "behind");
    backend_gate_open(fixture_gate(fx));
    OK(await(calls[0]));
    OK(await(calls[1]));
    again = OK(await(calls[2]));
    OK(await(calls[3]));
    assert_int_equal(again->len, first->len);
    assert_memory_equal(again->bytes, first->bytes, first->len);
    REFUSED(ask(fx, &root, "AddressGet", "address", "gone@example.org", NULL), NOT_FOUND, NULL);
    assert_int_equal(fixture_revision(fx), first->revision + 4);
}

/* ------------------------------------------------------------------ bounds */

static void beyond_the_queue_a_change_is_refused_and_told_when_to_come_again(void **state)
{
    struct pending *blocker;
    struct pending *queued[4];

    (void) state;
    begin("  change_queue: 4\n  group: 4\n", NULL);
    blocker = block_writer(&root);
    for (int i = 0; i < 4; i++) {
        queued[i] = add_later(&root, fixture_text(fx, "q%d", i));
    }
    for (int i = 0; i < 3; i++) {
        const struct reply *reply = await(add_later(&root, "late"));

        REFUSED(reply, RESOURCE_EXHAUSTED, "QUEUE_FULL");
        assert_non_null(reply->envelope->status->retry_info);
    }
    OK(ask(fx, &root, "AccountGet", "account", "alice", NULL)); /* reads go on */
    backend_gate_open(fixture_gate(fx));
    OK(await(blocker));
    for (int i = 0; i < 4; i++) {
        OK(await(queued[i]));
    }
    OK(await(add_later(&root, "late")));
}

/* One is on its way to the disk and one is next: the third is not begun before its time is over. */
static void a_change_whose_time_is_over_is_not_started(void **state)
{
    const struct options options = { .timeout_ms = 1 };
    struct pending *calls[2];
    struct pending *late;
    const struct reply *reply;

    (void) state;
    begin("  group: 1\n", NULL);
    calls[0] = block_writer(&root);
    calls[1] = add_later(&root, "next");
    late = ask_later(fx, &root, &options, "AccountAdd", "account", "late", "address",
                     "late@example.org", NULL);
    fixture_pass_time(fx, 5);
    backend_gate_open(fixture_gate(fx));
    OK(await(calls[0]));
    OK(await(calls[1]));
    reply = REFUSED(await(late), DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED");
    assert_int_equal(reply->revision, fixture_revision(fx));
    REFUSED(ask(fx, &root, "AccountGet", "account", "late", NULL), NOT_FOUND, "ACCOUNT_NOT_FOUND");
}

static void one_principal_can_not_take_all_places(void **state)
{
    struct pending *calls[3];
    const struct reply *reply;

    (void) state;
    begin("  in_flight_per_principal: 3\n", NULL);
    calls[0] = block_writer(&root);
    calls[1] = add_later(&root, "one");
    calls[2] = add_later(&root, "two");
    reply = REFUSED(await(add_later(&root, "three")), RESOURCE_EXHAUSTED, "TOO_MANY_CALLS");
    assert_non_null(reply->envelope->status->retry_info);
    REFUSED(ask(fx, &root, "AccountGet", "account", "alice", NULL), RESOURCE_EXHAUSTED,
            "TOO_MANY_CALLS");
    OK(ask(fx, &viewer, "AccountGet", "account", "alice", NULL));
    assert_true(fixture_serves(fx));
    backend_gate_open(fixture_gate(fx));
    for (int i = 0; i < 3; i++) {
        OK(await(calls[i]));
    }
    /* The places are free again, however the calls ended. */
    for (int i = 0; i < 10; i++) {
        REFUSED(await(add_later(&root, "one")), ALREADY_EXISTS, "ACCOUNT_EXISTS");
        REFUSED(ask(fx, &root, "AccountGet", "account", "..", NULL), INVALID_ARGUMENT, NULL);
    }
    OK(await(add_later(&root, "three")));
}

/* 4 may wait, 3 of them for one principal. They count neither as calls in work. */
static void so_many_calls_may_wait_and_not_all_of_one_principal(void **state)
{
    const struct options patient = { .timeout_ms = 3600 * 1000, .min_revision = UINT64_MAX };
    const struct options follows = { .timeout_ms = 3600 * 1000 };
    struct pending *waiting[4];
    const char *newest;

    (void) state;
    begin("  waiting_calls: 4\n  in_flight_per_principal: 2\n", NULL);
    newest = fixture_text(fx, "%llu", (unsigned long long) fixture_revision(fx));
    for (int round = 0; round < 2; round++) {
        const struct reply *reply;

        waiting[0] = ask_later(fx, &viewer, &patient, "ServerInfo", NULL);
        waiting[1] = ask_later(fx, &viewer, &follows, "ChangeList", "after_revision", newest,
                               "wait", "1", NULL);
        waiting[2] = ask_later(fx, &viewer, &patient, "ServerInfo", NULL);
        reply = REFUSED(ask_with(fx, &viewer, &follows, "ChangeList", "after_revision", newest,
                                 "wait", "1", NULL),
                        RESOURCE_EXHAUSTED, "TOO_MANY_WAITING");
        assert_non_null(reply->envelope->status->retry_info);
        waiting[3] = ask_later(fx, &root, &patient, "ServerInfo", NULL);
        REFUSED(ask_with(fx, &root, &patient, "ServerInfo", NULL), RESOURCE_EXHAUSTED,
                "TOO_MANY_WAITING");
        REFUSED(ask_with(fx, &loopback, &patient, "ServerInfo", NULL), RESOURCE_EXHAUSTED,
                "TOO_MANY_WAITING");
        for (int i = 0; i < 4; i++) {
            assert_false(is_answered(waiting[i]));
        }
        OK(ask(fx, &viewer, "ServerInfo", NULL));
        OK(ask(fx, &loopback, "ServerInfo", NULL));
        /* Who asks whether the server is well need not wait, role or not. */
        OK(ask_with(fx, &stranger, &patient, "grpc.health.v1.Health/Check", NULL));
        fixture_restart(fx);
        REFUSED(await(waiting[0]), UNAVAILABLE, "DRAINING");
        OK(await(waiting[1])); /* and says how far it has looked */
        REFUSED(await(waiting[2]), UNAVAILABLE, "DRAINING");
        REFUSED(await(waiting[3]), UNAVAILABLE, "DRAINING");
    }
}

/* The places of those that waited are free again. */
static void who_has_waited_gives_the_place_back(void **state)
{
    struct pending *waiting[2];

    (void) state;
    begin("  contexts: 8\n  in_flight_per_principal: 7\n", NULL);
    for (int round = 0; round < 6; round++) {
        const struct options next = { .min_revision = fixture_revision(fx) + 1 };
        const struct options never = { .min_revision = UINT64_MAX, .timeout_ms = 1 };

        waiting[0] = ask_later(fx, &viewer, &next, "ServerInfo", NULL);
        waiting[1] = ask_later(fx, &viewer, &next, "ServerInfo", NULL);
        OK(await(add_later(&root, fixture_text(fx, "w%d", round))));
        OK(await(waiting[0]));
        OK(await(waiting[1]));
        REFUSED(ask_with(fx, &viewer, &never, "ServerInfo", NULL), DEADLINE_EXCEEDED,
                "DEADLINE_EXCEEDED");
    }
}

static void not_more_calls_wait_for_keys_than_the_setting_says(void **state)
{
    const struct options patient = { .timeout_ms = 3600 * 1000 };
    struct pending *waiting[2];
    const struct reply *reply;

    (void) state;
    begin(NULL, "  waiters_max: 2\n");
    for (int i = 0; i < 2; i++) {
        waiting[i] = ask_later(fx, &root, &patient, "DKIMKeyMake", "algorithm", RSA4096, NULL);
    }
    reply = ask_with(fx, &root, &patient, "DKIMAdd", "domain", "example.org", "selector", "late",
                     "algorithm", RSA4096, NULL);
    REFUSED(reply, RESOURCE_EXHAUSTED, "KEY_POOL_EMPTY");
    assert_non_null(reply->envelope->status->retry_info);
    fixture_restart(fx);
    (void) await(waiting[0]);
    (void) await(waiting[1]);
}

static void a_large_answer_is_cut_into_pages_below_what_a_client_accepts(void **state)
{
    const Mxadm__V1__AddressListResponse *list;
    struct pending *pending[100];

    (void) state;
    begin(NULL, NULL);
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 100; i++) {
            pending[i] = ask_later(
                fx, &root, NULL, "AddressAdd", "account", "alice", "address",
                fixture_text(fx, "%s%03d@example.org", repeated(fx, "x", 120), round * 100 + i),
                NULL);
        }
        for (int i = 0; i < 100; i++) {
            OK(await(pending[i]));
        }
    }
    list = OK(ask(fx, &viewer, "AddressList", "page_size", "5000", NULL))->message;
    assert_int_equal(list->n_addresses, 1000);
    assert_int_equal(list->total, 1203);
    assert_string_not_equal(list->next_page_token, "");
}

/* ---------------------------------------------------------------- draining */

static void *drain(void *unused)
{
    static bool drained;

    (void) unused;
    drained = rpc_drain(fixture_rpc(fx), clock_mono_ms() + 60 * 1000);
    return &drained;
}

static void a_drain_does_what_was_accepted_and_refuses_the_rest(void **state)
{
    const struct options patient = { .timeout_ms = 3600 * 1000, .min_revision = UINT64_MAX };
    struct pending *waiting;
    struct pending *key;
    struct pending *calls[6];
    pthread_t thread;
    void *drained;

    (void) state;
    begin(NULL, NULL);
    key = ask_later(fx, &root, &patient, "DKIMAdd", "domain", "example.org", "selector", "slow",
                    "algorithm", RSA4096, NULL);
    waiting = ask_later(fx, &root, &patient, "ServerInfo", NULL);
    calls[0] = block_writer(&root);
    for (int i = 1; i < 6; i++) {
        calls[i] = add_later(&root, fixture_text(fx, "d%d", i));
    }
    assert_int_equal(pthread_create(&thread, NULL, drain, NULL), 0);
    /* What waits for a revision is ended first: then the drain has begun. */
    REFUSED(await(waiting), UNAVAILABLE, "DRAINING");
    REFUSED(await(add_later(&root, "late")), UNAVAILABLE, "DRAINING");
    REFUSED(ask(fx, &root, "AccountGet", "account", "alice", NULL), UNAVAILABLE, "DRAINING");
    assert_false(fixture_serves(fx));
    for (int i = 0; i < 6; i++) {
        assert_false(is_answered(calls[i]));
    }
    backend_gate_open(fixture_gate(fx));
    for (int i = 0; i < 6; i++) {
        OK(await(calls[i]));
    }
    if (await(key)->code != MX_OK) { /* a lucky search of primes */
        REFUSED(await(key), UNAVAILABLE, "DRAINING");
    }
    assert_int_equal(pthread_join(thread, &drained), 0);
    assert_true(*(bool *) drained);
    fixture_restart(fx);
    for (int i = 1; i < 6; i++) {
        OK(ask(fx, &root, "AccountGet", "account", fixture_text(fx, "d%d", i), NULL));
    }
    REFUSED(ask(fx, &root, "AccountGet", "account", "late", NULL), NOT_FOUND, "ACCOUNT_NOT_FOUND");
}

/* -------------------------------------------------------------------- keys */

#define KEY_THREADS 4
#define KEY_CALLS   40

struct seen {
    uint8_t fingerprints[KEY_THREADS * KEY_CALLS * 2][DIGEST_SIZE];
    size_t count;
    pthread_mutex_t lock;
};

static void see(struct seen *seen, const ProtobufCBinaryData *public_key)
{
    uint8_t fingerprint[DIGEST_SIZE];

    digest(public_key->data, public_key->len, fingerprint);
    (void) pthread_mutex_lock(&seen->lock);
    for (size_t i = 0; i < seen->count; i++) {
        if (memcmp(seen->fingerprints[i], fingerprint, DIGEST_SIZE) == 0) {
            fail_msg("a key was handed out twice");
        }
    }
    memcpy(seen->fingerprints[seen->count++], fingerprint, DIGEST_SIZE);
    (void) pthread_mutex_unlock(&seen->lock);
}

/* All threads fight for the same selectors: three of four are refused after they took a key. */
static void *use_keys(void *context)
{
    struct seen *seen = context;

    for (int i = 0; i < KEY_CALLS; i++) {
        const struct reply *reply = ask(fx, &root, "DKIMAdd", "domain", "example.org", "selector",
                                        fixture_text(fx, "s%d", i), "algorithm", ED25519, NULL);
        const Mxadm__V1__DKIMKeyMakeResponse *made;

        if (reply->code == MX_OK) {
            const Mxadm__V1__DKIMAddResponse *added = reply->message;

            see(seen, &added->dkim_selector->public_key);
        }
        made = OK(ask(fx, &key_reader, "DKIMKeyMake", "algorithm", ED25519, NULL))->message;
        see(seen, &made->public_key);
    }
    return NULL;
}

static void no_key_is_handed_out_twice(void **state)
{
    struct seen *seen = calloc(1, sizeof(*seen));
    pthread_t threads[KEY_THREADS];

    (void) state;
    assert_non_null(seen);
    (void) pthread_mutex_init(&seen->lock, NULL);
    begin(NULL, "  ed25519: { low: 4, high: 8 }\n");
    for (size_t i = 0; i < KEY_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_keys, seen), 0);
    }
    for (size_t i = 0; i < KEY_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(seen->count, KEY_CALLS + KEY_THREADS * KEY_CALLS);
    (void) pthread_mutex_destroy(&seen->lock);
    free(seen);
}

/* ------------------------------------------------------------- many clients */

#define CLIENTS 6
#define EACH    40

static void *be_client(void *context)
{
    const char *name = context;

    for (int i = 0; i < EACH; i++) {
        const char *account = fixture_text(fx, "%s%d", name, i);
        uint64_t revision = OK(ask(fx, &root, "AccountAdd", "account", account, "address",
                                   fixture_text(fx, "%s@example.org", account), NULL))
                                ->revision;
        const struct options options = { .min_revision = revision };

        OK(ask_with(fx, &viewer, &options, "AccountGet", "account", account, NULL));
        OK(ask(fx, &viewer, "AddressList", "page_size", "7", NULL));
        if (i % 4 == 0) {
            OK(ask(fx, &root, "AccountRemove", "account", account, NULL));
        }
    }
    return NULL;
}

static void many_clients_at_once_get_each_what_they_asked_for(void **state)
{
    static char names[CLIENTS][2] = { "a", "b", "c", "d", "e", "f" };
    const Mxadm__V1__ServerInfoResponse *info;
    pthread_t threads[CLIENTS];
    const char *before;

    (void) state;
    begin(NULL, NULL);
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, be_client, names[i]), 0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    info = OK(ask(fx, &viewer, "ServerInfo", NULL))->message;
    assert_int_equal(info->account_count, 1 + CLIENTS * EACH * 3 / 4);
    assert_int_equal(info->revision, 1 + CLIENTS * EACH * 5 / 4);
    before = fixture_dump(fx);
    fixture_restart(fx);
    assert_string_equal(fixture_dump(fx), before);
}

#define CASE(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_waits_is_made_durable_with_one_commit),
        CASE(what_is_refused_within_a_group_leaves_the_others_alone),
        CASE(the_next_group_is_checked_while_one_is_made_durable),
        CASE(a_repeat_that_would_be_accepted_again_is_answered_as_at_first),
        CASE(beyond_the_queue_a_change_is_refused_and_told_when_to_come_again),
        CASE(a_change_whose_time_is_over_is_not_started),
        CASE(one_principal_can_not_take_all_places),
        CASE(so_many_calls_may_wait_and_not_all_of_one_principal),
        CASE(who_has_waited_gives_the_place_back),
        CASE(not_more_calls_wait_for_keys_than_the_setting_says),
        CASE(a_large_answer_is_cut_into_pages_below_what_a_client_accepts),
        CASE(a_drain_does_what_was_accepted_and_refuses_the_rest),
        CASE(no_key_is_handed_out_twice),
        CASE(many_clients_at_once_get_each_what_they_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
