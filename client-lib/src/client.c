/*
 * The client: which call runs when and on which connection, when it is tried
 * again, and when it has ended.
 *
 * Three kinds of thread come here: callers, threads of nng (attempt_done), and
 * the client's own, which watches deadlines and pauses (keep_time). One lock
 * protects everything; it is never held while a callback runs.
 */
#include <mxadm/mxadm.h>

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "call.h"
#include "client.h"
#include "connection.h"
#include "moment.h"
#include "options.h"
#include "result.h"

/* How long closing waits for nng: see mxadm_client_close(). */
#define CLOSE_PATIENCE_MS 1000

/* "Some other time": the moment when there is nothing to wait for. */
#define NEVER INT64_MAX

TAILQ_HEAD(call_list, call);

struct mxadm_client {
    /* Set at the beginning, read only. */
    mxadm_client_options options;
    char **urls; /* options.urls points here */
    pid_t owner; /* the process; not a child's */
    pthread_t time_keeper;

    pthread_mutex_t lock; /* protects what follows; taken before a connection's */
    pthread_cond_t wake_cond;
    pthread_cond_t quiet_cond;
    bool closing;  /* no further attempts */
    bool stopping; /* the time keeper ends */
    int64_t wake;  /* when the time keeper must look again at the latest */
    size_t active; /* calls whose callback has not returned */
    struct call_list calls;
    struct call_list queue;          /* calls that are QUEUED, in order */
    struct connection **connections; /* by slot; NULL: not needed so far */
    size_t *url_of;                  /* by slot: the URL to use next */
    size_t *idle;                    /* stack of free slots: a used one is used again first */
    size_t idle_count;
};

/* How deep this thread is in callbacks of callers. */
static _Thread_local int callback_depth;

/* ------------------------------------------------------------ End of a call */

/* A status that says for certain that the call was not carried out. */
static bool is_refusal(mxadm_code code)
{
    switch (code) {
    case MXADM_INVALID_ARGUMENT:
    case MXADM_NOT_FOUND:
    case MXADM_ALREADY_EXISTS:
    case MXADM_PERMISSION_DENIED:
    case MXADM_FAILED_PRECONDITION:
    case MXADM_ABORTED:
    case MXADM_OUT_OF_RANGE:
    case MXADM_UNIMPLEMENTED:
    case MXADM_UNAUTHENTICATED:
        return true;
    case MXADM_OK:
    case MXADM_CANCELLED:
    case MXADM_UNKNOWN:
    case MXADM_DEADLINE_EXCEEDED:
    case MXADM_RESOURCE_EXHAUSTED:
    case MXADM_INTERNAL:
    case MXADM_UNAVAILABLE:
    case MXADM_DATA_LOSS:
        return false;
    }
    return false; /* a newer server's */
}

/* The call is over and its result is written: it leaves the client's lists. With the lock held. */
static void end_call(struct call *call, struct call_list *ended)
{
    TAILQ_REMOVE(&call->client->calls, call, link);
    call->result->may_have_happened =
        call->in_doubt && call->result->code != MXADM_OK && !is_refusal(call->result->code);
    TAILQ_INSERT_TAIL(ended, call, queue_link);
}

/* Hands the results over. Without the lock; the client may be gone when this returns. */
static void deliver(struct call_list *ended)
{
    struct call *call = TAILQ_FIRST(ended);
    while (call != NULL) {
        struct call *next = TAILQ_NEXT(call, queue_link);
        mxadm_client *client = call->client;
        callback_depth++;
        call->callback(call->result, call->payload);
        callback_depth--;
        call_destroy(call);
        pthread_mutex_lock(&client->lock);
        if (--client->active == 0) {
            pthread_cond_broadcast(&client->quiet_cond);
        }
        pthread_mutex_unlock(&client->lock);
        call = next;
    }
}

/* ----------------------------------------------------------------- Attempts */

