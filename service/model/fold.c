#include "model/fold.h"

#include "store/change.h"

#include <stdlib.h>
#include <string.h>

/* A hash table that is at most half full; a slot without a key is empty. All in it is its own. */
struct fold {
    struct backend_edit *slots;
    size_t slot_count; /* a power of two */
    size_t count;
    size_t bytes;
    size_t bytes_max;
    bool before_alone;
};

#define SLOTS_FIRST 1024

struct fold *fold_create(size_t bytes_max, bool before_alone)
{
    struct fold *fold = calloc(1, sizeof(*fold));

    if (fold == NULL) {
        return NULL;
    }
    fold->slots = calloc(SLOTS_FIRST, sizeof(*fold->slots));
    if (fold->slots == NULL) {
        free(fold);
        return NULL;
    }
    fold->slot_count = SLOTS_FIRST;
    fold->bytes = SLOTS_FIRST * sizeof(*fold->slots);
    fold->bytes_max = bytes_max;
    fold->before_alone = before_alone;
    return fold;
}

void fold_destroy(struct fold *fold)
{
    if (fold == NULL) {
        return;
    }
    for (size_t i = 0; i < fold->slot_count; i++) {
        free((void *) fold->slots[i].key);
        free((void *) fold->slots[i].before);
        free((void *) fold->slots[i].after);
    }
    free(fold->slots);
    free(fold);
}

/* FNV-1a. */
static size_t hash(const uint8_t *key, size_t len)
{
    uint64_t value = 0xcbf29ce484222325;

    for (size_t i = 0; i < len; i++) {
        value = (value ^ key[i]) * 0x100000001b3;
    }
    return (size_t) (value ^ value >> 32);
}

/* Where the key is, or is to be. */
static struct backend_edit *find(struct backend_edit *slots, size_t slot_count, const uint8_t *key,
                                 size_t len)
{
    size_t at = hash(key, len) & (slot_count - 1);

    while (slots[at].key != NULL &&
           (slots[at].key_len != len || memcmp(slots[at].key, key, len) != 0)) {
        at = (at + 1) & (slot_count - 1);
    }
    return &slots[at];
}

static enum mx_code too_much(struct mx_error *err)
{
    return mx_fail(err, MX_RESOURCE_EXHAUSTED,
                   "more was changed between these revisions than is looked at in one call");
}

static enum mx_code grow(struct fold *fold, struct mx_error *err)
{
    size_t slot_count = fold->slot_count * 2;
    struct backend_edit *slots;

    if (fold->bytes + slot_count * sizeof(*slots) > fold->bytes_max) {
        return too_much(err);
    }
    slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    for (size_t i = 0; i < fold->slot_count; i++) {
        if (fold->slots[i].key != NULL) {
            *find(slots, slot_count, fold->slots[i].key, fold->slots[i].key_len) = fold->slots[i];
        }
    }
    free(fold->slots);
    fold->slots = slots;
    fold->bytes += (slot_count - fold->slot_count) * sizeof(*slots);
    fold->slot_count = slot_count;
    return MX_OK;
}

/* A copy on the heap; NULL for what is absent. */
static enum mx_code copy(struct fold *fold, const uint8_t *from, size_t len, const uint8_t **to,
                         struct mx_error *err)
{
    uint8_t *bytes;

    *to = NULL;
    if (from == NULL) {
        return MX_OK;
    }
    if (len > fold->bytes_max - fold->bytes) {
        return too_much(err);
    }
    bytes = malloc(len + 1); /* never of size 0 */
    if (bytes == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    memcpy(bytes, from, len);
    fold->bytes += len;
    *to = bytes;
    return MX_OK;
}

static enum mx_code add_first(struct fold *fold, struct backend_edit *slot,
                              const struct backend_edit *edit, struct mx_error *err)
{
    struct backend_edit first = { .key_len = edit->key_len, .before_len = edit->before_len };
    enum mx_code code = copy(fold, edit->before, edit->before_len, &first.before, err);

    if (code == MX_OK) {
        code = copy(fold, edit->key, edit->key_len, &first.key, err);
    }
    if (code != MX_OK) {
        free((void *) first.before);
        return code;
    }
    *slot = first;
    fold->count++;
    return MX_OK;
}

static enum mx_code add_edit(struct fold *fold, const struct backend_edit *edit,
                             struct mx_error *err)
{
    struct backend_edit *slot;
    enum mx_code code = MX_OK;

    if (fold->count * 2 >= fold->slot_count) {
        code = grow(fold, err);
    }
    if (code != MX_OK) {
        return code;
    }
    slot = find(fold->slots, fold->slot_count, edit->key, edit->key_len);
    if (slot->key == NULL) {
        code = add_first(fold, slot, edit, err);
    }
    if (code != MX_OK || fold->before_alone) {
        return code;
    }
    if (slot->after != NULL) {
        fold->bytes -= slot->after_len;
        free((void *) slot->after);
    }
    slot->after_len = edit->after_len;
    return copy(fold, edit->after, edit->after_len, &slot->after, err);
}

enum mx_code fold_add(struct fold *fold, struct slice change, struct mx_error *err)
{
    struct change_reader reader;
    struct backend_edit edit;
    enum mx_code code = MX_OK;
    int more = -1;

    if (change_open(&reader, change.data, change.len)) {
        while (code == MX_OK && (more = change_next(&reader, &edit)) > 0) {
            code = add_edit(fold, &edit, err);
        }
    }
    if (code == MX_OK && more < 0) {
        code = mx_fail(err, MX_DATA_LOSS, "a change of the history can't be read");
    }
    return code;
}

static int compare(const void *a, const void *b)
{
    const struct backend_edit *first = a;
    const struct backend_edit *second = b;
    size_t len = first->key_len < second->key_len ? first->key_len : second->key_len;
    int order = memcmp(first->key, second->key, len);

    if (order != 0) {
        return order;
    }
    return (first->key_len > second->key_len) - (first->key_len < second->key_len);
}

const struct backend_edit *fold_edits(struct fold *fold, size_t *count_out)
{
    size_t count = 0;

    for (size_t i = 0; i < fold->slot_count; i++) {
        if (fold->slots[i].key != NULL) {
            struct backend_edit edit = fold->slots[i];

            memset(&fold->slots[i], 0, sizeof(edit));
            fold->slots[count++] = edit;
        }
    }
    if (count > 1) {
        qsort(fold->slots, count, sizeof(*fold->slots), compare);
    }
    *count_out = count;
    return fold->slots;
}
