#include "db/backend_sqlite.h"

#include "base/buffer.h"
#include "db/sqlite.h"
#include "db/turns.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A step of a tail: what is read in one turn. Bytes, since a change may have 16 MiB. */
#define TAIL_STEP_ROWS  256
#define TAIL_STEP_BYTES ((size_t) 1024 * 1024)

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

static const char *const statement_sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT_RECORD] = "INSERT OR REPLACE INTO record (key, value) VALUES (?1, ?2)",
    [DELETE_RECORD] = "DELETE FROM record WHERE key = ?1",
    [ADD_CHANGE] = "INSERT INTO change (revision, time_us, chain, change) VALUES (?1, ?2, ?3, ?4)",
    [ADD_REQUEST] = "INSERT INTO request (time_us, revision, id, digest, answer)"
                    " VALUES (?1, ?2, ?3, ?4, ?5)",
    [FIND_REQUEST] = "SELECT revision, digest, answer FROM request WHERE id = ?1",
    [ALL_RECORDS] = "SELECT key, value FROM record ORDER BY key",
    [CHANGES_AFTER] = "SELECT revision, time_us, chain, change FROM change"
                      " WHERE revision > ?1 ORDER BY revision LIMIT ?2",
    [NEWEST_CHANGE] = "SELECT n.revision, n.chain, n.change, coalesce("
                      " (SELECT p.chain FROM change p WHERE p.revision = n.revision - 1),"
                      " (SELECT b.chain FROM base b WHERE b.revision = n.revision - 1))"
                      " FROM change n ORDER BY n.revision DESC LIMIT 1",
    [CHAIN_OF_CHANGE] = "SELECT chain FROM change WHERE revision = ?1",
    [BASE] = "SELECT revision, chain, (SELECT min(revision) FROM change) FROM base",
    [MOVE_BASE] = "UPDATE base SET revision = ?1, chain = ?2",
    [DROP_CHANGES] = "DELETE FROM change WHERE revision <= ?1",
    [DROP_REQUESTS] = "DELETE FROM request WHERE number IN"
                      " (SELECT number FROM request WHERE time_us < ?1 ORDER BY time_us LIMIT ?2)",
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

static struct sqlite_backend *self_of(struct backend *backend)
{
    return (struct sqlite_backend *) backend;
}

static void set_head(struct sqlite_backend *self, const struct position *head, bool in_doubt)
{
    (void) pthread_mutex_lock(&self->head_lock);
    if (head != NULL) {
        self->head = *head;
    }
    self->in_doubt = in_doubt;
    (void) pthread_cond_broadcast(&self->head_moved);
    (void) pthread_mutex_unlock(&self->head_lock);
}

/* ---------------------------------------------------- results and short forms */

static enum backend_result damaged(struct sqlite_backend *self, const char *what, uint64_t revision,
                                   struct mx_error *err)
{
    (void) mx_fail(err, MX_DATA_LOSS, "'%s' is damaged: %s at revision %llu", self->path, what,
                   (unsigned long long) revision);
    return BACKEND_CORRUPT;
}

static enum backend_result refuse_in_doubt(struct sqlite_backend *self, struct mx_error *err)
{
    (void) mx_fail(err, MX_UNAVAILABLE, "'%s' must be reopened after a failed commit", self->path);
    return BACKEND_UNAVAILABLE;
}

/* What a failure means to who reads. */
static enum backend_result reading_result(int failure)
{
    return sqlite_code(failure) == MX_DATA_LOSS ? BACKEND_CORRUPT : BACKEND_UNAVAILABLE;
}

/* What a failure before COMMIT means to who writes: nothing is applied. */
static enum backend_result writing_result(int failure)
{
    switch (failure & 0xff) {
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return BACKEND_READ_ONLY;
    case SQLITE_TOOBIG:
        return BACKEND_TOO_BIG;
    default:
        return BACKEND_FAILED;
    }
}

static void bind_blob(struct sqlite_backend *self, enum statement which, int index,
                      const void *data, size_t len)
{
    sqlite_bind_blob(&self->db, self->statements[which], index, data, len);
}