/* With the lock held, as all up to attempt_done(). */
static void wake_at(mxadm_client *client, int64_t moment)
{
    if (moment < client->wake) {
        client->wake = moment;
        pthread_cond_signal(&client->wake_cond);
    }
}

static void fail_out_of_memory(struct call *call)
{
    result_fail(call->result, MXADM_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                "out of memory, sockets or threads");
}

static void attempt_done(void *owner, const struct exchange_result *exchange);

static bool begin_exchange(struct call *call, int64_t now)
{
    mxadm_client *client = call->client;
    struct connection **connection = &client->connections[call->slot];
    if (*connection == NULL) {
        *connection = connection_create(client->options.answer_bytes_limit, attempt_done);
    }
    if (*connection == NULL) {
        return false;
    }
    uint8_t tail[CALL_TAIL_MAX];
    struct iovec parts[2] = {
        { .iov_base = call->packed, .iov_len = call->packed_len },
        { .iov_base = tail, .iov_len = call_pack_tail(call->wake - now, tail) },
    };
    call->connection = *connection;
    return connection_begin(*connection, call, client->urls[call->url], parts, 2);
}

static int64_t end_of_attempt(const struct call *call, int64_t now)
{
    uint32_t limit = call->client->options.attempt_timeout_ms;
    if (limit == 0 || now + limit > call->deadline) {
        return call->deadline;
    }
    return now + limit;
}

/* Runs a call on the free slot on top. */
static void start_attempt(struct call *call, int64_t now, struct call_list *ended)
{
    mxadm_client *client = call->client;
    call->slot = client->idle[--client->idle_count];
    call->url = client->url_of[call->slot];
    call->state = CALL_RUNNING;
    call->wake = end_of_attempt(call, now);
    call->connect_by = now + client->options.connect_timeout_ms;
    call->result->attempts++;
    if (!begin_exchange(call, now)) {
        client->idle[client->idle_count++] = call->slot;
        fail_out_of_memory(call);
        end_call(call, ended);
        return;
    }
    bool connecting = connection_is_connecting(call->connection);
    wake_at(client, connecting && call->connect_by < call->wake ? call->connect_by : call->wake);
}

/* Starts what waits for a connection, as far as there are any. */
static void start_queued(mxadm_client *client, struct call_list *ended)
{
    int64_t now = moment_now_ms();
    while (client->idle_count > 0 && !TAILQ_EMPTY(&client->queue)) {
        struct call *call = TAILQ_FIRST(&client->queue);
        if (call->deadline <= now) {
            break; /* the time keeper ends it and starts the others */
        }
        TAILQ_REMOVE(&client->queue, call, queue_link);
        start_attempt(call, now, ended);
    }
}

static void enqueue(struct call *call)
{
    call->state = CALL_QUEUED;
    TAILQ_INSERT_TAIL(&call->client->queue, call, queue_link);
    wake_at(call->client, call->deadline);
}

int64_t backoff_ms(const mxadm_client_options *options, unsigned failures)
{
    int64_t pause = options->backoff_initial_ms;
    for (unsigned i = 1; i < failures && pause < options->backoff_max_ms; i++) {
        pause *= 2;
    }
    if (pause > options->backoff_max_ms) {
        pause = options->backoff_max_ms;
    }
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0) {
        random = (uint32_t) moment_now_ms();
    }
    return pause - random % (pause / 2 + 1);
}

/* The pause before the next attempt. The first round over several URLs has none. */
static int64_t pause_ms(const struct call *call)
{
    const mxadm_client_options *options = &call->client->options;
    unsigned attempts = call->result->attempts;
    if (attempts < options->url_count) {
        return 0;
    }
    return backoff_ms(options, attempts);
}

