/*
 * What store/backend.h promises, held against each backend: the same sentences
 * for SQLite and for the simulator.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "db/backend_sqlite.h"
#include "store/change.h"
#include "support/backend_sim.h"
#include "support/history.h"
#include "support/scratch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEBIBYTE ((size_t) 1024 * 1024)

/* So that what is never woken fails instead of hanging. */
#define WAIT_AT_MOST_MS 30000

/* ---------------------------------------------------------------- the backends */

struct ground {
    struct scratch scratch;
    struct backend_sim_disk *disk;
};

struct engine {
    const char *name;
    void (*init)(struct ground *ground);
    struct backend *(*open)(struct ground *ground);
    void (*fini)(struct ground *ground);
};

static void sqlite_init(struct ground *ground)
{
    scratch_init(&ground->scratch);
}

static struct backend *sqlite_open_backend(struct ground *ground)
{
    struct backend *backend = NULL;
    struct mx_error err = { .message = "" };

    if (backend_sqlite_open(scratch_path(&ground->scratch, "store.db"), &backend, &err) != MX_OK) {
        print_error("%s\n", err.message);
    }
    assert_non_null(backend);
    return backend;
}

static void sqlite_fini(struct ground *ground)
{
    scratch_fini(&ground->scratch);
}

static void sim_init(struct ground *ground)
{
    ground->disk = backend_sim_disk_create();
}

static struct backend *sim_open(struct ground *ground)
{
    return backend_sim_open(ground->disk, 1);
}

static void sim_fini(struct ground *ground)
{
    backend_sim_disk_destroy(ground->disk);
}

static const struct engine engines[] = {
    { "sqlite", sqlite_init, sqlite_open_backend, sqlite_fini },
    { "sim", sim_init, sim_open, sim_fini },
};

/* --------------------------------------------------------------------- fixture */

static const struct engine *engine; /* whose turn it is */

struct fixture {
    struct ground ground;
    struct backend *backend;
    struct group group;
    struct mx_error err;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    engine->init(&fixture->ground);
    fixture->backend = engine->open(&fixture->ground);
    group_init(&fixture->group);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    group_fini(&fixture->group);
    fixture->backend->ops->close(fixture->backend);
    engine->fini(&fixture->ground);
    free(fixture);
    return 0;
}

static void close_and_open(struct fixture *fixture)
{
    fixture->backend->ops->close(fixture->backend);
    fixture->backend = engine->open(&fixture->ground);
}

/* ---------------------------------------------------------------- what is seen */

#define assert_result(result, expected)                                                            \
    assert_string_equal(backend_result_name(result), backend_result_name(expected))

static void assert_position(const struct position *a, const struct position *b)
{
    assert_int_equal(a->revision, b->revision);
    assert_memory_equal(a->chain, b->chain, DIGEST_SIZE);
}

struct image {
    struct buffer text; /* "key=value;" for each record; big values by length */
    size_t count;
    size_t stop_after;
};

static bool image_record(void *context, const uint8_t *key, size_t key_len, const uint8_t *value,
                         size_t value_len)
{
    struct image *image = context;

    buffer_put(&image->text, key, key_len);
    buffer_put_u8(&image->text, '=');
    buffer_put(&image->text, value, value_len);
    buffer_put_u8(&image->text, ';');
    image->count++;
    return image->stop_after == 0 || image->count < image->stop_after;
}

static struct position load_image(struct fixture *fixture, struct image *image)
{
    struct backend *backend = fixture->backend;
    struct position position;

    assert_result(backend->ops->load(backend, image_record, image, &position, &fixture->err),
                  BACKEND_OK);
    return position;
}

static void assert_image_bytes(struct fixture *fixture, const void *expected, size_t len)
{
    struct image image = { .count = 0 };
    struct position position = load_image(fixture, &image);
    struct position head = history_head(fixture->backend);

    assert_position(&position, &head);
    assert_int_equal(image.text.len, len);
    if (len > 0) {
        assert_memory_equal(image.text.data, expected, len);
    }
    buffer_fini(&image.text);
}

static void assert_image(struct fixture *fixture, const char *expected)
{
    assert_image_bytes(fixture, expected, strlen(expected));
}

/* Collects a tail, and checks that each position follows from the one before. */
struct seen {
    struct position cursor;
    size_t count;
    size_t stop_after;
    int64_t last_time_us;
};

static bool see_change(void *context, const struct position *position, const uint8_t *change,
                       size_t change_len, int64_t time_us)
{
    struct seen *seen = context;
    struct position next = position_next(&seen->cursor, change, change_len);
    struct change_reader reader;

    assert_position(position, &next);
    assert_true(change_open(&reader, change, change_len));
    seen->cursor = next;
    seen->last_time_us = time_us;
    seen->count++;
    return seen->stop_after == 0 || seen->count < seen->stop_after;
}

static enum backend_result tail(struct fixture *fixture, struct seen *seen, size_t limit,
                                uint64_t *floor_out)
{
    struct position after = seen->cursor;

    return fixture->backend->ops->tail(fixture->backend, &after, limit, see_change, seen, floor_out,
                                       &fixture->err);
}

static void assert_tail(struct fixture *fixture, const struct position *after, size_t expected)
{
    struct seen seen = { .cursor = *after };
    struct position head = history_head(fixture->backend);
    uint64_t floor = 0;

    assert_result(tail(fixture, &seen, SIZE_MAX, &floor), BACKEND_OK);
    assert_int_equal(seen.count, expected);
    assert_position(&seen.cursor, &head);
}

