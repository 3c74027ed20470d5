#include "db/sqlite.h"

#include "db/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * How a connection is set up, after the file is known to be ours.
 *   synchronous        FULL: one fsync of the log with each commit, before it is answered
 *   wal_autocheckpoint 16 MiB of log (4096 pages): a hot page is moved to the file once in many
 *                      commits
 *   journal_size_limit what a big transaction made of the log beyond 32 MiB is given back; below,
 *                      the log is written again in place, which spares fsync the file's size
 *   cache_size         32 MiB: inner pages and the index of a day's request ids
 *   secure_delete      overwrite what is removed where that costs no further write
 *   cell_size_check    look at each page's structure when it is read
 */
#define SETTINGS                                                                                   \
    "PRAGMA synchronous = FULL;"                                                                   \
    "PRAGMA wal_autocheckpoint = 4096;"                                                            \
    "PRAGMA journal_size_limit = 33554432;"                                                        \
    "PRAGMA cache_size = -32768;"                                                                  \
    "PRAGMA mmap_size = 0;"                                                                        \
    "PRAGMA temp_store = MEMORY;"                                                                  \
    "PRAGMA secure_delete = FAST;"                                                                 \
    "PRAGMA cell_size_check = ON;"

/* Read and written at once when the log is written again. */
#define COPY_SIZE 65536

/* Copies what SQLite knows about a failed call. To be called before anything else is. */
static int capture(struct sqlite *db, int failure, struct mx_error *err)
{
    int extended = db->handle == NULL ? failure : sqlite3_extended_errcode(db->handle);
    int system = db->handle == NULL ? 0 : sqlite3_system_errno(db->handle);

    /* A misuse is not recorded by SQLite: then the message belongs to an older call. */
    if ((extended & 0xff) != (failure & 0xff)) {
        (void) mx_fail(err, sqlite_code(failure), "'%s': %s (SQLite code %d)", db->path,
                       sqlite3_errstr(failure), failure);
        return failure;
    }
    (void) mx_fail(err, sqlite_code(failure), "'%s': %s (SQLite code %d, system error %d)",
                   db->path, db->handle == NULL ? "" : sqlite3_errmsg(db->handle), extended,
                   system);
    return extended;
}

enum mx_code sqlite_code(int failure)
{
    switch (failure & 0xff) {
    case SQLITE_OK:
        return MX_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return MX_UNAVAILABLE;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
        return MX_RESOURCE_EXHAUSTED;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return MX_PERMISSION_DENIED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return MX_DATA_LOSS;
    default:
        return MX_INTERNAL;
    }
}

/* ----------------------------------------------------------------- statements */

int sqlite_prepare(struct sqlite *db, const char *sql, sqlite3_stmt **statement_out,
                   struct mx_error *err)
{
    int rc =
        sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, statement_out, NULL);

    return rc == SQLITE_OK ? SQLITE_OK : capture(db, rc, err);
}

static void note_binding(struct sqlite *db, int rc)
{
    if (rc != SQLITE_OK && db->bind_failure == SQLITE_OK) {
        db->bind_failure = rc;
    }
}

void sqlite_bind_blob(struct sqlite *db, sqlite3_stmt *statement, int index, const void *data,
                      size_t len)
{
    note_binding(
        db, sqlite3_bind_blob64(statement, index, data == NULL ? "" : data, len, SQLITE_STATIC));
}

void sqlite_bind_number(struct sqlite *db, sqlite3_stmt *statement, int index, uint64_t number)
{
    note_binding(db, sqlite3_bind_int64(statement, index, (sqlite3_int64) number));
}

int sqlite_step(struct sqlite *db, sqlite3_stmt *statement, struct mx_error *err)
{
    int rc = db->bind_failure;

    if (rc != SQLITE_OK) {
        db->bind_failure = SQLITE_OK;
        (void) mx_fail(err, sqlite_code(rc), "'%s': can't bind: %s", db->path, sqlite3_errstr(rc));
        (void) sqlite3_reset(statement);
        return rc;
    }
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        return rc;
    }
    if (rc != SQLITE_DONE) {
        rc = capture(db, rc, err);
    }
    (void) sqlite3_reset(statement);
    return rc;
}

