/*
 * What all lists do: walk a range of the list's snapshot from where the page
 * begins, add records to the answer until the page is full, and make the token
 * for the next one.
 */
#pragma once

#include "rpc/call.h"

struct list {
    struct rpc_call *call;
    struct slice range; /* keys to walk */
    unsigned number;    /* field of the response that repeats the record */
    /*
     * The packed record of an entry, or false to leave it out. NULL: the entry's value. `*skip_to`
     * may be set to a key to go on from (a filter that knows that nothing before it fits).
     */
    bool (*record)(const struct list *list, const struct store_entry *entry,
                   struct slice *packed_out, struct slice *skip_to);
    const void *context;
};

/* Fills the page. Returns the token of the next page, "" if this is the last. */
const char *list_page(const struct list *list, const struct call_page *page);
