/*
 * A backend in memory that fails on purpose: the cheapest strong test there is.
 *
 * Words:
 *   disk   what survives. A backend is opened on a disk and closed; the disk
 *          keeps the data for the next one, as a file does.
 *   faults how often, in a thousand, a verb goes wrong in which way. Each is
 *          drawn from the seed, so that a run can be repeated.
 *
 * It stands for a shared engine as well: "another instance" can append between
 * two commits (backend_sim_append, or the conflict and replay faults).
 *
 * After UNKNOWN it answers UNAVAILABLE until reopen(), as SQLite's does.
 * Any thread.
 */
#pragma once

#include "store/backend.h"

struct backend_sim_disk;

struct backend_sim_faults {
    /* commit; at most one of them happens, in this order of asking */
    unsigned unavailable; /* not applied */
    unsigned conflict;    /* another instance was first: see backend_sim_rival */
    unsigned replay;      /* another instance was first with one of the same requests */
    unsigned too_big;
    unsigned read_only;
    unsigned failed;
    unsigned unknown_not_applied;
    unsigned unknown_applied;
    /* tail */
    unsigned tail_compacted; /* the history asked for is trimmed at that moment */
    unsigned tail_late;      /* gives fewer changes than there are, perhaps none */
    /* find, barrier, reopen, load */
    unsigned find_unavailable;
    unsigned barrier_unavailable;
    unsigned reopen_unavailable;
    unsigned load_unavailable;
    /* wait */
    unsigned wait_early; /* true, though there is nothing */
    unsigned wait_never; /* sleeps on until the deadline, though there is something */
};

struct backend_sim_disk *backend_sim_disk_create(void);
/* All backends on it must be closed. */
void backend_sim_disk_destroy(struct backend_sim_disk *disk);

/* Several may be open on one disk at once: instances. */
struct backend *backend_sim_open(struct backend_sim_disk *disk, uint64_t seed);

/* From now on. NULL: none. */
void backend_sim_set_faults(struct backend *backend, const struct backend_sim_faults *faults);

/*
 * What another instance appends when the conflict fault is drawn: called within commit, it calls
 * backend_sim_append(). Without one, a change that touches nothing is appended.
 */
void backend_sim_set_rival(struct backend *backend,
                           void (*rival)(void *context, struct backend_sim_disk *disk),
                           void *context);

/* Appends a request behind the head, as another instance would, without any fault. */
void backend_sim_append(struct backend_sim_disk *disk, const struct backend_request *request);

/* Turns a bit in the stored change of this revision. */
void backend_sim_disk_damage(struct backend_sim_disk *disk, uint64_t revision);
