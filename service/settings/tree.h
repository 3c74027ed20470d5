/*
 * A YAML text as a tree of nodes that know where they stand.
 *
 * Only what a settings file needs: texts, lists and maps with texts as keys. What
 * YAML has beyond that (anchors, aliases, tags, several documents) makes two
 * readers understand one file differently, and is refused. So are deep nesting
 * and long collections, which only an attack has.
 *
 * Texts are valid UTF-8 without control characters.
 */
#pragma once

#include "base/arena.h"
#include "settings/problems.h"

/* The settings need 4; each level is a level of recursion here. */
#define TREE_DEPTH_MAX 8

/* Entries of one list or map. Bounds what is done for each pair of entries, too. */
#define TREE_ENTRIES_MAX 1024

enum tree_kind { TREE_TEXT, TREE_LIST, TREE_MAP };

struct tree_node {
    enum tree_kind kind;
    bool plain; /* a text without quotes: may be a number or a word with meaning */
    struct mark at;
    const char *text;        /* of a TREE_TEXT */
    struct mark key_at;      /* in a map: where the key stands */
    const char *key;         /* in a map: the key of this value; else NULL */
    struct tree_node *first; /* of a list or map */
    struct tree_node *next;  /* in the list or map around */
    size_t count;            /* of a list or map */
};

/* Nothing is written where a value could be: an empty plain text, "~" or "null". */
bool tree_is_nothing(const struct tree_node *node);

/*
 * The root; NULL if the text is empty (comments only) or cannot be read on, which
 * is then among the problems. Memory: the arena's. False: the arena is full.
 */
MX_MUST_USE bool tree_read(const char *text, size_t len, struct arena *arena,
                           struct problems *problems, struct tree_node **root_out);
