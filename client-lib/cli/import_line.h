/*
 * The lines of a file to import, and the operations that each stands for.
 *
 * A line names fields of the operation that adds (`DomainAdd`, `AccountAdd`,
 * `AddressAdd`, `AliasAdd`); those that it does not have are fields of the
 * record, for the Save that follows.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <protobuf-c/protobuf-c.h>

#include "csv.h"
#include "problem.h"

struct import_kind {
    const char *name;       /* "accounts" */
    const char *singular;   /* "account": of `kind` in JSON */
    const char *add;        /* operation */
    const char *save;       /* operation; NULL: none */
    const char *key;        /* field of the adding request that names the record */
    const char *record;     /* field of the saving request that is the record */
    const char *record_key; /* field of the record that names it */
};

/* By either name; NULL: no such kind. */
const struct import_kind *import_kind_find(const char *name);

struct import_line {
    uint64_t number;
    const struct import_kind *kind; /* NULL: unknown, `reason` says so */
    ProtobufCMessage *add;
    ProtobufCMessage *save; /* NULL: not needed */
    char *reason;           /* why it failed; NULL: it did not */
    /* What it was made from. */
    char **fields; /* of CSV */
    size_t field_count;
    json_t *json; /* of JSON lines; NULL if the line is none: */
    char *text;
};

struct import_source {
    FILE *file;
    const struct import_kind *kind; /* NULL: each line says */
    bool is_json;
    uint64_t size;  /* in bytes; 0: unknown */
    uint64_t bytes; /* read so far */
    /* CSV */
    struct csv csv;
    char **columns;
    size_t column_count;
    /* JSON lines */
    uint64_t line;
    char *buffer;
    size_t buffer_size;
};

/* Opens a file ("-": standard input) and reads its header. */
bool import_source_open(struct import_source *source, const char *path,
                        const struct import_kind *kind, struct problem *problem);
void import_source_close(struct import_source *source);

/* The next line, with a reason if it can't be imported; NULL: there is none. */
struct import_line *import_source_next(struct import_source *source);

/* Writes a line with its reason so that the file can be imported when it is mended; `first` writes
 * the header before it. */
void import_line_write(FILE *out, const struct import_source *source,
                       const struct import_line *line, bool first);
void import_line_free(struct import_line *line);
