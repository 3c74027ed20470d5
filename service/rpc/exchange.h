/*
 * The seam between the dispatcher and what carries messages (net/ today, a
 * test's own loop in tests/rpc).
 *
 * An exchange is one request on its way to one answer. The transport embeds it,
 * fills it and hands it to rpc_receive(); from then on it is the dispatcher's,
 * until the dispatcher calls `answer`, exactly once: inside rpc_receive() for
 * most reads, later and from another thread for changes and for what waits.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rpc;
struct settings;

enum rpc_peer_kind {
    RPC_PEER_UNIX,     /* uid, gid, pid are the kernel's word */
    RPC_PEER_LOOPBACK, /* tcp on loopback, abstract, inproc: nobody's word */
    RPC_PEER_REMOTE,   /* tcp from elsewhere */
};

struct rpc_peer {
    enum rpc_peer_kind kind;
    uid_t uid;
    gid_t gid;
    pid_t pid;
};

struct rpc_exchange {
    struct rpc_peer peer;
    /* A buffer of exactly `len` bytes for the answer, valid until `answer` returns; NULL when out
     * of memory (then `answer` is called without one, and the transport drops the connection). */
    uint8_t *(*reserve)(struct rpc_exchange *exchange, size_t len);
    /* Sends what was reserved; the exchange is the transport's again. */
    void (*answer)(struct rpc_exchange *exchange);
    /* The answer may take minutes: the transport is to serve another call in this one's place. Once
     * at most, before `answer`, by any thread. False: it can't. NULL: nothing is to be done. */
    bool (*park)(struct rpc_exchange *exchange);
    /* Set by the transport when nobody is there any more to hear the answer of a parked one, before
     * rpc_hung_up(). */
    atomic_bool gone;
};

/* `request` is borrowed for the duration of the call. Never blocks: fit for an nng callback. */
void rpc_receive(struct rpc *rpc, struct rpc_exchange *exchange, const uint8_t *request,
                 size_t len);

/* Some parked exchanges are `gone`: they are answered soon, so that their places are free. Any
 * thread. Never blocks. */
void rpc_hung_up(struct rpc *rpc);

/* The transport found itself unable to work (the canary's connection is never removed): health
 * says NOT_SERVING from now on. Any thread. */
void rpc_transport_failed(struct rpc *rpc, const char *why);
