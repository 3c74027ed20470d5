/*
 * The writer: who changes the store, and when.
 *
 * A group of changes goes through three stages: it is run on a draft, it is made
 * durable, it is answered (call_group.c). The writer's threads, its "hands", are all
 * alike: each carries a group through all three. There is one *pen*, held by who
 * runs a group, and one *disk*, held by who makes one durable.
 *
 *   take the pen, run what waits on a draft, take the disk, seal, give the pen,
 *   commit, give the disk, answer
 *
 * So while one group is on its way to the disk the next is being run on top of
 * it, and the one before is being answered. A call that comes alone passes
 * through one thread: nothing is handed on. What comes while the disk is busy
 * joins the group that waits for it.
 *
 * When a commit fails, what was run on top of it is undone and run again. Who
 * failed needs the pen for that; `broken` asks for it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "rpc/internal.h"
#include "settings/settings.h"

#include <errno.h>
#include <stdlib.h>

/* One runs, one commits, one answers. */
#define HANDS 3
/* With nothing to do, memory of old versions is reclaimed this often. */
#define IDLE_MS 1000

struct hand {
    struct writer *writer;
    pthread_t thread;
    struct call_group group;
};

struct writer {
    struct rpc *rpc;
    struct hand hands[HANDS];
    unsigned hand_count; /* that have a thread */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for who waits for the pen: there is something to do with it */
    pthread_cond_t turn; /* for who has it, or must have it: disk or pen were given */
    atomic_bool broken; /* who has the pen is to undo what it did, and give it; written with lock */
    /* Protected by lock, as all below. */
    struct rpc_call *first; /* the queue */
    struct rpc_call **end;
    unsigned count; /* that wait: the queue, and the group that is not on its way to the disk yet */
    bool stopping;
    bool pen;        /* somebody has it */
    bool disk;       /* likewise */
    bool takes_more; /* who has the pen waits for the disk, and has room for those who come */
    /* Drafts that are durable, in the order of their commits: who has the pen ends them. A hand
     * adds one at most between two takings of the pen, and each taking ends all. */
    struct store_draft *durable[HANDS];
    unsigned durable_count;
    int64_t trim_at_ms; /* of who has the pen */
};

static void take_lock(struct writer *writer)
{
    (void) pthread_mutex_lock(&writer->lock);
}

static void give_lock(struct writer *writer)
{
    (void) pthread_mutex_unlock(&writer->lock);
}

/* ------------------------------------------------------------------- queue */

/* With the lock, as all of the queue. */
static void append(struct writer *writer, struct rpc_call *call)
{
    call->next = NULL;
    *writer->end = call;
    writer->end = &call->next;
    writer->count++;
    if (!writer->pen) {
        (void) pthread_cond_signal(&writer->wake);
    } else if (writer->takes_more) {
        (void) pthread_cond_broadcast(&writer->turn);
    }
}

bool writer_submit(struct writer *writer, struct rpc_call *call)
{
    bool room;

    take_lock(writer);
    room = writer->count < writer->rpc->config.settings->limits.change_queue;
    if (room) {
        append(writer, call);
    }
    give_lock(writer);
    return room;
}

void writer_resubmit(struct writer *writer, struct rpc_call *call)
{
    take_lock(writer);
    append(writer, call);
    give_lock(writer);
}

static void put_first(struct writer *writer, struct rpc_call *list)
{
    struct rpc_call *last = list;

    if (list == NULL) {
        return;
    }
    for (;;) {
        writer->count++;
        if (last->next == NULL) {
            break;
        }
        last = last->next;
    }
    last->next = writer->first;
    if (writer->first == NULL) {
        writer->end = &last->next;
    }
    writer->first = list;
}

/* As many as the group has room for. */
static void take_calls(struct writer *writer, struct call_group *group)
{
    while (writer->first != NULL && !call_group_is_full(group)) {
        struct rpc_call *call = writer->first;

        writer->first = call->next;
        if (writer->first == NULL) {
            writer->end = &writer->first;
        }
        call->next = NULL;
        group->calls[group->count++] = call;
    }
}

/* The group's calls do not wait any more, or wait in the queue from now on. */
static void uncount(struct writer *writer, const struct call_group *group)
{
    writer->count -= group->count;
}

/* ------------------------------------------------------------ pen and disk */

/* With the lock, as the following. */
static void give_pen(struct writer *writer)
{
    writer->pen = false;
    (void) pthread_cond_broadcast(&writer->turn);
    if (writer->first != NULL) {
        (void) pthread_cond_signal(&writer->wake);
    }
}

