#include "print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "layout.h"
#include "memory.h"
#include "message.h"
#include "value.h"

/* Indentation of inner messages, and the column that values start in. */
#define INDENT     2
#define KEY_COLUMN 28

/* Between the columns of a table. */
#define GAP "  "

/* What a terminal obeys: C0 and C1 controls, DEL, and the marks that reorder text. */
static bool is_control(wchar_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Next character of UTF-8 text; a wrong byte is one for itself, negative. */
static const char *next_character(const char *text, wchar_t *c_out)
{
    mbstate_t state = { 0 };
    size_t len = mbrtowc(c_out, text, MB_CUR_MAX, &state);
    if (len == (size_t) -1 || len == (size_t) -2) {
        *c_out = -(wchar_t) (unsigned char) *text;
        return text + 1;
    }
    return text + len;
}

/* Shows text and returns how many columns it took; `out` NULL only measures. */
static int show(FILE *out, const char *text, const char *kept)
{
    int width = 0;
    while (*text != '\0') {
        wchar_t c;
        const char *next = next_character(text, &c);
        char escaped[16];
        if (c < 0) {
            (void) snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned) -c);
        } else if (is_control(c) && (c > 0x7f || strchr(kept, (int) c) == NULL)) {
            (void) snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned) c);
        } else {
            (void) snprintf(escaped, sizeof(escaped), "%.*s", (int) (next - text), text);
            width += wcwidth(c) > 0 ? wcwidth(c) : 0;
            width -= (int) strlen(escaped);
        }
        width += (int) strlen(escaped);
        if (out != NULL) {
            (void) fputs(escaped, out);
        }
        text = next;
    }
    return width;
}

static void pad(FILE *out, int columns)
{
    (void) fprintf(out, "%*s", columns > 0 ? columns : 0, "");
}

/* ------------------------------------------------------------------- tables */

/* The value at a path as text, allocated; "" if it is not set, but for a number, which is 0. */
static char *text_at(const ProtobufCMessage *message, const char *path)
{
    size_t len = strcspn(path, ".");
    const ProtobufCFieldDescriptor *field = message_field(message->descriptor, path, len);
    bool is_number = field != NULL && field->type < PROTOBUF_C_TYPE_BOOL;
    if (field == NULL || (message_count(message, field) == 0 && !is_number)) {
        return memory_copy("");
    }
    const void *place = message_get(message, field, 0);
    if (path[len] == '.') {
        return text_at(*(ProtobufCMessage *const *) place, path + len + 1);
    }
    if (field->type == PROTOBUF_C_TYPE_BOOL) {
        return memory_copy("yes");
    }
    return value_write(field, place, VALUE_HUMAN);
}

