#include "support/backend_sim.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUESTS_MAX 4096
#define BYTES_MAX    ((size_t) 64 * 1024 * 1024)

struct blob {
    uint8_t *data;
    size_t len;
};

/* Byte keys in order, each with a value and, for a request, what is remembered beside it. */
struct entry {
    struct blob key;
    struct blob value;
    uint64_t revision;
    int64_t time_us;
    uint8_t digest[DIGEST_SIZE];
};

struct shelf {
    struct entry *entries;
    size_t count;
    size_t capacity;
};

struct sim_change {
    struct position position;
    int64_t time_us;
    struct blob bytes;
};

struct backend_sim_disk {
    pthread_mutex_t lock; /* protects all below, and the seeds and doubts of the backends on it */
    pthread_cond_t grown;
    struct shelf records;
    struct shelf requests;
    struct position base; /* before changes[0] */
    struct sim_change *changes;
    size_t change_count;
    size_t change_capacity;
};

struct sim {
    struct backend backend;
    struct backend_sim_disk *disk;
    struct backend_sim_faults faults;
    void (*rival)(void *context, struct backend_sim_disk *disk);
    void *rival_context;
    uint64_t seed;
    bool in_doubt;
};

static struct sim *sim_of(struct backend *backend)
{
    return (struct sim *) backend;
}

