#include "connection.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "moment.h"

/* The owner watches the time and cancels; nng's own time-out, which follows the settable clock,
 * only stands behind it: a bit over the longest call. */
#define BACKSTOP_MS (3700 * 1000)

enum phase { PHASE_IDLE, PHASE_DIALING, PHASE_SENDING, PHASE_RECEIVING };

struct connection {
    nng_socket socket;
    nng_aio *aio;
    connection_done done;
    /* The pipe that is up, by number; 0: none. Written by nng's pipe events. The end of an old pipe
     * may be told after the beginning of a new one: the number tells them apart. Set when a pipe is
     * about to be added, because the event after that may come when the pipe has ended already. */
    atomic_int pipe;

    pthread_mutex_t lock; /* protects what follows; taken after the owner's lock */
    enum phase phase;
    bool cancelled;
    bool has_dialer;
    nng_dialer dialer;
    void *owner;
    const char *url;
    nng_msg *request; /* while dialing */
};

/* A dialer connects again by itself when its pipe has ended: not here. We connect when there is a
 * call for it, and learn why it failed; and a stock server's ipc listener stops for ever when a
 * peer connects and is gone before the first word, as a dialer is that is closed while it connects.
 */
static void on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct connection *connection = arg;
    int id = nng_pipe_id(pipe);
    if (event == NNG_PIPE_EV_ADD_PRE) {
        atomic_store(&connection->pipe, id);
    } else {
        atomic_compare_exchange_strong(&connection->pipe, &id, 0);
        nng_dialer_close(nng_pipe_dialer(pipe));
    }
}

/* Ends the exchange. Called without the lock; the connection is the owner's from here on. */
static void finish(struct connection *connection, struct exchange_result result)
{
    pthread_mutex_lock(&connection->lock);
    void *owner = connection->owner;
    if (connection->cancelled && result.end != EXCHANGE_ANSWERED) {
        result.end = EXCHANGE_CANCELLED;
    }
    connection->phase = PHASE_IDLE;
    connection->owner = NULL;
    connection->url = NULL;
    pthread_mutex_unlock(&connection->lock);
    connection->done(owner, &result);
}

/* With the lock held. */
static void send_request(struct connection *connection, nng_msg *request)
{
    connection->phase = PHASE_SENDING;
    nng_aio_set_msg(connection->aio, request);
    nng_aio_set_timeout(connection->aio, BACKSTOP_MS);
    nng_send_aio(connection->socket, connection->aio);
}

static void on_sent(struct connection *connection, int rv)
{
    if (rv != 0) {
        nng_msg_free(nng_aio_get_msg(connection->aio));
        nng_aio_set_msg(connection->aio, NULL);
        finish(connection,
               (struct exchange_result){ .end = EXCHANGE_LOST, .why = nng_strerror(rv) });
        return;
    }
    /* Only now: nng 1.5.2 crashes when a receive that began before the send was done times out. */
    pthread_mutex_lock(&connection->lock);
    bool cancelled = connection->cancelled;
    if (!cancelled) {
        connection->phase = PHASE_RECEIVING;
        nng_aio_set_timeout(connection->aio, BACKSTOP_MS);
        nng_recv_aio(connection->socket, connection->aio);
    }
    pthread_mutex_unlock(&connection->lock);
    if (cancelled) {
        finish(connection, (struct exchange_result){ .end = EXCHANGE_CANCELLED, .sent = true });
    }
}

static void on_received(struct connection *connection, int rv)
{
    if (rv != 0) {
        finish(connection, (struct exchange_result){
                               .end = EXCHANGE_LOST, .sent = true, .why = nng_strerror(rv) });
        return;
    }
    nng_msg *answer = nng_aio_get_msg(connection->aio);
    nng_aio_set_msg(connection->aio, NULL);
    finish(connection, (struct exchange_result){ .end = EXCHANGE_ANSWERED,
                                                 .sent = true,
                                                 .bytes = nng_msg_body(answer),
                                                 .len = nng_msg_len(answer) });
    explicit_bzero(nng_msg_body(answer), nng_msg_len(answer)); /* it may hold a private key */
    nng_msg_free(answer);
}