static enum backend_result find(struct fixture *fixture, const char *id,
                                struct backend_found *found_out)
{
    return fixture->backend->ops->find(fixture->backend, (const uint8_t *) id, strlen(id),
                                       found_out, &fixture->err);
}

static void assert_found(struct fixture *fixture, const char *id, uint64_t revision)
{
    struct backend_found found = { 0 };
    uint8_t expected[DIGEST_SIZE];
    char answer[300];

    assert_result(find(fixture, id, &found), BACKEND_OK);
    digest(id, strlen(id), expected);
    (void) snprintf(answer, sizeof(answer), "answer to %s", id);
    assert_int_equal(found.revision, revision);
    assert_memory_equal(found.digest, expected, DIGEST_SIZE);
    assert_int_equal(found.answer_len, strlen(answer));
    assert_memory_equal(found.answer, answer, found.answer_len);
    free(found.answer);
}

static void assert_absent(struct fixture *fixture, const char *id)
{
    struct backend_found found;

    assert_result(find(fixture, id, &found), BACKEND_ABSENT);
}

static void trim_all(struct fixture *fixture, uint64_t below_revision, int64_t ids_before_us)
{
    struct backend *backend = fixture->backend;
    bool more = true;

    while (more) {
        assert_result(
            backend->ops->trim(backend, below_revision, ids_before_us, 1000, &more, &fixture->err),
            BACKEND_OK);
    }
}

/* `count` changes, a commit each, of one key. */
static void write_changes(struct fixture *fixture, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void) history_put(fixture->backend, NULL, "k", "v");
    }
}

/* `count` changes in one commit. */
static void write_changes_at_once(struct fixture *fixture, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        group_request(&fixture->group, NULL);
        group_put_text(&fixture->group, "k", "v");
    }
    (void) group_commit(&fixture->group, fixture->backend);
}

/* ------------------------------------------------------------------- sentences */

static void a_fresh_backend_is_empty_at_the_zero_position(void **state)
{
    struct fixture *fixture = *state;
    struct position zero = { 0 };
    struct position head = history_head(fixture->backend);

    assert_position(&head, &zero);
    assert_image(fixture, "");
    assert_tail(fixture, &zero, 0);
}

static void each_position_chains_to_the_one_before(void **state)
{
    struct fixture *fixture = *state;
    struct position expected = { 0 };
    const struct backend_request *requests;
    struct position position;

    group_request(&fixture->group, "one");
    group_put_text(&fixture->group, "a", "1");
    group_request(&fixture->group, "two");
    group_put_text(&fixture->group, "b", "2");
    requests = group_pack(&fixture->group);
    expected = position_next(&expected, requests[0].change, requests[0].change_len);
    expected = position_next(&expected, requests[1].change, requests[1].change_len);
    position = group_commit(&fixture->group, fixture->backend);
    assert_position(&position, &expected);
    position = history_head(fixture->backend);
    assert_position(&position, &expected);
}

static void load_returns_what_the_edits_left(void **state)
{
    struct fixture *fixture = *state;

    group_request(&fixture->group, NULL);
    group_put_text(&fixture->group, "b", "old");
    group_put_text(&fixture->group, "c", "gone");
    group_put_text(&fixture->group, "d", "4");
    (void) group_commit(&fixture->group, fixture->backend);
    group_request(&fixture->group, NULL);
    group_put_text(&fixture->group, "a", "1");
    group_put_text(&fixture->group, "b", "2");
    group_request(&fixture->group, NULL);
    group_delete(&fixture->group, "c", 1);
    group_delete(&fixture->group, "never there", 11);
    (void) group_commit(&fixture->group, fixture->backend);
    assert_image(fixture, "a=1;b=2;d=4;");
}

static void a_load_stops_when_told(void **state)
{
    struct fixture *fixture = *state;
    struct image image = { .stop_after = 2 };

    group_request(&fixture->group, NULL);
    group_put_text(&fixture->group, "a", "1");
    group_put_text(&fixture->group, "b", "2");
    group_put_text(&fixture->group, "c", "3");
    (void) group_commit(&fixture->group, fixture->backend);
    (void) load_image(fixture, &image);
    assert_int_equal(image.count, 2);
    buffer_fini(&image.text);
    (void) history_put(fixture->backend, NULL, "d", "4");
    assert_image(fixture, "a=1;b=2;c=3;d=4;");
}

static void keys_and_values_may_hold_any_byte(void **state)
{
    static const char expected[] = "\0=zero;\0\0=\0;a=;a\0=;a\xff=\xff;\xff=1;\xff\xff=2;";
    struct fixture *fixture = *state;

    group_request(&fixture->group, NULL);
    group_put(&fixture->group, "\xff\xff", 2, "2", 1);
    group_put(&fixture->group, "\xff", 1, "1", 1);
    group_put(&fixture->group, "a\xff", 2, "\xff", 1);
    group_put(&fixture->group, "a\0", 2, "", 0);
    group_put(&fixture->group, "a", 1, "", 0);
    group_put(&fixture->group, "\0\0", 2, "\0", 1);
    group_put(&fixture->group, "\0", 1, "zero", 4);
    (void) group_commit(&fixture->group, fixture->backend);
    assert_image_bytes(fixture, expected, sizeof(expected) - 1);
    close_and_open(fixture);
    assert_image_bytes(fixture, expected, sizeof(expected) - 1);
}

