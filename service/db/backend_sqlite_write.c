#include "db/backend_sqlite.h"
#include "db/backend_sqlite_private.h"

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

/* -------------------------------------------------------------------- writing */

static enum backend_result check_size(const struct backend_request *requests, size_t count,
                                      struct mx_error *err)
{
    size_t bytes_max = count == 1 ? BACKEND_SQLITE_ALONE_BYTES_MAX : BACKEND_SQLITE_BYTES_MAX;
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
    if (bytes > bytes_max) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "a commit of %zu bytes; at most %zu are taken",
                       bytes, bytes_max);
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
        sqlite_backend_set_head(self, NULL, true);
        return BACKEND_UNKNOWN;
    }
    if (sqlite3_get_autocommit(self->db.handle) == 0 &&
        run(self, ROLLBACK, &ignored) != SQLITE_OK) {
        sqlite_backend_set_head(self, NULL, true);
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
        return sqlite_backend_refuse(self, err);
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
        sqlite_backend_set_head(self, &position, false);
        *position_out = position;
    }
    return result;
}

enum backend_result sqlite_backend_commit(struct backend *backend, const struct position *expected,
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
    enum backend_result result = sqlite_backend_chain_of(self, base->revision, base->chain, err);
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
        return sqlite_backend_refuse(self, err);
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

enum backend_result sqlite_backend_trim(struct backend *backend, uint64_t below_revision,
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
