/*
 * Time, in one place, so that tests can move it.
 *
 * Deadlines and waits use the monotonic clock, records and logs the wall clock.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

/* Milliseconds of the monotonic clock. */
int64_t clock_mono_ms(void);

/* Microseconds of the monotonic clock. */
int64_t clock_mono_us(void);

/* Microseconds since 1970-01-01T00:00:00Z, plus what clock_shift_wall() added. */
int64_t clock_wall_us(void);

/* A condition whose timed waits go by the monotonic clock. */
void clock_cond_init(pthread_cond_t *cond);

/* For tests: moves the wall clock by this many microseconds from now on. */
void clock_shift_wall(int64_t us);
