#include "unit/keys/fixture.h"

#include "base/clock.h"
#include "keys/pool.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

/* No test waits so long unless something is broken. */
#define PATIENCE_MS 60000
#define NEVER       INT64_MAX

static struct key_pool_settings on_demand(unsigned threads)
{
    return (struct key_pool_settings){ .threads = threads, .waiters_max = 1000 };
}

static struct key_pool_settings stocked(unsigned low, unsigned high)
{
    struct key_pool_settings settings = on_demand(1);

    settings.kinds[KEY_ED25519].low = low;
    settings.kinds[KEY_ED25519].high = high;
    return settings;
}

static struct key_pool *create(const struct key_pool_settings *settings)
{
    struct key_pool *pool = NULL;
    struct mx_error err;

    if (key_pool_create(settings, &pool, &err) != MX_OK) {
        fail_msg("key_pool_create: %s", err.message);
    }
    return pool;
}

static struct key_pool_info info_of(struct key_pool *pool, enum key_kind kind)
{
    struct key_pool_info info;

    key_pool_info(pool, kind, &info);
    return info;
}

/* Filling ends without telling anybody, so this looks again and again. */
static void await_ready(struct key_pool *pool, enum key_kind kind, unsigned ready)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;

    while (info_of(pool, kind).ready != ready) {
        assert_true(clock_mono_ms() < deadline);
        (void) sched_yield();
    }
}

static void fingerprint_of(const struct key *key, uint8_t out[DIGEST_SIZE])
{
    assert_non_null(key);
    key_fingerprint(key, out);
}

/* A wait that tells when it ends, and as which of all it ended. */
struct waiter {
    struct key_wait wait; /* first: `done` finds the rest by it */
    sem_t ended;
    struct key *key;
    unsigned place;
    unsigned times;
};

static atomic_uint ended_count;

static void note_end(struct key_wait *wait, struct key *key)
{
    struct waiter *waiter = (struct waiter *) wait;

    waiter->key = key;
    waiter->place = atomic_fetch_add(&ended_count, 1);
    waiter->times++;
    (void) sem_post(&waiter->ended);
}

static void init(struct waiter *waiter, enum key_kind kind, int64_t deadline_ms)
{
    *waiter = (struct waiter){
        .wait = { .kind = kind, .deadline_ms = deadline_ms, .done = note_end },
    };
    (void) sem_init(&waiter->ended, 0, 0);
}

static void join(struct key_pool *pool, struct waiter *waiter, enum key_kind kind,
                 int64_t deadline_ms)
{
    init(waiter, kind, deadline_ms);
    assert_true(key_pool_wait(pool, &waiter->wait));
}

static void await(struct waiter *waiter)
{
    while (sem_wait(&waiter->ended) != 0) {
    }
    (void) sem_destroy(&waiter->ended);
}

/*
 * Holds the pool's thread inside a `done`, so that nothing is served while a test arranges things.
 * (A real `done` must not block; that is what it is for.)
 */
static struct {
    struct key_wait wait;
    sem_t held;
    sem_t release;
} hold;

static void block(struct key_wait *wait, struct key *key)
{
    (void) wait;
    key_destroy(key);
    (void) sem_post(&hold.held);
    while (sem_wait(&hold.release) != 0) {
    }
}

static void hold_pool(struct key_pool *pool)
{
    hold.wait = (struct key_wait){ .kind = KEY_ED25519, .deadline_ms = NEVER, .done = block };
    (void) sem_init(&hold.held, 0, 0);
    (void) sem_init(&hold.release, 0, 0);
    assert_true(key_pool_wait(pool, &hold.wait));
    while (sem_wait(&hold.held) != 0) {
    }
}

static void release_pool(void)
{
    (void) sem_post(&hold.release);
}

static void settings_that_make_no_sense_are_refused(void **state)
{
    struct key_pool_settings no_threads = on_demand(0);
    struct key_pool_settings many_threads = on_demand(KEY_POOL_THREADS_MAX + 1);
    struct key_pool_settings upside_down = stocked(5, 4);
    struct key_pool_settings huge = stocked(1, KEY_POOL_READY_MAX + 1);
    struct key_pool *pool = NULL;
    struct mx_error err;

    (void) state;
    assert_int_equal(key_pool_create(&no_threads, &pool, &err), MX_INVALID_ARGUMENT);
    assert_int_equal(key_pool_create(&many_threads, &pool, &err), MX_INVALID_ARGUMENT);
    assert_int_equal(key_pool_create(&huge, &pool, &err), MX_INVALID_ARGUMENT);
    assert_int_equal(key_pool_create(&upside_down, &pool, &err), MX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "ed25519"));
    assert_null(pool);
}