static void a_value_of_a_mebibyte_survives(void **state)
{
    struct fixture *fixture = *state;
    struct position zero = { 0 };
    char *value = malloc(MEBIBYTE);
    struct image image = { .count = 0 };

    for (size_t i = 0; i < MEBIBYTE; i++) {
        value[i] = (char) (i * 7 + i / 251);
    }
    group_request(&fixture->group, "big");
    group_put(&fixture->group, "big", 3, value, MEBIBYTE);
    (void) group_commit(&fixture->group, fixture->backend);
    close_and_open(fixture);
    (void) load_image(fixture, &image);
    assert_int_equal(image.text.len, MEBIBYTE + 5);
    assert_memory_equal(image.text.data + 4, value, MEBIBYTE);
    assert_tail(fixture, &zero, 1);
    buffer_fini(&image.text);
    free(value);
}

static void a_tail_is_contiguous_and_chained_from_any_position(void **state)
{
    struct fixture *fixture = *state;
    struct position positions[11] = { 0 };

    for (size_t i = 1; i <= 10; i++) {
        positions[i] = history_put(fixture->backend, NULL, "k", "v");
    }
    for (size_t i = 0; i <= 10; i++) {
        assert_tail(fixture, &positions[i], 10 - i);
    }
}

static void a_tail_longer_than_a_step_is_whole(void **state)
{
    struct fixture *fixture = *state;
    struct position zero = { 0 };

    write_changes_at_once(fixture, 1000);
    assert_tail(fixture, &zero, 1000);
}

static void a_tail_hands_out_the_time_of_each_change(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = { .count = 0 };
    uint64_t floor;

    group_request(&fixture->group, NULL);
    group_put_text(&fixture->group, "k", "v");
    group_last(&fixture->group)->time_us = -1234567;
    (void) group_commit(&fixture->group, fixture->backend);
    assert_result(tail(fixture, &seen, SIZE_MAX, &floor), BACKEND_OK);
    assert_int_equal(seen.last_time_us, -1234567);
}

static void a_tail_stops_at_its_limit_and_when_told(void **state)
{
    struct fixture *fixture = *state;
    struct seen limited = { .count = 0 };
    struct seen told = { .stop_after = 2 };
    uint64_t floor;

    write_changes(fixture, 5);
    assert_result(tail(fixture, &limited, 3, &floor), BACKEND_OK);
    assert_int_equal(limited.count, 3);
    assert_result(tail(fixture, &told, SIZE_MAX, &floor), BACKEND_OK);
    assert_int_equal(told.count, 2);
    assert_result(tail(fixture, &limited, 0, &floor), BACKEND_OK);
    assert_int_equal(limited.count, 3);
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

static void a_tail_without_a_chain_goes_by_revision(void **state)
{
    struct fixture *fixture = *state;
    struct position after = { .revision = 3 };
    size_t count = 0;
    uint64_t floor;

    write_changes(fixture, 5);
    assert_result(fixture->backend->ops->tail(fixture->backend, &after, SIZE_MAX, count_change,
                                              &count, &floor, &fixture->err),
                  BACKEND_OK);
    assert_int_equal(count, 2);
}

static void a_position_of_another_history_has_diverged(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = { .count = 0 };
    struct position position;
    uint64_t floor;

    (void) history_put(fixture->backend, NULL, "k", "1");
    position = history_put(fixture->backend, NULL, "k", "2");
    write_changes(fixture, 1);
    seen.cursor = position;
    seen.cursor.chain[31] ^= 1;
    assert_result(tail(fixture, &seen, SIZE_MAX, &floor), BACKEND_DIVERGED);
    seen.cursor = position;
    seen.cursor.revision = 4;
    assert_result(tail(fixture, &seen, SIZE_MAX, &floor), BACKEND_DIVERGED);
    assert_int_equal(seen.count, 0);
}

static void trimmed_history_is_compacted_and_names_its_floor(void **state)
{
    struct fixture *fixture = *state;
    struct position positions[11] = { 0 };
    struct seen seen = { .count = 0 };
    uint64_t floor = 0;

    for (size_t i = 1; i <= 10; i++) {
        positions[i] = history_put(fixture->backend, NULL, "k", "v");
    }
    trim_all(fixture, 7, 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 6; i++) {
            seen.cursor = positions[i];
            floor = 0;
            assert_result(tail(fixture, &seen, SIZE_MAX, &floor), BACKEND_COMPACTED);
            assert_int_equal(floor, 6);
        }
        assert_tail(fixture, &positions[6], 4);
        seen.cursor = positions[6];
        seen.cursor.chain[0] ^= 1;
        assert_result(tail(fixture, &seen, SIZE_MAX, &floor), BACKEND_DIVERGED);
        close_and_open(fixture);
    }
    assert_image(fixture, "k=v;");
}

static void history_trimmed_to_the_head_goes_on_from_there(void **state)
{
    struct fixture *fixture = *state;
    struct position head;
    struct position found;

    write_changes(fixture, 3);
    head = history_head(fixture->backend);
    trim_all(fixture, 1000, 0);
    close_and_open(fixture);
    found = history_head(fixture->backend);
    assert_position(&found, &head);
    assert_tail(fixture, &head, 0);
    write_changes(fixture, 2);
    assert_tail(fixture, &head, 2);
}

