/*
 * The keys of the settings file, as tables: a row is all there is to say about a
 * key. The rows drive parsing, defaults, error messages, and the test of the
 * sample; a new key is a row, a field in settings.h and a paragraph in
 * deploy/mxadmd.yaml.
 *
 * A path is the names from the top of the file, joined by dots; a section's row
 * stands before those of its keys. Entries are a map whose keys the
 * administrator chooses; each value is filled by the rows of another table.
 */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scope;
struct settings_table;

enum settings_type {
    SETTINGS_SECTION,
    SETTINGS_ENTRIES,  /* array of structs, and its count */
    SETTINGS_TEXT,     /* const char * */
    SETTINGS_TEXTS,    /* const char **, and its count; min and max bound the count */
    SETTINGS_BOOL,     /* bool, written true or false */
    SETTINGS_UNSIGNED, /* unsigned */
    SETTINGS_UINT64,   /* uint64_t */
    SETTINGS_SIZE,     /* size_t, bytes */
    SETTINGS_DURATION, /* int64_t, milliseconds */
    SETTINGS_CHOICE,   /* int or enum, written as one of the choices */
    SETTINGS_FLAG,     /* bool, written as one of the choices */
};

/* The last has no name. */
struct settings_choice {
    const char *name;
    int value;
};

struct settings_key {
    const char *path;
    enum settings_type type;
    size_t offset;       /* in struct settings, or in the entry */
    size_t count_offset; /* of SETTINGS_ENTRIES and SETTINGS_TEXTS */
    uint64_t min;
    uint64_t max;
    const char *(*check)(const char *text); /* of each text, see check.h */
    const struct settings_choice *choices;
    const struct settings_table *entries;
    bool required;        /* in each entry */
    const char *fallback; /* the default as the file would say it; NULL: none, or found at start */
    const char *meaning;  /* what it is, in a few words */
};

struct settings_table {
    const struct settings_key *keys;
    size_t count;
    size_t entry_size;
    /* Takes the entry's name (which lives as long as the settings); a clause if it is no good. */
    const char *(*name)(void *entry, const char *name);
    /* What concerns several keys at once: see rules.h. */
    void (*rules)(const struct scope *scope);
};

extern const struct settings_table settings_keys;

/* NULL: no such key. */
const struct settings_key *settings_key_find(const struct settings_table *table, const char *path);
