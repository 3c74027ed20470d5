/*
 * How a call ended. Made with the call, so that there is always one to report
 * in; rewritten by each attempt; handed to the caller at the end.
 */
#pragma once

#include <mxadm/mxadm.h>

#include "arena.h"

/* Room for the sentences that the library itself makes. */
#define RESULT_WORDS_MAX 512

struct mxadm_result {
    mxadm_code code;
    unsigned attempts;
    bool may_have_happened;
    uint8_t request_id[MXADM_REQUEST_ID_SIZE];
    uint64_t revision;
    struct arena arena;
    Mxadm__V1__Response *envelope; /* in the arena; NULL: no server answered */
    ProtobufCMessage *response;    /* in the arena; NULL unless OK */
    const Mxadm__V1__Status *status;
    /* The status when it is the library's own. */
    Mxadm__V1__Status own_status;
    Mxadm__V1__ErrorInfo own_info;
    char words[RESULT_WORDS_MAX];
};

/* NULL: out of memory. */
mxadm_result *result_create(void);

/* The library itself ends the attempt. `reason` is static. */
void result_fail(mxadm_result *result, mxadm_code code, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Takes over the answer of a server: a packed Response whose message is of type `output`. */
void result_read(mxadm_result *result, const ProtobufCMessageDescriptor *output,
                 const uint8_t *bytes, size_t len);

/* The pause that the server asked for, in milliseconds; 0: it asked for none. */
int64_t result_retry_delay_ms(const mxadm_result *result);
