#include "store/cells.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define FROM_MALLOC_ALONE true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FROM_MALLOC_ALONE true
#endif
#endif
#ifndef FROM_MALLOC_ALONE
#define FROM_MALLOC_ALONE false
#endif

/* So large that asking for one is rare, so small that one that can't be given back is little. */
#define CHUNK_SIZE ((size_t) 2 * 1024 * 1024)
/* Small enough that a few cells of each size cost little, large enough for 31 of the largest. */
#define RUN_SIZE   ((size_t) 32 * 1024)
#define CHUNK_RUNS (CHUNK_SIZE / RUN_SIZE)

/* In the head of a chunk's first run. */
struct chunk {
    struct cells_link link;
    uint64_t free; /* a bit a run */
};

/* At the start of a run; the cells are behind it. */
struct run {
    struct cells_link link;
    void *free;     /* cells given back, each pointing to the next */
    uint32_t cell;  /* size of one */
    uint32_t used;  /* how many are in use */
    uint32_t fresh; /* where the cells begin that have never been used */
    struct chunk chunk;
};

/* Before a cell that came from malloc. */
struct large {
    struct cells_link link;
    _Alignas(max_align_t) unsigned char cell[];
};

_Static_assert(CHUNK_RUNS == 64, "a bit of a word for each run");
_Static_assert(sizeof(struct run) % CELLS_STEP == 0, "cells are aligned for a word");
_Static_assert(sizeof(void *) <= CELLS_STEP, "a free cell holds a pointer");

/* ---------------------------------------------------------------------- lists */

static void push(struct cells_link **list, struct cells_link *link)
{
    link->previous = NULL;
    link->next = *list;
    if (*list != NULL) {
        (*list)->previous = link;
    }
    *list = link;
}

static void take_out(struct cells_link **list, struct cells_link *link)
{
    if (link->previous == NULL) {
        *list = link->next;
    } else {
        link->previous->next = link->next;
    }
    if (link->next != NULL) {
        link->next->previous = link->previous;
    }
}

static void move_all(struct cells_link **to, struct cells_link **from)
{
    struct cells_link *last = *from;

    if (last == NULL) {
        return;
    }
    while (last->next != NULL) {
        last = last->next;
    }
    last->next = *to;
    if (*to != NULL) {
        (*to)->previous = last;
    }
    *to = *from;
    *from = NULL;
}

/* --------------------------------------------------------------------- counts */

