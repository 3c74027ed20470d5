#include "yaml/format.h"

#include "mxadm/v1/model.pb-c.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Fields from here on are stamps of the server (revision, times), in every record. */
#define STAMP_FIELD 100

static const char *const sections[FORMAT_SECTIONS] = {
    [FORMAT_CONFIG] = "config",     [FORMAT_DOMAINS] = "domains",
    [FORMAT_ACCOUNTS] = "accounts", [FORMAT_ADDRESSES] = "addresses",
    [FORMAT_ALIASES] = "aliases",   [FORMAT_TLS_PUBLIC_KEYS] = "tls_public_keys",
};

const char *format_section_name(enum format_section section)
{
    return sections[section];
}

/* What identifies records, and what the server makes beside the stamps. */
static const struct {
    const ProtobufCMessageDescriptor *type;
    const char *names[7];
} left_out[] = {
    { &mxadm__v1__domain__descriptor, { "name", "ascii_name" } },
    { &mxadm__v1__dkim_selector__descriptor,
      { "domain", "name", "ascii_name", "public_key", "key_file" } },
    { &mxadm__v1__account__descriptor, { "name" } },
    { &mxadm__v1__address__descriptor,
      { "address", "canonical_address", "domain", "kind", "report_domain" } },
    { &mxadm__v1__alias__descriptor, { "address", "canonical_address", "domain" } },
    { &mxadm__v1__tls_public_key__descriptor, { "fingerprint", "type" } },
};

bool format_has_field(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
    if (field->id >= STAMP_FIELD) {
        return false;
    }
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        for (size_t k = 0; left_out[i].type == type && left_out[i].names[k] != NULL; k++) {
            if (strcmp(left_out[i].names[k], field->name) == 0) {
                return false;
            }
        }
    }
    return true;
}

bool format_is_secret(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
    return (type == &mxadm__v1__outgoing_webhook__descriptor ||
            type == &mxadm__v1__incoming_webhook__descriptor) &&
           strcmp(field->name, "authorization") == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

bool format_is_digest(const ProtobufCFieldDescriptor *field)
{
    return ends_with(field->name, "_sha256");
}

/* ------------------------------------------------------------------- enums */

/* "STATE_UNSPECIFIED" says that the words of this enum begin behind "STATE_". */
static size_t enum_prefix(const ProtobufCEnumDescriptor *type)
{
    const char *none = protobuf_c_enum_descriptor_get_value(type, 0)->name;

    return ends_with(none, "UNSPECIFIED") ? strlen(none) - strlen("UNSPECIFIED") : 0;
}

static const char *enum_word(struct arena *arena, const ProtobufCEnumDescriptor *type,
                             const ProtobufCEnumValue *value)
{
    char *word = arena_strdup(arena, value->name + enum_prefix(type));

    for (char *c = word; *c != '\0'; c++) {
        *c = (char) tolower((unsigned char) *c);
    }
    return word;
}

const char *format_enum_word(struct arena *arena, const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(type, value);

    return found == NULL ? NULL : enum_word(arena, type, found);
}

bool format_enum_value(struct arena *arena, const ProtobufCEnumDescriptor *type, const char *word,
                       int *value_out)
{
    for (unsigned i = 0; i < type->n_values; i++) {
        if (type->values[i].value != 0 &&
            strcmp(enum_word(arena, type, &type->values[i]), word) == 0) {
            *value_out = type->values[i].value;
            return true;
        }
    }
    return false;
}

/* --------------------------------------------------------------- durations */

#define NANOS INT64_C(1000000000)

/* "1.5s" without the zeros at the end. */
static const char *seconds_text(struct arena *arena, uint64_t seconds, uint32_t nanos)
{
    char fraction[16];
    size_t len;

    if (nanos == 0) {
        return arena_printf(arena, "%llus", (unsigned long long) seconds);
    }
    (void) snprintf(fraction, sizeof(fraction), "%09u", (unsigned) nanos);
    for (len = strlen(fraction); len > 0 && fraction[len - 1] == '0'; len--) {
        fraction[len - 1] = '\0';
    }
    return arena_printf(arena, "%llu.%ss", (unsigned long long) seconds, fraction);
}

const char *format_duration(struct arena *arena, int64_t seconds, int32_t nanos)
{
    bool negative = seconds < 0 || nanos < 0;
    uint64_t whole = negative ? 0 - (uint64_t) seconds : (uint64_t) seconds;
    uint32_t part = nanos < 0 ? 0 - (uint32_t) nanos : (uint32_t) nanos;
    uint64_t hours = whole / 3600;
    uint64_t minutes = whole / 60 % 60;
    const char *text = negative ? "-" : "";

    if (hours > 0) {
        text = arena_printf(arena, "%s%lluh", text, (unsigned long long) hours);
    }
    if (minutes > 0) {
        text = arena_printf(arena, "%s%llum", text, (unsigned long long) minutes);
    }
    if (whole % 60 > 0 || part > 0 || whole == 0) {
        text = arena_printf(arena, "%s%s", text, seconds_text(arena, whole % 60, part));
    }
    return text;
}

static int64_t unit_seconds(char unit)
{
    switch (unit) {
    case 'd':
        return 86400;
    case 'h':
        return 3600;
    case 'm':
        return 60;
    case 's':
        return 1;
    default:
        return 0;
    }
}

/* Digits, at most what a duration of 10,000 years needs. False: none, or more. */
static bool take_number(const char **at, int64_t *number_out)
{
    const char *start = *at;
    int64_t number = 0;

    while (isdigit((unsigned char) **at) && *at - start < 15) {
        number = number * 10 + (**at - '0');
        (*at)++;
    }
    *number_out = number;
    return *at > start && !isdigit((unsigned char) **at);
}

/* Up to nine digits behind a point. */
static bool take_fraction(const char **at, int64_t *nanos_out)
{
    const char *start = ++*at;
    int64_t nanos = 0;
    int64_t weight = NANOS / 10;

    for (; isdigit((unsigned char) **at) && weight > 0; (*at)++, weight /= 10) {
        nanos += (**at - '0') * weight;
    }
    *nanos_out = nanos;
    return *at > start && !isdigit((unsigned char) **at);
}

bool format_parse_duration(const char *text, int64_t *seconds_out, int32_t *nanos_out)
{
    bool negative = text[0] == '-';
    const char *at = text + negative;
    int64_t last = INT64_MAX;
    int64_t seconds = 0;
    int64_t nanos = 0;

    do {
        int64_t number;
        int64_t unit;

        if (!take_number(&at, &number) || (*at == '.' && !take_fraction(&at, &nanos))) {
            return false;
        }
        unit = unit_seconds(*at);
        /* Units go down, and only seconds have a fraction. */
        if (unit == 0 || unit >= last || number > INT64_C(400000000000) / unit ||
            (nanos != 0 && unit != 1)) {
            return false;
        }
        last = unit;
        seconds += number * unit;
        at++;
    } while (*at != '\0');
    *seconds_out = negative ? -seconds : seconds;
    *nanos_out = (int32_t) (negative ? -nanos : nanos);
    return true;
}

/* ------------------------------------------------------------------- bytes */

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const char *format_base64(struct arena *arena, const void *data, size_t len)
{
    const uint8_t *in = data;
    char *text = arena_alloc(arena, (len + 2) / 3 * 4 + 1);
    char *out = text;

    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t) in[i] << 16;

        group |= i + 1 < len ? (uint32_t) in[i + 1] << 8 : 0;
        group |= i + 2 < len ? in[i + 2] : 0;
        *out++ = digits64[group >> 18];
        *out++ = digits64[group >> 12 & 63];
        *out++ = digits64[group >> 6 & 63];
        *out++ = digits64[group & 63];
    }
    for (size_t missing = (3 - len % 3) % 3; missing > 0; missing--) {
        out[-(ptrdiff_t) missing] = '=';
    }
    return text;
}

