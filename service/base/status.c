#include "base/status.h"

#include <string.h>

void status_init(struct status *status, struct arena *arena)
{
    memset(status, 0, sizeof(*status));
    status->arena = arena;
    status->code = MX_OK;
}

/* An arena at its limit gives no text; the code still says what counts. */
static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static const char *copy(struct status *status, const char *text)
{
    return or_empty(arena_strdup(status->arena, text));
}

static enum mx_code report(struct status *status, enum mx_code code, const char *reason,
                           const char *sentence)
{
    if (status->code == MX_OK) {
        status->code = code;
        status->reason = reason;
        status->message = sentence;
    } else {
        status->message =
            or_empty(arena_printf(status->arena, "%s; %s", status->message, sentence));
    }
    return status->code;
}

enum mx_code status_fail(struct status *status, enum mx_code code, const char *reason,
                         const char *format, ...)
{
    va_list args;
    const char *sentence;

    va_start(args, format);
    sentence = or_empty(arena_vprintf(status->arena, format, args));
    va_end(args);
    return report(status, code, reason, sentence);
}

enum mx_code status_field(struct status *status, const char *field, const char *format, ...)
{
    struct status_violation **end = &status->violations;
    struct status_violation *violation;
    va_list args;

    status->violation_count++;
    if (status->violation_count > STATUS_VIOLATIONS_MAX) {
        return status->code;
    }
    violation = arena_alloc(status->arena, sizeof(*violation));
    if (violation == NULL) {
        return report(status, MX_INVALID_ARGUMENT, "INVALID_ARGUMENT", "invalid argument");
    }
    va_start(args, format);
    violation->description = or_empty(arena_vprintf(status->arena, format, args));
    va_end(args);
    violation->field = copy(status, field);
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = violation;
    return report(
        status, MX_INVALID_ARGUMENT, "INVALID_ARGUMENT",
        or_empty(arena_printf(status->arena, "%s: %s", violation->field, violation->description)));
}

enum mx_code status_blocker(struct status *status, const char *reason, const char *type,
                            const char *subject, const char *format, ...)
{
    struct status_blocker **end = &status->blockers;
    struct status_blocker *blocker;
    va_list args;

    status->blocker_count++;
    if (status->blocker_count > STATUS_BLOCKERS_MAX) {
        return status->code;
    }
    blocker = arena_alloc(status->arena, sizeof(*blocker));
    if (blocker == NULL) {
        return report(status, MX_FAILED_PRECONDITION, reason, "something stands in the way");
    }
    va_start(args, format);
    blocker->description = or_empty(arena_vprintf(status->arena, format, args));
    va_end(args);
    blocker->type = type;
    blocker->subject = copy(status, subject);
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = blocker;
    return report(status, MX_FAILED_PRECONDITION, reason, blocker->description);
}

enum mx_code status_resource(struct status *status, enum mx_code code, const char *reason,
                             const char *type, const char *name, const char *format, ...)
{
    va_list args;
    const char *sentence;

    va_start(args, format);
    sentence = or_empty(arena_vprintf(status->arena, format, args));
    va_end(args);
    if (status->resource_type == NULL) {
        status->resource_type = type;
        status->resource_name = copy(status, name);
    }
    return report(status, code, reason, sentence);
}

enum mx_code status_retry(struct status *status, enum mx_code code, const char *reason,
                          int64_t delay_ms, const char *format, ...)
{
    va_list args;
    const char *sentence;

    va_start(args, format);
    sentence = or_empty(arena_vprintf(status->arena, format, args));
    va_end(args);
    if (status->retry_delay_ms == 0) {
        status->retry_delay_ms = delay_ms;
    }
    return report(status, code, reason, sentence);
}

void status_metadata(struct status *status, const char *key, const char *value)
{
    struct status_metadata *entry = arena_alloc(status->arena, sizeof(*entry));

    if (entry == NULL) {
        return;
    }
    entry->key = copy(status, key);
    entry->value = copy(status, value);
    entry->next = status->metadata;
    status->metadata = entry;
}

enum mx_code status_error(struct status *status, const struct mx_error *err)
{
    return report(status, err->code, mx_code_name(err->code), copy(status, err->message));
}
