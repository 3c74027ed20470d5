/*
 * Inside of the SQLite backend: what its three files share. backend_sqlite.c
 * opens, closes and waits; backend_sqlite_read.c loads, tails and finds;
 * backend_sqlite_write.c commits and trims.
 */
#pragma once

#include "db/sqlite.h"
#include "db/turns.h"
#include "store/backend.h"

#include <pthread.h>
#include <string.h>

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    PUT_RECORD,
    DELETE_RECORD,
    ADD_CHANGE,
    ADD_REQUEST,
    FIND_REQUEST,
    ALL_RECORDS,
    CHANGES_AFTER,
    NEWEST_CHANGE,
    CHAIN_OF_CHANGE,
    BASE,
    MOVE_BASE,
    DROP_CHANGES,
    DROP_REQUESTS,
    STATEMENT_COUNT,
};

struct sqlite_backend {
    struct backend backend;
    char *path;

    struct turns turns; /* taken first; whose turn it is uses the following */
    struct sqlite db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct position base; /* before the oldest change kept */

    /* Written while holding the turn and this lock, read while holding either. */
    pthread_mutex_t head_lock;
    pthread_cond_t head_moved;
    struct position head;
    bool in_doubt; /* a COMMIT failed: nothing is believed until reopen */
};

static inline struct sqlite_backend *self_of(struct backend *backend)
{
    return (struct sqlite_backend *) backend;
}

/* ------------------------------------------------------------------- the verbs */

enum backend_result sqlite_backend_load(struct backend *backend, backend_record_fn record,
                                        void *context, struct position *position_out,
                                        struct mx_error *err);
enum backend_result sqlite_backend_tail(struct backend *backend, const struct position *after,
                                        size_t limit, backend_change_fn change, void *context,
                                        uint64_t *floor_out, struct mx_error *err);
enum backend_result sqlite_backend_find(struct backend *backend, const uint8_t *id, size_t id_len,
                                        struct backend_found *found_out, struct mx_error *err);
enum backend_result sqlite_backend_commit(struct backend *backend, const struct position *expected,
                                          const struct backend_request *requests, size_t count,
                                          int64_t deadline_ms, struct position *position_out,
                                          size_t *replay_index, struct mx_error *err);
enum backend_result sqlite_backend_trim(struct backend *backend, uint64_t below_revision,
                                        int64_t ids_before_us, size_t limit, bool *more_out,
                                        struct mx_error *err);

/* ------------------------------------------------- for the one whose turn it is */

/* The chain at a revision from base to head. OK, CORRUPT, UNAVAILABLE. */
enum backend_result sqlite_backend_chain_of(struct sqlite_backend *self, uint64_t revision,
                                            uint8_t chain_out[DIGEST_SIZE], struct mx_error *err);

/* Moves the head (NULL: it stays), says whether it is in doubt, and wakes who waits. */
void sqlite_backend_set_head(struct sqlite_backend *self, const struct position *head,
                             bool in_doubt);

/* BACKEND_CORRUPT, with its sentence. */
enum backend_result sqlite_backend_damaged(struct sqlite_backend *self, const char *what,
                                           uint64_t revision, struct mx_error *err);

/* BACKEND_UNAVAILABLE, with its sentence, while in doubt. */
enum backend_result sqlite_backend_refuse(struct sqlite_backend *self, struct mx_error *err);

/* What a failure of SQLite means to who reads. */
enum backend_result sqlite_backend_reading_result(int failure);

/* ----------------------------------------------------------- statements, shortly */

static inline void bind_blob(struct sqlite_backend *self, enum statement which, int index,
                             const void *data, size_t len)
{
    sqlite_bind_blob(&self->db, self->statements[which], index, data, len);
}

static inline void bind_number(struct sqlite_backend *self, enum statement which, int index,
                               uint64_t number)
{
    sqlite_bind_number(&self->db, self->statements[which], index, number);
}

static inline int run(struct sqlite_backend *self, enum statement which, struct mx_error *err)
{
    return sqlite_run(&self->db, self->statements[which], err);
}

static inline int step(struct sqlite_backend *self, enum statement which, struct mx_error *err)
{
    return sqlite_step(&self->db, self->statements[which], err);
}

static inline void reset(struct sqlite_backend *self, enum statement which)
{
    (void) sqlite3_reset(self->statements[which]);
}

static inline uint64_t column_number(struct sqlite_backend *self, enum statement which, int column)
{
    return (uint64_t) sqlite3_column_int64(self->statements[which], column);
}

/* False: not as long as a digest is. */
static inline bool column_digest(struct sqlite_backend *self, enum statement which, int column,
                                 uint8_t digest_out[DIGEST_SIZE])
{
    size_t len;
    const uint8_t *data = sqlite_column_blob(self->statements[which], column, &len);

    if (len != DIGEST_SIZE) {
        return false;
    }
    memcpy(digest_out, data, DIGEST_SIZE);
    return true;
}