/* splitmix64: any seed is a good one. */
static uint64_t draw(struct sim *sim)
{
    uint64_t z = (sim->seed += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool happens(struct sim *sim, unsigned per_thousand)
{
    return per_thousand > 0 && draw(sim) % 1000 < per_thousand;
}

/* --------------------------------------------------------------------- shelves */

/* A test's helper has no better answer to a lack of memory. */
static void *must(void *memory)
{
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static struct blob blob_dup(const uint8_t *data, size_t len)
{
    struct blob blob = { must(malloc(len + 1)), len };

    if (len > 0) {
        memcpy(blob.data, data, len);
    }
    return blob;
}

static int compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    size_t shorter = a_len < b_len ? a_len : b_len;
    int order = shorter == 0 ? 0 : memcmp(a, b, shorter);

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

/* Where the key is or belongs. */
static size_t shelf_place(const struct shelf *shelf, const uint8_t *key, size_t key_len,
                          bool *found_out)
{
    size_t low = 0;
    size_t high = shelf->count;

    *found_out = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct blob *at = &shelf->entries[middle].key;
        int order = compare(key, key_len, at->data, at->len);

        if (order == 0) {
            *found_out = true;
            return middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static struct entry *shelf_find(const struct shelf *shelf, const uint8_t *key, size_t key_len)
{
    bool found;
    size_t place = shelf_place(shelf, key, key_len, &found);

    return found ? &shelf->entries[place] : NULL;
}

static struct entry *shelf_put(struct shelf *shelf, const uint8_t *key, size_t key_len,
                               const uint8_t *value, size_t value_len)
{
    bool found;
    size_t place = shelf_place(shelf, key, key_len, &found);
    struct entry *entry;

    if (!found && shelf->count == shelf->capacity) {
        shelf->capacity = shelf->capacity == 0 ? 64 : shelf->capacity * 2;
        shelf->entries = must(realloc(shelf->entries, shelf->capacity * sizeof(*shelf->entries)));
    }
    entry = &shelf->entries[place];
    if (found) {
        free(entry->value.data);
    } else {
        memmove(entry + 1, entry, (shelf->count - place) * sizeof(*entry));
        memset(entry, 0, sizeof(*entry));
        entry->key = blob_dup(key, key_len);
        shelf->count++;
    }
    entry->value = blob_dup(value, value_len);
    return entry;
}

static void shelf_remove(struct shelf *shelf, size_t place)
{
    struct entry *entry = &shelf->entries[place];

    free(entry->key.data);
    free(entry->value.data);
    shelf->count--;
    memmove(entry, entry + 1, (shelf->count - place) * sizeof(*entry));
}

static void shelf_delete(struct shelf *shelf, const uint8_t *key, size_t key_len)
{
    bool found;
    size_t place = shelf_place(shelf, key, key_len, &found);

    if (found) {
        shelf_remove(shelf, place);
    }
}

static void shelf_fini(struct shelf *shelf)
{
    while (shelf->count > 0) {
        shelf_remove(shelf, shelf->count - 1);
    }
    free(shelf->entries);
}

/* ------------------------------------------------------------------------ disk */

struct backend_sim_disk *backend_sim_disk_create(void)
{
    struct backend_sim_disk *disk = must(calloc(1, sizeof(*disk)));
    pthread_condattr_t monotonic;

    (void) pthread_mutex_init(&disk->lock, NULL);
    (void) pthread_condattr_init(&monotonic);
    (void) pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&disk->grown, &monotonic);
    (void) pthread_condattr_destroy(&monotonic);
    return disk;
}

void backend_sim_disk_destroy(struct backend_sim_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    for (size_t i = 0; i < disk->change_count; i++) {
        free(disk->changes[i].bytes.data);
    }
    free(disk->changes);
    shelf_fini(&disk->records);
    shelf_fini(&disk->requests);
    (void) pthread_cond_destroy(&disk->grown);
    (void) pthread_mutex_destroy(&disk->lock);
    free(disk);
}

static struct position head_of(const struct backend_sim_disk *disk)
{
    return disk->change_count == 0 ? disk->base : disk->changes[disk->change_count - 1].position;
}

static void add_change(struct backend_sim_disk *disk, const struct backend_request *request)
{
    struct position head = head_of(disk);

    if (disk->change_count == disk->change_capacity) {
        disk->change_capacity = disk->change_capacity == 0 ? 64 : disk->change_capacity * 2;
        disk->changes =
            must(realloc(disk->changes, disk->change_capacity * sizeof(*disk->changes)));
    }
    disk->changes[disk->change_count++] = (struct sim_change){
        .position = position_next(&head, request->change, request->change_len),
        .time_us = request->time_us,
        .bytes = blob_dup(request->change, request->change_len),
    };
}

static void apply(struct backend_sim_disk *disk, const struct backend_request *request)
{
    struct entry *remembered;

    if (request->change_len > 0) {
        for (size_t i = 0; i < request->edit_count; i++) {
            const struct backend_edit *edit = &request->edits[i];
            if (edit->after == NULL) {
                shelf_delete(&disk->records, edit->key, edit->key_len);
            } else {
                (void) shelf_put(&disk->records, edit->key, edit->key_len, edit->after,
                                 edit->after_len);
            }
        }
        add_change(disk, request);
    }
    if (request->id_len > 0) {
        remembered = shelf_put(&disk->requests, request->id, request->id_len, request->answer,
                               request->answer_len);
        remembered->revision = head_of(disk).revision;
        remembered->time_us = request->time_us;
        memcpy(remembered->digest, request->digest, DIGEST_SIZE);
    }
    (void) pthread_cond_broadcast(&disk->grown);
}

void backend_sim_append(struct backend_sim_disk *disk, const struct backend_request *request)
{
    (void) pthread_mutex_lock(&disk->lock);
    apply(disk, request);
    (void) pthread_mutex_unlock(&disk->lock);
}

void backend_sim_disk_damage(struct backend_sim_disk *disk, uint64_t revision)
{
    (void) pthread_mutex_lock(&disk->lock);
    for (size_t i = 0; i < disk->change_count; i++) {
        if (disk->changes[i].position.revision == revision) {
            disk->changes[i].bytes.data[disk->changes[i].bytes.len / 2] ^= 1;
        }
    }
    (void) pthread_mutex_unlock(&disk->lock);
}

/* -------------------------------------------------------------------- reading */

static enum backend_result refuse(struct mx_error *err, const char *what)
{
    (void) mx_fail(err, MX_UNAVAILABLE, "the simulator %s", what);
    return BACKEND_UNAVAILABLE;
}

static void sim_close(struct backend *backend)
{
    free(sim_of(backend));
}

static void sim_limits(struct backend *backend, struct backend_limits *limits_out)
{
    struct sim *sim = sim_of(backend);

    (void) pthread_mutex_lock(&sim->disk->lock);
    *limits_out = (struct backend_limits){
        .shared = sim->faults.conflict > 0 || sim->faults.replay > 0,
        .commit_requests_max = REQUESTS_MAX,
        .commit_bytes_max = BYTES_MAX,
    };
    (void) pthread_mutex_unlock(&sim->disk->lock);
}

static enum backend_result load_locked(struct sim *sim, backend_record_fn record, void *context,
                                       struct position *position_out, struct mx_error *err)
{
    const struct shelf *records = &sim->disk->records;

    if (sim->in_doubt || happens(sim, sim->faults.load_unavailable)) {
        return refuse(err, "can't be read now");
    }
    for (size_t i = 0; i < records->count; i++) {
        const struct entry *entry = &records->entries[i];
        if (!record(context, entry->key.data, entry->key.len, entry->value.data,
                    entry->value.len)) {
            break;
        }
    }
    *position_out = head_of(sim->disk);
    return BACKEND_OK;
}

static enum backend_result sim_load(struct backend *backend, backend_record_fn record,
                                    void *context, struct position *position_out,
                                    struct mx_error *err)
{
    struct sim *sim = sim_of(backend);
    enum backend_result result;

    (void) pthread_mutex_lock(&sim->disk->lock);
    result = load_locked(sim, record, context, position_out, err);
    (void) pthread_mutex_unlock(&sim->disk->lock);
    return result;
}

static void drop_changes(struct backend_sim_disk *disk, size_t count)
{
    if (count == 0) {
        return;
    }
    disk->base = disk->changes[count - 1].position;
    for (size_t i = 0; i < count; i++) {
        free(disk->changes[i].bytes.data);
    }
    disk->change_count -= count;
    memmove(disk->changes, disk->changes + count, disk->change_count * sizeof(*disk->changes));
}

static enum backend_result locate(struct sim *sim, const struct position *after,
                                  struct position *ours_out, uint64_t *floor_out,
                                  struct mx_error *err)
{
    static const uint8_t any[DIGEST_SIZE];
    const struct backend_sim_disk *disk = sim->disk;

    if (after->revision < disk->base.revision) {
        *floor_out = disk->base.revision;
        (void) mx_fail(err, MX_OUT_OF_RANGE, "the simulator's history is trimmed");
        return BACKEND_COMPACTED;
    }
    if (after->revision <= head_of(disk).revision) {
        size_t index = (size_t) (after->revision - disk->base.revision);
        *ours_out = index == 0 ? disk->base : disk->changes[index - 1].position;
        if (memcmp(after->chain, any, DIGEST_SIZE) == 0 || position_equal(after, ours_out)) {
            return BACKEND_OK;
        }
    }
    (void) mx_fail(err, MX_OUT_OF_RANGE, "the simulator knows no such position");
    return BACKEND_DIVERGED;
}

/* Copies the next change, so that it can be handed out without the lock. */
static enum backend_result take_next(struct sim *sim, const struct position *cursor,
                                     struct sim_change *change_out, uint64_t *floor_out,
                                     struct mx_error *err)
{
    struct backend_sim_disk *disk = sim->disk;
    const struct sim_change *change;
    struct position ours;
    struct position next;
    enum backend_result result = locate(sim, cursor, &ours, floor_out, err);

    change_out->bytes.data = NULL;
    if (result != BACKEND_OK || ours.revision == head_of(disk).revision) {
        return result;
    }
    change = &disk->changes[ours.revision - disk->base.revision];
    next = position_next(&ours, change->bytes.data, change->bytes.len);
    if (!position_equal(&next, &change->position)) {
        (void) mx_fail(err, MX_DATA_LOSS, "the simulator's chain does not hold");
        return BACKEND_CORRUPT;
    }
    *change_out = *change;
    change_out->bytes = blob_dup(change->bytes.data, change->bytes.len);
    return BACKEND_OK;
}

static enum backend_result tail_begin(struct sim *sim, uint64_t after, size_t *limit,
                                      struct mx_error *err)
{
    size_t kept = sim->disk->change_count;

    if (sim->in_doubt) {
        return refuse(err, "must be reopened");
    }
    if (kept > 0 && happens(sim, sim->faults.tail_compacted)) {
        uint64_t behind = after - sim->disk->base.revision;
        drop_changes(sim->disk, behind < kept ? (size_t) behind + 1 : kept);
    }
    if (happens(sim, sim->faults.tail_late)) {
        *limit = (size_t) (draw(sim) % (kept + 1));
    }
    return BACKEND_OK;
}

static enum backend_result sim_tail(struct backend *backend, const struct position *after,
                                    size_t limit, backend_change_fn change, void *context,
                                    uint64_t *floor_out, struct mx_error *err)
{
    struct sim *sim = sim_of(backend);
    struct position cursor = *after;
    struct sim_change next;
    enum backend_result result;
    bool more = true;

    (void) pthread_mutex_lock(&sim->disk->lock);
    result = tail_begin(sim, after->revision, &limit, err);
    if (result == BACKEND_OK) {
        result = locate(sim, after, &cursor, floor_out, err);
    }
    while (result == BACKEND_OK && more && limit-- > 0) {
        result = take_next(sim, &cursor, &next, floor_out, err);
        if (result != BACKEND_OK || next.bytes.data == NULL) {
            break;
        }
        (void) pthread_mutex_unlock(&sim->disk->lock);
        more = change(context, &next.position, next.bytes.data, next.bytes.len, next.time_us);
        free(next.bytes.data);
        cursor = next.position;
        (void) pthread_mutex_lock(&sim->disk->lock);
    }
    (void) pthread_mutex_unlock(&sim->disk->lock);
    return result;
}

static enum backend_result find_locked(struct sim *sim, const uint8_t *id, size_t id_len,
                                       struct backend_found *found_out, struct mx_error *err)
{
    const struct entry *entry;

    if (sim->in_doubt || happens(sim, sim->faults.find_unavailable)) {
        return refuse(err, "can't look a request up now");
    }
    entry = shelf_find(&sim->disk->requests, id, id_len);
    if (entry == NULL) {
        (void) mx_fail(err, MX_NOT_FOUND, "the simulator knows no such request");
        return BACKEND_ABSENT;
    }
    found_out->revision = entry->revision;
    memcpy(found_out->digest, entry->digest, DIGEST_SIZE);
    found_out->answer = blob_dup(entry->value.data, entry->value.len).data;
    found_out->answer_len = entry->value.len;
    return BACKEND_OK;
}

static enum backend_result sim_find(struct backend *backend, const uint8_t *id, size_t id_len,
                                    struct backend_found *found_out, struct mx_error *err)
{
    struct sim *sim = sim_of(backend);
    enum backend_result result;

    (void) pthread_mutex_lock(&sim->disk->lock);
    result = find_locked(sim, id, id_len, found_out, err);
    (void) pthread_mutex_unlock(&sim->disk->lock);
    return result;
}

static enum backend_result sim_barrier(struct backend *backend, struct position *position_out,
                                       struct mx_error *err)
{
    struct sim *sim = sim_of(backend);
    enum backend_result result = BACKEND_OK;

    (void) pthread_mutex_lock(&sim->disk->lock);
    if (sim->in_doubt || happens(sim, sim->faults.barrier_unavailable)) {
        result = refuse(err, "can't prove its position now");
    } else {
        *position_out = head_of(sim->disk);
    }
    (void) pthread_mutex_unlock(&sim->disk->lock);
    return result;
}

static bool sim_wait(struct backend *backend, uint64_t revision, int64_t deadline_ms)
{
    struct sim *sim = sim_of(backend);
    int64_t at = deadline_ms < 0 ? 0 : deadline_ms;
    struct timespec until = { .tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000 };
    bool early;
    bool deaf;
    bool there;
    int rc = 0;

    (void) pthread_mutex_lock(&sim->disk->lock);
    early = happens(sim, sim->faults.wait_early);
    deaf = happens(sim, sim->faults.wait_never);
    while (!early && rc == 0 && (deaf || head_of(sim->disk).revision <= revision)) {
        rc = pthread_cond_timedwait(&sim->disk->grown, &sim->disk->lock, &until);
    }
    there = early || (!deaf && head_of(sim->disk).revision > revision);
    (void) pthread_mutex_unlock(&sim->disk->lock);
    return there;
}

/* -------------------------------------------------------------------- writing */

static enum backend_result check_size(const struct backend_request *requests, size_t count,
                                      struct mx_error *err)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count && i <= REQUESTS_MAX; i++) {
        if (requests[i].id_len > BACKEND_REQUEST_ID_MAX) {
            (void) mx_fail(err, MX_INVALID_ARGUMENT, "a request id of %zu bytes; at most %d",
                           requests[i].id_len, BACKEND_REQUEST_ID_MAX);
            return BACKEND_FAILED;
        }
        bytes += requests[i].change_len + requests[i].answer_len;
    }
    if (count > REQUESTS_MAX || bytes > BYTES_MAX) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "the commit is beyond the simulator's limits");
        return BACKEND_TOO_BIG;
    }
    return BACKEND_OK;
}