static size_t read_count(const atomic_size_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

/* One thread writes, so that reading and writing need not be one step. */
static void add(atomic_size_t *count, size_t bytes)
{
    atomic_store_explicit(count, read_count(count) + bytes, memory_order_relaxed);
}

static void subtract(atomic_size_t *count, size_t bytes)
{
    atomic_store_explicit(count, read_count(count) - bytes, memory_order_relaxed);
}

/* --------------------------------------------------------------------- chunks */

static struct run *first_run(const struct chunk *chunk)
{
    return (struct run *) ((uintptr_t) chunk & ~(CHUNK_SIZE - 1));
}

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* At a multiple of its size. Twice as much has such a place in it; the rest is given back. */
static void *map_chunk(void)
{
    char *memory = map(CHUNK_SIZE);
    size_t before;

    if (memory == NULL || (uintptr_t) memory % CHUNK_SIZE == 0) {
        return memory; /* most of the time, beside the one before */
    }
    (void) munmap(memory, CHUNK_SIZE);
    memory = map(2 * CHUNK_SIZE);
    if (memory == NULL) {
        return NULL;
    }
    before = -(uintptr_t) memory % CHUNK_SIZE;
    if (before > 0) {
        (void) munmap(memory, before);
    }
    (void) munmap(memory + before + CHUNK_SIZE, CHUNK_SIZE - before);
    return memory + before;
}

static struct chunk *chunk_create(struct cells *cells)
{
    struct run *memory = map_chunk();

    if (memory == NULL) {
        return NULL;
    }
    add(&cells->held, CHUNK_SIZE);
    memory->chunk.free = UINT64_MAX;
    push(&cells->open, &memory->chunk.link);
    return &memory->chunk;
}

static void chunk_destroy(struct cells *cells, struct chunk *chunk)
{
    subtract(&cells->held, CHUNK_SIZE);
    (void) munmap(first_run(chunk), CHUNK_SIZE);
}

/* ----------------------------------------------------------------------- runs */

static struct cells_link **runs_of(struct cells *cells, size_t cell)
{
    return &cells->runs[cell / CELLS_STEP - 1];
}

static struct run *run_create(struct cells *cells, size_t cell)
{
    struct chunk *chunk = (struct chunk *) cells->open;
    unsigned index;
    struct run *run;

    if (chunk == NULL) {
        chunk = chunk_create(cells);
        if (chunk == NULL) {
            return NULL;
        }
    }
    index = (unsigned) __builtin_ctzll(chunk->free);
    chunk->free &= chunk->free - 1;
    if (chunk->free == 0) {
        take_out(&cells->open, &chunk->link);
        push(&cells->full, &chunk->link);
    }
    run = (struct run *) ((char *) first_run(chunk) + index * RUN_SIZE);
    run->free = NULL;
    run->cell = (uint32_t) cell;
    run->used = 0;
    run->fresh = sizeof(*run);
    push(runs_of(cells, cell), &run->link);
    return run;
}

/* Nothing of it is in use, and it is on no list. */
static void run_destroy(struct cells *cells, struct run *run)
{
    struct run *first = (struct run *) ((uintptr_t) run & ~(CHUNK_SIZE - 1));
    struct chunk *chunk = &first->chunk;
    bool was_full = chunk->free == 0;

    chunk->free |= UINT64_C(1) << (size_t) ((char *) run - (char *) first) / RUN_SIZE;
    if (was_full) {
        take_out(&cells->full, &chunk->link);
        push(&cells->open, &chunk->link);
    }
    /* The last one with room stays, for what comes next. */
    if (chunk->free == UINT64_MAX && (chunk->link.next != NULL || chunk->link.previous != NULL)) {
        take_out(&cells->open, &chunk->link);
        chunk_destroy(cells, chunk);
    }
}

static bool is_full(const struct run *run)
{
    return run->free == NULL && run->fresh + run->cell > RUN_SIZE;
}

/* ---------------------------------------------------------------------- cells */

static bool is_large(size_t size)
{
    return FROM_MALLOC_ALONE || size > CELLS_SIZE_MAX;
}

size_t cells_size(size_t size)
{
    size_t step = size > CELLS_SIZE_MAX ? _Alignof(max_align_t) : CELLS_STEP;
    size_t head = size > CELLS_SIZE_MAX ? sizeof(struct large) : 0;

    return (size + step - 1) / step * step + head;
}

static void *large_alloc(struct cells *cells, size_t size)
{
    struct large *large = malloc(sizeof(*large) + size);

    if (large == NULL) {
        return NULL;
    }
    push(&cells->large, &large->link);
    add(&cells->held, cells_size(size));
    return large->cell;
}

static void large_free(struct cells *cells, void *cell, size_t size)
{
    struct large *large = (struct large *) ((char *) cell - offsetof(struct large, cell));

    take_out(&cells->large, &large->link);
    subtract(&cells->held, cells_size(size));
    free(large);
}

static void *small_alloc(struct cells *cells, size_t cell)
{
    struct run *run = (struct run *) *runs_of(cells, cell);
    void *memory;

    if (run == NULL) {
        run = run_create(cells, cell);
        if (run == NULL) {
            return NULL;
        }
    }
    memory = run->free;
    if (memory != NULL) {
        run->free = *(void **) memory;
    } else {
        memory = (char *) run + run->fresh;
        run->fresh += run->cell;
    }
    run->used++;
    if (is_full(run)) {
        take_out(runs_of(cells, cell), &run->link);
    }
    return memory;
}

static void small_free(struct cells *cells, void *cell)
{
    struct run *run = (struct run *) ((uintptr_t) cell & ~(RUN_SIZE - 1));
    struct cells_link **runs = runs_of(cells, run->cell);

    if (is_full(run)) {
        push(runs, &run->link);
    }
    *(void **) cell = run->free;
    run->free = cell;
    run->used--;
    if (run->used == 0) {
        take_out(runs, &run->link);
        run_destroy(cells, run);
    }
}

void *cells_alloc(struct cells *cells, size_t size)
{
    void *cell = is_large(size) ? large_alloc(cells, size) : small_alloc(cells, cells_size(size));

    if (cell != NULL) {
        add(&cells->used, cells_size(size));
    }
    return cell;
}

void cells_free(struct cells *cells, void *cell, size_t size)
{
    subtract(&cells->used, cells_size(size));
    if (is_large(size)) {
        large_free(cells, cell, size);
    } else {
        assert(((struct run *) ((uintptr_t) cell & ~(RUN_SIZE - 1)))->cell == cells_size(size));
        small_free(cells, cell);
    }
}

void cells_absorb(struct cells *to, struct cells *from)
{
    for (size_t i = 0; i < sizeof(to->runs) / sizeof(to->runs[0]); i++) {
        move_all(&to->runs[i], &from->runs[i]);
    }
    move_all(&to->open, &from->open);
    move_all(&to->full, &from->full);
    move_all(&to->large, &from->large);
    add(&to->used, cells_used(from));
    add(&to->held, cells_held(from));
    subtract(&from->used, cells_used(from));
    subtract(&from->held, cells_held(from));
}

static void destroy_chunks(struct cells *cells, struct cells_link **list)
{
    while (*list != NULL) {
        struct chunk *chunk = (struct chunk *) *list;

        take_out(list, &chunk->link);
        chunk_destroy(cells, chunk);
    }
}

void cells_fini(struct cells *cells)
{
    destroy_chunks(cells, &cells->open);
    destroy_chunks(cells, &cells->full);
    for (struct cells_link *link = cells->large, *next; link != NULL; link = next) {
        next = link->next;
        free((struct large *) link);
    }
    *cells = (struct cells){ 0 };
}

size_t cells_used(const struct cells *cells)
{
    return read_count(&cells->used);
}

size_t cells_held(const struct cells *cells)
{
    return read_count(&cells->held);
}
