#include "yaml/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct parser {
    yaml_parser_t yaml;
    yaml_event_t event;
    bool has_event;
    parser_read_fn read;
    void *context;
    struct status *status;
    size_t since_item; /* bytes read since the last item */
    bool began;
    uint32_t last; /* up to three bytes, the newest read lowest */
    bool has_directive;
    bool read_failed; /* reported */
    bool too_long;
    bool stopped;
    unsigned depth;
    char path[PARSER_PATH_MAX];
};

static struct mark mark_of(yaml_mark_t mark)
{
    return (struct mark){ (unsigned) mark.line + 1, (unsigned) mark.column + 1 };
}

/* --------------------------------------------------------------- reporting */

void parser_report(struct status *status, const char *path, struct mark at, const char *sentence)
{
    if (status->violation_count == 0) {
        char number[16];

        (void) snprintf(number, sizeof(number), "%u", at.line);
        status_metadata(status, "line", number);
        (void) snprintf(number, sizeof(number), "%u", at.column);
        status_metadata(status, "column", number);
    }
    (void) status_field(status, path, "line %u, column %u: %s", at.line, at.column, sentence);
}

void parser_problem(struct parser *parser, struct mark at, const char *format, ...)
{
    va_list args;
    const char *sentence;

    va_start(args, format);
    sentence = arena_vprintf(parser->status->arena, format, args);
    va_end(args);
    parser_report(parser->status, parser->path, at, sentence == NULL ? "is wrong" : sentence);
    parser->stopped = parser->stopped || parser->status->violation_count >= STATUS_VIOLATIONS_MAX;
}

static bool stop(struct parser *parser, struct mark at, const char *sentence)
{
    parser_problem(parser, at, "%s", sentence);
    parser->stopped = true;
    return false;
}

static bool stop_at_error(struct parser *parser)
{
    const yaml_parser_t *yaml = &parser->yaml;

    parser->stopped = true;
    if (parser->read_failed) {
        return false;
    }
    if (parser->has_directive) {
        return stop(parser, mark_of(yaml->mark),
                    "a line begins with '%' here or below: directives are not accepted, and text "
                    "that begins so must be indented");
    }
    if (parser->too_long) {
        return stop(parser, mark_of(yaml->mark), "a value is longer than 8 MiB");
    }
    if (yaml->error == YAML_MEMORY_ERROR || yaml->problem == NULL) {
        (void) status_fail(parser->status, MX_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                           "out of memory for the document");
        return false;
    }
    if (yaml->error == YAML_READER_ERROR) {
        /* libyaml knows the place of a byte that is no UTF-8 by its offset only: say how far it
         * has come. */
        parser_problem(parser, mark_of(yaml->mark), "not UTF-8 text: %s, at byte %zu",
                       yaml->problem, yaml->problem_offset);
        return false;
    }
    parser_problem(parser, mark_of(yaml->problem_mark), "not YAML: %s%s%s", yaml->problem,
                   yaml->context == NULL ? "" : " ", yaml->context == NULL ? "" : yaml->context);
    return false;
}

/* -------------------------------------------------------------------- path */

/* A name that the path's end cuts loses the character it is cut in. */
static size_t append_path(struct parser *parser, const char *before, const char *name)
{
    size_t len = strlen(parser->path);
    int whole = snprintf(parser->path + len, sizeof(parser->path) - len, "%s%s", before, name);
    size_t end = sizeof(parser->path) - 1;

    if (whole > 0 && (size_t) whole > end - len) {
        while (end > len && ((unsigned char) parser->path[end - 1] & 0xc0) == 0x80) {
            end--;
        }
        if (end > len && ((unsigned char) parser->path[end - 1] & 0x80) != 0) {
            end--;
        }
        parser->path[end] = '\0';
    }
    return len;
}

size_t parser_enter(struct parser *parser, const char *name)
{
    return append_path(parser, parser->path[0] == '\0' ? "" : ".", name);
}

size_t parser_enter_index(struct parser *parser, size_t index)
{
    char text[32];

    (void) snprintf(text, sizeof(text), "[%zu]", index);
    return append_path(parser, "", text);
}

void parser_leave(struct parser *parser, size_t before)
{
    parser->path[before] = '\0';
}

const char *parser_path(const struct parser *parser)
{
    return parser->path;
}

struct status *parser_status(struct parser *parser)
{
    return parser->status;
}

/* ----------------------------------------------------------------- reading */

/* Some editors put one in front; libyaml wants none when it is told the encoding. */
static void drop_byte_order_mark(unsigned char *buffer, size_t *len)
{
    if (*len >= 3 && memcmp(buffer, "\xef\xbb\xbf", 3) == 0) {
        *len -= 3;
        memmove(buffer, buffer + 3, *len);
    }
}

/* Whether a line ends with these bytes, by YAML 1.1: also with NEL, LS and PS. */
static bool ends_line(uint32_t last)
{
    return (last & 0xff) == '\n' || (last & 0xff) == '\r' || (last & 0xffff) == 0xc285 ||
           last == 0xe280a8 || last == 0xe280a9;
}

/* libyaml holds each directive against all before it, within one call: a small text of nothing else
 * would keep it busy for minutes. */
