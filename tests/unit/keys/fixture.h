/* A temporary directory, and making keys, for the tests of this room. */
#pragma once

#include "keys/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void) info;
    (void) type;
    (void) ftw;
    return remove(path);
}

/* setup and teardown: `*state` is the directory's path. */
static inline int make_directory(void **state)
{
    char *path = strdup("/tmp/mxadm-keys-XXXXXX");

    if (path == NULL || mkdtemp(path) == NULL) {
        return -1;
    }
    *state = path;
    return 0;
}

static inline int remove_directory(void **state)
{
    int rc = nftw(*state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);

    free(*state);
    return rc;
}

/* `directory`/`name`, in a static buffer of its own each of the last four times. */
static inline const char *path_in(const char *directory, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void) snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static inline void write_text(const char *path, const void *data, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

/* NUL-terminated, malloc'ed; NULL if there is no such file. */
static inline char *read_text(const char *path, size_t *len_out)
{
    enum { ROOM = 65536 };
    int fd = open(path, O_RDONLY | O_NOFOLLOW);
    char *text;
    ssize_t len;

    if (fd < 0) {
        return NULL;
    }
    text = calloc(1, ROOM);
    assert_non_null(text);
    len = read(fd, text, ROOM - 1);
    assert_true(len >= 0);
    assert_int_equal(close(fd), 0);
    *len_out = (size_t) len;
    return text;
}

static inline struct key *make_key(enum key_kind kind)
{
    struct key *key = NULL;
    struct mx_error err;

    if (key_make(kind, NULL, &key, &err) != MX_OK) {
        fail_msg("key_make: %s", err.message);
    }
    return key;
}
