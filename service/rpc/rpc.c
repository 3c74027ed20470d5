/*
 * From the bytes of a request to a call that may run: the envelope, the
 * operation, the caller, the options.
 */
#include "rpc/rpc.h"

#include "base/clock.h"
#include "base/log.h"
#include "rpc/internal.h"
#include "rpc/wire.h"
#include "settings/settings.h"
#include "stage/stage.h"

#include <stdlib.h>
#include <string.h>

#define METADATA_MAX       32
#define METADATA_KEY_MAX   64
#define METADATA_VALUE_MAX 4096
#define REQUEST_TAG        "x-request-tag"
#define REQUEST_TAG_MAX    128

/* -------------------------------------------------------------- operations */

static bool add_rows(struct service *service, const struct rpc_table *table, struct mx_error *err)
{
    for (const struct rpc_row *row = table->rows; row->name != NULL; row++) {
        const ProtobufCMethodDescriptor *method =
            protobuf_c_service_descriptor_get_method_by_name(table->service, row->name);

        if (method == NULL || service->rows[method - table->service->methods] != NULL) {
            mx_fail(err, MX_INTERNAL, "row '%s' names no operation of '%s', or the same twice",
                    row->name, table->service->name);
            return false;
        }
        service->rows[method - table->service->methods] = row;
    }
    return true;
}

static bool is_named(const ProtobufCServiceDescriptor *service, const char *name, size_t len)
{
    return strncmp(service->name, name, len) == 0 && service->name[len] == '\0';
}

static struct service *find_service(struct rpc *rpc, const char *name, size_t len)
{
    /* Zeroed when allocated: the first without a descriptor is behind the last. */
    for (size_t i = 0; i < rpc->config.table_count && rpc->services[i].descriptor != NULL; i++) {
        if (is_named(rpc->services[i].descriptor, name, len)) {
            return &rpc->services[i];
        }
    }
    return NULL;
}

/* The service of a table: an earlier table's, or a new one. NULL: out of memory. */
static struct service *service_of(struct rpc *rpc, const ProtobufCServiceDescriptor *descriptor)
{
    struct service *service = find_service(rpc, descriptor->name, strlen(descriptor->name));

    if (service == NULL) {
        service = &rpc->services[rpc->service_count];
        service->descriptor = descriptor;
        service->rows = calloc(descriptor->n_methods, sizeof(struct rpc_row *));
        if (service->rows == NULL) {
            return NULL;
        }
        rpc->service_count++;
    }
    return service;
}

static bool add_tables(struct rpc *rpc, struct mx_error *err)
{
    rpc->services = calloc(rpc->config.table_count, sizeof(*rpc->services));
    if (rpc->services == NULL) {
        mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the dispatch table");
        return false;
    }
    for (size_t i = 0; i < rpc->config.table_count; i++) {
        const struct rpc_table *table = &rpc->config.tables[i];
        struct service *service = service_of(rpc, table->service);

        if (service == NULL) {
            mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the dispatch table");
            return false;
        }
        if (!add_rows(service, table, err)) {
            return false;
        }
    }
    return true;
}

const char *rpc_unbuilt(const struct rpc *rpc, size_t index)
{
    for (size_t i = 0; i < rpc->service_count; i++) {
        for (unsigned k = 0; k < rpc->services[i].descriptor->n_methods; k++) {
            if (rpc->services[i].rows[k] == NULL && index-- == 0) {
                return rpc->services[i].descriptor->methods[k].name;
            }
        }
    }
    return NULL;
}

const ProtobufCMethodDescriptor *call_find_method(struct rpc_call *call)
{
    const char *slash = strchr(call->method, '/');
    const ProtobufCMethodDescriptor *method = NULL;
    struct service *service = NULL;

    if (slash != NULL) {
        service = find_service(call->rpc, call->method, (size_t) (slash - call->method));
    }
    if (service != NULL) {
        method = protobuf_c_service_descriptor_get_method_by_name(service->descriptor, slash + 1);
    }
    if (method == NULL) {
        status_fail(&call->status, MX_UNIMPLEMENTED, "METHOD_UNKNOWN",
                    "there is no operation %s; full names look like 'mxadm.v1.Admin/DomainGet'",
                    name_show(call->arena, call->method));
        return NULL;
    }
    call->row = service->rows[method - service->descriptor->methods];
    if (call->row == NULL) {
        status_fail(&call->status, MX_UNIMPLEMENTED, "METHOD_UNIMPLEMENTED",
                    "mxadmd %s does not have the operation '%s' yet", call->rpc->config.version,
                    call->method);
    }
    return method;
}

