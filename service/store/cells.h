/*
 * Memory for the nodes of tries: very many small pieces that live long.
 *
 * Words:
 *   cell    a piece of memory. Sizes are rounded up to steps of a word, and
 *           whoever frees a cell knows its size: a cell carries nothing.
 *   run     cells of one size, side by side.
 *   chunk   what is asked of the system, and given back when no run of it is in
 *           use: room for runs.
 *
 * What is larger than a run is good for comes from malloc.
 *
 * Threads: one at a time has to do with a set of cells; who reads what is in
 * the cells does not matter. cells_used() and cells_held() may be asked by any.
 *
 * Built with AddressSanitizer every cell comes from malloc, so that it sees each
 * one's end, and each one's use after it was freed.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

/* Largest cell of a run. Few records are larger, and malloc adds little to those. */
#define CELLS_SIZE_MAX 1024
#define CELLS_STEP     8

struct cells_link {
    struct cells_link *next;
    struct cells_link *previous;
};

/* Zeroed: empty. */
struct cells {
    atomic_size_t used;
    atomic_size_t held;
    struct cells_link *runs[CELLS_SIZE_MAX / CELLS_STEP]; /* that have room, by size */
    struct cells_link *open;                              /* chunks that have room for a run */
    struct cells_link *full;                              /* the others */
    struct cells_link *large;                             /* what came from malloc */
};

/* Aligned for a word; `size` is not 0. NULL: out of memory. */
void *cells_alloc(struct cells *cells, size_t size);
/* The size is what was asked for. */
void cells_free(struct cells *cells, void *cell, size_t size);

/* Moves all cells of `from` to `to`, from where they are freed then. */
void cells_absorb(struct cells *to, struct cells *from);

/* Frees every cell there is, in time that goes with the chunks and not with the cells. */
void cells_fini(struct cells *cells);

/* What a cell of this size takes. */
size_t cells_size(size_t size);
/* Bytes of the cells that are in use: goes with what is stored alone, not with how it came to be.
 */
size_t cells_used(const struct cells *cells);
/* Bytes taken from the system for them. */
size_t cells_held(const struct cells *cells);
