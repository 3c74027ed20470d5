#include "model/unicode.h"

#include <pthread.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>

int32_t unicode_next(const char **cursor)
{
    const char *text = *cursor;
    int32_t at = 0;
    UChar32 character;

    if (*text == '\0') {
        return 0;
    }
    /* Length unknown: the terminating NUL is no continuation byte, and stops it. */
    U8_NEXT(text, at, -1, character);
    *cursor = text + at;
    return character < 0 ? -1 : character;
}

bool unicode_is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char) *text < 0x80) {
        text++;
    }
    return *text == '\0';
}

bool unicode_is_valid(const char *text)
{
    int32_t character;

    while ((character = unicode_next(&text)) > 0) {
    }
    return character == 0;
}

bool unicode_is_control(int32_t character)
{
    return character < 0x20 || (character >= 0x7f && character <= 0x9f);
}

bool unicode_is_line_end(int32_t character)
{
    return character == 0x2028 || character == 0x2029;
}

bool unicode_is_bidi_control(int32_t character)
{
    return u_hasBinaryProperty(character, UCHAR_BIDI_CONTROL);
}

bool unicode_is_noncharacter(int32_t character)
{
    return U_IS_UNICODE_NONCHAR(character);
}

bool unicode_is_mark(int32_t character)
{
    return (U_GET_GC_MASK(character) & U_GC_M_MASK) != 0;
}

/* These choose between the text and the emoji form of the symbol before them. */
static bool is_emoji_selector(int32_t character)
{
    return character == 0xfe0e || character == 0xfe0f;
}

bool unicode_is_visible(int32_t character)
{
    const uint32_t seen = U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK | U_GC_S_MASK;

    if (u_hasBinaryProperty(character, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) {
        return is_emoji_selector(character);
    }
    /* U+FFFD is a symbol, but stands for a character that somebody lost. */
    return (U_GET_GC_MASK(character) & seen) != 0 && character != 0xfffd;
}

/* UTF-16 never has more units than UTF-8 has bytes. */
static UChar *to_utf16(struct arena *arena, const char *text, int32_t *len_out)
{
    size_t len = strlen(text);
    UChar *wide = arena_alloc(arena, (len + 1) * sizeof(*wide));
    UErrorCode error = U_ZERO_ERROR;

    if (wide == NULL) {
        return NULL;
    }
    u_strFromUTF8(wide, (int32_t) len + 1, len_out, text, (int32_t) len, &error);
    return U_SUCCESS(error) ? wide : NULL;
}

static const char *to_utf8(struct arena *arena, const UChar *wide, int32_t len)
{
    size_t size = (size_t) len * 3 + 1;
    char *text = arena_alloc(arena, size);
    UErrorCode error = U_ZERO_ERROR;

    if (text == NULL) {
        return NULL;
    }
    u_strToUTF8(text, (int32_t) size, NULL, wide, len, &error);
    return U_SUCCESS(error) ? text : NULL;
}

const char *unicode_nfc(struct arena *arena, const char *text)
{
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&error);
    int32_t len, capacity;
    UChar *wide, *normal;

    if (unicode_is_ascii(text)) {
        return text;
    }
    wide = to_utf16(arena, text, &len);
    if (wide == NULL || U_FAILURE(error)) {
        return NULL;
    }
    if (unorm2_isNormalized(nfc, wide, len, &error) && U_SUCCESS(error)) {
        return text;
    }
    /* UAX #15: NFC makes UTF-16 at most 3 times as long. */
    capacity = len * 3 + 1;
    normal = arena_alloc(arena, (size_t) capacity * sizeof(*normal));
    if (normal == NULL) {
        return NULL;
    }
    len = unorm2_normalize(nfc, wide, len, normal, capacity, &error);
    return U_SUCCESS(error) ? to_utf8(arena, normal, len) : NULL;
}

const char *unicode_lower(struct arena *arena, const char *text)
{
    /* The lower case of a character of 1 byte has 1, of others at most 4. */
    size_t size = strlen(text) * 2 + 1;
    char *lower = arena_alloc(arena, size);
    int32_t character, len = 0;

    if (lower == NULL) {
        return NULL;
    }
    while ((character = unicode_next(&text)) > 0) {
        UChar32 small = u_tolower(character);

        U8_APPEND_UNSAFE(lower, len, small);
    }
    return lower;
}

static pthread_once_t idna_once = PTHREAD_ONCE_INIT;
static UIDNA *idna; /* written under idna_once, then immutable; NULL: out of memory */

static void open_idna(void)
{
    const uint32_t options = UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
                             UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE;
    UErrorCode error = U_ZERO_ERROR;

    idna = uidna_openUTS46(options, &error);
}

/* In the order of telling: a more particular problem first. */
static const struct {
    uint32_t errors;
    const char *clause;
} idna_clauses[] = {
    { UIDNA_ERROR_PUNYCODE | UIDNA_ERROR_INVALID_ACE_LABEL,
      "has a label with \"xn--\" that is not valid Punycode" },
    { UIDNA_ERROR_DISALLOWED, "has a character that domain names may not have" },
    { UIDNA_ERROR_LEADING_COMBINING_MARK, "has a label that starts with a combining mark" },
    { UIDNA_ERROR_CONTEXTJ, "has a joiner where none may stand" },
    { UIDNA_ERROR_BIDI, "has a label that mixes directions of writing" },
    { UIDNA_ERROR_LEADING_HYPHEN, "has a label that starts with a hyphen" },
    { UIDNA_ERROR_TRAILING_HYPHEN, "has a label that ends with a hyphen" },
    { UIDNA_ERROR_HYPHEN_3_4, "has a label with hyphens in third and fourth place" },
    { UIDNA_ERROR_EMPTY_LABEL, "has an empty label" },
    { UIDNA_ERROR_LABEL_TOO_LONG, "has a label longer than 63 bytes in ASCII form" },
    { UIDNA_ERROR_DOMAIN_NAME_TOO_LONG, "is longer than 253 bytes in ASCII form" },
};

static const char *idna_clause(uint32_t errors)
{
    for (size_t i = 0; i < sizeof(idna_clauses) / sizeof(*idna_clauses); i++) {
        if ((errors & idna_clauses[i].errors) != 0) {
            return idna_clauses[i].clause;
        }
    }
    return errors == 0 ? NULL : "is not a valid domain name";
}

const char *unicode_idna(const char *text, char ascii[UNICODE_IDNA_SIZE],
                         char unicode[UNICODE_IDNA_SIZE])
{
    UIDNAInfo to_ascii = UIDNA_INFO_INITIALIZER;
    UIDNAInfo to_unicode = UIDNA_INFO_INITIALIZER;
    UErrorCode error = U_ZERO_ERROR;

    (void) pthread_once(&idna_once, open_idna);
    if (idna == NULL) {
        return "can't be checked for lack of memory";
    }
    uidna_nameToASCII_UTF8(idna, text, -1, ascii, UNICODE_IDNA_SIZE, &to_ascii, &error);
    uidna_nameToUnicodeUTF8(idna, text, -1, unicode, UNICODE_IDNA_SIZE, &to_unicode, &error);
    if (error == U_BUFFER_OVERFLOW_ERROR || error == U_STRING_NOT_TERMINATED_WARNING) {
        return "is longer than 253 bytes in ASCII form";
    }
    if (U_FAILURE(error)) {
        return "can't be checked for lack of memory";
    }
    return idna_clause(to_ascii.errors | to_unicode.errors);
}