/* ------------------------------------------------------------------ caller */

bool call_authorise(struct rpc_call *call)
{
    const struct rpc_row *row = call->row;

    if (row->role == ROLE_NONE) {
        return true;
    }
    if (call->principal->role == ROLE_NONE) {
        status_fail(&call->status, MX_UNAUTHENTICATED, "CALLER_UNKNOWN",
                    "the settings give this caller no role (access.principals)");
        return false;
    }
    if (call->principal->role < row->role || (row->key_reader && !call->principal->key_reader)) {
        status_fail(&call->status, MX_PERMISSION_DENIED, "ROLE_MISSING", "%s may not call '%s'",
                    call->principal->name, call->method);
        return false;
    }
    return true;
}

/* One more call of this caller in flight, unless that is too many. */
static bool count_in(struct rpc_call *call)
{
    unsigned limit = call->rpc->config.settings->limits.in_flight_per_principal;

    if (call->row->role == ROLE_NONE) {
        return true;
    }
    call->counted = true;
    if (atomic_fetch_add(&call->principal->in_flight, 1) >= limit) {
        status_retry(&call->status, MX_RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", RETRY_QUEUE_MS,
                     "%s has %u calls in flight already", call->principal->name, limit);
        return false;
    }
    return true;
}

/* ----------------------------------------------------------------- options */

/*
 * A wait for changes ends at nine tenths of the time, so that the answer is there before the client
 * gives up; on a grid of its thirty-second parts, so that the many that wait with the same timeout
 * end together, and are not looked through for each.
 */
static void set_wait_until(struct rpc_call *call, int64_t timeout_ms)
{
    int64_t grid_ms = timeout_ms / 32 + 1;
    int64_t until_ms = call->start_us / 1000 + timeout_ms * 9 / 10;

    call->wait_until_ms = until_ms - until_ms % grid_ms;
}

static void read_timeout(struct rpc_call *call)
{
    const Google__Protobuf__Duration *timeout = call->envelope->timeout;
    int64_t ms = call->rpc->config.settings->limits.default_timeout_ms;

    if (timeout != NULL) {
        bool legal = timeout->seconds >= 0 && timeout->seconds <= TIMEOUT_MAX_MS / 1000 &&
                     timeout->nanos >= 0 && timeout->nanos < 1000000000 &&
                     (timeout->seconds > 0 || timeout->nanos > 0);

        ms = legal ? timeout->seconds * 1000 + (timeout->nanos + 999999) / 1000000 : 0;
        if (!legal || ms > TIMEOUT_MAX_MS) {
            status_field(&call->status, "timeout", "%lld s %d ns is not above 0 and at most 1 h",
                         (long long) timeout->seconds, timeout->nanos);
            return;
        }
    }
    call->deadline_ms = call->start_us / 1000 + ms;
    set_wait_until(call, ms);
}

static bool is_metadata_key(const char *key)
{
    size_t len = strlen(key);

    return len >= 1 && len <= METADATA_KEY_MAX &&
           strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
}

/* One entry, and what it says to us. */
static void read_metadata_entry(struct rpc_call *call, const Mxadm__V1__Metadata *entry)
{
    bool is_tag = strcmp(entry->key, REQUEST_TAG) == 0;
    int limit = is_tag ? REQUEST_TAG_MAX : METADATA_VALUE_MAX;

    if (!is_metadata_key(entry->key)) {
        status_field(&call->status, "metadata", "key %s is not 1 to %d of a-z 0-9 - _ .",
                     name_show(call->arena, entry->key), METADATA_KEY_MAX);
    } else if (strlen(entry->value) > (size_t) limit) {
        status_field(&call->status, "metadata", "value of %s is longer than %d bytes",
                     name_show(call->arena, entry->key), limit);
    } else if (is_tag) {
        call->tag = entry->value;
    }
}

