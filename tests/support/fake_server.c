#include "support/fake_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

/* More than any test has outstanding, so that held requests don't keep others out. */
#define CONTEXTS     64

#define REQUESTS_MAX 20000
#define STEPS_MAX    1000

/* A wait that takes this long has failed: far more than a loaded machine needs. */
#define PATIENCE_S       30

#define CLOSE_PATIENCE_S 1

struct step {
    enum fake_kind kind;
    uint8_t *bytes;
    size_t len;
};

struct context {
    struct fake_server *server;
    nng_ctx ctx;
    nng_aio *aio;
    enum { RECEIVING, SENDING, HOLDING } phase;
    size_t request; /* which one is held */
};

struct fake_server {
    nng_socket socket;
    struct context contexts[CONTEXTS];
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t arrived_cond;
    bool stopping;
    struct step steps[STEPS_MAX];
    size_t step_count;
    size_t next_step;
    fake_handler handler;
    void *handler_data;
    bool hold; /* the handler wants the request held */
    Mxadm__V1__Request *requests[REQUESTS_MAX];
    size_t request_count;
};

static void receive(struct context *context)
{
    context->phase = RECEIVING;
    nng_ctx_recv(context->ctx, context->aio);
}

static void send_bytes(struct context *context, const uint8_t *bytes, size_t len)
{
    nng_msg *answer;
    assert_int_equal(nng_msg_alloc(&answer, 0), 0);
    assert_int_equal(nng_msg_append(answer, bytes, len), 0);
    nng_aio_set_msg(context->aio, answer);
    context->phase = SENDING;
    nng_ctx_send(context->ctx, context->aio);
}

/* With the lock held, as all below. */
static void handle(struct context *context, const Mxadm__V1__Request *request)
{
    struct fake_server *server = context->server;
    Mxadm__V1__Response response = MXADM__V1__RESPONSE__INIT;
    response.revision = 1;
    if (server->handler != NULL) {
        server->hold = false;
        server->handler(server->handler_data, request, &response);
        if (server->hold) {
            context->phase = HOLDING;
            return;
        }
    }
    size_t len = mxadm__v1__response__get_packed_size(&response);
    uint8_t *bytes = malloc(len + 1);
    mxadm__v1__response__pack(&response, bytes);
    send_bytes(context, bytes, len);
    free(bytes);
    free(response.message.data);
}

static void take_step(struct context *context, nng_pipe pipe)
{
    struct fake_server *server = context->server;
    struct step step = { .kind = FAKE_HANDLE };
    if (server->next_step < server->step_count) {
        step = server->steps[server->next_step++];
    }
    switch (step.kind) {
    case FAKE_HANDLE:
        handle(context, server->requests[context->request]);
        break;
    case FAKE_RESPONSE:
    case FAKE_BYTES:
        send_bytes(context, step.bytes, step.len);
        break;
    case FAKE_DROP:
        nng_pipe_close(pipe);
        receive(context);
        break;
    case FAKE_HOLD:
        context->phase = HOLDING;
        break;
    }
}

static void received(struct context *context)
{
    struct fake_server *server = context->server;
    nng_msg *message = nng_aio_get_msg(context->aio);
    nng_pipe pipe = nng_msg_get_pipe(message);
    Mxadm__V1__Request *request =
        mxadm__v1__request__unpack(NULL, nng_msg_len(message), nng_msg_body(message));
    nng_msg_free(message);
    assert_non_null(request);
    assert_true(server->request_count < REQUESTS_MAX);
    context->request = server->request_count;
    server->requests[server->request_count++] = request;
    pthread_cond_broadcast(&server->arrived_cond);
    take_step(context, pipe);
}

static void on_aio(void *arg)
{
    struct context *context = arg;
    struct fake_server *server = context->server;
    pthread_mutex_lock(&server->lock);
    int rv = nng_aio_result(context->aio);
    if (server->stopping) {
        bool ours = context->phase == SENDING ? rv != 0 : context->phase == RECEIVING && rv == 0;
        if (ours) {
            nng_msg_free(nng_aio_get_msg(context->aio));
        }
    } else if (context->phase == RECEIVING && rv == 0) {
        received(context);
    } else {
        if (context->phase == SENDING && rv != 0) {
            nng_msg_free(nng_aio_get_msg(context->aio));
        }
        receive(context);
    }
    pthread_mutex_unlock(&server->lock);
}

struct fake_server *fake_server_start(const char *url)
{
    struct fake_server *server = calloc(1, sizeof(*server));
    assert_non_null(server);
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&server->arrived_cond, &attr);
    pthread_condattr_destroy(&attr);
    assert_int_equal(nng_rep0_open(&server->socket), 0);
    for (size_t i = 0; i < CONTEXTS; i++) {
        struct context *context = &server->contexts[i];
        context->server = server;
        assert_int_equal(nng_ctx_open(&context->ctx, server->socket), 0);
        assert_int_equal(nng_aio_alloc(&context->aio, on_aio, context), 0);
        receive(context);
    }
    int rv = nng_listen(server->socket, url, NULL, 0);
    if (rv != 0) {
        fail_msg("can't listen on '%s': %s", url, nng_strerror(rv));
    }
    return server;
}