static void on_aio(void *arg)
{
    struct connection *connection = arg;
    pthread_mutex_lock(&connection->lock);
    enum phase phase = connection->phase;
    pthread_mutex_unlock(&connection->lock);
    int rv = nng_aio_result(connection->aio);
    if (phase == PHASE_SENDING) {
        on_sent(connection, rv);
    } else {
        on_received(connection, rv);
    }
}

/* With the lock held. */
static void close_dialer(struct connection *connection)
{
    if (connection->has_dialer) {
        nng_dialer_close(connection->dialer); /* and with it its pipe */
        connection->has_dialer = false;
    }
    atomic_store(&connection->pipe, 0);
}

/* Makes the dialer that dial() starts; under the lock, so that connection_cancel() sees either no
 * dialer and leaves a mark, or the dialer and closes it. */
static int make_dialer(struct connection *connection, nng_dialer *dialer_out)
{
    int rv = NNG_ECANCELED;
    pthread_mutex_lock(&connection->lock);
    if (!connection->cancelled) {
        rv = nng_dialer_create(&connection->dialer, connection->socket, connection->url);
        connection->has_dialer = rv == 0;
        *dialer_out = connection->dialer;
    }
    pthread_mutex_unlock(&connection->lock);
    return rv;
}

/* The exchange ends without its request having been sent. */
static void fail_dialing(struct connection *connection, int rv)
{
    pthread_mutex_lock(&connection->lock);
    nng_msg *request = connection->request;
    connection->request = NULL;
    close_dialer(connection);
    pthread_mutex_unlock(&connection->lock);
    nng_msg_free(request);
    finish(connection,
           (struct exchange_result){ .end = EXCHANGE_NOT_CONNECTED, .why = nng_strerror(rv) });
}

/* A thread for the time of connecting: only a start that waits tells why it failed. */
static void *dial(void *arg)
{
    struct connection *connection = arg;
    nng_dialer dialer = NNG_DIALER_INITIALIZER;
    int rv = make_dialer(connection, &dialer);
    if (rv == 0) {
        rv = nng_dialer_start(dialer, 0);
    }
    pthread_mutex_lock(&connection->lock);
    if (rv == 0 && connection->cancelled) {
        rv = NNG_ECANCELED;
    }
    if (rv == 0) {
        nng_msg *request = connection->request;
        connection->request = NULL;
        send_request(connection, request);
    }
    pthread_mutex_unlock(&connection->lock);
    if (rv != 0) {
        fail_dialing(connection, rv);
    }
    return NULL;
}

static int start_thread(void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rv = pthread_create(&thread, &attr, run, arg);
    pthread_attr_destroy(&attr);
    return rv;
}

static nng_msg *message_of(const struct iovec *parts, size_t part_count)
{
    nng_msg *message;
    if (nng_msg_alloc(&message, 0) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < part_count; i++) {
        if (nng_msg_append(message, parts[i].iov_base, parts[i].iov_len) != 0) {
            nng_msg_free(message);
            return NULL;
        }
    }
    return message;
}

bool connection_begin(struct connection *connection, void *owner, const char *url,
                      const struct iovec *parts, size_t part_count)
{
    nng_msg *request = message_of(parts, part_count);
    if (request == NULL) {
        return false;
    }
    bool begun = true;
    pthread_mutex_lock(&connection->lock);
    connection->owner = owner;
    connection->url = url;
    connection->cancelled = false;
    if (atomic_load(&connection->pipe) != 0) {
        send_request(connection, request);
    } else {
        close_dialer(connection);
        connection->phase = PHASE_DIALING;
        connection->request = request;
        if (start_thread(dial, connection) != 0) {
            connection->phase = PHASE_IDLE;
            connection->request = NULL;
            nng_msg_free(request);
            begun = false;
        }
    }
    pthread_mutex_unlock(&connection->lock);
    return begun;
}

