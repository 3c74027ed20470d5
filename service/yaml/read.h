/*
 * Messages from YAML, by their descriptors (format.h): unknown keys, keys given
 * twice and values of the wrong form are problems. What a value means is the
 * model's to judge.
 */
#pragma once

#include "yaml/format.h"
#include "yaml/parser.h"

struct read;

/* What a key is that the record has beside its fields. */
enum read_extra {
    READ_UNKNOWN, /* nothing: reading goes on as with any unknown key */
    READ_TAKEN,   /* its value was read */
    READ_STOPPED,
};

struct read {
    struct parser *parser;
    struct arena *arena; /* of the messages; it escapes when it is full */
    /* A sealed secret of the record, opened; NULL: reported. `field` is its path within it. */
    char *(*open)(void *context, const char *field, struct mark at, const char *sealed);
    /* Asked for keys of the record itself that are no fields of it; NULL: there are none. */
    enum read_extra (*extra)(void *context, struct read *read, ProtobufCMessage *record,
                             const char *key, struct mark at);
    void *context;
};

/* The fields of a message whose map has begun, or that is not there (`item` a nothing: empty).
 * False: reading has stopped. */
bool read_record(struct read *read, const struct item *item, ProtobufCMessage *record);

/* The next key of a map, copied; *key_out NULL: the map has ended. False: stopped. */
bool read_key(struct read *read, const char **key_out, struct mark *at_out);
/* "", "~", "null" without quotes. */
bool read_is_nothing(const struct item *item);
/* A text; *text_out NULL: it is something else, which is reported and skipped. False: stopped. */
bool read_text(struct read *read, const char **text_out, struct mark *at_out);
