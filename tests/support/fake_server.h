/*
 * A server that says what a test tells it to: the daemon's side of the wire,
 * with none of the daemon. It runs on nng's threads inside the test program.
 *
 * What it does with a request is the next *step* of its script; when the script
 * is over, the handler answers, and without one the answer is OK and empty. It
 * remembers every request.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mxadm/mxadm.h>

enum fake_kind {
    FAKE_HANDLE,   /* as after the script's end */
    FAKE_RESPONSE, /* `response` */
    FAKE_BYTES,    /* `len` bytes at `bytes`, perhaps no Response */
    FAKE_DROP,     /* cut the connection */
    FAKE_HOLD,     /* no answer until fake_server_release() */
};

struct fake_step {
    enum fake_kind kind;
    const Mxadm__V1__Response *response;
    const uint8_t *bytes;
    size_t len;
};

/* Fills `response`, whose message bytes are malloc'ed; called on nng's threads, one at a time. */
typedef void (*fake_handler)(void *data, const Mxadm__V1__Request *request,
                             Mxadm__V1__Response *response);

struct fake_server;

/* Fails the test if it can't listen on `url`. */
struct fake_server *fake_server_start(const char *url);

/* As a server that is killed: what is held is never answered. NULL is fine. */
void fake_server_stop(struct fake_server *server);

/* Steps for the next `count` requests, after those that are still to come. */
void fake_server_script(struct fake_server *server, const struct fake_step *steps, size_t count);

/* For a handler: no answer to this request until fake_server_release(), when it is asked again. */
void fake_server_hold(struct fake_server *server);

void fake_server_handle(struct fake_server *server, fake_handler handler, void *data);

/* Waits until that many requests have come in all; fails the test if they don't come. */
void fake_server_await(struct fake_server *server, size_t count);

/* How many have come. */
size_t fake_server_count(struct fake_server *server);

/* The request at `index`, borrowed until the server is stopped. */
const Mxadm__V1__Request *fake_server_request(struct fake_server *server, size_t index);

/* Answers what is held, as the handler does. */
void fake_server_release(struct fake_server *server);

/* A status as a Response: `retry_ms` 0 means no retry info. Packed into static memory of the
 * thread, good for one script step. */
const Mxadm__V1__Response *fake_status(mxadm_code code, const char *reason, int64_t retry_ms);

/* Packs a message as the message of a response. */
void fake_respond(Mxadm__V1__Response *response, const ProtobufCMessage *message);
