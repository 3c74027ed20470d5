/* Memory that is there: the command line ends when it is not. */
#pragma once

#include <stddef.h>

void *memory_get(size_t size); /* zeroed */
void *memory_resize(void *pointer, size_t size);
char *memory_copy(const char *text);
char *memory_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