static void bind_number(struct sqlite_backend *self, enum statement which, int index,
                        uint64_t number)
{
    sqlite_bind_number(&self->db, self->statements[which], index, number);
}

static int run(struct sqlite_backend *self, enum statement which, struct mx_error *err)
{
    return sqlite_run(&self->db, self->statements[which], err);
}

static int step(struct sqlite_backend *self, enum statement which, struct mx_error *err)
{
    return sqlite_step(&self->db, self->statements[which], err);
}

static void reset(struct sqlite_backend *self, enum statement which)
{
    (void) sqlite3_reset(self->statements[which]);
}

static uint64_t column_number(struct sqlite_backend *self, enum statement which, int column)
{
    return (uint64_t) sqlite3_column_int64(self->statements[which], column);
}

/* False: not as long as a digest is. */
static bool column_digest(struct sqlite_backend *self, enum statement which, int column,
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

/* ------------------------------------------------------------- open and close */

static enum backend_result read_base(struct sqlite_backend *self, struct mx_error *err)
{
    int rc = step(self, BASE, err);
    uint64_t oldest;
    bool sound;

    if (rc != SQLITE_ROW) {
        return rc == SQLITE_DONE ? damaged(self, "no base", 0, err) : reading_result(rc);
    }
    self->base.revision = column_number(self, BASE, 0);
    sound = column_digest(self, BASE, 1, self->base.chain);
    oldest = column_number(self, BASE, 2); /* 0: none kept */
    reset(self, BASE);
    if (!sound) {
        return damaged(self, "a base without a chain", self->base.revision, err);
    }
    if (oldest != 0 && oldest != self->base.revision + 1) {
        return damaged(self, "a gap", oldest, err);
    }
    return BACKEND_OK;
}

/* The newest change, which must chain to the one before it. */
static enum backend_result read_head(struct sqlite_backend *self, struct position *head_out,
                                     struct mx_error *err)
{
    struct position before;
    struct position head;
    struct position expected;
    const uint8_t *change;
    size_t change_len;
    bool sound;
    int rc = step(self, NEWEST_CHANGE, err);

    if (rc != SQLITE_ROW) {
        *head_out = self->base;
        return rc == SQLITE_DONE ? BACKEND_OK : reading_result(rc);
    }
    head.revision = column_number(self, NEWEST_CHANGE, 0);
    before.revision = head.revision - 1;
    sound = column_digest(self, NEWEST_CHANGE, 1, head.chain) &&
            column_digest(self, NEWEST_CHANGE, 3, before.chain);
    if (sound) {
        change = sqlite_column_blob(self->statements[NEWEST_CHANGE], 2, &change_len);
        expected = position_next(&before, change, change_len);
        sound = position_equal(&expected, &head);
    }
    reset(self, NEWEST_CHANGE);
    *head_out = head;
    return sound ? BACKEND_OK : damaged(self, "the chain does not hold", head.revision, err);
}

static void close_file(struct sqlite_backend *self, enum sqlite_farewell farewell)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        (void) sqlite3_finalize(self->statements[i]);
        self->statements[i] = NULL;
    }
    sqlite_close(&self->db, farewell);
}

static enum backend_result prepare_all(struct sqlite_backend *self, struct mx_error *err)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        int rc = sqlite_prepare(&self->db, statement_sql[i], &self->statements[i], err);

        if (rc != SQLITE_OK) {
            return reading_result(rc);
        }
    }
    return BACKEND_OK;
}

/* Opens the file and finds the head; on failure the file is closed again. */
static enum backend_result open_file(struct sqlite_backend *self, enum sqlite_absence absence,
                                     struct position *head_out, struct mx_error *err)
{
    enum backend_result result = BACKEND_OK;

    if (sqlite_open(&self->db, self->path, absence, err) != MX_OK) {
        result = err->code == MX_DATA_LOSS ? BACKEND_CORRUPT : BACKEND_UNAVAILABLE;
    }
    if (result == BACKEND_OK) {
        result = prepare_all(self, err);
    }
    if (result == BACKEND_OK) {
        result = read_base(self, err);
    }
    if (result == BACKEND_OK) {
        result = read_head(self, head_out, err);
    }
    if (result != BACKEND_OK) {
        close_file(self, FAREWELL_ABANDON);
    }
    return result;
}

