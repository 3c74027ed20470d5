#include "stage/stage.h"

#include "base/clock.h"
#include "base/digest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A digest in hexadecimal. */
#define FILE_NAME_SIZE (2 * DIGEST_SIZE + 1)
#define COMPARE_SIZE   ((size_t) 64 * 1024)

struct document {
    bool there;
    char file[FILE_NAME_SIZE];
    uint64_t bytes;
    int64_t used_ms; /* its last part */
};

struct stage {
    int directory;
    pthread_mutex_t lock;
    struct document documents[STAGE_DOCUMENTS_MAX]; /* protected by lock */
    uint64_t bytes;                                 /* of all; protected by lock */
};

/* --------------------------------------------------------------- directory */

static enum mx_code failed(const char *what, struct mx_error *err)
{
    return mx_fail(err, MX_UNAVAILABLE, "staged documents: %s: %s", what, strerror(errno));
}

/* What an earlier run left. */
static bool empty_directory(int directory)
{
    int copy = dup(directory);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    bool good = true;

    if (dir == NULL) {
        if (copy >= 0) {
            (void) close(copy);
        }
        return false;
    }
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            good = unlinkat(directory, entry->d_name, 0) == 0 && good;
        }
    }
    (void) closedir(dir);
    return good;
}

enum mx_code stage_create(const char *state_directory, struct stage **stage_out,
                          struct mx_error *err)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/staged", state_directory);

    if (stage == NULL || len < 0 || (size_t) len >= sizeof(path)) {
        free(stage);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "no room for staged documents");
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        free(stage);
        return failed(path, err);
    }
    stage->directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (stage->directory < 0 || fchmod(stage->directory, 0700) != 0 ||
        !empty_directory(stage->directory)) {
        (void) failed(path, err);
        if (stage->directory >= 0) {
            (void) close(stage->directory);
        }
        free(stage);
        return err->code;
    }
    (void) pthread_mutex_init(&stage->lock, NULL);
    *stage_out = stage;
    return MX_OK;
}

void stage_destroy(struct stage *stage)
{
    if (stage != NULL) {
        (void) empty_directory(stage->directory);
        (void) close(stage->directory);
        (void) pthread_mutex_destroy(&stage->lock);
        free(stage);
    }
}

/* --------------------------------------------------------------- documents */

