#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t wall_shift_us;

int64_t clock_mono_us(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_wall_us(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000 + atomic_load(&wall_shift_us);
}

void clock_shift_wall(int64_t us)
{
    atomic_fetch_add(&wall_shift_us, us);
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;

    (void) pthread_condattr_init(&monotonic);
    (void) pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void) pthread_cond_init(cond, &monotonic);
    (void) pthread_condattr_destroy(&monotonic);
}
