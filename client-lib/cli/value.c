#include "value.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mxadm/mxadm.h>

#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/field_mask.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>

#include "memory.h"
#include "message.h"

/* Ranges of the text forms (protobuf's duration.proto and timestamp.proto). */
#define DURATION_SECONDS_MAX  315576000000
#define TIMESTAMP_SECONDS_MIN (-62135596800)
#define TIMESTAMP_SECONDS_MAX 253402300799
#define NANOS_PER_SECOND      1000000000

/* ------------------------------------------------------------------ numbers */

static bool read_int64(const char *text, int64_t min, int64_t max, int64_t *value_out)
{
    if (!isdigit((unsigned char) text[0]) && text[0] != '-') {
        return false;
    }
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
        return false;
    }
    *value_out = value;
    return true;
}

bool value_read_uint64(const char *text, uint64_t *value_out)
{
    if (!isdigit((unsigned char) text[0])) {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *value_out = value;
    return true;
}

/* NaN and infinity are refused: no field of ours has a use for them. */
static bool read_double(const char *text, double *value_out)
{
    if (!isdigit((unsigned char) text[0]) && strchr("-.", text[0]) == NULL) {
        return false;
    }
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value)) {
        return false;
    }
    *value_out = value;
    return true;
}

static bool read_bool(const char *text, protobuf_c_boolean *value_out)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *value_out = text[0] == 't';
        return true;
    }
    return false;
}

/* -------------------------------------------------------------------- names */

const char *value_enum_short(const ProtobufCEnumDescriptor *descriptor, const char *name)
{
    static const char suffix[] = "UNSPECIFIED";
    for (unsigned i = 0; i < descriptor->n_values; i++) {
        const char *zero = descriptor->values[i].name;
        size_t len = strlen(zero);
        if (descriptor->values[i].value == 0 && len >= sizeof(suffix) &&
            strcmp(zero + len - (sizeof(suffix) - 1), suffix) == 0 &&
            strncmp(zero, name, len - (sizeof(suffix) - 1)) == 0) {
            return name + len - (sizeof(suffix) - 1);
        }
    }
    return name;
}

static bool read_enum(const ProtobufCEnumDescriptor *descriptor, const char *text, int *value_out)
{
    for (unsigned i = 0; i < descriptor->n_values; i++) {
        const char *name = descriptor->values[i].name;
        if (strcasecmp(text, name) == 0 ||
            strcasecmp(text, value_enum_short(descriptor, name)) == 0) {
            *value_out = descriptor->values[i].value;
            return true;
        }
    }
    return false;
}

static char *write_enum(const ProtobufCEnumDescriptor *descriptor, int number, enum value_form form)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);
    if (value == NULL) {
        return memory_print("%d", number); /* a newer server's */
    }
    if (form == VALUE_JSON) {
        return memory_copy(value->name);
    }
    char *text = memory_copy(value_enum_short(descriptor, value->name));
    for (char *c = text; *c != '\0'; c++) {
        *c = (char) (*c == '_' ? '-' : tolower((unsigned char) *c));
    }
    return text;
}

char *value_camel(const char *snake)
{
    char *camel = memory_get(strlen(snake));
    char *out = camel;
    for (; *snake != '\0'; snake++) {
        if (snake[0] == '_' && islower((unsigned char) snake[1])) {
            *out++ = (char) toupper((unsigned char) *++snake);
        } else {
            *out++ = *snake;
        }
    }
    return camel;
}

static char *snake(const char *camel, size_t len)
{
    char *text = memory_get(2 * len);
    char *out = text;
    for (size_t i = 0; i < len; i++) {
        if (isupper((unsigned char) camel[i])) {
            *out++ = '_';
        }
        *out++ = (char) (camel[i] == '-' ? '_' : tolower((unsigned char) camel[i]));
    }
    return text;
}

