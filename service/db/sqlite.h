/*
 * SQLite, thinly: a database file opened the one way in which we trust it,
 * prepared statements, and errors copied the moment they happen (the next call
 * on the connection, even a rollback, overwrites what SQLite says about them).
 *
 * The file is ours alone while it is open: one connection, exclusive lock, no
 * shared memory. A connection is used by one thread at a time; the caller sees
 * to that (db/turns.h).
 *
 * Functions return SQLite's extended result code, SQLITE_OK for success, and
 * write the sentence into err; sqlite_open() says what mxadm's callers
 * understand.
 */
#pragma once

#include "base/error.h"

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

struct sqlite {
    sqlite3 *handle; /* NULL: closed */
    char *path;
    int bind_failure; /* the first since the last run or step, which report it */
};

enum sqlite_absence {
    ABSENCE_CREATE, /* a file that is not there is made, with mode 0600 */
    ABSENCE_REFUSE, /* it was there before: that it is gone is an error, not a fresh start */
};

/*
 * Opens the file, takes it for us alone, and brings its schema up to date.
 *   MX_UNAVAILABLE          somebody else has it open, or the disk does not answer
 *   MX_FAILED_PRECONDITION  not a database of ours, or of a newer mxadmd
 *   MX_DATA_LOSS            damaged
 */
MX_MUST_USE enum mx_code sqlite_open(struct sqlite *db, const char *path,
                                     enum sqlite_absence absence, struct mx_error *err);

enum sqlite_farewell {
    FAREWELL_SETTLE,  /* move the log into the file and remove it */
    FAREWELL_ABANDON, /* write nothing more: this connection's view of the file is in doubt */
};

/* Statements must have been finalized. A closed one is fine. */
void sqlite_close(struct sqlite *db, enum sqlite_farewell farewell);

/* A statement that is kept; sqlite3_finalize() it before sqlite_close(). */
MX_MUST_USE int sqlite_prepare(struct sqlite *db, const char *sql, sqlite3_stmt **statement_out,
                               struct mx_error *err);

/* Binding can't fail in a way that the caller could treat; run and step report it. Bytes are
 * borrowed until the statement's next binding. NULL with length 0 is empty, not SQL's NULL. */
void sqlite_bind_blob(struct sqlite *db, sqlite3_stmt *statement, int index, const void *data,
                      size_t len);
void sqlite_bind_number(struct sqlite *db, sqlite3_stmt *statement, int index, uint64_t number);

/* Runs a statement that gives no rows to its end. */
MX_MUST_USE int sqlite_run(struct sqlite *db, sqlite3_stmt *statement, struct mx_error *err);

/* SQLITE_ROW, or SQLITE_DONE or an error, after which the statement is reset. Who stops before
 * the end resets it. */
MX_MUST_USE int sqlite_step(struct sqlite *db, sqlite3_stmt *statement, struct mx_error *err);

/* A column of bytes, never NULL, borrowed until the next step or reset. */
const uint8_t *sqlite_column_blob(sqlite3_stmt *statement, int column, size_t *len_out);

/* What a failure means to callers that don't know SQLite. */
enum mx_code sqlite_code(int failure);
