/*
 * Changes of the history folded into one: for each record that was changed
 * between two revisions, what it was before the first of them and after the
 * last.
 */
#pragma once

#include "store/store.h"

/* What a fold takes at most; a history in which more was changed is beyond what is compared or
 * taken back in one piece. */
#define FOLD_BYTES_MAX ((size_t) 256 * 1024 * 1024)

struct fold;

/* NULL: out of memory. `before_alone`: what records are after the last change is not kept. */
struct fold *fold_create(size_t bytes_max, bool before_alone);
void fold_destroy(struct fold *fold); /* NULL is fine */

/*
 * Adds the next change (packed). RESOURCE_EXHAUSTED: beyond the limit, or out of memory; DATA_LOSS:
 * the change is damaged.
 */
MX_MUST_USE enum mx_code fold_add(struct fold *fold, struct slice change, struct mx_error *err);

/* All, in order of keys, those too that ended as they began; with `before_alone` without `after`.
 * Borrowed; the last thing asked of a fold. */
const struct backend_edit *fold_edits(struct fold *fold, size_t *count_out);
