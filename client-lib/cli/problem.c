#include "problem.h"

#include <stdarg.h>
#include <stdio.h>

bool problem_say(struct problem *problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void) vsnprintf(problem->words, sizeof(problem->words), format, args);
    va_end(args);
    return false;
}