static void an_empty_pool_fills_to_its_high_marks(void **state)
{
    struct key_pool_settings settings = stocked(3, 7);
    struct key_pool *pool;
    struct key_pool_info info;

    (void) state;
    settings.threads = 3;
    settings.kinds[KEY_RSA2048].low = 1;
    settings.kinds[KEY_RSA2048].high = 2;
    pool = create(&settings);
    await_ready(pool, KEY_ED25519, 7);
    await_ready(pool, KEY_RSA2048, 2);
    info = info_of(pool, KEY_ED25519);
    assert_int_equal(info.low, 3);
    assert_int_equal(info.high, 7);
    assert_int_equal(info.waiting, 0);
    assert_int_equal(info_of(pool, KEY_RSA4096).ready, 0);
    key_pool_destroy(pool);
}

static void taking_gives_each_key_once(void **state)
{
    struct key_pool_settings settings = stocked(20, 20);
    struct key_pool *pool = create(&settings);
    uint8_t seen[20][DIGEST_SIZE];

    (void) state;
    await_ready(pool, KEY_ED25519, 20);
    for (unsigned i = 0; i < 20; i++) {
        struct key *key = key_pool_try_take(pool, KEY_ED25519);

        fingerprint_of(key, seen[i]);
        for (unsigned j = 0; j < i; j++) {
            assert_memory_not_equal(seen[i], seen[j], DIGEST_SIZE);
        }
        key_destroy(key);
    }
    assert_null(key_pool_try_take(pool, KEY_RSA2048));
    key_pool_destroy(pool);
}

static void take_and_destroy(struct key_pool *pool)
{
    struct key *key = key_pool_try_take(pool, KEY_ED25519);

    assert_non_null(key);
    key_destroy(key);
}

static void refilling_starts_below_low_and_ends_at_high(void **state)
{
    struct key_pool_settings settings = stocked(2, 5);
    struct key_pool *pool;

    (void) state;
    settings.threads = 2;
    pool = create(&settings);
    await_ready(pool, KEY_ED25519, 5);
    for (unsigned i = 0; i < 3; i++) {
        take_and_destroy(pool);
    }
    /* While one thread makes keys of another kind, the other would refill, were it due. */
    for (unsigned i = 0; i < 2; i++) {
        struct waiter waiter;

        join(pool, &waiter, KEY_RSA2048, NEVER);
        await(&waiter);
        key_destroy(waiter.key);
    }
    assert_int_equal(info_of(pool, KEY_ED25519).ready, 2);
    take_and_destroy(pool);
    await_ready(pool, KEY_ED25519, 5);
    key_pool_destroy(pool);
}

static void waiters_of_a_kind_are_served_in_their_order(void **state)
{
    struct key_pool_settings settings = on_demand(2);
    struct key_pool *pool = create(&settings);
    static struct waiter waiters[200];

    (void) state;
    atomic_store(&ended_count, 0);
    for (unsigned i = 0; i < 200; i++) {
        join(pool, &waiters[i], KEY_ED25519, NEVER);
    }
    for (unsigned i = 0; i < 200; i++) {
        await(&waiters[i]);
        assert_int_equal(waiters[i].place, i);
        assert_non_null(waiters[i].key);
        key_destroy(waiters[i].key);
    }
    key_pool_destroy(pool);
}

static void the_longest_waiting_of_all_kinds_is_served_first(void **state)
{
    static const enum key_kind kinds[] = { KEY_RSA2048, KEY_ED25519, KEY_RSA2048, KEY_ED25519,
                                           KEY_ED25519 };
    enum { COUNT = sizeof(kinds) / sizeof(kinds[0]) };
    struct key_pool_settings settings = on_demand(1);
    struct key_pool *pool = create(&settings);
    struct waiter waiters[COUNT];

    (void) state;
    atomic_store(&ended_count, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        join(pool, &waiters[i], kinds[i], NEVER);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        await(&waiters[i]);
        assert_int_equal(waiters[i].place, i);
        assert_int_equal(key_kind(waiters[i].key), kinds[i]);
        key_destroy(waiters[i].key);
    }
    key_pool_destroy(pool);
}

static void who_waits_is_served_before_the_pool_fills(void **state)
{
    struct key_pool_settings settings = stocked(20000, 20000);
    struct key_pool *pool = create(&settings);
    struct waiter waiter;

    (void) state;
    join(pool, &waiter, KEY_RSA2048, NEVER);
    await(&waiter);
    assert_true(info_of(pool, KEY_ED25519).ready < 20000);
    key_destroy(waiter.key);
    key_pool_destroy(pool);
}

