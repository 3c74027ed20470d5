#include "net/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/server_parts.h"

#include <errno.h>
#include <nng/protocol/reqrep0/rep.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* nng counts the four bytes of the request's id as part of a message. */
#define REQUEST_ID_SIZE 4

/* Descriptors beside the connections: the database, key files, the log, nng's own, and
 * connections that have not said hello yet. */
#define SPARE_DESCRIPTORS 256

/* At the limit of connections, one that called within this time does not give way to a newcomer:
 * else two programs that want the last place would throw each other out with each call. */
#define QUIET_MS 1000

/* Without a descriptor for each, the limit on connections would not be the one that is met. */
static enum mx_code raise_descriptor_limit(unsigned connections, struct mx_error *err)
{
    rlim_t needed = (rlim_t) connections + SPARE_DESCRIPTORS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
        return MX_OK;
    }
    if (limit.rlim_max < needed) {
        return mx_fail(err, MX_FAILED_PRECONDITION,
                       "limits.connections: %u need %llu open files, and this process may have "
                       "%llu: raise its limit (LimitNOFILE) or lower this one",
                       connections, (unsigned long long) needed,
                       (unsigned long long) limit.rlim_max);
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "cannot raise the limit of open files: %s",
                       strerror(errno));
    }
    return MX_OK;
}

/* --- Connections come and go ------------------------------------------------------------- */

static const struct listener *find_listener(const struct server *server, nng_pipe pipe)
{
    int id = nng_listener_id(nng_pipe_listener(pipe));

    for (size_t i = 0; i < server->listener_count; i++) {
        if (nng_listener_id(server->listeners[i].nng) == id) {
            return &server->listeners[i];
        }
    }
    return NULL;
}

static bool admit_canary(struct server *server, nng_pipe pipe)
{
    uint64_t pid;

    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid) != 0 || (pid_t) pid != getpid()) {
        return false;
    }
    (void) pthread_mutex_lock(&server->lock);
    canary_seen(&server->canary, pipe.id);
    (void) pthread_mutex_unlock(&server->lock);
    return true;
}

static bool admit_peer(struct server *server, nng_pipe pipe, const struct rpc_peer *peer)
{
    struct connections *connections = &server->connections;
    int64_t now_ms = clock_mono_ms();
    uint32_t spared = 0;

    (void) pthread_mutex_lock(&server->lock);
    bool has_room = connections_add(connections, pipe.id, peer, now_ms) != NULL;

    if (!has_room) {
        spared = connections_make_room(connections, now_ms - QUIET_MS);
        has_room = spared != 0 && connections_add(connections, pipe.id, peer, now_ms) != NULL;
    }
    (void) pthread_mutex_unlock(&server->lock);
    if (!has_room) {
        log_write(LOG_DEBUG, "refused a connection: limits.connections is reached",
                  LOG_NUMBER("pipe", pipe.id));
    } else if (spared != 0) {
        log_write(LOG_DEBUG, "closed a silent connection: limits.connections is reached",
                  LOG_NUMBER("pipe", spared));
        (void) nng_pipe_close((nng_pipe){ spared });
    }
    return has_room;
}

static bool admit(struct server *server, nng_pipe pipe)
{
    const struct listener *listener = find_listener(server, pipe);
    struct rpc_peer peer;

    if (listener == NULL) {
        return admit_canary(server, pipe);
    }
    if (!listener_identify(listener, pipe, &peer)) {
        log_write(LOG_DEBUG, "refused a connection: nobody that may call",
                  LOG_NUMBER("pipe", pipe.id));
        return false;
    }
    return admit_peer(server, pipe, &peer);
}

/* Refused ones are removed too, without having been in the table. */
static void forget(struct server *server, nng_pipe pipe)
{
    struct connection *connection;
    bool hung_up;

    (void) pthread_mutex_lock(&server->lock);
    connection = connections_find(&server->connections, pipe.id);
    hung_up = connection != NULL && worker_forget_parked(connection) && !server->is_stopped;
    connections_remove(&server->connections, pipe.id);
    canary_gone(&server->canary, pipe.id, clock_mono_ms());
    (void) pthread_mutex_unlock(&server->lock);
    if (hung_up) {
        rpc_hung_up(server->rpc);
    }
}

/* Before the first message of a pipe (ADD_POST may come after it), and after its last. */
static void pipe_event(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct server *server = arg;

    if (event == NNG_PIPE_EV_REM_POST) {
        forget(server, pipe);
    } else if (!admit(server, pipe)) {
        (void) nng_pipe_close(pipe);
    }
}

/* --- Start ------------------------------------------------------------------------------- */

static enum mx_code nng_failed(struct mx_error *err, const char *what, int result)
{
    return mx_fail(err, MX_INTERNAL, "cannot %s: %s", what, nng_strerror(result));
}

