/*
 * What is wrong with a settings file, collected while it is read and told at
 * the end, in the order of the file.
 *
 * Each problem is one line, "file:line:column: key: what". All are counted; those
 * whose lines fit into PROBLEMS_TEXT_MAX bytes are kept.
 */
#pragma once

#include "settings/settings.h"

/* A screen or two is read; a hostile or binary file must not cost more than this. */
#define PROBLEMS_TEXT_MAX ((size_t) 64 * 1024)

/* A place in the file, both counted from 1; line 0: the file as a whole. */
struct mark {
    unsigned line;
    unsigned column;
};

struct problem {
    struct mark at;
    size_t index; /* order of discovery, for those at the same place */
    char *text;
};

struct problems {
    const char *file; /* borrowed */
    struct problem *kept;
    size_t kept_count;
    size_t capacity;
    size_t count;
    size_t bytes;
    bool out_of_memory;
};

void problems_init(struct problems *problems, const char *file);
void problems_fini(struct problems *problems);

/* Whether the next problem would be kept: worth finding a suggestion for. */
bool problems_wanted(const struct problems *problems);

/* `key` is the full path of the key; NULL: the problem is not about one. */
void problems_add(struct problems *problems, struct mark at, const char *key, const char *format,
                  ...) MX_PRINTF(4, 5);

/* MX_OK if there is none; else all into `out` and the first into `err`. `out` is always set. */
MX_MUST_USE enum mx_code problems_tell(struct problems *problems, struct settings_problems *out,
                                       struct mx_error *err);