static void give_disk(struct writer *writer)
{
    writer->disk = false;
    (void) pthread_cond_broadcast(&writer->turn);
}

/* With the pen. False: there was none. */
static bool end_durable(struct writer *writer)
{
    bool any = writer->durable_count > 0;

    while (writer->durable_count > 0) {
        struct store_draft *draft = writer->durable[0];

        writer->durable_count--;
        for (unsigned i = 0; i < writer->durable_count; i++) {
            writer->durable[i] = writer->durable[i + 1];
        }
        give_lock(writer);
        store_end(&draft);
        take_lock(writer);
    }
    return any;
}

/* False: nothing has come for a while. */
static bool await_wake(struct writer *writer)
{
    int64_t until_us = clock_mono_us() + (int64_t) IDLE_MS * 1000;
    struct timespec until = { .tv_sec = (time_t) (until_us / 1000000),
                              .tv_nsec = (long) (until_us % 1000000) * 1000 };

    return pthread_cond_timedwait(&writer->wake, &writer->lock, &until) != ETIMEDOUT;
}

/* Takes the pen when there is something to do with it, if only to tidy up. False: it is time to
 * end. */
static bool await_work(struct writer *writer)
{
    bool idle = false;

    while (writer->first != NULL || !writer->stopping) {
        bool work = writer->first != NULL || writer->durable_count > 0 || idle;

        if (work && !writer->pen && !atomic_load(&writer->broken)) {
            writer->pen = true;
            return true;
        }
        idle = !await_wake(writer);
    }
    return false;
}

bool writer_await_durable(struct writer *writer)
{
    bool all;

    take_lock(writer);
    while (writer->disk && !atomic_load(&writer->broken)) {
        (void) pthread_cond_wait(&writer->turn, &writer->lock);
    }
    all = !writer->disk;
    give_lock(writer);
    return all;
}

/* ----------------------------------------------------------------- a group */

/* What a failed commit leaves: the group's calls to be run again, or told that they failed. */
static struct rpc_call *settle_failed(struct writer *writer, struct call_group *group,
                                      enum mx_code code, const struct mx_error *why)
{
    struct mx_error err;

    store_end(&group->draft);
    if (code != MX_ABORTED) {
        log_write(LOG_ERROR, "commit_failed", LOG_TEXT("code", mx_code_name(code)),
                  LOG_TEXT("why", why->message));
        return NULL;
    }
    if (store_catch_up(writer->rpc->config.store, &err) != MX_OK) {
        log_write(LOG_ERROR, "catch_up_failed", LOG_TEXT("why", err.message));
    }
    return call_group_take_back(group, true);
}

/* With the disk; what was run on top of the group goes back to the queue first. */
static void recover(struct writer *writer, struct call_group *group, enum mx_code code,
                    const struct mx_error *why)
{
    struct rpc_call *again;

    take_lock(writer);
    atomic_store(&writer->broken, true);
    (void) pthread_cond_broadcast(&writer->turn);
    while (writer->pen) {
        (void) pthread_cond_wait(&writer->turn, &writer->lock);
    }
    writer->pen = true;
    (void) end_durable(writer);
    give_lock(writer);
    again = settle_failed(writer, group, code, why);
    take_lock(writer);
    put_first(writer, again);
    atomic_store(&writer->broken, false);
    give_disk(writer);
    give_pen(writer);
    give_lock(writer);
    waiter_poke(writer->rpc->waiter);
    if (code != MX_ABORTED) {
        call_group_fail(group, why);
    }
}

/* With the disk. */
static void commit(struct writer *writer, struct call_group *group)
{
    struct mx_error err;
    enum mx_code code = store_make_durable(group->draft, &err);

    if (code != MX_OK) {
        recover(writer, group, code, &err);
        return;
    }
    call_group_look_up(group);
    take_lock(writer);
    writer->durable[writer->durable_count++] = group->draft;
    give_disk(writer);
    give_lock(writer);
    waiter_poke(writer->rpc->waiter);
    call_group_answer(group);
}

/* Runs what is queued, and what comes while the disk is busy. False: all of it must be undone. */
static bool run_until_disk(struct writer *writer, struct call_group *group)
{
    for (;;) {
        take_calls(writer, group);
        give_lock(writer);
        call_group_run(group, &writer->broken);
        take_lock(writer);
        if (atomic_load(&writer->broken)) {
            return false;
        }
        if (writer->first != NULL && !call_group_is_full(group)) {
            continue;
        }
        if (!writer->disk) {
            return true;
        }
        writer->takes_more = !call_group_is_full(group);
        (void) pthread_cond_wait(&writer->turn, &writer->lock);
        writer->takes_more = false;
    }
}