/* The chain at a revision from base to head. */
static enum backend_result chain_of(struct sqlite_backend *self, uint64_t revision,
                                    uint8_t chain_out[DIGEST_SIZE], struct mx_error *err)
{
    bool sound;
    int rc;

    if (revision == self->base.revision) {
        memcpy(chain_out, self->base.chain, DIGEST_SIZE);
        return BACKEND_OK;
    }
    bind_number(self, CHAIN_OF_CHANGE, 1, revision);
    rc = step(self, CHAIN_OF_CHANGE, err);
    if (rc != SQLITE_ROW) {
        return rc == SQLITE_DONE ? damaged(self, "a gap", revision, err) : reading_result(rc);
    }
    sound = column_digest(self, CHAIN_OF_CHANGE, 0, chain_out);
    reset(self, CHAIN_OF_CHANGE);
    return sound ? BACKEND_OK : damaged(self, "a change without a chain", revision, err);
}

/* What was acknowledged before must still be there. */
static enum backend_result check_kept(struct sqlite_backend *self, const struct position *head,
                                      struct mx_error *err)
{
    struct position kept = { .revision = self->head.revision };
    enum backend_result result;

    if (head->revision < self->head.revision) {
        return damaged(self, "acknowledged history is lost", head->revision, err);
    }
    result = chain_of(self, kept.revision, kept.chain, err);
    if (result == BACKEND_OK && !position_equal(&kept, &self->head)) {
        return damaged(self, "acknowledged history is another", kept.revision, err);
    }
    return result;
}

static enum backend_result backend_reopen(struct backend *backend, struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    struct position head;
    enum backend_result result;

    turns_take(&self->turns, TURN_COMMIT);
    set_head(self, NULL, true);
    close_file(self, FAREWELL_ABANDON);
    result = open_file(self, ABSENCE_REFUSE, &head, err);
    if (result == BACKEND_OK) {
        result = check_kept(self, &head, err);
    }
    if (result == BACKEND_OK) {
        set_head(self, &head, false);
    }
    turns_give(&self->turns, TURN_COMMIT);
    return result;
}

static void backend_free(struct sqlite_backend *self)
{
    (void) pthread_cond_destroy(&self->head_moved);
    (void) pthread_mutex_destroy(&self->head_lock);
    turns_fini(&self->turns);
    free(self->path);
    free(self);
}

static void backend_close(struct backend *backend)
{
    struct sqlite_backend *self = self_of(backend);

    close_file(self, self->in_doubt ? FAREWELL_ABANDON : FAREWELL_SETTLE);
    backend_free(self);
}

static void backend_limits(struct backend *backend, struct backend_limits *limits_out)
{
    (void) backend;
    *limits_out = (struct backend_limits){
        .shared = false,
        .commit_requests_max = BACKEND_SQLITE_REQUESTS_MAX,
        .commit_bytes_max = BACKEND_SQLITE_BYTES_MAX,
    };
}

/* -------------------------------------------------------------------- reading */

static enum backend_result load_in_turn(struct sqlite_backend *self, backend_record_fn record,
                                        void *context, struct mx_error *err)
{
    sqlite3_stmt *records = self->statements[ALL_RECORDS];
    int rc;

    while ((rc = step(self, ALL_RECORDS, err)) == SQLITE_ROW) {
        size_t key_len;
        size_t value_len;
        const uint8_t *key = sqlite_column_blob(records, 0, &key_len);
        const uint8_t *value = sqlite_column_blob(records, 1, &value_len);

        if (!record(context, key, key_len, value, value_len)) {
            reset(self, ALL_RECORDS);
            return BACKEND_OK;
        }
    }
    return rc == SQLITE_DONE ? BACKEND_OK : reading_result(rc);
}

static enum backend_result backend_load(struct backend *backend, backend_record_fn record,
                                        void *context, struct position *position_out,
                                        struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    enum backend_result result;

    turns_take(&self->turns, TURN_OTHER);
    result = self->in_doubt ? refuse_in_doubt(self, err) : load_in_turn(self, record, context, err);
    if (result == BACKEND_OK) {
        *position_out = self->head;
    }
    turns_give(&self->turns, TURN_OTHER);
    return result;
}

