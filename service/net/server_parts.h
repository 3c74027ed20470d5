/*
 * What server.c (start and end), worker.c (calls) and watch.c (time) share. Nobody else includes
 * this.
 */
#pragma once

#include "net/canary.h"
#include "net/connections.h"
#include "net/listener.h"
#include "net/server.h"

#include <nng/nng.h>
#include <pthread.h>

/* In the order of the drawing in server.h. */
enum worker_state {
    WORKER_RECEIVING,
    WORKER_DISPATCHED,
    WORKER_SENDING,
    WORKER_RESTING,
    WORKER_ENDED
};

struct worker {
    struct rpc_exchange exchange;
    struct server *server;
    nng_ctx context;
    nng_aio *aio;
    nng_msg *answer; /* reserved; whoever holds the exchange may touch it */

    enum worker_state state;      /* this and the rest: written with the server's lock */
    nng_pipe pipe;                /* of the call */
    int64_t sending_ms;           /* monotonic, when the answer was given */
    bool came_late;               /* after server_drain() */
    bool is_parked;               /* its call waits; another serves in its place */
    struct connection *parked_in; /* in this one's list; NULL: in none, or the connection is gone */
    struct worker *parked_next;
    struct worker **parked_link;
    struct worker *resting_next;
};

struct server {
    const struct settings *settings; /* borrowed until stop */
    struct rpc *rpc;                 /* borrowed until stop */
    struct server_timing timing;
    nng_socket socket;
    bool socket_is_open;
    struct listener *listeners; /* one for each URL, in their order */
    size_t listener_count;
    nng_listener canary_listener;
    struct worker **workers; /* room for contexts and waiting_calls */
    int stop_fd;             /* an eventfd: readable from server_stop() on */
    int pressed_fd; /* an eventfd: readable when most workers are taken, to wake the watch */
    pthread_t watch;
    bool is_watched;
    bool is_wedged; /* nng did not end: nothing may be freed */

    pthread_mutex_t lock;   /* protects all below, and what workers say; never held around a call
                             * of nng or of the dispatcher */
    pthread_cond_t changed; /* a call was answered, or closing has ended */
    unsigned worker_count;
    unsigned worker_max;
    unsigned promised;      /* places for workers that are being made and not in `workers` yet */
    unsigned making;        /* workers that are being made, until they are started */
    unsigned parked;        /* workers whose call waits */
    struct worker *resting; /* workers that there are too many of */
    unsigned resting_count;
    struct connections connections;
    struct canary canary;
    unsigned calls;      /* received before server_drain(), not yet answered */
    unsigned late_calls; /* received after it */
    bool is_pressed;     /* most workers are taken, and the watch was told */
    bool is_draining;
    bool is_stopped;
    bool is_closed; /* nng has ended */
};

/* Workers that serve: limits.contexts of them, or a few more for a moment. With the lock, as the
 * following. */
static inline unsigned server_serving(const struct server *server)
{
    return server->worker_count - server->resting_count - server->parked;
}

/* Those of them that have a call in work. */
static inline unsigned server_busy(const struct server *server)
{
    return server->calls + server->late_calls - server->parked;
}

/* Whether so many workers are taken that an answer nobody reads can't be afforded. */
static inline bool server_is_pressed(const struct server *server)
{
    return server_busy(server) * 4 >= server_serving(server) * 3;
}

/* worker.c. Makes one more; it does not receive yet. NULL when out of memory. */
struct worker *worker_create(struct server *server, struct mx_error *err);
/* Makes it one of the server's; in the same breath its promise ends, or it would count twice at the
 * limit. With the lock, unless nobody else is there yet. */
void worker_add(struct worker *worker);
/* The connection goes: those parked of it have nobody to answer. Whether there is one. With the
 * lock. */
bool worker_forget_parked(struct connection *connection);
/* Receives the first call. */
void worker_start(struct worker *worker);
/* After nng_close(): waits for its callback. */
void worker_stop(struct worker *worker);
void worker_destroy(struct worker *worker);

/* watch.c. Argument: the server. Ends when stop_fd is readable. */
void *watch_run(void *arg);
