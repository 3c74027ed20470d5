/*
 * The dispatcher: from packed request to packed answer.
 *
 *   rpc_receive   unpack and check the envelope, find the row, identify and
 *                 authorise the caller, check options
 *     a read      pin a snapshot, handle, answer; all of it in the transport's
 *                 callback. One that wants a newer revision, or a key that is
 *                 not there yet, waits with the waiter.
 *     a change    into the bounded queue of the writer: beyond it,
 *                 RESOURCE_EXHAUSTED with RetryInfo.
 *   the writer    takes all that waits (up to a limit), runs each on the draft,
 *                 commits them as one, publishes, answers.
 *
 * Threads: rpc_receive() from any number of callbacks; one writer; one waiter.
 * What a request id, validate_only, if_revision, min_revision and a deadline
 * mean is done here, once, for all operations.
 */
#pragma once

#include "base/error.h"
#include "rpc/call.h"
#include "rpc/exchange.h"

struct keydir;
struct key_pool;
struct store;

struct rpc_config {
    const struct settings *settings; /* all borrowed; they outlive the dispatcher */
    struct backend *backend;
    struct store *store;
    struct auth *auth;
    struct key_pool *pool;
    struct vault *vault;
    struct keydir *keydir; /* NULL: none */
    const struct rpc_table *tables;
    size_t table_count;
    const char *version;
    struct slice descriptor_set;
};

/* Starts writer and waiter. INTERNAL: a row names no operation of its service. */
MX_MUST_USE enum mx_code rpc_create(const struct rpc_config *config, struct rpc **rpc_out,
                                    struct mx_error *err);

/*
 * Refuses new calls with UNAVAILABLE, ends what waits, does what is queued, and returns when no
 * call is left or at the deadline (monotonic). True: none is left.
 */
bool rpc_drain(struct rpc *rpc, int64_t deadline_ms);

/*
 * Ends writer and waiter, after rpc_drain() and after the transport has stopped. What a drain that
 * met its deadline left behind may still be waiting for key files or keys: end those
 * (keydir_close, key_pool_destroy) between this and rpc_destroy(). NULL is fine, for both.
 */
void rpc_stop(struct rpc *rpc);
void rpc_destroy(struct rpc *rpc);

/* Whether changes and reads are answered: what Health/Check says. Any thread. */
bool rpc_is_serving(struct rpc *rpc);

/* Operations of the services without a row, for the test that names them; `index` from 0. NULL at
 * the end. */
const char *rpc_unbuilt(const struct rpc *rpc, size_t index);
