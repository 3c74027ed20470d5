/*
 * The life of a call, and what handlers may ask of it.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "rpc/internal.h"

#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------- life */

static struct rpc_call *call_create(void)
{
    struct rpc_call *call = calloc(1, sizeof(*call));

    if (call == NULL) {
        return NULL;
    }
    call->arena = arena_create(CALL_MEMORY_MAX);
    if (call->arena == NULL) {
        free(call);
        return NULL;
    }
    return call;
}

struct rpc_call *call_begin(struct rpc *rpc, struct rpc_exchange *exchange)
{
    struct rpc_call *call;
    struct arena *arena;

    (void) pthread_mutex_lock(&rpc->calls_lock);
    call = rpc->calls_free;
    if (call != NULL) {
        rpc->calls_free = call->next;
        rpc->calls_kept--;
    }
    rpc->live++;
    (void) pthread_mutex_unlock(&rpc->calls_lock);
    if (call == NULL) {
        call = call_create();
    }
    if (call == NULL) {
        (void) pthread_mutex_lock(&rpc->calls_lock);
        rpc->live--;
        (void) pthread_mutex_unlock(&rpc->calls_lock);
        return NULL;
    }
    arena = call->arena;
    memset(call, 0, sizeof(*call));
    call->arena = arena;
    call->rpc = rpc;
    call->exchange = exchange;
    call->method = "";
    call->tag = "";
    call->start_us = clock_mono_us();
    call->end = &call->first;
    call->whole = call;
    status_init(&call->status, arena);
    return call;
}

static void call_recycle(struct rpc_call *call)
{
    struct rpc *rpc = call->rpc;
    bool keep;

    arena_reset(call->arena);
    (void) pthread_mutex_lock(&rpc->calls_lock);
    keep = !call->small && rpc->calls_kept < CALLS_KEPT_MAX;
    if (keep) {
        call->next = rpc->calls_free;
        rpc->calls_free = call;
        rpc->calls_kept++;
    }
    rpc->live--;
    if (rpc->live == 0) {
        (void) pthread_cond_broadcast(&rpc->calls_none);
    }
    (void) pthread_mutex_unlock(&rpc->calls_lock);
    if (!keep) {
        arena_destroy(call->arena);
        free(call);
    }
}

static enum log_level level_of(const struct rpc_call *call)
{
    /* A change is in the history anyway: only who reads secrets must be told of here. */
    bool reads_secret = call->row != NULL && call->row->secret && call->row->access != RPC_CHANGE;

    if (reads_secret || call->status.code == MX_PERMISSION_DENIED ||
        call->status.code == MX_UNAUTHENTICATED) {
        return LOG_AUDIT;
    }
    return status_ok(&call->status) ? LOG_DEBUG : LOG_INFO;
}

/* What was refused within a batch that as a whole was not. */
static void log_denied(const struct rpc_call *call)
{
    const struct batch_part *part;
    size_t index = 0;

    while ((part = batch_next_denied(call, &index)) != NULL) {
        log_write(LOG_AUDIT, "refused", LOG_TEXT("method", part->method),
                  LOG_TEXT("tag", call->tag), LOG_TEXT("principal", call->principal->name),
                  LOG_TEXT("code", mx_code_name(part->status.code)),
                  LOG_TEXT("reason", part->status.reason),
                  LOG_TEXT("message", part->status.message), LOG_NUMBER("index", index - 1));
    }
}

/* Those of a batch alone come last. */
#define LOG_FIELDS       9
#define LOG_FIELDS_BATCH 11

