/*
 * The load generator: keeps a number of requests outstanding over a number of
 * connections to a unix socket, and counts the answers.
 *
 * It speaks nng's protocol by hand (a hello of 8 bytes; a frame is 0x01, the
 * length in 8 bytes, the request id in 4 bytes with the highest bit set, the
 * message), with one thread and poll(), since nng's own client side uses more
 * processor time than what is measured, on machines where both share cores. It
 * is the same for every server measured.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A batch of 256 and its answer. */
#define LOAD_REQUEST_MAX     ((size_t) 32 * 1024)
#define LOAD_ANSWER_MAX      ((size_t) 128 * 1024)
#define LOAD_ANSWER_KEPT     4000
#define LOAD_CONNECTIONS_MAX 64

struct load {
    const char *path;     /* of the unix socket */
    unsigned connections; /* outstanding requests are spread evenly */
    unsigned outstanding;
    /* Writes request `number`, at most LOAD_REQUEST_MAX bytes; returns its length. */
    size_t (*make)(const struct load *load, uint64_t number, uint8_t *room);
    const void *context; /* make's */
    uint64_t first;      /* number of the first request; they count up */
    uint64_t calls;      /* so many; 0: by time */
    int64_t warm_up_us;  /* by time: answers within it are not counted */
    int64_t run_us;
};

struct load_result {
    uint64_t calls; /* answered in the time that counts */
    int64_t us;
    uint64_t next; /* number of the request that would be next */
    size_t request_len;
    size_t answer_len; /* of the last answer, which is here if it is no longer than there is room */
    uint8_t answer[LOAD_ANSWER_KEPT];
};

/* Fails on any answer that is a refusal. Argument: struct load; for process_run(). */
void load_run(void *argument, void *result);

/* Waits until somebody listens. */
void load_await(const char *path);
