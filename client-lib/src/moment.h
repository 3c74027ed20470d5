/*
 * Moments in milliseconds of the monotonic clock: deadlines must not follow a
 * clock that somebody sets.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <time.h>

static inline int64_t moment_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static inline struct timespec moment_timespec(int64_t moment_ms)
{
    return (struct timespec){ .tv_sec = moment_ms / 1000, .tv_nsec = moment_ms % 1000 * 1000000 };
}

/* A condition that is waited for until such a moment. */
static inline void moment_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}