static void read_metadata(struct rpc_call *call)
{
    const Mxadm__V1__Request *envelope = call->envelope;

    if (envelope->n_metadata > METADATA_MAX) {
        status_field(&call->status, "metadata", "has %zu entries, at most %d are allowed",
                     envelope->n_metadata, METADATA_MAX);
        return;
    }
    for (size_t i = 0; i < envelope->n_metadata; i++) {
        read_metadata_entry(call, envelope->metadata[i]);
    }
}

/* Name and digest under which a change is remembered. */
static void name_request(struct rpc_call *call)
{
    const Mxadm__V1__Request *envelope = call->envelope;
    size_t len = strlen(call->principal->name) + 1;

    if (envelope->request_id.len == 0 || call->validate_only || call->row->access != RPC_CHANGE) {
        return;
    }
    memcpy(call->id, call->principal->name, len);
    memcpy(call->id + len, envelope->request_id.data, REQUEST_ID_SIZE);
    call->id_len = len + REQUEST_ID_SIZE;
    digest_pieces((struct digest_piece[]){ { call->method, strlen(call->method) + 1 },
                                           { &call->if_revision, sizeof(call->if_revision) },
                                           { envelope->message.data, envelope->message.len } },
                  3, call->digest);
}

_Static_assert(sizeof(((struct principal *) 0)->name) + REQUEST_ID_SIZE <= CALL_ID_MAX,
               "a request's name fits");

static void read_options(struct rpc_call *call)
{
    const Mxadm__V1__Request *envelope = call->envelope;

    read_timeout(call);
    read_metadata(call);
    if (envelope->request_id.len != 0 && envelope->request_id.len != REQUEST_ID_SIZE) {
        status_field(&call->status, "request_id", "has %zu bytes, not %d", envelope->request_id.len,
                     REQUEST_ID_SIZE);
    }
    if (envelope->options != NULL) {
        bool change = call->row->access == RPC_CHANGE;

        call->validate_only = change && envelope->options->validate_only;
        call->if_revision = change ? envelope->options->if_revision : 0;
        /* What anybody may ask, also who has no role, must not make the server wait. */
        call->min_revision =
            change || call->row->role == ROLE_NONE ? 0 : envelope->options->min_revision;
    }
    if (status_ok(&call->status)) {
        name_request(call);
    }
}

/* ------------------------------------------------------------------- bytes */

void *call_unpack(struct rpc_call *call, const ProtobufCMessageDescriptor *type,
                  const uint8_t *bytes, size_t len)
{
    ProtobufCAllocator allocator = record_allocator(call->arena);
    ProtobufCMessage *message;

    if (wire_check(type, bytes, len, "", &call->status) != MX_OK) {
        return NULL;
    }
    message = protobuf_c_message_unpack(type, &allocator, len, bytes);
    if (message == NULL) {
        status_field(&call->status, "message", "is not a packed %s, or takes too much memory",
                     type->name);
    }
    return message;
}

/* All that can be said of a call before it runs. False: its status says why it can't. */
static bool prepare(struct rpc_call *call, const uint8_t *request, size_t len)
{
    const ProtobufCMethodDescriptor *method;

    call->principal = auth_identify(call->rpc->config.auth, &call->exchange->peer);
    call->envelope = call_unpack(call, &mxadm__v1__request__descriptor, request, len);
    if (call->envelope == NULL) {
        return false;
    }
    call->method = call->envelope->method;
    method = call_find_method(call);
    if (!status_ok(&call->status) || !call_authorise(call) || !count_in(call)) {
        return false;
    }
    read_options(call);
    if (!status_ok(&call->status)) {
        return false;
    }
    call->request =
        call_unpack(call, method->input, call->envelope->message.data, call->envelope->message.len);
    return call->request != NULL && (!batch_is(call) || batch_read(call));
}

void rpc_receive(struct rpc *rpc, struct rpc_exchange *exchange, const uint8_t *request, size_t len)
{
    struct rpc_call *call = call_begin(rpc, exchange);

    if (call == NULL) {
        exchange->answer(exchange); /* with nothing reserved: the transport drops the connection */
        return;
    }
    if (!prepare(call, request, len)) {
        call_finish(call);
    } else if (atomic_load(&rpc->draining) && call->row->role != ROLE_NONE) {
        status_retry(&call->status, MX_UNAVAILABLE, "DRAINING", RETRY_DRAIN_MS,
                     "the server is stopping");
        call_finish(call);
    } else if (call->row->access == RPC_READ_SLOW || call->row->prepare != NULL) {
        call_submit_slow(call);
    } else if (call->row->access == RPC_READ) {
        call_run_read(call);
    } else {
        call_submit_change(call);
    }
}

