/*
 * Batch: many operations as one change.
 *
 * Before the writer is entered all parts are looked at: the operation, the
 * caller's role, the bytes, and how many private keys they will want. In the
 * writer each part's handler runs on the batch's request of the draft, so it
 * sees what the parts before it did. Where each is on its own it runs behind a
 * savepoint, so that a part that is refused is undone alone: what it wrote, the
 * key files it asked for, the keys it used.
 *
 * A handler sees a call as always: a stand-in, which has the part's operation,
 * request, status and answer, and shares the rest with the batch.
 */
#include "base/buffer.h"
#include "mxadm/v1/admin.pb-c.h"
#include "rpc/internal.h"

#include <string.h>

/* As BatchRequest.calls says. */
#define BATCH_CALLS_MAX 1000

/* Tags: number << 3 | 2, a run of bytes. */
enum { TAG_RESULTS = 0x0a, TAG_RESULT_STATUS = 0x0a, TAG_RESULT_MESSAGE = 0x12 };

/* ------------------------------------------------------------------- parts */

static struct rpc_call *stand_in(struct rpc_call *call, const struct batch_part *part)
{
    struct rpc_call *it = call->batch->stand_in;

    memset(it, 0, sizeof(*it));
    it->rpc = call->rpc;
    it->arena = call->arena;
    it->whole = call;
    it->row = part->row;
    it->method = part->method;
    it->principal = call->principal;
    it->request = part->request;
    it->start_us = call->start_us;
    it->deadline_ms = call->deadline_ms;
    it->validate_only = call->validate_only;
    it->model = call->model;
    it->model.status = &it->status;
    it->end = &it->first;
    status_init(&it->status, call->arena);
    return it;
}

/* Takes over how the part ended; fields are named as the caller of the batch knows them. */
static void note_end(struct rpc_call *call, size_t index, const struct status *status)
{
    struct batch_part *part = &call->batch->parts[index];

    part->status = *status;
    for (struct status_violation *at = part->status.violations; at != NULL; at = at->next) {
        at->field = arena_printf(call->arena, "calls[%zu].%s", index, at->field);
    }
}

/* The whole batch is refused for what this part has come to. */
static void refuse(struct rpc_call *call, size_t index)
{
    const struct batch_part *part = &call->batch->parts[index];

    call->status = part->status;
    call->status.message =
        arena_printf(call->arena, "calls[%zu] (%s): %s", index, part->method, part->status.message);
    status_metadata(&call->status, "method", part->method);
    status_metadata(&call->status, "index", arena_printf(call->arena, "%zu", index));
}

/* ----------------------------------------------------------------- reading */

bool batch_is(const struct rpc_call *call)
{
    return call->row == batch_rows;
}

/* An operation that changes something, in one go; and a batch has no batches. */
static bool is_possible(const struct rpc_row *row)
{
    return row->access == RPC_CHANGE && row->prepare == NULL && row != batch_rows;
}

/* The part's operation, or NULL, which is a fault of the batch, not of the part. */
static const ProtobufCMethodDescriptor *find_operation(struct rpc_call *call, size_t index)
{
    struct batch_part *part = &call->batch->parts[index];
    struct rpc_call *it = stand_in(call, part);
    const ProtobufCMethodDescriptor *method = call_find_method(it);
    const char *fault = it->status.message;

    part->row = it->row;
    if (part->row != NULL && !is_possible(part->row)) {
        fault = arena_printf(call->arena, "'%s' can't be in a batch", part->method);
    } else if (part->row != NULL) {
        call->batch->secret = call->batch->secret || part->row->secret;
        return method;
    }
    status_field(&call->status, arena_printf(call->arena, "calls[%zu].method", index), "%s", fault);
    return NULL;
}

/* Whether the part may and can be done, as far as can be said now; `part->request` is set then. */
static void read_part(struct rpc_call *call, size_t index, const ProtobufCMethodDescriptor *method,
                      const ProtobufCBinaryData *message)
{
    struct batch_part *part = &call->batch->parts[index];
    struct rpc_call *it = stand_in(call, part);

    if (call_authorise(it)) {
        part->request = call_unpack(it, method->input, message->data, message->len);
    }
    note_end(call, index, &it->status);
    if (part->request == NULL && call->batch->atomic && status_ok(&call->status)) {
        refuse(call, index);
    }
}

static void read_parts(struct rpc_call *call)
{
    const Mxadm__V1__BatchRequest *request = call_request(call);
    struct batch *batch = call->batch;
    const ProtobufCMethodDescriptor **methods =
        arena_alloc(call->arena, batch->count * sizeof(ProtobufCMethodDescriptor *));

    for (size_t i = 0; i < batch->count; i++) {
        batch->parts[i].method = request->calls[i]->method;
        methods[i] = find_operation(call, i);
    }
    for (size_t i = 0; i < batch->count && status_ok(&call->status); i++) {
        read_part(call, i, methods[i], &request->calls[i]->message);
    }
}

/* All that the parts will want; those that are not ready are waited for. */
static void want_keys(struct rpc_call *call)
{
    unsigned counts[KEY_KINDS] = { 0 };

    for (size_t i = 0; i < call->batch->count; i++) {
        const struct batch_part *part = &call->batch->parts[i];
        enum key_kind kind = KEY_RSA2048;

        if (part->request != NULL && part->row->keys != NULL) {
            unsigned count = part->row->keys(part->request, &kind);

            counts[kind] += count;
        }
    }
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        if (counts[kind] > 0) {
            (void) call_want_keys(call, (enum key_kind) kind, counts[kind]);
        }
    }
}

