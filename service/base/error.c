#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

const char *mx_code_name(enum mx_code code)
{
    switch (code) {
#define MX_CODE_CASE(name, value)                                                                  \
    case MX_##name:                                                                                \
        return #name;
        MX_CODE_MAP(MX_CODE_CASE)
#undef MX_CODE_CASE
    }
    return "UNKNOWN";
}

enum mx_code mx_fail(struct mx_error *err, enum mx_code code, const char *format, ...)
{
    va_list args;

    err->code = code;
    va_start(args, format);
    (void) vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    return code;
}