/* Another attempt, if count and time allow it. */
static bool try_again(struct call *call)
{
    mxadm_client *client = call->client;
    uint32_t max = client->options.max_attempts;
    if (client->closing || (max > 0 && call->result->attempts >= max)) {
        return false;
    }
    int64_t pause = pause_ms(call);
    int64_t asked = result_retry_delay_ms(call->result);
    int64_t resume = moment_now_ms() + (asked > pause ? asked : pause);
    if (resume >= call->deadline) {
        return false;
    }
    call->state = CALL_PAUSED;
    call->wake = resume;
    wake_at(client, resume);
    return true;
}

/* The connection is no good any more, or its server can't answer: the slot goes on to the next
 * URL, if there is one. */
static void move_on(struct call *call, bool answered)
{
    mxadm_client *client = call->client;
    if (answered && client->options.url_count == 1) {
        return;
    }
    client->url_of[call->slot] = (call->url + 1) % client->options.url_count;
    connection_drop(call->connection);
}

static void fail_timed_out(struct call *call, const char *url)
{
    result_fail(call->result, MXADM_DEADLINE_EXCEEDED, "TIMED_OUT",
                "no answer from '%s' within %u ms", url, call->timeout_ms);
}

/* Why the call itself ended an exchange. Returns whether trying again makes sense. */
static bool explain_cancelled(struct call *call, const struct exchange_result *exchange)
{
    mxadm_client *client = call->client;
    const char *url = client->urls[call->url];
    if (client->closing) {
        result_fail(call->result, MXADM_CANCELLED, "CLIENT_CLOSED", "the client was closed");
        return false;
    }
    if (!exchange->sent) {
        result_fail(call->result, MXADM_UNAVAILABLE, "CONNECTION_FAILED",
                    "can't connect to '%s': no answer", url);
        return true;
    }
    if (moment_now_ms() >= call->deadline) {
        fail_timed_out(call, url);
        return false;
    }
    result_fail(call->result, MXADM_DEADLINE_EXCEEDED, "TIMED_OUT",
                "no answer from '%s' within %u ms (one attempt)", url,
                client->options.attempt_timeout_ms);
    return true;
}

/* An answer came. Returns whether trying again makes sense. */
static bool judge_answer(struct call *call)
{
    switch (call->result->code) {
    case MXADM_UNAVAILABLE:
    case MXADM_DEADLINE_EXCEEDED: /* the server's deadline is the attempt's */
        call->in_doubt = true;
        move_on(call, true);
        return true;
    case MXADM_RESOURCE_EXHAUSTED:
        return result_retry_delay_ms(call->result) > 0;
    case MXADM_CANCELLED:
    case MXADM_UNKNOWN:
    case MXADM_INTERNAL:
    case MXADM_DATA_LOSS:
        call->in_doubt = true;
        return false;
    case MXADM_OK:
    case MXADM_INVALID_ARGUMENT:
    case MXADM_NOT_FOUND:
    case MXADM_ALREADY_EXISTS:
    case MXADM_PERMISSION_DENIED:
    case MXADM_FAILED_PRECONDITION:
    case MXADM_ABORTED:
    case MXADM_OUT_OF_RANGE:
    case MXADM_UNIMPLEMENTED:
    case MXADM_UNAUTHENTICATED:
        return false;
    }
    call->in_doubt = true; /* a newer server's code */
    return false;
}

/* Writes the result of an attempt. Returns whether trying again makes sense. */
static bool judge(struct call *call, const struct exchange_result *exchange)
{
    const char *url = call->client->urls[call->url];
    if (exchange->end == EXCHANGE_ANSWERED) {
        return judge_answer(call);
    }
    call->in_doubt = call->in_doubt || exchange->sent;
    move_on(call, false);
    switch (exchange->end) {
    case EXCHANGE_CANCELLED:
        return explain_cancelled(call, exchange);
    case EXCHANGE_NOT_CONNECTED:
        result_fail(call->result, MXADM_UNAVAILABLE, "CONNECTION_FAILED",
                    "can't connect to '%s': %s", url, exchange->why);
        break;
    case EXCHANGE_LOST:
        result_fail(call->result, MXADM_UNAVAILABLE, "CONNECTION_LOST",
                    "the connection to '%s' was lost: %s", url, exchange->why);
        break;
    case EXCHANGE_ANSWERED:
        break;
    }
    return true;
}

