#include "bench/load.h"

#include "base/clock.h"
#include "bench/bench.h"
#include "mxadm/v1/rpc.pb-c.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HELLO_SIZE  8
#define FRAME_HEAD  9 /* kind and length */
#define ID_SIZE     4
#define BUFFER_SIZE ((size_t) 256 * 1024)
#define AWAIT_MS    20000
/* First byte of a Response that has a status: a refusal. */
#define TAG_STATUS 0x0a

struct connection {
    int fd;
    uint8_t *in;
    size_t in_len;
    uint8_t *out;
    size_t out_len;
};

struct run {
    const struct load *load;
    struct load_result *result;
    struct connection connections[LOAD_CONNECTIONS_MAX];
    uint64_t outstanding;
    int64_t from_us; /* answers count from here */
    int64_t until_us;
    bool ending; /* nothing more is asked */
};

/* -------------------------------------------------------------- connection */

/* -1: nobody listens. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bench_check(fd >= 0 && strlen(path) < sizeof(address.sun_path), "no socket");
    (void) strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0) {
        (void) close(fd);
        return -1;
    }
    return fd;
}

void load_await(const char *path)
{
    int64_t deadline_us = clock_mono_us() + (int64_t) AWAIT_MS * 1000;
    int fd;

    while ((fd = connect_to(path)) < 0) {
        if (clock_mono_us() > deadline_us) {
            bench_fail("nobody listens at '%s'", path);
        }
        (void) poll(NULL, 0, 10);
    }
    (void) close(fd);
}

static void open_connection(struct connection *connection, const char *path)
{
    static const uint8_t hello[HELLO_SIZE] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 }; /* REQ */
    uint8_t theirs[HELLO_SIZE];

    *connection = (struct connection){ .fd = connect_to(path),
                                       .in = malloc(BUFFER_SIZE),
                                       .out = malloc(BUFFER_SIZE) };
    bench_check(connection->fd >= 0, "can't connect");
    bench_check(connection->in != NULL && connection->out != NULL, "out of memory");
    bench_check(send(connection->fd, hello, HELLO_SIZE, 0) == HELLO_SIZE &&
                    recv(connection->fd, theirs, HELLO_SIZE, MSG_WAITALL) == HELLO_SIZE,
                "no hello");
}

/* All of it: what is outstanding fits the socket's buffer, since the server reads on. */
static void flush(struct connection *connection)
{
    size_t sent = 0;

    while (sent < connection->out_len) {
        ssize_t got =
            send(connection->fd, connection->out + sent, connection->out_len - sent, MSG_NOSIGNAL);

        bench_check(got > 0, "the server has hung up");
        sent += (size_t) got;
    }
    connection->out_len = 0;
}

/* ---------------------------------------------------------------- requests */

static void ask(struct run *run, struct connection *connection)
{
    uint64_t number = run->result->next++;
    uint32_t id = htobe32(UINT32_C(0x80000000) | (uint32_t) number);
    uint8_t *frame = connection->out + connection->out_len;
    size_t len = run->load->make(run->load, number, frame + FRAME_HEAD + ID_SIZE);
    uint64_t frame_len = htobe64(len + ID_SIZE);

    frame[0] = 1;
    memcpy(frame + 1, &frame_len, sizeof(frame_len));
    memcpy(frame + FRAME_HEAD, &id, ID_SIZE);
    connection->out_len += FRAME_HEAD + ID_SIZE + len;
    run->result->request_len = len;
    run->outstanding++;
}

static bool has_more(struct run *run)
{
    const struct load *load = run->load;

    if (load->calls > 0) {
        return run->result->next - load->first < load->calls;
    }
    return !run->ending;
}

static void tell_refusal(const uint8_t *answer, size_t len)
{
    Mxadm__V1__Response *response = mxadm__v1__response__unpack(NULL, len, answer);

    if (response == NULL || response->status == NULL) {
        bench_fail("an answer is no Response");
    }
    bench_fail("refused: %s", response->status->message);
}

