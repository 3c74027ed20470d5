#include "result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Bound on the memory of one unpacked answer: four times the largest answer accepted by default. */
#define UNPACKED_BYTES_MAX ((size_t) 256 << 20)

/* A server that asks for a longer pause is taken to mean this one: an hour, the longest call. */
#define RETRY_DELAY_MAX_MS (3600 * INT64_C(1000))

mxadm_result *result_create(void)
{
    mxadm_result *result = calloc(1, sizeof(*result));
    if (result != NULL) {
        arena_init(&result->arena, UNPACKED_BYTES_MAX);
    }
    return result;
}

static void clear(mxadm_result *result)
{
    arena_reset(&result->arena);
    result->envelope = NULL;
    result->response = NULL;
    result->status = NULL;
    result->revision = 0;
}

void result_fail(mxadm_result *result, mxadm_code code, const char *reason, const char *format, ...)
{
    clear(result);
    va_list args;
    va_start(args, format);
    (void) vsnprintf(result->words, sizeof(result->words), format, args);
    va_end(args);
    mxadm__v1__status__init(&result->own_status);
    mxadm__v1__error_info__init(&result->own_info);
    result->own_info.reason = (char *) reason;
    result->own_info.domain = (char *) "mxadm";
    result->own_status.code = (Mxadm__V1__Code) code;
    result->own_status.message = result->words;
    result->own_status.error_info = &result->own_info;
    result->status = &result->own_status;
    result->code = code;
}

void result_read(mxadm_result *result, const ProtobufCMessageDescriptor *output,
                 const uint8_t *bytes, size_t len)
{
    clear(result);
    ProtobufCAllocator *allocator = &result->arena.allocator;
    Mxadm__V1__Response *envelope = mxadm__v1__response__unpack(allocator, len, bytes);
    if (envelope == NULL) {
        result_fail(result, MXADM_INTERNAL, "BAD_ANSWER",
                    "the answer of %zu bytes is not a Response", len);
        return;
    }
    if (envelope->status == NULL || envelope->status->code == MXADM__V1__CODE__OK) {
        result->response = protobuf_c_message_unpack(output, allocator, envelope->message.len,
                                                     envelope->message.data);
        if (result->response == NULL) {
            result_fail(result, MXADM_INTERNAL, "BAD_ANSWER",
                        "the message of %zu bytes in the answer is not a %s", envelope->message.len,
                        output->name);
            return;
        }
        result->code = MXADM_OK;
    } else {
        result->status = envelope->status;
        result->code = (mxadm_code) envelope->status->code;
    }
    result->envelope = envelope;
    result->revision = envelope->revision;
}

int64_t result_retry_delay_ms(const mxadm_result *result)
{
    if (result->status == NULL || result->status->retry_info == NULL ||
        result->status->retry_info->retry_delay == NULL) {
        return 0;
    }
    const Google__Protobuf__Duration *delay = result->status->retry_info->retry_delay;
    if (delay->seconds < 0 || delay->nanos < 0) {
        return 0;
    }
    if (delay->seconds >= RETRY_DELAY_MAX_MS / 1000) {
        return RETRY_DELAY_MAX_MS;
    }
    return delay->seconds * 1000 + (delay->nanos + 999999) / 1000000;
}

mxadm_code mxadm_result_code(const mxadm_result *result)
{
    return result != NULL ? result->code : MXADM_RESOURCE_EXHAUSTED;
}

const char *mxadm_result_message(const mxadm_result *result)
{
    if (result == NULL) {
        return "out of memory";
    }
    return result->status != NULL ? result->status->message : "";
}

const char *mxadm_result_reason(const mxadm_result *result)
{
    if (result == NULL) {
        return "OUT_OF_MEMORY";
    }
    if (result->status == NULL || result->status->error_info == NULL) {
        return "";
    }
    return result->status->error_info->reason;
}

const Mxadm__V1__Status *mxadm_result_status(const mxadm_result *result)
{
    return result != NULL ? result->status : NULL;
}

const ProtobufCMessage *mxadm_result_response(const mxadm_result *result)
{
    return result != NULL ? result->response : NULL;
}

uint64_t mxadm_result_revision(const mxadm_result *result)
{
    return result != NULL ? result->revision : 0;
}

size_t mxadm_result_change_count(const mxadm_result *result)
{
    return result != NULL && result->envelope != NULL ? result->envelope->n_changes : 0;
}

const Mxadm__V1__PlannedChange *mxadm_result_change(const mxadm_result *result, size_t index)
{
    return index < mxadm_result_change_count(result) ? result->envelope->changes[index] : NULL;
}

const uint8_t *mxadm_result_request_id(const mxadm_result *result)
{
    return result != NULL ? result->request_id : NULL;
}

unsigned mxadm_result_attempts(const mxadm_result *result)
{
    return result != NULL ? result->attempts : 0;
}

bool mxadm_result_may_have_happened(const mxadm_result *result)
{
    return result != NULL && result->may_have_happened;
}

void mxadm_result_free(mxadm_result *result)
{
    if (result != NULL) {
        arena_reset(&result->arena);
        free(result);
    }
}
