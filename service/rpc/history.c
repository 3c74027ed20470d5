/*
 * The changes that a call reads: from memory where the store has them, else
 * from the backend, which only a thread that may wait asks.
 */
#include "base/log.h"
#include "rpc/internal.h"

#include <string.h>

/* What a callback hands out at most in one run; who reads more goes on where it keeps nobody
 * waiting. */
#define CALLBACK_BYTES_MAX ((size_t) 4 * 1024 * 1024)
/* One turn of the backend: a few thousandths of a second. */
#define STEP_BYTES_MAX ((size_t) 1024 * 1024)

static const char trimmed_reason[] = "HISTORY_TRIMMED";

void history_end(struct rpc_call *call)
{
    struct history *history = &call->history;

    for (size_t i = history->given; i < history->count; i++) {
        recent_change_release(history->batch[i]);
    }
    recent_change_release(history->current);
    memset(history, 0, sizeof(*history));
}

static void report_trimmed(struct rpc_call *call, uint64_t after, uint64_t oldest)
{
    status_fail(&call->status, MX_OUT_OF_RANGE, trimmed_reason,
                "changes after revision %llu are no longer kept, the oldest are those after %llu",
                (unsigned long long) after, (unsigned long long) oldest);
    status_metadata(&call->status, "oldest_revision",
                    arena_printf(call->arena, "%llu", (unsigned long long) oldest));
}

bool call_history(struct rpc_call *call, uint64_t after)
{
    uint64_t oldest = atomic_load(&call->rpc->oldest_revision);
    uint64_t newest = call_revision(call);

    history_end(call);
    call->history.after = after;
    if (after > newest) {
        status_fail(&call->status, MX_OUT_OF_RANGE, "REVISION_UNKNOWN",
                    "there is no revision %llu yet, the newest is %llu", (unsigned long long) after,
                    (unsigned long long) newest);
    } else if (after < oldest) {
        report_trimmed(call, after, oldest);
    }
    return status_ok(&call->status);
}

bool call_must_return(const struct rpc_call *call)
{
    return call->goes_slow || !status_ok(&call->status);
}

/* -------------------------------------------------------------- the backend */

static bool take_step(void *context, const struct position *position, const uint8_t *change,
                      size_t change_len, int64_t time_us)
{
    struct history *history = context;
    struct recent_change *copy = recent_change_create(position->revision, change, change_len);

    (void) time_us;
    if (copy == NULL) {
        history->no_memory = true;
        return false;
    }
    history->batch[history->count++] = copy;
    history->step_bytes += change_len;
    return history->count < HISTORY_BATCH && history->step_bytes < STEP_BYTES_MAX;
}

static enum backend_result tail(struct rpc_call *call, uint64_t *floor, struct mx_error *err)
{
    struct backend *backend = call->rpc->config.backend;
    struct history *history = &call->history;
    struct position after = { .revision = history->after };
    enum backend_result result;

    history->count = 0;
    history->step_bytes = 0;
    result = backend->ops->tail(backend, &after, HISTORY_BATCH, take_step, history, floor, err);
    if (result == BACKEND_UNAVAILABLE && history->count == 0 &&
        backend->ops->reopen(backend, err) == BACKEND_OK) {
        /* A trim or a rollback that failed left an engine that wants to be opened anew. */
        result = backend->ops->tail(backend, &after, HISTORY_BATCH, take_step, history, floor, err);
    }
    return result;
}

static void report_result(struct rpc_call *call, enum backend_result result, uint64_t floor,
                          const struct mx_error *err)
{
    if (call->history.no_memory) {
        status_fail(&call->status, MX_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                    "out of memory for the history");
    } else if (result == BACKEND_COMPACTED) {
        report_trimmed(call, call->history.after, floor);
    } else if (result == BACKEND_CORRUPT || result == BACKEND_DIVERGED) {
        log_write(LOG_ERROR, "history_damaged", LOG_TEXT("why", err->message));
        status_fail(&call->status, MX_DATA_LOSS, "HISTORY_DAMAGED",
                    "the history after revision %llu is damaged: %s",
                    (unsigned long long) call->history.after, err->message);
    } else {
        status_retry(&call->status, MX_UNAVAILABLE, "HISTORY_UNAVAILABLE", RETRY_DRAIN_MS,
                     "the history can't be read now: %s", err->message);
    }
}

/* The next changes into the batch; false: reported. */
static bool read_backend(struct rpc_call *call)
{
    struct history *history = &call->history;
    struct mx_error err = { .message = "it gives no more changes" };
    uint64_t floor = 0;
    enum backend_result result = tail(call, &floor, &err);

    if (history->no_memory || result != BACKEND_OK || history->count == 0) {
        report_result(call, result, floor, &err);
        return false;
    }
    return true;
}

/* -------------------------------------------------------------------- next */

static bool fill(struct rpc_call *call)
{
    struct history *history = &call->history;

    history->given = 0;
    history->count = 0;
    if (!call->slow && history->bytes > CALLBACK_BYTES_MAX) {
        call->goes_slow = true;
        return false;
    }
    history->count = recent_take(store_recent(call->rpc->config.store), history->after,
                                 call_revision(call), history->batch, HISTORY_BATCH);
    if (history->count > 0) {
        return true;
    }
    if (!call->slow) {
        call->goes_slow = true;
        return false;
    }
    return !call_is_over(call) && read_backend(call);
}

bool call_history_next(struct rpc_call *call, struct call_change *change_out)
{
    struct history *history = &call->history;

    recent_change_release(history->current);
    history->current = NULL;
    if (history->after >= call_revision(call) ||
        (history->given == history->count && !fill(call))) {
        return false;
    }
    history->current = history->batch[history->given++];
    history->after = history->current->revision;
    history->bytes += history->current->len;
    change_out->revision = history->after;
    change_out->bytes = slice_of(history->current->bytes, history->current->len);
    return true;
}

/* --------------------------------------------------------------- the oldest */

static bool stop(void *context, const struct position *position, const uint8_t *change,
                 size_t change_len, int64_t time_us)
{
    (void) context;
    (void) position;
    (void) change;
    (void) change_len;
    (void) time_us;
    return false;
}

void history_find_oldest(struct rpc *rpc)
{
    struct backend *backend = rpc->config.backend;
    struct position begin = { .revision = 0 };
    uint64_t floor = 0;
    struct mx_error err;

    if (backend->ops->tail(backend, &begin, 1, stop, NULL, &floor, &err) == BACKEND_COMPACTED) {
        atomic_store(&rpc->oldest_revision, floor);
        recent_trim(store_recent(rpc->config.store), floor);
    }
}
