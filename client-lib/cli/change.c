#include "change.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "memory.h"
#include "message.h"
#include "print.h"
#include "value.h"

#define RECORD_INDENT 2
#define FIELD_INDENT  6

/* Of a value, that much is shown: the rest of a certificate says nothing to people. */
#define VALUE_BYTES_MAX 200

#define NOTHING         "(none)"

/* ------------------------------------------------------------------- names */

/* The member of the oneof that is set; NULL: a kind that this program does not know. */
static const ProtobufCFieldDescriptor *kind_of(const Mxadm__V1__Record *record)
{
    return record->record_case == 0 ? NULL
                                    : protobuf_c_message_descriptor_get_field(
                                          record->base.descriptor, (unsigned) record->record_case);
}

/* The record within; all members are pointers to messages. */
static const ProtobufCMessage *content_of(const Mxadm__V1__Record *record)
{
    const ProtobufCFieldDescriptor *kind = record != NULL ? kind_of(record) : NULL;
    return kind != NULL ? *(ProtobufCMessage *const *) message_get(&record->base, kind, 0) : NULL;
}

/* Allocated. */
static char *name_of(const Mxadm__V1__Record *record)
{
    switch (record->record_case) {
    case MXADM__V1__RECORD__RECORD_DOMAIN:
        return memory_copy(record->domain->name);
    case MXADM__V1__RECORD__RECORD_DKIM_SELECTOR:
        return memory_print("%s._domainkey.%s", record->dkim_selector->name,
                            record->dkim_selector->domain);
    case MXADM__V1__RECORD__RECORD_ACCOUNT:
        return memory_copy(record->account->name);
    case MXADM__V1__RECORD__RECORD_ADDRESS:
        return memory_copy(record->address->address);
    case MXADM__V1__RECORD__RECORD_ALIAS:
        return memory_copy(record->alias->address);
    case MXADM__V1__RECORD__RECORD_ALIAS_MEMBER:
        return memory_print("%s in %s", record->alias_member->address, record->alias_member->alias);
    case MXADM__V1__RECORD__RECORD_TLS_PUBLIC_KEY:
        return memory_copy(record->tls_public_key->fingerprint);
    case MXADM__V1__RECORD__RECORD_PRIVATE_KEY:
        return memory_print("%s._domainkey.%s", record->private_key->selector,
                            record->private_key->domain);
    case MXADM__V1__RECORD__RECORD_USED_SELECTOR:
        return memory_print("%s._domainkey.%s", record->used_selector->selector,
                            record->used_selector->domain);
    case MXADM__V1__RECORD__RECORD_CONFIG:
    case MXADM__V1__RECORD__RECORD_VAULT_KEY:
    case MXADM__V1__RECORD__RECORD__NOT_SET:
    case _MXADM__V1__RECORD__RECORD__CASE_IS_INT_SIZE:
        break;
    }
    return memory_copy("");
}

void change_print_name(FILE *out, const Mxadm__V1__Record *record)
{
    const ProtobufCFieldDescriptor *kind = kind_of(record);
    char *words = memory_copy(kind != NULL ? kind->name : "record of an unknown kind");
    for (char *c = words; *c != '\0'; c++) {
        *c = (char) (*c == '_' ? ' ' : *c);
    }
    char *name = name_of(record);
    (void) fprintf(out, "%s%s", words, name[0] != '\0' ? " " : "");
    print_text(out, name);
    free(words);
    free(name);
}

/* ------------------------------------------------------------------ fields */

/* One value as shown, allocated. */
static char *text_of(const ProtobufCFieldDescriptor *field, const void *place)
{
    if (!value_has_text(field)) {
        json_t *json = json_of_message(*(ProtobufCMessage *const *) place);
        char *text = json_dumps(json, JSON_COMPACT);
        json_decref(json);
        return text != NULL ? text : memory_copy("");
    }
    char *text = value_write(field, place, VALUE_HUMAN);
    if (field->type != PROTOBUF_C_TYPE_STRING) {
        return text;
    }
    char *quoted = memory_print("\"%s\"", text);
    free(text);
    return quoted;
}

/* The value of a field that is not repeated, allocated. */
static char *single(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->type == PROTOBUF_C_TYPE_BOOL) {
        return memory_copy(message != NULL && message_count(message, field) > 0 ? "yes" : "no");
    }
    if (message == NULL || message_count(message, field) == 0) {
        return memory_copy(NOTHING);
    }
    return text_of(field, message_get(message, field, 0));
}

static void show_path(FILE *out, const char *path)
{
    (void) fprintf(out, "%*s", FIELD_INDENT, "");
    for (; *path != '\0'; path++) {
        (void) fputc(*path == '_' ? '-' : *path, out);
    }
    (void) fputs(": ", out);
}

static void show_value(FILE *out, char *text)
{
    if (strlen(text) > VALUE_BYTES_MAX) {
        size_t end = VALUE_BYTES_MAX;
        while (end > 0 && ((unsigned char) text[end] & 0xc0) == 0x80) {
            end--; /* not within a character */
        }
        text[end] = '\0';
        print_text(out, text);
        (void) fputs("...", out);
        return;
    }
    print_text(out, text);
}

static void show_single(FILE *out, const char *path, const ProtobufCFieldDescriptor *field,
                        const ProtobufCMessage *before, const ProtobufCMessage *after)
{
    char *old = single(before, field);
    char *new = single(after, field);
    if (strcmp(old, new) != 0) {
        show_path(out, path);
        show_value(out, old);
        (void) fputs(" -> ", out);
        show_value(out, new);
        (void) fputc('\n', out);
    }
    free(old);
    free(new);
}

/* ---- lists: what stands between what is the same at both ends */

struct elements {
    char **texts;
    size_t count;
};