static enum backend_result compacted(struct sqlite_backend *self, uint64_t revision,
                                     uint64_t *floor_out, struct mx_error *err)
{
    *floor_out = self->base.revision;
    (void) mx_fail(err, MX_OUT_OF_RANGE,
                   "changes after revision %llu are no longer kept; the oldest are after %llu",
                   (unsigned long long) revision, (unsigned long long) self->base.revision);
    return BACKEND_COMPACTED;
}

/* Whether the position is one of ours; a zero chain is filled in. */
static enum backend_result locate(struct sqlite_backend *self, struct position *cursor,
                                  uint64_t *floor_out, struct mx_error *err)
{
    static const uint8_t any[DIGEST_SIZE];
    struct position ours = { .revision = cursor->revision };
    enum backend_result result;

    if (self->in_doubt) {
        return refuse_in_doubt(self, err);
    }
    if (cursor->revision < self->base.revision) {
        return compacted(self, cursor->revision, floor_out, err);
    }
    if (cursor->revision <= self->head.revision) {
        result = chain_of(self, cursor->revision, ours.chain, err);
        if (result != BACKEND_OK) {
            return result;
        }
        if (memcmp(cursor->chain, any, DIGEST_SIZE) == 0 || position_equal(cursor, &ours)) {
            *cursor = ours;
            return BACKEND_OK;
        }
    }
    (void) mx_fail(err, MX_OUT_OF_RANGE, "revision %llu asked after is not in this history",
                   (unsigned long long) cursor->revision);
    return BACKEND_DIVERGED;
}

/* What one turn of a tail takes along, to be checked and handed out when the turn is given. */
struct tail_step {
    struct buffer bytes;
    size_t count;
    struct {
        struct position position;
        int64_t time_us;
        size_t offset;
        size_t len;
    } rows[TAIL_STEP_ROWS];
};

static enum backend_result tail_take_row(struct sqlite_backend *self, struct tail_step *taken,
                                         struct mx_error *err)
{
    size_t len;
    const uint8_t *change = sqlite_column_blob(self->statements[CHANGES_AFTER], 3, &len);
    uint64_t revision = column_number(self, CHANGES_AFTER, 0);

    taken->rows[taken->count].position.revision = revision;
    taken->rows[taken->count].time_us = (int64_t) column_number(self, CHANGES_AFTER, 1);
    taken->rows[taken->count].offset = taken->bytes.len;
    taken->rows[taken->count].len = len;
    if (!column_digest(self, CHANGES_AFTER, 2, taken->rows[taken->count].position.chain)) {
        return damaged(self, "a change without a chain", revision, err);
    }
    buffer_put(&taken->bytes, change, len);
    if (buffer_failed(&taken->bytes)) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
        return BACKEND_UNAVAILABLE;
    }
    taken->count++;
    return BACKEND_OK;
}

static enum backend_result tail_take_rows(struct sqlite_backend *self, uint64_t after, size_t limit,
                                          struct tail_step *taken, struct mx_error *err)
{
    enum backend_result result = BACKEND_OK;
    int rc = SQLITE_DONE;

    buffer_clear(&taken->bytes);
    taken->count = 0;
    bind_number(self, CHANGES_AFTER, 1, after);
    bind_number(self, CHANGES_AFTER, 2, limit < TAIL_STEP_ROWS ? limit : TAIL_STEP_ROWS);
    while (result == BACKEND_OK && taken->bytes.len < TAIL_STEP_BYTES &&
           (rc = step(self, CHANGES_AFTER, err)) == SQLITE_ROW) {
        result = tail_take_row(self, taken, err);
    }
    reset(self, CHANGES_AFTER);
    if (result == BACKEND_OK && rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return reading_result(rc);
    }
    return result;
}