int sqlite_run(struct sqlite *db, sqlite3_stmt *statement, struct mx_error *err)
{
    int rc = sqlite_step(db, statement, err);

    if (rc == SQLITE_ROW) {
        (void) sqlite3_reset(statement);
        rc = SQLITE_DONE;
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

const uint8_t *sqlite_column_blob(sqlite3_stmt *statement, int column, size_t *len_out)
{
    const uint8_t *data = sqlite3_column_blob(statement, column);

    *len_out = (size_t) sqlite3_column_bytes(statement, column);
    return data == NULL ? (const uint8_t *) "" : data;
}

static enum mx_code execute(struct sqlite *db, const char *sql, struct mx_error *err)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    if (rc == SQLITE_OK) {
        return MX_OK;
    }
    (void) capture(db, rc, err);
    return err->code;
}

static int read_number(struct sqlite *db, const char *sql, int64_t *number_out,
                       struct mx_error *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite_prepare(db, sql, &statement, err);

    if (rc == SQLITE_OK) {
        rc = sqlite_step(db, statement, err);
    }
    if (rc == SQLITE_ROW) {
        *number_out = sqlite3_column_int64(statement, 0);
    }
    (void) sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* A setting that SQLite may silently decline: it answers with what is in force. */
static enum mx_code insist(struct sqlite *db, const char *pragma, const char *wanted,
                           struct mx_error *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite_prepare(db, pragma, &statement, err);
    bool agreed = false;

    if (rc == SQLITE_OK) {
        rc = sqlite_step(db, statement, err);
    }
    if (rc == SQLITE_ROW) {
        const char *got = (const char *) sqlite3_column_text(statement, 0);
        agreed = got != NULL && strcmp(got, wanted) == 0;
        if (!agreed) {
            (void) mx_fail(err, MX_INTERNAL, "'%s': %s gave '%s'", db->path, pragma,
                           got == NULL ? "" : got);
        }
    }
    (void) sqlite3_finalize(statement);
    return agreed ? MX_OK : err->code;
}

/* -------------------------------------------------------------------- opening */

static enum mx_code system_failure(const char *path, const char *what, struct mx_error *err)
{
    int number = errno;

    return mx_fail(err,
                   number == EACCES || number == EPERM || number == EROFS ? MX_PERMISSION_DENIED
                                                                          : MX_UNAVAILABLE,
                   "can't %s '%s': %s", what, path, strerror(number));
}

static enum mx_code sync_directory_of(const char *path, struct mx_error *err)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash == NULL ? strdup(".") : strndup(path, (size_t) (slash - path) + 1);
    enum mx_code code = MX_OK;
    int fd;

    if (directory == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        code = system_failure(directory, "sync directory", err);
    }
    if (fd >= 0) {
        (void) close(fd);
    }
    free(directory);
    return code;
}

/*
 * Makes the file ourselves, since SQLite would make it readable for all. O_EXCL also because a
 * file that exists must not be opened here: closing it would drop this process's locks on it.
 */
static enum mx_code create_file(const char *path, struct mx_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
    enum mx_code code = MX_OK;

    if (fd < 0) {
        return errno == EEXIST ? MX_OK : system_failure(path, "create", err);
    }
    if (fchmod(fd, 0600) != 0 || fsync(fd) != 0) {
        code = system_failure(path, "create", err);
    }
    (void) close(fd);
    return code == MX_OK ? sync_directory_of(path, err) : code;
}

static enum mx_code connect_file(struct sqlite *db, struct mx_error *err)
{
    int rc =
        sqlite3_open_v2(db->path, &db->handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

    if (rc != SQLITE_OK) {
        (void) capture(db, rc, err);
        return err->code;
    }
    (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return insist(db, "PRAGMA locking_mode = EXCLUSIVE", "exclusive", err);
}

/* The first look into a file fails in two ways that deserve words of their own. */
static enum mx_code explain_first_look(struct sqlite *db, int failure, struct mx_error *err)
{
    if (failure == SQLITE_NOTADB) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "'%s' is not a database of mxadmd", db->path);
    }
    if ((failure & 0xff) == SQLITE_BUSY) {
        return mx_fail(err, MX_UNAVAILABLE, "'%s' is in use by another process", db->path);
    }
    return err->code;
}

/* Whose file it is and of which version, before a byte of it is changed. 0: new. */
static enum mx_code identify(struct sqlite *db, int64_t *version_out, struct mx_error *err)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t objects = 0;
    int rc = read_number(db, "SELECT count(*) FROM sqlite_schema", &objects, err);

    if (rc == SQLITE_OK) {
        rc = read_number(db, "PRAGMA application_id", &application, err);
    }
    if (rc == SQLITE_OK) {
        rc = read_number(db, "PRAGMA user_version", &version, err);
    }
    if (rc != SQLITE_OK) {
        return explain_first_look(db, rc, err);
    }
    if (application != SCHEMA_APPLICATION_ID &&
        (application != 0 || version != 0 || objects != 0)) {
        return mx_fail(err, MX_FAILED_PRECONDITION,
                       "'%s' is not a database of mxadmd (application id 0x%08x)", db->path,
                       (unsigned) application);
    }
    if (version < 0 || version > schema_newest) {
        return mx_fail(err, MX_FAILED_PRECONDITION,
                       "schema %lld of '%s' is newer than this mxadmd knows (%d)",
                       (long long) version, db->path, schema_newest);
    }
    *version_out = version;
    return MX_OK;
}

