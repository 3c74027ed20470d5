/*
 * The workers: each holds one call from its arrival until its answer is on its
 * way. The drawing is in server.h.
 *
 * A worker is handed from thread to thread: from nng's callback to the
 * dispatcher by rpc_receive(), back by `answer`, which may happen on another
 * thread before rpc_receive() has returned. So nothing of a worker is touched
 * after one of the calls that hand it on: rpc_receive(), nng_ctx_recv(),
 * nng_ctx_send().
 */
#include "base/clock.h"
#include "base/log.h"
#include "net/server_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define TO(state) (1U << WORKER_##state)

static const unsigned may_move_to[] = {
    [WORKER_RECEIVING] = TO(DISPATCHED) | TO(ENDED),
    [WORKER_DISPATCHED] = TO(SENDING) | TO(RECEIVING) | TO(RESTING) | TO(ENDED),
    [WORKER_SENDING] = TO(RECEIVING) | TO(RESTING) | TO(ENDED),
    [WORKER_RESTING] = TO(RECEIVING),
    [WORKER_ENDED] = 0,
};

/* With the lock. */
static void worker_move(struct worker *worker, enum worker_state state)
{
    bool may_move = (may_move_to[worker->state] & (1U << state)) != 0;

    assert(may_move);
    (void) may_move; /* where assert() is nothing */
    worker->state = state;
}

static struct worker *of_exchange(struct rpc_exchange *exchange)
{
    return (struct worker *) ((char *) exchange - offsetof(struct worker, exchange));
}

/* The connection it came from may be gone already: then there is nobody to answer. With the
 * lock. */
static struct connection *caller(struct worker *worker)
{
    return connections_find(&worker->server->connections, worker->pipe.id);
}

/* With the lock. */
static void tell_watch(struct server *server)
{
    if (!server->is_pressed && server_is_pressed(server)) {
        server->is_pressed = true;
        (void) eventfd_write(server->pressed_fd, 1);
    }
}

/* Takes a call in; false: it is not to be answered. */
static bool worker_accept(struct worker *worker, nng_pipe pipe)
{
    struct server *server = worker->server;
    int64_t now_ms = clock_mono_ms();
    bool accepted = false;

    (void) pthread_mutex_lock(&server->lock);
    worker->pipe = pipe;
    struct connection *connection = caller(worker);

    if (connection != NULL && !server->is_stopped) {
        worker->exchange.peer = connection->peer;
        atomic_store(&worker->exchange.gone, false);
        connection->in_flight++;
        connection->last_call_ms = now_ms;
        connection->has_called = true;
        worker->came_late = server->is_draining;
        *(worker->came_late ? &server->late_calls : &server->calls) += 1;
        worker_move(worker, WORKER_DISPATCHED);
        tell_watch(server);
        accepted = true;
    }
    (void) pthread_mutex_unlock(&server->lock);
    return accepted;
}

/* With the lock, as the following. */
static void link_parked(struct worker *worker, struct connection *connection)
{
    worker->parked_in = connection;
    worker->parked_next = connection->parked;
    worker->parked_link = &connection->parked;
    if (worker->parked_next != NULL) {
        worker->parked_next->parked_link = &worker->parked_next;
    }
    connection->parked = worker;
}

static void unlink_parked(struct worker *worker)
{
    if (worker->parked_in == NULL) {
        return;
    }
    *worker->parked_link = worker->parked_next;
    if (worker->parked_next != NULL) {
        worker->parked_next->parked_link = worker->parked_link;
    }
    worker->parked_in = NULL;
}

bool worker_forget_parked(struct connection *connection)
{
    bool any = connection->parked != NULL;

    while (connection->parked != NULL) {
        struct worker *worker = connection->parked;

        unlink_parked(worker);
        atomic_store(&worker->exchange.gone, true);
    }
    return any;
}

static void unpark(struct worker *worker)
{
    if (worker->is_parked) {
        unlink_parked(worker);
        worker->is_parked = false;
        worker->server->parked--;
    }
}

/* What comes after a call: there are more workers than should serve when one has been parked. */
static enum worker_state receive_or_rest(struct worker *worker)
{
    struct server *server = worker->server;

    if (server_serving(server) <= server->settings->limits.contexts) {
        return WORKER_RECEIVING;
    }
    worker->resting_next = server->resting;
    server->resting = worker;
    server->resting_count++;
    return WORKER_RESTING;
}

