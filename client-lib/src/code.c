#include <mxadm/mxadm.h>

/* The contract is the source; ours are the same numbers under names fit for C. */
#define CODES(X)                                                                                   \
    X(OK)                                                                                          \
    X(CANCELLED)                                                                                   \
    X(UNKNOWN)                                                                                     \
    X(INVALID_ARGUMENT)                                                                            \
    X(DEADLINE_EXCEEDED)                                                                           \
    X(NOT_FOUND)                                                                                   \
    X(ALREADY_EXISTS)                                                                              \
    X(PERMISSION_DENIED)                                                                           \
    X(RESOURCE_EXHAUSTED)                                                                          \
    X(FAILED_PRECONDITION)                                                                         \
    X(ABORTED)                                                                                     \
    X(OUT_OF_RANGE)                                                                                \
    X(UNIMPLEMENTED)                                                                               \
    X(INTERNAL)                                                                                    \
    X(UNAVAILABLE)                                                                                 \
    X(DATA_LOSS)                                                                                   \
    X(UNAUTHENTICATED)

#define SAME(name)                                                                                 \
    _Static_assert((int) MXADM_##name == (int) MXADM__V1__CODE__##name, #name " as in rpc.proto");
CODES(SAME)

const char *mxadm_code_name(mxadm_code code)
{
    switch (code) {
#define NAME(name)                                                                                 \
    case MXADM_##name:                                                                             \
        return #name;
        CODES(NAME)
    }
    return "UNKNOWN"; /* a newer server's */
}
