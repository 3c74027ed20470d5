/*
 * The server: carries messages between clients and the dispatcher, over nng's
 * REP protocol at several URLs at once (net/listener.h).
 *
 * Words. A *connection* is a pipe of nng, from hello to hang-up. A *worker* is
 * one of nng's contexts: it holds one call from its arrival until its answer is
 * on its way. limits.contexts of them serve, which bounds the calls in work;
 * when all are busy, the rest wait in the clients' sockets. A worker whose call
 * waits for something is *parked*: another one serves in its place, one that was
 * at rest or a new one, up to limits.waiting_calls more. When the parked one's
 * answer is sent there is one too many, and whichever is done next rests: what many
 * waiting calls once took is kept for the next, about 1.5 KiB each.
 *
 * The daemon has three kinds of threads:
 *
 *   nng's callbacks   two for each processor, no more, and all kept to one
 *                     processor (server.c says why). They receive, call
 *                     rpc_receive() and send. They never wait: a few that do
 *                     stall every client.
 *   the ones of the   the writer and what answers late (rpc/, store/). They
 *   dispatcher        wait for the store and the disk, and send their answers
 *                     themselves.
 *   the watch         one thread of this module: closes connections that are
 *                     idle or don't read their answers, and flies the canary
 *                     (net/canary.h). By the monotonic clock, since nng's
 *                     timers go by the wall clock.
 *
 * A worker's life; only worker_move() (worker.c) moves it:
 *
 *       +-------------------- sent -----------------+
 *       v                                           |
 *   RECEIVING --request--> DISPATCHED --answer--> SENDING
 *     |   ^ ^                |    |                 | |
 *     |   | +-- no answer ---+    |       one too   | |
 *     |   |                  |    |         many    | |
 *     |   +--- RESTING <-----+----|-----------------+ |
 *     +----------- closed --------+------> ENDED <----+
 *
 * What a client can do to us, and what stops it: too many connections (at
 * limits.connections the one that was silent longest is closed for the new one,
 * or the new one if all are at work), too large a message (closed), not reading
 * (closed after limits.send_timeout when an answer waits behind another, and
 * much sooner while most workers are taken; after limits.idle_timeout
 * otherwise), saying nothing (closed after limits.idle_timeout), hanging up at any moment
 * (nng_cures.c), coming from another machine by tcp (refused unless allowed).
 *
 * The verbs of its end differ, and come in this order:
 *
 *   server_drain    what was received before is answered; refusing what still
 *                   comes is the dispatcher's part, so that clients hear why.
 *   server_stop     nothing is received or sent any more. Late answers of the
 *                   dispatcher are thrown away. The workers' memory stays,
 *                   since the dispatcher may hold exchanges in it.
 *                   -> now destroy the dispatcher
 *   server_destroy  the memory goes.
 *   server_library_fini  nng itself, when nobody in the process uses it.
 */
#pragma once

#include "base/error.h"
#include "rpc/exchange.h"
#include "settings/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;

/* What no setting needs to change; tests do. */
struct server_timing {
    int64_t canary_interval_ms; /* from one flight's end to the next */
    int64_t canary_patience_ms; /* until its removal must be seen */
    int64_t stop_patience_ms;   /* server_stop waits so long for nng */
};

#define SERVER_TIMING_INIT                                                                         \
    {                                                                                              \
        .canary_interval_ms = 30000, .canary_patience_ms = 5000, .stop_patience_ms = 2000          \
    }

/*
 * Listens at all of the settings' URLs and serves. `settings` and `rpc` are borrowed until
 * server_stop(), `rpc` is called from before server_start() returns. `timing` NULL: the defaults.
 * Raises the process's limit of open files to what limits.connections needs.
 */
MX_MUST_USE enum mx_code server_start(const struct settings *settings,
                                      const struct server_timing *timing, struct rpc *rpc,
                                      struct server **server_out, struct mx_error *err);

/* The URL as it is reachable: with the port that the kernel chose for port 0. Valid until
 * server_destroy(). */
const char *server_url(const struct server *server, size_t index);

struct server_counts {
    unsigned connections;
    unsigned calls;    /* received and not yet answered */
    uint64_t canaries; /* that came home */
};
void server_count(struct server *server, struct server_counts *counts_out);

/* Waits until every call that was received before is answered. False: not within the time. */
bool server_drain(struct server *server, int64_t timeout_ms);

/*
 * False if nng did not end in time: then what is left (its threads, the workers) must be left to
 * the end of the process, server_destroy() will free nothing, and nng must not be touched again.
 */
bool server_stop(struct server *server);

/* After server_stop(), when the dispatcher holds no exchange any more. NULL is nothing. */
void server_destroy(struct server *server);

/* Gives back what nng holds for the whole process: last of all, and only if every server_stop()
 * said true. */
void server_library_fini(void);
