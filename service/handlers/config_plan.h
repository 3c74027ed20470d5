/*
 * A plan: what a document wants, beside what there is.
 *
 * Read by ConfigApply's prepare(), on a thread that may take its time; carried
 * out by its handler, if the configuration is still at the plan's revision. Of
 * every record that the document names the plan has the key and the place in
 * the document, so that a second naming is found, what is not named can be
 * removed, and whatever rule is broken can be told by line and column; the
 * record itself only if it differs from what is stored. Its memory is its own,
 * at most PLAN_BYTES_MAX.
 */
#pragma once

#include "keys/key.h"
#include "model/record.h"
#include "rpc/call.h"
#include "yaml/document.h"

#define PLAN_BYTES_MAX ((size_t) 2 * 1024 * 1024 * 1024)

struct plan_selector;

struct plan_entry {
    struct plan_entry *next;        /* in the order of the document */
    struct plan_entry *chained;     /* of the same hash */
    struct plan_selector *selector; /* that is to be made; else NULL */
    struct mark at;                 /* of the alias that names a member: of the member */
    uint8_t kind;
    bool changed;     /* `packed` is to be stored */
    uint16_t key_len; /* data: the key, and behind it the packed record if it changed */
    uint32_t packed_len;
    uint8_t data[];
};

/* A record that the document does not have, or a member that its alias does not name. */
struct plan_removal {
    struct plan_removal *next;
    uint8_t kind;
    uint16_t key_len;
    uint8_t key[];
};

/* A selector that is to be made. */
struct plan_selector {
    struct plan_selector *next;
    enum key_kind kind;
    struct key *key; /* the document's; NULL: from the pool */
};

struct plan {
    struct rpc_call *call; /* that keeps it */
    uint64_t revision;     /* that it was made for */
    struct arena *arena;
    struct plan_entry *first;
    struct plan_entry **end;
    struct plan_entry **table; /* by key */
    size_t table_size;
    size_t count;
    struct plan_removal *removals;
    struct plan_selector *selectors;
    int fd;        /* of the staged document, closed with the plan; -1: none */
    void *reading; /* what reads the document; NULL when it was read */
    void (*reading_destroy)(void *reading);
    /* Set once the plan was carried out: called when the call ends, or comes again. */
    void (*end_document)(const struct plan *plan);
};

static inline struct slice plan_key(const struct plan_entry *entry)
{
    return slice_of(entry->data, entry->key_len);
}

static inline struct slice plan_packed(const struct plan_entry *entry)
{
    return slice_of(entry->data + entry->key_len, entry->packed_len);
}

/* What the document says of a key; NULL: nothing. */
struct plan_entry *plan_find(const struct plan *plan, struct slice key);

/* Where reading a document comes from. */
struct plan_source {
    parser_read_fn read;
    void *context;
    int fd;                 /* to be closed when it was read, in any case; -1: none */
    const char *passphrase; /* "": none */
    bool prune;
};

/* Reads the document into a plan, which the call keeps (call_kept()); what is wrong with it is
 * reported. NULL: out of memory, reported. */
struct plan *plan_read(struct rpc_call *call, const struct plan_source *source);