/* ------------------------------------------------------------------- health */

bool rpc_is_serving(struct rpc *rpc)
{
    return !atomic_load(&rpc->draining) && !atomic_load(&rpc->transport_failed) &&
           !atomic_load(&rpc->keydir_failed) && !store_is_read_only(rpc->config.store);
}

void rpc_hung_up(struct rpc *rpc)
{
    waiter_hung_up(rpc->waiter);
}

void rpc_transport_failed(struct rpc *rpc, const char *why)
{
    if (!atomic_exchange(&rpc->transport_failed, true)) {
        log_write(LOG_ERROR, "transport_failed", LOG_TEXT("why", why));
    }
}

/* --------------------------------------------------------------------- life */

enum mx_code rpc_create(const struct rpc_config *config, struct rpc **rpc_out, struct mx_error *err)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));
    enum mx_code code = MX_OK;

    if (rpc == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the dispatcher");
    }
    rpc->config = *config;
    rpc->start_us = clock_wall_us();
    (void) pthread_mutex_init(&rpc->calls_lock, NULL);
    clock_cond_init(&rpc->calls_none);
    rpc->pages = pages_create(config->store, config->settings->limits.pinned_lists);
    if (rpc->pages == NULL) {
        code = mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the dispatcher");
    } else if (!add_tables(rpc, err)) {
        code = err->code;
    } else {
        code = stage_create(config->settings->state_directory, &rpc->stage, err);
    }
    history_find_oldest(rpc);
    if (code == MX_OK) {
        code = waiter_create(rpc, &rpc->waiter, err);
    }
    if (code == MX_OK) {
        code = writer_create(rpc, &rpc->writer, err);
    }
    if (code == MX_OK) {
        code = slow_create(rpc, &rpc->slow, err);
    }
    if (code != MX_OK) {
        rpc_destroy(rpc);
        return code;
    }
    *rpc_out = rpc;
    return MX_OK;
}

bool rpc_drain(struct rpc *rpc, int64_t deadline_ms)
{
    struct timespec until = { .tv_sec = (time_t) (deadline_ms / 1000),
                              .tv_nsec = (long) (deadline_ms % 1000) * 1000000 };
    bool none;

    atomic_store(&rpc->draining, true);
    waiter_poke(rpc->waiter);
    (void) pthread_mutex_lock(&rpc->calls_lock);
    while (rpc->live > 0 && clock_mono_ms() < deadline_ms) {
        (void) pthread_cond_timedwait(&rpc->calls_none, &rpc->calls_lock, &until);
    }
    none = rpc->live == 0;
    (void) pthread_mutex_unlock(&rpc->calls_lock);
    return none;
}

static void free_calls(struct rpc *rpc)
{
    while (rpc->calls_free != NULL) {
        struct rpc_call *call = rpc->calls_free;

        rpc->calls_free = call->next;
        arena_destroy(call->arena);
        free(call);
    }
}

void rpc_stop(struct rpc *rpc)
{
    if (rpc == NULL) {
        return;
    }
    /* Each hands on to the next: the slow to the writer, the writer pokes the waiter. */
    slow_stop(rpc->slow);
    writer_destroy(rpc->writer);
    waiter_destroy(rpc->waiter);
    rpc->writer = NULL;
    rpc->waiter = NULL;
}

void rpc_destroy(struct rpc *rpc)
{
    if (rpc == NULL) {
        return;
    }
    rpc_stop(rpc);
    slow_destroy(rpc->slow);
    pages_destroy(rpc->pages);
    stage_destroy(rpc->stage);
    for (size_t i = 0; i < rpc->service_count; i++) {
        free(rpc->services[i].rows);
    }
    free(rpc->services);
    free_calls(rpc);
    (void) pthread_mutex_destroy(&rpc->calls_lock);
    (void) pthread_cond_destroy(&rpc->calls_none);
    free(rpc);
}
