/*
 * The changes published last, in memory, so that who follows the configuration
 * is answered without the disk.
 *
 * A run of revisions without a gap, up to the newest, as many as fit a number of
 * bytes: the oldest goes when a new one needs its room, and when memory is short
 * all of them go, since a gap would be worse. What is older the backend has.
 *
 * Threads: any. Changes are counted: who takes some holds no lock while reading
 * them, and keeps nobody from appending.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes kept, their own heads included: some hundred thousand ordinary changes. */
#define RECENT_BYTES_MAX ((size_t) 32 * 1024 * 1024)

struct recent;

/* One revision; immutable. */
struct recent_change {
    atomic_uint pins;
    uint64_t revision;
    struct recent_change *next; /* of whoever has the first pin: its list */
    size_t len;
    uint8_t bytes[]; /* the packed change: store/change.h */
};

/* With one pin, yours. NULL: out of memory. */
struct recent_change *recent_change_create(uint64_t revision, const uint8_t *bytes, size_t len);
void recent_change_release(struct recent_change *change); /* NULL is fine */

struct recent *recent_create(size_t bytes_max); /* NULL: out of memory */
void recent_destroy(struct recent *recent);     /* NULL is fine */

/*
 * Appends the change that made the newest revision; takes over its pin. NULL (there was no memory
 * for it) or one that does not follow on the newest: all before is forgotten. One thread at a time.
 */
void recent_append(struct recent *recent, struct recent_change *change);
/* Forgets all. */
void recent_clear(struct recent *recent);
/* Forgets changes up to this revision. */
void recent_trim(struct recent *recent, uint64_t revision);

/*
 * Pins up to `max` changes in order, the first being that after `revision`, and none newer than
 * `newest`. Returns how many; 0: that one is not here.
 */
size_t recent_take(struct recent *recent, uint64_t revision, uint64_t newest,
                   struct recent_change **changes_out, size_t max);

/* Bytes kept, for tests. */
size_t recent_bytes(struct recent *recent);
