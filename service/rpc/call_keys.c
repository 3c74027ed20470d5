/*
 * The private keys of a call: those at hand, by kind, and the wait for more.
 *
 * A call holds its keys from run to run, whatever becomes of a run: they are in
 * its hands until it ends. Then those that a kept change used are gone for good,
 * and all others go back to the pool. The parts of a batch share its keys.
 */
#include "rpc/internal.h"

#include <string.h>

/* ------------------------------------------------------------- for handlers */

/* Room for as many as are wanted. */
static void reserve(struct rpc_call *call, struct key_list *list)
{
    unsigned room = list->want > 2 * list->room ? list->want : 2 * list->room;
    struct key **at;

    if (list->want <= list->room) {
        return;
    }
    at = arena_alloc(call->arena, room * sizeof(struct key *));
    if (list->count > 0) {
        memcpy(at, list->at, list->count * sizeof(struct key *));
    }
    list->at = at;
    list->room = room;
}

/* Takes what is ready. False: it is less than is wanted. */
static bool take_ready(struct rpc_call *call, struct key_list *list, enum key_kind kind)
{
    while (list->count < list->want) {
        struct key *key = key_pool_try_take(call->rpc->config.pool, kind);

        if (key == NULL) {
            return false;
        }
        list->at[list->count++] = key;
    }
    return true;
}

bool call_want_keys(struct rpc_call *call, enum key_kind kind, unsigned count)
{
    struct key_list *list = &call->whole->keys[kind];

    if (call->validate_only) {
        return true;
    }
    list->want = list->used + count;
    reserve(call, list);
    return take_ready(call, list, kind);
}

const struct key *call_take_key(struct rpc_call *call, enum key_kind kind)
{
    struct key_list *list = &call->whole->keys[kind];

    return list->used < list->count ? list->at[list->used++] : NULL;
}

/* ----------------------------------------------------------------- waiting */

static bool is_short(const struct rpc_call *call, int kind)
{
    const struct key_list *list = &call->whole->keys[kind];

    return list->want > list->count;
}

bool call_wants_keys(const struct rpc_call *call)
{
    bool any = false;

    for (int kind = 0; kind < KEY_KINDS; kind++) {
        any = any || is_short(call, kind);
    }
    return any && status_ok(&call->status);
}

static void end_without_key(struct rpc_call *call)
{
    struct rpc *rpc = call->rpc;
    enum key_kind kind = call->wait.kind;

    call_rewind(call);
    if (atomic_load(&rpc->draining)) {
        status_retry(&call->status, MX_UNAVAILABLE, "DRAINING", RETRY_DRAIN_MS,
                     "the server is stopping");
    } else {
        status_retry(&call->status, MX_RESOURCE_EXHAUSTED, "KEY_POOL_EMPTY",
                     key_pool_retry_ms(rpc->config.pool, kind), "no spare %s key was ready in time",
                     key_kind_name(kind));
    }
    call_finish(call);
}

/* There is room for it since it is wanted. */
static void key_arrived(struct key_wait *wait, struct key *key)
{
    struct rpc_call *call = (struct rpc_call *) ((char *) wait - offsetof(struct rpc_call, wait));
    struct key_list *list = &call->keys[wait->kind];

    if (key == NULL) {
        end_without_key(call);
        return;
    }
    list->at[list->count++] = key;
    call_wait_for_keys(call);
}

static void run_again(struct rpc_call *call)
{
    call_rewind(call);
    if (call->row->access == RPC_CHANGE) {
        writer_resubmit(call->rpc->writer, call);
    } else {
        waiter_run(call->rpc->waiter, call);
    }
}

static void wait_for_key(struct rpc_call *call, enum key_kind kind)
{
    struct rpc *rpc = call->rpc;

    call->wait =
        (struct key_wait){ .kind = kind, .deadline_ms = call->deadline_ms, .done = key_arrived };
    if (atomic_load(&rpc->draining) || !call_may_wait(call) ||
        !key_pool_wait(rpc->config.pool, &call->wait)) {
        end_without_key(call);
        return;
    }
    waiter_poke(rpc->waiter);
}

/* One key after the other, at the end of the queue each time: a call that wants many keeps nobody
 * waiting who wants one. */
void call_wait_for_keys(struct rpc_call *call)
{
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        if (is_short(call, kind) && !take_ready(call, &call->keys[kind], (enum key_kind) kind)) {
            wait_for_key(call, (enum key_kind) kind);
            return;
        }
    }
    run_again(call);
}

/* --------------------------------------------------------------- the end */

void call_keys_rewind(struct rpc_call *call)
{
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        call->keys[kind].used = 0;
        call->keys[kind].want = 0;
    }
}

void call_keys_mark(const struct rpc_call *call, struct key_marks *marks_out)
{
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        marks_out->used[kind] = call->keys[kind].used;
    }
}

void call_keys_unuse(struct rpc_call *call, const struct key_marks *marks)
{
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        call->keys[kind].used = marks->used[kind];
    }
}

void call_spend_keys(struct rpc_call *call)
{
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        struct key_list *list = &call->keys[kind];

        for (unsigned i = 0; i < list->used; i++) {
            key_destroy(list->at[i]);
        }
        for (unsigned i = list->used; i < list->count; i++) {
            list->at[i - list->used] = list->at[i];
        }
        list->count -= list->used;
        list->used = 0;
    }
}

void call_release_keys(struct rpc_call *call)
{
    for (int kind = 0; kind < KEY_KINDS; kind++) {
        struct key_list *list = &call->keys[kind];

        for (unsigned i = 0; i < list->count; i++) {
            key_pool_return(call->rpc->config.pool, list->at[i]);
        }
        list->count = 0;
    }
}
