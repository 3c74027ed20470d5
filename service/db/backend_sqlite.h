/*
 * Durability by SQLite: one file, one connection, one fsync a commit.
 *
 * What belongs together is in one transaction: the records, the change log and
 * the requests. An error before COMMIT is rolled back and certainly not
 * applied. An error from COMMIT is BACKEND_UNKNOWN, since SQLite may have
 * written the commit and only not have heard so from the disk; from then on
 * every verb answers BACKEND_UNAVAILABLE until reopen() has looked.
 *
 * commit's deadline is not kept: a disk has none, and a commit under way is
 * better waited for than guessed about.
 */
#pragma once

#include "store/backend.h"

/* One commit's limits: room for the largest batch, bounded by memory and the log's growth. */
#define BACKEND_SQLITE_REQUESTS_MAX 4096
#define BACKEND_SQLITE_BYTES_MAX    ((size_t) 64 * 1024 * 1024)
/* Of a request alone in its commit: SQLite takes no value of more than 1,000,000,000 bytes. */
#define BACKEND_SQLITE_ALONE_BYTES_MAX ((size_t) 900 * 1024 * 1024)

/* Opens or makes the file; codes as sqlite_open(). */
MX_MUST_USE enum mx_code backend_sqlite_open(const char *path, struct backend **backend_out,
                                             struct mx_error *err);
