/*
 * The live connections: who is at the other end, how many of its calls are in
 * work, and when it last called.
 *
 * A connection enters when nng is about to add its pipe and leaves when nng has
 * taken the pipe apart; a message may arrive of a connection that has left. The
 * table is made at its limit once and allocates nothing afterwards. It has no
 * lock: the server's protects it.
 */
#pragma once

#include "rpc/exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;

struct connection {
    uint32_t pipe; /* nng's id of it */
    struct rpc_peer peer;
    unsigned in_flight;    /* calls received and not yet answered */
    int64_t last_call_ms;  /* monotonic: connected, last received or last answered */
    bool closing;          /* is being closed; leaves soon */
    bool has_called;       /* said more than hello */
    uint64_t number;       /* counts up: many come within one millisecond */
    struct worker *parked; /* the workers with calls of it that wait (worker.c) */
    struct connection *next;
};

struct connections {
    struct connection *slots; /* `limit` of them */
    struct connection *unused;
    struct connection **buckets;
    uint32_t bucket_mask;
    unsigned limit;
    unsigned count;
    uint64_t admitted; /* so far */
};

/* False when out of memory. fini is safe on zeroed memory. */
bool connections_init(struct connections *table, unsigned limit);
void connections_fini(struct connections *table);

/* NULL at the limit. */
struct connection *connections_add(struct connections *table, uint32_t pipe,
                                   const struct rpc_peer *peer, int64_t now_ms);

/* NULL if it has left, or was never let in. */
struct connection *connections_find(struct connections *table, uint32_t pipe);

/* Nothing happens if it is not there. */
void connections_remove(struct connections *table, uint32_t pipe);

/*
 * Makes room for a newcomer at the limit: takes out, and returns, the pipe that can best be spared;
 * 0 if none can. First go those that never called, then those that did not call since `before_ms`;
 * among them the one that was silent longest. So whoever opens connections and says nothing keeps
 * nobody out.
 */
uint32_t connections_make_room(struct connections *table, int64_t before_ms);

/* Writes up to `max` pipes that have nothing in work and did not call since `before_ms`, and marks
 * them as closing, so that each is returned once. */
size_t connections_take_idle(struct connections *table, int64_t before_ms, uint32_t *pipes,
                             size_t max);
