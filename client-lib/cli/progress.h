/*
 * How far something long has come: one line on a terminal, written again as it
 * goes on. Nothing is shown to who is no terminal, nor of what takes less than
 * a second.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *unit; /* of `count`: "lines"; NULL: nothing is counted */
    bool wanted;
    bool shown;
    int64_t begin_ms;
    int64_t next_ms; /* when to write again */
};

void progress_begin(struct progress *progress, const char *unit, bool quiet);

/* `done` of `total` bytes, 0 if it is not known; and how many units. */
void progress_show(struct progress *progress, uint64_t done, uint64_t total, uint64_t count);

/* Takes the line away. Returns how long it took, in milliseconds, at least 1. */
int64_t progress_end(struct progress *progress);

/* The line itself. */
#define PROGRESS_TEXT_MAX 160
void progress_text(char text[PROGRESS_TEXT_MAX], const char *unit, uint64_t done, uint64_t total,
                   uint64_t count, int64_t elapsed_ms);