/* The call is over, answered or not. Whether the worker is to receive the next. */
static bool worker_done(struct worker *worker, bool goes_on, int64_t now_ms)
{
    struct server *server = worker->server;
    struct connection *connection = caller(worker);
    enum worker_state next;

    if (connection != NULL) {
        connection->in_flight--;
        connection->last_call_ms = now_ms;
    }
    *(worker->came_late ? &server->late_calls : &server->calls) -= 1;
    unpark(worker);
    next = goes_on ? receive_or_rest(worker) : WORKER_ENDED;
    worker_move(worker, next);
    (void) pthread_cond_broadcast(&server->changed);
    return next == WORKER_RECEIVING;
}

static void worker_dispatch(struct worker *worker, nng_msg *request)
{
    nng_pipe pipe = nng_msg_get_pipe(request);

    /* nng has held tcp and ipc to the limit already, but not inproc. */
    if (nng_msg_len(request) > worker->server->settings->limits.message_bytes) {
        (void) nng_pipe_close(pipe);
        nng_ctx_recv(worker->context, worker->aio);
    } else if (worker_accept(worker, pipe)) {
        rpc_receive(worker->server->rpc, &worker->exchange, nng_msg_body(request),
                    nng_msg_len(request));
    } else {
        nng_ctx_recv(worker->context, worker->aio);
    }
    nng_msg_free(request);
}

static bool is_end(int result)
{
    return result == NNG_ECLOSED || result == NNG_ECANCELED;
}

static void worker_end(struct worker *worker, int result)
{
    struct server *server = worker->server;

    (void) pthread_mutex_lock(&server->lock);
    worker_move(worker, WORKER_ENDED);
    (void) pthread_mutex_unlock(&server->lock);
    if (!is_end(result)) {
        /* No error is known that lets one receive fail and the next succeed. */
        log_write(LOG_ERROR, "receive failed", LOG_TEXT("error", nng_strerror(result)));
        rpc_transport_failed(server->rpc, nng_strerror(result));
    }
}

static void worker_received(struct worker *worker)
{
    int result = nng_aio_result(worker->aio);

    if (result != 0) {
        worker_end(worker, result);
        return;
    }
    nng_msg *request = nng_aio_get_msg(worker->aio);

    nng_aio_set_msg(worker->aio, NULL);
    worker_dispatch(worker, request);
}

static void worker_sent(struct worker *worker)
{
    struct server *server = worker->server;
    int result = nng_aio_result(worker->aio);
    int64_t now_ms = clock_mono_ms();
    nng_pipe pipe = worker->pipe;

    if (result != 0) {
        nng_msg_free(nng_aio_get_msg(worker->aio));
        nng_aio_set_msg(worker->aio, NULL);
    }
    (void) pthread_mutex_lock(&server->lock);
    bool receives = worker_done(worker, !is_end(result), now_ms);
    (void) pthread_mutex_unlock(&server->lock);
    /* If it rests, it may be another's by now. */
    if (result != 0 && !is_end(result)) {
        /* This client waits for an answer that won't come: let it see that. */
        (void) nng_pipe_close(pipe);
    }
    if (receives) {
        nng_ctx_recv(worker->context, worker->aio);
    }
}

/* The aio's callback: what was started in this state has ended. No lock to read the state: only
 * who holds the worker writes it, and that is us, handed it by nng. */
static void worker_event(void *arg)
{
    struct worker *worker = arg;

    if (worker->state == WORKER_SENDING) {
        worker_sent(worker);
    } else {
        worker_received(worker);
    }
}

static uint8_t *worker_reserve(struct rpc_exchange *exchange, size_t len)
{
    struct worker *worker = of_exchange(exchange);

    nng_msg_free(worker->answer);
    worker->answer = NULL;
    if (nng_msg_alloc(&worker->answer, len) != 0) {
        return NULL;
    }
    return nng_msg_body(worker->answer);
}

/* What is left to do with an answer. */
enum answer_step { THROW_AWAY, RECEIVE, SEND };

static enum answer_step worker_give_answer(struct worker *worker, bool has_answer)
{
    struct server *server = worker->server;
    int64_t now_ms = clock_mono_ms();
    enum answer_step step = THROW_AWAY;

    (void) pthread_mutex_lock(&server->lock);
    if (server->is_stopped) {
        (void) worker_done(worker, false, now_ms);
    } else if (has_answer) {
        unlink_parked(worker); /* and parked still: thousands may be answered at once */
        worker->sending_ms = now_ms;
        worker_move(worker, WORKER_SENDING);
        step = SEND;
    } else if (worker_done(worker, true, now_ms)) {
        step = RECEIVE;
    }
    (void) pthread_mutex_unlock(&server->lock);
    return step;
}

