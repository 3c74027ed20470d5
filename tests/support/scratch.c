#include "support/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void scratch_init(struct scratch *scratch)
{
    const char *base = getenv("TMPDIR");

    (void) snprintf(scratch->directory, sizeof(scratch->directory), "%s/mxadm-test-XXXXXX",
                    base == NULL ? "/tmp" : base);
    if (mkdtemp(scratch->directory) == NULL) {
        perror(scratch->directory);
        abort();
    }
}

const char *scratch_path(const struct scratch *scratch, const char *name)
{
    static _Thread_local char path[PATH_MAX + NAME_MAX + 2];

    (void) snprintf(path, sizeof(path), "%s/%s", scratch->directory, name);
    return path;
}

void scratch_fini(struct scratch *scratch)
{
    DIR *directory = opendir(scratch->directory);
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        (void) unlink(scratch_path(scratch, entry->d_name));
    }
    if (directory != NULL) {
        (void) closedir(directory);
    }
    (void) rmdir(scratch->directory);
}