static void take_answer(struct run *run, const uint8_t *answer, size_t len)
{
    struct load_result *result = run->result;

    if (len == 0 || answer[0] == TAG_STATUS) {
        tell_refusal(answer, len);
    }
    bench_check(len <= LOAD_ANSWER_MAX, "a longer answer than expected");
    run->outstanding--;
    if (!run->ending) {
        result->calls++;
    }
    if (run->outstanding == 0 || result->answer_len == 0) {
        memcpy(result->answer, answer, len < LOAD_ANSWER_KEPT ? len : LOAD_ANSWER_KEPT);
        result->answer_len = len;
    }
}

/* Takes the whole frames out of the buffer and asks anew for each. */
static void take_answers(struct run *run, struct connection *connection)
{
    size_t at = 0;
    uint64_t len;

    while (connection->in_len - at >= FRAME_HEAD + ID_SIZE) {
        memcpy(&len, connection->in + at + 1, sizeof(len));
        len = be64toh(len);
        bench_check(len >= ID_SIZE && len <= LOAD_ANSWER_MAX + ID_SIZE, "a frame is damaged");
        if (connection->in_len - at < FRAME_HEAD + len) {
            break;
        }
        take_answer(run, connection->in + at + FRAME_HEAD + ID_SIZE, (size_t) len - ID_SIZE);
        at += FRAME_HEAD + (size_t) len;
        if (has_more(run)) {
            ask(run, connection);
        }
    }
    memmove(connection->in, connection->in + at, connection->in_len - at);
    connection->in_len -= at;
}

static void receive(struct run *run, struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->in + connection->in_len,
                       BUFFER_SIZE - connection->in_len, 0);

    bench_check(got > 0, "the server has hung up");
    connection->in_len += (size_t) got;
    take_answers(run, connection);
    flush(connection);
}

/* --------------------------------------------------------------------- run */

/* By time: the warm-up ends, the counting ends. */
static void watch_time(struct run *run)
{
    int64_t now_us = clock_mono_us();

    if (run->load->calls > 0 || run->ending) {
        return;
    }
    if (run->until_us == 0 && now_us >= run->from_us) {
        run->result->calls = 0;
        run->from_us = now_us;
        run->until_us = now_us + run->load->run_us;
    } else if (run->until_us != 0 && now_us >= run->until_us) {
        run->result->us = now_us - run->from_us;
        run->ending = true;
    }
}

static void begin(struct run *run)
{
    const struct load *load = run->load;

    for (unsigned i = 0; i < load->connections; i++) {
        open_connection(&run->connections[i], load->path);
    }
    run->from_us = clock_mono_us() + load->warm_up_us;
    for (unsigned i = 0; i < load->outstanding && has_more(run); i++) {
        ask(run, &run->connections[i % load->connections]);
    }
    for (unsigned i = 0; i < load->connections; i++) {
        flush(&run->connections[i]);
    }
}

static void serve(struct run *run)
{
    struct pollfd fds[LOAD_CONNECTIONS_MAX];
    unsigned count = run->load->connections;

    for (unsigned i = 0; i < count; i++) {
        fds[i] = (struct pollfd){ .fd = run->connections[i].fd, .events = POLLIN };
    }
    while (run->outstanding > 0) {
        bench_check(poll(fds, count, AWAIT_MS) > 0, "the server does not answer");
        for (unsigned i = 0; i < count; i++) {
            if (fds[i].revents != 0) {
                receive(run, &run->connections[i]);
            }
        }
        watch_time(run);
    }
}

void load_run(void *argument, void *result)
{
    const struct load *load = argument;
    struct run run = { .load = load, .result = result };

    bench_check(load->connections >= 1 && load->connections <= LOAD_CONNECTIONS_MAX,
                "too many connections");
    memset(result, 0, sizeof(struct load_result));
    run.result->next = load->first;
    begin(&run);
    serve(&run);
    if (load->calls > 0) {
        run.result->us = clock_mono_us() - run.from_us;
    }
    for (unsigned i = 0; i < load->connections; i++) {
        (void) close(run.connections[i].fd);
        free(run.connections[i].in);
        free(run.connections[i].out);
    }
}
