/*
 * A watch of a real daemon that is killed and started again while changes are
 * made: each revision comes exactly once, in order.
 */
#include "support/admin.h"
#include "support/cmocka.h"
#include "support/daemon.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char settings[] =
    DAEMON_URLS "keys: {directory: $DIR/keys, rsa2048: {low: 2, high: 2}}\n";

#define ROUNDS        4
#define PER_ROUND     25
#define REVISIONS_MAX 1000
#define PATIENCE_S    120

static struct daemon one_daemon;

/* What a watch has seen. */
struct seen {
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t cond;
    uint64_t revisions[REVISIONS_MAX];
    size_t count;
    uint64_t caught_up; /* the last that was told of */
    size_t resets;
    size_t records;
    size_t losses;
    bool ended;
};

static void note(const mxadm_watch_event *event, void *payload)
{
    struct seen *seen = payload;

    pthread_mutex_lock(&seen->lock);
    switch (event->kind) {
    case MXADM_WATCH_CHANGE:
        if (event->more == 0 && seen->count < REVISIONS_MAX) {
            seen->revisions[seen->count++] = event->revision;
        }
        break;
    case MXADM_WATCH_CAUGHT_UP:
        seen->caught_up = event->revision;
        break;
    case MXADM_WATCH_RESET:
        seen->resets++;
        break;
    case MXADM_WATCH_RECORD:
        seen->records++;
        break;
    case MXADM_WATCH_LOST:
        seen->losses++;
        break;
    case MXADM_WATCH_ENDED:
        seen->ended = true;
        break;
    case MXADM_WATCH_RESUMED:
        break;
    }
    pthread_cond_signal(&seen->cond);
    pthread_mutex_unlock(&seen->lock);
}

/* Waits until the watch has seen a revision, as change or as caught up with. */
static void await(struct seen *seen, uint64_t revision)
{
    struct timespec until;

    (void) clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&seen->lock);
    int rv = 0;
    while (rv == 0 && !seen->ended && seen->caught_up < revision &&
           (seen->count == 0 || seen->revisions[seen->count - 1] < revision)) {
        rv = pthread_cond_timedwait(&seen->cond, &seen->lock, &until);
    }
    bool ended = seen->ended;
    pthread_mutex_unlock(&seen->lock);
    assert_int_equal(rv, 0);
    assert_false(ended);
}

static int set_up(void **state)
{
    struct seen *seen = calloc(1, sizeof(*seen));

    assert_non_null(seen);
    pthread_mutex_init(&seen->lock, NULL);
    pthread_cond_init(&seen->cond, NULL);
    *state = seen;
    daemon_init(&one_daemon, settings);
    return 0;
}

static int tear_down(void **state)
{
    daemon_fini(&one_daemon);
    free(*state);
    return 0;
}

static uint64_t add_addresses(mxadm_client *client, int round)
{
    uint64_t revision = 0;

    for (int i = 0; i < PER_ROUND; i++) {
        char address[64];

        (void) snprintf(address, sizeof(address), "r%d-%d@a.example", round, i);
        revision = admin_done(admin_address_add(client, address, "alice", NULL));
    }
    return revision;
}

static mxadm_watch *begin(mxadm_client *client, struct seen *seen, bool snapshot)
{
    mxadm_watch_options options = MXADM_WATCH_OPTIONS_INIT;
    mxadm_watch *watch;

    options.snapshot = snapshot;
    assert_int_equal(mxadm_watch_open(client, &options, note, seen, &watch), MXADM_OK);
    return watch;
}

static void a_watch_survives_kills_and_sees_each_revision_once(void **state)
{
    struct seen *seen = *state;
    uint64_t revision;

    daemon_start(&one_daemon);
    mxadm_client *client = admin_open(daemon_url(&one_daemon, 0), 0);
    mxadm_watch *watch = begin(client, seen, false);

    (void) admin_done(admin_domain_add(client, "a.example", "alice", "first", NULL));
    for (int round = 0; round < ROUNDS; round++) {
        revision = add_addresses(client, round);
        if (round % 2 == 0) {
            await(seen, revision); /* else it is killed with changes on their way */
        }
        daemon_kill(&one_daemon);
        daemon_start(&one_daemon);
    }
    revision = add_addresses(client, ROUNDS);
    await(seen, revision);
    mxadm_watch_close(watch);
    mxadm_client_close(client);
    assert_int_equal(seen->count, revision);
    for (size_t i = 0; i < seen->count; i++) {
        assert_int_equal(seen->revisions[i], i + 1);
    }
    assert_int_equal(seen->resets, 0);
    assert_true(seen->losses > 0);
}

static void a_watch_lists_and_then_follows(void **state)
{
    struct seen *seen = *state;

    daemon_start(&one_daemon);
    mxadm_client *client = admin_open(daemon_url(&one_daemon, 0), 0);
    (void) admin_done(admin_domain_add(client, "a.example", "alice", "first", NULL));
    uint64_t revision = add_addresses(client, 0);
    mxadm_watch *watch = begin(client, seen, true);

    await(seen, revision);
    revision = admin_done(admin_address_add(client, "more@a.example", "alice", NULL));
    await(seen, revision);
    mxadm_watch_close(watch);
    mxadm_client_close(client);
    assert_int_equal(seen->resets, 1);
    /* Domain, two selectors, account, its first address, two report addresses, the settings. */
    assert_in_range(seen->records, 7 + PER_ROUND, 8 + PER_ROUND);
    assert_int_equal(seen->count, 1);
    assert_int_equal(seen->revisions[0], revision);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_watch_survives_kills_and_sees_each_revision_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_watch_lists_and_then_follows, set_up, tear_down),
    };

    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
