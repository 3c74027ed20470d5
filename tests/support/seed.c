#include "support/seed.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct seed seed_init(void)
{
    const char *given = getenv("MXADM_SEED");
    struct seed seed = { given != NULL ? strtoull(given, NULL, 0) : (uint64_t) clock_wall_us() };

    printf("MXADM_SEED=%" PRIu64 "\n", seed.state);
    (void) fflush(stdout);
    return seed;
}

/* splitmix64, by Sebastiano Vigna: any seed is a good one. */
uint64_t seed_next(struct seed *seed)
{
    uint64_t z = seed->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}