/* An exchange has ended; called by the connection on a thread of nng, without locks. */
static void attempt_done(void *owner, const struct exchange_result *exchange)
{
    struct call *call = owner;
    mxadm_client *client = call->client;
    struct call_list ended = TAILQ_HEAD_INITIALIZER(ended);
    if (exchange->end == EXCHANGE_ANSWERED) {
        result_read(call->result, call->descriptor->output, exchange->bytes, exchange->len);
    }
    pthread_mutex_lock(&client->lock);
    bool again = judge(call, exchange);
    client->idle[client->idle_count++] = call->slot;
    call->connection = NULL;
    if (!again || !try_again(call)) {
        end_call(call, &ended);
    }
    start_queued(client, &ended);
    pthread_mutex_unlock(&client->lock);
    deliver(&ended);
}

/* --------------------------------------------------------------------- Time */

/* Does what is due for one call and says when to look at it next. With the lock held. */
static int64_t look_at(struct call *call, int64_t now, struct call_list *ended)
{
    switch (call->state) {
    case CALL_QUEUED:
        if (call->deadline > now) {
            return call->deadline;
        }
        TAILQ_REMOVE(&call->client->queue, call, queue_link);
        if (call->result->attempts == 0) { /* else why the last one failed says more */
            result_fail(call->result, MXADM_DEADLINE_EXCEEDED, "TIMED_OUT",
                        "no connection was free within %u ms", call->timeout_ms);
        }
        end_call(call, ended);
        return NEVER;
    case CALL_PAUSED:
        if (call->wake > now) {
            return call->wake;
        }
        enqueue(call);
        return call->deadline;
    case CALL_RUNNING:
        break;
    }
    int64_t until = call->wake;
    if (call->connect_by < until && connection_is_connecting(call->connection)) {
        until = call->connect_by;
    }
    if (until > now) {
        return until;
    }
    connection_cancel(call->connection);
    return NEVER; /* attempt_done() goes on */
}

/* Looks at all calls: there are rarely more than a few thousand, and it is done about once in the
 * time that a call may take, not once a call. */
static void look_at_calls(mxadm_client *client, struct call_list *ended)
{
    int64_t now = moment_now_ms();
    client->wake = NEVER;
    for (struct call *call = TAILQ_FIRST(&client->calls), *next; call != NULL; call = next) {
        next = TAILQ_NEXT(call, link);
        wake_at(client, look_at(call, now, ended));
    }
    start_queued(client, ended);
}

static void sleep_until_wake(mxadm_client *client)
{
    if (client->wake == NEVER) {
        pthread_cond_wait(&client->wake_cond, &client->lock);
        return;
    }
    struct timespec until = moment_timespec(client->wake);
    pthread_cond_timedwait(&client->wake_cond, &client->lock, &until);
}

static void *keep_time(void *arg)
{
    mxadm_client *client = arg;
    pthread_mutex_lock(&client->lock);
    while (!client->stopping) {
        struct call_list ended = TAILQ_HEAD_INITIALIZER(ended);
        look_at_calls(client, &ended);
        if (TAILQ_EMPTY(&ended)) {
            sleep_until_wake(client);
            continue;
        }
        pthread_mutex_unlock(&client->lock);
        deliver(&ended); /* the client stays: closing it waits for this thread */
        pthread_mutex_lock(&client->lock);
    }
    pthread_mutex_unlock(&client->lock);
    return NULL;
}

/* -------------------------------------------------------------------- Calls */

/* Gives a call to the client, which calls back exactly once. */
static void submit(mxadm_client *client, struct call *call)
{
    struct call_list ended = TAILQ_HEAD_INITIALIZER(ended);
    pthread_mutex_lock(&client->lock);
    client->active++;
    TAILQ_INSERT_TAIL(&client->calls, call, link);
    if (client->closing) {
        result_fail(call->result, MXADM_CANCELLED, "CLIENT_CLOSED", "the client was closed");
        end_call(call, &ended);
    } else {
        enqueue(call);
        start_queued(client, &ended);
    }
    pthread_mutex_unlock(&client->lock);
    deliver(&ended);
}

