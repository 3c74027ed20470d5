/*
 * Messages as YAML, by their descriptors (format.h).
 */
#pragma once

#include "yaml/emitter.h"
#include "yaml/format.h"

/* Room for the path of a secret within its record: "outgoing_webhook.authorization". */
#define WRITE_PATH_MAX 256

struct write {
    struct emitter *emitter;
    struct arena *arena; /* for what lives until the caller resets it */
    /* The sealed form of a secret field's value, in the arena; NULL: secrets are hidden. `path`
     * is the field's within the record. NULL given back: it failed, and was reported. */
    const char *(*seal)(void *context, const char *path, const char *secret);
    void *context;
    char path[WRITE_PATH_MAX];
};

/* Key and value of every field that is set; the map is begun and ended by the caller. */
void write_fields(struct write *write, const ProtobufCMessage *message);
