#include "import_line.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <mxadm/mxadm.h>

#include "json.h"
#include "memory.h"
#include "message.h"
#include "request.h"
#include "value.h"

/* What a failed line says beside its values; ignored when it is imported again. */
#define REASON "reason"
#define KIND   "kind"

/* Between the elements of a list within one field. */
#define SEPARATORS " ;\t\r\n"

static const struct import_kind kinds[] = {
    { "domains", "domain", "DomainAdd", "DomainSave", "domain", "domain", "name" },
    { "accounts", "account", "AccountAdd", "AccountSave", "account", "account", "name" },
    { "addresses", "address", "AddressAdd", "AddressSave", "address", "address", "address" },
    { "aliases", "alias", "AliasAdd", NULL, "address", NULL, NULL },
};

const struct import_kind *import_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i].name) == 0 || strcmp(name, kinds[i].singular) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------- values */

static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessageDescriptor *message,
                                                   const char *name)
{
    return message_field(message, name, strlen(name));
}

/* The request that adds, or with `save` the one that saves, made when first needed. */
static ProtobufCMessage *request_for(struct import_line *line, bool save)
{
    ProtobufCMessage **request = save ? &line->save : &line->add;
    if (*request == NULL) {
        const char *method = save ? line->kind->save : line->kind->add;
        *request = message_new(mxadm_method_find(method)->input);
    }
    return *request;
}

/* Finds the field that a column or key names: in the adding request, else in the record. */
static const ProtobufCFieldDescriptor *find_field(const struct import_kind *kind, const char *name,
                                                  char path[REQUEST_PATH_MAX], bool *save_out)
{
    const ProtobufCFieldDescriptor *field =
        request_find(mxadm_method_find(kind->add)->input, name, path);
    *save_out = field == NULL;
    if (field != NULL || kind->save == NULL) {
        return field;
    }
    char *full = memory_print("%s.%s", kind->record, name);
    field = request_find(mxadm_method_find(kind->save)->input, full, path);
    free(full);
    return field;
}

static bool set_list(ProtobufCMessage *request, const char *path, const char *text,
                     struct problem *problem)
{
    char *copy = memory_copy(text);
    char *rest = NULL;
    bool good = true;
    for (char *word = strtok_r(copy, SEPARATORS, &rest); word != NULL && good;
         word = strtok_r(NULL, SEPARATORS, &rest)) {
        good = request_set(request, path, word, problem);
    }
    free(copy);
    return good;
}

/* A value in text form; an empty one is none. */
static bool set_text(struct import_line *line, const char *name, const char *text,
                     struct problem *problem)
{
    char path[REQUEST_PATH_MAX];
    bool save;
    const ProtobufCFieldDescriptor *field = find_field(line->kind, name, path, &save);
    if (field == NULL) {
        return problem_say(problem, "there is no field '%.60s' of %s", name, line->kind->name);
    }
    if (text[0] == '\0') {
        return true;
    }
    ProtobufCMessage *request = request_for(line, save);
    bool good = field->label == PROTOBUF_C_LABEL_REPEATED && value_has_text(field)
                    ? set_list(request, path, text, problem)
                    : request_set(request, path, text, problem);
    if (good && save) {
        request_note_update(request, path);
    }
    return good;
}

/* A value of JSON that is no text. */
static bool set_json(struct import_line *line, const char *name, json_t *value,
                     struct problem *problem)
{
    char path[REQUEST_PATH_MAX];
    bool save;
    const ProtobufCFieldDescriptor *field = find_field(line->kind, name, path, &save);
    if (field == NULL) {
        return problem_say(problem, "there is no field '%.60s' of %s", name, line->kind->name);
    }
    ProtobufCMessage *message = request_for(line, save);
    const char *leaf = path;
    for (const char *dot; (dot = strchr(leaf, '.')) != NULL; leaf = dot + 1) {
        message =
            message_sub(message, message_field(message->descriptor, leaf, (size_t) (dot - leaf)));
    }
    json_t *object = json_pack("{s:O}", leaf, value);
    bool good = json_to_message(object, message, problem);
    json_decref(object);
    if (good && save) {
        request_note_update(line->save, path);
    }
    return good;
}

/* Names the record in the request that saves. */
static bool finish(struct import_line *line, struct problem *problem)
{
    const struct import_kind *kind = line->kind;
    ProtobufCMessage *add = request_for(line, false);
    const ProtobufCFieldDescriptor *key = field_named(add->descriptor, kind->key);
    if (message_count(add, key) == 0) {
        return problem_say(problem, "%s: is missing", kind->key);
    }
    if (line->save == NULL) {
        return true;
    }
    ProtobufCMessage *record =
        message_sub(line->save, field_named(line->save->descriptor, kind->record));
    char **name = message_place(record, field_named(record->descriptor, kind->record_key));
    *name = memory_copy(*(char *const *) message_get(add, key, 0));
    return true;
}

