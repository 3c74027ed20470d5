#include "yaml/document.h"

#include "mxadm/v1/model.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define SCOPE_DOMAINS_MAX 10000
#define MEMBERS_MAX       100000

struct document {
    struct read read;
    const struct document_handler *handler;
    struct document_head head;
    bool has_format;
    bool has_scope;
    bool head_done;
    enum format_section next; /* the first section that may come */
    struct document_entry entry;
    struct document_entry selector; /* of the domain being read */
    bool has_selectors;             /* the domain has its list of them already */
};

static const enum record_kind kinds[FORMAT_SECTIONS] = {
    [FORMAT_CONFIG] = RECORD_CONFIG,    [FORMAT_DOMAINS] = RECORD_DOMAIN,
    [FORMAT_ACCOUNTS] = RECORD_ACCOUNT, [FORMAT_ADDRESSES] = RECORD_ADDRESS,
    [FORMAT_ALIASES] = RECORD_ALIAS,    [FORMAT_TLS_PUBLIC_KEYS] = RECORD_TLS_PUBLIC_KEY,
};

static ProtobufCMessage *new_record(struct document *document, enum record_kind kind)
{
    const ProtobufCMessageDescriptor *type = record_descriptor(kind);
    ProtobufCMessage *record = arena_alloc(document->read.arena, type->sizeof_message);

    protobuf_c_message_init(type, record);
    return record;
}

/* -------------------------------------------------------------------- head */

static bool read_format(struct document *document)
{
    const char *text;
    struct mark at;

    if (!read_text(&document->read, &text, &at)) {
        return false;
    }
    document->has_format = true;
    if (text != NULL && strcmp(text, FORMAT_NAME) != 0) {
        parser_problem(document->read.parser, at, "%s is not \"" FORMAT_NAME "\"",
                       name_show(document->read.arena, text));
        return false; /* what follows may mean anything */
    }
    return true;
}

static bool read_scope_list(struct document *document)
{
    struct read *read = &document->read;
    struct document_head *head = &document->head;
    struct item item;

    head->domains = arena_alloc(read->arena, SCOPE_DOMAINS_MAX * sizeof(*head->domains));
    head->domain_marks = arena_alloc(read->arena, SCOPE_DOMAINS_MAX * sizeof(*head->domain_marks));
    while (parser_next(read->parser, &item)) {
        if (item.kind == ITEM_LIST_END) {
            return true;
        }
        if (item.kind != ITEM_TEXT || head->domain_count == SCOPE_DOMAINS_MAX) {
            parser_problem(read->parser, item.at, "must be a list of at most %d domains",
                           SCOPE_DOMAINS_MAX);
            return false;
        }
        head->domains[head->domain_count] = arena_strndup(read->arena, item.text, item.len);
        head->domain_marks[head->domain_count++] = item.at;
    }
    return false;
}

static bool read_scope(struct document *document)
{
    struct parser *parser = document->read.parser;
    struct item item;

    if (!parser_next(parser, &item)) {
        return false;
    }
    document->has_scope = true;
    if (item.kind == ITEM_LIST) {
        return read_scope_list(document);
    }
    if (item.kind != ITEM_TEXT || strcmp(item.text, "all") != 0) {
        parser_problem(parser, item.at, "must be \"all\" or a list of domains");
        return false;
    }
    document->head.all = true;
    return true;
}