/* Moves the cursor behind what was handed out. False in `*more`: the caller wants no more. */
static enum backend_result tail_hand_out(struct sqlite_backend *self, struct position *cursor,
                                         const struct tail_step *taken, backend_change_fn change,
                                         void *context, bool *more, struct mx_error *err)
{
    for (size_t i = 0; i < taken->count && *more; i++) {
        const uint8_t *bytes = taken->bytes.data + taken->rows[i].offset;
        struct position next = position_next(cursor, bytes, taken->rows[i].len);

        if (!position_equal(&next, &taken->rows[i].position)) {
            return damaged(self, "the chain does not hold", next.revision, err);
        }
        *cursor = next;
        *more = change(context, &next, bytes, taken->rows[i].len, taken->rows[i].time_us);
    }
    return BACKEND_OK;
}

static enum backend_result tail_in_steps(struct sqlite_backend *self, struct position cursor,
                                         size_t limit, backend_change_fn change, void *context,
                                         uint64_t *floor_out, struct tail_step *taken,
                                         struct mx_error *err)
{
    enum backend_result result = BACKEND_OK;
    bool more = true;

    while (result == BACKEND_OK && limit > 0 && more) {
        turns_take(&self->turns, TURN_OTHER);
        result = locate(self, &cursor, floor_out, err);
        if (result == BACKEND_OK) {
            result = tail_take_rows(self, cursor.revision, limit, taken, err);
        }
        turns_give(&self->turns, TURN_OTHER);
        if (result == BACKEND_OK) {
            limit -= taken->count;
            more = taken->count > 0;
            result = tail_hand_out(self, &cursor, taken, change, context, &more, err);
        }
    }
    return result;
}

static enum backend_result backend_tail(struct backend *backend, const struct position *after,
                                        size_t limit, backend_change_fn change, void *context,
                                        uint64_t *floor_out, struct mx_error *err)
{
    struct tail_step *taken = calloc(1, sizeof(*taken));
    enum backend_result result;

    if (taken == NULL) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
        return BACKEND_UNAVAILABLE;
    }
    result = tail_in_steps(self_of(backend), *after, limit, change, context, floor_out, taken, err);
    buffer_fini(&taken->bytes);
    free(taken);
    return result;
}

static enum backend_result take_found(struct sqlite_backend *self, struct backend_found *found_out,
                                      struct mx_error *err)
{
    struct backend_found found = { .revision = column_number(self, FIND_REQUEST, 0) };
    const uint8_t *answer =
        sqlite_column_blob(self->statements[FIND_REQUEST], 2, &found.answer_len);

    if (!column_digest(self, FIND_REQUEST, 1, found.digest)) {
        (void) damaged(self, "a request without a digest", found.revision, err);
        return BACKEND_UNAVAILABLE;
    }
    found.answer = malloc(found.answer_len + 1); /* never of size 0 */
    if (found.answer == NULL) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
        return BACKEND_UNAVAILABLE;
    }
    memcpy(found.answer, answer, found.answer_len);
    *found_out = found;
    return BACKEND_OK;
}

static enum backend_result find_in_turn(struct sqlite_backend *self, const uint8_t *id,
                                        size_t id_len, struct backend_found *found_out,
                                        struct mx_error *err)
{
    enum backend_result result;
    int rc;

    if (self->in_doubt) {
        return refuse_in_doubt(self, err);
    }
    bind_blob(self, FIND_REQUEST, 1, id, id_len);
    rc = step(self, FIND_REQUEST, err);
    if (rc == SQLITE_DONE) {
        (void) mx_fail(err, MX_NOT_FOUND, "no such request is remembered");
        return BACKEND_ABSENT;
    }
    if (rc != SQLITE_ROW) {
        return BACKEND_UNAVAILABLE;
    }
    result = take_found(self, found_out, err);
    reset(self, FIND_REQUEST);
    return result;
}

static enum backend_result backend_find(struct backend *backend, const uint8_t *id, size_t id_len,
                                        struct backend_found *found_out, struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    enum backend_result result;

    turns_take(&self->turns, TURN_OTHER);
    result = find_in_turn(self, id, id_len, found_out, err);
    turns_give(&self->turns, TURN_OTHER);
    return result;
}

/* The file is ours alone: nobody else can have moved the head. */
static enum backend_result backend_barrier(struct backend *backend, struct position *position_out,
                                           struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    enum backend_result result = BACKEND_OK;

    (void) pthread_mutex_lock(&self->head_lock);
    if (self->in_doubt) {
        result = refuse_in_doubt(self, err);
    } else {
        *position_out = self->head;
    }
    (void) pthread_mutex_unlock(&self->head_lock);
    return result;
}