/*
 * Opens the socket with which nng starts its threads (unless somebody in the process has used nng
 * before), and keeps them to one processor, the one that we run on.
 *
 * They hand each call to one another some seven times, through one queue with one lock. On two
 * processors they spend much of their time in waking each other up and in waiting for that lock: a
 * read took 13 to 21 us of processor time, on one processor it takes 6 to 8, and 1.2 to 3 times as
 * many are answered in a second. Callbacks never wait, so one processor is enough for them; the
 * writer, the waiter and what makes keys have all the others. The price is that they don't evade
 * another program that is busy on the same one.
 */
static int open_on_one_processor(nng_socket *socket)
{
    cpu_set_t all;
    cpu_set_t one;
    int here = sched_getcpu();
    bool moved = false;
    int result;

    if (here >= 0 && here < CPU_SETSIZE && sched_getaffinity(0, sizeof(all), &all) == 0) {
        CPU_ZERO(&one);
        CPU_SET(here, &one);
        moved = sched_setaffinity(0, sizeof(one), &one) == 0;
    }
    result = nng_rep0_open(socket);
    if (moved) {
        (void) sched_setaffinity(0, sizeof(all), &all);
    }
    return result;
}

static enum mx_code open_socket(struct server *server, struct mx_error *err)
{
    size_t largest = server->settings->limits.message_bytes + REQUEST_ID_SIZE;
    int result = server->settings->limits.one_processor ? open_on_one_processor(&server->socket)
                                                        : nng_rep0_open(&server->socket);

    if (result != 0) {
        return nng_failed(err, "open a socket", result);
    }
    server->socket_is_open = true;
    if ((result = nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, largest)) != 0 ||
        (result = nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_PRE, pipe_event, server)) != 0 ||
        (result = nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, pipe_event, server)) != 0) {
        return nng_failed(err, "set up a socket", result);
    }
    return MX_OK;
}

static enum mx_code make_workers(struct server *server, struct mx_error *err)
{
    unsigned contexts = server->settings->limits.contexts;

    server->worker_max = contexts + server->settings->limits.waiting_calls;
    server->workers = calloc(server->worker_max, sizeof(struct worker *));
    if (server->workers == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for %u workers",
                       server->worker_max);
    }
    for (unsigned i = 0; i < contexts; i++) {
        struct worker *worker = worker_create(server, err);

        if (worker == NULL) {
            return err->code;
        }
        worker_add(worker);
    }
    return MX_OK;
}

static enum mx_code make_canary(struct server *server, struct mx_error *err)
{
    int result;

    if (!canary_init(&server->canary, clock_mono_ms())) {
        return mx_fail(err, MX_INTERNAL, "no random bytes: %s", strerror(errno));
    }
    result = nng_listener_create(&server->canary_listener, server->socket, server->canary.url);
    return result == 0 ? MX_OK : nng_failed(err, "make the canary's listener", result);
}

static enum mx_code make_listeners(struct server *server, struct mx_error *err)
{
    const struct settings *settings = server->settings;
    enum mx_code code = MX_OK;

    server->listeners = calloc(settings->url_count, sizeof(*server->listeners));
    if (server->listeners == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for %zu listeners",
                       settings->url_count);
    }
    while (code == MX_OK && server->listener_count < settings->url_count) {
        size_t i = server->listener_count++;

        code =
            listener_init(&server->listeners[i], server->socket, settings->urls[i], settings, err);
    }
    return code;
}

static enum mx_code listen_at_all(struct server *server, struct mx_error *err)
{
    int result = nng_listener_start(server->canary_listener, 0);

    if (result != 0) {
        return nng_failed(err, "listen for the canary", result);
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        enum mx_code code = listener_start(&server->listeners[i], server->settings->urls[i], err);

        if (code != MX_OK) {
            return code;
        }
        log_write(LOG_INFO, "listening", LOG_TEXT("url", server->listeners[i].url));
    }
    return MX_OK;
}

static enum mx_code start_watch(struct server *server, struct mx_error *err)
{
    int result = pthread_create(&server->watch, NULL, watch_run, server);

    if (result != 0) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "cannot start a thread: %s", strerror(result));
    }
    server->is_watched = true;
    return MX_OK;
}

static void close_descriptor(int fd)
{
    if (fd >= 0) {
        (void) close(fd);
    }
}

/* Nothing to release yet when it fails. */
static struct server *create(const struct settings *settings, const struct server_timing *timing,
                             struct rpc *rpc)
{
    struct server *server = calloc(1, sizeof(*server));

    if (server == NULL) {
        return NULL;
    }
    server->settings = settings;
    server->timing = timing != NULL ? *timing : (struct server_timing) SERVER_TIMING_INIT;
    server->rpc = rpc;
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    server->pressed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->stop_fd < 0 || server->pressed_fd < 0 ||
        !connections_init(&server->connections, settings->limits.connections)) {
        close_descriptor(server->stop_fd);
        close_descriptor(server->pressed_fd);
        free(server);
        return NULL;
    }
    (void) pthread_mutex_init(&server->lock, NULL);
    clock_cond_init(&server->changed);
    return server;
}

static enum mx_code start(struct server *server, struct mx_error *err)
{
    enum mx_code code;

