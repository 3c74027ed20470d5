/*
 * Random numbers for tests that walk at random: the same seed, the same walk.
 * The seed comes from the environment variable MXADM_SEED, else from the clock,
 * and is printed, so that a failure can be had again.
 */
#pragma once

#include <stdint.h>

struct seed {
    uint64_t state;
};

/* Chooses and prints. */
struct seed seed_init(void);

uint64_t seed_next(struct seed *seed);

/* 0 .. limit - 1. */
static inline unsigned seed_below(struct seed *seed, unsigned limit)
{
    return (unsigned) (seed_next(seed) % limit);
}
