#include "keys/keydir.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX      "dkim/"
#define OLD         "old"
#define FILE_SUFFIX "privatekey.pkcs8.pem"
#define OWNER_MARK  "._domainkey."
#define NO_GROUP    ((gid_t) -1)

/*
 * File systems take names of 255 bytes; a selector and a domain alone may have 253. Longer ones are
 * cut, and a digest of the whole makes them different again, behind a '~', which no name in DNS
 * has. The rest of the 255 is for kind and time, and for a number in old/.
 */
#define OWNER_MAX    200
#define CUT_MARK     '~'
#define CUT_BYTES    16 /* of the digest */
#define OLD_NUMBER   9999
#define KEY_FILE_MAX 16384 /* an RSA-4096 key has 3.3 kB; nothing of ours is longer */

#define TIME_FORMAT  "%Y%m%dT%H%M%S"
#define TIME_LEN     15

/* A file not whole yet: ".mxadm.<16 hex>.tmp". Nobody else names files so. */
#define TEMPORARY_FORM ".mxadm.0123456789abcdef.tmp"

struct keydir {
    gid_t group;
    int dkim_fd; /* everything is done relative to these two, so that a path that changes */
    int old_fd;  /* under us can't lead elsewhere */
    pthread_t thread;

    pthread_mutex_t lock; /* protects what follows; not held while working */
    pthread_cond_t more;
    struct keydir_job *first;
    struct keydir_job **end;
    bool closing;
};

static enum mx_code fail_errno(struct mx_error *err, const char *what, const char *name)
{
    enum mx_code code = errno == EACCES || errno == EPERM ? MX_PERMISSION_DENIED : MX_UNAVAILABLE;

    return mx_fail(err, code, "%s '%s' of the key directory: %s", what, name, strerror(errno));
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void) close(fd);
    }
}

/* Names */

/* "<selector>._domainkey.<domain>", cut if it is too long for a file name. */
static char *owner_name(struct arena *arena, const char *selector, const char *domain)
{
    char *owner = arena_printf(arena, "%s" OWNER_MARK "%s", selector, domain);
    uint8_t hash[DIGEST_SIZE];
    char *at;

    if (owner == NULL || strlen(owner) <= OWNER_MAX) {
        return owner;
    }
    digest(owner, strlen(owner), hash);
    at = owner + OWNER_MAX - 2 * CUT_BYTES - 1;
    *at++ = CUT_MARK;
    for (unsigned i = 0; i < CUT_BYTES; i++) {
        at += sprintf(at, "%02x", hash[i]);
    }
    return owner;
}

char *keydir_file_name(struct arena *arena, const char *selector, const char *domain,
                       int64_t time_us, enum key_kind kind)
{
    char *owner = owner_name(arena, selector, domain);
    time_t seconds = (time_t) (time_us / 1000000);
    char when[TIME_LEN + 1];
    struct tm utc;

    assert(key_kind_name(kind) != NULL);
    if (owner == NULL || gmtime_r(&seconds, &utc) == NULL ||
        strftime(when, sizeof(when), TIME_FORMAT, &utc) == 0) {
        return NULL;
    }
    return arena_printf(arena, PREFIX "%s.%s.%s." FILE_SUFFIX, owner, when, key_kind_name(kind));
}

/* The name within dkim/; NULL: not one that may be used. */
static const char *base_name(const char *name)
{
    const char *base = name + strlen(PREFIX);

    /* No leading dot: neither "..", nor a temporary file. */
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || *base == '\0' || *base == '.' ||
        strchr(base, '/') != NULL || strcmp(base, OLD) == 0) {
        return NULL;
    }
    return base;
}

/* As base_name(), but says what is wrong. */
static const char *check_name(const char *name, struct mx_error *err)
{
    const char *base = base_name(name);

    if (base == NULL) {
        (void) mx_fail(err, MX_INVALID_ARGUMENT,
                       "'%s' is no file of the key directory: expected '" PREFIX "', and a name "
                       "without '/' and leading '.'",
                       name);
    }
    return base;
}