static void trim_goes_in_steps_and_says_when_it_is_done(void **state)
{
    struct fixture *fixture = *state;
    struct backend *backend = fixture->backend;
    struct seen seen = { .count = 0 };
    uint64_t floor = 0;
    bool more = false;

    write_changes(fixture, 10);
    assert_result(backend->ops->trim(backend, 9, 0, 5, &more, &fixture->err), BACKEND_OK);
    assert_true(more);
    assert_result(tail(fixture, &seen, SIZE_MAX, &floor), BACKEND_COMPACTED);
    assert_int_equal(floor, 5);
    assert_result(backend->ops->trim(backend, 9, 0, 5, &more, &fixture->err), BACKEND_OK);
    assert_false(more);
    assert_result(tail(fixture, &seen, SIZE_MAX, &floor), BACKEND_COMPACTED);
    assert_int_equal(floor, 8);
}

static void a_commit_that_expects_another_head_applies_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct position stale = history_head(fixture->backend);
    struct position head = history_put(fixture->backend, NULL, "a", "1");
    struct position forked = head;
    struct position out;

    forked.chain[0] ^= 1;
    group_request(&fixture->group, "late");
    group_put_text(&fixture->group, "b", "2");
    assert_result(group_commit_after(&fixture->group, fixture->backend, &stale, &out, NULL),
                  BACKEND_CONFLICT);
    assert_result(group_commit_after(&fixture->group, fixture->backend, &forked, &out, NULL),
                  BACKEND_CONFLICT);
    assert_image(fixture, "a=1;");
    assert_tail(fixture, &head, 0);
    assert_absent(fixture, "late");
    assert_result(group_commit_after(&fixture->group, fixture->backend, &head, &out, NULL),
                  BACKEND_OK);
    assert_image(fixture, "a=1;b=2;");
}

static void a_known_id_applies_nothing_and_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct position head = history_put(fixture->backend, "known", "a", "1");
    struct position out;
    size_t index = 99;

    group_request(&fixture->group, "new one");
    group_put_text(&fixture->group, "b", "2");
    group_request(&fixture->group, NULL);
    group_put_text(&fixture->group, "c", "3");
    group_request(&fixture->group, "known");
    group_put_text(&fixture->group, "a", "2");
    group_request(&fixture->group, "known");
    group_put_text(&fixture->group, "a", "3");
    assert_result(group_commit_after(&fixture->group, fixture->backend, &head, &out, &index),
                  BACKEND_REPLAY);
    assert_int_equal(index, 2);
    assert_image(fixture, "a=1;");
    assert_tail(fixture, &head, 0);
    assert_absent(fixture, "new one");
    assert_found(fixture, "known", 1);
}

static void an_id_twice_in_one_commit_is_a_replay_of_the_later(void **state)
{
    struct fixture *fixture = *state;
    struct position head = history_head(fixture->backend);
    struct position out;
    size_t index = 99;

    group_request(&fixture->group, "twin");
    group_put_text(&fixture->group, "a", "1");
    group_request(&fixture->group, "twin");
    group_put_text(&fixture->group, "a", "2");
    assert_result(group_commit_after(&fixture->group, fixture->backend, &head, &out, &index),
                  BACKEND_REPLAY);
    assert_int_equal(index, 1);
    assert_image(fixture, "");
    assert_absent(fixture, "twin");
}

static void find_gives_revision_digest_and_answer(void **state)
{
    struct fixture *fixture = *state;

    (void) history_put(fixture->backend, "first", "a", "1");
    group_request(&fixture->group, "second");
    group_put_text(&fixture->group, "b", "2");
    group_request(&fixture->group, "third");
    group_put_text(&fixture->group, "c", "3");
    (void) group_commit(&fixture->group, fixture->backend);
    for (int round = 0; round < 2; round++) {
        assert_found(fixture, "first", 1);
        assert_found(fixture, "second", 2);
        assert_found(fixture, "third", 3);
        assert_absent(fixture, "fourth");
        assert_absent(fixture, "firs");
        close_and_open(fixture);
    }
}

static void an_empty_answer_is_found_empty(void **state)
{
    struct fixture *fixture = *state;
    struct backend_found found = { 0 };

    group_request(&fixture->group, "quiet");
    group_put_text(&fixture->group, "a", "1");
    group_last(&fixture->group)->answer = NULL;
    group_last(&fixture->group)->answer_len = 0;
    (void) group_commit(&fixture->group, fixture->backend);
    assert_result(find(fixture, "quiet", &found), BACKEND_OK);
    assert_int_equal(found.answer_len, 0);
    free(found.answer);
}

static void a_request_without_change_makes_no_revision_but_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct position before = history_put(fixture->backend, NULL, "a", "1");
    struct position after;
    size_t index = 99;

    group_request(&fixture->group, "idle");
    after = group_commit(&fixture->group, fixture->backend);
    assert_position(&after, &before);
    assert_tail(fixture, &before, 0);
    assert_found(fixture, "idle", 1);
    group_request(&fixture->group, "idle");
    assert_result(group_commit_after(&fixture->group, fixture->backend, &before, &after, &index),
                  BACKEND_REPLAY);
    assert_int_equal(index, 0);
}

static void a_commit_of_nothing_is_fine(void **state)
{
    struct fixture *fixture = *state;
    struct position before = history_put(fixture->backend, NULL, "a", "1");
    struct position after = group_commit(&fixture->group, fixture->backend);

    assert_position(&after, &before);
}

