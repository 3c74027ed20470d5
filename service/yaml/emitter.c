#include "yaml/emitter.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

struct emitter {
    yaml_emitter_t yaml;
    struct buffer *out;
    bool failed;
};

static int write_bytes(void *data, unsigned char *bytes, size_t size)
{
    struct buffer *out = data;

    buffer_put(out, bytes, size);
    return !buffer_failed(out);
}

/* Consumes the event. */
static void emit(struct emitter *emitter, yaml_event_t *event, int made)
{
    if (!made || emitter->failed) {
        if (made) {
            yaml_event_delete(event);
        }
        emitter->failed = true;
        return;
    }
    /* libyaml deletes the event whether or not it could be written. */
    emitter->failed = !yaml_emitter_emit(&emitter->yaml, event);
}

struct emitter *emitter_create(struct buffer *out)
{
    struct emitter *emitter = calloc(1, sizeof(*emitter));
    yaml_event_t event;

    if (emitter == NULL || !yaml_emitter_initialize(&emitter->yaml)) {
        free(emitter);
        return NULL;
    }
    emitter->out = out;
    yaml_emitter_set_output(&emitter->yaml, write_bytes, out);
    yaml_emitter_set_unicode(&emitter->yaml, 1);
    yaml_emitter_set_width(&emitter->yaml, -1);
    emit(emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    return emitter;
}

void emitter_destroy(struct emitter *emitter)
{
    if (emitter != NULL) {
        yaml_emitter_delete(&emitter->yaml);
        free(emitter);
    }
}

void emitter_map(struct emitter *emitter)
{
    yaml_event_t event;

    emit(emitter, &event,
         yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
}

void emitter_map_end(struct emitter *emitter)
{
    yaml_event_t event;

    emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

void emitter_list(struct emitter *emitter)
{
    yaml_event_t event;

    emit(emitter, &event,
         yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
}

void emitter_list_end(struct emitter *emitter)
{
    yaml_event_t event;

    emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_scalar(struct emitter *emitter, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t event;

    emit(emitter, &event,
         yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *) text,
                                      (int) strlen(text), 1, 1, style));
}

/* Line ends and what terminals obey: only between double quotes are they read back as they were. */
static bool needs_escapes(const char *text)
{
    for (const unsigned char *c = (const unsigned char *) text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0) ||
            (*c == 0xe2 && c[1] == 0x80 && (c[2] == 0xa8 || c[2] == 0xa9)) ||
            (*c == 0xef && c[1] == 0xbb && c[2] == 0xbf)) {
            return true;
        }
    }
    return false;
}

/* What some reader of YAML takes for nothing, a flag, or a number. */
static bool is_ambiguous(const char *text)
{
    static const char *const words[] = { "null", "true", "false", "yes", "no", "on",
                                         "off",  "y",    "n",     "~",   "=",  "<<" };

    if (text[0] == '\0' || strchr("+-.", text[0]) != NULL) {
        return true;
    }
    if (text[0] >= '0' && text[0] <= '9' &&
        (strchr("xXoObB", text[1]) != NULL ||
         text[strspn(text, "0123456789_+-.:eETtZz ")] == '\0')) {
        return true; /* "17", "1e3", "0x1f", "12:30", "2026-11-25" */
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

void emitter_text(struct emitter *emitter, const char *text)
{
    yaml_scalar_style_t style = YAML_PLAIN_SCALAR_STYLE;

    if (needs_escapes(text)) {
        style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    } else if (is_ambiguous(text)) {
        style = YAML_SINGLE_QUOTED_SCALAR_STYLE;
    }
    emit_scalar(emitter, text, style);
}

void emitter_word(struct emitter *emitter, const char *word)
{
    emit_scalar(emitter, word, YAML_PLAIN_SCALAR_STYLE);
}

bool emitter_end(struct emitter *emitter)
{
    yaml_event_t event;

    emit(emitter, &event, yaml_document_end_event_initialize(&event, 1));
    emit(emitter, &event, yaml_stream_end_event_initialize(&event));
    if (!emitter->failed && !yaml_emitter_flush(&emitter->yaml)) {
        emitter->failed = true;
    }
    return !emitter->failed;
}