/* -------------------------------------------------------------------- bytes */

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *value_base64(const uint8_t *bytes, size_t len)
{
    char *text = memory_get((len + 2) / 3 * 4);
    char *out = text;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t) bytes[i] << 16;
        group |= i + 1 < len ? (uint32_t) bytes[i + 1] << 8 : 0;
        group |= i + 2 < len ? bytes[i + 2] : 0;
        *out++ = base64_alphabet[group >> 18];
        *out++ = base64_alphabet[group >> 12 & 63];
        *out++ = (char) (i + 1 < len ? base64_alphabet[group >> 6 & 63] : '=');
        *out++ = (char) (i + 2 < len ? base64_alphabet[group & 63] : '=');
    }
    return text;
}

static int base64_digit(char c)
{
    if (c == '-') {
        return 62;
    }
    if (c == '_') {
        return 63;
    }
    const char *found = c != '\0' ? strchr(base64_alphabet, c) : NULL;
    return found != NULL ? (int) (found - base64_alphabet) : -1;
}

bool value_read_base64(const char *text, ProtobufCBinaryData *bytes_out)
{
    size_t digits = strcspn(text, "=");
    size_t padding = strlen(text) - digits;
    if (digits % 4 == 1 || padding > 2 || strspn(text + digits, "=") != padding ||
        (padding > 0 && (digits + padding) % 4 != 0)) {
        return false;
    }
    uint8_t *bytes = memory_get(digits / 4 * 3 + 3);
    size_t len = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0) {
            free(bytes);
            return false;
        }
        group = group << 6 | (uint32_t) digit;
        if (i % 4 != 0) {
            bytes[len++] = (uint8_t) (group >> (6 - 2 * (i % 4)));
        }
    }
    bytes_out->data = bytes;
    bytes_out->len = len;
    return true;
}

bool value_is_utf8(const char *text)
{
    const unsigned char *c = (const unsigned char *) text;
    while (*c != '\0') {
        size_t more = *c < 0x80 ? 0 : *c < 0xe0 ? 1 : *c < 0xf0 ? 2 : 3;
        if ((*c >= 0x80 && *c < 0xc2) || *c > 0xf4 || (*c == 0xe0 && c[1] < 0xa0) ||
            (*c == 0xed && c[1] > 0x9f) || (*c == 0xf0 && c[1] < 0x90) ||
            (*c == 0xf4 && c[1] > 0x8f)) {
            return false;
        }
        for (c++; more > 0; more--, c++) {
            if ((*c & 0xc0) != 0x80) {
                return false;
            }
        }
    }
    return true;
}

/* --------------------------------------------------------------------- time */

/* Digits after the point, as many as matter: 0, 3, 6 or 9. */
static char *write_fraction(int32_t nanos)
{
    if (nanos == 0) {
        return memory_copy("");
    }
    int digits = nanos % 1000000 == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9;
    char *text = memory_print(".%09" PRId32, nanos);
    text[1 + digits] = '\0';
    return text;
}

/* Up to nine digits after the point; leaves the end in `*text`. */
static bool read_fraction(const char **text, int32_t *nanos_out)
{
    int32_t nanos = 0;
    if (**text == '.') {
        int32_t unit = NANOS_PER_SECOND / 10;
        (*text)++;
        if (!isdigit((unsigned char) **text)) {
            return false;
        }
        for (; isdigit((unsigned char) **text); (*text)++, unit /= 10) {
            if (unit == 0) {
                return false;
            }
            nanos += (**text - '0') * unit;
        }
    }
    *nanos_out = nanos;
    return true;
}

static char *write_duration(const Google__Protobuf__Duration *duration)
{
    bool negative = duration->seconds < 0 || duration->nanos < 0;
    char *fraction = write_fraction(negative ? -duration->nanos : duration->nanos);
    char *text = memory_print(
        "%s%" PRIu64 "%ss", negative ? "-" : "",
        negative ? -(uint64_t) duration->seconds : (uint64_t) duration->seconds, fraction);
    free(fraction);
    return text;
}

