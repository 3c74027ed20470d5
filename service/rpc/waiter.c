/*
 * The waiter: the one thread on which calls wait, so that none waits in a
 * callback.
 *
 * Parked here are reads that want a newer revision than there is. It also runs
 * reads that waited for a key, ends waits for keys at their deadline, and lets
 * go of snapshots that page tokens no longer need.
 */
#include "base/clock.h"
#include "rpc/internal.h"
#include "settings/settings.h"

#include <stdlib.h>

/* Page tokens expire by the minute; looking every few seconds is exact enough. */
#define TICK_MS 5000

struct waiter {
    struct rpc *rpc;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct rpc_call *parked; /* protected by lock, as all below */
    unsigned parked_count;
    struct rpc_call *ready;
    bool poked;
    bool stopping;
};

bool waiter_park(struct waiter *waiter, struct rpc_call *call)
{
    bool room;

    (void) pthread_mutex_lock(&waiter->lock);
    room = waiter->parked_count < waiter->rpc->config.settings->limits.waiting_reads;
    if (room) {
        call->next = waiter->parked;
        waiter->parked = call;
        waiter->parked_count++;
        waiter->poked = true; /* its revision may have come meanwhile */
        (void) pthread_cond_signal(&waiter->wake);
    }
    (void) pthread_mutex_unlock(&waiter->lock);
    return room;
}

void waiter_run(struct waiter *waiter, struct rpc_call *call)
{
    (void) pthread_mutex_lock(&waiter->lock);
    call->next = waiter->ready;
    waiter->ready = call;
    waiter->poked = true;
    (void) pthread_cond_signal(&waiter->wake);
    (void) pthread_mutex_unlock(&waiter->lock);
}

void waiter_poke(struct waiter *waiter)
{
    (void) pthread_mutex_lock(&waiter->lock);
    waiter->poked = true;
    (void) pthread_cond_signal(&waiter->wake);
    (void) pthread_mutex_unlock(&waiter->lock);
}

/* Takes out of the parked those whose wait is over; `*deadline` becomes the next of the others. */
static struct rpc_call *take_due(struct waiter *waiter, int64_t now, int64_t *deadline)
{
    bool all = atomic_load(&waiter->rpc->draining);
    uint64_t revision = store_revision(waiter->rpc->config.store);
    struct rpc_call **link = &waiter->parked;
    struct rpc_call *due = NULL;

    while (*link != NULL) {
        struct rpc_call *call = *link;

        if (all || call->min_revision <= revision || call->deadline_ms <= now) {
            *link = call->next;
            waiter->parked_count--;
            call->next = due;
            due = call;
            continue;
        }
        if (call->deadline_ms < *deadline) {
            *deadline = call->deadline_ms;
        }
        link = &call->next;
    }
    return due;
}

static void run_read(struct rpc_call *call)
{
    if (call->row->access == RPC_READ_SLOW) {
        slow_resubmit(call->rpc->slow, call);
    } else {
        call_run_read(call);
    }
}

static void end_wait(struct rpc_call *call)
{
    struct rpc *rpc = call->rpc;

    if (call->min_revision <= store_revision(rpc->config.store)) {
        run_read(call);
        return;
    }
    if (atomic_load(&rpc->draining)) {
        status_retry(&call->status, MX_UNAVAILABLE, "DRAINING", RETRY_DRAIN_MS,
                     "the server is stopping");
    } else {
        status_fail(&call->status, MX_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",
                    "revision %llu did not come in the time given",
                    (unsigned long long) call->min_revision);
    }
    call_finish(call);
}

static void run_list(struct rpc_call *list, void (*run)(struct rpc_call *call))
{
    while (list != NULL) {
        struct rpc_call *call = list;

        list = call->next;
        run(call);
    }
}

/* One round with the lock held at begin and end; returns when to look again. */
static int64_t round_of(struct waiter *waiter)
{
    int64_t now = clock_mono_ms();
    int64_t deadline = now + TICK_MS;
    struct rpc_call *ready = waiter->ready;
    struct rpc_call *due = take_due(waiter, now, &deadline);
    int64_t keys;

    waiter->ready = NULL;
    waiter->poked = false;
    (void) pthread_mutex_unlock(&waiter->lock);
    run_list(ready, run_read);
    run_list(due, end_wait);
    keys = key_pool_expire(waiter->rpc->config.pool,
                           atomic_load(&waiter->rpc->draining) ? INT64_MAX - 1 : now);
    pages_expire(waiter->rpc->pages);
    (void) pthread_mutex_lock(&waiter->lock);
    return keys < deadline ? keys : deadline;
}

static void *waiter_main(void *argument)
{
    struct waiter *waiter = argument;
    int64_t until_ms = 0;

    (void) pthread_mutex_lock(&waiter->lock);
    while (!waiter->stopping || waiter->ready != NULL || waiter->parked != NULL) {
        struct timespec until;

        if (!waiter->poked && clock_mono_ms() < until_ms) {
            until.tv_sec = (time_t) (until_ms / 1000);
            until.tv_nsec = (long) (until_ms % 1000) * 1000000;
            (void) pthread_cond_timedwait(&waiter->wake, &waiter->lock, &until);
        }
        if (waiter->poked || clock_mono_ms() >= until_ms) {
            until_ms = round_of(waiter);
        }
    }
    (void) pthread_mutex_unlock(&waiter->lock);
    return NULL;
}

static void waiter_free(struct waiter *waiter)
{
    (void) pthread_mutex_destroy(&waiter->lock);
    (void) pthread_cond_destroy(&waiter->wake);
    free(waiter);
}

enum mx_code waiter_create(struct rpc *rpc, struct waiter **out, struct mx_error *err)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));

    if (waiter == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the waiter");
    }
    waiter->rpc = rpc;
    (void) pthread_mutex_init(&waiter->lock, NULL);
    clock_cond_init(&waiter->wake);
    if (pthread_create(&waiter->thread, NULL, waiter_main, waiter) != 0) {
        waiter_free(waiter);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "the waiter's thread can't be started");
    }
    (void) pthread_setname_np(waiter->thread, "mx:waiter");
    *out = waiter;
    return MX_OK;
}

void waiter_destroy(struct waiter *waiter)
{
    if (waiter == NULL) {
        return;
    }
    (void) pthread_mutex_lock(&waiter->lock);
    waiter->stopping = true;
    waiter->poked = true;
    (void) pthread_cond_signal(&waiter->wake);
    (void) pthread_mutex_unlock(&waiter->lock);
    (void) pthread_join(waiter->thread, NULL);
    waiter_free(waiter);
}
