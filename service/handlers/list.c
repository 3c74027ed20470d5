#include "handlers/list.h"

struct progress {
    struct slice last; /* the last key looked at, in the arena */
    size_t records;
    size_t bytes;
    size_t steps;
};

static bool is_full(const struct progress *progress, const struct call_page *page, size_t next_len)
{
    return progress->records >= page->size || progress->steps >= CALL_PAGE_STEPS_MAX ||
           (progress->records > 0 && progress->bytes + next_len > CALL_PAGE_BYTES_MAX);
}

static struct slice keep(const struct list *list, struct slice key)
{
    return slice_of(arena_memdup(call_arena(list->call), key.data, key.len), key.len);
}

const char *list_page(const struct list *list, const struct call_page *page)
{
    struct progress progress = { page->after, 0, 0, 0 };
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, page->view, list->range, page->after, page->after.len > 0);
    while (store_cursor_next(&cursor, &entry)) {
        struct slice packed = entry.value;
        struct slice skip_to = { NULL, 0 };
        bool fits = list->record == NULL || list->record(list, &entry, &packed, &skip_to);

        if (is_full(&progress, page, fits ? packed.len : 0)) {
            return call_page_token(list->call, keep(list, progress.last));
        }
        progress.steps++;
        progress.last = entry.key;
        if (fits) {
            call_answer_field(list->call, list->number, packed);
            progress.records++;
            progress.bytes += packed.len;
        }
        if (skip_to.data != NULL) {
            progress.last = skip_to;
            store_cursor_init(&cursor, page->view, list->range, skip_to, true);
        }
    }
    return "";
}
