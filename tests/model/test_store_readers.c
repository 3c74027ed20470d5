/*
 * One writer and several readers at once. The writer moves amounts between
 * accounts; whatever a reader pins, the sum is the same, no account is missing,
 * and the revision noted in the map is the snapshot's own.
 */
#include "store/store.h"
#include "support/backend_memory.h"
#include "support/seed.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define READERS  4
#define ACCOUNTS 100
#define OPENING  1000
/* The writer goes on until it has committed so often, and each reader has read so often. */
#define COMMITS_MIN 2000
#define ROUNDS_MIN  200

struct bank {
    struct backend *backend;
    struct store *store;
    atomic_bool done;
};

struct reader {
    struct bank *bank;
    pthread_t thread;
    struct seed seed;
    atomic_uint rounds;
    unsigned wrong; /* cmocka's assertions are for the main thread only */
};

static struct slice account_key(char room[16], unsigned account)
{
    return slice_of(room, (size_t) snprintf(room, 16, "a/%u", account));
}

static uint64_t number_of(struct slice value)
{
    uint64_t number = 0;

    if (value.len == sizeof(number)) {
        memcpy(&number, value.data, sizeof(number));
    }
    return number;
}

static uint64_t read_number(const struct store_view *view, struct slice key)
{
    struct slice value = slice_of(NULL, 0);

    return store_get(view, key, &value) ? number_of(value) : 0;
}

/* -------------------------------------------------------------------- reading */

static unsigned check_snapshot(const struct store_snapshot *snapshot)
{
    const struct store_view *view = store_snapshot_view(snapshot);
    struct store_cursor cursor;
    struct store_entry entry;
    uint64_t sum = 0;
    unsigned accounts = 0;

    store_cursor_init(&cursor, view, slice_of("a/", 2), slice_of("", 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        sum += number_of(entry.value);
        accounts++;
    }
    return (sum != ACCOUNTS * OPENING) + (accounts != ACCOUNTS) +
           (store_count(view, slice_of("a/", 2)) != ACCOUNTS) +
           (read_number(view, slice_of("revision", 8)) != store_snapshot_revision(snapshot));
}

static void *read_until_done(void *context)
{
    struct reader *reader = context;
    struct store *store = reader->bank->store;
    struct store_snapshot *held = store_acquire(store);

    while (!atomic_load(&reader->bank->done)) {
        struct store_snapshot *snapshot = store_acquire(store);
        reader->wrong += check_snapshot(snapshot);
        reader->wrong += store_snapshot_revision(snapshot) < store_snapshot_revision(held);
        if (seed_below(&reader->seed, 8) == 0) {
            reader->wrong += check_snapshot(held); /* after having been held for a while */
            store_release(store, held);
            held = store_snapshot_pin(snapshot);
        }
        store_release(store, snapshot);
        atomic_fetch_add(&reader->rounds, 1);
    }
    store_release(store, held);
    return NULL;
}

/* -------------------------------------------------------------------- writing */

static void put_number(struct store_draft *draft, struct slice key, uint64_t number)
{
    struct mx_error err;

    assert_int_equal(store_put(draft, key, slice_of(&number, sizeof(number)), &err), MX_OK);
}

static void keep(struct store_draft *draft)
{
    struct store_request request = { .head = slice_of("head", 4) };
    struct mx_error err;
    bool changed;

    put_number(draft, slice_of("revision", 8), store_draft_revision(draft));
    assert_int_equal(store_request_keep(draft, &request, &changed, &err), MX_OK);
}

static void move_amount(struct store_draft *draft, unsigned from, unsigned to)
{
    const struct store_view *view = store_draft_view(draft);
    char from_room[16];
    char to_room[16];
    struct slice from_key = account_key(from_room, from);
    struct slice to_key = account_key(to_room, to);

    if (from != to && read_number(view, from_key) > 0) {
        put_number(draft, from_key, read_number(view, from_key) - 1);
        put_number(draft, to_key, read_number(view, to_key) + 1);
    }
}

/* Entries around the accounts come and go, so that branches do too. */
static void churn(struct store_draft *draft, struct seed *seed)
{
    struct mx_error err;
    char room[16];
    struct slice key = account_key(room, seed_below(seed, 1000));

    room[0] = seed_below(seed, 2) == 0 ? 'b' : '`';
    if (seed_below(seed, 2) == 0) {
        put_number(draft, key, seed_next(seed));
    } else {
        assert_int_equal(store_delete(draft, key, &err), MX_OK);
    }
}

static void open_accounts(struct bank *bank)
{
    struct store_draft *draft = store_begin(bank->store);
    struct mx_error err;
    char room[16];

    store_request_begin(draft);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        put_number(draft, account_key(room, i), OPENING);
    }
    keep(draft);
    assert_int_equal(store_commit(bank->store, &draft, &err), MX_OK);
}

static void write_group(struct bank *bank, struct seed *seed)
{
    struct store_draft *draft = store_begin(bank->store);
    bool conflict = seed_below(seed, 10) == 0;
    struct mx_error err;

    for (unsigned i = 0; i < 3; i++) {
        store_request_begin(draft);
        move_amount(draft, seed_below(seed, ACCOUNTS), seed_below(seed, ACCOUNTS));
        churn(draft, seed);
        if (i > 0 && seed_below(seed, 4) == 0) {
            store_request_rollback(draft);
        } else {
            keep(draft);
        }
    }
    backend_memory_set_fate(bank->backend, conflict ? FATE_CONFLICT : FATE_OK);
    assert_int_equal(store_commit(bank->store, &draft, &err), conflict ? MX_ABORTED : MX_OK);
}

static bool readers_have_read(struct reader *readers)
{
    for (unsigned i = 0; i < READERS; i++) {
        if (atomic_load(&readers[i].rounds) < ROUNDS_MIN) {
            return false;
        }
    }
    return true;
}

static void readers_see_whole_versions_while_the_writer_works(void **state)
{
    static struct reader readers[READERS];
    struct bank bank = { .backend = backend_memory_create() };
    struct seed seed = seed_init();
    struct mx_error err;

    (void) state;
    assert_int_equal(store_open(bank.backend, NULL, &bank.store, &err), MX_OK);
    open_accounts(&bank);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i].bank = &bank;
        readers[i].seed.state = seed_next(&seed);
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_until_done, &readers[i]), 0);
    }
    for (unsigned i = 0; i < COMMITS_MIN || !readers_have_read(readers); i++) {
        write_group(&bank, &seed);
    }
    atomic_store(&bank.done, true);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
    }
    store_close(bank.store);
    bank.backend->ops->close(bank.backend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_versions_while_the_writer_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
