/*
 * How much of raw SQLite is left: requests a second of the SQLite backend
 * against prepared inserts of the same rows by hand, in the same run, taking
 * turns round by round.
 *
 *   bench_backend [rounds]
 *
 * A request is like AccountAdd: two records, one change, one answer kept. Raw
 * keeps no index of times, computes no chain and checks no head; its settings
 * of durability are the same (WAL, FULL, exclusive).
 */
#include "base/clock.h"
#include "db/backend_sqlite.h"
#include "store/change.h"
#include "support/scratch.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MAX    256
#define VALUE_BYTES  250
#define ANSWER_BYTES 400
#define HEAD_BYTES   100
#define ROUND_US     400000
#define ROUNDS       5

/* The rows of one group, made before the clock runs. */
struct rows {
    struct backend_request requests[GROUP_MAX];
    struct backend_edit edits[GROUP_MAX][2];
    char keys[GROUP_MAX][2][48];
    uint8_t ids[GROUP_MAX][24];
    struct buffer changes[GROUP_MAX];
};

static uint8_t noise[4096];
static uint64_t made;

static void check(bool holds, const char *what)
{
    if (!holds) {
        (void) fprintf(stderr, "bench_backend: %s\n", what);
        exit(1);
    }
}

static void make_request(struct rows *rows, size_t i)
{
    uint64_t number = made++;
    struct backend_edit *edits = rows->edits[i];

    /* Accounts come in no order of names. */
    (void) snprintf(rows->keys[i][0], sizeof(rows->keys[i][0]), "A\x01%016llx.example",
                    (unsigned long long) (number * 0x9e3779b97f4a7c15u));
    (void) snprintf(rows->keys[i][1], sizeof(rows->keys[i][1]), "B\x01%016llx@example.org",
                    (unsigned long long) (number * 0x9e3779b97f4a7c15u));
    for (int k = 0; k < 2; k++) {
        edits[k] = (struct backend_edit){ .key = (const uint8_t *) rows->keys[i][k],
                                          .key_len = strlen(rows->keys[i][k]),
                                          .after = noise + number % 1024,
                                          .after_len = VALUE_BYTES };
    }
    digest(&number, sizeof(number), rows->requests[i].digest);
    memcpy(rows->ids[i], rows->requests[i].digest, sizeof(rows->ids[i]));
    buffer_clear(&rows->changes[i]);
    change_begin(&rows->changes[i], noise, HEAD_BYTES, 2);
    change_put_edit(&rows->changes[i], &edits[0]);
    change_put_edit(&rows->changes[i], &edits[1]);
    rows->requests[i].id = rows->ids[i];
    rows->requests[i].id_len = sizeof(rows->ids[i]);
    rows->requests[i].answer = noise;
    rows->requests[i].answer_len = ANSWER_BYTES;
    rows->requests[i].time_us = clock_wall_us();
    rows->requests[i].change = rows->changes[i].data;
    rows->requests[i].change_len = rows->changes[i].len;
    rows->requests[i].edits = edits;
    rows->requests[i].edit_count = 2;
}

/* ------------------------------------------------------------------------- raw */

struct raw {
    sqlite3 *handle;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *record;
    sqlite3_stmt *change;
    sqlite3_stmt *request;
    uint64_t revision;
};

static sqlite3_stmt *raw_prepare(struct raw *raw, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    check(sqlite3_prepare_v3(raw->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) ==
              SQLITE_OK,
          sqlite3_errmsg(raw->handle));
    return statement;
}

static void raw_open(struct raw *raw, const char *path)
{
    check(sqlite3_open(path, &raw->handle) == SQLITE_OK, "can't open");
    check(sqlite3_exec(raw->handle,
                       "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                       "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;"
                       "PRAGMA cache_size = -32768;"
                       "CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;"
                       "CREATE TABLE change (revision INTEGER PRIMARY KEY, chain BLOB,"
                       " time_us INTEGER, change BLOB);"
                       "CREATE TABLE request (id BLOB UNIQUE, revision INTEGER, digest BLOB,"
                       " answer BLOB, time_us INTEGER);",
                       NULL, NULL, NULL) == SQLITE_OK,
          sqlite3_errmsg(raw->handle));
    raw->begin = raw_prepare(raw, "BEGIN IMMEDIATE");
    raw->commit = raw_prepare(raw, "COMMIT");
    raw->record = raw_prepare(raw, "INSERT INTO record VALUES (?1, ?2)");
    raw->change = raw_prepare(raw, "INSERT INTO change VALUES (?1, ?2, ?3, ?4)");
    raw->request = raw_prepare(raw, "INSERT INTO request VALUES (?1, ?2, ?3, ?4, ?5)");
}

static void raw_run(struct raw *raw, sqlite3_stmt *statement)
{
    check(sqlite3_step(statement) == SQLITE_DONE, sqlite3_errmsg(raw->handle));
    (void) sqlite3_reset(statement);
}

static void raw_blob(sqlite3_stmt *statement, int index, const void *data, size_t len)
{
    (void) sqlite3_bind_blob64(statement, index, data, len, SQLITE_STATIC);
}

