#include "bench/raw.h"

#include "base/clock.h"
#include "bench/bench.h"
#include "store/change.h"

#include <stdio.h>
#include <string.h>

/* -------------------------------------------------------------------- rows */

static uint8_t noise[4096];

void rows_init(struct rows *rows, const struct rows_shape *shape)
{
    memset(rows, 0, sizeof(*rows));
    rows->shape = *shape;
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (uint8_t) (i * 131 + i / 7);
    }
}

void rows_fini(struct rows *rows)
{
    for (size_t i = 0; i < RAW_GROUP_MAX; i++) {
        buffer_fini(&rows->changes[i]);
    }
}

void rows_make(struct rows *rows, size_t i)
{
    uint64_t number = rows->made++;
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
                                          .after_len = rows->shape.values[k] };
    }
    digest(&number, sizeof(number), rows->requests[i].digest);
    memcpy(rows->ids[i], rows->requests[i].digest, sizeof(rows->ids[i]));
    buffer_clear(&rows->changes[i]);
    change_begin(&rows->changes[i], noise, rows->shape.head, 2);
    change_put_edit(&rows->changes[i], &edits[0]);
    change_put_edit(&rows->changes[i], &edits[1]);
    rows->requests[i].id = rows->ids[i];
    rows->requests[i].id_len = sizeof(rows->ids[i]);
    rows->requests[i].answer = noise;
    rows->requests[i].answer_len = rows->shape.answer;
    rows->requests[i].time_us = clock_wall_us();
    rows->requests[i].change = rows->changes[i].data;
    rows->requests[i].change_len = rows->changes[i].len;
    rows->requests[i].edits = edits;
    rows->requests[i].edit_count = 2;
}

double rows_measure(bench_commit *commit, void *context, struct rows *rows, size_t count,
                    int64_t round_us)
{
    int64_t spent_us = 0;
    size_t requests = 0;

    while (spent_us < round_us) {
        int64_t start;

        for (size_t i = 0; i < count; i++) {
            rows_make(rows, i);
        }
        start = clock_mono_us();
        commit(context, rows, count);
        spent_us += clock_mono_us() - start;
        requests += count;
    }
    return (double) requests * 1e6 / (double) spent_us;
}

/* ------------------------------------------------------------------ SQLite */

static sqlite3_stmt *raw_prepare(struct raw *raw, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    bench_check(sqlite3_prepare_v3(raw->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                                   NULL) == SQLITE_OK,
                sqlite3_errmsg(raw->handle));
    return statement;
}

static uint64_t raw_newest(struct raw *raw)
{
    sqlite3_stmt *newest = raw_prepare(raw, "SELECT coalesce(max(revision), 0) FROM change");
    uint64_t revision;

    bench_check(sqlite3_step(newest) == SQLITE_ROW, sqlite3_errmsg(raw->handle));
    revision = (uint64_t) sqlite3_column_int64(newest, 0);
    (void) sqlite3_finalize(newest);
    return revision;
}

void raw_open(struct raw *raw, const char *path)
{
    raw->joined = (struct buffer) BUFFER_INIT;
    bench_check(sqlite3_open(path, &raw->handle) == SQLITE_OK, "can't open");
    bench_check(
        sqlite3_exec(
            raw->handle,
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;"
            "PRAGMA cache_size = -32768;"
            "CREATE TABLE IF NOT EXISTS record (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID;"
            "CREATE TABLE IF NOT EXISTS change (revision INTEGER PRIMARY KEY, chain BLOB,"
            " time_us INTEGER, change BLOB);"
            "CREATE TABLE IF NOT EXISTS request (id BLOB UNIQUE, revision INTEGER, digest BLOB,"
            " answer BLOB, time_us INTEGER);",
            NULL, NULL, NULL) == SQLITE_OK,
        sqlite3_errmsg(raw->handle));
    raw->revision = raw_newest(raw);
    raw->begin = raw_prepare(raw, "BEGIN IMMEDIATE");
    raw->commit = raw_prepare(raw, "COMMIT");
    raw->record = raw_prepare(raw, "INSERT INTO record VALUES (?1, ?2)");
    raw->change = raw_prepare(raw, "INSERT INTO change VALUES (?1, ?2, ?3, ?4)");
    raw->request = raw_prepare(raw, "INSERT INTO request VALUES (?1, ?2, ?3, ?4, ?5)");
}

static void raw_run(struct raw *raw, sqlite3_stmt *statement)
{
    bench_check(sqlite3_step(statement) == SQLITE_DONE, sqlite3_errmsg(raw->handle));
    (void) sqlite3_reset(statement);
}

static void raw_blob(sqlite3_stmt *statement, int index, const void *data, size_t len)
{
    (void) sqlite3_bind_blob64(statement, index, data, len, SQLITE_STATIC);
}

static void raw_record(struct raw *raw, const struct backend_edit *edit)
{
    raw_blob(raw->record, 1, edit->key, edit->key_len);
    raw_blob(raw->record, 2, edit->after, edit->after_len);
    raw_run(raw, raw->record);
}

static void raw_records(struct raw *raw, const struct backend_request *request)
{
    for (size_t k = 0; k < request->edit_count; k++) {
        raw_record(raw, &request->edits[k]);
    }
}

/* What was done, and what was answered. */
static void raw_history(struct raw *raw, const struct backend_request *request)
{
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

void raw_commit(void *context, const struct rows *rows, size_t count)
{
    struct raw *raw = context;

    raw_run(raw, raw->begin);
    for (size_t i = 0; i < count; i++) {
        raw_records(raw, &rows->requests[i]);
        raw_history(raw, &rows->requests[i]);
    }
    raw_run(raw, raw->commit);
}

void raw_commit_batch(void *context, const struct rows *rows, size_t count)
{
    struct raw *raw = context;
    struct backend_request whole = rows->requests[0];
    size_t changes_len;

    raw_run(raw, raw->begin);
    buffer_clear(&raw->joined);
    for (size_t i = 0; i < count; i++) {
        raw_records(raw, &rows->requests[i]);
        buffer_put(&raw->joined, rows->requests[i].change, rows->requests[i].change_len);
    }
    changes_len = raw->joined.len;
    for (size_t i = 0; i < count; i++) {
        buffer_put(&raw->joined, rows->requests[i].answer, rows->requests[i].answer_len);
    }
    whole.change = raw->joined.data;
    whole.change_len = changes_len;
    whole.answer = raw->joined.data + changes_len;
    whole.answer_len = raw->joined.len - changes_len;
    raw_history(raw, &whole);
    raw_run(raw, raw->commit);
}

void raw_commit_single_rows(void *context, const struct rows *rows, size_t count)
{
    struct raw *raw = context;

    raw_run(raw, raw->begin);
    for (size_t i = 0; i < count; i++) {
        raw_record(raw, &rows->requests[i].edits[0]);
    }
    raw_run(raw, raw->commit);
}

void raw_close(struct raw *raw)
{
    buffer_fini(&raw->joined);
    (void) sqlite3_finalize(raw->begin);
    (void) sqlite3_finalize(raw->commit);
    (void) sqlite3_finalize(raw->record);
    (void) sqlite3_finalize(raw->change);
    (void) sqlite3_finalize(raw->request);
    (void) sqlite3_close(raw->handle);
}
