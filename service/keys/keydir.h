/*
 * The key directory: DKIM private keys as files, for mail servers that read
 * them. Derived from the store and put right at start; nothing is ever read
 * from it.
 *
 * File names, relative to the directory (mox-behaviour 1.7-02):
 *   dkim/<selector>._domainkey.<domain>.<YYYYMMDDThhmmss>.<kind>.privatekey.pkcs8.pem
 * (ASCII forms, UTC). Where selector and domain are too long for a file name
 * they are cut, and a digest of them follows. A file is written by temporary
 * file, fsync, rename, fsync of the directory, with mode 0600, or 0640 and the
 * group of the settings. A removed key's file moves to dkim/old/, and so does
 * what a written file would replace; nothing there is ever overwritten: a name
 * that is taken gets ".1", ".2", ... behind.
 *
 * Work is done in order by one thread, so that the writer never waits for it.
 */
#pragma once

#include "keys/key.h"

#include <sys/types.h>

struct keydir;

/* One file to write (pem.data set) or to move away (NULL). One that is not there is away. */
struct keydir_file {
    struct keydir_file *next;
    char *name; /* "dkim/..."; heap, the job's */
    struct secret pem;
};

/* The files of one change. Heap; from keydir_submit() on the thread's until `done`. */
struct keydir_job {
    struct keydir_job *next;
    struct keydir_file *files;
    unsigned count; /* of files */
    /* `failed` counts the files that could not be written or moved; `err` is of the first. The job
     * is yours again: keydir_job_free(). Called from the thread. */
    void (*done)(struct keydir_job *job, unsigned failed, const struct mx_error *err);
    void *context;
};

/* Makes the directories where missing (not those above `path`), with mode 0700, or 0750 and the
 * group; one that is there is left as it is. `group`: (gid_t) -1 for none. */
MX_MUST_USE enum mx_code keydir_open(const char *path, gid_t group, struct keydir **dir_out,
                                     struct mx_error *err);
/* Does what is queued, then ends. NULL is fine. */
void keydir_close(struct keydir *dir);

void keydir_submit(struct keydir *dir, struct keydir_job *job);
void keydir_job_free(struct keydir_job *job); /* wipes; NULL is fine */

/* Adds a file to a job, to write with `pem`, which is taken over (the caller's is emptied), or,
 * with NULL, to move away. False: out of memory. */
bool keydir_job_add(struct keydir_job *job, const char *name, struct secret *pem);

/* Takes out all files but the first `count`, those added since the job had so many. NULL is fine.
 */
void keydir_job_cut(struct keydir_job *job, unsigned count);

/*
 * Puts the directory right, before the first submit: keydir_reconcile_begin(), then for each key of
 * the store keydir_reconcile_has(); if it says false, the file is missing and
 * keydir_reconcile_write() it; then keydir_reconcile_end() moves files of our naming that no key of
 * the store has to old/ and deletes temporary files of a crash. Files not of our naming are left
 * alone. With a key's public fingerprint (key_fingerprint(); NULL: don't look) the file is read:
 * one that holds another key, or none, is reported as missing. Mode and group of a file that is
 * right are put right too. Who could not look at all keys ends with keydir_reconcile_abandon():
 * files that nobody asked for may well be wanted.
 */
struct keydir_reconcile;
MX_MUST_USE enum mx_code keydir_reconcile_begin(struct keydir *dir,
                                                struct keydir_reconcile **reconcile_out,
                                                struct mx_error *err);
bool keydir_reconcile_has(struct keydir_reconcile *reconcile, const char *name,
                          const uint8_t fingerprint[DIGEST_SIZE]);
MX_MUST_USE enum mx_code keydir_reconcile_write(struct keydir_reconcile *reconcile,
                                                const char *name, const struct secret *pem,
                                                struct mx_error *err);
/* Frees; what is there stays. */
void keydir_reconcile_abandon(struct keydir_reconcile *reconcile);
/* Always frees. `moved_out` and `deleted_out` count. */
MX_MUST_USE enum mx_code keydir_reconcile_end(struct keydir_reconcile *reconcile,
                                              unsigned *moved_out, unsigned *deleted_out,
                                              struct mx_error *err);

/* The file name of a key, in the arena; NULL: out of memory. ASCII forms. */
char *keydir_file_name(struct arena *arena, const char *selector, const char *domain,
                       int64_t time_us, enum key_kind kind);