static void read_batch(struct rpc_call *call)
{
    const Mxadm__V1__BatchRequest *request = call_request(call);
    struct batch *batch;

    if (request->n_calls == 0 || request->n_calls > BATCH_CALLS_MAX) {
        status_field(&call->status, "calls", "has %zu entries, not 1 to %d", request->n_calls,
                     BATCH_CALLS_MAX);
        return;
    }
    batch = arena_alloc(call->arena, sizeof(*batch));
    batch->atomic = request->atomic;
    batch->count = request->n_calls;
    batch->parts = arena_alloc(call->arena, batch->count * sizeof(*batch->parts));
    batch->stand_in = arena_alloc(call->arena, sizeof(*batch->stand_in));
    for (size_t i = 0; i < batch->count; i++) {
        status_init(&batch->parts[i].status, call->arena);
    }
    call->batch = batch;
    read_parts(call);
    if (status_ok(&call->status)) {
        want_keys(call);
    }
}

bool batch_read(struct rpc_call *call)
{
    call_run(call, read_batch);
    return status_ok(&call->status);
}

/* ----------------------------------------------------------------- running */

static size_t field_size(size_t len)
{
    return 1 + varint_size(len) + len;
}

/* Head of a field that is a run of bytes. */
static uint8_t *put_head(uint8_t *at, uint8_t tag, size_t len)
{
    *at++ = tag;
    return varint_put(at, len);
}

/* A BatchResult around the parts' answer. */
static void answer_message(struct rpc_call *call, const struct rpc_call *it)
{
    uint8_t *head = arena_alloc(call->arena, 2 * (size_t) (1 + VARINT_SIZE_MAX));
    uint8_t *at;

    if (it->message_len == 0) {
        at = put_head(head, TAG_RESULTS, 0);
    } else {
        at = put_head(head, TAG_RESULTS, field_size(it->message_len));
        at = put_head(at, TAG_RESULT_MESSAGE, it->message_len);
    }
    call_add_segment(call, head, (size_t) (at - head));
    for (const struct segment *part = it->first; part != NULL; part = part->next) {
        call_add_segment(call, part->data, part->len);
    }
}

static void answer_failure(struct rpc_call *call, const struct status *status)
{
    struct slice packed = answer_status(call->arena, status);
    uint8_t *head = arena_alloc(call->arena, 2 * (size_t) (1 + VARINT_SIZE_MAX));
    uint8_t *at = put_head(head, TAG_RESULTS, field_size(packed.len));

    at = put_head(at, TAG_RESULT_STATUS, packed.len);
    call_add_segment(call, head, (size_t) (at - head));
    call_add_segment(call, packed.data, packed.len);
}

static void run_part(struct rpc_call *call, size_t index)
{
    const struct batch_part *part = &call->batch->parts[index];
    struct rpc_call *it = stand_in(call, part);

    part->row->handle(it);
    if (status_ok(&it->status)) {
        answer_message(call, it);
    }
    note_end(call, index, &it->status);
}

/* The same, and what a refused one did is undone. An atomic batch needs no such care: the writer
 * undoes all of it. */
static void run_part_apart(struct rpc_call *call, size_t index)
{
    unsigned files = call->job == NULL ? 0 : call->job->count;
    struct store_savepoint savepoint;
    struct key_marks marks;

    store_savepoint_set(call->model.draft, &savepoint);
    call_keys_mark(call, &marks);
    run_part(call, index);
    if (!status_ok(&call->batch->parts[index].status)) {
        store_savepoint_rollback(call->model.draft, &savepoint);
        call_keys_unuse(call, &marks);
        keydir_job_cut(call->job, files);
    }
}

static void handle(struct rpc_call *call)
{
    struct batch *batch = call->batch;

    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_part *part = &batch->parts[i];

        if (part->request != NULL && batch->atomic) {
            run_part(call, i);
        } else if (part->request != NULL) {
            run_part_apart(call, i);
        }
        if (call_wants_keys(call)) {
            return; /* comes again from the start, with more keys */
        }
        if (!status_ok(&part->status) && batch->atomic) {
            refuse(call, i);
            return;
        }
        if (!status_ok(&part->status)) {
            answer_failure(call, &part->status);
        }
    }
}

const struct rpc_row batch_rows[] = {
    { "Batch", handle, RPC_CHANGE, ROLE_VIEWER, false, false, NULL },
    { 0 },
};

/* ----------------------------------------------------------------- telling */

size_t batch_failures(const struct rpc_call *call)
{
    size_t count = 0;

    for (size_t i = 0; i < call->batch->count; i++) {
        count += !status_ok(&call->batch->parts[i].status);
    }
    return count;
}

const struct batch_part *batch_next_denied(const struct rpc_call *call, size_t *index)
{
    while (status_ok(&call->status) && *index < call->batch->count) {
        const struct batch_part *part = &call->batch->parts[(*index)++];

        if (part->status.code == MX_PERMISSION_DENIED) {
            return part;
        }
    }
    return NULL;
}
