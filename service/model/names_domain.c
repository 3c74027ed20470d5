#include "model/names.h"

#include "model/unicode.h"

#include <string.h>

/* Longer text can't be a name: one of 253 bytes in ASCII has a Unicode form of less. Bounds the
 * work before it is done. */
#define TEXT_MAX (UNICODE_IDNA_SIZE - 1)

/* What a URL parser would take for an IPv4 address (WHATWG URL, "ends in a number"): "1.2.3.4",
 * but also "127.1" and "0x7f". No top-level domain is a number (RFC 3696 section 2). */
static bool ends_in_number(const char *ascii)
{
    const char *dot = strrchr(ascii, '.');
    const char *last = dot == NULL ? ascii : dot + 1;

    if (strncmp(last, "0x", 2) == 0) {
        return last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
    }
    return last[strspn(last, "0123456789")] == '\0';
}

static const char *parse_labels(struct arena *arena, const char *text, struct name_domain *out)
{
    char ascii[UNICODE_IDNA_SIZE];
    char unicode[UNICODE_IDNA_SIZE];
    struct name_domain domain;
    const char *problem;

    if (*text == '\0') {
        return "is empty";
    }
    if (strnlen(text, TEXT_MAX + 1) > TEXT_MAX) {
        return "is longer than 253 bytes in ASCII form";
    }
    if (!unicode_is_valid(text)) {
        return "is not valid UTF-8";
    }
    problem = unicode_idna(text, ascii, unicode);
    if (problem != NULL) {
        return problem;
    }
    /* Looked at after mapping: U+3002 is a dot too. */
    if (ascii[strlen(ascii) - 1] == '.') {
        return "ends with a dot";
    }
    domain.ascii = arena_strdup(arena, ascii);
    domain.name = arena_strdup(arena, unicode);
    if (domain.ascii == NULL || domain.name == NULL) {
        return NAME_OUT_OF_MEMORY;
    }
    *out = domain;
    return NULL;
}

const char *name_parse_selector(struct arena *arena, const char *text, struct name_domain *out)
{
    return parse_labels(arena, text, out);
}

const char *name_parse_domain(struct arena *arena, const char *text, struct name_domain *out)
{
    struct name_domain domain;
    const char *problem = parse_labels(arena, text, &domain);

    if (problem != NULL) {
        return problem;
    }
    if (ends_in_number(domain.ascii)) {
        return "ends in a number, as an IP address does";
    }
    *out = domain;
    return NULL;
}
