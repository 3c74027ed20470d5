/*
 * One connection to a server: a REQ socket of nng with at most one request
 * under way. Only connection.c knows nng.
 *
 * Why so: stock nng 1.5.2 leaks, and hangs when closed, if a peer with several
 * requests in flight goes away; with one a connection it does not. A client
 * that wants several calls at once has several connections.
 *
 * An *exchange* is: connect if need be, send the request, wait for the answer.
 * It ends with exactly one call of `done`, from another thread and with no lock
 * held, also if it is cancelled; then the connection may begin the next.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum exchange_end {
    EXCHANGE_ANSWERED,
    EXCHANGE_NOT_CONNECTED, /* nothing was sent */
    EXCHANGE_LOST,          /* the connection was lost, perhaps after the server got the request */
    EXCHANGE_CANCELLED,     /* by connection_cancel() */
};

struct exchange_result {
    enum exchange_end end;
    bool sent;            /* the request may have reached the server */
    const uint8_t *bytes; /* the answer; borrowed until `done` returns */
    size_t len;
    const char *why; /* what nng says about a failure; static */
};

typedef void (*connection_done)(void *owner, const struct exchange_result *result);

struct connection;

/* NULL: out of memory or sockets. `answer_limit` bounds an answer's bytes. */
struct connection *connection_create(size_t answer_limit, connection_done done);

/* Begins an exchange for `owner`, who is handed to `done`. The request is the parts one after the
 * other, copied. If the connection is not up it is made to `url`, borrowed until `done`. May be
 * called with locks held that `done` takes. false: out of memory or threads, `done` won't come. */
bool connection_begin(struct connection *connection, void *owner, const char *url,
                      const struct iovec *parts, size_t part_count);

/* Makes an exchange that is under way end soon. Does not wait. */
void connection_cancel(struct connection *connection);

/* The request of the exchange has not found its way to a server: the connection is being made, or
 * it is gone and nng has not said so. */
bool connection_is_connecting(struct connection *connection);

/* Cuts the connection, so that the next exchange makes a new one. Not during an exchange. */
void connection_drop(struct connection *connection);

/* Closes and frees connections without an exchange; NULL elements are skipped. Takes the array,
 * which was made with malloc. Waits for nng at most `patience_ms`; then a thread of its own goes on
 * waiting, and what nng still holds stays allocated. */
void connections_destroy(struct connection **connections, size_t count, int64_t patience_ms);