static bool is_number(const char *text, uint64_t *number)
{
    char *end;

    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static bool is_sealing_value(struct document *document, const char *key, const char *text)
{
    struct document_sealing *sealing = &document->head.sealing;
    struct arena *arena = document->read.arena;
    uint64_t number = 0;

    if (strcmp(key, "kdf") == 0) {
        return strcmp(text, "scrypt") == 0;
    }
    if (strcmp(key, "salt") == 0) {
        return format_parse_base64(arena, text, &sealing->salt);
    }
    if (strcmp(key, "check") == 0) {
        return format_parse_base64(arena, text, &sealing->check);
    }
    if (!is_number(text, &number) || number > UINT32_MAX) {
        return false;
    }
    if (strcmp(key, "n") == 0) {
        sealing->n = number;
    } else if (strcmp(key, "r") == 0) {
        sealing->r = (uint32_t) number;
    } else if (strcmp(key, "p") == 0) {
        sealing->p = (uint32_t) number;
    } else {
        return false;
    }
    return true;
}

static bool read_sealing(struct document *document)
{
    struct read *read = &document->read;
    struct document_sealing *sealing = &document->head.sealing;
    const char *key;
    const char *text;
    struct item item;
    struct mark at;

    if (!parser_next(read->parser, &item)) {
        return false;
    }
    sealing->at = item.at;
    sealing->there = true;
    if (item.kind != ITEM_MAP) {
        parser_problem(read->parser, item.at, "must be a map");
        return false;
    }
    while (read_key(read, &key, &at)) {
        if (key == NULL) {
            return true;
        }
        if (!read_text(read, &text, &at)) {
            return false;
        }
        if (text == NULL || !is_sealing_value(document, key, text)) {
            parser_problem(read->parser, at, "%s can't have this value",
                           name_show(read->arena, key));
            return false;
        }
    }
    return false;
}

/* What the document says of itself is complete: the handler's turn. */
static bool end_head(struct document *document, struct mark at)
{
    struct parser *parser = document->read.parser;

    if (document->head_done) {
        return true;
    }
    document->head_done = true;
    if (!document->has_format || !document->has_scope) {
        parser_problem(parser, at,
                       "the document has to begin with \"format: " FORMAT_NAME
                       "\" and \"scope: all\" (or a list of domains)");
        return false;
    }
    return document->handler->head(document->handler->context, &document->head);
}

/* ----------------------------------------------------------------- members */

static bool read_members(struct document *document)
{
    struct read *read = &document->read;
    struct document_entry *entry = &document->entry;
    size_t capacity = 0;
    struct item item;

    if (!parser_next(read->parser, &item)) {
        return false;
    }
    if (item.kind != ITEM_LIST) {
        parser_problem(read->parser, item.at, "must be a list");
        return parser_skip(read->parser, &item);
    }
    entry->has_members = true;
    while (parser_next(read->parser, &item)) {
        if (item.kind == ITEM_LIST_END) {
            return true;
        }
        if (item.kind != ITEM_TEXT || entry->member_count == MEMBERS_MAX) {
            parser_problem(read->parser, item.at, "must be a list of at most %d addresses",
                           MEMBERS_MAX);
            return false;
        }
        if (entry->member_count == capacity) {
            struct document_member *members = entry->members;

            capacity = capacity == 0 ? 8 : 2 * capacity;
            entry->members = arena_alloc(read->arena, capacity * sizeof(*members));
            if (members != NULL) {
                memcpy(entry->members, members, entry->member_count * sizeof(*members));
            }
        }
        entry->members[entry->member_count++] =
            (struct document_member){ arena_strndup(read->arena, item.text, item.len), item.at };
    }
    return false;
}

/* --------------------------------------------------------------- selectors */

static bool read_private_key(struct document *document)
{
    struct read *read = &document->read;
    struct document_entry *selector = &document->selector;
    const char *text;

    if (!read_text(read, &text, &selector->private_key_at)) {
        return false;
    }
    if (text != NULL && (!format_parse_base64(read->arena, text, &selector->sealed_private_key) ||
                         selector->sealed_private_key.len == 0)) {
        selector->sealed_private_key = slice_of(NULL, 0);
        parser_problem(read->parser, selector->private_key_at, "is not base64");
    }
    return true;
}

static bool read_selector(struct document *document, const char *name, struct mark at)
{
    struct read *read = &document->read;
    struct document_entry *selector = &document->selector;
    struct item item;

    memset(selector, 0, sizeof(*selector));
    selector->kind = RECORD_DKIM_SELECTOR;
    selector->parent = document->entry.name;
    selector->name = name;
    selector->at = at;
    selector->record = new_record(document, RECORD_DKIM_SELECTOR);
    return parser_next(read->parser, &item) && read_record(read, &item, selector->record) &&
           document->handler->entry(document->handler->context, selector);
}

static bool read_selectors(struct document *document)
{
    struct read *read = &document->read;
    const char *name;
    struct item item;
    struct mark at;

    if (!parser_next(read->parser, &item)) {
        return false;
    }
    if (item.kind != ITEM_MAP) {
        if (read_is_nothing(&item)) {
            return true;
        }
        parser_problem(read->parser, item.at, "must be a map");
        return parser_skip(read->parser, &item);
    }
    while (read_key(read, &name, &at)) {
        size_t before;
        bool going;

        if (name == NULL) {
            return true;
        }
        before = parser_enter(read->parser, name);
        going = read_selector(document, name, at);
        parser_leave(read->parser, before);
        if (!going) {
            return false;
        }
    }
    return false;
}

/* ----------------------------------------------------------------- entries */

static enum read_extra twice(struct document *document, struct mark at)
{
    parser_problem(document->read.parser, at, "is there twice");
    return READ_STOPPED;
}

static enum read_extra taken(bool going)
{
    return going ? READ_TAKEN : READ_STOPPED;
}

/* Keys of a record that are no fields of it. */
static enum read_extra extra(void *context, struct read *read, ProtobufCMessage *record,
                             const char *key, struct mark at)
{
    struct document *document = context;

    (void) read;
    if (record->descriptor == &mxadm__v1__domain__descriptor &&
        strcmp(key, "dkim_selectors") == 0) {
        if (document->has_selectors) {
            return twice(document, at);
        }
        document->has_selectors = true;
        return taken(read_selectors(document));
    }
    if (record->descriptor == &mxadm__v1__dkim_selector__descriptor &&
        strcmp(key, FORMAT_PRIVATE_KEY) == 0) {
        return document->selector.sealed_private_key.data != NULL
                   ? twice(document, at)
                   : taken(read_private_key(document));
    }
    if (record->descriptor == &mxadm__v1__alias__descriptor && strcmp(key, "members") == 0) {
        return document->entry.has_members ? twice(document, at) : taken(read_members(document));
    }
    return READ_UNKNOWN;
}

static char *open_secret(void *context, const char *field, struct mark at, const char *sealed)
{
    struct document *document = context;

    return document->handler->open(document->handler->context, &document->entry, field, at, sealed);
}

/* The value of an entry whose key was read. */
static bool read_entry(struct document *document, enum record_kind kind, const char *name,
                       struct mark at, const struct item *item)
{
    struct document_entry *entry = &document->entry;
    bool going;

    memset(entry, 0, sizeof(*entry));
    entry->kind = kind;
    entry->parent = "";
    entry->name = name;
    entry->at = at;
    entry->record = new_record(document, kind);
    document->has_selectors = false;
    going = read_record(&document->read, item, entry->record) &&
            document->handler->entry(document->handler->context, entry);
    document->handler->reset(document->handler->context);
    return going;
}

static bool read_entries(struct document *document, enum record_kind kind)
{
    struct read *read = &document->read;
    const char *name;
    struct mark at;

    while (read_key(read, &name, &at)) {
        struct item item;
        size_t before;
        bool going;

        if (name == NULL) {
            return true;
        }
        before = parser_enter(read->parser, name);
        going = parser_next(read->parser, &item) && read_entry(document, kind, name, at, &item);
        parser_leave(read->parser, before);
        if (!going) {
            return false;
        }
    }
    return false;
}

static bool read_section(struct document *document, enum format_section section, struct mark at)
{
    struct parser *parser = document->read.parser;
    struct item item;

    if (section < document->next) {
        parser_problem(parser, at, "is there twice, or behind a section that it belongs before");
        return false;
    }
    document->next = section + 1;
    if (!end_head(document, at) || !parser_next(parser, &item)) {
        return false;
    }
    if (section == FORMAT_CONFIG) {
        return read_entry(document, RECORD_CONFIG, "", at, &item);
    }
    if (read_is_nothing(&item)) {
        return true;
    }
    if (item.kind != ITEM_MAP) {
        parser_problem(parser, item.at, "must be a map");
        return parser_skip(parser, &item);
    }
    return read_entries(document, kinds[section]);
}

static bool read_top(struct document *document, const char *key, struct mark at)
{
    struct parser *parser = document->read.parser;

    for (int section = 0; section < FORMAT_SECTIONS; section++) {
        if (strcmp(key, format_section_name((enum format_section) section)) == 0) {
            return read_section(document, (enum format_section) section, at);
        }
    }
    if (document->head_done) {
        parser_problem(parser, at, "unknown key");
        return false;
    }
    if (strcmp(key, "format") == 0 && !document->has_format) {
        return read_format(document);
    }
    if (strcmp(key, "scope") == 0 && !document->has_scope) {
        return read_scope(document);
    }
    if (strcmp(key, "sealing") == 0 && !document->head.sealing.there) {
        return read_sealing(document);
    }
    parser_problem(parser, at, "unknown key, or there twice");
    return false;
}

static bool read_all(struct document *document)
{
    struct read *read = &document->read;
    const char *key;
    struct item item;
    struct mark at;

    if (!parser_next(read->parser, &item)) {
        return false;
    }
    if (item.kind != ITEM_MAP) {
        parser_problem(read->parser, item.at, "the document must be a map");
        return false;
    }
    while (read_key(read, &key, &at)) {
        size_t before;
        bool going;

        if (key == NULL) {
            return end_head(document, at) && parser_next(read->parser, &item);
        }
        before = parser_enter(read->parser, key);
        going = read_top(document, key, at);
        parser_leave(read->parser, before);
        if (!going) {
            return false;
        }
    }
    return false;
}

bool document_read(struct parser *parser, struct arena *arena,
                   const struct document_handler *handler)
{
    struct document document = {
        .read = { .parser = parser, .arena = arena, .open = open_secret, .extra = extra },
        .handler = handler,
    };

    document.read.context = &document;
    return read_all(&document);
}
