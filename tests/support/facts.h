/*
 * A set of sentences, such as "account alice" or "address a@example.org -> alice":
 * the plain model that a test holds a daemon's configuration against.
 *
 * What has no memory or breaks a promise ends the test, loudly.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct facts {
    char **items;
    size_t count;
    size_t room;
};

/* A zeroed struct is an empty set. */
void facts_fini(struct facts *facts);

/* Adds a sentence; it may then be there twice, which facts_check_same() finds. */
void facts_add(struct facts *facts, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Removes one of its kind; there must be one. */
void facts_remove(struct facts *facts, const char *fact);

bool facts_has(const struct facts *facts, const char *fact);

/* All of another set, added or removed. */
void facts_add_all(struct facts *facts, const struct facts *others);
void facts_remove_all(struct facts *facts, const struct facts *others);

/* How many of these are there. */
size_t facts_count_of(const struct facts *facts, const struct facts *others);

/* The sets are the same and have nothing twice; else prints the differences and ends the test.
 * Sorts both. */
void facts_check_same(struct facts *expected, struct facts *seen);
