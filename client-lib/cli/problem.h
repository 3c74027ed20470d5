/* What is wrong with what the user wrote, in words. No secret ever goes in. */
#pragma once

#include <stdbool.h>

struct problem {
    char words[512];
};

/* Returns false, so that one line can say it and return. */
bool problem_say(struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
