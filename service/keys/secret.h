/*
 * Memory for secrets: a run of bytes that is wiped when it is freed. It comes
 * from OpenSSL's secure heap where the process has initialised one that has
 * room, else from the ordinary heap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* NUL-terminated behind `len`; {NULL, 0} is the empty one, which needs no freeing. */
struct secret {
    char *data;
    size_t len;
};

/* `len` zero bytes. False: out of memory, and nothing written. */
bool secret_alloc(struct secret *secret_out, size_t len);

/* A copy of `len` bytes. False: out of memory, and nothing written. */
bool secret_copy(struct secret *secret_out, const void *data, size_t len);

/* All of it, in as many writes as that takes. False with errno. */
bool secret_write(int fd, const void *data, size_t len);

/* Wipes, frees, and leaves the empty secret. */
void secret_free(struct secret *secret);
