/*
 * What is SQLite's own: whose file it is, who may open it, and what is left of
 * it when the process is killed.
 */
#include "db/backend_sqlite.h"
#include "db/schema.h"
#include "store/change.h"
#include "support/history.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct scratch scratch;
    char path[PATH_MAX];
    struct backend *backend; /* NULL: closed */
    struct mx_error err;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    scratch_init(&fixture->scratch);
    (void) snprintf(fixture->path, sizeof(fixture->path), "%s",
                    scratch_path(&fixture->scratch, "store.db"));
    *state = fixture;
    return 0;
}

static void shut(struct fixture *fixture)
{
    if (fixture->backend != NULL) {
        fixture->backend->ops->close(fixture->backend);
        fixture->backend = NULL;
    }
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    shut(fixture);
    scratch_fini(&fixture->scratch);
    free(fixture);
    return 0;
}

static enum mx_code try_open(struct fixture *fixture)
{
    fixture->err = (struct mx_error){ .message = "" };
    return backend_sqlite_open(fixture->path, &fixture->backend, &fixture->err);
}

static void must_open(struct fixture *fixture)
{
    if (try_open(fixture) != MX_OK) {
        fail_msg("%s", fixture->err.message);
    }
}

#define assert_says(fixture, text)                                                                 \
    do {                                                                                           \
        if (strstr((fixture)->err.message, (text)) == NULL) {                                      \
            fail_msg("'%s' does not say '%s'", (fixture)->err.message, (text));                    \
        }                                                                                          \
    } while (0)

/* With a connection of our own, as somebody else's program would. */
static void tamper(struct fixture *fixture, const char *sql)
{
    sqlite3 *handle = NULL;
    char *message = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s", message);
    }
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static void write_history(struct fixture *fixture, int changes)
{
    must_open(fixture);
    for (int i = 0; i < changes; i++) {
        char value[16];
        (void) snprintf(value, sizeof(value), "%d", i);
        (void) history_put(fixture->backend, NULL, "k", value);
    }
    shut(fixture);
}

static bool ignore_change(void *context, const struct position *position, const uint8_t *change,
                          size_t change_len, int64_t time_us)
{
    (void) context;
    (void) position;
    (void) change;
    (void) change_len;
    (void) time_us;
    return true;
}

static enum backend_result tail_from_start(struct fixture *fixture)
{
    struct position zero = { 0 };
    uint64_t floor;

    return fixture->backend->ops->tail(fixture->backend, &zero, SIZE_MAX, ignore_change, NULL,
                                       &floor, &fixture->err);
}

/* ------------------------------------------------------------------- whose file */