static void fail(struct import_line *line, const char *words)
{
    if (line->reason == NULL) {
        line->reason = memory_copy(words);
    }
}

/* ---------------------------------------------------------------------- CSV */

static void build_from_csv(struct import_source *source, struct import_line *line)
{
    struct problem problem;
    bool good = true;
    line->kind = source->kind;
    if (line->field_count > source->column_count) {
        fail(line, "it has more fields than the header");
        return;
    }
    for (size_t i = 0; good && i < line->field_count; i++) {
        if (strcmp(source->columns[i], REASON) != 0) {
            good = value_is_utf8(line->fields[i])
                       ? set_text(line, source->columns[i], line->fields[i], &problem)
                       : problem_say(&problem, "%s: is not UTF-8", source->columns[i]);
        }
    }
    if (!good || !finish(line, &problem)) {
        fail(line, problem.words);
    }
}

static char **copy_fields(const struct csv *csv)
{
    char **fields = memory_get(csv->count * sizeof(*fields));
    for (size_t i = 0; i < csv->count; i++) {
        fields[i] = memory_copy(csv_field(csv, i));
    }
    return fields;
}

static struct import_line *next_of_csv(struct import_source *source)
{
    uint64_t number;
    if (!csv_next(&source->csv, &number)) {
        return NULL;
    }
    struct import_line *line = memory_get(sizeof(*line));
    line->number = number;
    line->fields = copy_fields(&source->csv);
    line->field_count = source->csv.count;
    if (source->csv.problem != NULL) {
        fail(line, source->csv.problem);
    } else {
        build_from_csv(source, line);
    }
    source->bytes = source->csv.bytes;
    return line;
}

/* All columns must be fields: a slip would fail each line. */
static bool read_header(struct import_source *source, struct problem *problem)
{
    uint64_t number;
    csv_init(&source->csv, source->file);
    if (source->kind == NULL) {
        return problem_say(problem, "--kind is needed: what are the lines of this file?");
    }
    if (!csv_next(&source->csv, &number)) {
        return problem_say(problem, "the file is empty: a header is missing");
    }
    source->columns = copy_fields(&source->csv);
    source->column_count = source->csv.count;
    for (size_t i = 0; i < source->column_count; i++) {
        char path[REQUEST_PATH_MAX];
        bool save;
        if (strcmp(source->columns[i], REASON) != 0 &&
            find_field(source->kind, source->columns[i], path, &save) == NULL) {
            return problem_say(problem, "line %llu: column '%.60s' is no field of %s",
                               (unsigned long long) number, source->columns[i], source->kind->name);
        }
    }
    return true;
}

/* --------------------------------------------------------------- JSON lines */

static bool build_value(struct import_line *line, const char *name, json_t *value,
                        struct problem *problem)
{
    if (strcmp(name, REASON) == 0 || strcmp(name, KIND) == 0 || json_is_null(value)) {
        return true;
    }
    if (json_is_string(value)) {
        return set_text(line, name, json_string_value(value), problem);
    }
    return set_json(line, name, value, problem);
}

static void build_from_json(struct import_source *source, struct import_line *line)
{
    struct problem problem;
    json_t *kind = json_object_get(line->json, KIND);
    line->kind = source->kind;
    if (json_is_string(kind)) {
        line->kind = import_kind_find(json_string_value(kind));
    }
    if (line->kind == NULL) {
        fail(line, kind == NULL ? "kind: is missing, as is --kind"
                                : "kind: is none of: domain, account, address, alias");
        return;
    }
    const char *name;
    json_t *value;
    bool good = true;
    json_object_foreach(line->json, name, value)
    {
        good = good && build_value(line, name, value, &problem);
    }
    if (!good || !finish(line, &problem)) {
        fail(line, problem.words);
    }
}

static void parse(struct import_source *source, struct import_line *line, size_t len)
{
    json_error_t error;
    json_t *json = json_loadb(source->buffer, len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(json)) {
        line->json = json;
        build_from_json(source, line);
        return;
    }
    json_decref(json);
    line->text = memory_copy(source->buffer);
    char *words = json == NULL ? memory_print("it is no JSON: column %d", error.column)
                               : memory_copy("it is no JSON object");
    fail(line, words);
    free(words);
}

