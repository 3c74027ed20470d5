#include "base/log.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One write(2) of at most this much: whole lines, also with several threads. */
#define LINE_MAX_BYTES 4096

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info",   [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error", [LOG_AUDIT] = "audit",
};

/* U+FFFD, in place of what is no character. */
#define REPLACEMENT 0xfffdU

/* The end of a line always fits behind what put() writes. */
#define END_ROOM 8
/* What a field needs beside its key: punctuation, and a number or the quotes of a text. */
#define FIELD_ROOM 32

/* Written before the first thread starts, read by all afterwards. */
static enum log_level least_level = LOG_INFO;
static bool json_form;

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

void log_configure(enum log_level least, bool json)
{
    least_level = least;
    json_form = json;
}

bool log_enabled(enum log_level level)
{
    return level >= least_level;
}

static void put(struct line *line, const char *text)
{
    size_t room = sizeof(line->text) - END_ROOM - line->len;
    size_t len = strlen(text);

    if (len > room) {
        len = room;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

/* How long the character is that starts with this byte of UTF-8, by the byte alone; 0: none does.
 */
static int length_by_lead(unsigned char lead)
{
    return lead < 0x80   ? 1
           : lead < 0xc2 ? 0
           : lead < 0xe0 ? 2
           : lead < 0xf0 ? 3
           : lead < 0xf5 ? 4
                         : 0;
}

/* The character at `text`, which is not at its end, and how many bytes it has. A byte that belongs
 * to none is U+FFFD. */
static int next_character(const char *text, uint32_t *character_out)
{
    unsigned char lead = (unsigned char) *text;
    int len = length_by_lead(lead);
    uint32_t character = len <= 1 ? lead : lead & (0x7fU >> len);

    for (int i = 1; i < len; i++) {
        if (((unsigned char) text[i] & 0xc0) != 0x80) {
            len = 0;
            break;
        }
        character = character << 6 | ((unsigned char) text[i] & 0x3fU);
    }
    *character_out = len == 0 ? REPLACEMENT : character;
    return len == 0 ? 1 : len;
}

/* What a terminal or an editor does something with rather than show it: the controls of C0 and C1,
 * ends of lines, marks that reorder text. And what is no UTF-8, which JSON must not have. */
static bool is_obeyed(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == REPLACEMENT;
}

static void put_quoted(struct line *line, const char *text)
{
    put(line, "\"");
    while (*text != '\0' && line->len + 16 < sizeof(line->text)) {
        char piece[8]; /* the longest is "\u001b" */
        uint32_t character;
        int len = next_character(text, &character);

        if (character == '"' || character == '\\') {
            (void) snprintf(piece, sizeof(piece), "\\%c", (char) character);
        } else if (is_obeyed(character)) {
            (void) snprintf(piece, sizeof(piece), "\\u%04x", (unsigned) character);
        } else {
            (void) snprintf(piece, sizeof(piece), "%.*s", len, text);
        }
        put(line, piece);
        text += len;
    }
    put(line, "\"");
}

static void put_time(struct line *line)
{
    int64_t now = clock_wall_us();
    time_t seconds = (time_t) (now / 1000000);
    struct tm utc;
    char text[40];
    size_t len;

    (void) gmtime_r(&seconds, &utc);
    len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    (void) snprintf(text + len, sizeof(text) - len, ".%06dZ", (int) (now % 1000000));
    put(line, text);
}

static void put_field(struct line *line, const struct log_field *field)
{
    char number[32];

    if (line->len + strlen(field->key) + FIELD_ROOM > sizeof(line->text) - END_ROOM) {
        return; /* half a field would break the line's form */
    }
    put(line, json_form ? ",\"" : " ");
    put(line, field->key);
    put(line, json_form ? "\":" : "=");
    if (field->text != NULL) {
        put_quoted(line, field->text);
        return;
    }
    (void) snprintf(number, sizeof(number), "%lld", (long long) field->number);
    put(line, number);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    struct line line = { .len = 0 };

    if (!log_enabled(level)) {
        return;
    }
    put(&line, json_form ? "{\"time\":\"" : "");
    put_time(&line);
    put(&line, json_form ? "\",\"level\":\"" : " ");
    put(&line, level_names[level]);
    put(&line, json_form ? "\",\"event\":\"" : " ");
    put(&line, event);
    put(&line, json_form ? "\"" : "");
    for (size_t i = 0; i < count; i++) {
        put_field(&line, &fields[i]);
    }
    memcpy(line.text + line.len, json_form ? "}\n" : "\n", json_form ? 2 : 1);
    line.len += json_form ? 2 : 1;
    if (write(STDERR_FILENO, line.text, line.len) < 0) {
        return; /* nobody is left to tell */
    }
}