static void a_request_without_an_id_is_not_remembered(void **state)
{
    struct fixture *fixture = *state;

    (void) history_put(fixture->backend, NULL, "a", "1");
    (void) history_put(fixture->backend, "", "a", "2");
    (void) history_put(fixture->backend, "", "a", "3");
    assert_image(fixture, "a=3;");
    assert_absent(fixture, "");
}

static void ids_are_forgotten_by_time_whatever_their_order(void **state)
{
    static const struct {
        const char *id;
        int64_t time_us;
    } requests[] = { { "noon", 1200 }, { "dawn", 600 }, { "night", 2300 }, { "morning", 900 } };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 4; i++) {
        group_request(&fixture->group, requests[i].id);
        group_put_text(&fixture->group, "k", requests[i].id);
        group_last(&fixture->group)->time_us = requests[i].time_us;
        (void) group_commit(&fixture->group, fixture->backend);
    }
    trim_all(fixture, 0, 1200);
    assert_absent(fixture, "dawn");
    assert_absent(fixture, "morning");
    assert_found(fixture, "noon", 1);
    assert_found(fixture, "night", 3);
    (void) history_put(fixture->backend, "dawn", "k", "again");
    assert_found(fixture, "dawn", 5);
    assert_tail(fixture, &(struct position){ 0 }, 5);
}

static void ids_are_forgotten_in_steps(void **state)
{
    struct fixture *fixture = *state;
    struct backend *backend = fixture->backend;
    char id[16];
    size_t steps = 0;
    bool more = true;

    for (int i = 0; i < 100; i++) {
        (void) snprintf(id, sizeof(id), "id %d", i);
        group_request(&fixture->group, id);
    }
    (void) group_commit(&fixture->group, backend);
    while (more) {
        assert_result(backend->ops->trim(backend, 0, 1000, 30, &more, &fixture->err), BACKEND_OK);
        steps++;
    }
    assert_int_equal(steps, 4);
    assert_absent(fixture, "id 0");
    assert_absent(fixture, "id 99");
}

static void everything_survives_close_and_open(void **state)
{
    struct fixture *fixture = *state;
    struct position zero = { 0 };
    struct position head;
    struct position found;

    (void) history_put(fixture->backend, "one", "a", "1");
    head = history_put(fixture->backend, "two", "b", "2");
    close_and_open(fixture);
    found = history_head(fixture->backend);
    assert_position(&found, &head);
    assert_image(fixture, "a=1;b=2;");
    assert_tail(fixture, &zero, 2);
    assert_found(fixture, "two", 2);
    (void) history_put(fixture->backend, "three", "c", "3");
    assert_tail(fixture, &zero, 3);
}

static void reopen_changes_nothing_that_was_acknowledged(void **state)
{
    struct fixture *fixture = *state;
    struct position head = history_put(fixture->backend, "one", "a", "1");
    struct position found;

    assert_result(fixture->backend->ops->reopen(fixture->backend, &fixture->err), BACKEND_OK);
    found = history_head(fixture->backend);
    assert_position(&found, &head);
    assert_image(fixture, "a=1;");
    assert_found(fixture, "one", 1);
    (void) history_put(fixture->backend, "two", "b", "2");
    assert_image(fixture, "a=1;b=2;");
}

static void a_commit_of_a_thousand_requests_is_applied_as_one(void **state)
{
    struct fixture *fixture = *state;
    struct position zero = { 0 };
    char name[32];

    for (int i = 0; i < 1000; i++) {
        (void) snprintf(name, sizeof(name), "request %d", i);
        group_request(&fixture->group, name);
        group_put_text(&fixture->group, name, "v");
    }
    (void) group_commit(&fixture->group, fixture->backend);
    assert_tail(fixture, &zero, 1000);
    assert_found(fixture, "request 0", 1);
    assert_found(fixture, "request 999", 1000);
}

static void a_commit_beyond_the_limits_is_refused_whole(void **state)
{
    struct fixture *fixture = *state;
    struct backend *backend = fixture->backend;
    struct position head = history_head(backend);
    struct position out;
    struct backend_limits limits;
    char *value = calloc(1, 8 * MEBIBYTE);

    backend->ops->limits(backend, &limits);
    assert_true(limits.commit_requests_max >= 1000);
    for (size_t i = 0; i <= limits.commit_requests_max; i++) {
        group_request(&fixture->group, NULL);
        group_put_text(&fixture->group, "k", "v");
    }
    assert_result(group_commit_after(&fixture->group, backend, &head, &out, NULL), BACKEND_TOO_BIG);
    fixture->group.count = 0;
    for (size_t size = 0; size <= limits.commit_bytes_max; size += 8 * MEBIBYTE) {
        group_request(&fixture->group, "heavy");
        group_put(&fixture->group, "k", 1, value, 8 * MEBIBYTE);
    }
    assert_result(group_commit_after(&fixture->group, backend, &head, &out, NULL), BACKEND_TOO_BIG);
    assert_image(fixture, "");
    assert_absent(fixture, "heavy");
    free(value);
}

