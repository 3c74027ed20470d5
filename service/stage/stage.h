/*
 * Staged documents: what is too long for one request comes in parts and waits
 * here until it is used, as a file below <state_directory>/staged/ (mode 0600,
 * the directory 0700).
 *
 * A document belongs to the principal that staged it, under a name. Nothing of
 * it is durable: parts are not forced to disk, a document is forgotten an hour
 * after its last part, and all of them when the daemon starts.
 *
 * Threads: any. Files are written with a lock held: by threads that may take
 * their time, not by callbacks.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest document, all of them together, and how many there may be. */
#define STAGE_DOCUMENT_BYTES_MAX ((uint64_t) 2 * 1024 * 1024 * 1024)
#define STAGE_BYTES_MAX          ((uint64_t) 8 * 1024 * 1024 * 1024)
#define STAGE_DOCUMENTS_MAX      64
#define STAGE_KEEP_MS            ((int64_t) 3600 * 1000)
#define STAGE_NAME_MAX           64

struct stage;

/* Makes the directory, or empties it. */
MX_MUST_USE enum mx_code stage_create(const char *state_directory, struct stage **stage_out,
                                      struct mx_error *err);
void stage_destroy(struct stage *stage); /* removes all; NULL is fine */

/* 1 to 64 letters, digits, "-" and "_". */
bool stage_is_name(const char *name);

enum stage_result {
    STAGE_OK,
    STAGE_ABSENT, /* there is no such document */
    STAGE_GAP,    /* the part does not begin where the document ends, nor is it there already */
    STAGE_FULL,   /* beyond a limit; the err says which */
    STAGE_FAILED, /* the file can't be written; the err says why */
};

/*
 * Adds a part that begins at `offset`; 0 begins anew. One that is there already, byte for byte, is
 * fine. `*bytes_out`: how long the document is afterwards, whatever the result.
 */
enum stage_result stage_add(struct stage *stage, const char *principal, const char *name,
                            uint64_t offset, const void *data, size_t len, uint64_t *bytes_out,
                            struct mx_error *err);
/* Forgets it. */
enum stage_result stage_remove(struct stage *stage, const char *principal, const char *name);

/* The same of the document that a file of stage_open() is, once it was used; one that was begun
 * anew under its name since stays. */
void stage_used(struct stage *stage, const char *principal, const char *name, int fd);

/* A file to read the document from, of `*bytes_out` bytes, which stays what it is whatever comes
 * after; yours to close. -1: there is none. */
int stage_open(struct stage *stage, const char *principal, const char *name, uint64_t *bytes_out);

/* How long it is; 0: there is none. */
uint64_t stage_bytes(struct stage *stage, const char *principal, const char *name);

/* Forgets what got no part for STAGE_KEEP_MS before `now_ms` (monotonic). */
void stage_expire(struct stage *stage, int64_t now_ms);