static struct elements elements_of(const ProtobufCMessage *message,
                                   const ProtobufCFieldDescriptor *field)
{
    struct elements elements = { 0 };
    elements.count = message != NULL ? message_count(message, field) : 0;
    elements.texts = memory_get(elements.count * sizeof(char *));
    for (size_t i = 0; i < elements.count; i++) {
        elements.texts[i] = text_of(field, message_get(message, field, i));
    }
    return elements;
}

static void free_elements(struct elements *elements)
{
    for (size_t i = 0; i < elements->count; i++) {
        free(elements->texts[i]);
    }
    free(elements->texts);
}

static void show_elements(FILE *out, const char *path, char sign, const struct elements *elements,
                          size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        show_path(out, path);
        (void) fprintf(out, "%c ", sign);
        show_value(out, elements->texts[i]);
        (void) fputc('\n', out);
    }
}

static void show_list(FILE *out, const char *path, const ProtobufCFieldDescriptor *field,
                      const ProtobufCMessage *before, const ProtobufCMessage *after)
{
    struct elements old = elements_of(before, field);
    struct elements new = elements_of(after, field);
    size_t shorter = old.count < new.count ? old.count : new.count;
    size_t head = 0;
    while (head < shorter && strcmp(old.texts[head], new.texts[head]) == 0) {
        head++;
    }
    size_t tail = 0;
    while (tail < shorter - head &&
           strcmp(old.texts[old.count - 1 - tail], new.texts[new.count - 1 - tail]) == 0) {
        tail++;
    }
    show_elements(out, path, '-', &old, head, old.count - tail);
    show_elements(out, path, '+', &new, head, new.count - tail);
    free_elements(&old);
    free_elements(&new);
}

/* ---- messages */

/* What each change of a record changes, and the line above says. */
static bool is_bookkeeping(const char *path)
{
    return strcmp(path, "revision") == 0 || strcmp(path, "create_time") == 0 ||
           strcmp(path, "update_time") == 0;
}

static const ProtobufCMessage *inner(const ProtobufCMessage *message,
                                     const ProtobufCFieldDescriptor *field)
{
    return message != NULL && message_count(message, field) > 0
               ? *(ProtobufCMessage *const *) message_get(message, field, 0)
               : NULL;
}

/* Fields that differ; NULL is a message that is not there. */
static void show_fields(FILE *out, const char *prefix, const ProtobufCMessageDescriptor *type,
                        const ProtobufCMessage *before, const ProtobufCMessage *after)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        char *path = memory_print("%s%s", prefix, field->name);
        if (is_bookkeeping(path)) {
            /* nothing to say */
        } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            show_list(out, path, field, before, after);
        } else if (value_has_text(field)) {
            show_single(out, path, field, before, after);
        } else {
            const ProtobufCMessage *old = inner(before, field);
            const ProtobufCMessage *new = inner(after, field);
            if ((old == NULL) != (new == NULL)) {
                show_path(out, path);
                (void) fputs(old == NULL ? "added\n" : "removed\n", out);
            }
            if (old != NULL || new != NULL) {
                char *inner_prefix = memory_print("%s.", path);
                show_fields(out, inner_prefix, field->descriptor, old, new);
                free(inner_prefix);
            }
        }
        free(path);
    }
}

/* ----------------------------------------------------------------- changes */

static char sign_of(Mxadm__V1__ChangeAction action)
{
    switch (action) {
    case MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD:
        return '+';
    case MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_REMOVE:
        return '-';
    case MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_UPDATE:
        return '~';
    case MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_UNSPECIFIED:
    case _MXADM__V1__CHANGE_ACTION_IS_INT_SIZE:
        break;
    }
    return '?';
}

void change_print_records(FILE *out, Mxadm__V1__RecordChange *const *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Mxadm__V1__Record *before = records[i]->before;
        const Mxadm__V1__Record *after = records[i]->after;
        if (before == NULL && after == NULL) {
            continue; /* a newer server's */
        }
        (void) fprintf(out, "%*s%c ", RECORD_INDENT, "", sign_of(records[i]->action));
        change_print_name(out, after != NULL ? after : before);
        (void) fputc('\n', out);
        const ProtobufCMessage *old = content_of(before);
        const ProtobufCMessage *new = content_of(after);
        if (old != NULL && new != NULL && old->descriptor == new->descriptor) {
            show_fields(out, "", new->descriptor, old, new);
        }
    }
}

static const char *short_method(const char *method)
{
    const char *slash = strrchr(method, '/');
    return slash != NULL ? slash + 1 : method;
}

void change_print(FILE *out, const Mxadm__V1__Change *change)
{
    (void) fprintf(out, "revision %" PRIu64 "  ", change->revision);
    const ProtobufCFieldDescriptor *time =
        message_field(change->base.descriptor, "time", strlen("time"));
    if (change->time != NULL) {
        char *text = value_write(time, &change->time, VALUE_HUMAN);
        (void) fprintf(out, "%s  ", text);
        free(text);
    }
    print_text(out, change->principal);
    (void) fputs("  ", out);
    print_text(out, short_method(change->method));
    if (change->record_offset > 0 || change->n_records < change->record_count) {
        (void) fprintf(out, "  (%zu of %" PRIu64 " records", change->n_records,
                       change->record_count);
        if (change->record_offset > 0) {
            (void) fprintf(out, " after the first %" PRIu64, change->record_offset);
        }
        (void) fputc(')', out);
    }
    (void) fputc('\n', out);
    change_print_records(out, change->records, change->n_records);
}

void change_print_json(FILE *out, const ProtobufCMessage *message)
{
    json_t *json = json_of_message(message);
    json_dumpf(json, out, JSON_COMPACT);
    (void) fputc('\n', out);
    json_decref(json);
}