static void log_call(const struct rpc_call *call)
{
    enum log_level level = level_of(call);
    bool batch = call->batch != NULL;
    struct log_field fields[LOG_FIELDS_BATCH] = {
        LOG_TEXT("method", call->method),
        LOG_TEXT("tag", call->tag),
        LOG_TEXT("principal", call->principal == NULL ? "" : call->principal->name),
        LOG_NUMBER("uid", call->exchange->peer.kind == RPC_PEER_UNIX
                              ? (int64_t) call->exchange->peer.uid
                              : -1),
        LOG_TEXT("code", mx_code_name(call->status.code)),
        LOG_TEXT("reason", call->status.reason),
        LOG_TEXT("message", call->status.message),
        LOG_NUMBER("revision", call->revision),
        LOG_NUMBER("us", clock_mono_us() - call->start_us),
    };

    if (batch) {
        log_denied(call);
    }
    if (!log_enabled(level)) {
        return;
    }
    if (batch) {
        fields[LOG_FIELDS] = LOG_NUMBER("calls", call->batch->count);
        fields[LOG_FIELDS + 1] = LOG_NUMBER("failed", batch_failures(call));
    }
    log_event(level, status_ok(&call->status) ? "call" : "refused", fields,
              batch ? LOG_FIELDS_BATCH : LOG_FIELDS);
}

/* A refused read speaks of its snapshot; all other refusals of the newest revision, whatever a
 * draft that came to nothing would have made. */
static void set_refused_revision(struct rpc_call *call)
{
    if (!status_ok(&call->status) && call->snapshot == NULL) {
        call->revision = store_revision(call->rpc->config.store);
    }
}

/* Counts one more, unless there are as many as may be. */
static bool count_up(atomic_uint *count, unsigned limit)
{
    if (atomic_fetch_add(count, 1) < limit) {
        return true;
    }
    atomic_fetch_sub(count, 1);
    return false;
}

static void end_wait(struct rpc_call *call)
{
    if (call->waits) {
        call->waits = false;
        atomic_fetch_sub(&call->rpc->waiting, 1);
        atomic_fetch_sub(&call->principal->waiting, 1);
    }
}

/* It is not being served while it waits. */
static void uncount(struct rpc_call *call)
{
    if (call->counted) {
        atomic_fetch_sub(&call->principal->in_flight, 1);
        call->counted = false;
    }
}

bool call_may_wait(struct rpc_call *call)
{
    unsigned limit = call->rpc->config.settings->limits.waiting_calls;
    struct rpc_exchange *exchange = call->exchange;

    if (call->waits) {
        return true;
    }
    if (!count_up(&call->principal->waiting, limit - limit / 4)) {
        return false;
    }
    if (!count_up(&call->rpc->waiting, limit)) {
        atomic_fetch_sub(&call->principal->waiting, 1);
        return false;
    }
    call->waits = true;
    if (exchange->park != NULL && !exchange->park(exchange)) {
        end_wait(call);
        return false;
    }
    uncount(call);
    return true;
}

static void forget_kept(struct rpc_call *call)
{
    if (call->kept != NULL) {
        call->kept_destroy(call->kept);
        call->kept = NULL;
    }
}

static void release_snapshot(struct rpc_call *call)
{
    if (call->snapshot != NULL) {
        store_release(call->rpc->config.store, call->snapshot);
        call->snapshot = NULL;
    }
}

/* Who knows what a refused batch was meant to be: it may not even have been read. */
static bool may_be_secret(const struct rpc_call *call)
{
    return (call->row != NULL && call->row->secret) ||
           (batch_is(call) && (!status_ok(&call->status) || call->batch->secret));
}

void call_finish(struct rpc_call *call)
{
    struct rpc_exchange *exchange = call->exchange;

    set_refused_revision(call);
    if (!answer_send(call)) {
        log_write(LOG_ERROR, "answer_lost", LOG_TEXT("method", call->method),
                  LOG_TEXT("why", "out of memory"));
    }
    log_call(call);
    release_snapshot(call);
    history_end(call);
    if (call->row != NULL && call->row->access != RPC_CHANGE && status_ok(&call->status)) {
        call_spend_keys(call); /* they are in the answer */
    }
    call_release_keys(call);
    keydir_job_free(call->job);
    forget_kept(call);
    end_wait(call);
    uncount(call);
    if (may_be_secret(call)) {
        arena_wipe(call->arena);
        if (call->scratch != NULL) {
            arena_wipe(call->scratch);
        }
    }
    arena_destroy(call->scratch);
    call->scratch = NULL;
    call->exchange = NULL;
    exchange->answer(exchange);
    call_recycle(call);
}

