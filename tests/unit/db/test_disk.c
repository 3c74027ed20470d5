/*
 * SQLite's backend on a disk that fails: what it says about a commit must agree
 * with what is found after reopen.
 */
#include "base/clock.h"
#include "db/backend_sqlite.h"
#include "support/history.h"
#include "support/scratch.h"
#include "support/vfs_fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MEBIBYTE ((size_t) 1024 * 1024)

struct fixture {
    struct scratch scratch;
    struct backend *backend;
    struct group group;
    struct mx_error err;
};

static struct backend *open_in(struct fixture *fixture)
{
    struct backend *backend = NULL;

    if (backend_sqlite_open(scratch_path(&fixture->scratch, "store.db"), &backend, &fixture->err) !=
        MX_OK) {
        fail_msg("%s", fixture->err.message);
    }
    return backend;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    vfs_fault_arm(VFS_FAULT_NONE, 0);
    scratch_init(&fixture->scratch);
    fixture->backend = open_in(fixture);
    group_init(&fixture->group);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    vfs_fault_arm(VFS_FAULT_NONE, 0);
    group_fini(&fixture->group);
    fixture->backend->ops->close(fixture->backend);
    scratch_fini(&fixture->scratch);
    free(fixture);
    return 0;
}

#define assert_result(result, expected)                                                            \
    assert_string_equal(backend_result_name(result), backend_result_name(expected))

static void start_group(struct fixture *fixture)
{
    group_fini(&fixture->group);
    group_init(&fixture->group);
}

/* One request named after the revision that it will be, writing that to "counter". */
static enum backend_result try_commit(struct fixture *fixture, const struct position *head,
                                      struct position *after_out)
{
    char name[32];

    start_group(fixture);
    (void) snprintf(name, sizeof(name), "%llu", (unsigned long long) head->revision + 1);
    group_request(&fixture->group, name);
    group_put_text(&fixture->group, "counter", name);
    return group_commit_after(&fixture->group, fixture->backend, head, after_out, NULL);
}

static bool see_counter(void *context, const uint8_t *key, size_t key_len, const uint8_t *value,
                        size_t value_len)
{
    char text[32] = "";

    (void) key;
    (void) key_len;
    memcpy(text, value, value_len < sizeof(text) ? value_len : sizeof(text) - 1);
    *(uint64_t *) context = strtoull(text, NULL, 10);
    return true;
}

static bool count_change(void *context, const struct position *position, const uint8_t *change,
                         size_t change_len, int64_t time_us)
{
    (void) position;
    (void) change;
    (void) change_len;
    (void) time_us;
    ++*(uint64_t *) context;
    return true;
}

/* Image, history and requests say the same: exactly the changes up to the head. */
static struct position assert_truth(struct fixture *fixture)
{
    struct backend *backend = fixture->backend;
    struct position zero = { 0 };
    struct position head;
    struct backend_found found;
    uint64_t counter = 0;
    uint64_t changes = 0;
    uint64_t floor;
    char id[32];

    assert_result(backend->ops->load(backend, see_counter, &counter, &head, &fixture->err),
                  BACKEND_OK);
    assert_result(
        backend->ops->tail(backend, &zero, SIZE_MAX, count_change, &changes, &floor, &fixture->err),
        BACKEND_OK);
    assert_int_equal(counter, head.revision);
    assert_int_equal(changes, head.revision);
    (void) snprintf(id, sizeof(id), "%llu", (unsigned long long) head.revision + 1);
    assert_result(
        backend->ops->find(backend, (const uint8_t *) id, strlen(id), &found, &fixture->err),
        BACKEND_ABSENT);
    if (head.revision > 0) {
        (void) snprintf(id, sizeof(id), "%llu", (unsigned long long) head.revision);
        assert_result(
            backend->ops->find(backend, (const uint8_t *) id, strlen(id), &found, &fixture->err),
            BACKEND_OK);
        free(found.answer);
    }
    return head;
}

static struct position commit_some(struct fixture *fixture, int count)
{
    struct position head = history_head(fixture->backend);

    for (int i = 0; i < count; i++) {
        assert_result(try_commit(fixture, &head, &head), BACKEND_OK);
    }
    return head;
}

static void reopen(struct fixture *fixture)
{
    assert_result(fixture->backend->ops->reopen(fixture->backend, &fixture->err), BACKEND_OK);
}

