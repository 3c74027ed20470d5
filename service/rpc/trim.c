/*
 * Forgetting: the history beyond what the settings keep, and request ids past
 * their time. Called by the writer between its groups, in short steps, so that
 * no commit waits long for one.
 */
#include "base/clock.h"
#include "base/log.h"
#include "rpc/internal.h"
#include "settings/settings.h"

#include <string.h>

/* How often history is looked through for what is past its time, and how much in one step. */
#define TRIM_PERIOD_MS 60000
#define TRIM_STEP      500

struct oldest {
    uint64_t below; /* revision behind the last change that is past its time */
    size_t count;   /* of those changes */
    int64_t before_us;
};

static bool is_past(void *context, const struct position *position, const uint8_t *change,
                    size_t change_len, int64_t time_us)
{
    struct oldest *oldest = context;

    (void) change;
    (void) change_len;
    if (time_us >= oldest->before_us) {
        return false;
    }
    oldest->below = position->revision + 1;
    oldest->count++;
    return true;
}

/* The first revision to keep, by age; 0: all. `*more_out`: a step was too short to find it. */
static uint64_t floor_by_age(struct rpc *rpc, int64_t keep_ms, bool *more_out)
{
    struct backend *backend = rpc->config.backend;
    struct oldest oldest = { .before_us = clock_wall_us() - keep_ms * 1000 };
    struct position from;
    uint64_t floor = 0;
    struct mx_error err;

    memset(&from, 0, sizeof(from));
    if (backend->ops->tail(backend, &from, TRIM_STEP, is_past, &oldest, &floor, &err) ==
        BACKEND_COMPACTED) {
        from.revision = floor;
        (void) backend->ops->tail(backend, &from, TRIM_STEP, is_past, &oldest, &floor, &err);
    }
    *more_out = oldest.count == TRIM_STEP;
    return oldest.below;
}

static uint64_t floor_by_count(struct rpc *rpc, uint64_t keep)
{
    uint64_t revision = store_revision(rpc->config.store);

    return revision > keep ? revision - keep + 1 : 0;
}

void trim_step(struct rpc *rpc, int64_t *next_ms)
{
    const struct settings *settings = rpc->config.settings;
    struct backend *backend = rpc->config.backend;
    uint64_t below = 0;
    struct mx_error err;
    bool more_past = false;
    bool more = false;

    if (clock_mono_ms() < *next_ms) {
        return;
    }
    if (settings->history.changes_keep > 0) {
        below = floor_by_count(rpc, settings->history.changes_keep);
    }
    if (settings->history.changes_keep_ms > 0) {
        uint64_t aged = floor_by_age(rpc, settings->history.changes_keep_ms, &more_past);

        below = aged > below ? aged : below;
    }
    if (backend->ops->trim(backend, below,
                           clock_wall_us() - settings->history.request_id_keep_ms * 1000, TRIM_STEP,
                           &more, &err) != BACKEND_OK) {
        log_write(LOG_WARNING, "trim_failed", LOG_TEXT("why", err.message));
        more = false;
        more_past = false;
    }
    history_find_oldest(rpc);
    *next_ms = clock_mono_ms() + (more || more_past ? 0 : TRIM_PERIOD_MS);
}
