/*
 * A call on its way: the packed request, the result in the making, and where it
 * stands.
 *
 *     QUEUED ---> RUNNING ---> done
 *       ^            |
 *       |            v
 *       +--------- PAUSED
 *
 * QUEUED waits for a free connection, in order; RUNNING is an exchange on a
 * connection; PAUSED waits between two attempts.
 */
#pragma once

#include <sys/queue.h>

#include <mxadm/mxadm.h>

struct connection;

enum call_state { CALL_QUEUED, CALL_RUNNING, CALL_PAUSED };

struct call {
    /* Set at the beginning, read only. */
    mxadm_client *client;
    char *method; /* full name */
    const ProtobufCMethodDescriptor *descriptor;
    uint8_t *packed; /* the Request, but for its timeout, which each attempt has its own of */
    size_t packed_len;
    int64_t deadline; /* moment */
    uint32_t timeout_ms;
    mxadm_callback callback;
    void *payload;
    mxadm_result *result; /* the callback's in the end */

    /* Protected by the client's lock. */
    enum call_state state;
    TAILQ_ENTRY(call) link;        /* in the list of all calls */
    TAILQ_ENTRY(call) queue_link;  /* while QUEUED, and in a list of calls to end */
    struct connection *connection; /* while RUNNING */
    size_t slot;                   /* the connection's number */
    size_t url;                    /* the URL's number, while RUNNING */
    int64_t wake;                  /* PAUSED: end of the pause; RUNNING: end of the attempt */
    int64_t connect_by;            /* RUNNING: when it must be connected */
    bool in_doubt;                 /* an attempt was sent of which nobody knows the end */
};

/* Packs a request; `options` have been read. NULL: `result` says why. */
struct call *call_create(const char *method, const ProtobufCMessage *request,
                         const mxadm_call_options *options, mxadm_result *result);

/* Frees all but the result. NULL is fine. */
void call_destroy(struct call *call);

/* The part of the Request that differs from attempt to attempt. Returns its length. */
#define CALL_TAIL_MAX 32
size_t call_pack_tail(int64_t timeout_ms, uint8_t tail[CALL_TAIL_MAX]);
