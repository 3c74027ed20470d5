#include "call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "options.h"
#include "result.h"

#define ADMIN_PREFIX "mxadm.v1.Admin/"

const ProtobufCServiceDescriptor *const *mxadm_services(size_t *count_out)
{
    static const ProtobufCServiceDescriptor *const services[] = {
        &mxadm__v1__admin__descriptor,
        &grpc__health__v1__health__descriptor,
    };
    *count_out = sizeof(services) / sizeof(services[0]);
    return services;
}

const ProtobufCMethodDescriptor *mxadm_method_find(const char *method)
{
    const char *slash = strchr(method, '/');
    if (slash == NULL) {
        return protobuf_c_service_descriptor_get_method_by_name(&mxadm__v1__admin__descriptor,
                                                                method);
    }
    size_t count;
    const ProtobufCServiceDescriptor *const *services = mxadm_services(&count);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(services[i]->name);
        if (len == (size_t) (slash - method) && memcmp(services[i]->name, method, len) == 0) {
            return protobuf_c_service_descriptor_get_method_by_name(services[i], slash + 1);
        }
    }
    return NULL;
}

static char *full_name(const char *method)
{
    const char *prefix = strchr(method, '/') == NULL ? ADMIN_PREFIX : "";
    size_t size = strlen(prefix) + strlen(method) + 1;
    char *name = malloc(size);
    if (name != NULL) {
        (void) snprintf(name, size, "%s%s", prefix, method);
    }
    return name;
}

static bool choose_request_id(const mxadm_call_options *options, uint8_t *id)
{
    if (options->request_id != NULL) {
        memcpy(id, options->request_id, MXADM_REQUEST_ID_SIZE);
        return true;
    }
    /* So few bytes come whole, unless the system has just started and a signal interrupts. */
    return getrandom(id, MXADM_REQUEST_ID_SIZE, 0) == MXADM_REQUEST_ID_SIZE;
}

/* Packs `request` with the envelope around it into call->packed. */
static bool pack(struct call *call, Mxadm__V1__Request *envelope, const ProtobufCMessage *request)
{
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *message = malloc(len + 1); /* never of size 0 */
    if (message == NULL) {
        return false;
    }
    protobuf_c_message_pack(request, message);
    envelope->message.data = message;
    envelope->message.len = len;
    call->packed_len = mxadm__v1__request__get_packed_size(envelope);
    call->packed = malloc(call->packed_len);
    if (call->packed != NULL) {
        mxadm__v1__request__pack(envelope, call->packed);
    }
    explicit_bzero(message, len); /* it may hold a passphrase */
    free(message);
    return call->packed != NULL;
}

static bool pack_envelope(struct call *call, const ProtobufCMessage *request,
                          const mxadm_call_options *options)
{
    Mxadm__V1__Metadata metadata[OPTIONS_METADATA_MAX];
    Mxadm__V1__Metadata *pointers[OPTIONS_METADATA_MAX];
    for (size_t i = 0; i < options->metadata_count; i++) {
        mxadm__v1__metadata__init(&metadata[i]);
        metadata[i].key = (char *) options->metadata[i].key;
        metadata[i].value = (char *) options->metadata[i].value;
        pointers[i] = &metadata[i];
    }
    Mxadm__V1__CallOptions call_options = MXADM__V1__CALL_OPTIONS__INIT;
    call_options.validate_only = options->validate_only != 0;
    call_options.if_revision = options->if_revision;
    call_options.min_revision = options->min_revision;
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
    envelope.method = call->method;
    envelope.request_id.data = call->result->request_id;
    envelope.request_id.len = MXADM_REQUEST_ID_SIZE;
    envelope.metadata = pointers;
    envelope.n_metadata = options->metadata_count;
    envelope.options = &call_options;
    return pack(call, &envelope, request);
}

static bool request_fits(mxadm_result *result, const char *method, const ProtobufCMessage *request)
{
    const ProtobufCMethodDescriptor *descriptor = mxadm_method_find(method);
    if (descriptor == NULL) {
        result_fail(result, MXADM_UNIMPLEMENTED, "BAD_CALL", "there is no operation '%s'", method);
        return false;
    }
    if (request->descriptor != descriptor->input) {
        result_fail(result, MXADM_INVALID_ARGUMENT, "BAD_CALL",
                    "operation '%s' takes a %s, not a %s", method, descriptor->input->name,
                    request->descriptor->name);
        return false;
    }
    return true;
}

struct call *call_create(const char *method, const ProtobufCMessage *request,
                         const mxadm_call_options *options, mxadm_result *result)
{
    if (!request_fits(result, method, request)) {
        return NULL;
    }
    struct call *call = calloc(1, sizeof(*call));
    if (call == NULL) {
        goto fail;
    }
    call->result = result;
    call->descriptor = mxadm_method_find(method);
    call->method = full_name(method);
    if (call->method == NULL || !choose_request_id(options, result->request_id) ||
        !pack_envelope(call, request, options)) {
        goto fail;
    }
    return call;

fail:
    call_destroy(call);
    result_fail(result, MXADM_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory");
    return NULL;
}

void call_destroy(struct call *call)
{
    if (call == NULL) {
        return;
    }
    if (call->packed != NULL) {
        explicit_bzero(call->packed, call->packed_len);
    }
    free(call->packed);
    free(call->method);
    free(call);
}

size_t call_pack_tail(int64_t timeout_ms, uint8_t tail[CALL_TAIL_MAX])
{
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    timeout.seconds = timeout_ms / 1000;
    timeout.nanos = (int32_t) (timeout_ms % 1000 * 1000000);
    Mxadm__V1__Request request = MXADM__V1__REQUEST__INIT;
    request.timeout = &timeout;
    return mxadm__v1__request__pack(&request, tail);
}
