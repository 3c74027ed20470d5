#include "model/names.h"

#include "model/unicode.h"

#include <stdio.h>
#include <string.h>

#define MAILBOX_MAX 255
#define LINE_MAX    1024

/* Shown of a value in an error text. */
#define SHOW_MAX 80

bool name_is_ascii(const char *text)
{
    return unicode_is_ascii(text);
}

/* ---------------------------------------------------------------- Account names */

static bool is_account_character(int32_t character)
{
    if (character >= 0x80) {
        return unicode_is_visible(character);
    }
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || strchr("._-+~", character) != NULL;
}

static const char *check_account(const char *name)
{
    size_t characters = 0;
    const char *at = name;
    int32_t character;

    if (*name == '\0') {
        return "is empty";
    }
    if (*name == '.' || *name == '-') {
        return "starts with a dot or a hyphen";
    }
    while ((character = unicode_next(&at)) != 0) {
        if (characters++ == 0 && unicode_is_mark(character)) {
            return "starts with a combining mark";
        }
        if (!is_account_character(character)) {
            return "has a character other than letters, marks, digits, symbols and \"._-+~\"";
        }
    }
    if (characters > NAME_ACCOUNT_CHARACTERS_MAX) {
        return "is longer than 64 characters";
    }
    return strlen(name) > NAME_ACCOUNT_BYTES_MAX ? "is longer than 128 bytes" : NULL;
}

const char *name_parse_account(struct arena *arena, const char *text, const char **name_out)
{
    const char *name;
    const char *problem;

    /* First as given: that bounds the work of normalising it. */
    if (strnlen(text, NAME_ACCOUNT_BYTES_MAX + 1) > NAME_ACCOUNT_BYTES_MAX) {
        return "is longer than 128 bytes";
    }
    if (!unicode_is_valid(text)) {
        return "is not valid UTF-8";
    }
    name = unicode_nfc(arena, text);
    if (name == NULL) {
        return NAME_OUT_OF_MEMORY;
    }
    problem = check_account(name);
    if (problem != NULL) {
        return problem;
    }
    *name_out = name == text ? arena_strdup(arena, text) : name;
    return *name_out == NULL ? NAME_OUT_OF_MEMORY : NULL;
}

/* ---------------------------------------------------------------- Separators, mailboxes, lines */

const char *name_check_separator(const char *text)
{
    size_t len = strspn(text, "+-_=.");

    if (len < 1 || len > NAME_SEPARATOR_BYTES_MAX || text[len] != '\0') {
        return "is not 1 to 4 characters of \"+-_=.\"";
    }
    return NULL;
}

static const char *check_characters_of_line(const char *text)
{
    int32_t character;

    while ((character = unicode_next(&text)) != 0) {
        if (character < 0) {
            return "is not valid UTF-8";
        }
        if (unicode_is_control(character)) {
            return "has a control character";
        }
        if (unicode_is_line_end(character)) {
            return "has a line or paragraph separator";
        }
    }
    return NULL;
}

const char *name_check_line(const char *text)
{
    if (strnlen(text, LINE_MAX + 1) > LINE_MAX) {
        return "is longer than 1024 bytes";
    }
    return check_characters_of_line(text);
}

static const char *check_component(const char *name, size_t len)
{
    if (len == 0) {
        return "has an empty part between slashes";
    }
    if (strncmp(name, "..", len) == 0) {
        return "has \".\" or \"..\" as a part between slashes";
    }
    return NULL;
}

static const char *check_components(const char *name)
{
    for (;;) {
        size_t len = strcspn(name, "/");
        const char *problem = check_component(name, len);

        if (problem != NULL || name[len] == '\0') {
            return problem;
        }
        name += len + 1;
    }
}

const char *name_check_mailbox(struct arena *arena, const char *text)
{
    const char *problem;
    const char *normal;

    if (*text == '\0') {
        return "is empty";
    }
    if (strnlen(text, MAILBOX_MAX + 1) > MAILBOX_MAX) {
        return "is longer than 255 bytes";
    }
    if (*text == '#' || *text == '/') {
        return "starts with \"#\" or \"/\"";
    }
    problem = check_characters_of_line(text);
    if (problem == NULL) {
        problem = check_components(text);
    }
    if (problem != NULL) {
        return problem;
    }
    normal = unicode_nfc(arena, text);
    if (normal == NULL) {
        return NAME_OUT_OF_MEMORY;
    }
    return strcmp(normal, text) == 0 ? NULL : "is not in Unicode normalisation form C";
}

/* ---------------------------------------------------------------- Values in error texts */

static bool may_be_shown(int32_t character)
{
    return character > 0 && !unicode_is_control(character) && !unicode_is_line_end(character) &&
           !unicode_is_bidi_control(character);
}

/* Writes the bytes from `from` to `to`, which are one character or none; each takes at most 4. */
static char *show_character(char *end, int32_t character, const char *from, const char *to)
{
    if (character == '"' || character == '\\') {
        *end++ = '\\';
        *end++ = *from;
        return end;
    }
    if (may_be_shown(character)) {
        memcpy(end, from, (size_t) (to - from));
        return end + (to - from);
    }
    for (; from < to; from++) {
        end += sprintf(end, "\\x%02X", (unsigned) (unsigned char) *from);
    }
    return end;
}

const char *name_show(struct arena *arena, const char *text)
{
    char shown[(size_t) SHOW_MAX * 4 + sizeof("\"...\"")];
    const char *start = text;
    const char *copy;
    char *end = shown;

    *end++ = '"';
    while (*text != '\0') {
        const char *at = text;
        int32_t character = unicode_next(&text);

        if (text - start > SHOW_MAX) {
            end += sprintf(end, "...");
            break;
        }
        end = show_character(end, character, at, text);
    }
    *end++ = '"';
    *end = '\0';
    copy = arena_strdup(arena, shown);
    return copy == NULL ? "\"...\"" : copy;
}