static void assert_refuses_everything(struct fixture *fixture, const struct position *head)
{
    const struct backend_ops *ops = fixture->backend->ops;
    struct position position = *head;
    struct backend_found found;
    uint64_t number = 0;
    bool more;

    assert_result(ops->barrier(fixture->backend, &position, &fixture->err), BACKEND_UNAVAILABLE);
    assert_result(ops->find(fixture->backend, (const uint8_t *) "1", 1, &found, &fixture->err),
                  BACKEND_UNAVAILABLE);
    assert_result(ops->load(fixture->backend, see_counter, &number, &position, &fixture->err),
                  BACKEND_UNAVAILABLE);
    assert_result(
        ops->tail(fixture->backend, head, 1, count_change, &number, &number, &fixture->err),
        BACKEND_UNAVAILABLE);
    assert_result(ops->trim(fixture->backend, 1, 1, 1, &more, &fixture->err), BACKEND_UNAVAILABLE);
    assert_result(try_commit(fixture, head, &position), BACKEND_UNAVAILABLE);
}

/* ------------------------------------------------------------------- sentences */

static void a_commit_syncs_the_log_once(void **state)
{
    struct fixture *fixture = *state;
    unsigned before;

    (void) commit_some(fixture, 2); /* the log's own header is synced with its first commit */
    before = vfs_fault_log_syncs();
    (void) commit_some(fixture, 10);
    assert_int_equal(vfs_fault_log_syncs() - before, 10);
}

static void a_refused_commit_writes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct position head = commit_some(fixture, 3);
    struct position stale = { .revision = 1 };
    unsigned before = vfs_fault_log_syncs();
    struct position after;
    size_t index;

    vfs_fault_arm_for_good(VFS_FAULT_WRITE);
    assert_result(try_commit(fixture, &stale, &after), BACKEND_CONFLICT);
    start_group(fixture);
    group_request(&fixture->group, "2");
    group_put_text(&fixture->group, "counter", "again");
    assert_result(group_commit_after(&fixture->group, fixture->backend, &head, &after, &index),
                  BACKEND_REPLAY);
    assert_false(vfs_fault_happened());
    assert_int_equal(vfs_fault_log_syncs(), before);
    vfs_fault_arm(VFS_FAULT_NONE, 0);
    (void) commit_some(fixture, 1);
}

static void a_failed_sync_whose_bytes_stayed_is_unknown_and_found_applied(void **state)
{
    struct fixture *fixture = *state;
    struct position head = commit_some(fixture, 3);
    struct position after;

    vfs_fault_arm(VFS_FAULT_SYNC_KEPT, 1);
    assert_result(try_commit(fixture, &head, &after), BACKEND_UNKNOWN);
    assert_true(vfs_fault_happened());
    assert_refuses_everything(fixture, &head);
    reopen(fixture);
    assert_int_equal(assert_truth(fixture).revision, 4);
    (void) commit_some(fixture, 2);
    assert_int_equal(assert_truth(fixture).revision, 6);
}

static void a_failed_sync_whose_bytes_were_lost_is_unknown_and_found_not_applied(void **state)
{
    struct fixture *fixture = *state;
    struct position head = commit_some(fixture, 3);
    struct position after;

    vfs_fault_arm(VFS_FAULT_SYNC_LOST, 1);
    assert_result(try_commit(fixture, &head, &after), BACKEND_UNKNOWN);
    assert_refuses_everything(fixture, &head);
    reopen(fixture);
    assert_int_equal(assert_truth(fixture).revision, 3);
    (void) commit_some(fixture, 2);
    assert_int_equal(assert_truth(fixture).revision, 5);
}

static void copy_file(const char *from, const char *to)
{
    FILE *source = fopen(from, "r");
    FILE *target = fopen(to, "w");
    int byte;

    assert_non_null(source);
    assert_non_null(target);
    while ((byte = fgetc(source)) != EOF) {
        assert_int_equal(fputc(byte, target), byte);
    }
    assert_int_equal(fclose(source), 0);
    assert_int_equal(fclose(target), 0);
}

/* Goes on with what is on disk if the power is cut now. */
static void cut_power(struct fixture *fixture)
{
    struct scratch after;
    char from[PATH_MAX];

    scratch_init(&after);
    (void) snprintf(from, sizeof(from), "%s", scratch_path(&fixture->scratch, "store.db"));
    copy_file(from, scratch_path(&after, "store.db"));
    (void) snprintf(from, sizeof(from), "%s", scratch_path(&fixture->scratch, "store.db-wal"));
    copy_file(from, scratch_path(&after, "store.db-wal"));
    vfs_fault_cut_power(scratch_path(&after, "store.db-wal"));
    fixture->backend->ops->close(fixture->backend);
    scratch_fini(&fixture->scratch);
    fixture->scratch = after;
    fixture->backend = open_in(fixture);
}

