#include "base/buffer.h"
#include "db/backend_sqlite_private.h"

#include <stdlib.h>

/* A step of a tail: what is read in one turn. Bytes, since a change may have 16 MiB. */
#define TAIL_STEP_ROWS  256
#define TAIL_STEP_BYTES ((size_t) 1024 * 1024)

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
    return rc == SQLITE_DONE ? BACKEND_OK : sqlite_backend_reading_result(rc);
}

enum backend_result sqlite_backend_load(struct backend *backend, backend_record_fn record,
                                        void *context, struct position *position_out,
                                        struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    enum backend_result result;

    turns_take(&self->turns, TURN_OTHER);
    result = self->in_doubt ? sqlite_backend_refuse(self, err)
                            : load_in_turn(self, record, context, err);
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
        return sqlite_backend_refuse(self, err);
    }
    if (cursor->revision < self->base.revision) {
        return compacted(self, cursor->revision, floor_out, err);
    }
    if (cursor->revision <= self->head.revision) {
        result = sqlite_backend_chain_of(self, cursor->revision, ours.chain, err);
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
        return sqlite_backend_damaged(self, "a change without a chain", revision, err);
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
        return sqlite_backend_reading_result(rc);
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
            return sqlite_backend_damaged(self, "the chain does not hold", next.revision, err);
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

enum backend_result sqlite_backend_tail(struct backend *backend, const struct position *after,
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
        (void) sqlite_backend_damaged(self, "a request without a digest", found.revision, err);
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
        return sqlite_backend_refuse(self, err);
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

enum backend_result sqlite_backend_find(struct backend *backend, const uint8_t *id, size_t id_len,
                                        struct backend_found *found_out, struct mx_error *err)
{
    struct sqlite_backend *self = self_of(backend);
    enum backend_result result;

    turns_take(&self->turns, TURN_OTHER);
    result = find_in_turn(self, id, id_len, found_out, err);
    turns_give(&self->turns, TURN_OTHER);
    return result;
}
