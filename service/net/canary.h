/*
 * The canary: a connection of the daemon to itself, to learn whether nng still
 * takes dead connections apart.
 *
 * nng takes all pipes of the process apart on one thread. When that thread
 * hangs (nng_cures.c says how that happened), nothing is seen from outside at
 * first: calls are answered, while each disconnect leaks a pipe and a
 * descriptor. So from time to time a connection is made to a listener of its
 * own (an abstract socket with a random name, closed to other processes), says
 * hello and hangs up; its removal must be seen soon after. The listener is its
 * own so that it is certain whose pipe was removed.
 *
 *   resting --canary_fly()--> flown --canary_gone(), canary_rest()--> resting
 *
 * Times are monotonic. There is no lock: the server's protects all but `url`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "abstract://mxadm-canary-" and 128 random bits in hex. */
#define CANARY_URL_SIZE 64

struct canary {
    char url[CANARY_URL_SIZE];
    bool flown;
    int64_t since_ms;  /* when it flew or came to rest */
    uint32_t pipe;     /* its last; 0: none yet */
    uint64_t landings; /* removals seen */
};

/* Resting. False if the kernel has no random bytes. */
bool canary_init(struct canary *canary, int64_t now_ms);

void canary_fly(struct canary *canary, int64_t now_ms);

/* Its pipe came in. */
void canary_seen(struct canary *canary, uint32_t pipe);

/* The flight came to nothing. */
void canary_rest(struct canary *canary, int64_t now_ms);

/* A pipe was removed: to rest, if it was the canary's. */
void canary_gone(struct canary *canary, uint32_t pipe, int64_t now_ms);

enum canary_meeting {
    CANARY_MET,
    CANARY_NOT_HEARD, /* the listener said nothing */
    CANARY_NO_VERDICT /* told to stop, or no descriptor left */
};

/* Connects to the canary's listener, exchanges hellos and hangs up. Waits at most `patience_ms`,
 * and not beyond the moment `stop_fd` becomes readable. Without the lock. */
enum canary_meeting canary_meet(const char *url, int stop_fd, int64_t patience_ms);
