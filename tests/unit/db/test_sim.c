/*
 * The simulator's faults: each happens when told, and what it answered is the
 * truth about its disk. (That it keeps the seam's promises without faults is
 * test_conformance.c's.)
 */
#include "base/clock.h"
#include "support/backend_sim.h"
#include "support/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ALWAYS 1000

struct fixture {
    struct backend_sim_disk *disk;
    struct backend *backend;
    struct group group;
    struct mx_error err;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->disk = backend_sim_disk_create();
    fixture->backend = backend_sim_open(fixture->disk, 42);
    group_init(&fixture->group);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    group_fini(&fixture->group);
    fixture->backend->ops->close(fixture->backend);
    backend_sim_disk_destroy(fixture->disk);
    free(fixture);
    return 0;
}

#define assert_result(result, expected)                                                            \
    assert_string_equal(backend_result_name(result), backend_result_name(expected))

/* One request "id" behind the head. */
static enum backend_result try_commit(struct fixture *fixture, const char *id)
{
    struct position head = history_head(fixture->backend);
    struct position after;
    size_t index;

    group_fini(&fixture->group);
    group_init(&fixture->group);
    group_request(&fixture->group, id);
    group_put_text(&fixture->group, id, "v");
    return group_commit_after(&fixture->group, fixture->backend, &head, &after, &index);
}

static bool is_known(struct fixture *fixture, const char *id)
{
    struct backend_found found = { 0 };
    enum backend_result result = fixture->backend->ops->find(fixture->backend, (const uint8_t *) id,
                                                             strlen(id), &found, &fixture->err);

    free(found.answer);
    return result == BACKEND_OK;
}

static void set_faults(struct fixture *fixture, struct backend_sim_faults faults)
{
    backend_sim_set_faults(fixture->backend, &faults);
}

static bool count_change(void *context, const struct position *position, const uint8_t *change,
                         size_t change_len, int64_t time_us)
{
    (void) position;
    (void) change;
    (void) change_len;
    (void) time_us;
    ++*(size_t *) context;
    return true;
}

static enum backend_result tail(struct fixture *fixture, uint64_t after, size_t *count_out)
{
    struct position position = { .revision = after };
    uint64_t floor;

    *count_out = 0;
    return fixture->backend->ops->tail(fixture->backend, &position, SIZE_MAX, count_change,
                                       count_out, &floor, &fixture->err);
}

/* ------------------------------------------------------------------- sentences */

static void certain_refusals_apply_nothing(void **state)
{
    static const struct {
        struct backend_sim_faults faults;
        enum backend_result result;
    } cases[] = {
        { { .unavailable = ALWAYS }, BACKEND_UNAVAILABLE },
        { { .too_big = ALWAYS }, BACKEND_TOO_BIG },
        { { .read_only = ALWAYS }, BACKEND_READ_ONLY },
        { { .failed = ALWAYS }, BACKEND_FAILED },
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_faults(fixture, cases[i].faults);
        assert_result(try_commit(fixture, "a"), cases[i].result);
        assert_false(is_known(fixture, "a"));
        assert_int_equal(history_head(fixture->backend).revision, 0);
    }
    backend_sim_set_faults(fixture->backend, NULL);
    assert_result(try_commit(fixture, "a"), BACKEND_OK);
}

static void unknown_may_be_applied_or_not_and_reopen_tells(void **state)
{
    struct fixture *fixture = *state;
    struct position head;

    set_faults(fixture, (struct backend_sim_faults){ .unknown_not_applied = ALWAYS });
    assert_result(try_commit(fixture, "a"), BACKEND_UNKNOWN);
    assert_result(fixture->backend->ops->barrier(fixture->backend, &head, &fixture->err),
                  BACKEND_UNAVAILABLE);
    assert_false(is_known(fixture, "a"));
    assert_result(fixture->backend->ops->reopen(fixture->backend, &fixture->err), BACKEND_OK);
    assert_false(is_known(fixture, "a"));
    set_faults(fixture, (struct backend_sim_faults){ .unknown_applied = ALWAYS });
    assert_result(try_commit(fixture, "a"), BACKEND_UNKNOWN);
    assert_false(is_known(fixture, "a"));
    assert_result(fixture->backend->ops->reopen(fixture->backend, &fixture->err), BACKEND_OK);
    assert_true(is_known(fixture, "a"));
    assert_int_equal(history_head(fixture->backend).revision, 1);
}