void call_rewind(struct rpc_call *call)
{
    history_end(call);
    status_init(&call->status, call->arena);
    call->first = NULL;
    call->end = &call->first;
    call->message_len = 0;
    call->planned = NULL;
    call->planned_count = 0;
    call->packed = (struct slice){ NULL, 0 };
    call_keys_rewind(call);
    call->in_commit = false;
    call->was_run = false;
    call->stale = false;
    call->goes_slow = false;
    call->wants_change = false;
    keydir_job_free(call->job);
    call->job = NULL;
}

/* ----------------------------------------------------------------- running */

void call_run(struct rpc_call *call, void (*function)(struct rpc_call *call))
{
    call->model.arena = call->arena;
    call->model.status = &call->status;
    call->model.settings = call->rpc->config.settings;
    call->model.now_us = clock_wall_us();
    if (setjmp(call->escape) == 0) {
        arena_set_escape(call->arena, &call->escape);
        function(call);
    } else {
        call->status.code = MX_RESOURCE_EXHAUSTED;
        call->status.reason = "CALL_TOO_LARGE";
        call->status.message = "the call needs more memory than one call may have";
    }
    arena_set_escape(call->arena, NULL);
}

void call_handle(struct rpc_call *call)
{
    call_run(call, call->row->handle);
}

void call_prepare(struct rpc_call *call)
{
    forget_kept(call);
    call->preparations++;
    call->slow = true; /* wherever it runs */
    call_run(call, call->row->prepare);
    history_end(call);
}

void call_submit_change(struct rpc_call *call)
{
    if (!writer_submit(call->rpc->writer, call)) {
        status_retry(&call->status, MX_RESOURCE_EXHAUSTED, "QUEUE_FULL", RETRY_QUEUE_MS,
                     "%u changes wait already", call->rpc->config.settings->limits.change_queue);
        call_finish(call);
    }
}

void call_submit_slow(struct rpc_call *call)
{
    if (!slow_submit(call->rpc->slow, call)) {
        status_retry(&call->status, MX_RESOURCE_EXHAUSTED, "QUEUE_FULL", RETRY_QUEUE_MS,
                     "too many calls that take long wait already");
        call_finish(call);
    }
}

/* Moves what a waiting read needs into an arena for little: there may be ten thousand of them.
 * Where there is no memory for that, the call keeps what it has. */
static void make_small(struct rpc_call *call)
{
    struct arena *arena = arena_create_small(CALL_MEMORY_MAX, CALL_SMALL);
    ProtobufCAllocator allocator = record_allocator(arena);
    Mxadm__V1__Request *envelope;
    ProtobufCMessage *request;
    const char *method;
    const char *tag;

    if (arena == NULL) {
        return;
    }
    method = arena_strdup(arena, call->method);
    tag = arena_strdup(arena, call->tag);
    envelope = arena_alloc(arena, sizeof(*envelope));
    request = protobuf_c_message_unpack(call->request->descriptor, &allocator,
                                        call->envelope->message.len, call->envelope->message.data);
    if (method == NULL || tag == NULL || envelope == NULL || request == NULL) {
        arena_destroy(arena);
        return;
    }
    mxadm__v1__request__init(envelope);
    if (may_be_secret(call)) {
        arena_wipe(call->arena);
    }
    arena_destroy(call->arena);
    call->arena = arena;
    call->method = method;
    call->tag = tag;
    call->envelope = envelope;
    call->request = request;
    call->small = true;
}

/* What a run has left is forgotten before the wait; false: the call may not wait, and is over. */
static bool prepare_to_wait(struct rpc_call *call, const char *what)
{
    release_snapshot(call);
    call_rewind(call);
    if (!call_may_wait(call)) {
        status_retry(&call->status, MX_RESOURCE_EXHAUSTED, "TOO_MANY_WAITING", RETRY_WAIT_MS,
                     "too many calls wait for a %s already", what);
        call_finish(call);
        return false;
    }
    if (call->mark.block == NULL) {
        make_small(call);
        call->mark = arena_mark(call->arena);
    }
    arena_rewind(call->arena, &call->mark);
    call_rewind(call); /* its status in the arena of now */
    call->slow = false;
    return true;
}