static void worker_answer(struct rpc_exchange *exchange)
{
    struct worker *worker = of_exchange(exchange);
    nng_msg *answer = worker->answer;
    nng_pipe pipe = worker->pipe;

    worker->answer = NULL;
    if (answer == NULL) {
        (void) nng_pipe_close(pipe);
    }
    switch (worker_give_answer(worker, answer != NULL)) {
    case SEND:
        nng_aio_set_msg(worker->aio, answer);
        nng_ctx_send(worker->context, worker->aio);
        break;
    case RECEIVE:
        nng_ctx_recv(worker->context, worker->aio);
        break;
    case THROW_AWAY:
        nng_msg_free(answer);
        break;
    }
}

/* ------------------------------------------------------------------- parking */

/* What takes the place of one that is parked. */
struct substitute {
    struct worker *rested;
    bool is_to_be_made;
};

/* With the lock. False: there is none. */
static bool find_substitute(struct server *server, struct substitute *substitute)
{
    if (server_serving(server) >= server->settings->limits.contexts) {
        return true; /* one that went beyond is not resting yet */
    }
    if (server->resting != NULL) {
        substitute->rested = server->resting;
        server->resting = substitute->rested->resting_next;
        server->resting_count--;
        worker_move(substitute->rested, WORKER_RECEIVING);
        return true;
    }
    substitute->is_to_be_made = server->worker_count + server->promised < server->worker_max;
    server->promised += substitute->is_to_be_made;
    server->making += substitute->is_to_be_made;
    return substitute->is_to_be_made;
}

/* While one is being made, closing waits: so it is closed with the others. */
static bool make_substitute(struct server *server)
{
    struct mx_error err;
    struct worker *worker = worker_create(server, &err);

    (void) pthread_mutex_lock(&server->lock);
    server->promised--;
    if (worker != NULL) {
        worker_add(worker);
    }
    (void) pthread_mutex_unlock(&server->lock);
    if (worker != NULL) {
        worker_start(worker);
    }
    (void) pthread_mutex_lock(&server->lock);
    server->making--;
    (void) pthread_cond_broadcast(&server->changed);
    (void) pthread_mutex_unlock(&server->lock);
    return worker != NULL;
}

static bool worker_park(struct rpc_exchange *exchange)
{
    struct worker *worker = of_exchange(exchange);
    struct server *server = worker->server;
    struct substitute substitute = { NULL, false };
    struct connection *connection;
    bool parked = false;

    (void) pthread_mutex_lock(&server->lock);
    if (!server->is_stopped) {
        worker->is_parked = true;
        server->parked++;
        parked = find_substitute(server, &substitute);
    }
    (void) pthread_mutex_unlock(&server->lock);
    if (substitute.rested != NULL) {
        nng_ctx_recv(substitute.rested->context, substitute.rested->aio);
    } else if (substitute.is_to_be_made) {
        parked = make_substitute(server);
    }
    (void) pthread_mutex_lock(&server->lock);
    connection = caller(worker);
    if (!parked) {
        unpark(worker);
    } else if (connection != NULL) {
        link_parked(worker, connection);
    } else {
        atomic_store(&exchange->gone, true);
    }
    (void) pthread_mutex_unlock(&server->lock);
    return parked;
}

/* ------------------------------------------------------------- start and end */

static enum mx_code worker_open(struct worker *worker, struct mx_error *err)
{
    int result;

    if ((result = nng_aio_alloc(&worker->aio, worker_event, worker)) != 0 ||
        (result = nng_ctx_open(&worker->context, worker->server->socket)) != 0) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "cannot make a worker: %s",
                       nng_strerror(result));
    }
    return MX_OK;
}

struct worker *worker_create(struct server *server, struct mx_error *err)
{
    struct worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for a worker");
        return NULL;
    }
    worker->exchange.reserve = worker_reserve;
    worker->exchange.answer = worker_answer;
    worker->exchange.park = worker_park;
    worker->server = server;
    worker->state = WORKER_RECEIVING;
    if (worker_open(worker, err) != MX_OK) {
        worker_destroy(worker);
        return NULL;
    }
    return worker;
}

void worker_add(struct worker *worker)
{
    struct server *server = worker->server;

    server->workers[server->worker_count++] = worker;
}

void worker_start(struct worker *worker)
{
    nng_ctx_recv(worker->context, worker->aio);
}

void worker_stop(struct worker *worker)
{
    if (worker->aio != NULL) {
        nng_aio_stop(worker->aio);
    }
}

void worker_destroy(struct worker *worker)
{
    if (worker->aio != NULL) {
        /* An answer that came just when the server stopped was never begun. */
        nng_msg_free(nng_aio_get_msg(worker->aio));
        nng_aio_free(worker->aio);
    }
    nng_msg_free(worker->answer);
    free(worker);
}
