#include "support/vfs_fault.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a write since the last sync replaced, newest first, to be put back when bytes get lost. */
struct undo {
    struct undo *next;
    sqlite3_int64 offset;
    sqlite3_int64 file_size; /* before the write */
    int len;                 /* of old bytes kept */
    uint8_t old[];
};

struct fault_file {
    sqlite3_file base;
    bool is_log;
    struct undo *undo;
    sqlite3_file *real; /* behind this struct */
};

/* One thread at a time uses SQLite in the tests that arm faults. */
static sqlite3_vfs *real_vfs;
static enum vfs_fault armed;
static unsigned countdown_left;
static bool for_good;
static bool happened;
static unsigned log_syncs;

/* Of the one log: what VFS_FAULT_SYNC_CLEAN left readable but not on disk, and how much of the log
 * was written again since, from its start on. */
static struct undo *volatile_writes;
static sqlite3_int64 written_again;

void vfs_fault_arm(enum vfs_fault fault, unsigned countdown)
{
    armed = fault;
    countdown_left = countdown;
    for_good = false;
    happened = false;
}

void vfs_fault_arm_for_good(enum vfs_fault fault)
{
    vfs_fault_arm(fault, 1);
    for_good = true;
}

bool vfs_fault_happened(void)
{
    return happened;
}

unsigned vfs_fault_log_syncs(void)
{
    return log_syncs;
}

static bool strikes(const struct fault_file *file, bool sync)
{
    bool is_sync_fault = armed == VFS_FAULT_SYNC_KEPT || armed == VFS_FAULT_SYNC_LOST ||
                         armed == VFS_FAULT_SYNC_CLEAN;

    if (!file->is_log || armed == VFS_FAULT_NONE || is_sync_fault != sync) {
        return false;
    }
    if (!for_good && --countdown_left > 0) {
        return false;
    }
    happened = true;
    return true;
}

static void disarm(void)
{
    if (!for_good) {
        armed = VFS_FAULT_NONE;
    }
}

static struct fault_file *file_of(sqlite3_file *base)
{
    return (struct fault_file *) base;
}

static sqlite3_file *real_of(sqlite3_file *base)
{
    return file_of(base)->real;
}

static void forget(struct undo **undo)
{
    while (*undo != NULL) {
        struct undo *next = (*undo)->next;
        free(*undo);
        *undo = next;
    }
}

static void lose_unsynced(struct fault_file *file)
{
    for (struct undo *undo = file->undo; undo != NULL; undo = undo->next) {
        if (undo->len > 0) {
            (void) file->real->pMethods->xWrite(file->real, undo->old, undo->len, undo->offset);
        }
        (void) file->real->pMethods->xTruncate(file->real, undo->file_size);
    }
    forget(&file->undo);
}

static void remember(struct fault_file *file, int len, sqlite3_int64 offset)
{
    struct undo *undo = malloc(sizeof(*undo) + (size_t) len);
    sqlite3_int64 size = 0;

    if (undo == NULL) {
        abort();
    }
    (void) file->real->pMethods->xFileSize(file->real, &size);
    undo->offset = offset;
    undo->file_size = size;
    undo->len = offset >= size ? 0 : (int) (size - offset < len ? size - offset : len);
    if (undo->len > 0 &&
        file->real->pMethods->xRead(file->real, undo->old, undo->len, offset) != SQLITE_OK) {
        abort();
    }
    undo->next = file->undo;
    file->undo = undo;
}

static bool grows(struct fault_file *file, int len, sqlite3_int64 offset)
{
    sqlite3_int64 size = 0;

    (void) file->real->pMethods->xFileSize(file->real, &size);
    return offset + len > size;
}