static void a_request_alone_in_its_commit_may_be_larger(void **state)
{
    struct fixture *fixture = *state;
    struct backend *backend = fixture->backend;
    struct backend_limits limits;
    char *value = calloc(1, 8 * MEBIBYTE);
    char key[2] = "a";

    backend->ops->limits(backend, &limits);
    if (limits.alone_bytes_max > limits.commit_bytes_max) {
        group_request(&fixture->group, "large");
        for (size_t size = 0; size <= limits.commit_bytes_max; size += 8 * MEBIBYTE) {
            group_put(&fixture->group, key, 1, value, 8 * MEBIBYTE);
            key[0]++;
        }
        (void) group_commit(&fixture->group, backend);
        assert_found(fixture, "large", 1);
    }
    free(value);
}

static void an_id_too_long_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct position head = history_head(fixture->backend);
    struct position out;
    char id[BACKEND_REQUEST_ID_MAX + 2];

    memset(id, 'x', sizeof(id));
    id[BACKEND_REQUEST_ID_MAX + 1] = '\0';
    group_request(&fixture->group, id);
    group_put_text(&fixture->group, "k", "v");
    assert_result(group_commit_after(&fixture->group, fixture->backend, &head, &out, NULL),
                  BACKEND_FAILED);
    fixture->group.count = 0;
    id[BACKEND_REQUEST_ID_MAX] = '\0';
    group_request(&fixture->group, id);
    group_put_text(&fixture->group, "k", "v");
    (void) group_commit(&fixture->group, fixture->backend);
    assert_found(fixture, id, 1);
}

/* ------------------------------------------------------------------ concurrent */

static bool commit_during_tail(void *context, const struct position *position,
                               const uint8_t *change, size_t change_len, int64_t time_us)
{
    (void) position;
    (void) change;
    (void) change_len;
    (void) time_us;
    (void) history_put(context, NULL, "during", "tail");
    return false;
}

static void a_commit_goes_through_in_the_middle_of_a_tail(void **state)
{
    struct fixture *fixture = *state;
    struct position zero = { 0 };
    uint64_t floor;

    write_changes(fixture, 3);
    assert_result(fixture->backend->ops->tail(fixture->backend, &zero, SIZE_MAX, commit_during_tail,
                                              fixture->backend, &floor, &fixture->err),
                  BACKEND_OK);
    assert_int_equal(history_head(fixture->backend).revision, 4);
}

struct trimmer {
    struct fixture *fixture;
    size_t count;
};

static bool trim_during_tail(void *context, const struct position *position, const uint8_t *change,
                             size_t change_len, int64_t time_us)
{
    struct trimmer *trimmer = context;

    (void) position;
    (void) change;
    (void) change_len;
    (void) time_us;
    if (trimmer->count++ == 0) {
        trim_all(trimmer->fixture, 2000, 0);
    }
    return true;
}

static void a_trim_in_the_middle_of_a_tail_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct trimmer trimmer = { .fixture = fixture };
    struct position zero = { 0 };
    uint64_t floor = 0;

    write_changes_at_once(fixture, 2000);
    assert_result(fixture->backend->ops->tail(fixture->backend, &zero, SIZE_MAX, trim_during_tail,
                                              &trimmer, &floor, &fixture->err),
                  BACKEND_COMPACTED);
    assert_int_equal(floor, 1999);
    assert_in_range(trimmer.count, 1, 1999);
}

static void *commit_once(void *context)
{
    (void) history_put(context, NULL, "k", "v");
    return NULL;
}

static void wait_wakes_on_a_commit_of_another_thread(void **state)
{
    struct fixture *fixture = *state;
    struct backend *backend = fixture->backend;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, commit_once, backend), 0);
    assert_true(backend->ops->wait(backend, 0, clock_mono_ms() + WAIT_AT_MOST_MS));
    assert_int_equal(history_head(backend).revision, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void wait_returns_at_once_or_at_the_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct backend *backend = fixture->backend;

    write_changes(fixture, 2);
    assert_true(backend->ops->wait(backend, 1, clock_mono_ms() + WAIT_AT_MOST_MS));
    assert_false(backend->ops->wait(backend, 2, clock_mono_ms() + 10));
    assert_false(backend->ops->wait(backend, 2, -1));
}

/* Readers count what is wrong: only the test's own thread may assert. */
struct traffic {
    struct fixture *fixture;
    atomic_bool stop;
    atomic_uint_fast64_t acknowledged;
    atomic_uint wrong;
};

struct follower {
    struct traffic *traffic;
    struct position cursor;
};

static void expect(struct traffic *traffic, bool holds)
{
    if (!holds) {
        atomic_fetch_add(&traffic->wrong, 1);
        atomic_store(&traffic->stop, true);
    }
}

static bool follow_change(void *context, const struct position *position, const uint8_t *change,
                          size_t change_len, int64_t time_us)
{
    struct follower *follower = context;
    struct position next = position_next(&follower->cursor, change, change_len);

    (void) time_us;
    expect(follower->traffic, position_equal(position, &next));
    follower->cursor = next;
    return true;
}

static void *follow(void *context)
{
    struct follower follower = { .traffic = context };
    struct traffic *traffic = context;
    struct backend *backend = traffic->fixture->backend;
    struct mx_error err;

    while (!atomic_load(&traffic->stop)) {
        struct position after = follower.cursor;
        uint64_t least = atomic_load(&traffic->acknowledged);
        uint64_t floor;

        expect(traffic, backend->ops->tail(backend, &after, SIZE_MAX, follow_change, &follower,
                                           &floor, &err) == BACKEND_OK);
        expect(traffic, follower.cursor.revision >= least);
        (void) backend->ops->wait(backend, follower.cursor.revision, clock_mono_ms() + 5);
    }
    return NULL;
}

