#include "model/regexp.h"

#include <re2/re2.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

/* What a compiled expression may take: enough for any of REGEXP_MAX bytes that a person writes. */
static const int64_t memory_max = 1 << 20;

extern "C" bool regexp_compiles(const char *text, char *why, size_t size)
{
    try {
        RE2::Options options;

        options.set_log_errors(false);
        options.set_max_mem(memory_max);
        RE2 expression(text, options);
        if (!expression.ok()) {
            (void) snprintf(why, size, "%s", expression.error().c_str());
        }
        return expression.ok();
    } catch (const std::bad_alloc &) {
        (void) snprintf(why, size, "out of memory");
        return false;
    }
}

/* Measured with RE2 of 2022: a class of 600 ranges is read, then made into a program of 1,200
 * instructions for UTF-8, each time that it is repeated. */
static const size_t class_read = 200;
static const size_t class_compiled = 1000;
static const size_t repeated_compiled = 5;
/* As long as it takes until a program meets the limit of memory. */
static const size_t compiled_max = 40000;
/* RE2 refuses to repeat more often. */
static const size_t repetition_max = 1000;

extern "C" size_t regexp_weight(const char *text)
{
    size_t length = strlen(text);
    size_t classes = 0;
    size_t times = 1;
    bool repeats = false;

    for (const char *at = text; *at != '\0'; at++) {
        if (at[0] == '\\' && (at[1] == 'p' || at[1] == 'P')) {
            classes++;
        } else if (at[0] == '{' && at[1] >= '0' && at[1] <= '9') {
            char *end;
            size_t most = strtoul(at + 1, &end, 10);

            if (*end == ',') {
                most = std::max(most, static_cast<size_t>(strtoul(end + 1, nullptr, 10)));
            }
            repeats = true;
            times = std::min(times * std::max<size_t>(std::min(most, repetition_max), 1),
                             repetition_max);
        }
    }
    return length + classes * class_read +
           std::min(compiled_max,
                    times * (classes * class_compiled + (repeats ? repeated_compiled : 0)));
}