/* "DMARC.ACCOUNT" of "dmarc.account". */
static char *heading(const char *path)
{
    char *text = memory_copy(path);
    for (char *c = text; *c != '\0'; c++) {
        *c = (char) (*c == '_' ? ' ' : *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    return text;
}

static void show_row(FILE *out, const struct print_table *table, char *const *cells, size_t count)
{
    while (count > 0 && cells[count - 1][0] == '\0') {
        count--; /* no blanks at the end of a line */
    }
    pad(out, table->indent);
    for (size_t i = 0; i < count; i++) {
        int width = show(out, cells[i], "");
        if (i + 1 < count) {
            pad(out, table->widths[i] - width);
            (void) fputs(GAP, out);
        }
    }
    (void) fputc('\n', out);
}

static const ProtobufCMessage *record_at(const ProtobufCMessage *response,
                                         const ProtobufCFieldDescriptor *field, size_t index)
{
    return *(ProtobufCMessage *const *) message_get(response, field, index);
}

static size_t count_paths(const char *const *paths)
{
    size_t count = 0;
    while (count < PRINT_COLUMNS_MAX && paths[count] != NULL) {
        count++;
    }
    return count;
}

static void begin_table(FILE *out, struct print_table *table, const char *const *paths,
                        const ProtobufCMessage *response, const ProtobufCFieldDescriptor *field)
{
    char *cells[PRINT_COLUMNS_MAX] = { NULL };
    size_t columns = count_paths(paths);
    table->record = field->descriptor;
    for (size_t i = 0; i < columns; i++) {
        cells[i] = heading(paths[i]);
        table->widths[i] = show(NULL, cells[i], "");
        for (size_t row = 0; row < message_count(response, field); row++) {
            char *text = text_at(record_at(response, field, row), paths[i]);
            int width = show(NULL, text, "");
            table->widths[i] = width > table->widths[i] ? width : table->widths[i];
            free(text);
        }
    }
    show_row(out, table, cells, columns);
    for (size_t i = 0; i < columns; i++) {
        free(cells[i]);
    }
}

void print_records(FILE *out, struct print_table *table, const ProtobufCMessage *response,
                   const ProtobufCFieldDescriptor *field)
{
    const char *buffer[LAYOUT_FIELDS_MAX];
    const char *const *paths = layout_columns(field->descriptor, buffer);
    size_t columns = count_paths(paths);
    if (message_count(response, field) > 0 && table->record != field->descriptor) {
        begin_table(out, table, paths, response, field);
    }
    for (size_t row = 0; row < message_count(response, field); row++) {
        char *cells[PRINT_COLUMNS_MAX];
        for (size_t i = 0; i < columns; i++) {
            cells[i] = text_at(record_at(response, field, row), paths[i]);
        }
        show_row(out, table, cells, columns);
        for (size_t i = 0; i < columns; i++) {
            free(cells[i]);
        }
    }
}

/* -------------------------------------------------------------------- pages */

static void show_key(FILE *out, const char *name, int indent)
{
    char *key = memory_copy(name);
    for (char *c = key; *c != '\0'; c++) {
        *c = (char) (*c == '_' ? '-' : *c);
    }
    pad(out, indent);
    (void) fprintf(out, "%s:", key);
    free(key);
}

static void show_value(FILE *out, const ProtobufCFieldDescriptor *field, const void *place,
                       int indent)
{
    if (!value_has_text(field)) {
        show_key(out, field->name, indent);
        (void) fputc('\n', out);
        print_fields(out, *(ProtobufCMessage *const *) place, indent + INDENT);
        return;
    }
    char *text = value_write(field, place, VALUE_HUMAN);
    show_key(out, field->name, indent);
    pad(out, KEY_COLUMN - indent - (int) strlen(field->name) - 1);
    (void) fputc(' ', out);
    show(out, text, "");
    (void) fputc('\n', out);
    free(text);
}

/* The records of a repeated field below its name. */
static void show_inner_table(FILE *out, const ProtobufCMessage *message,
                             const ProtobufCFieldDescriptor *field, int indent)
{
    struct print_table table = { .indent = indent + INDENT };
    show_key(out, field->name, indent);
    (void) fputc('\n', out);
    print_records(out, &table, message, field);
}

void print_fields(FILE *out, const ProtobufCMessage *message, int indent)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED && !value_has_text(field) &&
            message_count(message, field) > 0 && layout_is_table(field->descriptor)) {
            show_inner_table(out, message, field, indent);
            continue;
        }
        for (size_t j = 0; j < message_count(message, field); j++) {
            show_value(out, field, message_get(message, field, j), indent);
        }
    }
}

void print_text(FILE *out, const char *text)
{
    show(out, text, "");
}

void print_raw(FILE *out, const char *text)
{
    show(out, text, "\n\t");
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] != '\n') {
        (void) fputc('\n', out);
    }
}

void print_changes(FILE *out, const mxadm_result *result)
{
    size_t count = mxadm_result_change_count(result);
    for (size_t i = 0; i < count; i++) {
        const Mxadm__V1__PlannedChange *change = mxadm_result_change(result, i);
        char *action = text_at(&change->base, "action");
        (void) fprintf(out, "would %s ", action);
        show(out, change->kind, "");
        (void) fputs(" ", out);
        show(out, change->name, "");
        (void) fputc('\n', out);
        free(action);
    }
    if (count == 0) {
        (void) fputs("nothing would change\n", out);
    }
}

/* ----------------------------------------------------------------- failures */

