/*
 * The waiter: the one thread on which calls wait, so that none waits in a
 * callback.
 *
 * Parked here are reads that want a newer revision than there is, and those
 * that follow the changes and have seen all. It also runs reads that waited for
 * a key, ends waits for keys at their deadline, and lets go of snapshots that
 * page tokens no longer need.
 *
 * Those that follow are *watching* until there is a revision that they have not
 * seen; then all are *waking*, and looked at in small portions, so that ten
 * thousand of them keep nobody else waiting: a look answers a call, or finds
 * nothing in the change for its filter, and it is watching again.
 */
#include "base/clock.h"
#include "rpc/internal.h"
#include "settings/settings.h"
#include "stage/stage.h"

#include <stdlib.h>

/* Page tokens expire by the minute; looking every few seconds is exact enough. */
#define TICK_MS 5000

/* Calls woken between two looks at the others. */
#define WAKE_STEP 64

struct call_list {
    struct rpc_call *first;
    struct rpc_call **end;
};

struct waiter {
    struct rpc *rpc;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct rpc_call *parked; /* protected by lock, as all below */
    unsigned parked_count;
    struct call_list watching;
    struct call_list waking;
    int64_t watching_until_ms; /* the first of the watching is over */
    uint64_t watched;          /* the revision that the watching have seen, or were woken for */
    bool hung_up;              /* some clients have */
    struct rpc_call *ready;
    bool poked;
    bool stopping;
};

static bool is_gone(const struct rpc_call *call)
{
    return atomic_load(&call->exchange->gone);
}

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

static void list_init(struct call_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_append(struct call_list *list, struct rpc_call *call)
{
    call->next = NULL;
    *list->end = call;
    list->end = &call->next;
}

static void list_move(struct call_list *to, struct call_list *from)
{
    if (from->first != NULL) {
        *to->end = from->first;
        to->end = from->end;
        list_init(from);
    }
}

static void poke(struct waiter *waiter)
{
    waiter->poked = true;
    (void) pthread_cond_signal(&waiter->wake);
}

/* With the lock. */
static void watch(struct waiter *waiter, struct rpc_call *call)
{
    list_append(&waiter->watching, call);
    if (call->wait_until_ms < waiter->watching_until_ms) {
        waiter->watching_until_ms = call->wait_until_ms;
        poke(waiter);
    }
    if (call->wait_after < waiter->watched) {
        waiter->watched = call->wait_after; /* it came after the others were woken for it */
        poke(waiter);
    }
    if (is_gone(call)) {
        waiter->hung_up = true; /* and before it was here to be found */
        poke(waiter);
    }
}

void waiter_watch(struct waiter *waiter, struct rpc_call *call)
{
    (void) pthread_mutex_lock(&waiter->lock);
    watch(waiter, call);
    (void) pthread_mutex_unlock(&waiter->lock);
}

void waiter_hung_up(struct waiter *waiter)
{
    (void) pthread_mutex_lock(&waiter->lock);
    waiter->hung_up = true;
    waiter->poked = true;
    (void) pthread_cond_signal(&waiter->wake);
    (void) pthread_mutex_unlock(&waiter->lock);
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

        if (all || call->min_revision <= revision || call->deadline_ms <= now || is_gone(call)) {
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

/* There is nobody to answer: the words are for the log. */
static void end_gone(struct rpc_call *call)
{
    status_fail(&call->status, MX_CANCELLED, "CLIENT_GONE", "the client hung up while it waited");
    call_finish(call);
}

static void end_wait(struct rpc_call *call)
{
    struct rpc *rpc = call->rpc;

    if (is_gone(call)) {
        end_gone(call);
        return;
    }
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

/* -------------------------------------------------------------- watching */

/* Whether the watching have a reason to be looked at; then they are waking. With the lock. */
static void wake_watching(struct waiter *waiter, int64_t now)
{
    uint64_t revision = store_revision(waiter->rpc->config.store);

    if (revision > waiter->watched || waiter->hung_up || now >= waiter->watching_until_ms ||
        atomic_load(&waiter->rpc->draining)) {
        waiter->watched = revision;
        waiter->hung_up = false;
        waiter->watching_until_ms = INT64_MAX;
        list_move(&waiter->waking, &waiter->watching);
    }
}

/* A portion of the waking. With the lock. */
static struct rpc_call *take_waking(struct waiter *waiter)
{
    struct rpc_call *taken = waiter->waking.first;
    struct rpc_call **link = &waiter->waking.first;

    for (unsigned i = 0; i < WAKE_STEP && *link != NULL; i++) {
        link = &(*link)->next;
    }
    waiter->waking.first = *link;
    *link = NULL;
    if (waiter->waking.first == NULL) {
        list_init(&waiter->waking);
    } else {
        waiter->poked = true;
    }
    return taken;
}

static void look_at_watching(struct rpc_call *call)
{
    struct rpc *rpc = call->rpc;

    if (is_gone(call)) {
        end_gone(call);
    } else if (call->wait_after < store_revision(rpc->config.store) ||
               call->wait_until_ms <= clock_mono_ms() || atomic_load(&rpc->draining)) {
        run_read(call);
    } else {
        (void) pthread_mutex_lock(&rpc->waiter->lock);
        watch(rpc->waiter, call);
        (void) pthread_mutex_unlock(&rpc->waiter->lock);
    }
}

/* One round with the lock held at begin and end; returns when to look again. */
static int64_t round_of(struct waiter *waiter)
{
    int64_t now = clock_mono_ms();
    int64_t deadline = now + TICK_MS;
    struct rpc_call *ready = waiter->ready;
    struct rpc_call *due = take_due(waiter, now, &deadline);
    struct rpc_call *waking;
    int64_t keys;

    waiter->ready = NULL;
    waiter->poked = false;
    wake_watching(waiter, now);
    waking = take_waking(waiter);
    (void) pthread_mutex_unlock(&waiter->lock);
    run_list(ready, run_read);
    run_list(due, end_wait);
    run_list(waking, look_at_watching);
    keys = key_pool_expire(waiter->rpc->config.pool,
                           atomic_load(&waiter->rpc->draining) ? INT64_MAX - 1 : now);
    pages_expire(waiter->rpc->pages);
    stage_expire(waiter->rpc->stage, now);
    (void) pthread_mutex_lock(&waiter->lock);
    deadline = waiter->watching_until_ms < deadline ? waiter->watching_until_ms : deadline;
    return keys < deadline ? keys : deadline;
}

static void *waiter_main(void *argument)
{
    struct waiter *waiter = argument;
    int64_t until_ms = 0;

    (void) pthread_mutex_lock(&waiter->lock);
    while (!waiter->stopping || waiter->ready != NULL || waiter->parked != NULL ||
           waiter->watching.first != NULL || waiter->waking.first != NULL) {
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
    waiter->watching_until_ms = INT64_MAX;
    list_init(&waiter->watching);
    list_init(&waiter->waking);
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
