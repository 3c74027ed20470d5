/*
 * The slow: a few threads for what takes long, so that neither a callback nor
 * the writer has to do it: reads that look at a lot (the history, an export),
 * and what a change prepares before it has its turn (a plan).
 */
#include "base/clock.h"
#include "rpc/internal.h"

#include <stdlib.h>

/* Two, so that a plan of a million records does not hold up who reads history. */
#define THREADS 2
/* Calls that wait for a thread. Each may hold a message of some MiB. */
#define QUEUE_MAX 256

struct slow {
    struct rpc *rpc;
    pthread_t threads[THREADS];
    unsigned thread_count;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct rpc_call *first; /* protected by lock, as all below */
    struct rpc_call **end;
    unsigned count;
    bool stopping;
};

/* With the lock held. */
static void append(struct slow *slow, struct rpc_call *call)
{
    call->next = NULL;
    *slow->end = call;
    slow->end = &call->next;
    slow->count++;
    (void) pthread_cond_signal(&slow->wake);
}

bool slow_submit(struct slow *slow, struct rpc_call *call)
{
    bool room;

    (void) pthread_mutex_lock(&slow->lock);
    room = slow->count < QUEUE_MAX && !slow->stopping;
    if (room) {
        append(slow, call);
    }
    (void) pthread_mutex_unlock(&slow->lock);
    return room;
}

void slow_resubmit(struct slow *slow, struct rpc_call *call)
{
    bool stopped;

    (void) pthread_mutex_lock(&slow->lock);
    stopped = slow->stopping;
    if (!stopped) {
        append(slow, call);
    }
    (void) pthread_mutex_unlock(&slow->lock);
    if (stopped) {
        status_retry(&call->status, MX_UNAVAILABLE, "DRAINING", RETRY_DRAIN_MS,
                     "the server is stopping");
        call_finish(call);
    }
}

/* NULL: there is none, and it is time to end. */
static struct rpc_call *take(struct slow *slow)
{
    struct rpc_call *call;

    (void) pthread_mutex_lock(&slow->lock);
    while (slow->first == NULL && !slow->stopping) {
        (void) pthread_cond_wait(&slow->wake, &slow->lock);
    }
    call = slow->first;
    if (call != NULL) {
        slow->first = call->next;
        if (slow->first == NULL) {
            slow->end = &slow->first;
        }
        slow->count--;
    }
    (void) pthread_mutex_unlock(&slow->lock);
    return call;
}

static void prepare_change(struct rpc_call *call)
{
    struct store *store = call->rpc->config.store;

    /* A repeat is answered as before, though what it was prepared from may be gone. */
    if (call->preparations == 0 && call_is_known(call)) {
        call_finish(call);
        return;
    }
    call->snapshot = store_acquire(store);
    call->model.view = store_snapshot_view(call->snapshot);
    call->model.draft = NULL;
    call_prepare(call);
    call->revision = store_snapshot_revision(call->snapshot);
    store_release(store, call->snapshot);
    call->snapshot = NULL;
    if (!status_ok(&call->status) || call->ended) {
        call_finish(call);
    } else if (call->preparations > 1) {
        writer_resubmit(call->rpc->writer, call);
    } else {
        call_submit_change(call);
    }
}

static void run(struct rpc_call *call)
{
    if (call_is_over(call)) {
        call_finish(call);
        return;
    }
    call->slow = true;
    if (call->row->access == RPC_CHANGE) {
        prepare_change(call);
    } else {
        call_run_read(call);
    }
}

static void *slow_main(void *argument)
{
    struct slow *slow = argument;
    struct rpc_call *call;

    while ((call = take(slow)) != NULL) {
        run(call);
    }
    return NULL;
}

enum mx_code slow_create(struct rpc *rpc, struct slow **out, struct mx_error *err)
{
    struct slow *slow = calloc(1, sizeof(*slow));

    if (slow == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the slow threads");
    }
    slow->rpc = rpc;
    slow->end = &slow->first;
    (void) pthread_mutex_init(&slow->lock, NULL);
    clock_cond_init(&slow->wake);
    while (slow->thread_count < THREADS) {
        pthread_t *thread = &slow->threads[slow->thread_count];

        if (pthread_create(thread, NULL, slow_main, slow) != 0) {
            slow_destroy(slow);
            return mx_fail(err, MX_RESOURCE_EXHAUSTED, "the slow threads can't be started");
        }
        (void) pthread_setname_np(*thread, "mx:slow");
        slow->thread_count++;
    }
    *out = slow;
    return MX_OK;
}

void slow_stop(struct slow *slow)
{
    if (slow == NULL) {
        return;
    }
    (void) pthread_mutex_lock(&slow->lock);
    slow->stopping = true;
    (void) pthread_cond_broadcast(&slow->wake);
    (void) pthread_mutex_unlock(&slow->lock);
    for (unsigned i = 0; i < slow->thread_count; i++) {
        (void) pthread_join(slow->threads[i], NULL);
    }
    slow->thread_count = 0;
}

void slow_destroy(struct slow *slow)
{
    if (slow == NULL) {
        return;
    }
    slow_stop(slow);
    (void) pthread_mutex_destroy(&slow->lock);
    (void) pthread_cond_destroy(&slow->wake);
    free(slow);
}