static void *look_up(void *context)
{
    struct traffic *traffic = context;
    struct backend *backend = traffic->fixture->backend;
    struct mx_error err;

    while (!atomic_load(&traffic->stop)) {
        uint64_t revision = atomic_load(&traffic->acknowledged);
        struct backend_found found = { 0 };
        char id[32];

        if (revision > 0) {
            (void) snprintf(id, sizeof(id), "%llu", (unsigned long long) revision);
            expect(traffic, backend->ops->find(backend, (const uint8_t *) id, strlen(id), &found,
                                               &err) == BACKEND_OK &&
                                found.revision == revision);
            free(found.answer);
        }
    }
    return NULL;
}

static void readers_see_each_commit_that_was_acknowledged(void **state)
{
    struct traffic traffic = { .fixture = *state };
    pthread_t threads[3];
    char id[32];

    assert_int_equal(pthread_create(&threads[0], NULL, follow, &traffic), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, follow, &traffic), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, look_up, &traffic), 0);
    for (uint64_t revision = 1; revision <= 300; revision++) {
        (void) snprintf(id, sizeof(id), "%llu", (unsigned long long) revision);
        (void) history_put(traffic.fixture->backend, id, "k", id);
        atomic_store(&traffic.acknowledged, revision);
    }
    atomic_store(&traffic.stop, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&traffic.wrong), 0);
    assert_image(traffic.fixture, "k=300;");
}

/* ----------------------------------------------------------------------- model */

#define MODEL_KEYS 200
#define MODEL_IDS  4000

struct model {
    char values[MODEL_KEYS][24]; /* "": not there */
    char planned[MODEL_KEYS][24];
    uint64_t id_revisions[MODEL_IDS]; /* 0: not known */
    int64_t id_times[MODEL_IDS];
    size_t next_id;
    struct position head;
    uint64_t floor;
    int64_t now_us;
    uint64_t seed;
};

static uint64_t pick(struct model *model, uint64_t below)
{
    model->seed = model->seed * 6364136223846793005u + 1442695040888963407u;
    return (model->seed >> 33) % below;
}

static void model_edit(struct model *model, struct group *group, bool *touched)
{
    size_t key = (size_t) pick(model, MODEL_KEYS);
    char name[16];

    if (touched[key]) {
        return; /* each key once in a change */
    }
    touched[key] = true;
    (void) snprintf(name, sizeof(name), "key %03zu", key);
    if (pick(model, 3) == 0) {
        model->planned[key][0] = '\0';
        group_delete(group, name, strlen(name));
    } else {
        (void) snprintf(model->planned[key], sizeof(model->planned[key]), "%llu",
                        (unsigned long long) pick(model, 1000000));
        group_put_text(group, name, model->planned[key]);
    }
}

/* One request; returns its id's number, MODEL_IDS if it has none. */
static size_t model_request(struct model *model, struct group *group)
{
    size_t id = pick(model, 4) == 0 || model->next_id == MODEL_IDS ? MODEL_IDS : model->next_id++;
    size_t edits = (size_t) pick(model, 4);
    bool touched[MODEL_KEYS] = { false };
    char name[16];

    (void) snprintf(name, sizeof(name), "id %zu", id);
    group_request(group, id == MODEL_IDS ? NULL : name);
    group_last(group)->time_us = model->now_us++;
    for (size_t i = 0; i < edits; i++) {
        model_edit(model, group, touched);
    }
    if (id != MODEL_IDS) {
        model->id_times[id] = group_last(group)->time_us;
    }
    return id;
}

static void model_commit(struct model *model, struct fixture *fixture)
{
    size_t count = 1 + (size_t) pick(model, 8);
    size_t ids[8];
    bool stale = pick(model, 10) == 0;
    bool replay = pick(model, 10) == 0 && model->next_id > 0;
    uint64_t revision = model->head.revision;
    struct position expected = model->head;
    struct position after;
    size_t index = 99;

    memcpy(model->planned, model->values, sizeof(model->values));
    for (size_t i = 0; i < count; i++) {
        ids[i] = model_request(model, &fixture->group);
    }
    if (stale) {
        expected.chain[5] ^= 4;
        assert_result(
            group_commit_after(&fixture->group, fixture->backend, &expected, &after, &index),
            BACKEND_CONFLICT);
    } else if (replay && ids[0] != MODEL_IDS) {
        char name[16];
        (void) snprintf(name, sizeof(name), "id %zu", ids[0]);
        group_request(&fixture->group, name);
        assert_result(
            group_commit_after(&fixture->group, fixture->backend, &expected, &after, &index),
            BACKEND_REPLAY);
        assert_int_equal(index, count);
    } else {
        assert_result(
            group_commit_after(&fixture->group, fixture->backend, &expected, &after, &index),
            BACKEND_OK);
        memcpy(model->values, model->planned, sizeof(model->values));
        model->head = after;
        for (size_t i = 0; i < count; i++) {
            revision += fixture->group.requests[i].change_len > 0 ? 1 : 0;
            if (ids[i] != MODEL_IDS) {
                model->id_revisions[ids[i]] = revision + 1; /* + 1: revision 0 is possible */
            }
        }
        assert_int_equal(after.revision, revision);
    }
    group_fini(&fixture->group);
    group_init(&fixture->group);
}