static bool backend_wait(struct backend *backend, uint64_t revision, int64_t deadline_ms)
{
    struct sqlite_backend *self = self_of(backend);
    int64_t at = deadline_ms < 0 ? 0 : deadline_ms;
    struct timespec until = { .tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000 };
    int rc = 0;
    bool there;

    (void) pthread_mutex_lock(&self->head_lock);
    while (self->head.revision <= revision && rc == 0) {
        rc = pthread_cond_timedwait(&self->head_moved, &self->head_lock, &until);
    }
    there = self->head.revision > revision;
    (void) pthread_mutex_unlock(&self->head_lock);
    return there;
}

/* -------------------------------------------------------------------- writing */

static enum backend_result check_size(const struct backend_request *requests, size_t count,
                                      struct mx_error *err)
{
    size_t bytes = 0;

    if (count > BACKEND_SQLITE_REQUESTS_MAX) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "a commit of %zu requests; at most %d are taken",
                       count, BACKEND_SQLITE_REQUESTS_MAX);
        return BACKEND_TOO_BIG;
    }
    for (size_t i = 0; i < count; i++) {
        if (requests[i].id_len > BACKEND_REQUEST_ID_MAX) {
            (void) mx_fail(err, MX_INVALID_ARGUMENT,
                           "a request id of %zu bytes; at most %d are taken", requests[i].id_len,
                           BACKEND_REQUEST_ID_MAX);
            return BACKEND_FAILED;
        }
        bytes += requests[i].change_len + requests[i].answer_len;
    }
    if (bytes > BACKEND_SQLITE_BYTES_MAX) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "a commit of %zu bytes; at most %zu are taken",
                       bytes, BACKEND_SQLITE_BYTES_MAX);
        return BACKEND_TOO_BIG;
    }
    return BACKEND_OK;
}

static int add_request(struct sqlite_backend *self, const struct backend_request *request,
                       uint64_t revision, struct mx_error *err)
{
    bind_number(self, ADD_REQUEST, 1, (uint64_t) request->time_us);
    bind_number(self, ADD_REQUEST, 2, revision);
    bind_blob(self, ADD_REQUEST, 3, request->id, request->id_len);
    bind_blob(self, ADD_REQUEST, 4, request->digest, DIGEST_SIZE);
    bind_blob(self, ADD_REQUEST, 5, request->answer, request->answer_len);
    return run(self, ADD_REQUEST, err);
}

static int apply_edit(struct sqlite_backend *self, const struct backend_edit *edit,
                      struct mx_error *err)
{
    enum statement which = edit->after == NULL ? DELETE_RECORD : PUT_RECORD;

    bind_blob(self, which, 1, edit->key, edit->key_len);
    if (edit->after != NULL) {
        bind_blob(self, which, 2, edit->after, edit->after_len);
    }
    return run(self, which, err);
}

static int add_change(struct sqlite_backend *self, const struct backend_request *request,
                      const struct position *position, struct mx_error *err)
{
    bind_number(self, ADD_CHANGE, 1, position->revision);
    bind_number(self, ADD_CHANGE, 2, (uint64_t) request->time_us);
    bind_blob(self, ADD_CHANGE, 3, position->chain, DIGEST_SIZE);
    bind_blob(self, ADD_CHANGE, 4, request->change, request->change_len);
    return run(self, ADD_CHANGE, err);
}

/* All ids first: a repeat, the one refusal to be expected here, then costs little. */
static enum backend_result write_requests(struct sqlite_backend *self,
                                          const struct backend_request *requests, size_t count,
                                          size_t *replay_index, struct mx_error *err)
{
    uint64_t revision = self->head.revision;

    for (size_t i = 0; i < count; i++) {
        int rc = SQLITE_OK;

        revision += requests[i].change_len > 0 ? 1 : 0;
        if (requests[i].id_len > 0) {
            rc = add_request(self, &requests[i], revision, err);
        }
        if (rc == SQLITE_CONSTRAINT_UNIQUE) {
            *replay_index = i;
            (void) mx_fail(err, MX_ABORTED, "the id of request %zu of the commit is known", i);
            return BACKEND_REPLAY;
        }
        if (rc != SQLITE_OK) {
            return writing_result(rc);
        }
    }
    return BACKEND_OK;
}