static void what_reopen_found_applied_survives_a_power_cut(void **state)
{
    struct fixture *fixture = *state;
    struct position head = commit_some(fixture, 3);
    struct position after;

    vfs_fault_arm(VFS_FAULT_SYNC_CLEAN, 1);
    assert_result(try_commit(fixture, &head, &after), BACKEND_UNKNOWN);
    reopen(fixture);
    assert_int_equal(assert_truth(fixture).revision, 4);
    cut_power(fixture);
    assert_int_equal(assert_truth(fixture).revision, 4);
}

static void a_backend_closed_in_doubt_is_found_whole_by_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct position head = commit_some(fixture, 3);
    struct position after;

    vfs_fault_arm(VFS_FAULT_SYNC_KEPT, 1);
    assert_result(try_commit(fixture, &head, &after), BACKEND_UNKNOWN);
    fixture->backend->ops->close(fixture->backend);
    fixture->backend = open_in(fixture);
    assert_int_equal(assert_truth(fixture).revision, 4);
}

static void a_failed_write_is_found_not_applied(void **state)
{
    static const enum vfs_fault faults[] = { VFS_FAULT_WRITE, VFS_FAULT_TORN, VFS_FAULT_FULL };
    struct fixture *fixture = *state;
    struct position head = commit_some(fixture, 3);
    struct position after;

    for (size_t i = 0; i < 3; i++) {
        for (unsigned countdown = 1; countdown <= 4; countdown++) {
            vfs_fault_arm(faults[i], countdown);
            assert_result(try_commit(fixture, &head, &after), BACKEND_UNKNOWN);
            assert_true(vfs_fault_happened());
            reopen(fixture);
            assert_int_equal(assert_truth(fixture).revision, 3);
        }
    }
    (void) commit_some(fixture, 1);
}

/* More than SQLite's cache holds, so that it writes to the log before COMMIT. */
static void a_disk_full_before_commit_is_read_only_and_certainly_not_applied(void **state)
{
    struct fixture *fixture = *state;
    struct position head = commit_some(fixture, 3);
    struct position after;
    char *value = calloc(1, MEBIBYTE);

    start_group(fixture);
    for (int i = 0; i < 40; i++) {
        char key[16];
        (void) snprintf(key, sizeof(key), "big %d", i);
        group_request(&fixture->group, key);
        group_put(&fixture->group, key, strlen(key), value, MEBIBYTE / 2);
    }
    vfs_fault_arm(VFS_FAULT_FULL, 1);
    assert_result(group_commit_after(&fixture->group, fixture->backend, &head, &after, NULL),
                  BACKEND_READ_ONLY);
    assert_true(vfs_fault_happened());
    assert_int_equal(assert_truth(fixture).revision, 3);
    (void) commit_some(fixture, 1);
    free(value);
}

static void a_full_disk_can_still_be_read(void **state)
{
    struct fixture *fixture = *state;
    struct position head = commit_some(fixture, 3);
    struct position after;

    vfs_fault_arm_for_good(VFS_FAULT_FULL);
    for (int i = 0; i < 3; i++) {
        assert_result(try_commit(fixture, &head, &after), BACKEND_UNKNOWN);
        reopen(fixture);
        assert_int_equal(assert_truth(fixture).revision, 3);
    }
    vfs_fault_arm(VFS_FAULT_NONE, 0);
    (void) commit_some(fixture, 2);
    assert_int_equal(assert_truth(fixture).revision, 5);
}

static void a_failed_trim_loses_no_more_than_it_was_told(void **state)
{
    static const enum vfs_fault faults[] = { VFS_FAULT_WRITE, VFS_FAULT_SYNC_KEPT,
                                             VFS_FAULT_SYNC_LOST };
    struct fixture *fixture = *state;
    struct backend *backend = fixture->backend;
    struct position head = commit_some(fixture, 20);
    bool more;

    for (uint64_t i = 0; i < 3; i++) {
        struct position after = { .revision = 5 * (i + 1) };
        uint64_t count = 0;
        uint64_t floor;

        vfs_fault_arm(faults[i], 1);
        assert_result(backend->ops->trim(backend, 5 * (i + 1) + 1, 0, 100, &more, &fixture->err),
                      BACKEND_UNKNOWN);
        reopen(fixture);
        assert_result(backend->ops->tail(backend, &after, SIZE_MAX, count_change, &count, &floor,
                                         &fixture->err),
                      BACKEND_OK);
        assert_int_equal(count, head.revision - after.revision);
    }
}

