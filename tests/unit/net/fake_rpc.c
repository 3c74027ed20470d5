#include "fake_rpc.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 10000

struct call {
    struct call *next;
    struct rpc_exchange *exchange;
    size_t len;
    uint8_t request[];
};

struct rpc {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct call *late;
    struct call *held;
    unsigned held_count;
    bool is_ending;
    bool has_failed;
};

static bool is_gone(const struct call *call)
{
    return atomic_load(&call->exchange->gone);
}

static void echo(struct rpc_exchange *exchange, const void *data, size_t len)
{
    uint8_t *answer = exchange->reserve(exchange, len);

    if (answer != NULL) {
        memcpy(answer, data, len);
    }
    exchange->answer(exchange);
}

static void big(struct rpc_exchange *exchange)
{
    uint8_t *answer = exchange->reserve(exchange, FAKE_RPC_BIG);

    if (answer != NULL) {
        memset(answer, 'b', FAKE_RPC_BIG);
    }
    exchange->answer(exchange);
}

static unsigned answer_all(struct call *call)
{
    unsigned count = 0;

    while (call != NULL) {
        struct call *next = call->next;

        echo(call->exchange, call->request, call->len);
        free(call);
        call = next;
        count++;
    }
    return count;
}

static void *answer_late(void *arg)
{
    struct rpc *rpc = arg;

    (void) pthread_mutex_lock(&rpc->lock);
    while (!rpc->is_ending || rpc->late != NULL) {
        struct call *calls = rpc->late;

        rpc->late = NULL;
        if (calls == NULL) {
            (void) pthread_cond_wait(&rpc->changed, &rpc->lock);
            continue;
        }
        (void) pthread_mutex_unlock(&rpc->lock);
        (void) answer_all(calls);
        (void) pthread_mutex_lock(&rpc->lock);
    }
    (void) pthread_mutex_unlock(&rpc->lock);
    return NULL;
}

static void keep(struct rpc *rpc, struct rpc_exchange *exchange, const uint8_t *request, size_t len)
{
    struct call *call = malloc(sizeof(*call) + len);

    if (call == NULL) {
        abort();
    }
    call->exchange = exchange;
    call->len = len;
    memcpy(call->request, request, len);

    (void) pthread_mutex_lock(&rpc->lock);
    struct call **list = request[0] == 'l' ? &rpc->late : &rpc->held;

    call->next = *list;
    *list = call;
    rpc->held_count += request[0] == 'l' ? 0 : 1;
    (void) pthread_cond_broadcast(&rpc->changed);
    (void) pthread_mutex_unlock(&rpc->lock);
}

void rpc_receive(struct rpc *rpc, struct rpc_exchange *exchange, const uint8_t *request, size_t len)
{
    struct rpc_peer peer = exchange->peer;

    switch (len > 0 ? request[0] : 'e') {
    case 'l':
    case 'h':
    case 'p':
        if (request[0] == 'p' && !exchange->park(exchange)) {
            echo(exchange, "full", 4);
            break;
        }
        keep(rpc, exchange, request, len);
        break;
    case 'b':
        big(exchange);
        break;
    case 'x':
        exchange->answer(exchange);
        break;
    case 'w':
        echo(exchange, &peer, sizeof(peer));
        break;
    default:
        echo(exchange, request, len);
        break;
    }
}

void rpc_hung_up(struct rpc *rpc)
{
    struct call *gone = NULL;

    (void) pthread_mutex_lock(&rpc->lock);
    for (struct call **link = &rpc->held; *link != NULL;) {
        struct call *call = *link;

        if (!is_gone(call)) {
            link = &call->next;
            continue;
        }
        *link = call->next;
        call->next = gone;
        gone = call;
        rpc->held_count--;
    }
    (void) pthread_mutex_unlock(&rpc->lock);
    (void) answer_all(gone);
}

void rpc_transport_failed(struct rpc *rpc, const char *why)
{
    (void) why;
    (void) pthread_mutex_lock(&rpc->lock);
    rpc->has_failed = true;
    (void) pthread_cond_broadcast(&rpc->changed);
    (void) pthread_mutex_unlock(&rpc->lock);
}

struct rpc *fake_rpc_create(void)
{
    struct rpc *rpc = calloc(1, sizeof(*rpc));
    pthread_condattr_t monotonic;

    if (rpc == NULL) {
        abort();
    }
    (void) pthread_mutex_init(&rpc->lock, NULL);
    (void) pthread_condattr_init(&monotonic);
    (void) pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&rpc->changed, &monotonic);
    (void) pthread_condattr_destroy(&monotonic);
    if (pthread_create(&rpc->thread, NULL, answer_late, rpc) != 0) {
        abort();
    }
    return rpc;
}

void fake_rpc_destroy(struct rpc *rpc)
{
    (void) pthread_mutex_lock(&rpc->lock);
    rpc->is_ending = true;
    (void) pthread_cond_broadcast(&rpc->changed);
    (void) pthread_mutex_unlock(&rpc->lock);
    (void) pthread_join(rpc->thread, NULL);
    (void) pthread_cond_destroy(&rpc->changed);
    (void) pthread_mutex_destroy(&rpc->lock);
    free(rpc);
}

unsigned fake_rpc_release(struct rpc *rpc)
{
    (void) pthread_mutex_lock(&rpc->lock);
    struct call *calls = rpc->held;

    rpc->held = NULL;
    rpc->held_count = 0;
    (void) pthread_mutex_unlock(&rpc->lock);
    return answer_all(calls);
}

static struct timespec in_ms(int64_t ms)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_sec += ms / 1000;
    now.tv_nsec += ms % 1000 * 1000000;
    if (now.tv_nsec >= 1000000000) {
        now.tv_sec++;
        now.tv_nsec -= 1000000000;
    }
    return now;
}

bool fake_rpc_wait_held(struct rpc *rpc, unsigned count)
{
    struct timespec deadline = in_ms(PATIENCE_MS);
    int result = 0;

    (void) pthread_mutex_lock(&rpc->lock);
    while (rpc->held_count < count && result == 0) {
        result = pthread_cond_timedwait(&rpc->changed, &rpc->lock, &deadline);
    }
    bool enough = rpc->held_count >= count;

    (void) pthread_mutex_unlock(&rpc->lock);
    return enough;
}

bool fake_rpc_wait_failed(struct rpc *rpc, int64_t ms)
{
    struct timespec deadline = in_ms(ms);
    int result = 0;

    (void) pthread_mutex_lock(&rpc->lock);
    while (!rpc->has_failed && result == 0) {
        result = pthread_cond_timedwait(&rpc->changed, &rpc->lock, &deadline);
    }
    bool failed = rpc->has_failed;

    (void) pthread_mutex_unlock(&rpc->lock);
    return failed;
}