/* What follows `words`, if the text begins with them. */
static const char *skip(const char *text, const char *words)
{
    size_t len = strlen(words);
    return strncmp(text, words, len) == 0 ? text + len : text;
}

static size_t count_details(const Mxadm__V1__Status *status)
{
    const Mxadm__V1__BadRequest *bad = status->bad_request;
    const Mxadm__V1__PreconditionFailure *failure = status->precondition_failure;
    return (bad != NULL ? bad->n_field_violations : 0) +
           (failure != NULL ? failure->n_violations : 0);
}

/* Whether the message says what the details do and no more: so the daemon makes it, for programs
 * that look at nothing else. */
static bool repeats_details(const Mxadm__V1__Status *status)
{
    const Mxadm__V1__BadRequest *bad = status->bad_request;
    const Mxadm__V1__PreconditionFailure *failure = status->precondition_failure;
    const char *rest = status->message;
    for (size_t i = 0; bad != NULL && i < bad->n_field_violations; i++) {
        rest = skip(skip(rest, bad->field_violations[i]->field), ": ");
        rest = skip(skip(rest, bad->field_violations[i]->description), "; ");
    }
    for (size_t i = 0; failure != NULL && i < failure->n_violations; i++) {
        rest = skip(skip(rest, failure->violations[i]->description), "; ");
    }
    return rest[0] == '\0' && count_details(status) > 0;
}

static void show_details(FILE *out, const Mxadm__V1__Status *status)
{
    const Mxadm__V1__BadRequest *bad = status->bad_request;
    for (size_t i = 0; bad != NULL && i < bad->n_field_violations; i++) {
        (void) fputs("  ", out);
        show(out, bad->field_violations[i]->field, "");
        (void) fputs(": ", out);
        show(out, bad->field_violations[i]->description, "");
        (void) fputc('\n', out);
    }
    const Mxadm__V1__PreconditionFailure *failure = status->precondition_failure;
    if (failure == NULL) {
        return;
    }
    for (size_t i = 0; i < failure->n_violations; i++) {
        (void) fputs("  in the way: ", out);
        show(out, failure->violations[i]->type, "");
        (void) fputs(" '", out);
        show(out, failure->violations[i]->subject, "");
        (void) fputs("': ", out);
        show(out, failure->violations[i]->description, "");
        (void) fputc('\n', out);
    }
    if (failure->total > failure->n_violations) {
        (void) fprintf(out, "  in the way: %" PRIu64 " more\n",
                       failure->total - failure->n_violations);
    }
}

static void show_hints(FILE *out, const mxadm_result *result)
{
    const Mxadm__V1__Status *status = mxadm_result_status(result);
    if (status != NULL && status->retry_info != NULL && status->retry_info->retry_delay != NULL) {
        char *delay = text_at(&status->retry_info->base, "retry_delay");
        (void) fprintf(out, "  try again in %s\n", delay);
        free(delay);
    }
    const uint8_t *id = mxadm_result_request_id(result);
    if (mxadm_result_may_have_happened(result) && id != NULL) {
        (void) fputs(
            "  if it changes something, that may have happened: call again with --request-id ",
            out);
        for (size_t i = 0; i < MXADM_REQUEST_ID_SIZE; i++) {
            (void) fprintf(out, "%02x", id[i]);
        }
        (void) fputs(" to be sure\n", out);
    }
}

void print_failure(FILE *out, const mxadm_result *result)
{
    const Mxadm__V1__Status *status = mxadm_result_status(result);
    const char *code = mxadm_code_name(mxadm_result_code(result));
    const char *reason = mxadm_result_reason(result);
    bool twice = status != NULL && repeats_details(status);
    bool listed = twice && count_details(status) > 1;
    (void) fputs("mxadm: ", out);
    show(out, listed ? "refused" : mxadm_result_message(result), "");
    (void) fprintf(out, " (%s", code);
    if (reason[0] != '\0' && strcmp(reason, code) != 0) {
        (void) fputs(", ", out);
        show(out, reason, "");
    }
    (void) fputs(")\n", out);
    if (status != NULL && (listed || !twice)) {
        show_details(out, status);
    }
    show_hints(out, result);
}