static void a_conflict_is_another_instances_change(void **state)
{
    struct fixture *fixture = *state;
    struct backend_limits limits;
    size_t count;

    set_faults(fixture, (struct backend_sim_faults){ .conflict = ALWAYS });
    fixture->backend->ops->limits(fixture->backend, &limits);
    assert_true(limits.shared);
    assert_result(try_commit(fixture, "a"), BACKEND_CONFLICT);
    assert_false(is_known(fixture, "a"));
    assert_result(tail(fixture, 0, &count), BACKEND_OK);
    assert_int_equal(count, 1);
}

static void rival_appends(void *context, struct backend_sim_disk *disk)
{
    struct group *group = context;

    group_request(group, "rival");
    group_put_text(group, "rival", "was first");
    backend_sim_append(disk, group_pack(group));
}

static void a_rival_appends_what_the_test_says(void **state)
{
    struct fixture *fixture = *state;
    struct group rival;

    group_init(&rival);
    backend_sim_set_rival(fixture->backend, rival_appends, &rival);
    set_faults(fixture, (struct backend_sim_faults){ .conflict = ALWAYS });
    assert_result(try_commit(fixture, "a"), BACKEND_CONFLICT);
    assert_true(is_known(fixture, "rival"));
    assert_int_equal(history_head(fixture->backend).revision, 1);
    group_fini(&rival);
}

static void a_replay_is_the_same_request_done_by_another_instance(void **state)
{
    struct fixture *fixture = *state;

    set_faults(fixture, (struct backend_sim_faults){ .replay = ALWAYS });
    assert_result(try_commit(fixture, "a"), BACKEND_REPLAY);
    assert_true(is_known(fixture, "a"));
    assert_int_equal(history_head(fixture->backend).revision, 1);
}

static void a_tail_may_be_compacted_under_the_reader(void **state)
{
    struct fixture *fixture = *state;
    size_t count;

    for (int i = 0; i < 4; i++) {
        (void) history_put(fixture->backend, NULL, "k", "v");
    }
    set_faults(fixture, (struct backend_sim_faults){ .tail_compacted = ALWAYS });
    assert_result(tail(fixture, 1, &count), BACKEND_COMPACTED);
    backend_sim_set_faults(fixture->backend, NULL);
    assert_result(tail(fixture, 2, &count), BACKEND_OK);
    assert_int_equal(count, 2);
}

static void a_late_tail_gives_a_prefix_and_in_the_end_all(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seen = 0;
    size_t short_of = 0;

    for (int i = 0; i < 20; i++) {
        (void) history_put(fixture->backend, NULL, "k", "v");
    }
    set_faults(fixture, (struct backend_sim_faults){ .tail_late = 500 });
    while (seen < 20) {
        size_t count;
        assert_result(tail(fixture, seen, &count), BACKEND_OK);
        seen += count;
        short_of += seen < 20 ? 1 : 0;
    }
    assert_int_equal(seen, 20);
    assert_true(short_of > 0);
}

static void reading_verbs_may_be_unavailable(void **state)
{
    struct fixture *fixture = *state;
    struct position head;

    (void) history_put(fixture->backend, "a", "k", "v");
    set_faults(fixture, (struct backend_sim_faults){ .find_unavailable = ALWAYS,
                                                     .barrier_unavailable = ALWAYS,
                                                     .load_unavailable = ALWAYS,
                                                     .reopen_unavailable = ALWAYS });
    assert_false(is_known(fixture, "a"));
    assert_result(fixture->backend->ops->barrier(fixture->backend, &head, &fixture->err),
                  BACKEND_UNAVAILABLE);
    assert_result(fixture->backend->ops->load(fixture->backend, NULL, NULL, &head, &fixture->err),
                  BACKEND_UNAVAILABLE);
    assert_result(fixture->backend->ops->reopen(fixture->backend, &fixture->err),
                  BACKEND_UNAVAILABLE);
}