static bool same_id(const struct backend_request *a, const struct backend_request *b)
{
    return a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}

/* Whether the id is remembered, or given twice in the commit. */
static bool is_known(const struct sim *sim, const struct backend_request *requests, size_t index)
{
    const struct backend_request *request = &requests[index];

    if (request->id_len == 0) {
        return false;
    }
    for (size_t i = 0; i < index; i++) {
        if (same_id(&requests[i], request)) {
            return true;
        }
    }
    return shelf_find(&sim->disk->requests, request->id, request->id_len) != NULL;
}

static enum backend_result judge(struct sim *sim, const struct position *expected,
                                 const struct backend_request *requests, size_t count,
                                 size_t *replay_index, struct mx_error *err)
{
    struct position head = head_of(sim->disk);

    if (!position_equal(expected, &head)) {
        (void) mx_fail(err, MX_ABORTED, "the simulator's head is at revision %llu",
                       (unsigned long long) head.revision);
        return BACKEND_CONFLICT;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_known(sim, requests, i)) {
            *replay_index = i;
            (void) mx_fail(err, MX_ABORTED, "the simulator knows the id of request %zu", i);
            return BACKEND_REPLAY;
        }
    }
    return BACKEND_OK;
}

/* Another instance appends something, and we come too late. */
static enum backend_result fault_conflict(struct sim *sim, struct mx_error *err)
{
    static const uint8_t nothing[] = { 0x01, 0x00, 0x00 }; /* a change without edits */

