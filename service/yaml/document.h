/*
 * The document as a whole (format.h), read entry by entry: its head, then every
 * record that it names, in its order, each as a message with the place it stands
 * at. Nothing is kept of what was read.
 */
#pragma once

#include "yaml/read.h"

struct document_sealing {
    bool there;
    uint64_t n; /* parameters of scrypt */
    uint32_t r;
    uint32_t p;
    struct slice salt;
    struct slice check; /* a known text, sealed */
    struct mark at;
};

struct document_head {
    bool all; /* the scope; else these domains, as written */
    const char **domains;
    struct mark *domain_marks;
    size_t domain_count;
    struct document_sealing sealing;
};

struct document_member {
    const char *address;
    struct mark at;
};

/* One record. In the arena, valid until reset() is called. */
struct document_entry {
    enum record_kind kind;
    const char *parent; /* of a selector: its domain, as written; else "" */
    const char *name;   /* the record's key, as written; "" for the settings */
    struct mark at;     /* of the key */
    ProtobufCMessage *record;
    struct slice sealed_private_key; /* of a selector; absent: none is given */
    struct mark private_key_at;
    bool has_members; /* of an alias */
    struct document_member *members;
    size_t member_count;
};

/* Each returns false to stop the reading, having reported why. */
struct document_handler {
    bool (*head)(void *context, const struct document_head *head);
    /* The selectors of a domain come before the domain itself. */
    bool (*entry)(void *context, const struct document_entry *entry);
    /* A sealed secret of a record; NULL: reported. The entry has kind, parent and name so far. */
    char *(*open)(void *context, const struct document_entry *entry, const char *field,
                  struct mark at, const char *sealed);
    /* Between entries: what is in the arena may go. */
    void (*reset)(void *context);
    void *context;
};

/* Reads all of it. The arena escapes when it is full. False: stopped; problems are in the parser's
 * status, there may be some also when it is true. */
bool document_read(struct parser *parser, struct arena *arena,
                   const struct document_handler *handler);
