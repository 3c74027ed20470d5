/*
 * A fresh directory for a test's files, removed with what is in it.
 */
#pragma once

#include <limits.h>

struct scratch {
    char directory[PATH_MAX];
};

void scratch_init(struct scratch *scratch);
/* Removes the directory with all that is in it. */
void scratch_fini(struct scratch *scratch);

/* Path of a file in it; valid until the next call from the same thread. */
const char *scratch_path(const struct scratch *scratch, const char *name);
