#include "model/names.h"

#include "model/unicode.h"

#include <string.h>

/* A localpart while it is read; cut off by its limit, whatever the text's length. */
struct value {
    char bytes[NAME_LOCALPART_MAX + 1];
    size_t len;
};

static const char *const too_long = "is longer than 128 bytes";

/* Appends the bytes from `from` to `to`. */
static const char *take(struct value *value, const char *from, const char *to)
{
    size_t len = (size_t) (to - from);

    if (len > NAME_LOCALPART_MAX - value->len) {
        return too_long;
    }
    memcpy(value->bytes + value->len, from, len);
    value->len += len;
    return NULL;
}

/* RFC 5322 section 3.2.3, with RFC 6532's addition: everything outside of ASCII. */
static bool is_atom_character(int32_t character)
{
    if (character >= 0x80) {
        return true;
    }
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           (character > 0 && strchr("!#$%&'*+-/=?^_`{|}~", character) != NULL);
}

/* What no localpart may have, quoted or not. Stricter than mox (4.2-02): control characters
 * outside of ASCII, line ends, direction marks and what is never a character serve only to
 * deceive or to break a log line. */
static const char *check_character(int32_t character)
{
    if (character < 0) {
        return "is not valid UTF-8";
    }
    if (unicode_is_control(character)) {
        return "has a control character";
    }
    if (unicode_is_line_end(character)) {
        return "has a line or paragraph separator";
    }
    if (unicode_is_bidi_control(character)) {
        return "has a mark that changes the direction of text";
    }
    if (unicode_is_noncharacter(character)) {
        return "has a code point that is not a character";
    }
    return NULL;
}

/* Atoms joined by dots (RFC 5321 section 4.1.2, Dot-string); ends before the first character that
 * is neither. */
static const char *read_dot_string(const char **cursor, struct value *value)
{
    bool in_atom = false;
    const char *problem = NULL;

    while (problem == NULL) {
        const char *at = *cursor;
        int32_t character = unicode_next(cursor);

        if (character == '.') {
            if (!in_atom) {
                return value->len == 0 ? "starts with a dot" : "has two dots in a row";
            }
            in_atom = false;
        } else if (character == 0 || character == '@') {
            *cursor = at;
            return in_atom ? NULL : value->len == 0 ? "is empty" : "ends with a dot";
        } else if (check_character(character) != NULL) {
            return check_character(character);
        } else if (!is_atom_character(character)) {
            return "has a blank or other character that must stand in quotes";
        } else {
            in_atom = true;
        }
        problem = take(value, at, *cursor);
    }
    return problem;
}

/* RFC 5321 section 4.1.2, Quoted-string; `*cursor` is behind the opening quote. */
static const char *read_quoted_string(const char **cursor, struct value *value)
{
    const char *problem = NULL;

    while (problem == NULL) {
        const char *at = *cursor;
        int32_t character = unicode_next(cursor);

        if (character == '"') {
            return NULL;
        }
        if (character == '\\') {
            at = *cursor;
            character = unicode_next(cursor);
            if (character >= 0x80) {
                return "has a backslash before a character that can't have one";
            }
        }
        if (character == 0) {
            return "has no closing quote";
        }
        problem = check_character(character);
        if (problem == NULL) {
            problem = take(value, at, *cursor);
        }
    }
    return problem;
}

/* The limit holds for all forms, so that the canonical form of an address is an address too. */
static const char *normalise(struct arena *arena, const struct value *value, const char **out)
{
    const char *copy = arena_strndup(arena, value->bytes, value->len);
    const char *normal = copy == NULL ? NULL : unicode_nfc(arena, copy);
    const char *lower = normal == NULL ? NULL : unicode_lower(arena, normal);

    lower = lower == NULL ? NULL : unicode_nfc(arena, lower);
    if (lower == NULL) {
        return NAME_OUT_OF_MEMORY;
    }
    if (strlen(normal) > NAME_LOCALPART_MAX) {
        return "is longer than 128 bytes when normalised";
    }
    if (strlen(lower) > NAME_LOCALPART_MAX) {
        return "is longer than 128 bytes in lower case";
    }
    *out = normal;
    return NULL;
}