static int rewrite(sqlite3_file *log)
{
    char *bytes = malloc(COPY_SIZE);
    sqlite3_int64 size = 0;
    int rc = bytes == NULL ? SQLITE_NOMEM : log->pMethods->xFileSize(log, &size);

    for (sqlite3_int64 at = 0; at < size && rc == SQLITE_OK; at += COPY_SIZE) {
        int len = (int) (size - at < COPY_SIZE ? size - at : COPY_SIZE);

        rc = log->pMethods->xRead(log, bytes, len, at);
        if (rc == SQLITE_OK) {
            rc = log->pMethods->xWrite(log, bytes, len, at);
        }
    }
    free(bytes);
    return rc == SQLITE_OK && size > 0 ? log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) : rc;
}

/*
 * Writes what is in the log into it once more, and syncs it. After a failed fsync, by us or by a
 * process before us, the kernel may hold pages as clean that never reached the disk: they can be
 * read, the next fsync succeeds, and a power cut loses them. Only writing them again makes what
 * was just read from the log as true as it looks. Needs the lock on the database.
 */
static enum mx_code settle_log(struct sqlite *db, struct mx_error *err)
{
    sqlite3_file *log = NULL;
    int rc = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);

    if (rc == SQLITE_OK && log != NULL && log->pMethods != NULL) {
        rc = rewrite(log);
    }
    return rc == SQLITE_OK ? MX_OK
                           : mx_fail(err, sqlite_code(rc), "can't write the log of '%s' again: %s",
                                     db->path, sqlite3_errstr(rc));
}

static enum mx_code migrate_step(struct sqlite *db, int64_t version, struct mx_error *err)
{
    char stamp[128];
    enum mx_code code;

    (void) snprintf(stamp, sizeof(stamp), "PRAGMA application_id = %d; PRAGMA user_version = %d",
                    SCHEMA_APPLICATION_ID, (int) version + 1);
    code = execute(db, "BEGIN IMMEDIATE", err);
    if (code == MX_OK) {
        code = execute(db, schema_steps[version], err);
    }
    if (code == MX_OK) {
        code = execute(db, stamp, err);
    }
    if (code == MX_OK) {
        code = execute(db, "COMMIT", err);
    }
    return code; /* the connection is closed on failure, which rolls back */
}

static enum mx_code migrate(struct sqlite *db, int64_t version, struct mx_error *err)
{
    enum mx_code code = MX_OK;

    while (code == MX_OK && version < schema_newest) {
        code = migrate_step(db, version++, err);
    }
    return code;
}

static enum mx_code set_up(struct sqlite *db, struct mx_error *err)
{
    int64_t version = 0;
    enum mx_code code = connect_file(db, err);

    if (code == MX_OK) {
        code = identify(db, &version, err);
    }
    if (code == MX_OK && version == 0) {
        /* What trim frees is used again for new history; moving pages about would cost more. */
        code = execute(db, "PRAGMA auto_vacuum = NONE", err);
    }
    if (code == MX_OK) {
        code = insist(db, "PRAGMA journal_mode = WAL", "wal", err);
    }
    if (code == MX_OK) {
        code = execute(db, SETTINGS, err);
    }
    if (code == MX_OK) {
        code = settle_log(db, err);
    }
    return code == MX_OK ? migrate(db, version, err) : code;
}

enum mx_code sqlite_open(struct sqlite *db, const char *path, enum sqlite_absence absence,
                         struct mx_error *err)
{
    enum mx_code code = MX_OK;

    *db = (struct sqlite){ .path = strdup(path) };
    if (db->path == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    if (absence == ABSENCE_CREATE) {
        code = create_file(path, err);
    }
    if (code == MX_OK) {
        code = set_up(db, err);
    }
    if (code != MX_OK) {
        sqlite_close(db, FAREWELL_ABANDON);
    }
    return code;
}

void sqlite_close(struct sqlite *db, enum sqlite_farewell farewell)
{
    if (db->handle != NULL && farewell == FAREWELL_ABANDON) {
        (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    (void) sqlite3_close(db->handle);
    free(db->path);
    *db = (struct sqlite){ 0 };
}
