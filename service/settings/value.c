#include "settings/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define KIB    UINT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

/* Smallest first. */
static const struct unit no_units[] = { { "", 1 } };
static const struct unit durations[] = {
    { "ms", 1 }, { "s", SECOND }, { "m", MINUTE }, { "h", HOUR }
};
static const struct unit sizes[] = { { "", 1 }, { "KiB", KIB }, { "MiB", MIB }, { "GiB", GIB } };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The digits at the start; `*end_out` is behind them. */
static bool parse_digits(const char *text, uint64_t *number_out, const char **end_out)
{
    uint64_t number = 0;
    const char *c = text;

    for (; *c >= '0' && *c <= '9'; c++) {
        uint64_t digit = (uint64_t) (*c - '0');

        if (number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    if (c == text || (text[0] == '0' && c - text > 1)) {
        return false;
    }
    *number_out = number;
    *end_out = c;
    return true;
}

static bool parse(const char *text, const struct unit *units, size_t count, uint64_t *number_out)
{
    uint64_t number;
    const char *unit;

    if (!parse_digits(text, &number, &unit)) {
        return false;
    }
    if (number == 0 && *unit == '\0') {
        *number_out = 0;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(unit, units[i].name) == 0 && number <= UINT64_MAX / units[i].factor) {
            *number_out = number * units[i].factor;
            return true;
        }
    }
    return false;
}

static void format(uint64_t number, const struct unit *units, size_t count,
                   char text[VALUE_TEXT_SIZE])
{
    size_t i = count - 1;

    while (i > 0 && (number == 0 || number % units[i].factor != 0)) {
        i--;
    }
    (void) snprintf(text, VALUE_TEXT_SIZE, "%" PRIu64 "%s", number / units[i].factor,
                    number == 0 ? "" : units[i].name);
}

bool value_parse_number(const char *text, uint64_t *number_out)
{
    return parse(text, no_units, COUNT(no_units), number_out);
}

bool value_parse_duration(const char *text, uint64_t *ms_out)
{
    return parse(text, durations, COUNT(durations), ms_out);
}

bool value_parse_size(const char *text, uint64_t *bytes_out)
{
    return parse(text, sizes, COUNT(sizes), bytes_out);
}

void value_format_number(uint64_t number, char text[VALUE_TEXT_SIZE])
{
    format(number, no_units, COUNT(no_units), text);
}

void value_format_duration(uint64_t ms, char text[VALUE_TEXT_SIZE])
{
    format(ms, durations, COUNT(durations), text);
}

void value_format_size(uint64_t bytes, char text[VALUE_TEXT_SIZE])
{
    format(bytes, sizes, COUNT(sizes), text);
}