/* NULL: `result` says why. */
static struct call *prepare(mxadm_client *client, const char *method,
                            const ProtobufCMessage *request, const mxadm_call_options *given,
                            mxadm_result *result)
{
    mxadm_call_options options;
    if (client->owner != getpid()) {
        result_fail(result, MXADM_FAILED_PRECONDITION, "BAD_CALL",
                    "a client can't be used in a child process of the one that opened it");
        return NULL;
    }
    if (options_read_call(given, &options) != MXADM_OK) {
        result_fail(result, MXADM_INVALID_ARGUMENT, "BAD_CALL",
                    "the call's options are not initialised, newer than the library, or out of "
                    "range");
        return NULL;
    }
    struct call *call = call_create(method, request, &options, result);
    if (call != NULL) {
        call->client = client;
        call->timeout_ms =
            options.timeout_ms != 0 ? options.timeout_ms : client->options.timeout_ms;
        call->deadline = moment_now_ms() + call->timeout_ms;
    }
    return call;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done_cond;
    bool done; /* protected by lock */
};

static void wake_waiter(mxadm_result *result, void *payload)
{
    struct waiter *waiter = payload;
    (void) result; /* the one who waits has it */
    pthread_mutex_lock(&waiter->lock);
    waiter->done = true;
    pthread_cond_signal(&waiter->done_cond);
    pthread_mutex_unlock(&waiter->lock);
}

static void submit_and_wait(mxadm_client *client, struct call *call)
{
    struct waiter waiter = { .lock = PTHREAD_MUTEX_INITIALIZER,
                             .done_cond = PTHREAD_COND_INITIALIZER };
    call->callback = wake_waiter;
    call->payload = &waiter;
    submit(client, call);
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.done) {
        pthread_cond_wait(&waiter.done_cond, &waiter.lock);
    }
    pthread_mutex_unlock(&waiter.lock);
}

mxadm_code mxadm_call(mxadm_client *client, const char *method, const ProtobufCMessage *request,
                      const mxadm_call_options *options, mxadm_result **result_out)
{
    mxadm_result *result = result_create();
    if (result_out != NULL) {
        *result_out = result;
    }
    if (result == NULL) {
        return MXADM_RESOURCE_EXHAUSTED;
    }
    if (callback_depth > 0) {
        result_fail(result, MXADM_FAILED_PRECONDITION, "BAD_CALL",
                    "a call that waits can't be made from a callback");
    } else {
        struct call *call = prepare(client, method, request, options, result);
        if (call != NULL) {
            submit_and_wait(client, call);
        }
    }
    mxadm_code code = result->code;
    if (result_out == NULL) {
        mxadm_result_free(result);
    }
    return code;
}

mxadm_code mxadm_call_async(mxadm_client *client, const char *method,
                            const ProtobufCMessage *request, const mxadm_call_options *options,
                            mxadm_callback callback, void *payload)
{
    mxadm_result *result = result_create();
    if (result == NULL) {
        return MXADM_RESOURCE_EXHAUSTED;
    }
    struct call *call = prepare(client, method, request, options, result);
    if (call == NULL) {
        mxadm_code code = result->code;
        mxadm_result_free(result);
        return code;
    }
    call->callback = callback;
    call->payload = payload;
    submit(client, call);
    return MXADM_OK;
}

/* ------------------------------------------------------------ Open and close */

static char **copy_strings(const char *const *strings, size_t count)
{
    char **copies = calloc(count, sizeof(*copies));
    for (size_t i = 0; copies != NULL && i < count; i++) {
        copies[i] = strdup(strings[i]);
        if (copies[i] == NULL) {
            while (i > 0) {
                free(copies[--i]);
            }
            free(copies);
            return NULL;
        }
    }
    return copies;
}

