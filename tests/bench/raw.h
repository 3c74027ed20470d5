/*
 * Raw SQLite, the peer of changes: prepared inserts by hand of the rows that an
 * AccountAdd makes. It keeps no index of times, computes no chain and checks no
 * head; its settings of durability are the daemon's (WAL, FULL, exclusive).
 */
#pragma once

#include "base/buffer.h"
#include "store/backend.h"

#include <sqlite3.h>

#define RAW_GROUP_MAX 256

/* Sizes of what one AccountAdd leaves behind. */
struct rows_shape {
    size_t values[2]; /* the account and its address, packed */
    size_t answer;
    size_t head; /* of the change: who, when, what */
};

/* The rows of a group, made before the clock runs. Much memory: not for the stack. */
struct rows {
    struct rows_shape shape;
    uint64_t made; /* so far; names are made from it */
    struct backend_request requests[RAW_GROUP_MAX];
    struct backend_edit edits[RAW_GROUP_MAX][2];
    char keys[RAW_GROUP_MAX][2][48];
    uint8_t ids[RAW_GROUP_MAX][24];
    struct buffer changes[RAW_GROUP_MAX];
};

void rows_init(struct rows *rows, const struct rows_shape *shape);
/* Makes request `i` anew, like none before. */
void rows_make(struct rows *rows, size_t i);
void rows_fini(struct rows *rows);

struct raw {
    sqlite3 *handle;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *record;
    sqlite3_stmt *change;
    sqlite3_stmt *request;
    uint64_t revision;
    struct buffer joined; /* of raw_commit_batch() */
};

/* Makes the database if there is none, else goes on in it. */
void raw_open(struct raw *raw, const char *path);
void raw_close(struct raw *raw);

/* What a round may do with a group in one transaction. Contexts: struct raw. */
typedef void bench_commit(void *context, const struct rows *rows, size_t count);
void raw_commit(void *context, const struct rows *rows, size_t count);
/* As one change: the records of each, one row that says what was done, one that says the answer. */
void raw_commit_batch(void *context, const struct rows *rows, size_t count);
/* One row a request: its first record alone. */
void raw_commit_single_rows(void *context, const struct rows *rows, size_t count);

/* Requests a second over so long; the making of the rows is not counted. */
double rows_measure(bench_commit *commit, void *context, struct rows *rows, size_t count,
                    int64_t round_us);
