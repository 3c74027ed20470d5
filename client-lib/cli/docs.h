/*
 * The comments of the .proto files, sorted by full name:
 * "mxadm.v1.DomainAddRequest.domain", "mxadm.v1.Admin/DomainAdd". The table is
 * made by gen_docs.py when the program is built.
 */
#pragma once

#include <stddef.h>

struct doc {
    const char *name;
    const char *text;
};

extern const struct doc docs[];
extern const size_t docs_count;