static void wait_for_revision(struct rpc_call *call)
{
    if (prepare_to_wait(call, "revision") && !waiter_park(call->rpc->waiter, call)) {
        status_retry(&call->status, MX_RESOURCE_EXHAUSTED, "TOO_MANY_WAITING", RETRY_WAIT_MS,
                     "too many calls wait for a revision already");
        call_finish(call);
    }
}

static void wait_for_changes(struct rpc_call *call)
{
    if (prepare_to_wait(call, "change")) {
        call->has_waited = true;
        waiter_watch(call->rpc->waiter, call);
    }
}

void call_run_read(struct rpc_call *call)
{
    struct rpc *rpc = call->rpc;

    if (call->snapshot == NULL) {
        call->snapshot = store_acquire(rpc->config.store);
    }
    if (call->min_revision > store_snapshot_revision(call->snapshot)) {
        wait_for_revision(call);
        return;
    }
    call->model.view = store_snapshot_view(call->snapshot);
    call->model.draft = NULL;
    call_handle(call);
    if (call->goes_slow) {
        release_snapshot(call);
        call_rewind(call);
        call_submit_slow(call);
        return;
    }
    if (call->wants_change && status_ok(&call->status)) {
        wait_for_changes(call);
        return;
    }
    if (call_wants_keys(call)) {
        release_snapshot(call);
        call_wait_for_keys(call);
        return;
    }
    call->revision = store_snapshot_revision(call->snapshot);
    call_finish(call);
}

bool call_wait_for_changes(struct rpc_call *call, uint64_t after)
{
    if (atomic_load(&call->rpc->draining) || clock_mono_ms() >= call->wait_until_ms) {
        return false;
    }
    call->wants_change = true;
    call->wait_after = after;
    return true;
}

uint64_t call_waited_after(const struct rpc_call *call)
{
    return call->has_waited ? call->wait_after : 0;
}

/* --------------------------------------------------------------- preparing */

bool call_is_over(struct rpc_call *call)
{
    if (atomic_load(&call->rpc->draining)) {
        status_retry(&call->status, MX_UNAVAILABLE, "DRAINING", RETRY_DRAIN_MS,
                     "the server is stopping");
    } else if (call->deadline_ms <= clock_mono_ms()) {
        status_fail(&call->status, MX_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",
                    "the time given was over before the call was done; nothing was changed");
    } else {
        return false;
    }
    return true;
}

void call_keep(struct rpc_call *call, void *found, void (*destroy)(void *found))
{
    forget_kept(call);
    call->kept = found;
    call->kept_destroy = destroy;
}

void *call_kept(const struct rpc_call *call)
{
    return call->kept;
}

void call_prepare_again(struct rpc_call *call)
{
    call->stale = true;
}

void call_end(struct rpc_call *call)
{
    call->ended = true;
}

bool call_validate_only(const struct rpc_call *call)
{
    return call->validate_only;
}

struct stage *call_stage(struct rpc_call *call)
{
    return call->rpc->stage;
}

/* -------------------------------------------------------------- what is asked */

const void *call_request(const struct rpc_call *call)
{
    return call->request;
}

struct model *call_model(struct rpc_call *call)
{
    return &call->model;
}

struct status *call_status(struct rpc_call *call)
{
    return &call->status;
}

struct arena *call_arena(struct rpc_call *call)
{
    return call->arena;
}

struct arena *call_scratch(struct rpc_call *call)
{
    if (call->scratch == NULL) {
        call->scratch = arena_create(CALL_MEMORY_MAX);
        if (call->scratch == NULL) {
            longjmp(call->escape, 1);
        }
    }
    if (call->row->secret) {
        arena_wipe(call->scratch);
    }
    arena_reset(call->scratch);
    arena_set_escape(call->scratch, &call->escape);
    return call->scratch;
}

