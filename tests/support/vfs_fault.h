/*
 * A disk under SQLite that fails when told: a VFS that passes everything to the
 * real one, but lets the n-th write or sync of the log fail.
 *
 * Three kinds of failing sync are the heart of it. Either the bytes are there
 * in the end, though the disk said no; or all that was written since the last
 * sync that succeeded is gone; or the worst of both: they can be read, the next
 * sync says yes, and a power cut still loses them, since the kernel holds them
 * as clean. Only writing the log again from its start to its end cures that.
 */
#pragma once

#include <stdbool.h>

enum vfs_fault {
    VFS_FAULT_NONE,
    VFS_FAULT_WRITE,      /* EIO before anything is written */
    VFS_FAULT_TORN,       /* half is written, then EIO */
    VFS_FAULT_FULL,       /* no space left: a write that would make the file longer fails */
    VFS_FAULT_SYNC_KEPT,  /* the sync fails, the bytes are there */
    VFS_FAULT_SYNC_LOST,  /* the sync fails, the bytes since the last one are gone */
    VFS_FAULT_SYNC_CLEAN, /* the sync fails, the bytes are there until the power is cut */
};

/* Becomes the default VFS of this process. Once. */
void vfs_fault_register(void);

/* The `countdown`-th (from 1) matching call on a log file from now on fails, once. */
void vfs_fault_arm(enum vfs_fault fault, unsigned countdown);

/* All matching calls from now on fail, until armed anew. */
void vfs_fault_arm_for_good(enum vfs_fault fault);

/* Takes from a copy of the log what a power cut now would take from the log. */
void vfs_fault_cut_power(const char *log_copy);

/* Whether a fault armed has happened; syncs of logs so far. */
bool vfs_fault_happened(void);
unsigned vfs_fault_log_syncs(void);
