/*
 * YAML as it is read: one item after the other, never the whole in memory.
 *
 * Only what a configuration needs is accepted: one document of maps, lists and
 * scalars in UTF-8. Anchors, aliases, tags and directives, NUL, and what is nested deeper
 * than PARSER_DEPTH_MAX end the reading, and so does more than
 * PARSER_ITEM_MAX bytes without an item, so that memory stays bounded whatever
 * is read.
 *
 * Problems are reported into a status as violations of `path` ("accounts.dora"),
 * which the caller keeps up to date, each sentence with line and column in
 * front; metadata "line" and "column" say where the first is.
 */
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define PARSER_DEPTH_MAX 32
#define PARSER_ITEM_MAX  ((size_t) 8 * 1024 * 1024)
#define PARSER_PATH_MAX  1024

struct mark {
    unsigned line; /* from 1, as columns */
    unsigned column;
};

enum item_kind { ITEM_TEXT, ITEM_MAP, ITEM_MAP_END, ITEM_LIST, ITEM_LIST_END, ITEM_END };

struct item {
    enum item_kind kind;
    struct mark at;
    const char *text; /* of ITEM_TEXT; valid until the next item */
    size_t len;
    bool plain; /* without quotes */
};

/* Reads up to `size` bytes; 0: the end. False: failed, and reported. */
typedef bool (*parser_read_fn)(void *context, void *buffer, size_t size, size_t *len_out);

struct parser;

/* Everything is borrowed. NULL: out of memory. */
struct parser *parser_create(parser_read_fn read, void *context, struct status *status);
void parser_destroy(struct parser *parser); /* NULL is fine */

/* False: there is nothing more to be had; it was reported why. Behind ITEM_END it is not called. */
bool parser_next(struct parser *parser, struct item *item_out);
/* The rest of the node that `item` began. False as above. */
bool parser_skip(struct parser *parser, const struct item *item);

/* A problem at the present path. After STATUS_VIOLATIONS_MAX of them reading ends. */
void parser_problem(struct parser *parser, struct mark at, const char *format, ...) MX_PRINTF(3, 4);
/* Reports a problem of any path, in the same form. */
void parser_report(struct status *status, const char *path, struct mark at, const char *sentence);

/* The present path, to be given back to parser_leave(). */
size_t parser_enter(struct parser *parser, const char *name);   /* ".name", or "name" */
size_t parser_enter_index(struct parser *parser, size_t index); /* "[3]" */
void parser_leave(struct parser *parser, size_t before);
const char *parser_path(const struct parser *parser);
struct status *parser_status(struct parser *parser);