static bool find_directive(struct parser *parser, const unsigned char *bytes, size_t len)
{
    uint32_t last = parser->last;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '%' && ends_line(last)) {
            return true;
        }
        last = (last << 8 | bytes[i]) & 0xffffff;
    }
    parser->last = last;
    return false;
}

static int read_bytes(void *data, unsigned char *buffer, size_t size, size_t *size_read)
{
    struct parser *parser = data;

    if (parser->since_item > PARSER_ITEM_MAX) {
        parser->too_long = true;
        return 0;
    }
    if (!parser->read(parser->context, buffer, size, size_read)) {
        parser->read_failed = true;
        return 0;
    }
    if (!parser->began) {
        drop_byte_order_mark(buffer, size_read);
        parser->began = true;
        parser->last = '\n';
    }
    if (find_directive(parser, buffer, *size_read)) {
        parser->has_directive = true;
        return 0;
    }
    parser->since_item += *size_read;
    return 1;
}

static void drop_event(struct parser *parser)
{
    if (parser->has_event) {
        yaml_event_delete(&parser->event);
        parser->has_event = false;
    }
}

static bool next_event(struct parser *parser)
{
    drop_event(parser);
    if (parser->stopped) {
        return false;
    }
    if (!yaml_parser_parse(&parser->yaml, &parser->event)) {
        return stop_at_error(parser);
    }
    parser->has_event = true;
    parser->since_item = 0;
    return true;
}

struct parser *parser_create(parser_read_fn read, void *context, struct status *status)
{
    struct parser *parser = calloc(1, sizeof(*parser));

    if (parser == NULL || !yaml_parser_initialize(&parser->yaml)) {
        free(parser);
        return NULL;
    }
    parser->read = read;
    parser->context = context;
    parser->status = status;
    yaml_parser_set_encoding(&parser->yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input(&parser->yaml, read_bytes, parser);
    return parser;
}

void parser_destroy(struct parser *parser)
{
    if (parser != NULL) {
        drop_event(parser);
        yaml_parser_delete(&parser->yaml);
        free(parser);
    }
}

static bool refuse_decoration(struct parser *parser, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    struct mark at = mark_of(parser->event.start_mark);

    if (anchor != NULL) {
        return stop(parser, at, "anchors (&name) are not supported");
    }
    return tag == NULL || stop(parser, at, "tags (!name) are not supported");
}

static bool begin(struct parser *parser, struct item *item, enum item_kind kind)
{
    item->kind = kind;
    if (++parser->depth > PARSER_DEPTH_MAX) {
        return stop(parser, item->at, "nested too deeply");
    }
    return true;
}

static bool end(struct parser *parser, struct item *item, enum item_kind kind)
{
    item->kind = kind;
    parser->depth--;
    return true;
}

static bool take_text(struct parser *parser, struct item *item)
{
    const yaml_event_t *event = &parser->event;

    item->kind = ITEM_TEXT;
    item->text = (const char *) event->data.scalar.value;
    item->len = event->data.scalar.length;
    item->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (strlen(item->text) != item->len) {
        return stop(parser, item->at, "the text has a NUL in it");
    }
    return refuse_decoration(parser, event->data.scalar.anchor, event->data.scalar.tag);
}

/* Behind the first document there may only be the end. */
static bool take_end(struct parser *parser, struct item *item)
{
    item->kind = ITEM_END;
    if (!next_event(parser)) {
        return false;
    }
    if (parser->event.type != YAML_STREAM_END_EVENT) {
        return stop(parser, mark_of(parser->event.start_mark),
                    "a second document begins; a configuration is one");
    }
    return true;
}

bool parser_next(struct parser *parser, struct item *item)
{
    memset(item, 0, sizeof(*item));
    do {
        if (!next_event(parser)) {
            return false;
        }
    } while (parser->event.type == YAML_STREAM_START_EVENT ||
             parser->event.type == YAML_DOCUMENT_START_EVENT);
    item->at = mark_of(parser->event.start_mark);
    switch (parser->event.type) {
    case YAML_SCALAR_EVENT:
        return take_text(parser, item);
    case YAML_MAPPING_START_EVENT:
        return refuse_decoration(parser, parser->event.data.mapping_start.anchor,
                                 parser->event.data.mapping_start.tag) &&
               begin(parser, item, ITEM_MAP);
    case YAML_SEQUENCE_START_EVENT:
        return refuse_decoration(parser, parser->event.data.sequence_start.anchor,
                                 parser->event.data.sequence_start.tag) &&
               begin(parser, item, ITEM_LIST);
    case YAML_MAPPING_END_EVENT:
        return end(parser, item, ITEM_MAP_END);
    case YAML_SEQUENCE_END_EVENT:
        return end(parser, item, ITEM_LIST_END);
    case YAML_ALIAS_EVENT:
        return stop(parser, item->at, "aliases (*name) are not supported");
    case YAML_DOCUMENT_END_EVENT:
        return take_end(parser, item);
    case YAML_STREAM_END_EVENT:
        item->kind = ITEM_END;
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_START_EVENT:
        break;
    }
    return stop(parser, item->at, "not YAML");
}

bool parser_skip(struct parser *parser, const struct item *item)
{
    unsigned depth = parser->depth;
    struct item next;

    if (item->kind == ITEM_TEXT) {
        return true;
    }
    do {
        if (!parser_next(parser, &next)) {
            return false;
        }
    } while (parser->depth >= depth);
    return true;
}
