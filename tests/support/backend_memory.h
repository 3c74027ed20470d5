/*
 * The least backend that there can be: arrays in memory, for tests of the store
 * alone. It does as it is told, and can be told to fail in one way for the next
 * commit. One thread.
 */
#pragma once

#include "store/backend.h"

enum memory_fate {
    FATE_OK,
    FATE_CONFLICT,
    FATE_REPLAY,
    FATE_TOO_BIG,
    FATE_READ_ONLY,
    FATE_FAILED,
    FATE_UNKNOWN_APPLIED,
    FATE_UNKNOWN_LOST,
};

/* Aborts when out of memory: it is a test. */
struct backend *backend_memory_create(void);

/* What the next commit meets. */
void backend_memory_set_fate(struct backend *backend, enum memory_fate fate);

/* As many reopen() from now on fail. */
void backend_memory_set_unreachable(struct backend *backend, unsigned times);

/* What limits() answers. Without: none to speak of. */
void backend_memory_set_limits(struct backend *backend, size_t requests, size_t bytes);

size_t backend_memory_record_count(const struct backend *backend);
size_t backend_memory_commit_count(const struct backend *backend);
struct position backend_memory_head(const struct backend *backend);

/* Spoils the newest change of the history. */
void backend_memory_spoil_history(struct backend *backend);