static void a_wait_with_a_key_ready_is_served_at_once(void **state)
{
    struct key_pool_settings settings = stocked(1, 1);
    struct key_pool *pool = create(&settings);
    struct waiter waiter;

    (void) state;
    await_ready(pool, KEY_ED25519, 1);
    join(pool, &waiter, KEY_ED25519, NEVER);
    assert_int_equal(waiter.times, 1);
    await(&waiter);
    key_destroy(waiter.key);
    key_pool_destroy(pool);
}

static void waits_end_with_nothing_at_their_deadline(void **state)
{
    struct key_pool_settings settings = on_demand(1);
    struct key_pool *pool = create(&settings);
    struct waiter early;
    struct waiter late;
    struct waiter middle;

    (void) state;
    hold_pool(pool);
    assert_int_equal(key_pool_expire(pool, 1000), INT64_MAX);
    join(pool, &late, KEY_RSA4096, 300);
    join(pool, &early, KEY_ED25519, 100);
    join(pool, &middle, KEY_RSA4096, 200);
    assert_int_equal(info_of(pool, KEY_RSA4096).waiting, 2);
    assert_int_equal(key_pool_expire(pool, 99), 100);
    assert_int_equal(early.times, 0);
    assert_int_equal(key_pool_expire(pool, 200), 300);
    await(&early);
    await(&middle);
    assert_null(early.key);
    assert_null(middle.key);
    assert_int_equal(late.times, 0);
    assert_int_equal(info_of(pool, KEY_RSA4096).waiting, 1);
    assert_int_equal(key_pool_expire(pool, 300), INT64_MAX);
    await(&late);
    assert_null(late.key);

    /* The queue's end is where it was: who comes now is served. */
    join(pool, &early, KEY_ED25519, NEVER);
    release_pool();
    await(&early);
    assert_non_null(early.key);
    key_destroy(early.key);
    key_pool_destroy(pool);
}

static void too_many_waiters_are_refused(void **state)
{
    struct key_pool_settings settings = on_demand(1);
    struct waiter waiters[3];
    struct key_pool *pool;

    (void) state;
    settings.waiters_max = 2;
    pool = create(&settings);
    hold_pool(pool);
    join(pool, &waiters[0], KEY_ED25519, 1);
    join(pool, &waiters[1], KEY_RSA2048, NEVER);
    init(&waiters[2], KEY_ED25519, NEVER);
    assert_false(key_pool_wait(pool, &waiters[2].wait));
    /* One leaves, and there is room. */
    (void) key_pool_expire(pool, 1);
    await(&waiters[0]);
    join(pool, &waiters[0], KEY_ED25519, NEVER);
    assert_int_equal(waiters[2].times, 0);
    release_pool();
    await(&waiters[0]);
    await(&waiters[1]);
    key_destroy(waiters[0].key);
    key_destroy(waiters[1].key);
    key_pool_destroy(pool);
}

static void a_returned_key_goes_to_the_first_who_waits_for_its_kind(void **state)
{
    struct key_pool_settings settings = on_demand(1);
    struct key_pool *pool = create(&settings);
    struct key *key = make_key(KEY_ED25519);
    struct waiter other;
    struct waiter first;
    struct waiter second;

    (void) state;
    hold_pool(pool);
    join(pool, &other, KEY_RSA2048, NEVER);
    join(pool, &first, KEY_ED25519, NEVER);
    join(pool, &second, KEY_ED25519, NEVER);
    key_pool_return(pool, key);
    assert_int_equal(first.times, 1);
    assert_ptr_equal(first.key, key);
    assert_int_equal(other.times + second.times, 0);
    release_pool();
    await(&first);
    await(&other);
    await(&second);
    key_destroy(first.key);
    key_destroy(other.key);
    key_destroy(second.key);
    key_pool_destroy(pool);
}

static void a_returned_key_is_kept_for_the_next_also_beyond_high(void **state)
{
    struct key_pool_settings settings = on_demand(1);
    struct key_pool *pool = create(&settings);
    uint8_t given[DIGEST_SIZE];
    uint8_t taken[DIGEST_SIZE];
    struct key *key = make_key(KEY_ED25519);

    (void) state;
    fingerprint_of(key, given);
    key_pool_return(pool, key);
    key_pool_return(pool, NULL);
    key = key_pool_try_take(pool, KEY_ED25519);
    fingerprint_of(key, taken);
    assert_memory_equal(given, taken, DIGEST_SIZE);
    assert_null(key_pool_try_take(pool, KEY_ED25519));
    key_destroy(key);
    for (unsigned i = 0; i < KEY_POOL_SPARE_MAX + 5; i++) {
        key_pool_return(pool, make_key(KEY_ED25519));
    }
    assert_int_equal(info_of(pool, KEY_ED25519).ready, KEY_POOL_SPARE_MAX);
    key_pool_destroy(pool);
}