const struct settings *call_settings(const struct rpc_call *call)
{
    return call->rpc->config.settings;
}

const struct principal *call_principal(const struct rpc_call *call)
{
    return call->principal;
}

uint64_t call_revision(const struct rpc_call *call)
{
    return call->model.draft != NULL ? store_draft_revision(call->model.draft) - 1
                                     : store_snapshot_revision(call->snapshot);
}

bool call_covers(struct rpc_call *call, const char *domain)
{
    if (principal_covers(call->principal, domain)) {
        return true;
    }
    status_fail(&call->status, MX_PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
                "%s may not administer domain '%s'", call->principal->name, domain);
    return false;
}

struct vault *call_vault(struct rpc_call *call)
{
    return call->rpc->config.vault;
}

/* -------------------------------------------------------------- the answer */

void call_add_segment(struct rpc_call *call, const uint8_t *data, size_t len)
{
    struct segment *part;

    if (len == 0) {
        return;
    }
    part = arena_alloc(call->arena, sizeof(*part));
    part->data = data;
    part->len = len;
    *call->end = part;
    call->end = &part->next;
    call->message_len += len;
}

void call_answer(struct rpc_call *call, const ProtobufCMessage *response)
{
    size_t len = protobuf_c_message_get_packed_size(response);
    uint8_t *packed = arena_alloc(call->arena, len);

    call_add_segment(call, packed, protobuf_c_message_pack(response, packed));
}

void call_answer_field(struct rpc_call *call, unsigned number, struct slice packed)
{
    uint8_t *head = arena_alloc(call->arena, (size_t) 2 * VARINT_SIZE_MAX);
    uint8_t *at = varint_put(head, (uint64_t) number << 3 | 2); /* 2: a run of bytes */

    at = varint_put(at, packed.len);
    call_add_segment(call, head, (size_t) (at - head));
    call_add_segment(call, packed.data, packed.len);
}

/* ------------------------------------------------------------------- files */

static bool has_key_directory(const struct rpc_call *call)
{
    return call->rpc->config.keydir != NULL;
}

static void add_file(struct rpc_call *call, const char *name, struct secret *pem)
{
    struct rpc_call *whole = call->whole;

    if (whole->job == NULL) {
        whole->job = calloc(1, sizeof(*whole->job));
    }
    if (whole->job == NULL || !keydir_job_add(whole->job, name, pem)) {
        secret_free(pem);
        status_fail(&call->status, MX_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                    "out of memory for key file '%s'", name);
    }
}

void call_write_key_file(struct rpc_call *call, const char *name, const struct key *key,
                         const char *selector_ascii, const char *domain_ascii)
{
    struct secret pem = { NULL, 0 };
    struct mx_error err;

    if (!has_key_directory(call) || call->validate_only) {
        return;
    }
    if (key_pem(key, selector_ascii, domain_ascii, call->model.now_us, &pem, &err) != MX_OK) {
        status_error(&call->status, &err);
        return;
    }
    add_file(call, name, &pem);
}

void call_retire_key_file(struct rpc_call *call, const char *name)
{
    struct secret none = { NULL, 0 };

    if (has_key_directory(call) && !call->validate_only && name[0] != '\0') {
        add_file(call, name, &none);
    }
}

/* ------------------------------------------------------------------ server */

void call_server(struct rpc_call *call, struct call_server_info *info_out)
{
    const struct rpc_config *config = &call->rpc->config;

    memset(info_out, 0, sizeof(*info_out));
    info_out->version = config->version;
    info_out->start_us = call->rpc->start_us;
    info_out->position = store_snapshot_position(call->snapshot);
    info_out->revision = info_out->position.revision;
    info_out->oldest_revision = atomic_load(&call->rpc->oldest_revision);
    info_out->pool = config->pool;
    info_out->message_bytes = config->settings->limits.message_bytes;
    info_out->descriptor_set = config->descriptor_set;
    info_out->serving = rpc_is_serving(call->rpc);
}