bool stage_is_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= STAGE_NAME_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static void file_of(const char *principal, const char *name, char out[FILE_NAME_SIZE])
{
    const struct digest_piece pieces[] = { { principal, strlen(principal) + 1 },
                                           { name, strlen(name) } };
    uint8_t bytes[DIGEST_SIZE];

    digest_pieces(pieces, 2, bytes);
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        (void) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* With the lock held, as all below. NULL: there is none. */
static struct document *find(struct stage *stage, const char *principal, const char *name)
{
    char file[FILE_NAME_SIZE];

    file_of(principal, name, file);
    for (size_t i = 0; i < STAGE_DOCUMENTS_MAX; i++) {
        struct document *document = &stage->documents[i];

        if (document->there && strcmp(document->file, file) == 0) {
            return document;
        }
    }
    return NULL;
}

static void forget(struct stage *stage, struct document *document)
{
    (void) unlinkat(stage->directory, document->file, 0);
    stage->bytes -= document->bytes;
    memset(document, 0, sizeof(*document));
}

/* A place for a new document; NULL: there is none. */
static struct document *begin(struct stage *stage, const char *principal, const char *name)
{
    for (size_t i = 0; i < STAGE_DOCUMENTS_MAX; i++) {
        struct document *document = &stage->documents[i];

        if (!document->there) {
            document->there = true;
            file_of(principal, name, document->file);
            return document;
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------- parts */

static int open_file(struct stage *stage, const struct document *document, int flags)
{
    return openat(stage->directory, document->file, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* Whether the file has these bytes at this place. */
static bool has_bytes(int fd, uint64_t offset, const uint8_t *data, size_t len)
{
    uint8_t *part = malloc(COMPARE_SIZE);
    size_t done = 0;

    while (part != NULL && done < len) {
        size_t size = len - done < COMPARE_SIZE ? len - done : COMPARE_SIZE;
        ssize_t got = pread(fd, part, size, (off_t) (offset + done));

        if (got <= 0 || memcmp(part, data + done, (size_t) got) != 0) {
            break;
        }
        done += (size_t) got;
    }
    free(part);
    return done == len;
}

static bool write_bytes(int fd, uint64_t offset, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t put = pwrite(fd, data, len, (off_t) offset);

        if (put < 0 && errno != EINTR) {
            return false;
        }
        if (put > 0) {
            data += put;
            offset += (uint64_t) put;
            len -= (size_t) put;
        }
    }
    return true;
}

static bool is_there(struct stage *stage, const struct document *document, uint64_t offset,
                     const void *data, size_t len)
{
    int fd;
    bool there;

    /* The first part again is a repeat only while nothing came after it; else it begins anew. */
    if (document == NULL || offset > document->bytes || len > document->bytes - offset ||
        (offset == 0 && len != document->bytes)) {
        return false;
    }
    fd = open_file(stage, document, O_RDONLY);
    there = fd >= 0 && has_bytes(fd, offset, data, len);
    if (fd >= 0) {
        (void) close(fd);
    }
    return there;
}

static enum stage_result check_limits(const struct stage *stage, const struct document *document,
                                      size_t len, struct mx_error *err)
{
    if (document->bytes + len > STAGE_DOCUMENT_BYTES_MAX) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "a staged document has at most %llu bytes",
                       (unsigned long long) STAGE_DOCUMENT_BYTES_MAX);
        return STAGE_FULL;
    }
    if (stage->bytes + len > STAGE_BYTES_MAX) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED,
                       "all staged documents together have at most %llu bytes",
                       (unsigned long long) STAGE_BYTES_MAX);
        return STAGE_FULL;
    }
    return STAGE_OK;
}

/* At the document's end. */
static enum stage_result append(struct stage *stage, struct document *document, const void *data,
                                size_t len, struct mx_error *err)
{
    enum stage_result result = check_limits(stage, document, len, err);
    int fd;

    if (result != STAGE_OK) {
        return result;
    }
    fd = open_file(stage, document, O_WRONLY | (document->bytes == 0 ? O_CREAT | O_EXCL : 0));
    if (fd < 0 || !write_bytes(fd, document->bytes, data, len)) {
        (void) failed("writing", err);
        result = STAGE_FAILED; /* what was written is beyond the end that we know */
    } else {
        document->bytes += len;
        document->used_ms = clock_mono_ms();
        stage->bytes += len;
    }
    if (fd >= 0) {
        (void) close(fd);
    }
    return result;
}

static enum stage_result add(struct stage *stage, const char *principal, const char *name,
                             uint64_t offset, const void *data, size_t len, uint64_t *bytes_out,
                             struct mx_error *err)
{
    struct document *document = find(stage, principal, name);
    enum stage_result result;

    if (is_there(stage, document, offset, data, len)) {
        document->used_ms = clock_mono_ms();
        *bytes_out = document->bytes;
        return STAGE_OK;
    }
    if (offset == 0) {
        if (document != NULL) {
            forget(stage, document);
        }
        document = begin(stage, principal, name);
        if (document == NULL) {
            (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "at most %d documents are staged at once",
                           STAGE_DOCUMENTS_MAX);
            return STAGE_FULL;
        }
    }
    *bytes_out = document == NULL ? 0 : document->bytes;
    if (document == NULL || offset != document->bytes) {
        return STAGE_GAP;
    }
    result = append(stage, document, data, len, err);
    *bytes_out = document->bytes;
    if (document->bytes == 0) {
        forget(stage, document);
    }
    return result;
}

enum stage_result stage_add(struct stage *stage, const char *principal, const char *name,
                            uint64_t offset, const void *data, size_t len, uint64_t *bytes_out,
                            struct mx_error *err)
{
    enum stage_result result;

    *bytes_out = 0;
    (void) pthread_mutex_lock(&stage->lock);
    result = add(stage, principal, name, offset, data, len, bytes_out, err);
    (void) pthread_mutex_unlock(&stage->lock);
    return result;
}

/* ------------------------------------------------------------------- others */

enum stage_result stage_remove(struct stage *stage, const char *principal, const char *name)
{
    struct document *document;

    (void) pthread_mutex_lock(&stage->lock);
    document = find(stage, principal, name);
    if (document != NULL) {
        forget(stage, document);
    }
    (void) pthread_mutex_unlock(&stage->lock);
    return document == NULL ? STAGE_ABSENT : STAGE_OK;
}

static bool is_file(const struct stage *stage, const struct document *document, int fd)
{
    struct stat ours;
    struct stat theirs;

    return fstat(fd, &theirs) == 0 &&
           fstatat(stage->directory, document->file, &ours, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

void stage_used(struct stage *stage, const char *principal, const char *name, int fd)
{
    struct document *document;

    (void) pthread_mutex_lock(&stage->lock);
    document = find(stage, principal, name);
    /* As long as it is open no other file has its number. */
    if (document != NULL && is_file(stage, document, fd)) {
        forget(stage, document);
    }
    (void) pthread_mutex_unlock(&stage->lock);
}

int stage_open(struct stage *stage, const char *principal, const char *name, uint64_t *bytes_out)
{
    const struct document *document;
    int fd = -1;

    (void) pthread_mutex_lock(&stage->lock);
    document = find(stage, principal, name);
    if (document != NULL) {
        fd = open_file(stage, document, O_RDONLY);
        *bytes_out = document->bytes;
    }
    (void) pthread_mutex_unlock(&stage->lock);
    return fd;
}

uint64_t stage_bytes(struct stage *stage, const char *principal, const char *name)
{
    const struct document *document;
    uint64_t bytes;

    (void) pthread_mutex_lock(&stage->lock);
    document = find(stage, principal, name);
    bytes = document == NULL ? 0 : document->bytes;
    (void) pthread_mutex_unlock(&stage->lock);
    return bytes;
}

void stage_expire(struct stage *stage, int64_t now_ms)
{
    (void) pthread_mutex_lock(&stage->lock);
    for (size_t i = 0; i < STAGE_DOCUMENTS_MAX; i++) {
        struct document *document = &stage->documents[i];

        if (document->there && document->used_ms + STAGE_KEEP_MS <= now_ms) {
            forget(stage, document);
        }
    }
    (void) pthread_mutex_unlock(&stage->lock);
}