/* Takes `suffix` off the end of the first `*len` bytes. */
static bool strip(const char *name, size_t *len, const char *suffix)
{
    size_t suffix_len = strlen(suffix);

    if (*len < suffix_len || memcmp(name + *len - suffix_len, suffix, suffix_len) != 0) {
        return false;
    }
    *len -= suffix_len;
    return true;
}

/* Takes ".<kind>" off. */
static bool strip_kind(const char *name, size_t *len)
{
    for (unsigned i = 1; i < KEY_KINDS; i++) {
        const char *kind = key_kind_name((enum key_kind) i);

        if (strip(name, len, kind) && strip(name, len, ".")) {
            return true;
        }
    }
    return false;
}

/* Takes ".YYYYMMDDThhmmss" off. */
static bool strip_time(const char *name, size_t *len)
{
    const char *when = name + *len - TIME_LEN;

    if (*len <= TIME_LEN || when[-1] != '.' || when[8] != 'T') {
        return false;
    }
    for (unsigned i = 0; i < TIME_LEN; i++) {
        if (i != 8 && (when[i] < '0' || when[i] > '9')) {
            return false;
        }
    }
    *len -= TIME_LEN + 1;
    return true;
}

/* Whether keydir_file_name() makes such names. */
static bool is_key_name(const char *name)
{
    size_t len = strlen(name);

    if (name[0] == '.' || !strip(name, &len, "." FILE_SUFFIX) || !strip_kind(name, &len) ||
        !strip_time(name, &len)) {
        return false;
    }
    return memmem(name, len, OWNER_MARK, strlen(OWNER_MARK)) != NULL ||
           (len == OWNER_MAX && name[len - 2 * CUT_BYTES - 1] == CUT_MARK);
}

static bool is_temporary_name(const char *name)
{
    size_t len = strlen(TEMPORARY_FORM);

    return strlen(name) == len && strncmp(name, TEMPORARY_FORM, strlen(".mxadm.")) == 0 &&
           strcmp(name + len - strlen(".tmp"), ".tmp") == 0 &&
           strspn(name + strlen(".mxadm."), "0123456789abcdef") == 16;
}

/* Writing and moving */

static mode_t file_mode(const struct keydir *dir)
{
    return dir->group == NO_GROUP ? 0600 : 0640;
}

/* Mode and group as the settings have them, whatever the umask is. */
static bool set_access(const struct keydir *dir, int fd)
{
    return (dir->group == NO_GROUP || fchown(fd, (uid_t) -1, dir->group) == 0) &&
           fchmod(fd, file_mode(dir)) == 0;
}

