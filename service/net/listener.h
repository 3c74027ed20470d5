/*
 * One URL the server listens at, and who may be at the other end of it.
 *
 *   ipc:///run/mxadmd/mxadmd.sock  a unix socket; the kernel names the peer
 *   abstract://name                a unix socket without a file or permissions
 *   tcp://127.0.0.1:5410           plain tcp; port 0 takes a free one
 *   inproc://name                  within the process
 *
 * A unix socket's directory is made (0700) if it is missing, and must not be
 * writable for group or others, who could put a socket of theirs in its place.
 * The lock file beside it (path + ".lock") is held as long as the listener
 * lives: nng would take a live daemon's path from it without a word.
 */
#pragma once

#include "base/error.h"
#include "net/lock.h"
#include "rpc/exchange.h"
#include "settings/settings.h"

#include <nng/nng.h>
#include <stdbool.h>

enum listener_scheme { LISTENER_IPC, LISTENER_ABSTRACT, LISTENER_TCP, LISTENER_INPROC };

struct listener {
    enum listener_scheme scheme;
    nng_listener nng;
    bool allow_remote;
    char *url;         /* with the port that the kernel chose; set by start */
    struct lock *lock; /* of an ipc path; else NULL */
};

/* Checks the URL, makes the path free and creates the listener, which hears nothing yet. fini is
 * safe after failure, and on zeroed memory. */
MX_MUST_USE enum mx_code listener_init(struct listener *listener, nng_socket socket,
                                       const char *url, const struct settings *settings,
                                       struct mx_error *err);

/* Listens. */
MX_MUST_USE enum mx_code listener_start(struct listener *listener, const char *url,
                                        struct mx_error *err);

/* After the socket is closed: the lock must outlive the path. */
void listener_fini(struct listener *listener);

/* Who is at the other end of a pipe of this listener. False: nobody that may call. */
bool listener_identify(const struct listener *listener, nng_pipe pipe, struct rpc_peer *peer_out);