    if (sim->rival != NULL) {
        (void) pthread_mutex_unlock(&sim->disk->lock);
        sim->rival(sim->rival_context, sim->disk);
        (void) pthread_mutex_lock(&sim->disk->lock);
    } else {
        apply(sim->disk,
              &(struct backend_request){ .change = nothing, .change_len = sizeof(nothing) });
    }
    (void) mx_fail(err, MX_ABORTED, "another instance was first");
    return BACKEND_CONFLICT;
}

/* A client's other attempt reached another instance, which was first. */
static enum backend_result fault_replay(struct sim *sim, const struct backend_request *requests,
                                        size_t index, size_t *replay_index, struct mx_error *err)
{
    apply(sim->disk, &requests[index]);
    *replay_index = index;
    (void) mx_fail(err, MX_ABORTED, "another instance was first with request %zu", index);
    return BACKEND_REPLAY;
}

static enum backend_result fault(struct mx_error *err, enum mx_code code,
                                 enum backend_result result)
{
    (void) mx_fail(err, code, "the simulator was told to answer %s", backend_result_name(result));
    return result;
}

static void apply_all(struct sim *sim, const struct backend_request *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        apply(sim->disk, &requests[i]);
    }
}

static enum backend_result commit_sound(struct sim *sim, const struct backend_request *requests,
                                        size_t count, size_t *replay_index, struct mx_error *err)
{
    const struct backend_sim_faults *faults = &sim->faults;

    if (happens(sim, faults->conflict)) {
        return fault_conflict(sim, err);
    }
    if (count > 0 && happens(sim, faults->replay)) {
        size_t index = (size_t) (draw(sim) % count);
        if (requests[index].id_len > 0) {
            return fault_replay(sim, requests, index, replay_index, err);
        }
    }
    if (happens(sim, faults->too_big)) {
        return fault(err, MX_RESOURCE_EXHAUSTED, BACKEND_TOO_BIG);
    }
    if (happens(sim, faults->read_only)) {
        return fault(err, MX_RESOURCE_EXHAUSTED, BACKEND_READ_ONLY);
    }
    if (happens(sim, faults->failed)) {
        return fault(err, MX_INTERNAL, BACKEND_FAILED);
    }
    if (happens(sim, faults->unknown_not_applied)) {
        sim->in_doubt = true;
        return fault(err, MX_UNAVAILABLE, BACKEND_UNKNOWN);
    }
    apply_all(sim, requests, count);
    if (happens(sim, faults->unknown_applied)) {
        sim->in_doubt = true;
        return fault(err, MX_UNAVAILABLE, BACKEND_UNKNOWN);
    }
    return BACKEND_OK;
}