static int digit64(char c)
{
    const char *at = c == '\0' ? NULL : strchr(digits64, c);

    return at == NULL ? -1 : (int) (at - digits64);
}

bool format_parse_base64(struct arena *arena, const char *text, struct slice *out)
{
    size_t len = strlen(text);
    uint8_t *bytes = arena_alloc(arena, len / 4 * 3 + 4);
    uint32_t group = 0;
    size_t used = 0;
    size_t digits = len;

    while (digits > 0 && len - digits < 2 && text[digits - 1] == '=') {
        digits--;
    }
    if (len % 4 != 0 || digits % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        int digit = digit64(text[i]);

        if (digit < 0) {
            return false;
        }
        group = group << 6 | (uint32_t) digit;
        if (i % 4 > 0) {
            bytes[used++] = (uint8_t) (group >> (6 - 2 * (i % 4)));
        }
    }
    *out = slice_of(bytes, used);
    return true;
}

const char *format_hex(struct arena *arena, const void *data, size_t len)
{
    const uint8_t *in = data;
    char *text = arena_alloc(arena, 2 * len + 1);

    for (size_t i = 0; i < len; i++) {
        text[2 * i] = "0123456789abcdef"[in[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[in[i] & 15];
    }
    return text;
}

static int digit16(char c)
{
    if (isdigit((unsigned char) c)) {
        return c - '0';
    }
    return isxdigit((unsigned char) c) ? tolower((unsigned char) c) - 'a' + 10 : -1;
}

bool format_parse_hex(struct arena *arena, const char *text, struct slice *out)
{
    size_t len = strlen(text);
    uint8_t *bytes = arena_alloc(arena, len / 2 + 1);

    for (size_t i = 0; i + 1 < len; i += 2) {
        int high = digit16(text[i]);
        int low = digit16(text[i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i / 2] = (uint8_t) (high * 16 + low);
    }
    *out = slice_of(bytes, len / 2);
    return len % 2 == 0;
}
