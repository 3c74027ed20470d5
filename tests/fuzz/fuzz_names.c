/*
 * Names from hostile text: nothing crashes, what is accepted keeps its
 * promises. The first byte of the input chooses the kind of name, so that a
 * corpus file is a letter and a text.
 */
#include "model/names.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_LIMIT ((size_t) 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(), which a release build leaves out. */
#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void check_domain(struct arena *arena, const char *text)
{
    struct name_domain domain, again;

    if (name_parse_domain(arena, text, &domain) != NULL) {
        return;
    }
    PROMISE(name_is_ascii(domain.ascii));
    PROMISE(strlen(domain.ascii) <= NAME_DOMAIN_MAX);
    PROMISE(name_check_line(domain.name) == NULL);
    PROMISE(name_parse_domain(arena, domain.name, &again) == NULL);
    PROMISE(strcmp(again.name, domain.name) == 0 && strcmp(again.ascii, domain.ascii) == 0);
    PROMISE(name_parse_domain(arena, domain.ascii, &again) == NULL);
    PROMISE(strcmp(again.name, domain.name) == 0 && strcmp(again.ascii, domain.ascii) == 0);
    PROMISE(name_parse_selector(arena, text, &again) == NULL);
}

static void check_canonical(struct arena *arena, const char *value, bool case_sensitive)
{
    static const char *const separators[] = { "+", "--", ".", "=" };
    const struct name_policy policy = { separators, 4, case_sensitive };
    const char *canonical = name_canonical_localpart(arena, value, &policy);
    const char *again;

    PROMISE(name_find_separator(canonical, &policy) == NULL);
    PROMISE(strcmp(name_canonical_localpart(arena, canonical, &policy), canonical) == 0);
    /* What lookups and members are given is an address itself. */
    PROMISE(name_parse_localpart(arena, name_localpart_text(arena, canonical), &again) == NULL);
    PROMISE(strcmp(again, canonical) == 0);
}

static void check_address(struct arena *arena, const char *text)
{
    struct name_address address, again;
    const char *form;

    if (name_parse_address(arena, text, true, &address) != NULL) {
        return;
    }
    form = name_address_text(arena, &address);
    PROMISE(name_parse_address(arena, form, true, &again) == NULL);
    PROMISE(again.catchall == address.catchall);
    PROMISE(strcmp(name_address_text(arena, &again), form) == 0);
    if (!address.catchall) {
        PROMISE(strcmp(again.localpart, address.localpart) == 0);
        PROMISE(strlen(address.localpart) <= NAME_LOCALPART_MAX);
        check_canonical(arena, address.localpart, false);
        check_canonical(arena, address.localpart, true);
    }
}

static void check_account(struct arena *arena, const char *text)
{
    const char *name, *again;

    if (name_parse_account(arena, text, &name) != NULL) {
        return;
    }
    PROMISE(strlen(name) <= NAME_ACCOUNT_BYTES_MAX);
    PROMISE(strpbrk(name, "/\\:#\"'\n\r\t ") == NULL);
    PROMISE(name_parse_account(arena, name, &again) == NULL);
    PROMISE(strcmp(again, name) == 0);
    PROMISE(name_check_mailbox(arena, name) == NULL);
}

static void check_others(struct arena *arena, const char *text)
{
    const char *problem = name_check_separator(text);

    PROMISE(problem != NULL || strlen(text) <= NAME_SEPARATOR_BYTES_MAX);
    problem = name_check_mailbox(arena, text);
    PROMISE(problem != NULL || name_check_line(text) == NULL);
    /* Whatever the value, it can stand in a log line. */
    PROMISE(name_check_line(name_show(arena, text)) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create(ARENA_LIMIT);
    char *text = size == 0 ? NULL : malloc(size);

    if (arena != NULL && text != NULL) {
        memcpy(text, data + 1, size - 1);
        text[size - 1] = '\0';
        switch (data[0]) {
        case 'd':
            check_domain(arena, text);
            break;
        case 'a':
            check_address(arena, text);
            break;
        case 'n':
            check_account(arena, text);
            break;
        default:
            check_others(arena, text);
            break;
        }
    }
    free(text);
    arena_destroy(arena);
    return 0;
}
