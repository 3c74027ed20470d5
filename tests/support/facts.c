#include "support/facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More differences than a person wants to read. */
#define SHOWN_MAX 20

static void fail(const char *what, const char *fact) __attribute__((noreturn));

static void fail(const char *what, const char *fact)
{
    (void) fprintf(stderr, "facts: %s: %s\n", what, fact);
    abort();
}

void facts_fini(struct facts *facts)
{
    for (size_t i = 0; i < facts->count; i++) {
        free(facts->items[i]);
    }
    free(facts->items);
    *facts = (struct facts){ 0 };
}

static void add(struct facts *facts, char *fact)
{
    if (facts->count == facts->room) {
        facts->room = facts->room * 2 + 16;
        facts->items = realloc(facts->items, facts->room * sizeof(*facts->items));
    }
    if (facts->items == NULL || fact == NULL) {
        fail("out of memory", "");
    }
    facts->items[facts->count++] = fact;
}

void facts_add(struct facts *facts, const char *format, ...)
{
    va_list arguments;
    char *fact = NULL;

    va_start(arguments, format);
    if (vasprintf(&fact, format, arguments) < 0) {
        fail("out of memory", format);
    }
    va_end(arguments);
    add(facts, fact);
}

static size_t find(const struct facts *facts, const char *fact)
{
    size_t i = 0;

    while (i < facts->count && strcmp(facts->items[i], fact) != 0) {
        i++;
    }
    return i;
}

void facts_remove(struct facts *facts, const char *fact)
{
    size_t at = find(facts, fact);

    if (at == facts->count) {
        fail("not there to be removed", fact);
    }
    free(facts->items[at]);
    facts->items[at] = facts->items[--facts->count];
}

bool facts_has(const struct facts *facts, const char *fact)
{
    return find(facts, fact) < facts->count;
}

void facts_add_all(struct facts *facts, const struct facts *others)
{
    for (size_t i = 0; i < others->count; i++) {
        add(facts, strdup(others->items[i]));
    }
}

void facts_remove_all(struct facts *facts, const struct facts *others)
{
    for (size_t i = 0; i < others->count; i++) {
        facts_remove(facts, others->items[i]);
    }
}

size_t facts_count_of(const struct facts *facts, const struct facts *others)
{
    size_t count = 0;

    for (size_t i = 0; i < others->count; i++) {
        count += facts_has(facts, others->items[i]) ? 1 : 0;
    }
    return count;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static void sort(struct facts *facts)
{
    if (facts->count > 0) {
        qsort(facts->items, facts->count, sizeof(*facts->items), compare);
    }
}

static size_t count_twice(const struct facts *facts)
{
    size_t count = 0;

    for (size_t i = 1; i < facts->count; i++) {
        if (strcmp(facts->items[i - 1], facts->items[i]) == 0) {
            (void) fprintf(stderr, "facts: twice: %s\n", facts->items[i]);
            count++;
        }
    }
    return count;
}

static void tell(size_t count, const char *what, const char *fact)
{
    if (count <= SHOWN_MAX) {
        (void) fprintf(stderr, "facts: %s: %s\n", what, fact);
    }
}

void facts_check_same(struct facts *expected, struct facts *seen)
{
    size_t wrong;
    size_t i = 0;
    size_t j = 0;

    sort(expected);
    sort(seen);
    wrong = count_twice(expected) + count_twice(seen);
    while (i < expected->count || j < seen->count) {
        int order = i == expected->count ? 1
                    : j == seen->count   ? -1
                                         : strcmp(expected->items[i], seen->items[j]);

        if (order < 0) {
            tell(++wrong, "missing", expected->items[i]);
        } else if (order > 0) {
            tell(++wrong, "should not be there", seen->items[j]);
        }
        i += order <= 0 ? 1 : 0;
        j += order >= 0 ? 1 : 0;
    }
    if (wrong > 0) {
        (void) fprintf(stderr, "facts: %zu wrong; %zu expected, %zu seen\n", wrong, expected->count,
                       seen->count);
        abort();
    }
}
