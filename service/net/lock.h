/*
 * A lock file: keeps a second daemon off what the first one uses.
 *
 * The lock is the kernel's, on the open file, and ends with the process however
 * that dies; the process id written into the file is for people. The file
 * itself stays for ever: whoever removed it could let two processes hold locks
 * on two files of the same name.
 */
#pragma once

#include "base/error.h"

struct lock;

/* FAILED_PRECONDITION if somebody holds it: "'/run/x.lock' is in use by process 42". Never waits.
 */
MX_MUST_USE enum mx_code lock_acquire(const char *path, struct lock **lock_out,
                                      struct mx_error *err);

/* NULL is nothing. */
void lock_release(struct lock *lock);
