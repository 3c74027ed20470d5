#include "bench/echo.h"

#include "bench/bench.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct worker {
    const struct echo *echo;
    nng_ctx context;
    nng_aio *aio;
    bool sending;
};

static void answer(struct worker *worker)
{
    const struct echo *echo = worker->echo;
    nng_msg *message;

    nng_msg_free(nng_aio_get_msg(worker->aio));
    bench_check(nng_msg_alloc(&message, echo->answer_len) == 0, "out of memory");
    memcpy(nng_msg_body(message), echo->answer, echo->answer_len);
    worker->sending = true;
    nng_aio_set_msg(worker->aio, message);
    nng_ctx_send(worker->context, worker->aio);
}

static void event(void *argument)
{
    struct worker *worker = argument;
    int result = nng_aio_result(worker->aio);

    if (!worker->sending && result == 0) {
        answer(worker);
        return;
    }
    if (worker->sending && result != 0) {
        nng_msg_free(nng_aio_get_msg(worker->aio));
    }
    nng_aio_set_msg(worker->aio, NULL);
    worker->sending = false;
    nng_ctx_recv(worker->context, worker->aio);
}

static void stay_here(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    bench_check(sched_setaffinity(0, sizeof(one), &one) == 0, "the echo can't keep its processor");
}

void echo_serve(void *argument)
{
    const struct echo *echo = argument;
    struct worker *workers = calloc(echo->contexts, sizeof(*workers));
    nng_socket socket;

    if (echo->one_processor) {
        stay_here();
    }
    bench_check(workers != NULL && nng_rep0_open(&socket) == 0, "no socket for the echo");
    for (unsigned i = 0; i < echo->contexts; i++) {
        workers[i].echo = echo;
        bench_check(nng_aio_alloc(&workers[i].aio, event, &workers[i]) == 0 &&
                        nng_ctx_open(&workers[i].context, socket) == 0,
                    "no context for the echo");
    }
    for (unsigned i = 0; i < echo->contexts; i++) {
        nng_ctx_recv(workers[i].context, workers[i].aio);
    }
    bench_check(nng_listen(socket, echo->url, NULL, 0) == 0, "the echo can't listen");
    for (;;) {
        (void) pause();
    }
}
