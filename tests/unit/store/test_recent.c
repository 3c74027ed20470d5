#include "store/recent.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY 100000

/* Its own revision as text, so that a mix-up shows. */
static struct recent_change *change_of(uint64_t revision)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "change %llu", (unsigned long long) revision);
    struct recent_change *change =
        recent_change_create(revision, (const uint8_t *) text, (size_t) len);

    assert_non_null(change);
    return change;
}

static void append(struct recent *recent, uint64_t from, uint64_t to)
{
    for (uint64_t revision = from; revision <= to; revision++) {
        recent_append(recent, change_of(revision));
    }
}

static bool is_change(const struct recent_change *change, uint64_t revision)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "change %llu", (unsigned long long) revision);

    return change->revision == revision && change->len == (size_t) len &&
           memcmp(change->bytes, text, change->len) == 0;
}

/* Takes what is there after `after`, checks that it has no gap, returns the last revision. */
static uint64_t follow(struct recent *recent, uint64_t after, uint64_t newest)
{
    struct recent_change *taken[7];
    size_t count;

    while ((count = recent_take(recent, after, newest, taken, 7)) > 0) {
        for (size_t i = 0; i < count; i++) {
            assert_true(is_change(taken[i], after + 1));
            after++;
            recent_change_release(taken[i]);
        }
    }
    return after;
}

static void changes_come_back_in_order(void **state)
{
    struct recent *recent = recent_create(RECENT_BYTES_MAX);

    (void) state;
    append(recent, 11, 5000);
    assert_int_equal(follow(recent, 10, UINT64_MAX), 5000);
    assert_int_equal(follow(recent, 4990, UINT64_MAX), 5000);
    assert_int_equal(follow(recent, 5000, UINT64_MAX), 5000);
    assert_int_equal(follow(recent, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    recent_destroy(recent);
}

static void what_is_older_than_all_is_not_here(void **state)
{
    struct recent *recent = recent_create(RECENT_BYTES_MAX);
    struct recent_change *taken;

    (void) state;
    assert_int_equal(recent_take(recent, 0, UINT64_MAX, &taken, 1), 0);
    append(recent, 11, 20);
    assert_int_equal(recent_take(recent, 9, UINT64_MAX, &taken, 1), 0);
    assert_int_equal(recent_take(recent, 0, UINT64_MAX, &taken, 1), 0);
    recent_destroy(recent);
}

static void none_is_newer_than_asked_for(void **state)
{
    struct recent *recent = recent_create(RECENT_BYTES_MAX);

    (void) state;
    append(recent, 1, 20);
    assert_int_equal(follow(recent, 0, 13), 13);
    recent_destroy(recent);
}

static void the_oldest_go_when_bytes_run_out(void **state)
{
    struct recent *recent = recent_create(10000);
    struct recent_change *taken;
    uint64_t oldest = 0;

    (void) state;
    append(recent, 1, MANY);
    assert_true(recent_bytes(recent) <= 10000);
    assert_true(recent_bytes(recent) > 9000);
    while (recent_take(recent, oldest, UINT64_MAX, &taken, 1) == 0) {
        oldest++;
    }
    recent_change_release(taken);
    assert_true(oldest > MANY - 10000 / sizeof(struct recent_change));
    assert_int_equal(follow(recent, oldest, UINT64_MAX), MANY);
    recent_destroy(recent);
}

static void one_larger_than_all_the_room_is_kept_alone(void **state)
{
    struct recent *recent = recent_create(10);

    (void) state;
    append(recent, 1, 3);
    assert_int_equal(follow(recent, 2, UINT64_MAX), 3);
    assert_int_equal(follow(recent, 1, UINT64_MAX), 1);
    recent_destroy(recent);
}

static void a_gap_forgets_what_was_before_it(void **state)
{
    struct recent *recent = recent_create(RECENT_BYTES_MAX);

    (void) state;
    append(recent, 1, 10);
    append(recent, 12, 14);
    assert_int_equal(follow(recent, 0, UINT64_MAX), 0);
    assert_int_equal(follow(recent, 9, UINT64_MAX), 9);
    assert_int_equal(follow(recent, 11, UINT64_MAX), 14);
    recent_append(recent, NULL); /* there was no memory for 15 */
    assert_int_equal(recent_bytes(recent), 0);
    append(recent, 16, 16);
    assert_int_equal(follow(recent, 13, UINT64_MAX), 13);
    assert_int_equal(follow(recent, 15, UINT64_MAX), 16);
    recent_destroy(recent);
}

static void what_was_taken_outlives_the_ring(void **state)
{
    struct recent *recent = recent_create(RECENT_BYTES_MAX);
    struct recent_change *taken[2];

    (void) state;
    append(recent, 1, 2);
    assert_int_equal(recent_take(recent, 0, UINT64_MAX, taken, 2), 2);
    recent_destroy(recent);
    assert_true(is_change(taken[0], 1));
    assert_true(is_change(taken[1], 2));
    recent_change_release(taken[0]);
    recent_change_release(taken[1]);
}

static void a_trim_forgets_up_to_its_revision(void **state)
{
    struct recent *recent = recent_create(RECENT_BYTES_MAX);

    (void) state;
    append(recent, 1, 10);
    recent_trim(recent, 4);
    assert_int_equal(follow(recent, 3, UINT64_MAX), 3);
    assert_int_equal(follow(recent, 4, UINT64_MAX), 10);
    recent_trim(recent, 10);
    assert_int_equal(recent_bytes(recent), 0);
    recent_destroy(recent);
}

static void *read_all(void *argument)
{
    struct recent *recent = argument;
    uint64_t after = 0;

    while (after < MANY) {
        struct recent_change *taken;

        /* Too slow for the ring: go on where it begins by then. */
        if (recent_take(recent, after, UINT64_MAX, &taken, 1) == 1) {
            assert_true(is_change(taken, after + 1));
            recent_change_release(taken);
        }
        after = follow(recent, after + 1, UINT64_MAX);
    }
    return NULL;
}

static void readers_and_the_writer_do_not_disturb_each_other(void **state)
{
    struct recent *recent = recent_create(20000);
    pthread_t readers[3];

    (void) state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_all, recent), 0);
    }
    append(recent, 1, MANY);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    }
    recent_destroy(recent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_come_back_in_order),
        cmocka_unit_test(what_is_older_than_all_is_not_here),
        cmocka_unit_test(none_is_newer_than_asked_for),
        cmocka_unit_test(the_oldest_go_when_bytes_run_out),
        cmocka_unit_test(one_larger_than_all_the_room_is_kept_alone),
        cmocka_unit_test(a_gap_forgets_what_was_before_it),
        cmocka_unit_test(what_was_taken_outlives_the_ring),
        cmocka_unit_test(a_trim_forgets_up_to_its_revision),
        cmocka_unit_test(readers_and_the_writer_do_not_disturb_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