static void model_trim(struct model *model, struct fixture *fixture)
{
    uint64_t below = pick(model, model->head.revision + 2);
    int64_t before = model->now_us - (int64_t) pick(model, 400);

    trim_all(fixture, below, before);
    if (below > 0 && below - 1 > model->floor) {
        model->floor = below - 1;
    }
    for (size_t i = 0; i < model->next_id; i++) {
        if (model->id_times[i] < before) {
            model->id_revisions[i] = 0;
        }
    }
}

static void model_check(struct model *model, struct fixture *fixture)
{
    struct buffer expected = BUFFER_INIT;
    struct position after = { .revision = model->floor };
    size_t count = 0;
    uint64_t floor;

    for (size_t i = 0; i < MODEL_KEYS; i++) {
        char record[64];
        if (model->values[i][0] != '\0') {
            (void) snprintf(record, sizeof(record), "key %03zu=%s;", i, model->values[i]);
            buffer_put(&expected, record, strlen(record));
        }
    }
    assert_image_bytes(fixture, expected.data, expected.len);
    buffer_fini(&expected);
    assert_result(fixture->backend->ops->tail(fixture->backend, &after, SIZE_MAX, count_change,
                                              &count, &floor, &fixture->err),
                  BACKEND_OK);
    assert_int_equal(count, model->head.revision - model->floor);
    if (model->next_id > 0) {
        size_t id = (size_t) pick(model, model->next_id);
        char name[16];
        (void) snprintf(name, sizeof(name), "id %zu", id);
        if (model->id_revisions[id] == 0) {
            assert_absent(fixture, name);
        } else {
            assert_found(fixture, name, model->id_revisions[id] - 1);
        }
    }
}

static void a_random_walk_agrees_with_a_model(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = calloc(1, sizeof(*model));
    const char *given = getenv("MX_SEED");

    model->seed = given == NULL ? (uint64_t) clock_wall_us() : strtoull(given, NULL, 0);
    print_message("MX_SEED=%llu\n", (unsigned long long) model->seed);
    for (int i = 0; i < 600; i++) {
        uint64_t choice = pick(model, 40);

        if (choice == 0) {
            close_and_open(fixture);
        } else if (choice == 1) {
            assert_result(fixture->backend->ops->reopen(fixture->backend, &fixture->err),
                          BACKEND_OK);
        } else if (choice == 2) {
            model_trim(model, fixture);
        } else {
            model_commit(model, fixture);
        }
        if (i % 10 == 0) {
            model_check(model, fixture);
        }
    }
    free(model);
}

#define SENTENCE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest sentences[] = {
    SENTENCE(a_fresh_backend_is_empty_at_the_zero_position),
    SENTENCE(each_position_chains_to_the_one_before),
    SENTENCE(load_returns_what_the_edits_left),
    SENTENCE(a_load_stops_when_told),
    SENTENCE(keys_and_values_may_hold_any_byte),
    SENTENCE(a_value_of_a_mebibyte_survives),
    SENTENCE(a_tail_is_contiguous_and_chained_from_any_position),
    SENTENCE(a_tail_longer_than_a_step_is_whole),
    SENTENCE(a_tail_hands_out_the_time_of_each_change),
    SENTENCE(a_tail_stops_at_its_limit_and_when_told),
    SENTENCE(a_tail_without_a_chain_goes_by_revision),
    SENTENCE(a_position_of_another_history_has_diverged),
    SENTENCE(trimmed_history_is_compacted_and_names_its_floor),
    SENTENCE(history_trimmed_to_the_head_goes_on_from_there),
    SENTENCE(trim_goes_in_steps_and_says_when_it_is_done),
    SENTENCE(a_commit_that_expects_another_head_applies_nothing),
    SENTENCE(a_known_id_applies_nothing_and_is_named),
    SENTENCE(an_id_twice_in_one_commit_is_a_replay_of_the_later),
    SENTENCE(find_gives_revision_digest_and_answer),
    SENTENCE(an_empty_answer_is_found_empty),
    SENTENCE(a_request_without_change_makes_no_revision_but_is_found),
    SENTENCE(a_commit_of_nothing_is_fine),
    SENTENCE(a_request_without_an_id_is_not_remembered),
    SENTENCE(ids_are_forgotten_by_time_whatever_their_order),
    SENTENCE(ids_are_forgotten_in_steps),
    SENTENCE(everything_survives_close_and_open),
    SENTENCE(reopen_changes_nothing_that_was_acknowledged),
    SENTENCE(a_commit_of_a_thousand_requests_is_applied_as_one),
    SENTENCE(a_commit_beyond_the_limits_is_refused_whole),
    SENTENCE(a_request_alone_in_its_commit_may_be_larger),
    SENTENCE(an_id_too_long_is_refused),
    SENTENCE(a_commit_goes_through_in_the_middle_of_a_tail),
    SENTENCE(a_trim_in_the_middle_of_a_tail_is_told),
    SENTENCE(wait_wakes_on_a_commit_of_another_thread),
    SENTENCE(wait_returns_at_once_or_at_the_deadline),
    SENTENCE(readers_see_each_commit_that_was_acknowledged),
    SENTENCE(a_random_walk_agrees_with_a_model),
};

int main(void)
{
    int failed = 0;

    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        engine = &engines[i];
        failed += cmocka_run_group_tests_name(engine->name, sentences, NULL, NULL);
    }
    return failed;
}
