#include "support/scratch.h"

#include <ftw.h>
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

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void) info;
    (void) type;
    (void) where;
    return remove(path);
}

void scratch_fini(struct scratch *scratch)
{
    (void) nftw(scratch->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
