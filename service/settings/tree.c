#include "settings/tree.h"

#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    const char *text;
    size_t len;
    struct arena *arena;
    struct problems *problems;
    bool stopped; /* by a problem that reading cannot go on behind */
    bool out_of_memory;
};

static struct mark mark_of(yaml_mark_t mark)
{
    return (struct mark){ (unsigned) mark.line + 1, (unsigned) mark.column + 1 };
}

/* libyaml tells an undecodable byte by its offset only. */
static struct mark mark_of_offset(const struct reader *reader, size_t offset)
{
    struct mark at = { 1, 1 };

    for (size_t i = 0; i < offset && i < reader->len; i++) {
        if (reader->text[i] == '\n') {
            at.line++;
            at.column = 0;
        }
        at.column++;
    }
    return at;
}

static void stop_at_error(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;

    reader->stopped = true;
    if (parser->error == YAML_MEMORY_ERROR || parser->problem == NULL) {
        reader->out_of_memory = true;
    } else if (parser->error == YAML_READER_ERROR) {
        problems_add(reader->problems, mark_of_offset(reader, parser->problem_offset), NULL,
                     "not UTF-8 text: %s", parser->problem);
    } else {
        problems_add(reader->problems, mark_of(parser->problem_mark), NULL, "not YAML: %s%s%s",
                     parser->problem, parser->context == NULL ? "" : " ",
                     parser->context == NULL ? "" : parser->context);
    }
}

/* False: stopped; `event` needs no delete then. */
static bool next_event(struct reader *reader, yaml_event_t *event)
{
    if (reader->stopped) {
        return false;
    }
    if (!yaml_parser_parse(&reader->parser, event)) {
        stop_at_error(reader);
        return false;
    }
    return true;
}

static void stop_out_of_memory(struct reader *reader)
{
    reader->stopped = true;
    reader->out_of_memory = true;
}

static bool has_control_character(const char *text)
{
    for (const unsigned char *c = (const unsigned char *) text; *c != '\0'; c++) {
        /* C1 controls are C2 80 to C2 9F; terminals obey them too. */
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0)) {
            return true;
        }
    }
    return false;
}

/* NULL: refused, or out of memory. */
static const char *take_text(struct reader *reader, const yaml_event_t *event)
{
    const char *value = (const char *) event->data.scalar.value;
    size_t len = event->data.scalar.length;
    const char *text;

    if (strlen(value) != len || has_control_character(value)) {
        problems_add(reader->problems, mark_of(event->start_mark), NULL,
                     "the text has a control character in it");
        return NULL;
    }
    text = arena_strndup(reader->arena, value, len);
    if (text == NULL) {
        stop_out_of_memory(reader);
    }
    return text;
}

static void refuse_decoration(struct reader *reader, struct mark at, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    if (anchor != NULL) {
        problems_add(reader->problems, at, NULL, "anchors (&name) are not supported");
    }
    if (tag != NULL) {
        problems_add(reader->problems, at, NULL, "tags (!name) are not supported");
    }
}

static void append(struct reader *reader, struct tree_node *parent, struct tree_node ***end,
                   struct tree_node *child)
{
    if (++parent->count == TREE_ENTRIES_MAX + 1) {
        problems_add(reader->problems, child->at, NULL, "more than %d entries in one collection",
                     TREE_ENTRIES_MAX);
    }
    if (parent->count <= TREE_ENTRIES_MAX) {
        **end = child;
        *end = &child->next;
    }
}

static struct tree_node *read_node(struct reader *reader, yaml_event_t *event, unsigned depth);

static void read_list(struct reader *reader, struct tree_node *list, unsigned depth)
{
    struct tree_node **end = &list->first;
    yaml_event_t event;

    while (next_event(reader, &event) && event.type != YAML_SEQUENCE_END_EVENT) {
        struct tree_node *child = read_node(reader, &event, depth);

        if (child != NULL) {
            append(reader, list, &end, child);
        }
    }
}

