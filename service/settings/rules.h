/*
 * What concerns several keys at once, checked when all of them are read.
 *
 * A scope is one struct that a table's rows have filled: the settings as a whole,
 * or one entry. It knows what the file gave and where, so that a rule that is
 * broken can be told at a place of the file.
 */
#pragma once

#include "settings/keys.h"
#include "settings/problems.h"
#include "settings/tree.h"

struct scope {
    const struct settings_table *table;
    const char *path; /* of the entry, "listeners.public"; NULL: the settings as a whole */
    struct mark at;   /* where it begins */
    void *base;       /* the struct */
    const struct tree_node **given; /* by index of the table's keys; NULL: not in the file */
    struct problems *problems;
};

/* The value in the file; NULL: none. */
const struct tree_node *scope_given(const struct scope *scope, const char *path);

void rules_daemon(const struct scope *scope);
void rules_listener(const struct scope *scope);
void rules_principal(const struct scope *scope);