static enum backend_result sim_commit(struct backend *backend, const struct position *expected,
                                      const struct backend_request *requests, size_t count,
                                      int64_t deadline_ms, struct position *position_out,
                                      size_t *replay_index, struct mx_error *err)
{
    struct sim *sim = sim_of(backend);
    enum backend_result result = check_size(requests, count, err);

    (void) deadline_ms; /* never late */
    (void) pthread_mutex_lock(&sim->disk->lock);
    if (result == BACKEND_OK && (sim->in_doubt || happens(sim, sim->faults.unavailable))) {
        result = refuse(err, "can't be reached now");
    }
    if (result == BACKEND_OK) {
        result = judge(sim, expected, requests, count, replay_index, err);
    }
    if (result == BACKEND_OK) {
        result = commit_sound(sim, requests, count, replay_index, err);
    }
    if (result == BACKEND_OK) {
        *position_out = head_of(sim->disk);
    }
    (void) pthread_mutex_unlock(&sim->disk->lock);
    return result;
}

static bool drop_requests(struct shelf *requests, int64_t before_us, size_t limit)
{
    size_t dropped = 0;

    for (size_t i = 0; i < requests->count && dropped < limit;) {
        if (requests->entries[i].time_us < before_us) {
            shelf_remove(requests, i);
            dropped++;
        } else {
            i++;
        }
    }
    return dropped >= limit;
}

