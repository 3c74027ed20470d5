#include "csv.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

static int next_byte(struct csv *csv)
{
    int c = getc_unlocked(csv->file);
    csv->bytes += c != EOF;
    csv->line += c == '\n';
    return c;
}

static void put_back(struct csv *csv, int c)
{
    if (c != EOF) {
        (void) ungetc(c, csv->file);
        csv->bytes--;
        csv->line -= c == '\n';
    }
}

void csv_init(struct csv *csv, FILE *file)
{
    memset(csv, 0, sizeof(*csv));
    csv->file = file;
    csv->line = 1;
    int c = next_byte(csv);
    if (c != (unsigned char) BYTE_ORDER_MARK[0]) {
        put_back(csv, c);
        return;
    }
    /* No text begins with half a mark: what is here instead of the rest is wrong anyway. */
    (void) next_byte(csv);
    (void) next_byte(csv);
}

void csv_fini(struct csv *csv)
{
    free(csv->text);
    free(csv->starts);
}

static void add_byte(struct csv *csv, char c)
{
    if (csv->len == csv->size) {
        csv->size = csv->size == 0 ? 1024 : 2 * csv->size;
        csv->text = memory_resize(csv->text, csv->size);
    }
    csv->text[csv->len++] = c;
}

static void add_text(struct csv *csv, int c)
{
    if (csv->len >= CSV_ROW_BYTES_MAX) {
        csv->problem = "the line has more than 1 MiB and is cut";
    } else if (c == '\0') {
        csv->problem = "the line has a NUL byte, which is left out";
    } else {
        add_byte(csv, (char) c);
    }
}

static void begin_field(struct csv *csv)
{
    csv->starts = memory_resize(csv->starts, (csv->count + 1) * sizeof(*csv->starts));
    csv->starts[csv->count++] = csv->len;
}

/* The line's end, CRLF as one. */
static bool is_line_end(struct csv *csv, int c)
{
    if (c == '\r') {
        int next = next_byte(csv);
        if (next == '\n') {
            return true;
        }
        put_back(csv, next);
    }
    return c == '\n';
}

/* Behind the opening quote; ends behind the closing one. */
static void read_quoted(struct csv *csv)
{
    for (;;) {
        int c = next_byte(csv);
        if (c == EOF) {
            csv->problem = "a closing quote is missing";
            return;
        }
        if (c == '"') {
            c = next_byte(csv);
            if (c != '"') {
                put_back(csv, c);
                return;
            }
        }
        add_text(csv, c);
    }
}

/* Returns whether another field follows in the row. */
static bool read_field(struct csv *csv, int first)
{
    bool quoted = first == '"';
    begin_field(csv);
    if (quoted) {
        read_quoted(csv);
        first = next_byte(csv);
    }
    int c = first;
    while (c != EOF && c != ',' && !is_line_end(csv, c)) {
        if (quoted) {
            csv->problem = "text follows a closing quote";
        } else if (c == '"') {
            csv->problem = "a quote stands within a field that does not begin with one";
        }
        add_text(csv, c);
        c = next_byte(csv);
    }
    add_byte(csv, '\0');
    return c == ',';
}

bool csv_next(struct csv *csv, uint64_t *line_out)
{
    csv->len = csv->count = 0;
    csv->problem = NULL;
    *line_out = csv->line;
    int c = next_byte(csv);
    while (is_line_end(csv, c)) {
        *line_out = csv->line;
        c = next_byte(csv);
    }
    if (c == EOF) {
        return false;
    }
    while (read_field(csv, c)) {
        c = next_byte(csv);
        if (c == EOF || c == '\n' || c == '\r') { /* an empty last field */
            if (!(c == EOF || is_line_end(csv, c))) {
                continue;
            }
            begin_field(csv);
            add_byte(csv, '\0');
            break;
        }
    }
    return true;
}

const char *csv_field(const struct csv *csv, size_t index)
{
    return index < csv->count ? csv->text + csv->starts[index] : "";
}

void csv_write(FILE *out, const char *field)
{
    if (strpbrk(field, ",\"\r\n") == NULL && field[0] != ' ') {
        (void) fputs(field, out);
        return;
    }
    (void) fputc('"', out);
    for (; *field != '\0'; field++) {
        if (*field == '"') {
            (void) fputc('"', out);
        }
        (void) fputc(*field, out);
    }
    (void) fputc('"', out);
}