static void wait_may_come_early_or_never(void **state)
{
    struct fixture *fixture = *state;
    const struct backend_ops *ops = fixture->backend->ops;

    set_faults(fixture, (struct backend_sim_faults){ .wait_early = ALWAYS });
    assert_true(ops->wait(fixture->backend, 0, INT64_MAX));
    (void) history_put(fixture->backend, NULL, "k", "v");
    set_faults(fixture, (struct backend_sim_faults){ .wait_never = ALWAYS });
    assert_false(ops->wait(fixture->backend, 0, clock_mono_ms() + 10));
}

static void a_damaged_change_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    size_t count;

    for (int i = 0; i < 4; i++) {
        (void) history_put(fixture->backend, NULL, "k", "v");
    }
    backend_sim_disk_damage(fixture->disk, 3);
    assert_result(tail(fixture, 0, &count), BACKEND_CORRUPT);
    assert_int_equal(count, 2);
}

/* The answers of 200 commits with every fault, as letters. */
static void run_with_seed(uint64_t seed, char *letters_out)
{
    struct fixture fixture = { .disk = backend_sim_disk_create() };

    fixture.backend = backend_sim_open(fixture.disk, seed);
    group_init(&fixture.group);
    set_faults(&fixture, (struct backend_sim_faults){ .unavailable = 50,
                                                      .conflict = 50,
                                                      .replay = 50,
                                                      .too_big = 50,
                                                      .read_only = 50,
                                                      .failed = 50,
                                                      .unknown_not_applied = 50,
                                                      .unknown_applied = 50 });
    for (int i = 0; i < 200; i++) {
        char id[16];
        enum backend_result result;

        (void) snprintf(id, sizeof(id), "%d", i);
        result = try_commit(&fixture, id);
        letters_out[i] = (char) ('A' + (int) result);
        if (result == BACKEND_UNKNOWN) {
            assert_result(fixture.backend->ops->reopen(fixture.backend, &fixture.err), BACKEND_OK);
        }
    }
    group_fini(&fixture.group);
    fixture.backend->ops->close(fixture.backend);
    backend_sim_disk_destroy(fixture.disk);
}

static void the_same_seed_gives_the_same_run(void **state)
{
    char first[201] = "";
    char again[201] = "";
    char other[201] = "";

    (void) state;
    run_with_seed(7, first);
    run_with_seed(7, again);
    run_with_seed(8, other);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    for (enum backend_result result = BACKEND_OK; result <= BACKEND_FAILED; result++) {
        assert_non_null(strchr(first, 'A' + (int) result));
    }
    assert_non_null(strchr(first, 'A' + (int) BACKEND_UNKNOWN));
}

#define SENTENCE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest sentences[] = {
        SENTENCE(certain_refusals_apply_nothing),
        SENTENCE(unknown_may_be_applied_or_not_and_reopen_tells),
        SENTENCE(a_conflict_is_another_instances_change),
        SENTENCE(a_rival_appends_what_the_test_says),
        SENTENCE(a_replay_is_the_same_request_done_by_another_instance),
        SENTENCE(a_tail_may_be_compacted_under_the_reader),
        SENTENCE(a_late_tail_gives_a_prefix_and_in_the_end_all),
        SENTENCE(reading_verbs_may_be_unavailable),
        SENTENCE(wait_may_come_early_or_never),
        SENTENCE(a_damaged_change_is_corrupt),
        SENTENCE(the_same_seed_gives_the_same_run),
    };

    return cmocka_run_group_tests_name("sim", sentences, NULL, NULL);
}