static enum backend_result sim_trim(struct backend *backend, uint64_t below_revision,
                                    int64_t ids_before_us, size_t limit, bool *more_out,
                                    struct mx_error *err)
{
    struct sim *sim = sim_of(backend);
    struct backend_sim_disk *disk = sim->disk;
    enum backend_result result = BACKEND_OK;
    uint64_t last = below_revision == 0 ? 0 : below_revision - 1;
    size_t step = limit == 0 ? 1 : limit;

    (void) pthread_mutex_lock(&disk->lock);
    if (sim->in_doubt) {
        result = refuse(err, "must be reopened");
    } else {
        uint64_t behind = last > disk->base.revision ? last - disk->base.revision : 0;
        size_t all = behind < disk->change_count ? (size_t) behind : disk->change_count;
        drop_changes(disk, all < step ? all : step);
        *more_out = drop_requests(&disk->requests, ids_before_us, step) || all > step;
    }
    (void) pthread_mutex_unlock(&disk->lock);
    return result;
}

static enum backend_result sim_reopen(struct backend *backend, struct mx_error *err)
{
    struct sim *sim = sim_of(backend);
    enum backend_result result = BACKEND_OK;

    (void) pthread_mutex_lock(&sim->disk->lock);
    if (happens(sim, sim->faults.reopen_unavailable)) {
        result = refuse(err, "can't be opened now");
        sim->in_doubt = true;
    } else {
        sim->in_doubt = false;
    }
    (void) pthread_mutex_unlock(&sim->disk->lock);
    return result;
}

static const struct backend_ops sim_ops = {
    .name = "sim",
    .close = sim_close,
    .limits = sim_limits,
    .load = sim_load,
    .tail = sim_tail,
    .commit = sim_commit,
    .find = sim_find,
    .barrier = sim_barrier,
    .wait = sim_wait,
    .trim = sim_trim,
    .reopen = sim_reopen,
};

struct backend *backend_sim_open(struct backend_sim_disk *disk, uint64_t seed)
{
    struct sim *sim = must(calloc(1, sizeof(*sim)));

    sim->backend.ops = &sim_ops;
    sim->disk = disk;
    sim->seed = seed;
    return &sim->backend;
}

void backend_sim_set_faults(struct backend *backend, const struct backend_sim_faults *faults)
{
    struct sim *sim = sim_of(backend);

    (void) pthread_mutex_lock(&sim->disk->lock);
    sim->faults = faults == NULL ? (struct backend_sim_faults){ 0 } : *faults;
    (void) pthread_mutex_unlock(&sim->disk->lock);
}

void backend_sim_set_rival(struct backend *backend,
                           void (*rival)(void *context, struct backend_sim_disk *disk),
                           void *context)
{
    struct sim *sim = sim_of(backend);

    (void) pthread_mutex_lock(&sim->disk->lock);
    sim->rival = rival;
    sim->rival_context = context;
    (void) pthread_mutex_unlock(&sim->disk->lock);
}
