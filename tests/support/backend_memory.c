#include "support/backend_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    uint8_t *data;
    size_t len;
};

struct record {
    struct bytes key;
    struct bytes value;
};

struct entry {
    struct position position;
    struct bytes change;
    int64_t time_us;
};

struct remembered {
    struct bytes id;
    struct bytes answer;
    uint8_t digest[DIGEST_SIZE];
    uint64_t revision;
};

struct memory {
    struct backend backend;
    struct record *records; /* in order of keys */
    size_t record_count;
    struct entry *entries;
    size_t entry_count;
    uint64_t floor; /* the oldest revision that can be asked after */
    struct remembered *requests;
    size_t request_count;
    struct position head;
    enum memory_fate fate;
    unsigned unreachable;
    struct backend_limits limits;
    size_t commits;
};

static struct memory *memory_of(const struct backend *backend)
{
    return (struct memory *) (uintptr_t) backend;
}

static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static struct bytes bytes_dup(const uint8_t *data, size_t len)
{
    struct bytes copy = { must(malloc(len + 1)), len };

    if (len > 0) {
        memcpy(copy.data, data, len);
    }
    return copy;
}

static void record_free(struct record *record)
{
    free(record->key.data);
    free(record->value.data);
}

static void memory_close(struct backend *backend)
{
    struct memory *memory = memory_of(backend);

    for (size_t i = 0; i < memory->record_count; i++) {
        record_free(&memory->records[i]);
    }
    for (size_t i = 0; i < memory->entry_count; i++) {
        free(memory->entries[i].change.data);
    }
    for (size_t i = 0; i < memory->request_count; i++) {
        free(memory->requests[i].id.data);
        free(memory->requests[i].answer.data);
    }
    free(memory->records);
    free(memory->entries);
    free(memory->requests);
    free(memory);
}

static void memory_limits(struct backend *backend, struct backend_limits *limits_out)
{
    *limits_out = memory_of(backend)->limits;
}

static enum backend_result memory_load(struct backend *backend, backend_record_fn record,
                                       void *context, struct position *position_out,
                                       struct mx_error *err)
{
    struct memory *memory = memory_of(backend);

    (void) err;
    for (size_t i = 0; i < memory->record_count; i++) {
        const struct record *at = &memory->records[i];
        if (!record(context, at->key.data, at->key.len, at->value.data, at->value.len)) {
            break;
        }
    }
    *position_out = memory->head;
    return BACKEND_OK;
}

static enum backend_result memory_tail(struct backend *backend, const struct position *after,
                                       size_t limit, backend_change_fn change, void *context,
                                       uint64_t *floor_out, struct mx_error *err)
{
    struct memory *memory = memory_of(backend);
    size_t told = 0;

    (void) err;
    if (after->revision < memory->floor) {
        *floor_out = memory->floor;
        return BACKEND_COMPACTED;
    }
    if (after->revision > memory->head.revision) {
        return BACKEND_DIVERGED;
    }
    for (size_t i = 0; i < memory->entry_count && told < limit; i++) {
        const struct entry *at = &memory->entries[i];
        if (at->position.revision > after->revision) {
            told++;
            if (!change(context, &at->position, at->change.data, at->change.len, at->time_us)) {
                break;
            }
        }
    }
    return BACKEND_OK;
}