    if ((code = open_socket(server, err)) != MX_OK || (code = make_workers(server, err)) != MX_OK ||
        (code = make_canary(server, err)) != MX_OK ||
        (code = make_listeners(server, err)) != MX_OK) {
        return code;
    }
    /* Not to worker_count: those started first may have parked calls already. */
    for (unsigned i = 0; i < server->settings->limits.contexts; i++) {
        worker_start(server->workers[i]);
    }
    if ((code = listen_at_all(server, err)) != MX_OK) {
        return code;
    }
    return start_watch(server, err);
}

enum mx_code server_start(const struct settings *settings, const struct server_timing *timing,
                          struct rpc *rpc, struct server **server_out, struct mx_error *err)
{
    struct server *server;
    enum mx_code code = raise_descriptor_limit(settings->limits.connections, err);

    if (code != MX_OK) {
        return code;
    }
    server = create(settings, timing, rpc);
    if (server == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory or descriptors for the server");
    }
    code = start(server, err);
    if (code != MX_OK) {
        (void) server_stop(server);
        server_destroy(server);
        return code;
    }
    *server_out = server;
    return MX_OK;
}

const char *server_url(const struct server *server, size_t index)
{
    return server->listeners[index].url;
}

void server_count(struct server *server, struct server_counts *counts_out)
{
    (void) pthread_mutex_lock(&server->lock);
    counts_out->connections = server->connections.count;
    counts_out->calls = server->calls + server->late_calls;
    counts_out->canaries = server->canary.landings;
    (void) pthread_mutex_unlock(&server->lock);
}

/* --- The end ----------------------------------------------------------------------------- */

static struct timespec in_ms(int64_t ms)
{
    int64_t us = clock_mono_us() + ms * 1000;

    return (struct timespec){ us / 1000000, us % 1000000 * 1000 };
}

bool server_drain(struct server *server, int64_t timeout_ms)
{
    struct timespec deadline = in_ms(timeout_ms);
    int result = 0;

    (void) pthread_mutex_lock(&server->lock);
    server->is_draining = true;
    while (server->calls > 0 && result == 0) {
        result = pthread_cond_timedwait(&server->changed, &server->lock, &deadline);
    }
    bool is_drained = server->calls == 0;

    (void) pthread_mutex_unlock(&server->lock);
    return is_drained;
}

static void stop_watch(struct server *server)
{
    (void) eventfd_write(server->stop_fd, 1);
    if (server->is_watched) {
        (void) pthread_join(server->watch, NULL);
        server->is_watched = false;
    }
}

/* Everything of nng that may wait for ever. A thread of its own, so that server_stop() need not. */
static void *close_nng(void *arg)
{
    struct server *server = arg;

    (void) pthread_mutex_lock(&server->lock);
    while (server->making > 0) {
        (void) pthread_cond_wait(&server->changed, &server->lock);
    }
    (void) pthread_mutex_unlock(&server->lock);
    if (server->socket_is_open) {
        (void) nng_close(server->socket);
    }
    for (unsigned i = 0; i < server->worker_count; i++) {
        worker_stop(server->workers[i]);
    }
    (void) pthread_mutex_lock(&server->lock);
    server->is_closed = true;
    (void) pthread_cond_broadcast(&server->changed);
    (void) pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* Whether it has closed in time. */
static bool wait_until_closed(struct server *server)
{
    struct timespec deadline = in_ms(server->timing.stop_patience_ms);
    int result = 0;

    (void) pthread_mutex_lock(&server->lock);
    while (!server->is_closed && result == 0) {
        result = pthread_cond_timedwait(&server->changed, &server->lock, &deadline);
    }
    bool is_closed = server->is_closed;

    (void) pthread_mutex_unlock(&server->lock);
    return is_closed;
}

bool server_stop(struct server *server)
{
    pthread_t closer;

    (void) pthread_mutex_lock(&server->lock);
    server->is_stopped = true;
    (void) pthread_mutex_unlock(&server->lock);
    stop_watch(server);
    if (pthread_create(&closer, NULL, close_nng, server) != 0) {
        /* No thread to be had: better to risk the wait than not to close. */
        (void) close_nng(server);
        return true;
    }
    server->is_wedged = !wait_until_closed(server);
    if (server->is_wedged) {
        log_write(LOG_ERROR, "nng does not end", LOG_NUMBER("ms", server->timing.stop_patience_ms));
        (void) pthread_detach(closer);
    } else {
        (void) pthread_join(closer, NULL);
    }
    return !server->is_wedged;
}

void server_destroy(struct server *server)
{
    if (server == NULL || server->is_wedged) {
        return;
    }
    for (unsigned i = 0; i < server->worker_count; i++) {
        worker_destroy(server->workers[i]);
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        listener_fini(&server->listeners[i]);
    }
    free(server->workers);
    free(server->listeners);
    connections_fini(&server->connections);
    close_descriptor(server->stop_fd);
    close_descriptor(server->pressed_fd);
    (void) pthread_cond_destroy(&server->changed);
    (void) pthread_mutex_destroy(&server->lock);
    free(server);
}

void server_library_fini(void)
{
    nng_fini();
}