/* Units of a duration, as in Go; days beside them. */
static const struct {
    const char *name;
    int64_t nanos;
} units[] = {
    { "ms", 1000000 },
    { "us", 1000 },
    { "ns", 1 },
    { "s", NANOS_PER_SECOND },
    { "m", 60 * INT64_C(1000000000) },
    { "h", 3600 * INT64_C(1000000000) },
    { "d", 86400 * INT64_C(1000000000) },
};

/* In the largest unit that it is a whole number of: "3d", "90s" */
static char *write_period(const Google__Protobuf__Duration *duration)
{
    for (size_t i = sizeof(units) / sizeof(units[0]); i-- > 0;) {
        int64_t seconds = units[i].nanos / NANOS_PER_SECOND;
        if (seconds > 1 && duration->nanos == 0 && duration->seconds != 0 &&
            duration->seconds % seconds == 0) {
            return memory_print("%" PRId64 "%s", duration->seconds / seconds, units[i].name);
        }
    }
    return write_duration(duration);
}

/* One number with its unit: "1.5h". */
static bool read_part(const char **text, int64_t *seconds, int64_t *nanos)
{
    if (!isdigit((unsigned char) **text)) {
        return false;
    }
    char *end;
    errno = 0;
    long long whole = strtoll(*text, &end, 10);
    *text = end;
    int32_t fraction;
    if (errno != 0 || whole > DURATION_SECONDS_MAX || !read_fraction(text, &fraction)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*text, units[i].name, len) == 0 && !isalpha((unsigned char) (*text)[len])) {
            *text += len;
            __int128 total = (__int128) whole * units[i].nanos +
                             (__int128) fraction * units[i].nanos / NANOS_PER_SECOND;
            *seconds += (int64_t) (total / NANOS_PER_SECOND);
            *nanos += (int64_t) (total % NANOS_PER_SECOND);
            return true;
        }
    }
    return false;
}

static bool read_duration(const char *text, int64_t *seconds_out, int32_t *nanos_out)
{
    bool negative = *text == '-';
    text += negative;
    int64_t seconds = 0;
    int64_t nanos = 0;
    do {
        if (!read_part(&text, &seconds, &nanos)) {
            return false;
        }
        seconds += nanos / NANOS_PER_SECOND;
        nanos %= NANOS_PER_SECOND;
        if (seconds > DURATION_SECONDS_MAX) {
            return false;
        }
    } while (*text != '\0');
    *seconds_out = negative ? -seconds : seconds;
    *nanos_out = (int32_t) (negative ? -nanos : nanos);
    return true;
}

bool value_read_duration_ms(const char *text, int64_t *ms_out)
{
    int64_t seconds;
    int32_t nanos;
    if (!read_duration(text, &seconds, &nanos) || seconds < 0 || nanos < 0) {
        return false;
    }
    *ms_out = seconds * 1000 + (nanos + 999999) / 1000000;
    return true;
}

static char *write_timestamp(const Google__Protobuf__Timestamp *timestamp)
{
    time_t seconds = timestamp->seconds;
    struct tm tm;
    char date[64];
    if (timestamp->seconds < TIMESTAMP_SECONDS_MIN || timestamp->seconds > TIMESTAMP_SECONDS_MAX ||
        timestamp->nanos < 0 || timestamp->nanos >= NANOS_PER_SECOND ||
        gmtime_r(&seconds, &tm) == NULL) {
        return memory_copy("invalid");
    }
    (void) snprintf(date, sizeof(date), "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    char *fraction = write_fraction(timestamp->nanos);
    char *text = memory_print("%s%sZ", date, fraction);
    free(fraction);
    return text;
}

/* Seconds east of UTC: "Z" or "+02:00". */
static bool read_offset(const char *text, int *offset_out)
{
    int hours;
    int minutes;
    int len = -1;
    if (strcmp(text, "Z") == 0) {
        *offset_out = 0;
        return true;
    }
    if ((text[0] != '+' && text[0] != '-') ||
        sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &len) != 2 || len != 5 || text[6] != '\0' ||
        hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return false;
    }
    *offset_out = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
    return true;
}

