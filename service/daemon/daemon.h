/*
 * The daemon without its transport: all objects that stand between settings and
 * messages (store, vault, key pool, key directory, principals, dispatcher), made
 * in the order in which they need each other and ended in reverse. The program
 * puts a server (net/) before it, the tests of tests/rpc a loop of their own.
 */
#pragma once

#include "base/error.h"
#include "store/store.h"

struct daemon;
struct rpc;
struct settings;

struct daemon_config {
    const struct settings *settings; /* borrowed; outlives the daemon */
    /* Taken over, whatever comes out. NULL: SQLite, in the state directory. */
    struct backend *backend;
    const char *version;         /* of the program; borrowed */
    struct slice descriptor_set; /* the contract, for ServerInfo; borrowed */
};

/* The state directory is there, and kept from others. An error leaves nothing behind. */
MX_MUST_USE enum mx_code daemon_start(const struct daemon_config *config,
                                      struct daemon **daemon_out, struct mx_error *err);

/* Path of a file in the state directory, PATH_MAX bytes of room. */
MX_MUST_USE enum mx_code daemon_state_path(const struct settings *settings, const char *name,
                                           char *path, struct mx_error *err);

/* Borrowed. The transport hands requests to its rpc_receive(), and asks it to drain. */
struct rpc *daemon_rpc(const struct daemon *daemon);
struct store *daemon_store(const struct daemon *daemon);

/*
 * After rpc_drain(), and with the transport stopped: nobody calls rpc_receive() any more. What a
 * drain that met its deadline left is ended and answered. NULL is fine.
 */
void daemon_stop(struct daemon *daemon);
