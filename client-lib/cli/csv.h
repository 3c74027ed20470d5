/*
 * Comma-separated values, read row by row and written field by field (RFC 4180):
 * fields in double quotes may hold commas, line ends and, doubled, quotes. Rows
 * end with LF or CRLF; empty lines and a byte order mark at the beginning are
 * skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A longer row is cut and said to be wrong: memory stays bounded whatever the file. */
#define CSV_ROW_BYTES_MAX ((size_t) 1 << 20)

struct csv {
    FILE *file;
    uint64_t line;  /* that is being read, from 1 */
    uint64_t bytes; /* read so far */
    /* The current row. */
    char *text; /* the fields, each terminated */
    size_t len;
    size_t size;
    size_t *starts; /* of the fields, within the text */
    size_t count;
    const char *problem; /* what is wrong with it; NULL: nothing. Static. */
};

void csv_init(struct csv *csv, FILE *file);
void csv_fini(struct csv *csv);

/* Reads the next row; false: there is none. The line it begins in goes to `line_out`. */
bool csv_next(struct csv *csv, uint64_t *line_out);

/* A field of the current row, valid until the next; "" beyond the last. */
const char *csv_field(const struct csv *csv, size_t index);

/* Writes a field, in quotes where they are needed. The caller writes the commas. */
void csv_write(FILE *out, const char *field);