static void the_files_are_readable_by_their_owner_alone(void **state)
{
    struct fixture *fixture = *state;
    mode_t before = umask(0);
    struct stat status;

    must_open(fixture);
    (void) history_put(fixture->backend, NULL, "k", "v");
    (void) umask(before);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(scratch_path(&fixture->scratch, "store.db-wal"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void a_closed_file_stands_alone(void **state)
{
    struct fixture *fixture = *state;

    write_history(fixture, 3);
    assert_int_equal(access(fixture->path, F_OK), 0);
    assert_int_equal(access(scratch_path(&fixture->scratch, "store.db-wal"), F_OK), -1);
}

static void a_newer_schema_is_refused_by_name(void **state)
{
    struct fixture *fixture = *state;
    char expected[PATH_MAX + 100];

    write_history(fixture, 1);
    tamper(fixture, "PRAGMA user_version = 7");
    assert_int_equal(try_open(fixture), MX_FAILED_PRECONDITION);
    (void) snprintf(expected, sizeof(expected),
                    "schema 7 of '%s' is newer than this mxadmd knows (%d)", fixture->path,
                    schema_newest);
    assert_string_equal(fixture->err.message, expected);
}

static void another_programs_database_is_refused_and_left_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct stat before;
    struct stat after;

    tamper(fixture, "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
    assert_int_equal(stat(fixture->path, &before), 0);
    assert_int_equal(try_open(fixture), MX_FAILED_PRECONDITION);
    assert_says(fixture, "is not a database of mxadmd");
    tamper(fixture, "PRAGMA application_id = 305419896");
    assert_int_equal(try_open(fixture), MX_FAILED_PRECONDITION);
    assert_says(fixture, "0x12345678");
    assert_int_equal(stat(fixture->path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(before.st_mode, after.st_mode);
    tamper(fixture, "INSERT INTO theirs VALUES (2)");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    FILE *file = fopen(fixture->path, "w");

    for (int i = 0; i < 1000; i++) {
        assert_true(fprintf(file, "# a text file, line %d\n", i) > 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(try_open(fixture), MX_FAILED_PRECONDITION);
    assert_says(fixture, "is not a database of mxadmd");
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    struct fixture *fixture = *state;

    (void) snprintf(fixture->path, sizeof(fixture->path), "%s",
                    scratch_path(&fixture->scratch, "nowhere/store.db"));
    assert_int_equal(try_open(fixture), MX_UNAVAILABLE);
    assert_says(fixture, "nowhere/store.db");
    assert_says(fixture, "No such file or directory");
}

static void an_empty_file_of_an_interrupted_start_is_made_anew(void **state)
{
    struct fixture *fixture = *state;
    int fd = open(fixture->path, O_CREAT | O_WRONLY, 0600);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    must_open(fixture);
    (void) history_put(fixture->backend, NULL, "k", "v");
}

static void a_second_open_is_refused_while_the_first_is_open(void **state)
{
    struct fixture *fixture = *state;
    struct backend *first;
    int status;
    pid_t child;

    must_open(fixture);
    first = fixture->backend;
    assert_int_equal(try_open(fixture), MX_UNAVAILABLE);
    assert_says(fixture, "is in use by another process");
    assert_says(fixture, fixture->path);
    child = fork();
    if (child == 0) {
        /* A program of its own: connections must not cross a fork. */
        (void) execl("/proc/self/exe", "test_sqlite", "open", fixture->path, (char *) NULL);
        _exit(99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), MX_UNAVAILABLE);
    fixture->backend = first;
    (void) history_put(first, NULL, "still", "ours");
    shut(fixture);
    must_open(fixture);
}

/* ----------------------------------------------------------------------- damage */

static void a_damaged_newest_change_is_found_at_open(void **state)
{
    struct fixture *fixture = *state;

    write_history(fixture, 5);
    tamper(fixture, "UPDATE change SET change = x'010000' WHERE revision = 5");
    assert_int_equal(try_open(fixture), MX_DATA_LOSS);
    assert_says(fixture, "the chain does not hold at revision 5");
}

static void a_missing_oldest_change_is_found_at_open(void **state)
{
    struct fixture *fixture = *state;

    write_history(fixture, 5);
    tamper(fixture, "DELETE FROM change WHERE revision = 1");
    assert_int_equal(try_open(fixture), MX_DATA_LOSS);
    assert_says(fixture, "a gap at revision 2");
}

static void a_chain_cut_short_is_found_at_open(void **state)
{
    struct fixture *fixture = *state;

    write_history(fixture, 5);
    tamper(fixture, "UPDATE change SET chain = x'00' WHERE revision = 5");
    assert_int_equal(try_open(fixture), MX_DATA_LOSS);
    tamper(fixture, "DELETE FROM change; UPDATE base SET chain = x'00'");
    assert_int_equal(try_open(fixture), MX_DATA_LOSS);
}

static void a_damaged_change_ends_a_tail_as_corrupt(void **state)
{
    struct fixture *fixture = *state;

    write_history(fixture, 5);
    tamper(fixture, "UPDATE change SET change = x'010000' WHERE revision = 3");
    must_open(fixture);
    assert_int_equal(tail_from_start(fixture), BACKEND_CORRUPT);
    assert_says(fixture, "the chain does not hold at revision 3");
}

static void a_missing_change_ends_a_tail_as_corrupt(void **state)
{
    struct fixture *fixture = *state;

    write_history(fixture, 5);
    tamper(fixture, "DELETE FROM change WHERE revision = 3");
    must_open(fixture);
    assert_int_equal(tail_from_start(fixture), BACKEND_CORRUPT);
}

static void a_file_that_went_away_is_not_made_anew_by_reopen(void **state)
{
    struct fixture *fixture = *state;
    char aside[PATH_MAX];

    write_history(fixture, 2);
    must_open(fixture);
    (void) snprintf(aside, sizeof(aside), "%s", scratch_path(&fixture->scratch, "aside"));
    assert_int_equal(rename(fixture->path, aside), 0);
    assert_int_equal(fixture->backend->ops->reopen(fixture->backend, &fixture->err),
                     BACKEND_UNAVAILABLE);
    assert_int_equal(access(fixture->path, F_OK), -1);
    assert_int_equal(tail_from_start(fixture), BACKEND_UNAVAILABLE);
    assert_int_equal(rename(aside, fixture->path), 0);
    assert_int_equal(fixture->backend->ops->reopen(fixture->backend, &fixture->err), BACKEND_OK);
    assert_int_equal(history_head(fixture->backend).revision, 2);
}

static void a_file_without_acknowledged_history_is_not_accepted_by_reopen(void **state)
{
    struct fixture *fixture = *state;
    char other[PATH_MAX];

    write_history(fixture, 2);
    (void) snprintf(other, sizeof(other), "%s", fixture->path);
    (void) snprintf(fixture->path, sizeof(fixture->path), "%s",
                    scratch_path(&fixture->scratch, "longer.db"));
    write_history(fixture, 3);
    must_open(fixture);
    assert_int_equal(rename(other, fixture->path), 0);
    (void) unlink(scratch_path(&fixture->scratch, "longer.db-wal"));
    assert_int_equal(fixture->backend->ops->reopen(fixture->backend, &fixture->err),
                     BACKEND_CORRUPT);
    assert_says(fixture, "acknowledged history is lost");
}

/* ------------------------------------------------------------------------ kill */

#define ROUNDS        20
#define GROUP_SIZE    3
#define PAYLOAD_BYTES 3000

/* Each change writes its own revision under "counter", and one record of its own. */
static void commit_next(struct backend *backend, struct position *head)
{
    static char payload[PAYLOAD_BYTES];
    struct group group;
    char text[32];

    group_init(&group);
    for (uint64_t i = 1; i <= GROUP_SIZE; i++) {
        (void) snprintf(text, sizeof(text), "%08llu", (unsigned long long) (head->revision + i));
        group_request(&group, text);
        group_put_text(&group, "counter", text);
        group_put(&group, text, strlen(text), payload, sizeof(payload));
    }
    *head = group_commit(&group, backend);
    group_fini(&group);
}

/* Commits until killed, telling each acknowledged revision. */
static void child_commits(const char *path, int told)
{
    struct backend *backend;
    struct mx_error err;
    struct position head;

    if (backend_sqlite_open(path, &backend, &err) != MX_OK) {
        (void) fprintf(stderr, "%s\n", err.message);
        _exit(1);
    }
    head = history_head(backend);
    for (;;) {
        commit_next(backend, &head);
        if (write(told, &head.revision, sizeof(head.revision)) != sizeof(head.revision)) {
            _exit(1);
        }
    }
}

struct prefix {
    uint64_t counter;
    uint64_t records;
};

static bool see_record(void *context, const uint8_t *key, size_t key_len, const uint8_t *value,
                       size_t value_len)
{
    struct prefix *prefix = context;
    char text[16] = "";

    if (key_len == strlen("counter")) {
        memcpy(text, value, value_len < sizeof(text) ? value_len : sizeof(text) - 1);
        prefix->counter = strtoull(text, NULL, 10);
        return true;
    }
    memcpy(text, key, key_len < sizeof(text) ? key_len : sizeof(text) - 1);
    prefix->records++;
    assert_int_equal(strtoull(text, NULL, 10), prefix->records);
    return true;
}

/* Exactly the first `head` changes, in image, history and requests. */
static void assert_prefix(struct fixture *fixture, uint64_t acknowledged)
{
    struct backend *backend = fixture->backend;
    struct prefix prefix = { 0 };
    struct backend_found found;
    struct position head;
    char id[32];

    assert_int_equal(backend->ops->load(backend, see_record, &prefix, &head, &fixture->err),
                     BACKEND_OK);
    assert_in_range(head.revision, acknowledged, acknowledged + GROUP_SIZE);
    assert_int_equal(head.revision % GROUP_SIZE, 0);
    assert_int_equal(prefix.records, head.revision);
    assert_int_equal(prefix.counter, head.revision);
    assert_int_equal(tail_from_start(fixture), BACKEND_OK);
    (void) snprintf(id, sizeof(id), "%08llu", (unsigned long long) head.revision);
    if (head.revision > 0) {
        assert_int_equal(
            backend->ops->find(backend, (const uint8_t *) id, strlen(id), &found, &fixture->err),
            BACKEND_OK);
        assert_int_equal(found.revision, head.revision);
        free(found.answer);
    }
    (void) snprintf(id, sizeof(id), "%08llu", (unsigned long long) head.revision + 1);
    assert_int_equal(
        backend->ops->find(backend, (const uint8_t *) id, strlen(id), &found, &fixture->err),
        BACKEND_ABSENT);
}

/* Starts a child, kills it after it told of `commits`, returns the last told revision. */
static uint64_t kill_after(const char *path, int commits)
{
    uint64_t acknowledged = 0;
    uint64_t told;
    int ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        (void) close(ends[0]);
        child_commits(path, ends[1]);
    }
    (void) close(ends[1]);
    for (int i = 0; i < commits; i++) {
        assert_int_equal(read(ends[0], &acknowledged, sizeof(acknowledged)), sizeof(told));
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], &told, sizeof(told)) == sizeof(told)) {
        acknowledged = told; /* told between our last look and the end */
    }
    (void) close(ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return acknowledged;
}

static void a_killed_process_leaves_exactly_a_prefix(void **state)
{
    struct fixture *fixture = *state;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t acknowledged = kill_after(fixture->path, 1 + round * 7 % 60);

        must_open(fixture);
        assert_prefix(fixture, acknowledged);
        shut(fixture);
    }
}

#define SENTENCE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* test_sqlite open PATH: tries to, and exits with the code. */
static int open_elsewhere(const char *path)
{
    struct backend *backend;
    struct mx_error err;

    return (int) backend_sqlite_open(path, &backend, &err);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest sentences[] = {
        SENTENCE(the_files_are_readable_by_their_owner_alone),
        SENTENCE(a_closed_file_stands_alone),
        SENTENCE(a_newer_schema_is_refused_by_name),
        SENTENCE(another_programs_database_is_refused_and_left_as_it_is),
        SENTENCE(a_file_that_is_no_database_is_refused),
        SENTENCE(a_directory_that_is_not_there_is_named),
        SENTENCE(an_empty_file_of_an_interrupted_start_is_made_anew),
        SENTENCE(a_second_open_is_refused_while_the_first_is_open),
        SENTENCE(a_damaged_newest_change_is_found_at_open),
        SENTENCE(a_missing_oldest_change_is_found_at_open),
        SENTENCE(a_chain_cut_short_is_found_at_open),
        SENTENCE(a_damaged_change_ends_a_tail_as_corrupt),
        SENTENCE(a_missing_change_ends_a_tail_as_corrupt),
        SENTENCE(a_file_that_went_away_is_not_made_anew_by_reopen),
        SENTENCE(a_file_without_acknowledged_history_is_not_accepted_by_reopen),
        SENTENCE(a_killed_process_leaves_exactly_a_prefix),
    };

    if (argc == 3 && strcmp(argv[1], "open") == 0) {
        return open_elsewhere(argv[2]);
    }
    return cmocka_run_group_tests_name("sqlite", sentences, NULL, NULL);
}