/* A group that has a draft, to its end. With the lock and the pen, which is given. */
static void carry(struct writer *writer, struct call_group *group)
{
    if (!run_until_disk(writer, group)) {
        store_abort(&group->draft);
        uncount(writer, group);
        put_first(writer, call_group_take_back(group, false));
        give_pen(writer);
        return;
    }
    uncount(writer, group);
    put_first(writer, call_group_take_later(group));
    if (group->any_kept) {
        store_seal(group->draft);
        writer->disk = true;
        give_pen(writer);
        give_lock(writer);
        commit(writer, group);
    } else {
        store_abort(&group->draft);
        give_lock(writer);
        call_group_look_up(group);
        take_lock(writer);
        give_pen(writer);
        give_lock(writer);
        call_group_answer(group);
    }
    call_group_clear(group);
    take_lock(writer);
}

/* Takes calls that can't be run, and the pen with it. */
static void turn_away(struct writer *writer, struct call_group *group, bool is_read_only)
{
    struct mx_error err;

    (void) mx_fail(&err, MX_RESOURCE_EXHAUSTED, "out of memory");
    take_calls(writer, group);
    uncount(writer, group);
    give_pen(writer);
    give_lock(writer);
    if (is_read_only) {
        call_group_refuse(group);
    } else {
        call_group_fail(group, &err);
    }
    call_group_clear(group);
    take_lock(writer);
}

static void serve(struct writer *writer, struct call_group *group)
{
    struct store *store = writer->rpc->config.store;
    bool is_read_only = store_is_read_only(store);

    group->draft = is_read_only ? NULL : store_begin(store);
    if (group->draft == NULL) {
        turn_away(writer, group, is_read_only);
    } else {
        carry(writer, group);
    }
}

/* ------------------------------------------------------------------ thread */

/* When drafts have ended, and now and then. With the pen. */
static void tidy_up(struct writer *writer)
{
    give_lock(writer);
    store_reclaim(writer->rpc->config.store);
    trim_step(writer->rpc, &writer->trim_at_ms);
    take_lock(writer);
}

static void *hand_main(void *argument)
{
    struct hand *hand = argument;
    struct writer *writer = hand->writer;

    take_lock(writer);
    while (await_work(writer)) {
        if (end_durable(writer) || writer->first == NULL) {
            tidy_up(writer);
        }
        if (writer->first != NULL) {
            serve(writer, &hand->group);
        } else {
            give_pen(writer);
        }
    }
    give_lock(writer);
    return NULL;
}

static bool hand_start(struct writer *writer, struct hand *hand)
{
    hand->writer = writer;
    if (!call_group_init(&hand->group, writer->rpc) ||
        pthread_create(&hand->thread, NULL, hand_main, hand) != 0) {
        call_group_fini(&hand->group);
        return false;
    }
    (void) pthread_setname_np(hand->thread, "mx:writer");
    return true;
}

enum mx_code writer_create(struct rpc *rpc, struct writer **out, struct mx_error *err)
{
    struct writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the writer");
    }
    writer->rpc = rpc;
    writer->end = &writer->first;
    writer->trim_at_ms = clock_mono_ms(); /* who is restarted often forgets as well */
    (void) pthread_mutex_init(&writer->lock, NULL);
    clock_cond_init(&writer->wake);
    clock_cond_init(&writer->turn);
    while (writer->hand_count < HANDS) {
        if (!hand_start(writer, &writer->hands[writer->hand_count])) {
            writer_destroy(writer);
            return mx_fail(err, MX_RESOURCE_EXHAUSTED, "the writer's threads can't be started");
        }
        writer->hand_count++;
    }
    *out = writer;
    return MX_OK;
}

void writer_destroy(struct writer *writer)
{
    if (writer == NULL) {
        return;
    }
    take_lock(writer);
    writer->stopping = true;
    (void) pthread_cond_broadcast(&writer->wake);
    give_lock(writer);
    for (unsigned i = 0; i < writer->hand_count; i++) {
        (void) pthread_join(writer->hands[i].thread, NULL);
        call_group_fini(&writer->hands[i].group);
    }
    take_lock(writer);
    (void) end_durable(writer);
    give_lock(writer);
    (void) pthread_mutex_destroy(&writer->lock);
    (void) pthread_cond_destroy(&writer->wake);
    (void) pthread_cond_destroy(&writer->turn);
    free(writer);
}