void connection_cancel(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    connection->cancelled = true;
    if (connection->phase == PHASE_DIALING) {
        close_dialer(connection);
    } else if (connection->phase != PHASE_IDLE) {
        nng_aio_cancel(connection->aio);
    }
    pthread_mutex_unlock(&connection->lock);
}

bool connection_is_connecting(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    enum phase phase = connection->phase;
    pthread_mutex_unlock(&connection->lock);
    return phase == PHASE_DIALING || phase == PHASE_SENDING;
}

void connection_drop(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    close_dialer(connection);
    pthread_mutex_unlock(&connection->lock);
}

static int configure(struct connection *connection, size_t answer_limit)
{
    nng_socket socket = connection->socket;
    int rv;
    /* Never sent again by nng: the caller does, under the same request id, and knows of it. */
    if ((rv = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE)) != 0 ||
        (rv = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, answer_limit)) != 0 ||
        (rv = nng_pipe_notify(socket, NNG_PIPE_EV_ADD_PRE, on_pipe, connection)) != 0 ||
        (rv = nng_pipe_notify(socket, NNG_PIPE_EV_REM_POST, on_pipe, connection)) != 0) {
        return rv;
    }
    return nng_aio_alloc(&connection->aio, on_aio, connection);
}

struct connection *connection_create(size_t answer_limit, connection_done done)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return NULL;
    }
    connection->done = done;
    if (nng_req0_open(&connection->socket) != 0) {
        free(connection);
        return NULL;
    }
    if (configure(connection, answer_limit) != 0) {
        nng_close(connection->socket); /* returns: it never had a peer */
        free(connection);
        return NULL;
    }
    pthread_mutex_init(&connection->lock, NULL);
    return connection;
}

static void destroy(struct connection *connection)
{
    nng_close(connection->socket);
    nng_aio_free(connection->aio);
    pthread_mutex_destroy(&connection->lock);
    free(connection);
}

/* Shared by the one who waits and the thread that closes; the last one out frees it. */
struct closing {
    pthread_mutex_t lock;
    pthread_cond_t finished_cond;
    bool finished;  /* protected by lock */
    bool abandoned; /* protected by lock */
    struct connection **connections;
    size_t count;
};

static void closing_free(struct closing *closing)
{
    pthread_cond_destroy(&closing->finished_cond);
    pthread_mutex_destroy(&closing->lock);
    free(closing);
}

static void *close_all(void *arg)
{
    struct closing *closing = arg;
    for (size_t i = 0; i < closing->count; i++) {
        if (closing->connections[i] != NULL) {
            destroy(closing->connections[i]);
        }
    }
    free(closing->connections);
    pthread_mutex_lock(&closing->lock);
    closing->finished = true;
    bool abandoned = closing->abandoned;
    pthread_cond_signal(&closing->finished_cond);
    pthread_mutex_unlock(&closing->lock);
    if (abandoned) {
        closing_free(closing);
    }
    return NULL;
}

void connections_destroy(struct connection **connections, size_t count, int64_t patience_ms)
{
    struct closing *closing = calloc(1, sizeof(*closing));
    if (closing == NULL) {
        return; /* leaks the connections rather than risk to hang */
    }
    closing->connections = connections;
    closing->count = count;
    pthread_mutex_init(&closing->lock, NULL);
    moment_cond_init(&closing->finished_cond);
    if (start_thread(close_all, closing) != 0) {
        closing_free(closing);
        return; /* likewise */
    }
    struct timespec until = moment_timespec(moment_now_ms() + patience_ms);
    pthread_mutex_lock(&closing->lock);
    int rv = 0;
    while (!closing->finished && rv == 0) {
        rv = pthread_cond_timedwait(&closing->finished_cond, &closing->lock, &until);
    }
    bool finished = closing->finished;
    closing->abandoned = !finished;
    pthread_mutex_unlock(&closing->lock);
    if (finished) {
        closing_free(closing);
    }
}