/* What needs no thread and no connection. */
static void release(mxadm_client *client)
{
    for (size_t i = 0; client->urls != NULL && i < client->options.url_count; i++) {
        free(client->urls[i]);
    }
    free(client->urls);
    free(client->url_of);
    free(client->idle);
    pthread_cond_destroy(&client->wake_cond);
    pthread_cond_destroy(&client->quiet_cond);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

static bool allocate(mxadm_client *client)
{
    size_t count = client->options.connections;
    client->urls = copy_strings(client->options.urls, client->options.url_count);
    client->connections = calloc(count, sizeof(*client->connections));
    client->url_of = calloc(count, sizeof(*client->url_of));
    client->idle = calloc(count, sizeof(*client->idle));
    if (client->urls == NULL || client->connections == NULL || client->url_of == NULL ||
        client->idle == NULL) {
        return false;
    }
    client->options.urls = (const char *const *) client->urls; /* not the caller's any more */
    for (size_t i = 0; i < count; i++) {
        client->idle[i] = count - 1 - i;
    }
    client->idle_count = count;
    return true;
}

mxadm_code mxadm_client_open(const mxadm_client_options *given, mxadm_client **client_out)
{
    mxadm_client_options options;
    if (options_read_client(given, &options) != MXADM_OK) {
        return MXADM_INVALID_ARGUMENT;
    }
    mxadm_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return MXADM_RESOURCE_EXHAUSTED;
    }
    client->options = options;
    client->owner = getpid();
    client->wake = NEVER;
    TAILQ_INIT(&client->calls);
    TAILQ_INIT(&client->queue);
    pthread_mutex_init(&client->lock, NULL);
    moment_cond_init(&client->wake_cond);
    pthread_cond_init(&client->quiet_cond, NULL);
    if (!allocate(client) || pthread_create(&client->time_keeper, NULL, keep_time, client) != 0) {
        free(client->connections);
        release(client);
        return MXADM_RESOURCE_EXHAUSTED;
    }
    *client_out = client;
    return MXADM_OK;
}

/* Ends what waits and makes end what runs. With the lock held. */
static void cancel_calls(mxadm_client *client, struct call_list *ended)
{
    for (struct call *call = TAILQ_FIRST(&client->calls), *next; call != NULL; call = next) {
        next = TAILQ_NEXT(call, link);
        if (call->state == CALL_RUNNING) {
            connection_cancel(call->connection);
            continue;
        }
        if (call->state == CALL_QUEUED) {
            TAILQ_REMOVE(&client->queue, call, queue_link);
        }
        result_fail(call->result, MXADM_CANCELLED, "CLIENT_CLOSED", "the client was closed");
        end_call(call, ended);
    }
}

const mxadm_client_options *client_options(const mxadm_client *client)
{
    return client->owner == getpid() ? &client->options : NULL;
}

void client_cancel(mxadm_client *client)
{
    struct call_list ended = TAILQ_HEAD_INITIALIZER(ended);
    pthread_mutex_lock(&client->lock);
    client->closing = true;
    cancel_calls(client, &ended);
    pthread_mutex_unlock(&client->lock);
    deliver(&ended);
}

void mxadm_client_close(mxadm_client *client)
{
    if (client == NULL || client->owner != getpid()) {
        return;
    }
    assert(callback_depth == 0 && "a client can't be closed from a callback");
    client_cancel(client);

    pthread_mutex_lock(&client->lock);
    while (client->active > 0) {
        pthread_cond_wait(&client->quiet_cond, &client->lock);
    }
    client->stopping = true;
    pthread_cond_signal(&client->wake_cond);
    pthread_mutex_unlock(&client->lock);
    pthread_join(client->time_keeper, NULL);

    connections_destroy(client->connections, client->options.connections, CLOSE_PATIENCE_MS);
    release(client);
}
