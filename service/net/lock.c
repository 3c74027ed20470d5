#include "net/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct lock {
    int fd;
};

/* Digits, a line's end and a NUL, with room to spare. */
#define PID_TEXT_SIZE 24

/* What the holder wrote; 0 if that is no number (it may be writing it now). */
static long holder(int fd)
{
    char text[PID_TEXT_SIZE];
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    return strtol(text, NULL, 10);
}

static bool write_pid(int fd)
{
    char text[PID_TEXT_SIZE];
    int len = snprintf(text, sizeof(text), "%ld\n", (long) getpid());

    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t) len, 0) == len;
}

/* flock() belongs to the open file, not to the process as fcntl()'s locks do: closing some other
 * descriptor of this file loses nothing, and a second lock in the same process is refused too. */
static enum mx_code lock_fd(int fd, const char *path, struct mx_error *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return MX_OK;
    }
    if (errno != EWOULDBLOCK) {
        return mx_fail(err, MX_INTERNAL, "cannot lock '%s': %s", path, strerror(errno));
    }
    long pid = holder(fd);

    if (pid > 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "'%s' is in use by process %ld", path, pid);
    }
    return mx_fail(err, MX_FAILED_PRECONDITION, "'%s' is in use by another process", path);
}

enum mx_code lock_acquire(const char *path, struct lock **lock_out, struct mx_error *err)
{
    /* No link is followed: the file is written to. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct lock *lock = NULL;
    enum mx_code code;

    if (fd < 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "cannot open lock file '%s': %s", path,
                       strerror(errno));
    }
    code = lock_fd(fd, path, err);
    if (code != MX_OK) {
        goto fail;
    }
    if (!write_pid(fd)) {
        code = mx_fail(err, MX_FAILED_PRECONDITION, "cannot write lock file '%s': %s", path,
                       strerror(errno));
        goto fail;
    }
    lock = malloc(sizeof(*lock));
    if (lock == NULL) {
        code = mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for lock '%s'", path);
        goto fail;
    }
    lock->fd = fd;
    *lock_out = lock;
    return MX_OK;

fail:
    (void) close(fd);
    return code;
}

void lock_release(struct lock *lock)
{
    if (lock == NULL) {
        return;
    }
    (void) close(lock->fd);
    free(lock);
}