/* The records and the history. `position` moves from the head to behind the last change. */
static enum backend_result write_changes(struct sqlite_backend *self,
                                         const struct backend_request *requests, size_t count,
                                         struct position *position, struct mx_error *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = SQLITE_OK;

        if (requests[i].change_len == 0) {
            continue;
        }
        for (size_t k = 0; k < requests[i].edit_count && rc == SQLITE_OK; k++) {
            rc = apply_edit(self, &requests[i].edits[k], err);
        }
        *position = position_next(position, requests[i].change, requests[i].change_len);
        if (rc == SQLITE_OK) {
            rc = add_change(self, &requests[i], position, err);
        }
        if (rc != SQLITE_OK) {
            return writing_result(rc);
        }
    }
    return BACKEND_OK;
}

static enum backend_result begin_writing(struct sqlite_backend *self, struct mx_error *err)
{
    int rc = run(self, BEGIN, err);

    return rc == SQLITE_OK ? BACKEND_OK : writing_result(rc);
}

/*
 * Ends a transaction that went as `result` says. SQLite rolls back by itself on some errors. A
 * rollback that fails applies nothing, since there was no COMMIT, but leaves a connection that we
 * don't trust any more.
 */
static enum backend_result end_writing(struct sqlite_backend *self, enum backend_result result,
                                       struct mx_error *err)
{
    struct mx_error ignored;

    if (result == BACKEND_OK) {
        if (run(self, COMMIT, err) == SQLITE_OK) {
            return BACKEND_OK;
        }
        set_head(self, NULL, true);
        return BACKEND_UNKNOWN;
    }
    if (sqlite3_get_autocommit(self->db.handle) == 0 &&
        run(self, ROLLBACK, &ignored) != SQLITE_OK) {
        set_head(self, NULL, true);
    }
    return result;
}

static enum backend_result commit_in_turn(struct sqlite_backend *self,
                                          const struct position *expected,
                                          const struct backend_request *requests, size_t count,
                                          struct position *position_out, size_t *replay_index,
                                          struct mx_error *err)
{
    struct position position = self->head;
    enum backend_result result;

    if (self->in_doubt) {
        return refuse_in_doubt(self, err);
    }
    if (!position_equal(expected, &self->head)) {
        (void) mx_fail(
            err, MX_ABORTED, "the head is at revision %llu, not where the commit expects it (%llu)",
            (unsigned long long) self->head.revision, (unsigned long long) expected->revision);
        return BACKEND_CONFLICT;
    }
    result = begin_writing(self, err);
    if (result == BACKEND_OK) {
        result = write_requests(self, requests, count, replay_index, err);
    }
    if (result == BACKEND_OK) {
        result = write_changes(self, requests, count, &position, err);
    }
    result = end_writing(self, result, err);
    if (result == BACKEND_OK) {
        set_head(self, &position, false);
        *position_out = position;
    }
    return result;
}

static enum backend_result backend_commit(struct backend *backend, const struct position *expected,
                                          const struct backend_request *requests, size_t count,
                                          int64_t deadline_ms, struct position *position_out,
                                          size_t *replay_index, struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    enum backend_result result = check_size(requests, count, err);

    (void) deadline_ms; /* see backend_sqlite.h */
    if (result == BACKEND_OK) {
        turns_take(&self->turns, TURN_COMMIT);
        result = commit_in_turn(self, expected, requests, count, position_out, replay_index, err);
        turns_give(&self->turns, TURN_COMMIT);
    }
    return result;
}

/* ------------------------------------------------------------------- trimming */

/* The base moves to the newest change that is dropped. */
static enum backend_result drop_changes(struct sqlite_backend *self, struct position *base,
                                        struct mx_error *err)
{
    enum backend_result result = chain_of(self, base->revision, base->chain, err);
    int rc;

