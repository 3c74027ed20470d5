/*
 * Cures of three defects of nng before 1.11, put in by the linker.
 *
 * cmake/nng.cmake links this file, with --wrap for each function here, into
 * every program with a static libnng older than 1.11, and into no other: each
 * call from one object of libnng to, say, nni_aio_begin() then goes to
 * __wrap_nni_aio_begin(), and __real_nni_aio_begin() is nng's own. Only
 * prototypes of nng are relied on, no structure of it. (Calls inside the object
 * that defines the function are not reached: that is nni_sleep_aio() alone,
 * which has no part in this.)
 *
 * 1. The wedged reaper (upstream #616, #1636). Closing a pipe closes its
 *    operations; nni_aio_begin() refuses to start a closed one, and the one who
 *    wanted to start it just returns: "its callback will not come". The
 *    transports, ipc.c and tcp.c, start the next receive or send on their stream
 *    without looking whether it started, and have queued behind it the
 *    operation of the protocol, which then never ends. The thread that takes
 *    pipes apart (nng:reap2) waits for it for ever, and after that each
 *    disconnect leaks its pipe and its descriptor, and nng_close() hangs. A
 *    client that dies with several requests in flight is enough.
 *    Cure: remember that nni_aio_begin() refused this operation, and when a
 *    stream's receive or send comes back so, end the operation as closed.
 *
 * 2. The lost answer. In the same way REP hands an answer to a pipe that is
 *    just being closed, the pipe refuses, and nobody frees the answer: it goes
 *    with the pipe. A few in a hundred clients that die with requests in
 *    flight cost one.
 *    Cure: the same for a pipe's send. REP then sees that it failed, and frees.
 *    It still holds the lock that closing the pipe waits for, so the end of the
 *    operation can't come too late.
 *
 * 3. The deaf listener (upstream #1518). A peer that connects and is gone before
 *    the hello gives EPIPE, which nng maps to NNG_ECLOSED, which the ipc
 *    listener takes for "I was closed": it accepts nobody any more.
 *    Cure: EPIPE is NNG_ECONNRESET, a fault of this connection only.
 *
 * tests/unit/net/test_churn.c (1; 2 with the address sanitizer) and
 * test_server.c (3) fail without them.
 */
#include <errno.h>
#include <nng/nng.h>
#include <stddef.h>

#if NNG_MAJOR_VERSION > 1 || NNG_MINOR_VERSION >= 11
#error "nng 1.11 has no need of these cures: see cmake/nng.cmake"
#endif

struct nni_pipe;

int __real_nni_aio_begin(nng_aio *aio);
int __wrap_nni_aio_begin(nng_aio *aio);
void __real_nng_stream_recv(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio);
void __real_nng_stream_send(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_send(nng_stream *stream, nng_aio *aio);
void __real_nni_pipe_send(struct nni_pipe *pipe, nng_aio *aio);
void __wrap_nni_pipe_send(struct nni_pipe *pipe, nng_aio *aio);
int __real_nni_plat_errno(int number);
int __wrap_nni_plat_errno(int number);

/* What nni_aio_begin() refused last on this thread. Compared, never followed. */
static _Thread_local const nng_aio *refused;

int __wrap_nni_aio_begin(nng_aio *aio)
{
    int result = __real_nni_aio_begin(aio);

    if (result != 0) {
        refused = aio;
    }
    return result;
}

/* nng_aio_finish() leaves the callback to another thread: the locks our caller holds are no
 * danger. */
static void finish_if_refused(nng_aio *aio)
{
    if (refused == aio) {
        refused = NULL;
        nng_aio_finish(aio, NNG_ECLOSED);
    }
}

void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio)
{
    refused = NULL; /* what was refused before has nothing to do with this call */
    __real_nng_stream_recv(stream, aio);
    finish_if_refused(aio);
}

void __wrap_nng_stream_send(nng_stream *stream, nng_aio *aio)
{
    refused = NULL;
    __real_nng_stream_send(stream, aio);
    finish_if_refused(aio);
}

void __wrap_nni_pipe_send(struct nni_pipe *pipe, nng_aio *aio)
{
    refused = NULL;
    __real_nni_pipe_send(pipe, aio);
    finish_if_refused(aio);
}

int __wrap_nni_plat_errno(int number)
{
    return number == EPIPE ? NNG_ECONNRESET : __real_nni_plat_errno(number);
}
