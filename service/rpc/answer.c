/*
 * The answer's bytes. Written by hand rather than by protobuf-c so that the
 * operation's message is copied once, from where its parts lie (records in a
 * snapshot) to where they leave (the transport's buffer).
 */
#include "base/buffer.h"
#include "rpc/internal.h"

#include <string.h>

/* Tags of Response's fields: number << 3 | wire type. */
enum { TAG_STATUS = 0x0a, TAG_REVISION = 0x10, TAG_MESSAGE = 0x1a, TAG_CHANGES = 0x22 };

_Static_assert((int) MX_OK == (int) MXADM__V1__CODE__OK, "codes are numbered alike");
#define CODE_CHECK(name, value)                                                                    \
    _Static_assert((int) MX_##name == (int) MXADM__V1__CODE__##name, "codes are numbered alike");
MX_CODE_MAP(CODE_CHECK)
#undef CODE_CHECK

/* Longest value of an ErrorMetadata, as its comment says. */
#define METADATA_VALUE_MAX 1024

static const char error_domain[] = "mxadm";

static size_t field_size(size_t len)
{
    return 1 + varint_size(len) + len;
}

/* ------------------------------------------------------------------ status */

static void fill_bad_request(struct arena *arena, const struct status *status,
                             Mxadm__V1__Status *out)
{
    size_t kept = status->violation_count < STATUS_VIOLATIONS_MAX ? status->violation_count
                                                                  : STATUS_VIOLATIONS_MAX;
    size_t i = 0;

    if (status->violations == NULL || status->code != MX_INVALID_ARGUMENT) {
        return; /* what was found first decides; the sentences say the rest */
    }
    out->bad_request = arena_alloc(arena, sizeof(*out->bad_request));
    mxadm__v1__bad_request__init(out->bad_request);
    out->bad_request->field_violations =
        arena_alloc(arena, kept * sizeof(Mxadm__V1__FieldViolation *));
    for (const struct status_violation *from = status->violations; from != NULL && i < kept;
         from = from->next) {
        Mxadm__V1__FieldViolation *to = arena_alloc(arena, sizeof(*to));

        mxadm__v1__field_violation__init(to);
        to->field = (char *) from->field;
        to->description = (char *) from->description;
        if (i == STATUS_VIOLATIONS_MAX - 1 && status->violation_count > STATUS_VIOLATIONS_MAX) {
            to->description = arena_printf(arena, "%s (and %zu more)", from->description,
                                           status->violation_count - STATUS_VIOLATIONS_MAX);
        }
        out->bad_request->field_violations[i++] = to;
    }
    out->bad_request->n_field_violations = i;
}

static void fill_blockers(struct arena *arena, const struct status *status, Mxadm__V1__Status *out)
{
    Mxadm__V1__PreconditionFailure *failure;

    if (status->blockers == NULL || status->code != MX_FAILED_PRECONDITION) {
        return;
    }
    failure = arena_alloc(arena, sizeof(*failure));
    mxadm__v1__precondition_failure__init(failure);
    failure->total = status->blocker_count;
    failure->violations =
        arena_alloc(arena, STATUS_BLOCKERS_MAX * sizeof(Mxadm__V1__PreconditionViolation *));
    for (const struct status_blocker *from = status->blockers; from != NULL; from = from->next) {
        Mxadm__V1__PreconditionViolation *to = arena_alloc(arena, sizeof(*to));

        mxadm__v1__precondition_violation__init(to);
        to->type = (char *) from->type;
        to->subject = (char *) from->subject;
        to->description = (char *) from->description;
        failure->violations[failure->n_violations++] = to;
    }
    out->precondition_failure = failure;
}

static void fill_metadata(struct arena *arena, const struct status *status,
                          Mxadm__V1__ErrorInfo *info)
{
    size_t count = 0;

    for (const struct status_metadata *from = status->metadata; from != NULL; from = from->next) {
        count++;
    }
    info->metadata = arena_alloc(arena, (count + 1) * sizeof(Mxadm__V1__ErrorMetadata *));
    for (const struct status_metadata *from = status->metadata; from != NULL; from = from->next) {
        Mxadm__V1__ErrorMetadata *to = arena_alloc(arena, sizeof(*to));

        mxadm__v1__error_metadata__init(to);
        to->key = (char *) from->key;
        to->value = arena_strndup(arena, from->value, strnlen(from->value, METADATA_VALUE_MAX));
        info->metadata[info->n_metadata++] = to;
    }
}

static void fill_details(struct arena *arena, const struct status *status, Mxadm__V1__Status *out)
{
    out->error_info = arena_alloc(arena, sizeof(*out->error_info));
    mxadm__v1__error_info__init(out->error_info);
    out->error_info->reason = (char *) status->reason;
    out->error_info->domain = (char *) error_domain;
    fill_metadata(arena, status, out->error_info);
    fill_bad_request(arena, status, out);
    fill_blockers(arena, status, out);
    if (status->retry_delay_ms > 0) {
        Google__Protobuf__Duration *delay = arena_alloc(arena, sizeof(*delay));

        google__protobuf__duration__init(delay);
        delay->seconds = status->retry_delay_ms / 1000;
        delay->nanos = (int32_t) (status->retry_delay_ms % 1000) * 1000000;
        out->retry_info = arena_alloc(arena, sizeof(*out->retry_info));
        mxadm__v1__retry_info__init(out->retry_info);
        out->retry_info->retry_delay = delay;
    }
    if (status->resource_type != NULL) {
        out->resource_info = arena_alloc(arena, sizeof(*out->resource_info));
        mxadm__v1__resource_info__init(out->resource_info);
        out->resource_info->resource_type = (char *) status->resource_type;
        out->resource_info->resource_name = (char *) status->resource_name;
    }
}

static const char too_large[] = "the call needs more memory than one call may have";
static const char too_large_reason[] = "CALL_TOO_LARGE";
/* Tags and lengths of five fields, and the code: 2 bytes each. */
_Static_assert(sizeof(too_large) + sizeof(too_large_reason) + sizeof(error_domain) + 12 <=
                   CALL_FALLBACK_MAX,
               "the bare status fits");

struct slice answer_status(struct arena *arena, const struct status *status)
{
    Mxadm__V1__Status out = MXADM__V1__STATUS__INIT;
    uint8_t *packed;

    out.code = (Mxadm__V1__Code) status->code;
    out.message = (char *) status->message;
    fill_details(arena, status, &out);
    packed = arena_alloc(arena, mxadm__v1__status__get_packed_size(&out));
    return slice_of(packed, mxadm__v1__status__pack(&out, packed));
}

/* The packed status; where the arena has no room for it any more, code, reason and words alone. */
static struct slice pack_status(struct rpc_call *call)
{
    Mxadm__V1__Status out = MXADM__V1__STATUS__INIT;
    Mxadm__V1__ErrorInfo info = MXADM__V1__ERROR_INFO__INIT;

    if (setjmp(call->escape) == 0) {
        struct slice packed;

        arena_set_escape(call->arena, &call->escape);
        packed = answer_status(call->arena, &call->status);
        arena_set_escape(call->arena, NULL);
        return packed;
    }
    arena_set_escape(call->arena, NULL);
    out.code = MXADM__V1__CODE__RESOURCE_EXHAUSTED;
    out.message = (char *) too_large;
    info.reason = (char *) too_large_reason;
    info.domain = (char *) error_domain;
    out.error_info = &info;
    return slice_of(call->fallback, mxadm__v1__status__pack(&out, call->fallback));
}

/* ------------------------------------------------------------------ answer */

struct parts {
    struct slice status;
    bool has_message;
    size_t changes_len;
    size_t total;
};

static void measure(struct rpc_call *call, struct parts *parts)
{
    memset(parts, 0, sizeof(*parts));
    if (!status_ok(&call->status)) {
        parts->status = pack_status(call);
        parts->total += field_size(parts->status.len);
    }
    if (call->revision != 0) {
        parts->total += 1 + varint_size(call->revision);
    }
    parts->has_message = status_ok(&call->status) && call->message_len > 0;
    if (parts->has_message) {
        parts->total += field_size(call->message_len);
    }
    if (status_ok(&call->status)) {
        for (size_t i = 0; i < call->planned_count; i++) {
            parts->total +=
                field_size(mxadm__v1__planned_change__get_packed_size(&call->planned[i]));
        }
    }
}

static void write_parts(const struct rpc_call *call, const struct parts *parts, uint8_t *at)
{
    if (parts->status.data != NULL) {
        *at++ = TAG_STATUS;
        at = varint_put(at, parts->status.len);
        memcpy(at, parts->status.data, parts->status.len);
        at += parts->status.len;
    }
    if (call->revision != 0) {
        *at++ = TAG_REVISION;
        at = varint_put(at, call->revision);
    }
    if (parts->has_message) {
        *at++ = TAG_MESSAGE;
        at = varint_put(at, call->message_len);
        for (const struct segment *part = call->first; part != NULL; part = part->next) {
            memcpy(at, part->data, part->len);
            at += part->len;
        }
    }
    if (!status_ok(&call->status)) {
        return;
    }
    for (size_t i = 0; i < call->planned_count; i++) {
        *at++ = TAG_CHANGES;
        at = varint_put(at, mxadm__v1__planned_change__get_packed_size(&call->planned[i]));
        at += mxadm__v1__planned_change__pack(&call->planned[i], at);
    }
}

bool answer_pack(struct rpc_call *call, struct slice *packed_out)
{
    struct parts parts;
    uint8_t *packed;

    measure(call, &parts);
    packed = arena_alloc(call->arena, parts.total);
    if (packed == NULL) {
        return false;
    }
    write_parts(call, &parts, packed);
    *packed_out = slice_of(packed, parts.total);
    return true;
}

bool answer_send(struct rpc_call *call)
{
    struct parts parts;
    uint8_t *room;

    if (call->packed.data != NULL) {
        room = call->exchange->reserve(call->exchange, call->packed.len);
        if (room != NULL) {
            memcpy(room, call->packed.data, call->packed.len);
        }
        return room != NULL;
    }
    measure(call, &parts);
    room = call->exchange->reserve(call->exchange, parts.total);
    if (room == NULL) {
        return false;
    }
    write_parts(call, &parts, room);
    return true;
}