static void raw_request(struct raw *raw, const struct backend_request *request)
{
    for (size_t k = 0; k < request->edit_count; k++) {
        raw_blob(raw->record, 1, request->edits[k].key, request->edits[k].key_len);
        raw_blob(raw->record, 2, request->edits[k].after, request->edits[k].after_len);
        raw_run(raw, raw->record);
    }
    (void) sqlite3_bind_int64(raw->change, 1, (sqlite3_int64) ++raw->revision);
    raw_blob(raw->change, 2, request->digest, DIGEST_SIZE);
    (void) sqlite3_bind_int64(raw->change, 3, request->time_us);
    raw_blob(raw->change, 4, request->change, request->change_len);
    raw_run(raw, raw->change);
    raw_blob(raw->request, 1, request->id, request->id_len);
    (void) sqlite3_bind_int64(raw->request, 2, (sqlite3_int64) raw->revision);
    raw_blob(raw->request, 3, request->digest, DIGEST_SIZE);
    raw_blob(raw->request, 4, request->answer, request->answer_len);
    (void) sqlite3_bind_int64(raw->request, 5, request->time_us);
    raw_run(raw, raw->request);
}

static void raw_commit(void *context, const struct rows *rows, size_t count)
{
    struct raw *raw = context;

    raw_run(raw, raw->begin);
    for (size_t i = 0; i < count; i++) {
        raw_request(raw, &rows->requests[i]);
    }
    raw_run(raw, raw->commit);
}

static void raw_close(struct raw *raw)
{
    (void) sqlite3_finalize(raw->begin);
    (void) sqlite3_finalize(raw->commit);
    (void) sqlite3_finalize(raw->record);
    (void) sqlite3_finalize(raw->change);
    (void) sqlite3_finalize(raw->request);
    (void) sqlite3_close(raw->handle);
}

/* ------------------------------------------------------------------------ ours */

struct ours {
    struct backend *backend;
    struct position head;
};

static void ours_open(struct ours *ours, const char *path)
{
    struct mx_error err;

    check(backend_sqlite_open(path, &ours->backend, &err) == MX_OK, err.message);
    check(ours->backend->ops->barrier(ours->backend, &ours->head, &err) == BACKEND_OK, "barrier");
}

static void ours_commit(void *context, const struct rows *rows, size_t count)
{
    struct ours *ours = context;
    struct mx_error err;
    size_t index;

    check(ours->backend->ops->commit(ours->backend, &ours->head, rows->requests, count, INT64_MAX,
                                     &ours->head, &index, &err) == BACKEND_OK,
          err.message);
}

/* ------------------------------------------------------------------- measuring */

/* Requests a second over a round; the making of the rows is not counted. */
static double measure(void (*commit)(void *, const struct rows *, size_t), void *context,
                      struct rows *rows, size_t count)
{
    int64_t spent_us = 0;
    size_t requests = 0;

    while (spent_us < ROUND_US) {
        int64_t start;

        for (size_t i = 0; i < count; i++) {
            make_request(rows, i);
        }
        start = clock_mono_us();
        commit(context, rows, count);
        spent_us += clock_mono_us() - start;
        requests += count;
    }
    return (double) requests * 1e6 / (double) spent_us;
}

static int ascending(const void *a, const void *b)
{
    double difference = *(const double *) a - *(const double *) b;

    return (difference > 0) - (difference < 0);
}

static void compare(struct raw *raw, struct ours *ours, struct rows *rows, size_t count,
                    size_t rounds)
{
    double raw_rates[64];
    double our_rates[64];

    for (size_t i = 0; i < rounds; i++) {
        raw_rates[i] = measure(raw_commit, raw, rows, count);
        our_rates[i] = measure(ours_commit, ours, rows, count);
    }
    qsort(raw_rates, rounds, sizeof(double), ascending);
    qsort(our_rates, rounds, sizeof(double), ascending);
    (void) printf("%4zu a transaction: raw %8.0f requests/s, backend %8.0f, ratio %.2f\n", count,
                  raw_rates[rounds / 2], our_rates[rounds / 2],
                  our_rates[rounds / 2] / raw_rates[rounds / 2]);
}

int main(int argc, char **argv)
{
    static const size_t counts[] = { 1, 8, 64, 256 };
    static struct rows rows;
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    struct scratch scratch;
    struct raw raw = { 0 };
    struct ours ours;

    check(rounds >= 1 && rounds <= 64, "rounds: 1 to 64");
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (uint8_t) (i * 131 + i / 7);
    }
    scratch_init(&scratch);
    raw_open(&raw, scratch_path(&scratch, "raw.db"));
    ours_open(&ours, scratch_path(&scratch, "ours.db"));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        compare(&raw, &ours, &rows, counts[i], rounds);
    }
    raw_close(&raw);
    ours.backend->ops->close(ours.backend);
    for (size_t i = 0; i < GROUP_MAX; i++) {
        buffer_fini(&rows.changes[i]);
    }
    scratch_fini(&scratch);
    return 0;
}