static const char *read_localpart(struct arena *arena, const char **cursor, const char **value_out)
{
    struct value value = { .len = 0 };
    const char *problem;

    if (**cursor == '"') {
        (*cursor)++;
        problem = read_quoted_string(cursor, &value);
    } else {
        problem = read_dot_string(cursor, &value);
    }
    return problem != NULL ? problem : normalise(arena, &value, value_out);
}

const char *name_parse_localpart(struct arena *arena, const char *text, const char **value_out)
{
    const char *value;
    const char *problem = read_localpart(arena, &text, &value);

    if (problem != NULL) {
        return problem;
    }
    if (*text == '@') {
        return "has an \"@\", which must stand in quotes";
    }
    if (*text != '\0') {
        return "goes on behind the closing quote";
    }
    *value_out = value;
    return NULL;
}

/* What is wrong with a part of an address, said of the address. */
static const char *of_part(struct arena *arena, const char *part, const char *problem)
{
    const char *clause;

    if (strcmp(problem, NAME_OUT_OF_MEMORY) == 0) {
        return problem;
    }
    clause = arena_printf(arena, "has a %s that %s", part, problem);
    return clause == NULL ? NAME_OUT_OF_MEMORY : clause;
}

const char *name_parse_address(struct arena *arena, const char *text, bool catchall,
                               struct name_address *out)
{
    struct name_address address = { .catchall = *text == '@' };
    const char *problem;

    if (*text == '\0') {
        return "is empty";
    }
    if (address.catchall && !catchall) {
        return "has no localpart";
    }
    if (!address.catchall) {
        problem = read_localpart(arena, &text, &address.localpart);
        if (problem != NULL) {
            return of_part(arena, "localpart", problem);
        }
        if (*text == '\0') {
            return "has no \"@\" with a domain";
        }
        if (*text != '@') {
            return "has a localpart that goes on behind the closing quote";
        }
    }
    problem = name_parse_domain(arena, text + 1, &address.domain);
    if (problem != NULL) {
        return of_part(arena, "domain", problem);
    }
    *out = address;
    return NULL;
}

static bool is_dot_string(const char *value)
{
    bool in_atom = false;
    int32_t character;

    while ((character = unicode_next(&value)) != 0) {
        if (character == '.' ? !in_atom : !is_atom_character(character)) {
            return false;
        }
        in_atom = character != '.';
    }
    return in_atom;
}

const char *name_localpart_text(struct arena *arena, const char *value)
{
    char *text, *end;

    if (is_dot_string(value)) {
        return value;
    }
    text = arena_alloc(arena, strlen(value) * 2 + 3);
    if (text == NULL) {
        return NULL;
    }
    end = text;
    *end++ = '"';
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\') {
            *end++ = '\\';
        }
        *end++ = *value;
    }
    *end = '"';
    return text;
}

const char *name_address_text(struct arena *arena, const struct name_address *address)
{
    const char *localpart = "";

    if (!address->catchall) {
        localpart = name_localpart_text(arena, address->localpart);
    }
    if (localpart == NULL) {
        return NULL;
    }
    return arena_printf(arena, "%s@%s", localpart, address->domain.name);
}

/* The separator that starts first, of several that start there the one listed first; at `*at_out`.
 * NULL: none. */
static const char *first_separator(const char *value, const struct name_policy *policy,
                                   const char **at_out)
{
    const char *found = NULL;

    *at_out = NULL;
    for (size_t i = 0; i < policy->separator_count; i++) {
        const char *at = strstr(value, policy->separators[i]);

        if (at != NULL && (found == NULL || at < *at_out)) {
            found = policy->separators[i];
            *at_out = at;
        }
    }
    return found;
}

const char *name_find_separator(const char *value, const struct name_policy *policy)
{
    const char *at;

    return first_separator(value, policy, &at);
}

const char *name_canonical_localpart(struct arena *arena, const char *value,
                                     const struct name_policy *policy)
{
    const char *end;

    if (!policy->case_sensitive) {
        value = unicode_lower(arena, value);
        /* Lower case letters may compose where upper case ones did not. */
        value = value == NULL ? NULL : unicode_nfc(arena, value);
    }
    if (value == NULL || first_separator(value, policy, &end) == NULL) {
        return value;
    }
    return arena_strndup(arena, value, (size_t) (end - value));
}
