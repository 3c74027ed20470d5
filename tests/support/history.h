/*
 * Writes history for tests: builds the requests of a commit, edit by edit, and
 * commits them behind the head. What it is given is copied.
 */
#pragma once

#include "base/arena.h"
#include "store/backend.h"

struct group {
    struct arena *arena;
    struct backend_request *requests;
    size_t count;
    size_t capacity;
};

void group_init(struct group *group);
void group_fini(struct group *group);

/* Begins the next request; the edits that follow are its own. NULL or "": not remembered. */
void group_request(struct group *group, const char *id);
void group_put(struct group *group, const void *key, size_t key_len, const void *value,
               size_t value_len);
void group_put_text(struct group *group, const char *key, const char *value);
void group_delete(struct group *group, const void *key, size_t key_len);

/* The request begun last; time, answer and digest may be set in it. */
struct backend_request *group_last(struct group *group);

/* Packs the changes. Once, when all is there. */
const struct backend_request *group_pack(struct group *group);

/* group_pack(), and commits behind `expected`; `replay_index` may be NULL. */
enum backend_result group_commit_after(struct group *group, struct backend *backend,
                                       const struct position *expected,
                                       struct position *position_out, size_t *replay_index);

/* The same behind the backend's head, which must succeed; clears the group. */
struct position group_commit(struct group *group, struct backend *backend);

/* One request with one record, committed. */
struct position history_put(struct backend *backend, const char *id, const char *key,
                            const char *value);

/* The backend's head, which must be known. */
struct position history_head(struct backend *backend);