static void the_guess_of_a_retry_grows_with_the_queue(void **state)
{
    struct key_pool_settings settings = on_demand(1);
    struct key_pool *pool = create(&settings);
    struct waiter waiters[10];
    int64_t alone;

    (void) state;
    hold_pool(pool);
    assert_int_equal(key_pool_retry_ms(pool, KEY_ED25519), 50);
    alone = key_pool_retry_ms(pool, KEY_RSA2048);
    assert_true(alone > 50);
    for (unsigned i = 0; i < 10; i++) {
        join(pool, &waiters[i], KEY_RSA2048, 1);
    }
    assert_true(key_pool_retry_ms(pool, KEY_RSA2048) > 5 * alone);
    assert_int_equal(key_pool_expire(pool, 1), INT64_MAX);
    release_pool();
    key_pool_destroy(pool);
}

static void destroying_ends_all_waits_once_and_in_the_midst_of_making(void **state)
{
    struct key_pool_settings settings = on_demand(2);
    struct key_pool *pool = create(&settings);
    struct waiter waiters[50];
    unsigned empty = 0;

    (void) state;
    for (unsigned i = 0; i < 50; i++) {
        join(pool, &waiters[i], KEY_RSA4096, NEVER);
    }
    key_pool_destroy(pool);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(waiters[i].times, 1);
        empty += waiters[i].key == NULL;
        key_destroy(waiters[i].key);
        (void) sem_destroy(&waiters[i].ended);
    }
    assert_true(empty > 0);
    key_pool_destroy(NULL);
}

/* Many at once: each takes or waits, and keeps or returns by turns. */
enum { CROWD = 8, TURNS = 150 };

struct member {
    pthread_t thread;
    struct key_pool *pool;
    uint8_t kept[TURNS][DIGEST_SIZE];
    unsigned kept_count;
};

static void *take_part(void *argument)
{
    struct member *member = argument;

    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct key *key = turn % 3 == 0 ? NULL : key_pool_try_take(member->pool, KEY_ED25519);

        if (key == NULL) {
            struct waiter waiter;

            join(member->pool, &waiter, KEY_ED25519, NEVER);
            await(&waiter);
            key = waiter.key;
        }
        if (turn % 2 == 0) {
            key_pool_return(member->pool, key);
        } else {
            key_fingerprint(key, member->kept[member->kept_count++]);
            key_destroy(key);
        }
        (void) key_pool_expire(member->pool, 0);
    }
    return NULL;
}

static int compare_fingerprints(const void *one, const void *two)
{
    return memcmp(one, two, DIGEST_SIZE);
}

static void no_two_of_a_crowd_get_the_same_key(void **state)
{
    struct key_pool_settings settings = stocked(5, 20);
    static struct member members[CROWD];
    static uint8_t kept[CROWD * TURNS][DIGEST_SIZE];
    struct key_pool *pool;
    size_t count = 0;

    (void) state;
    settings.threads = 3;
    pool = create(&settings);
    for (unsigned i = 0; i < CROWD; i++) {
        members[i].pool = pool;
        assert_int_equal(pthread_create(&members[i].thread, NULL, take_part, &members[i]), 0);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(members[i].thread, NULL), 0);
        memcpy(kept[count], members[i].kept, members[i].kept_count * DIGEST_SIZE);
        count += members[i].kept_count;
    }
    assert_int_equal(count, CROWD * TURNS / 2);
    qsort(kept, count, DIGEST_SIZE, compare_fingerprints);
    for (size_t i = 1; i < count; i++) {
        assert_memory_not_equal(kept[i - 1], kept[i], DIGEST_SIZE);
    }
    assert_int_equal(info_of(pool, KEY_ED25519).waiting, 0);
    key_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_make_no_sense_are_refused),
        cmocka_unit_test(an_empty_pool_fills_to_its_high_marks),
        cmocka_unit_test(taking_gives_each_key_once),
        cmocka_unit_test(refilling_starts_below_low_and_ends_at_high),
        cmocka_unit_test(waiters_of_a_kind_are_served_in_their_order),
        cmocka_unit_test(the_longest_waiting_of_all_kinds_is_served_first),
        cmocka_unit_test(who_waits_is_served_before_the_pool_fills),
        cmocka_unit_test(a_wait_with_a_key_ready_is_served_at_once),
        cmocka_unit_test(waits_end_with_nothing_at_their_deadline),
        cmocka_unit_test(too_many_waiters_are_refused),
        cmocka_unit_test(a_returned_key_goes_to_the_first_who_waits_for_its_kind),
        cmocka_unit_test(a_returned_key_is_kept_for_the_next_also_beyond_high),
        cmocka_unit_test(the_guess_of_a_retry_grows_with_the_queue),
        cmocka_unit_test(destroying_ends_all_waits_once_and_in_the_midst_of_making),
        cmocka_unit_test(no_two_of_a_crowd_get_the_same_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