/* RFC 3339. */
static bool read_timestamp(const char *text, int64_t *seconds_out, int32_t *nanos_out)
{
    struct tm tm = { 0 };
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int offset;
    if (rest == NULL || rest - text != (ptrdiff_t) strlen("2026-01-02T03:04:05") ||
        !read_fraction(&rest, nanos_out) || !read_offset(rest, &offset)) {
        return false;
    }
    *seconds_out = timegm(&tm) - offset;
    return *seconds_out >= TIMESTAMP_SECONDS_MIN && *seconds_out <= TIMESTAMP_SECONDS_MAX;
}

/* --------------------------------------------------------- messages with text */

static char *write_mask(const Google__Protobuf__FieldMask *mask, enum value_form form)
{
    char *text = memory_copy("");
    for (size_t i = 0; i < mask->n_paths; i++) {
        char *path = form == VALUE_JSON ? value_camel(mask->paths[i]) : memory_copy(mask->paths[i]);
        char *longer = memory_print("%s%s%s", text, i > 0 ? "," : "", path);
        free(path);
        free(text);
        text = longer;
    }
    return text;
}

static void read_mask(const char *text, ProtobufCMessage *mask)
{
    const ProtobufCFieldDescriptor *paths = &mask->descriptor->fields[0];
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        *(char **) message_place(mask, paths) = snake(text, len);
        text += len + (text[len] == ',');
    }
}

static bool is_mask(const ProtobufCMessageDescriptor *descriptor)
{
    return descriptor == &google__protobuf__field_mask__descriptor;
}

static bool is_duration(const ProtobufCMessageDescriptor *descriptor)
{
    return descriptor == &google__protobuf__duration__descriptor;
}

static bool is_timestamp(const ProtobufCMessageDescriptor *descriptor)
{
    return descriptor == &google__protobuf__timestamp__descriptor;
}

bool value_has_text(const ProtobufCFieldDescriptor *field)
{
    return field->type != PROTOBUF_C_TYPE_MESSAGE || is_mask(field->descriptor) ||
           is_duration(field->descriptor) || is_timestamp(field->descriptor);
}

static bool read_message(const ProtobufCFieldDescriptor *field, const char *text,
                         ProtobufCMessage **place)
{
    int64_t seconds = 0;
    int32_t nanos = 0;
    bool good = is_mask(field->descriptor) ||
                (is_duration(field->descriptor) ? read_duration(text, &seconds, &nanos)
                                                : read_timestamp(text, &seconds, &nanos));
    if (!good) {
        return false;
    }
    *place = message_new(field->descriptor);
    if (is_mask(field->descriptor)) {
        read_mask(text, *place);
    } else if (is_duration(field->descriptor)) {
        ((Google__Protobuf__Duration *) *place)->seconds = seconds;
        ((Google__Protobuf__Duration *) *place)->nanos = nanos;
    } else {
        ((Google__Protobuf__Timestamp *) *place)->seconds = seconds;
        ((Google__Protobuf__Timestamp *) *place)->nanos = nanos;
    }
    return true;
}

/* The fewest digits that read back as the same number: 0.95, not 0.94999999999999996. */
static char *write_double(double number)
{
    char text[40];

    for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        (void) snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    return memory_copy(text);
}

static char *write_message(const ProtobufCMessage *message, enum value_form form)
{
    if (is_mask(message->descriptor)) {
        return write_mask((const Google__Protobuf__FieldMask *) message, form);
    }
    if (is_duration(message->descriptor)) {
        const Google__Protobuf__Duration *duration = (const Google__Protobuf__Duration *) message;
        return form == VALUE_HUMAN ? write_period(duration) : write_duration(duration);
    }
    return write_timestamp((const Google__Protobuf__Timestamp *) message);
}

/* --------------------------------------------------------------- any one value */