    if (result != BACKEND_OK) {
        return BACKEND_FAILED;
    }
    bind_number(self, DROP_CHANGES, 1, base->revision);
    rc = run(self, DROP_CHANGES, err);
    if (rc == SQLITE_OK) {
        bind_number(self, MOVE_BASE, 1, base->revision);
        bind_blob(self, MOVE_BASE, 2, base->chain, DIGEST_SIZE);
        rc = run(self, MOVE_BASE, err);
    }
    return rc == SQLITE_OK ? BACKEND_OK : writing_result(rc);
}

static enum backend_result drop_requests(struct sqlite_backend *self, int64_t before_us,
                                         size_t limit, bool *more, struct mx_error *err)
{
    int rc;

    bind_number(self, DROP_REQUESTS, 1, (uint64_t) before_us);
    bind_number(self, DROP_REQUESTS, 2, limit);
    rc = run(self, DROP_REQUESTS, err);
    if (rc != SQLITE_OK) {
        return writing_result(rc);
    }
    *more = *more || (size_t) sqlite3_changes(self->db.handle) >= limit;
    return BACKEND_OK;
}

static enum backend_result trim_in_turn(struct sqlite_backend *self, uint64_t below_revision,
                                        int64_t ids_before_us, size_t limit, bool *more_out,
                                        struct mx_error *err)
{
    uint64_t last = below_revision == 0 ? 0 : below_revision - 1;
    struct position base = self->base;
    enum backend_result result;
    bool more = false;

    if (self->in_doubt) {
        return refuse_in_doubt(self, err);
    }
    last = last < self->head.revision ? last : self->head.revision;
    if (last > base.revision) {
        more = last - base.revision > limit;
        base.revision = more ? base.revision + limit : last;
    }
    result = begin_writing(self, err);
    if (result == BACKEND_OK && base.revision > self->base.revision) {
        result = drop_changes(self, &base, err);
    }
    if (result == BACKEND_OK) {
        result = drop_requests(self, ids_before_us, limit, &more, err);
    }
    result = end_writing(self, result, err);
    if (result == BACKEND_OK) {
        self->base = base;
        *more_out = more;
    }
    return result;
}

static enum backend_result backend_trim(struct backend *backend, uint64_t below_revision,
                                        int64_t ids_before_us, size_t limit, bool *more_out,
                                        struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    size_t step_limit = limit == 0 ? 1 : limit; /* each step does something, so that steps end */
    enum backend_result result;

    turns_take(&self->turns, TURN_OTHER);
    result = trim_in_turn(self, below_revision, ids_before_us,
                          step_limit > INT32_MAX ? INT32_MAX : step_limit, more_out, err);
    turns_give(&self->turns, TURN_OTHER);
    return result;
}

static const struct backend_ops sqlite_ops = {
    .name = "sqlite",
    .close = backend_close,
    .limits = backend_limits,
    .load = backend_load,
    .tail = backend_tail,
    .commit = backend_commit,
    .find = backend_find,
    .barrier = backend_barrier,
    .wait = backend_wait,
    .trim = backend_trim,
    .reopen = backend_reopen,
};

static struct sqlite_backend *backend_alloc(const char *path)
{
    struct sqlite_backend *self = calloc(1, sizeof(*self));
    pthread_condattr_t monotonic;

    if (self == NULL) {
        return NULL;
    }
    self->path = strdup(path);
    if (self->path == NULL) {
        free(self);
        return NULL;
    }
    self->backend.ops = &sqlite_ops;
    turns_init(&self->turns);
    (void) pthread_mutex_init(&self->head_lock, NULL);
    (void) pthread_condattr_init(&monotonic);
    (void) pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&self->head_moved, &monotonic);
    (void) pthread_condattr_destroy(&monotonic);
    return self;
}

enum mx_code backend_sqlite_open(const char *path, struct backend **backend_out,
                                 struct mx_error *err)
{
    struct sqlite_backend *self = backend_alloc(path);

    if (self == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    if (open_file(self, ABSENCE_CREATE, &self->head, err) != BACKEND_OK) {
        backend_free(self);
        return err->code;
    }
    *backend_out = &self->backend;
    return MX_OK;
}
