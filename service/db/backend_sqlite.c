#include "db/backend_sqlite.h"

#include "base/clock.h"
#include "db/backend_sqlite_private.h"

#include <stdlib.h>
#include <time.h>

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

void sqlite_backend_set_head(struct sqlite_backend *self, const struct position *head,
                             bool in_doubt)
{
    (void) pthread_mutex_lock(&self->head_lock);
    if (head != NULL) {
        self->head = *head;
    }
    self->in_doubt = in_doubt;
    (void) pthread_cond_broadcast(&self->head_moved);
    (void) pthread_mutex_unlock(&self->head_lock);
}

enum backend_result sqlite_backend_damaged(struct sqlite_backend *self, const char *what,
                                           uint64_t revision, struct mx_error *err)
{
    (void) mx_fail(err, MX_DATA_LOSS, "'%s' is damaged: %s at revision %llu", self->path, what,
                   (unsigned long long) revision);
    return BACKEND_CORRUPT;
}

enum backend_result sqlite_backend_refuse(struct sqlite_backend *self, struct mx_error *err)
{
    (void) mx_fail(err, MX_UNAVAILABLE, "'%s' must be reopened after a failed commit", self->path);
    return BACKEND_UNAVAILABLE;
}

enum backend_result sqlite_backend_reading_result(int failure)
{
    return sqlite_code(failure) == MX_DATA_LOSS ? BACKEND_CORRUPT : BACKEND_UNAVAILABLE;
}

enum backend_result sqlite_backend_chain_of(struct sqlite_backend *self, uint64_t revision,
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
        return rc == SQLITE_DONE ? sqlite_backend_damaged(self, "a gap", revision, err)
                                 : sqlite_backend_reading_result(rc);
    }
    sound = column_digest(self, CHAIN_OF_CHANGE, 0, chain_out);
    reset(self, CHAIN_OF_CHANGE);
    return sound ? BACKEND_OK
                 : sqlite_backend_damaged(self, "a change without a chain", revision, err);
}

/* ------------------------------------------------------------- open and close */

static enum backend_result read_base(struct sqlite_backend *self, struct mx_error *err)
{
    int rc = step(self, BASE, err);
    uint64_t oldest;
    bool sound;

    if (rc != SQLITE_ROW) {
        return rc == SQLITE_DONE ? sqlite_backend_damaged(self, "no base", 0, err)
                                 : sqlite_backend_reading_result(rc);
    }
    self->base.revision = column_number(self, BASE, 0);
    sound = column_digest(self, BASE, 1, self->base.chain);
    oldest = column_number(self, BASE, 2); /* 0: none kept */
    reset(self, BASE);
    if (!sound) {
        return sqlite_backend_damaged(self, "a base without a chain", self->base.revision, err);
    }
    if (oldest != 0 && oldest != self->base.revision + 1) {
        return sqlite_backend_damaged(self, "a gap", oldest, err);
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
        return rc == SQLITE_DONE ? BACKEND_OK : sqlite_backend_reading_result(rc);
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
    return sound ? BACKEND_OK
                 : sqlite_backend_damaged(self, "the chain does not hold", head.revision, err);
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
            return sqlite_backend_reading_result(rc);
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

/* What was acknowledged before must still be there. */
static enum backend_result check_kept(struct sqlite_backend *self, const struct position *head,
                                      struct mx_error *err)
{
    struct position kept = { .revision = self->head.revision };
    enum backend_result result;

    if (head->revision < self->head.revision) {
        return sqlite_backend_damaged(self, "acknowledged history is lost", head->revision, err);
    }
    result = sqlite_backend_chain_of(self, kept.revision, kept.chain, err);
    if (result == BACKEND_OK && !position_equal(&kept, &self->head)) {
        return sqlite_backend_damaged(self, "acknowledged history is another", kept.revision, err);
    }
    return result;
}

static enum backend_result backend_reopen(struct backend *backend, struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    struct position head;
    enum backend_result result;

    turns_take(&self->turns, TURN_COMMIT);
    sqlite_backend_set_head(self, NULL, true);
    close_file(self, FAREWELL_ABANDON);
    result = open_file(self, ABSENCE_REFUSE, &head, err);
    if (result == BACKEND_OK) {
        result = check_kept(self, &head, err);
    }
    if (result == BACKEND_OK) {
        sqlite_backend_set_head(self, &head, false);
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
        .alone_bytes_max = BACKEND_SQLITE_ALONE_BYTES_MAX,
    };
}

/* -------------------------------------------------------------------- waiting */

/* The file is ours alone: nobody else can have moved the head. */
static enum backend_result backend_barrier(struct backend *backend, struct position *position_out,
                                           struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    enum backend_result result = BACKEND_OK;

    (void) pthread_mutex_lock(&self->head_lock);
    if (self->in_doubt) {
        result = sqlite_backend_refuse(self, err);
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

static const struct backend_ops sqlite_ops = {
    .name = "sqlite",
    .close = backend_close,
    .limits = backend_limits,
    .load = sqlite_backend_load,
    .tail = sqlite_backend_tail,
    .commit = sqlite_backend_commit,
    .find = sqlite_backend_find,
    .barrier = backend_barrier,
    .wait = backend_wait,
    .trim = sqlite_backend_trim,
    .reopen = backend_reopen,
};

static struct sqlite_backend *backend_alloc(const char *path)
{
    struct sqlite_backend *self = calloc(1, sizeof(*self));

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
    clock_cond_init(&self->head_moved);
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
