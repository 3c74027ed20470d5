#include "model/regexp.h"

#include <re2/re2.h>

#include <cstdio>
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