static void read_map(struct reader *reader, struct tree_node *map, unsigned depth)
{
    struct tree_node **end = &map->first;
    yaml_event_t event;

    while (next_event(reader, &event) && event.type != YAML_MAPPING_END_EVENT) {
        struct tree_node *key = read_node(reader, &event, depth);
        struct tree_node *value =
            next_event(reader, &event) ? read_node(reader, &event, depth) : NULL;

        if (key == NULL || value == NULL) {
            continue;
        }
        if (key->kind != TREE_TEXT) {
            problems_add(reader->problems, key->at, NULL, "a key must be a text");
            continue;
        }
        value->key = key->text;
        value->key_at = key->at;
        append(reader, map, &end, value);
    }
}

static void read_collection(struct reader *reader, struct tree_node *node, unsigned depth)
{
    if (depth == TREE_DEPTH_MAX) {
        problems_add(reader->problems, node->at, NULL, "nested deeper than %d levels",
                     TREE_DEPTH_MAX);
        reader->stopped = true;
    } else if (node->kind == TREE_LIST) {
        read_list(reader, node, depth + 1);
    } else {
        read_map(reader, node, depth + 1);
    }
}

/* What an event says of its node. False: there is no node (an alias, a refused text). */
static bool describe_node(struct reader *reader, const yaml_event_t *event, struct tree_node *node)
{
    node->at = mark_of(event->start_mark);
    if (event->type == YAML_ALIAS_EVENT) {
        problems_add(reader->problems, node->at, NULL, "aliases (*name) are not supported");
        return false;
    }
    if (event->type == YAML_SCALAR_EVENT) {
        refuse_decoration(reader, node->at, event->data.scalar.anchor, event->data.scalar.tag);
        node->kind = TREE_TEXT;
        node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        node->text = take_text(reader, event);
        return node->text != NULL;
    }
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        refuse_decoration(reader, node->at, event->data.sequence_start.anchor,
                          event->data.sequence_start.tag);
        node->kind = TREE_LIST;
    } else {
        refuse_decoration(reader, node->at, event->data.mapping_start.anchor,
                          event->data.mapping_start.tag);
        node->kind = TREE_MAP;
    }
    return true;
}

/* The node that `event` begins, which is deleted; NULL: none. */
static struct tree_node *read_node(struct reader *reader, yaml_event_t *event, unsigned depth)
{
    struct tree_node *node = arena_alloc(reader->arena, sizeof(*node));
    bool is_node = false;

    if (node == NULL) {
        stop_out_of_memory(reader);
    } else {
        is_node = describe_node(reader, event, node);
    }
    yaml_event_delete(event);
    if (is_node && node->kind != TREE_TEXT) {
        read_collection(reader, node, depth);
    }
    return is_node ? node : NULL;
}

static bool begins_node(yaml_event_type_t type)
{
    return type == YAML_ALIAS_EVENT || type == YAML_SCALAR_EVENT ||
           type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
}

static struct tree_node *read_documents(struct reader *reader)
{
    struct tree_node *root = NULL;
    unsigned documents = 0;
    bool ended = false;
    yaml_event_t event;

    while (!ended && next_event(reader, &event)) {
        if (event.type == YAML_DOCUMENT_START_EVENT && ++documents == 2) {
            problems_add(reader->problems, mark_of(event.start_mark), NULL,
                         "a second document begins; the settings are one");
            ended = true;
            yaml_event_delete(&event);
        } else if (begins_node(event.type)) {
            root = read_node(reader, &event, 0);
        } else {
            ended = event.type == YAML_STREAM_END_EVENT;
            yaml_event_delete(&event);
        }
    }
    return root;
}

bool tree_read(const char *text, size_t len, struct arena *arena, struct problems *problems,
               struct tree_node **root_out)
{
    struct reader reader = { .text = text, .len = len, .arena = arena, .problems = problems };

    if (!yaml_parser_initialize(&reader.parser)) {
        return false;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    /* libyaml asserts that there is a text, also of length 0. */
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *) (len == 0 ? "" : text),
                                 len);

    struct tree_node *root = read_documents(&reader);

    yaml_parser_delete(&reader.parser);
    if (reader.out_of_memory) {
        return false;
    }
    /* Half a tree would be told as missing and misplaced keys, beside the one true problem. */
    *root_out = reader.stopped ? NULL : root;
    return true;
}

bool tree_is_nothing(const struct tree_node *node)
{
    return node->kind == TREE_TEXT && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}