static int fault_write(sqlite3_file *base, const void *data, int len, sqlite3_int64 offset)
{
    struct fault_file *file = file_of(base);

    if ((armed != VFS_FAULT_FULL || grows(file, len, offset)) && strikes(file, false)) {
        enum vfs_fault fault = armed;

        disarm();
        if (fault == VFS_FAULT_TORN) {
            remember(file, len / 2, offset);
            (void) file->real->pMethods->xWrite(file->real, data, len / 2, offset);
        }
        return fault == VFS_FAULT_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    if (file->is_log) {
        remember(file, len, offset);
        written_again += offset == written_again ? len : 0;
    }
    return file->real->pMethods->xWrite(file->real, data, len, offset);
}

/* The kernel forgets that the bytes are to be written. */
static void hold_as_clean(struct fault_file *file)
{
    forget(&volatile_writes);
    volatile_writes = file->undo;
    file->undo = NULL;
    written_again = 0;
}

static void settle(struct fault_file *file)
{
    sqlite3_int64 size = 0;

    forget(&file->undo);
    (void) file->real->pMethods->xFileSize(file->real, &size);
    if (file->is_log && written_again >= size) {
        forget(&volatile_writes);
    }
}

void vfs_fault_cut_power(const char *log_copy)
{
    int fd = open(log_copy, O_WRONLY | O_CLOEXEC);

    for (struct undo *undo = volatile_writes; undo != NULL; undo = undo->next) {
        if ((undo->len > 0 &&
             pwrite(fd, undo->old, (size_t) undo->len, undo->offset) != undo->len) ||
            ftruncate(fd, undo->file_size) != 0) {
            abort();
        }
    }
    (void) close(fd);
}

static int fault_sync(sqlite3_file *base, int flags)
{
    struct fault_file *file = file_of(base);

    log_syncs += file->is_log ? 1 : 0;
    if (strikes(file, true)) {
        if (armed == VFS_FAULT_SYNC_LOST) {
            lose_unsynced(file);
        } else if (armed == VFS_FAULT_SYNC_CLEAN) {
            hold_as_clean(file);
        }
        disarm();
        return SQLITE_IOERR_FSYNC;
    }
    settle(file);
    return file->real->pMethods->xSync(file->real, flags);
}

static int fault_close(sqlite3_file *base)
{
    forget(&file_of(base)->undo);
    return real_of(base)->pMethods->xClose(real_of(base));
}

static int fault_read(sqlite3_file *base, void *data, int len, sqlite3_int64 offset)
{
    return real_of(base)->pMethods->xRead(real_of(base), data, len, offset);
}

static int fault_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    return real_of(base)->pMethods->xTruncate(real_of(base), size);
}

static int fault_file_size(sqlite3_file *base, sqlite3_int64 *size_out)
{
    return real_of(base)->pMethods->xFileSize(real_of(base), size_out);
}

static int fault_lock(sqlite3_file *base, int lock)
{
    return real_of(base)->pMethods->xLock(real_of(base), lock);
}

static int fault_unlock(sqlite3_file *base, int lock)
{
    return real_of(base)->pMethods->xUnlock(real_of(base), lock);
}

static int fault_check_reserved(sqlite3_file *base, int *result_out)
{
    return real_of(base)->pMethods->xCheckReservedLock(real_of(base), result_out);
}

static int fault_control(sqlite3_file *base, int operation, void *argument)
{
    return real_of(base)->pMethods->xFileControl(real_of(base), operation, argument);
}

static int fault_sector_size(sqlite3_file *base)
{
    return real_of(base)->pMethods->xSectorSize(real_of(base));
}

static int fault_characteristics(sqlite3_file *base)
{
    return real_of(base)->pMethods->xDeviceCharacteristics(real_of(base));
}

/* Version 1: without shared memory and mapping, which an exclusive connection does not need. */
static const sqlite3_io_methods fault_methods = {
    .iVersion = 1,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_file_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_check_reserved,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector_size,
    .xDeviceCharacteristics = fault_characteristics,
};

static int fault_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags,
                      int *flags_out)
{
    struct fault_file *file = file_of(base);
    int rc;

    (void) vfs;
    *file = (struct fault_file){ .is_log = (flags & SQLITE_OPEN_WAL) != 0 };
    file->real = (sqlite3_file *) (file + 1);
    rc = real_vfs->xOpen(real_vfs, name, file->real, flags, flags_out);
    base->pMethods = file->real->pMethods == NULL ? NULL : &fault_methods;
    return rc;
}

void vfs_fault_register(void)
{
    static sqlite3_vfs vfs;

    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs; /* the functions that are not about open files take it as their own */
    vfs.szOsFile = (int) sizeof(struct fault_file) + real_vfs->szOsFile;
    vfs.zName = "fault";
    vfs.pNext = NULL;
    vfs.xOpen = fault_open;
    (void) sqlite3_vfs_register(&vfs, 1);
}