/* False with errno, and then there is no such file. */
static bool write_temporary(const struct keydir *dir, const struct secret *pem,
                            char name[sizeof(TEMPORARY_FORM)])
{
    uint64_t random;
    bool written;
    int reason;
    int fd;

    if (getentropy(&random, sizeof(random)) != 0) {
        return false;
    }
    (void) snprintf(name, sizeof(TEMPORARY_FORM), ".mxadm.%016llx.tmp",
                    (unsigned long long) random);
    fd = openat(dir->dkim_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    written = set_access(dir, fd) && secret_write(fd, pem->data, pem->len) && fsync(fd) == 0;
    reason = errno;
    (void) close(fd);
    if (written) {
        return true;
    }
    (void) unlinkat(dir->dkim_fd, name, 0);
    errno = reason;
    return false;
}

/*
 * Gives the file a name in old/ that nobody has there: its own, or with ".1", ".2", ... behind. A
 * link, since that refuses to overwrite on every file system. False with errno.
 */
static bool link_into_old(const struct keydir *dir, const char *base)
{
    char name[NAME_MAX + sizeof(".9999")];

    for (unsigned number = 0; number <= OLD_NUMBER; number++) {
        int len = number == 0 ? snprintf(name, sizeof(name), "%s", base)
                              : snprintf(name, sizeof(name), "%s.%u", base, number);

        if (len < 0 || (size_t) len >= sizeof(name)) {
            errno = ENAMETOOLONG;
            return false;
        }
        if (linkat(dir->dkim_fd, base, dir->old_fd, name, 0) == 0) {
            return fsync(dir->old_fd) == 0;
        }
        if (errno != EEXIST) {
            return false;
        }
    }
    return false;
}

static bool is_missing(const struct keydir *dir, const char *base)
{
    struct stat info;

    return fstatat(dir->dkim_fd, base, &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

/* The directory itself is for the caller to fsync. A file that is not there is away already. */
static enum mx_code move_to_old(const struct keydir *dir, const char *base, struct mx_error *err)
{
    if (is_missing(dir, base)) {
        return MX_OK;
    }
    if (!link_into_old(dir, base) || unlinkat(dir->dkim_fd, base, 0) != 0) {
        return fail_errno(err, "move to old/ file", base);
    }
    return MX_OK;
}

/* The directory itself is for the caller to fsync. What had the name goes to old/. */
static enum mx_code write_file(const struct keydir *dir, const char *base, const struct secret *pem,
                               struct mx_error *err)
{
    char temporary[sizeof(TEMPORARY_FORM)];
    enum mx_code code;

    if (!write_temporary(dir, pem, temporary)) {
        return fail_errno(err, "write file", base);
    }
    code = move_to_old(dir, base, err);
    if (code == MX_OK && renameat(dir->dkim_fd, temporary, dir->dkim_fd, base) != 0) {
        code = fail_errno(err, "write file", base);
    }
    if (code != MX_OK) {
        (void) unlinkat(dir->dkim_fd, temporary, 0);
    }
    return code;
}

/* Jobs */

static enum mx_code do_file(const struct keydir *dir, const struct keydir_file *file,
                            struct mx_error *err)
{
    const char *base = check_name(file->name, err);

    if (base == NULL) {
        return err->code;
    }
    return file->pem.data != NULL ? write_file(dir, base, &file->pem, err)
                                  : move_to_old(dir, base, err);
}

static void do_job(const struct keydir *dir, struct keydir_job *job)
{
    struct mx_error first = { .code = MX_OK };
    unsigned count = 0;
    unsigned failed = 0;

    for (const struct keydir_file *file = job->files; file != NULL; file = file->next) {
        struct mx_error err;

        count++;
        if (do_file(dir, file, &err) != MX_OK && failed++ == 0) {
            first = err;
        }
    }
    /* Once for all files of the job; without it none of them is certain to be there. */
    if (fsync(dir->dkim_fd) != 0) {
        (void) fail_errno(&first, "make durable directory", "dkim");
        failed = count;
    }
    job->done(job, failed, &first);
}

static void *work(void *argument)
{
    struct keydir *dir = argument;

    (void) pthread_mutex_lock(&dir->lock);
    for (;;) {
        struct keydir_job *job = dir->first;

        if (job == NULL && dir->closing) {
            break;
        }
        if (job == NULL) {
            (void) pthread_cond_wait(&dir->more, &dir->lock);
            continue;
        }
        dir->first = job->next;
        if (dir->first == NULL) {
            dir->end = &dir->first;
        }
        (void) pthread_mutex_unlock(&dir->lock);
        job->next = NULL;
        do_job(dir, job);
        (void) pthread_mutex_lock(&dir->lock);
    }
    (void) pthread_mutex_unlock(&dir->lock);
    return NULL;
}

void keydir_submit(struct keydir *dir, struct keydir_job *job)
{
    job->next = NULL;
    (void) pthread_mutex_lock(&dir->lock);
    *dir->end = job;
    dir->end = &job->next;
    (void) pthread_cond_signal(&dir->more);
    (void) pthread_mutex_unlock(&dir->lock);
}

bool keydir_job_add(struct keydir_job *job, const char *name, struct secret *pem)
{
    struct keydir_file *file = calloc(1, sizeof(*file));
    struct keydir_file **end = &job->files;

    if (file == NULL) {
        return false;
    }
    file->name = strdup(name);
    if (file->name == NULL) {
        free(file);
        return false;
    }
    if (pem != NULL) {
        file->pem = *pem;
        *pem = (struct secret){ NULL, 0 };
    }
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = file;
    job->count++;
    return true;
}

void keydir_job_cut(struct keydir_job *job, unsigned count)
{
    struct keydir_file **end;

    if (job == NULL) {
        return;
    }
    end = &job->files;
    for (unsigned i = 0; i < count && *end != NULL; i++) {
        end = &(*end)->next;
    }
    while (*end != NULL) {
        struct keydir_file *file = *end;

        *end = file->next;
        secret_free(&file->pem);
        free(file->name);
        free(file);
        job->count--;
    }
}

void keydir_job_free(struct keydir_job *job)
{
    keydir_job_cut(job, 0);
    free(job);
}

/* Opening and closing */

/*
 * Opens the directory, made if missing. One that is there keeps its mode: that is its owner's
 * choice. `name` may be a symbolic link only if `follow`. -1 with errno.
 */
static int open_directory(const struct keydir *dir, int at_fd, const char *name, bool follow)
{
    bool made = mkdirat(at_fd, name, 0700) == 0;
    int fd;

    if (!made && errno != EEXIST) {
        return -1;
    }
    fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0 || !made) {
        return fd;
    }
    if ((dir->group != NO_GROUP && fchown(fd, (uid_t) -1, dir->group) != 0) ||
        fchmod(fd, dir->group == NO_GROUP ? 0700 : 0750) != 0) {
        int reason = errno;

        (void) close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* Whoever may write to it could put another key in a file's place. */
static bool is_open_to_all(int fd)
{
    struct stat status;

    return fstat(fd, &status) != 0 || (status.st_mode & S_IWOTH) != 0;
}

static enum mx_code open_directories(struct keydir *dir, const char *path, struct mx_error *err)
{
    enum mx_code code = MX_OK;
    int fd = open_directory(dir, AT_FDCWD, path, true);

    if (fd < 0) {
        return fail_errno(err, "open directory", path);
    }
    if (is_open_to_all(fd)) {
        (void) close(fd);
        return mx_fail(err, MX_FAILED_PRECONDITION,
                       "everybody may write to key directory '%s': chmod o-w", path);
    }
    dir->dkim_fd = open_directory(dir, fd, "dkim", false);
    dir->old_fd = dir->dkim_fd < 0 ? -1 : open_directory(dir, dir->dkim_fd, OLD, false);
    if (dir->old_fd < 0) {
        code = mx_fail(err, MX_UNAVAILABLE, "open directory '%s/%s': %s", path,
                       dir->dkim_fd < 0 ? "dkim" : PREFIX OLD, strerror(errno));
    } else if (fsync(fd) != 0 || fsync(dir->dkim_fd) != 0) {
        code = fail_errno(err, "make durable directory", path);
    }
    (void) close(fd);
    return code;
}

static void keydir_free(struct keydir *dir)
{
    close_fd(dir->dkim_fd);
    close_fd(dir->old_fd);
    (void) pthread_cond_destroy(&dir->more);
    (void) pthread_mutex_destroy(&dir->lock);
    free(dir);
}

enum mx_code keydir_open(const char *path, gid_t group, struct keydir **dir_out,
                         struct mx_error *err)
{
    struct keydir *dir = calloc(1, sizeof(*dir));
    enum mx_code code;

    if (dir == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the key directory");
    }
    dir->group = group;
    dir->dkim_fd = -1;
    dir->old_fd = -1;
    dir->end = &dir->first;
    (void) pthread_mutex_init(&dir->lock, NULL);
    (void) pthread_cond_init(&dir->more, NULL);
    code = open_directories(dir, path, err);
    if (code == MX_OK && pthread_create(&dir->thread, NULL, work, dir) != 0) {
        code = mx_fail(err, MX_RESOURCE_EXHAUSTED, "can't start the key directory's thread");
    }
    if (code != MX_OK) {
        keydir_free(dir);
        return code;
    }
    *dir_out = dir;
    return MX_OK;
}

void keydir_close(struct keydir *dir)
{
    if (dir == NULL) {
        return;
    }
    (void) pthread_mutex_lock(&dir->lock);
    dir->closing = true;
    (void) pthread_cond_signal(&dir->more);
    (void) pthread_mutex_unlock(&dir->lock);
    (void) pthread_join(dir->thread, NULL);
    keydir_free(dir);
}

/* Putting right */

struct found {
    char *base;
    bool temporary; /* of a crash; else a key file */
    bool wanted;    /* a key of the store has it */
};

struct keydir_reconcile {
    struct keydir *dir;
    struct found *found; /* sorted by name */
    size_t count;
    size_t capacity;
};

void keydir_reconcile_abandon(struct keydir_reconcile *reconcile)
{
    for (size_t i = 0; i < reconcile->count; i++) {
        free(reconcile->found[i].base);
    }
    free(reconcile->found);
    free(reconcile);
}

/* False: out of memory. */
static bool add_found(struct keydir_reconcile *reconcile, const char *base, bool temporary)
{
    char *copy;

    if (reconcile->count == reconcile->capacity) {
        size_t capacity = reconcile->capacity == 0 ? 64 : 2 * reconcile->capacity;
        struct found *found = reallocarray(reconcile->found, capacity, sizeof(*found));

        if (found == NULL) {
            return false;
        }
        reconcile->found = found;
        reconcile->capacity = capacity;
    }
    copy = strdup(base);
    if (copy == NULL) {
        return false;
    }
    reconcile->found[reconcile->count++] = (struct found){ copy, temporary, false };
    return true;
}

static bool is_directory(int at_fd, const char *name)
{
    struct stat info;

    return fstatat(at_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

/* False with errno. */
static bool scan(struct keydir_reconcile *reconcile, DIR *stream)
{
    const struct dirent *entry;

    while (errno = 0, (entry = readdir(stream)) != NULL) {
        bool temporary = is_temporary_name(entry->d_name);

        if ((temporary || is_key_name(entry->d_name)) &&
            !is_directory(dirfd(stream), entry->d_name) &&
            !add_found(reconcile, entry->d_name, temporary)) {
            errno = ENOMEM;
            return false;
        }
    }
    return errno == 0;
}

static int compare_name(const void *base, const void *found)
{
    return strcmp(base, ((const struct found *) found)->base);
}

static int compare_found(const void *left, const void *right)
{
    return compare_name(((const struct found *) left)->base, right);
}

static struct found *find(const struct keydir_reconcile *reconcile, const char *base)
{
    if (reconcile->count == 0) {
        return NULL;
    }
    return bsearch(base, reconcile->found, reconcile->count, sizeof(*reconcile->found),
                   compare_name);
}

enum mx_code keydir_reconcile_begin(struct keydir *dir, struct keydir_reconcile **reconcile_out,
                                    struct mx_error *err)
{
    struct keydir_reconcile *reconcile = calloc(1, sizeof(*reconcile));
    int fd = openat(dir->dkim_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    bool scanned = reconcile != NULL && stream != NULL && scan(reconcile, stream);
    enum mx_code code = MX_OK;

    if (!scanned) {
        code = fail_errno(err, "read directory", "dkim");
    }
    if (stream != NULL) {
        (void) closedir(stream);
    } else {
        close_fd(fd);
    }
    if (!scanned) {
        if (reconcile != NULL) {
            keydir_reconcile_abandon(reconcile);
        }
        return code;
    }
    if (reconcile->count > 0) {
        qsort(reconcile->found, reconcile->count, sizeof(*reconcile->found), compare_found);
    }
    reconcile->dir = dir;
    *reconcile_out = reconcile;
    return MX_OK;
}

/* The content of an open regular file; false if it is none of ours or can't be read. */
static bool read_file(int fd, struct secret *content_out)
{
    struct secret content = { NULL, 0 };
    struct stat info;
    size_t len = 0;
    ssize_t got = 1;

    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > KEY_FILE_MAX ||
        !secret_alloc(&content, (size_t) info.st_size)) {
        return false;
    }
    while (len < content.len && got > 0) {
        got = read(fd, content.data + len, content.len - len);
        len += got > 0 ? (size_t) got : 0;
    }
    if (len < content.len) {
        secret_free(&content);
        return false;
    }
    *content_out = content;
    return true;
}

static bool holds_key(int fd, const uint8_t fingerprint[DIGEST_SIZE])
{
    struct secret content = { NULL, 0 };
    uint8_t found[DIGEST_SIZE];
    struct key *key = NULL;
    struct mx_error err;
    bool holds = false;

    if (!read_file(fd, &content)) {
        return false;
    }
    if (key_from_pem(content.data, content.len, &key, &err) == MX_OK) {
        key_fingerprint(key, found);
        holds = memcmp(found, fingerprint, DIGEST_SIZE) == 0;
    }
    key_destroy(key);
    secret_free(&content);
    return holds;
}

bool keydir_reconcile_has(struct keydir_reconcile *reconcile, const char *name,
                          const uint8_t fingerprint[DIGEST_SIZE])
{
    const char *base = base_name(name);
    struct found *found = base == NULL ? NULL : find(reconcile, base);
    int fd;

    if (found == NULL) {
        return false;
    }
    fd = openat(reconcile->dir->dkim_fd, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    found->wanted =
        (fingerprint == NULL || holds_key(fd, fingerprint)) && set_access(reconcile->dir, fd);
    (void) close(fd);
    return found->wanted;
}

enum mx_code keydir_reconcile_write(struct keydir_reconcile *reconcile, const char *name,
                                    const struct secret *pem, struct mx_error *err)
{
    const char *base = check_name(name, err);
    struct found *found;
    enum mx_code code;

    if (base == NULL) {
        return err->code;
    }
    code = write_file(reconcile->dir, base, pem, err);
    if (code != MX_OK) {
        return code;
    }
    found = find(reconcile, base);
    if (found != NULL) {
        found->wanted = true;
    }
    return MX_OK;
}

static enum mx_code put_away(const struct keydir *dir, const struct found *found,
                             struct mx_error *err)
{
    if (!found->temporary) {
        return move_to_old(dir, found->base, err);
    }
    if (unlinkat(dir->dkim_fd, found->base, 0) != 0) {
        return fail_errno(err, "delete temporary file", found->base);
    }
    return MX_OK;
}

enum mx_code keydir_reconcile_end(struct keydir_reconcile *reconcile, unsigned *moved_out,
                                  unsigned *deleted_out, struct mx_error *err)
{
    struct keydir *dir = reconcile->dir;
    enum mx_code code = MX_OK;
    unsigned moved = 0;
    unsigned deleted = 0;

    for (size_t i = 0; i < reconcile->count; i++) {
        const struct found *found = &reconcile->found[i];
        struct mx_error failure;

        if (found->wanted) {
            continue;
        }
        if (put_away(dir, found, &failure) == MX_OK) {
            *(found->temporary ? &deleted : &moved) += 1;
        } else if (code == MX_OK) {
            *err = failure;
            code = failure.code;
        }
    }
    keydir_reconcile_abandon(reconcile);
    if (fsync(dir->dkim_fd) != 0 && code == MX_OK) {
        code = fail_errno(err, "make durable directory", "dkim");
    }
    if (code == MX_OK) {
        *moved_out = moved;
        *deleted_out = deleted;
    }
    return code;
}
