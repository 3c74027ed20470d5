#include "support/backend_gate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define AWAIT_S 60

struct backend_gate {
    struct backend backend;
    struct backend *behind;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut;        /* protected by lock, as all below */
    unsigned waiting; /* commits at the gate */
    unsigned commits;
};

static void *must(void *memory)
{
    if (memory == NULL) {
        perror("backend_gate");
        abort();
    }
    return memory;
}

static struct backend *behind(struct backend *backend)
{
    return ((struct backend_gate *) backend)->behind;
}

static void gate_close(struct backend *backend)
{
    struct backend_gate *gate = (struct backend_gate *) backend;

    gate->behind->ops->close(gate->behind);
    (void) pthread_mutex_destroy(&gate->lock);
    (void) pthread_cond_destroy(&gate->changed);
    free(gate);
}

static void gate_limits(struct backend *backend, struct backend_limits *limits_out)
{
    behind(backend)->ops->limits(behind(backend), limits_out);
}

static enum backend_result gate_load(struct backend *backend, backend_record_fn record,
                                     void *context, struct position *position_out,
                                     struct mx_error *err)
{
    return behind(backend)->ops->load(behind(backend), record, context, position_out, err);
}

static enum backend_result gate_tail(struct backend *backend, const struct position *after,
                                     size_t limit, backend_change_fn change, void *context,
                                     uint64_t *floor_out, struct mx_error *err)
{
    return behind(backend)->ops->tail(behind(backend), after, limit, change, context, floor_out,
                                      err);
}

static void pass(struct backend_gate *gate)
{
    (void) pthread_mutex_lock(&gate->lock);
    gate->commits++;
    gate->waiting++;
    (void) pthread_cond_broadcast(&gate->changed);
    while (gate->shut) {
        (void) pthread_cond_wait(&gate->changed, &gate->lock);
    }
    gate->waiting--;
    (void) pthread_mutex_unlock(&gate->lock);
}

static enum backend_result gate_commit(struct backend *backend, const struct position *expected,
                                       const struct backend_request *requests, size_t count,
                                       int64_t deadline_ms, struct position *position_out,
                                       size_t *replay_index, struct mx_error *err)
{
    pass((struct backend_gate *) backend);
    return behind(backend)->ops->commit(behind(backend), expected, requests, count, deadline_ms,
                                        position_out, replay_index, err);
}

static enum backend_result gate_find(struct backend *backend, const uint8_t *id, size_t id_len,
                                     struct backend_found *found_out, struct mx_error *err)
{
    return behind(backend)->ops->find(behind(backend), id, id_len, found_out, err);
}

static enum backend_result gate_barrier(struct backend *backend, struct position *position_out,
                                        struct mx_error *err)
{
    return behind(backend)->ops->barrier(behind(backend), position_out, err);
}

static bool gate_wait(struct backend *backend, uint64_t revision, int64_t deadline_ms)
{
    return behind(backend)->ops->wait(behind(backend), revision, deadline_ms);
}

static enum backend_result gate_trim(struct backend *backend, uint64_t below_revision,
                                     int64_t ids_before_us, size_t limit, bool *more_out,
                                     struct mx_error *err)
{
    return behind(backend)->ops->trim(behind(backend), below_revision, ids_before_us, limit,
                                      more_out, err);
}

static enum backend_result gate_reopen(struct backend *backend, struct mx_error *err)
{
    return behind(backend)->ops->reopen(behind(backend), err);
}

static const struct backend_ops gate_ops = {
    .name = "gate",
    .close = gate_close,
    .limits = gate_limits,
    .load = gate_load,
    .tail = gate_tail,
    .commit = gate_commit,
    .find = gate_find,
    .barrier = gate_barrier,
    .wait = gate_wait,
    .trim = gate_trim,
    .reopen = gate_reopen,
};

struct backend *backend_gate_create(struct backend *behind_it, struct backend_gate **gate_out)
{
    struct backend_gate *gate = must(calloc(1, sizeof(*gate)));

    gate->backend.ops = &gate_ops;
    gate->behind = behind_it;
    (void) pthread_mutex_init(&gate->lock, NULL);
    (void) pthread_cond_init(&gate->changed, NULL);
    *gate_out = gate;
    return &gate->backend;
}

static void set_shut(struct backend_gate *gate, bool shut)
{
    (void) pthread_mutex_lock(&gate->lock);
    gate->shut = shut;
    (void) pthread_cond_broadcast(&gate->changed);
    (void) pthread_mutex_unlock(&gate->lock);
}

void backend_gate_shut(struct backend_gate *gate)
{
    set_shut(gate, true);
}

void backend_gate_open(struct backend_gate *gate)
{
    set_shut(gate, false);
}

bool backend_gate_await(struct backend_gate *gate)
{
    struct timespec until;
    int failed = 0;
    bool waits;

    (void) clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AWAIT_S;
    (void) pthread_mutex_lock(&gate->lock);
    while (!(gate->shut && gate->waiting > 0) && failed == 0) {
        failed = pthread_cond_timedwait(&gate->changed, &gate->lock, &until);
    }
    waits = gate->shut && gate->waiting > 0;
    (void) pthread_mutex_unlock(&gate->lock);
    return waits;
}

unsigned backend_gate_commits(struct backend_gate *gate)
{
    unsigned commits;

    (void) pthread_mutex_lock(&gate->lock);
    commits = gate->commits;
    (void) pthread_mutex_unlock(&gate->lock);
    return commits;
}
