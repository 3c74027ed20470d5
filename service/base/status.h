/*
 * How a call ends: a code, a reason for programs, a sentence for people, and
 * details. The model and the handlers fill one; the dispatcher packs it
 * (proto/mxadm/v1/rpc.proto, message Status).
 *
 * Several problems may be reported into one status: "all of it at once". The
 * first decides code and reason, the sentences are joined by "; ". All texts
 * are copied into the status's arena.
 *
 * Each function returns the status's code, so that a caller can report and
 * return in one line. No secret ever goes into a status.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"

/* Shown of each kind; the rest is counted. Enough to act on, bounded on the wire. */
#define STATUS_VIOLATIONS_MAX 100
#define STATUS_BLOCKERS_MAX   20

struct status_violation {
    struct status_violation *next;
    const char *field;
    const char *description;
};

struct status_blocker {
    struct status_blocker *next;
    const char *type;
    const char *subject;
    const char *description;
};

struct status_metadata {
    struct status_metadata *next;
    const char *key;
    const char *value;
};

struct status {
    struct arena *arena; /* borrowed; outlives the status */
    enum mx_code code;
    const char *reason;
    const char *message;
    struct status_violation *violations; /* in the order they were reported */
    size_t violation_count;              /* all, also those not kept */
    struct status_blocker *blockers;
    size_t blocker_count;
    struct status_metadata *metadata;
    const char *resource_type; /* NULL: none */
    const char *resource_name;
    int64_t retry_delay_ms; /* 0: none */
};

void status_init(struct status *status, struct arena *arena);

static inline bool status_ok(const struct status *status)
{
    return status->code == MX_OK;
}

/* Any failure. `reason` is UPPER_SNAKE_CASE and static. */
enum mx_code status_fail(struct status *status, enum mx_code code, const char *reason,
                         const char *format, ...) MX_PRINTF(4, 5);

/* INVALID_ARGUMENT: a field of the request is wrong. `field` is its path: "address",
 * "headers[2]". The sentence names the value. */
enum mx_code status_field(struct status *status, const char *field, const char *format, ...)
    MX_PRINTF(3, 4);

/* FAILED_PRECONDITION: an object stands in the way of the call. Only the first
 * STATUS_BLOCKERS_MAX are kept, all are counted. */
enum mx_code status_blocker(struct status *status, const char *reason, const char *type,
                            const char *subject, const char *format, ...) MX_PRINTF(5, 6);

/* NOT_FOUND or ALREADY_EXISTS: the object that is missing or there. */
enum mx_code status_resource(struct status *status, enum mx_code code, const char *reason,
                             const char *type, const char *name, const char *format, ...)
    MX_PRINTF(6, 7);

/* RESOURCE_EXHAUSTED or UNAVAILABLE: try again after `delay_ms`. */
enum mx_code status_retry(struct status *status, enum mx_code code, const char *reason,
                          int64_t delay_ms, const char *format, ...) MX_PRINTF(5, 6);

/* A name and value that belong to the reason. */
void status_metadata(struct status *status, const char *key, const char *value);

/* Takes over an error of a lower layer, with reason "INTERNAL" or what the code's name is. */
enum mx_code status_error(struct status *status, const struct mx_error *err);
