/*
 * What people see: tables, key-value pages, statuses. Text that came over the
 * wire is shown with its control characters escaped, so that a name can't
 * drive a terminal.
 */
#pragma once

#include <stdio.h>

#include <mxadm/mxadm.h>

/* A table under way: widths come from the first page and stay, so that pages can be shown as they
 * come. */
#define PRINT_COLUMNS_MAX 6
struct print_table {
    const ProtobufCMessageDescriptor *record; /* NULL: nothing shown so far */
    int indent;
    int widths[PRINT_COLUMNS_MAX];
};

/* The records of one page. */
void print_records(FILE *out, struct print_table *table, const ProtobufCMessage *response,
                   const ProtobufCFieldDescriptor *field);

/* A message, a field a line, inner ones indented. */
void print_fields(FILE *out, const ProtobufCMessage *message, int indent);

/* One line's text. */
void print_text(FILE *out, const char *text);

/* Text with its line ends as they are. */
void print_raw(FILE *out, const char *text);

/* What a dry run would change. */
void print_changes(FILE *out, const mxadm_result *result);

/* A failure: what, which fields, what stands in the way, what to do. */
void print_failure(FILE *out, const mxadm_result *result);