static void a_disk_that_fails_at_random_never_makes_it_lie(void **state)
{
    struct fixture *fixture = *state;
    const char *given = getenv("MX_SEED");
    unsigned seed = given == NULL ? (unsigned) clock_wall_us() : (unsigned) strtoul(given, NULL, 0);
    struct position head = { 0 };
    unsigned unknown = 0;

    print_message("MX_SEED=%u\n", seed);
    srandom(seed);
    for (int i = 0; i < 500; i++) {
        struct position after;
        enum backend_result result;

        vfs_fault_arm((enum vfs_fault)(random() % 7), 1 + (unsigned) random() % 12);
        result = try_commit(fixture, &head, &after);
        if (result == BACKEND_OK) {
            head = after;
            continue;
        }
        unknown++;
        assert_result(result, BACKEND_UNKNOWN);
        vfs_fault_arm(VFS_FAULT_NONE, 0);
        reopen(fixture);
        after = assert_truth(fixture);
        assert_in_range(after.revision, head.revision, head.revision + 1);
        head = after;
    }
    assert_true(unknown > 0);
    (void) assert_truth(fixture);
}

static void the_log_stays_bounded(void **state)
{
    struct fixture *fixture = *state;
    char *value = calloc(1, MEBIBYTE);
    struct stat status;

    start_group(fixture);
    for (int i = 0; i < 60; i++) {
        group_request(&fixture->group, NULL);
        group_put(&fixture->group, "k", 1, value, MEBIBYTE);
        (void) group_commit(&fixture->group, fixture->backend);
        assert_int_equal(stat(scratch_path(&fixture->scratch, "store.db-wal"), &status), 0);
        assert_in_range(status.st_size, 0, 32 * MEBIBYTE);
    }
    free(value);
}

/* ------------------------------------------------------------------ a real limit */

/* In a child: writes until the file may grow no more, then looks whether what it was told holds. */
static int write_to_the_limit(struct fixture *fixture)
{
    struct rlimit limit = { 256 * 1024, 256 * 1024 };
    struct position head = { 0 };
    struct position after;
    enum backend_result result = BACKEND_OK;

    (void) signal(SIGXFSZ, SIG_IGN);
    fixture->backend = open_in(fixture);
    (void) setrlimit(RLIMIT_FSIZE, &limit);
    while (result == BACKEND_OK) {
        result = try_commit(fixture, &head, &after);
        head = result == BACKEND_OK ? after : head;
    }
    if (result != BACKEND_UNKNOWN ||
        fixture->backend->ops->reopen(fixture->backend, &fixture->err) != BACKEND_OK) {
        return 1;
    }
    after = assert_truth(fixture);
    return head.revision > 10 && after.revision == head.revision ? 0 : 1;
}

static void a_file_that_may_not_grow_is_found_as_told(void **state)
{
    struct fixture *fixture = *state;
    int status;
    pid_t child;

    fixture->backend->ops->close(fixture->backend);
    child = fork();
    if (child == 0) {
        _exit(write_to_the_limit(fixture));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    fixture->backend = open_in(fixture);
    assert_true(assert_truth(fixture).revision > 10);
}

#define SENTENCE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest sentences[] = {
        SENTENCE(a_commit_syncs_the_log_once),
        SENTENCE(a_refused_commit_writes_nothing),
        SENTENCE(a_failed_sync_whose_bytes_stayed_is_unknown_and_found_applied),
        SENTENCE(a_failed_sync_whose_bytes_were_lost_is_unknown_and_found_not_applied),
        SENTENCE(what_reopen_found_applied_survives_a_power_cut),
        SENTENCE(a_backend_closed_in_doubt_is_found_whole_by_the_next),
        SENTENCE(a_failed_write_is_found_not_applied),
        SENTENCE(a_disk_full_before_commit_is_read_only_and_certainly_not_applied),
        SENTENCE(a_full_disk_can_still_be_read),
        SENTENCE(a_failed_trim_loses_no_more_than_it_was_told),
        SENTENCE(a_disk_that_fails_at_random_never_makes_it_lie),
        SENTENCE(the_log_stays_bounded),
        SENTENCE(a_file_that_may_not_grow_is_found_as_told),
    };

    vfs_fault_register();
    return cmocka_run_group_tests_name("disk", sentences, NULL, NULL);
}