static const char *expected(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return "a whole number of 32 bits";
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return "a whole number of 64 bits";
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return "a whole number of 32 bits, not negative";
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return "a whole number of 64 bits, not negative";
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return "a finite number";
    case PROTOBUF_C_TYPE_BOOL:
        return "'true' or 'false'";
    case PROTOBUF_C_TYPE_ENUM:
        break; /* value_read() tells the names */
    case PROTOBUF_C_TYPE_STRING:
        return "valid UTF-8";
    case PROTOBUF_C_TYPE_BYTES:
        return "base64";
    case PROTOBUF_C_TYPE_MESSAGE:
        return is_duration(field->descriptor) ? "a duration such as '90s' or '1h30m'"
                                              : "a time such as '2026-01-02T03:04:05Z'";
    }
    return "";
}

static bool read_any(const ProtobufCFieldDescriptor *field, const char *text, void *place)
{
    int64_t number;
    uint64_t natural;
    double real;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return read_int64(text, INT32_MIN, INT32_MAX, &number) &&
               (*(int32_t *) place = (int32_t) number, true);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return read_int64(text, INT64_MIN, INT64_MAX, place);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return value_read_uint64(text, &natural) && natural <= UINT32_MAX &&
               (*(uint32_t *) place = (uint32_t) natural, true);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return value_read_uint64(text, place);
    case PROTOBUF_C_TYPE_FLOAT:
        return read_double(text, &real) && isfinite((float) real) &&
               (*(float *) place = (float) real, true);
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_double(text, place);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(text, place);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(field->descriptor, text, place);
    case PROTOBUF_C_TYPE_STRING:
        return value_is_utf8(text) && (*(char **) place = memory_copy(text), true);
    case PROTOBUF_C_TYPE_BYTES:
        return value_read_base64(text, place);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(field, text, place);
    }
    return false;
}

char *value_enum_names(const ProtobufCEnumDescriptor *descriptor)
{
    char *names = memory_copy("");
    for (unsigned i = 0; i < descriptor->n_values; i++) {
        if (descriptor->values[i].value != 0) {
            char *name = write_enum(descriptor, descriptor->values[i].value, VALUE_HUMAN);
            char *longer = memory_print("%s%s%s", names, names[0] != '\0' ? ", " : "", name);
            free(name);
            free(names);
            names = longer;
        }
    }
    return names;
}

bool value_read(const ProtobufCFieldDescriptor *field, const char *text, void *place,
                struct problem *problem)
{
    if (read_any(field, text, place)) {
        return true;
    }
    if (field->type == PROTOBUF_C_TYPE_ENUM) {
        char *names = value_enum_names(field->descriptor);
        problem_say(problem, "%s: '%.100s' is none of: %s", field->name, text, names);
        free(names);
        return false;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES) {
        return problem_say(problem, "%s: the value is not %s", field->name, expected(field));
    }
    return problem_say(problem, "%s: '%.100s' is not %s", field->name, text, expected(field));
}

char *value_write(const ProtobufCFieldDescriptor *field, const void *place, enum value_form form)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return memory_print("%" PRId32, *(const int32_t *) place);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return memory_print("%" PRId64, *(const int64_t *) place);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return memory_print("%" PRIu32, *(const uint32_t *) place);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return memory_print("%" PRIu64, *(const uint64_t *) place);
    case PROTOBUF_C_TYPE_FLOAT:
        return memory_print("%.9g", (double) *(const float *) place);
    case PROTOBUF_C_TYPE_DOUBLE:
        return write_double(*(const double *) place);
    case PROTOBUF_C_TYPE_BOOL:
        return memory_copy(*(const protobuf_c_boolean *) place ? "true" : "false");
    case PROTOBUF_C_TYPE_ENUM:
        return write_enum(field->descriptor, *(const int *) place, form);
    case PROTOBUF_C_TYPE_STRING:
        return memory_copy(*(char *const *) place);
    case PROTOBUF_C_TYPE_BYTES:
        return value_base64(((const ProtobufCBinaryData *) place)->data,
                            ((const ProtobufCBinaryData *) place)->len);
    case PROTOBUF_C_TYPE_MESSAGE:
        return write_message(*(ProtobufCMessage *const *) place, form);
    }
    return memory_copy("");
}
