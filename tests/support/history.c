#include "support/history.h"

#include "store/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MEMORY ((size_t) 512 * 1024 * 1024)

/* Not a test's assertion: this library is used by benchmarks and child processes as well. */
static void require(bool holds, const char *what, const struct mx_error *err)
{
    if (!holds) {
        (void) fprintf(stderr, "history: %s: %s\n", what, err == NULL ? "" : err->message);
        abort();
    }
}

void group_init(struct group *group)
{
    *group = (struct group){ .arena = arena_create(GROUP_MEMORY) };
    require(group->arena != NULL, "out of memory", NULL);
}

void group_fini(struct group *group)
{
    arena_destroy(group->arena);
    free(group->requests);
    *group = (struct group){ 0 };
}

static void group_clear(struct group *group)
{
    arena_reset(group->arena);
    group->count = 0;
}

void group_request(struct group *group, const char *id)
{
    struct backend_request *request;

    if (group->count == group->capacity) {
        group->capacity = group->capacity == 0 ? 16 : group->capacity * 2;
        group->requests = realloc(group->requests, group->capacity * sizeof(*group->requests));
        require(group->requests != NULL, "out of memory", NULL);
    }
    request = &group->requests[group->count++];
    *request = (struct backend_request){ .time_us = (int64_t) group->count };
    if (id != NULL) {
        request->id_len = strlen(id);
        request->id = arena_memdup(group->arena, id, request->id_len);
        digest(id, request->id_len, request->digest);
        request->answer = (const uint8_t *) arena_printf(group->arena, "answer to %s", id);
        request->answer_len = strlen((const char *) request->answer);
    }
}

struct backend_request *group_last(struct group *group)
{
    return &group->requests[group->count - 1];
}

static void add_edit(struct group *group, const struct backend_edit *edit)
{
    struct backend_request *request = group_last(group);
    struct backend_edit *edits =
        arena_alloc(group->arena, (request->edit_count + 1) * sizeof(*edits));

    require(edits != NULL, "out of memory", NULL);
    if (request->edit_count > 0) {
        memcpy(edits, request->edits, request->edit_count * sizeof(*edits));
    }
    edits[request->edit_count++] = *edit;
    request->edits = edits;
}

void group_put(struct group *group, const void *key, size_t key_len, const void *value,
               size_t value_len)
{
    add_edit(group, &(struct backend_edit){
                        .key = arena_memdup(group->arena, key, key_len),
                        .key_len = key_len,
                        .after = arena_memdup(group->arena, value, value_len),
                        .after_len = value_len,
                    });
}

void group_put_text(struct group *group, const char *key, const char *value)
{
    group_put(group, key, strlen(key), value, strlen(value));
}

void group_delete(struct group *group, const void *key, size_t key_len)
{
    add_edit(group, &(struct backend_edit){
                        .key = arena_memdup(group->arena, key, key_len),
                        .key_len = key_len,
                        .before = (const uint8_t *) "?",
                        .before_len = 1,
                    });
}

const struct backend_request *group_pack(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct backend_request *request = &group->requests[i];
        struct buffer packed = BUFFER_INIT;

        if (request->edit_count == 0) {
            continue;
        }
        change_begin(&packed, (const uint8_t *) "head", 4, request->edit_count);
        for (size_t k = 0; k < request->edit_count; k++) {
            change_put_edit(&packed, &request->edits[k]);
        }
        require(!buffer_failed(&packed), "out of memory", NULL);
        request->change = arena_memdup(group->arena, packed.data, packed.len);
        request->change_len = packed.len;
        buffer_fini(&packed);
    }
    return group->requests;
}

enum backend_result group_commit_after(struct group *group, struct backend *backend,
                                       const struct position *expected,
                                       struct position *position_out, size_t *replay_index)
{
    struct mx_error err;
    size_t index = 0;
    enum backend_result result = backend->ops->commit(
        backend, expected, group_pack(group), group->count, INT64_MAX, position_out, &index, &err);

    if (replay_index != NULL) {
        *replay_index = index;
    }
    return result;
}

struct position history_head(struct backend *backend)
{
    struct position head;
    struct mx_error err;

    require(backend->ops->barrier(backend, &head, &err) == BACKEND_OK, "no head", &err);
    return head;
}

struct position group_commit(struct group *group, struct backend *backend)
{
    struct position head = history_head(backend);
    struct position after;
    struct mx_error err = { .message = "" };
    size_t index;

    require(backend->ops->commit(backend, &head, group_pack(group), group->count, INT64_MAX, &after,
                                 &index, &err) == BACKEND_OK,
            "commit", &err);
    group_clear(group);
    return after;
}

struct position history_put(struct backend *backend, const char *id, const char *key,
                            const char *value)
{
    struct group group;
    struct position after;

    group_init(&group);
    group_request(&group, id);
    group_put_text(&group, key, value);
    after = group_commit(&group, backend);
    group_fini(&group);
    return after;
}
