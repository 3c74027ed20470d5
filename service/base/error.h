/*
 * Errors of everything below the dispatcher.
 *
 * A fallible function returns a code, which must be looked at, and writes one
 * sentence into the caller's `struct mx_error`, its last parameter and never
 * NULL. It is said where it is known, with the object's name in quotes; those
 * above pass it up untouched. Out-parameters are written only on success.
 *
 * The codes are gRPC's, so that none has to be translated on its way to the
 * wire (proto/mxadm/v1/rpc.proto, enum Code).
 */
#pragma once

#include <stdbool.h>

#define MX_CODE_MAP(X)                                                                             \
    X(OK, 0)                                                                                       \
    X(CANCELLED, 1)                                                                                \
    X(UNKNOWN, 2)                                                                                  \
    X(INVALID_ARGUMENT, 3)                                                                         \
    X(DEADLINE_EXCEEDED, 4)                                                                        \
    X(NOT_FOUND, 5)                                                                                \
    X(ALREADY_EXISTS, 6)                                                                           \
    X(PERMISSION_DENIED, 7)                                                                        \
    X(RESOURCE_EXHAUSTED, 8)                                                                       \
    X(FAILED_PRECONDITION, 9)                                                                      \
    X(ABORTED, 10)                                                                                 \
    X(OUT_OF_RANGE, 11)                                                                            \
    X(UNIMPLEMENTED, 12)                                                                           \
    X(INTERNAL, 13)                                                                                \
    X(UNAVAILABLE, 14)                                                                             \
    X(DATA_LOSS, 15)                                                                               \
    X(UNAUTHENTICATED, 16)

enum mx_code {
#define MX_CODE_ENUM(name, value) MX_##name = (value),
    MX_CODE_MAP(MX_CODE_ENUM)
#undef MX_CODE_ENUM
};

#define MX_MUST_USE            __attribute__((warn_unused_result))
#define MX_PRINTF(text, first) __attribute__((format(printf, text, first)))

struct mx_error {
    enum mx_code code;
    char message[512];
};

/* The code's name as gRPC spells it, "NOT_FOUND"; static. */
const char *mx_code_name(enum mx_code code);

/* Writes code and sentence (cut at the buffer's end) and returns the code. */
enum mx_code mx_fail(struct mx_error *err, enum mx_code code, const char *format, ...)
    MX_PRINTF(3, 4);