/* Reads a line without its end; a longer one than allowed is cut. False: there is none. */
static bool read_text(struct import_source *source, size_t *len_out, bool *cut_out)
{
    size_t len = 0;
    int c = getc_unlocked(source->file);
    if (c == EOF) {
        return false;
    }
    source->line++;
    *cut_out = false;
    for (; c != EOF && c != '\n'; c = getc_unlocked(source->file)) {
        source->bytes++;
        if (len >= CSV_ROW_BYTES_MAX) {
            *cut_out = true;
            continue;
        }
        if (len + 1 >= source->buffer_size) {
            source->buffer_size = source->buffer_size == 0 ? 1024 : 2 * source->buffer_size;
            source->buffer = memory_resize(source->buffer, source->buffer_size);
        }
        source->buffer[len++] = (char) c;
    }
    source->bytes++;
    while (len > 0 && isspace((unsigned char) source->buffer[len - 1])) {
        len--;
    }
    if (source->buffer != NULL) {
        source->buffer[len] = '\0';
    }
    *len_out = len;
    return true;
}

static struct import_line *next_of_json(struct import_source *source)
{
    size_t len;
    bool cut;
    do {
        if (!read_text(source, &len, &cut)) {
            return NULL;
        }
    } while (len == 0);
    struct import_line *line = memory_get(sizeof(*line));
    line->number = source->line;
    if (cut) {
        line->text = memory_copy(source->buffer);
        fail(line, "the line has more than 1 MiB and is cut");
    } else {
        parse(source, line, len);
    }
    return line;
}

/* ------------------------------------------------------------------- source */

/* A byte order mark is passed by. JSON lines begin with a brace. */
static bool begins_with_brace(FILE *file, struct import_source *source)
{
    int c = getc(file);
    if (c == 0xef) { /* its first byte */
        (void) getc(file);
        (void) getc(file);
        source->bytes += 3;
        c = getc(file);
    }
    if (c != EOF) {
        (void) ungetc(c, file);
    }
    return c == '{';
}

bool import_source_open(struct import_source *source, const char *path,
                        const struct import_kind *kind, struct problem *problem)
{
    memset(source, 0, sizeof(*source));
    source->kind = kind;
    source->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (source->file == NULL) {
        return problem_say(problem, "can't open '%.200s': %s", path, strerror(errno));
    }
    struct stat stat;
    if (fstat(fileno(source->file), &stat) == 0 && S_ISREG(stat.st_mode)) {
        source->size = (uint64_t) stat.st_size;
    }
    source->is_json = begins_with_brace(source->file, source);
    return source->is_json || read_header(source, problem);
}

void import_source_close(struct import_source *source)
{
    if (source->file != NULL && source->file != stdin) {
        (void) fclose(source->file);
    }
    csv_fini(&source->csv);
    for (size_t i = 0; i < source->column_count; i++) {
        free(source->columns[i]);
    }
    free(source->columns);
    free(source->buffer);
}

struct import_line *import_source_next(struct import_source *source)
{
    return source->is_json ? next_of_json(source) : next_of_csv(source);
}

/* -------------------------------------------------------------- failed lines */

static void write_json(FILE *out, const struct import_line *line)
{
    json_t *json = line->json != NULL ? json_incref(line->json) : json_object();
    if (line->text != NULL) { /* to be mended; if it is no UTF-8 the reason must do */
        json_object_set_new(json, "line", json_string(line->text));
    }
    json_object_set_new(json, REASON, json_string(line->reason));
    json_dumpf(json, out, JSON_COMPACT | JSON_PRESERVE_ORDER);
    (void) fputc('\n', out);
    json_decref(json);
}

/* The columns of the file, then the reason, but for an older one. */
static void write_row(FILE *out, const struct import_source *source, char *const *fields,
                      size_t count, const char *reason)
{
    for (size_t i = 0; i < source->column_count || i < count; i++) {
        if (i >= source->column_count || strcmp(source->columns[i], REASON) != 0) {
            csv_write(out, i < count ? fields[i] : "");
            (void) fputc(',', out);
        }
    }
    csv_write(out, reason);
    (void) fputc('\n', out);
}

void import_line_write(FILE *out, const struct import_source *source,
                       const struct import_line *line, bool first)
{
    if (source->is_json) {
        write_json(out, line);
        return;
    }
    if (first) {
        write_row(out, source, source->columns, source->column_count, REASON);
    }
    write_row(out, source, line->fields, line->field_count, line->reason);
}

void import_line_free(struct import_line *line)
{
    if (line->add != NULL) {
        protobuf_c_message_free_unpacked(line->add, NULL);
    }
    if (line->save != NULL) {
        protobuf_c_message_free_unpacked(line->save, NULL);
    }
    for (size_t i = 0; i < line->field_count; i++) {
        free(line->fields[i]);
    }
    free(line->fields);
    json_decref(line->json);
    free(line->text);
    free(line->reason);
    free(line);
}