static void *destroy(void *arg)
{
    struct fake_server *server = arg;
    nng_close(server->socket);
    for (size_t i = 0; i < CONTEXTS; i++) {
        nng_aio_free(server->contexts[i].aio);
    }
    for (size_t i = 0; i < server->request_count; i++) {
        mxadm__v1__request__free_unpacked(server->requests[i], NULL);
    }
    for (size_t i = 0; i < server->step_count; i++) {
        free(server->steps[i].bytes);
    }
    pthread_cond_destroy(&server->arrived_cond);
    pthread_mutex_destroy(&server->lock);
    free(server);
    return NULL;
}

/* Stock nng 1.5.2, here on both ends of the wire in one process, now and then never returns from
 * closing when a peer went away with a request in flight. Its listeners and pipes are closed by
 * then: a thread may wait for the rest. */
void fake_server_stop(struct fake_server *server)
{
    if (server == NULL) {
        return;
    }
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_mutex_unlock(&server->lock);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, destroy, server), 0);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CLOSE_PATIENCE_S;
    if (pthread_timedjoin_np(closer, NULL, &until) != 0) {
        pthread_detach(closer);
    }
}

static struct step pack_step(const struct fake_step *given)
{
    struct step step = { .kind = given->kind };
    if (given->kind == FAKE_RESPONSE) {
        step.len = mxadm__v1__response__get_packed_size(given->response);
        step.bytes = malloc(step.len + 1);
        mxadm__v1__response__pack(given->response, step.bytes);
    } else if (given->kind == FAKE_BYTES) {
        step.len = given->len;
        step.bytes = malloc(step.len + 1);
        memcpy(step.bytes, given->bytes, step.len);
    }
    return step;
}

void fake_server_script(struct fake_server *server, const struct fake_step *steps, size_t count)
{
    pthread_mutex_lock(&server->lock);
    assert_true(server->step_count + count <= STEPS_MAX);
    for (size_t i = 0; i < count; i++) {
        server->steps[server->step_count++] = pack_step(&steps[i]);
    }
    pthread_mutex_unlock(&server->lock);
}

void fake_server_handle(struct fake_server *server, fake_handler handler, void *data)
{
    pthread_mutex_lock(&server->lock);
    server->handler = handler;
    server->handler_data = data;
    pthread_mutex_unlock(&server->lock);
}

void fake_server_hold(struct fake_server *server)
{
    server->hold = true; /* the lock is held: the handler runs */
}

void fake_server_await(struct fake_server *server, size_t count)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&server->lock);
    int rv = 0;
    while (server->request_count < count && rv == 0) {
        rv = pthread_cond_timedwait(&server->arrived_cond, &server->lock, &until);
    }
    size_t came = server->request_count;
    pthread_mutex_unlock(&server->lock);
    if (came < count) {
        fail_msg("%zu requests came, not %zu", came, count);
    }
}

size_t fake_server_count(struct fake_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->request_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

const Mxadm__V1__Request *fake_server_request(struct fake_server *server, size_t index)
{
    pthread_mutex_lock(&server->lock);
    assert_true(index < server->request_count);
    const Mxadm__V1__Request *request = server->requests[index];
    pthread_mutex_unlock(&server->lock);
    return request;
}

void fake_server_release(struct fake_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < CONTEXTS; i++) {
        struct context *context = &server->contexts[i];
        if (context->phase == HOLDING) {
            handle(context, server->requests[context->request]);
        }
    }
    pthread_mutex_unlock(&server->lock);
}

const Mxadm__V1__Response *fake_status(mxadm_code code, const char *reason, int64_t retry_ms)
{
    static _Thread_local Mxadm__V1__Response response;
    static _Thread_local Mxadm__V1__Status status;
    static _Thread_local Mxadm__V1__ErrorInfo info;
    static _Thread_local Mxadm__V1__RetryInfo retry;
    static _Thread_local Google__Protobuf__Duration delay;
    mxadm__v1__response__init(&response);
    mxadm__v1__status__init(&status);
    mxadm__v1__error_info__init(&info);
    mxadm__v1__retry_info__init(&retry);
    google__protobuf__duration__init(&delay);
    info.reason = (char *) reason;
    status.code = (Mxadm__V1__Code) code;
    status.message = (char *) "as the script says";
    status.error_info = &info;
    if (retry_ms > 0) {
        delay.seconds = retry_ms / 1000;
        delay.nanos = (int32_t) (retry_ms % 1000 * 1000000);
        retry.retry_delay = &delay;
        status.retry_info = &retry;
    }
    response.revision = 7;
    response.status = &status;
    return &response;
}

void fake_respond(Mxadm__V1__Response *response, const ProtobufCMessage *message)
{
    response->message.len = protobuf_c_message_get_packed_size(message);
    response->message.data = malloc(response->message.len + 1);
    protobuf_c_message_pack(message, response->message.data);
}