/* Where the key is or would be. */
static size_t record_place(const struct memory *memory, const uint8_t *key, size_t key_len,
                           bool *there_out)
{
    size_t low = 0;
    size_t high = memory->record_count;

    *there_out = false;
    while (low < high && !*there_out) {
        size_t middle = (low + high) / 2;
        const struct bytes *at = &memory->records[middle].key;
        int order = memcmp(at->data, key, at->len < key_len ? at->len : key_len);
        if (order == 0) {
            order = (at->len > key_len) - (at->len < key_len);
        }
        if (order == 0) {
            *there_out = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void apply_edit(struct memory *memory, const struct backend_edit *edit)
{
    bool there;
    size_t place = record_place(memory, edit->key, edit->key_len, &there);
    struct record *at;
    size_t behind = memory->record_count - place;

    if (there) {
        at = &memory->records[place];
        record_free(at);
        memmove(at, at + 1, (behind - 1) * sizeof(*at));
        memory->record_count--;
        behind--;
    }
    if (edit->after != NULL) {
        memory->records =
            must(realloc(memory->records, (memory->record_count + 1) * sizeof(memory->records[0])));
        at = &memory->records[place];
        memmove(at + 1, at, behind * sizeof(*at));
        at->key = bytes_dup(edit->key, edit->key_len);
        at->value = bytes_dup(edit->after, edit->after_len);
        memory->record_count++;
    }
}

static void append(struct memory *memory, const struct backend_request *request)
{
    if (request->change_len > 0) {
        memory->head = position_next(&memory->head, request->change, request->change_len);
        memory->entries =
            must(realloc(memory->entries, (memory->entry_count + 1) * sizeof(memory->entries[0])));
        memory->entries[memory->entry_count++] =
            (struct entry){ memory->head, bytes_dup(request->change, request->change_len),
                            request->time_us };
    }
    for (size_t i = 0; i < request->edit_count; i++) {
        apply_edit(memory, &request->edits[i]);
    }
    if (request->id_len > 0) {
        struct remembered *added;
        memory->requests = must(
            realloc(memory->requests, (memory->request_count + 1) * sizeof(memory->requests[0])));
        added = &memory->requests[memory->request_count++];
        added->id = bytes_dup(request->id, request->id_len);
        added->answer = bytes_dup(request->answer, request->answer_len);
        added->revision = memory->head.revision;
        memcpy(added->digest, request->digest, DIGEST_SIZE);
    }
}

static const struct remembered *find_request(const struct memory *memory, const uint8_t *id,
                                             size_t id_len)
{
    for (size_t i = 0; i < memory->request_count; i++) {
        const struct bytes *at = &memory->requests[i].id;
        if (at->len == id_len && memcmp(at->data, id, id_len) == 0) {
            return &memory->requests[i];
        }
    }
    return NULL;
}

static enum backend_result result_of(enum memory_fate fate)
{
    switch (fate) {
    case FATE_OK:
        return BACKEND_OK;
    case FATE_CONFLICT:
        return BACKEND_CONFLICT;
    case FATE_REPLAY:
        return BACKEND_REPLAY;
    case FATE_TOO_BIG:
        return BACKEND_TOO_BIG;
    case FATE_READ_ONLY:
        return BACKEND_READ_ONLY;
    case FATE_FAILED:
        return BACKEND_FAILED;
    case FATE_UNKNOWN_APPLIED:
    case FATE_UNKNOWN_LOST:
        return BACKEND_UNKNOWN;
    }
    return BACKEND_FAILED;
}

static enum backend_result memory_commit(struct backend *backend, const struct position *expected,
                                         const struct backend_request *requests, size_t count,
                                         int64_t deadline_ms, struct position *position_out,
                                         size_t *replay_index, struct mx_error *err)
{
    struct memory *memory = memory_of(backend);
    enum memory_fate fate = memory->fate;

    (void) deadline_ms;
    memory->fate = FATE_OK;
    memory->commits++;
    if (fate == FATE_OK || fate == FATE_UNKNOWN_APPLIED) {
        if (!position_equal(expected, &memory->head)) {
            return BACKEND_CONFLICT;
        }
        for (size_t i = 0; i < count; i++) {
            if (find_request(memory, requests[i].id, requests[i].id_len) != NULL) {
                *replay_index = i;
                return BACKEND_REPLAY;
            }
        }
        for (size_t i = 0; i < count; i++) {
            append(memory, &requests[i]);
        }
        *position_out = memory->head;
    }
    if (fate != FATE_OK) {
        (void) mx_fail(err, MX_INTERNAL, "as the test wants it");
    }
    return result_of(fate);
}

static enum backend_result memory_find(struct backend *backend, const uint8_t *id, size_t id_len,
                                       struct backend_found *found_out, struct mx_error *err)
{
    const struct remembered *found = find_request(memory_of(backend), id, id_len);

    (void) err;
    if (found == NULL) {
        return BACKEND_ABSENT;
    }
    found_out->revision = found->revision;
    memcpy(found_out->digest, found->digest, DIGEST_SIZE);
    found_out->answer = bytes_dup(found->answer.data, found->answer.len).data;
    found_out->answer_len = found->answer.len;
    return BACKEND_OK;
}

static enum backend_result memory_barrier(struct backend *backend, struct position *position_out,
                                          struct mx_error *err)
{
    (void) err;
    *position_out = memory_of(backend)->head;
    return BACKEND_OK;
}

static bool memory_wait(struct backend *backend, uint64_t revision, int64_t deadline_ms)
{
    (void) deadline_ms;
    return memory_of(backend)->head.revision > revision;
}

static enum backend_result memory_trim(struct backend *backend, uint64_t below_revision,
                                       int64_t ids_before_us, size_t limit, bool *more_out,
                                       struct mx_error *err)
{
    struct memory *memory = memory_of(backend);

    (void) ids_before_us;
    (void) limit;
    (void) err;
    memory->floor = below_revision - 1;
    *more_out = false;
    return BACKEND_OK;
}

static enum backend_result memory_reopen(struct backend *backend, struct mx_error *err)
{
    struct memory *memory = memory_of(backend);

    if (memory->unreachable > 0) {
        memory->unreachable--;
        (void) mx_fail(err, MX_UNAVAILABLE, "not reachable");
        return BACKEND_UNAVAILABLE;
    }
    return BACKEND_OK;
}

static const struct backend_ops memory_ops = {
    .name = "memory",
    .close = memory_close,
    .limits = memory_limits,
    .load = memory_load,
    .tail = memory_tail,
    .commit = memory_commit,
    .find = memory_find,
    .barrier = memory_barrier,
    .wait = memory_wait,
    .trim = memory_trim,
    .reopen = memory_reopen,
};

struct backend *backend_memory_create(void)
{
    struct memory *memory = must(calloc(1, sizeof(*memory)));

    memory->backend.ops = &memory_ops;
    memory->limits = (struct backend_limits){ false, SIZE_MAX, SIZE_MAX, 0 };
    return &memory->backend;
}

void backend_memory_set_fate(struct backend *backend, enum memory_fate fate)
{
    memory_of(backend)->fate = fate;
}

void backend_memory_set_unreachable(struct backend *backend, unsigned times)
{
    memory_of(backend)->unreachable = times;
}

void backend_memory_set_limits(struct backend *backend, size_t requests, size_t bytes)
{
    memory_of(backend)->limits.commit_requests_max = requests;
    memory_of(backend)->limits.commit_bytes_max = bytes;
}

size_t backend_memory_record_count(const struct backend *backend)
{
    return memory_of(backend)->record_count;
}

size_t backend_memory_commit_count(const struct backend *backend)
{
    return memory_of(backend)->commits;
}

struct position backend_memory_head(const struct backend *backend)
{
    return memory_of(backend)->head;
}

void backend_memory_spoil_history(struct backend *backend)
{
    struct memory *memory = memory_of(backend);

    memory->entries[memory->entry_count - 1].change.data[0] ^= 0xff;
}
