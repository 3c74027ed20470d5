#include "memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the exit codes say: refused, nothing was sent. */
#define EXIT_NO_MEMORY 1

static void *must(void *pointer)
{
    if (pointer == NULL) {
        (void) fputs("mxadm: out of memory\n", stderr);
        exit(EXIT_NO_MEMORY);
    }
    return pointer;
}

void *memory_get(size_t size)
{
    return must(calloc(1, size + 1)); /* never of size 0 */
}

void *memory_resize(void *pointer, size_t size)
{
    return must(realloc(pointer, size + 1));
}

char *memory_copy(const char *text)
{
    return must(strdup(text));
}

char *memory_print(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    return must(len < 0 ? NULL : text);
}
