/*
 * The watch: one thread that looks, a few times within the shortest of the
 * limits, for connections to close, and flies the canary. While most workers are
 * taken it looks more often.
 */
#include "base/clock.h"
#include "base/log.h"
#include "net/server_parts.h"

#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

/* Pipes closed between two holds of the lock. */
#define BATCH 64

/* Looks in one limit's time; so a limit is exceeded by a quarter at most. */
#define LOOKS 4

/* Between two looks: not busy with short limits, not blind with long ones. */
#define TICK_MIN_MS 10
#define TICK_MAX_MS 1000

/* While most workers are taken: how long an answer may wait behind another of its connection, and
 * between two looks. A few clients that ask much and read nothing would else hold all workers for
 * limits.send_timeout, again and again. */
#define PRESSED_SEND_MS 50
#define PRESSED_TICK_MS 10

/* Rounds in a row without a hello, until it is the transport's failure and not one bad moment. */
#define MISSES_MAX 3

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int tick_ms(const struct server *server)
{
    int64_t shortest =
        least(server->settings->limits.send_timeout_ms, server->settings->limits.idle_timeout_ms);

    shortest = least(shortest, server->timing.canary_interval_ms);
    shortest = least(shortest, server->timing.canary_patience_ms);
    shortest = least(shortest / LOOKS, TICK_MAX_MS);
    return shortest < TICK_MIN_MS ? TICK_MIN_MS : (int) shortest;
}

/* Whether an answer was given too long ago. One to a call that waited keeps no worker from others,
 * and may have come with a thousand more for the same connection: it has the whole time. */
static bool is_slow(const struct server *server, const struct worker *worker, int64_t before_ms)
{
    int64_t patient_ms = clock_mono_ms() - server->settings->limits.send_timeout_ms;

    return worker->state == WORKER_SENDING &&
           worker->sending_ms < (worker->is_parked ? least(before_ms, patient_ms) : before_ms);
}

/* Pipes whose client leaves an answer waiting for too long. With the lock. */
static size_t take_slow(struct server *server, int64_t before_ms, uint32_t *pipes, size_t max)
{
    size_t count = 0;

    for (unsigned i = 0; i < server->worker_count && count < max; i++) {
        const struct worker *worker = server->workers[i];

        if (!is_slow(server, worker, before_ms)) {
            continue;
        }
        struct connection *connection = connections_find(&server->connections, worker->pipe.id);

        if (connection != NULL && !connection->closing) {
            connection->closing = true;
            pipes[count++] = connection->pipe;
        }
    }
    return count;
}

static size_t take_idle(struct server *server, int64_t before_ms, uint32_t *pipes, size_t max)
{
    /* With every worker busy, a connection that looks idle may have a call waiting for one. */
    if (server_busy(server) >= server_serving(server)) {
        return 0;
    }
    return connections_take_idle(&server->connections, before_ms, pipes, max);
}

typedef size_t take_function(struct server *server, int64_t before_ms, uint32_t *pipes, size_t max);

static void close_taken(struct server *server, take_function *take, int64_t limit_ms,
                        const char *event)
{
    uint32_t pipes[BATCH];
    size_t count;

    do {
        (void) pthread_mutex_lock(&server->lock);
        count = take(server, clock_mono_ms() - limit_ms, pipes, BATCH);
        (void) pthread_mutex_unlock(&server->lock);
        for (size_t i = 0; i < count; i++) {
            log_write(LOG_INFO, event, LOG_NUMBER("pipe", pipes[i]));
            (void) nng_pipe_close((nng_pipe){ pipes[i] });
        }
    } while (count == BATCH);
}

/* What the watch knows of the canary between two looks. */
struct watch {
    struct server *server;
    unsigned misses;
    bool failed; /* said once is enough */
};

static void fail(struct watch *watch, const char *why)
{
    watch->failed = true;
    log_write(LOG_ERROR, "transport failed", LOG_TEXT("why", why));
    rpc_transport_failed(watch->server->rpc, why);
}

static void call_back(struct server *server)
{
    (void) pthread_mutex_lock(&server->lock);
    canary_rest(&server->canary, clock_mono_ms());
    (void) pthread_mutex_unlock(&server->lock);
}

static void fly(struct watch *watch)
{
    struct server *server = watch->server;

    (void) pthread_mutex_lock(&server->lock);
    /* Before it meets anyone: it may be gone before canary_meet() returns. */
    canary_fly(&server->canary, clock_mono_ms());
    (void) pthread_mutex_unlock(&server->lock);
    switch (canary_meet(server->canary.url, server->stop_fd, server->timing.canary_patience_ms)) {
    case CANARY_MET:
        watch->misses = 0;
        break;
    case CANARY_NO_VERDICT:
        call_back(server);
        break;
    case CANARY_NOT_HEARD:
        call_back(server);
        if (++watch->misses == MISSES_MAX) {
            fail(watch, "the server does not answer its own connection");
        }
        break;
    }
}

static void look_after_canary(struct watch *watch)
{
    struct server *server = watch->server;

    (void) pthread_mutex_lock(&server->lock);
    bool is_flown = server->canary.flown;
    int64_t for_ms = clock_mono_ms() - server->canary.since_ms;

    (void) pthread_mutex_unlock(&server->lock);
    if (is_flown && for_ms > server->timing.canary_patience_ms) {
        fail(watch, "closed connections are not removed any more");
    } else if (!is_flown && for_ms >= server->timing.canary_interval_ms) {
        fly(watch);
    }
}

/* Whether most workers are taken still. */
static bool look_at_pressure(struct server *server)
{
    eventfd_t told;

    (void) eventfd_read(server->pressed_fd, &told);
    (void) pthread_mutex_lock(&server->lock);
    server->is_pressed = server_is_pressed(server);
    bool is_pressed = server->is_pressed;

    (void) pthread_mutex_unlock(&server->lock);
    return is_pressed;
}

void *watch_run(void *arg)
{
    struct server *server = arg;
    struct watch watch = { .server = server };
    struct pollfd wakers[] = { { server->stop_fd, POLLIN, 0 }, { server->pressed_fd, POLLIN, 0 } };
    int64_t send_ms = server->settings->limits.send_timeout_ms;
    bool is_pressed = false;

    for (;;) {
        (void) poll(wakers, 2, is_pressed ? PRESSED_TICK_MS : tick_ms(server));
        if (wakers[0].revents != 0) {
            break;
        }
        is_pressed = look_at_pressure(server);
        close_taken(server, take_slow, is_pressed ? least(send_ms, PRESSED_SEND_MS) : send_ms,
                    "closed a connection that does not read its answers");
        close_taken(server, take_idle, server->settings->limits.idle_timeout_ms,
                    "closed an idle connection");
        if (!watch.failed) {
            look_after_canary(&watch);
        }
    }
    return NULL;
}
