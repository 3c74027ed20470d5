#include "help.h"

#include <stdlib.h>
#include <string.h>

#include <mxadm/mxadm.h>

#include "docs.h"
#include "layout.h"
#include "memory.h"
#include "message.h"
#include "options.h"
#include "request.h"
#include "value.h"

#define TEXT_COLUMNS 78
#define NOUN_COLUMNS 17

static int compare(const void *name, const void *doc)
{
    return strcmp(name, ((const struct doc *) doc)->name);
}

static const char *text_of(const char *name)
{
    const struct doc *doc = bsearch(name, docs, docs_count, sizeof(docs[0]), compare);
    return doc != NULL ? doc->text : "";
}

/* Length of what a list of commands says of one: the first sentence, without what explains it. */
static int summary(const char *text)
{
    size_t len = strcspn(text, ":;(");
    const char *end = strstr(text, ". ");
    if (end != NULL && (size_t) (end - text) < len) {
        len = (size_t) (end - text);
    }
    while (len > 0 && strchr(" .", text[len - 1]) != NULL) {
        len--;
    }
    return (int) len;
}

/* Words broken into lines, all indented. */
static void wrap(FILE *out, const char *text, int indent)
{
    int column = 0;
    while (*text != '\0') {
        int len = (int) strcspn(text, " ");
        if (column > 0 && column + 1 + len > TEXT_COLUMNS - indent) {
            (void) fputc('\n', out);
            column = 0;
        }
        (void) fprintf(out, "%*s%.*s", column == 0 ? indent : 1, "", len, text);
        column += (column > 0) + len;
        text += len;
        text += strspn(text, " ");
    }
    if (column > 0) {
        (void) fputc('\n', out);
    }
}

/* One noun of the overview with its verbs. */
static void show_noun(FILE *out, const char *noun)
{
    int gap = NOUN_COLUMNS - (int) strlen(noun);
    (void) fprintf(out, "  %s", noun);
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].noun, noun) == 0 && commands[i].verb[0] != '\0') {
            (void) fprintf(out, "%*s%s", gap, gap > 0 ? "" : ", ", commands[i].verb);
            gap = 0;
        }
    }
    for (size_t i = 0; tools[i] != NULL; i++) {
        if (strcmp(tools[i]->noun, noun) == 0 && command_find(noun, tools[i]->verb) == NULL &&
            tools[i]->verb[0] != '\0') {
            (void) fprintf(out, "%*s%s", gap, gap > 0 ? "" : ", ", tools[i]->verb);
            gap = 0;
        }
    }
    (void) fputc('\n', out);
}

void help_program(FILE *out)
{
    (void) fputs("usage: mxadm NOUN VERB [ARGUMENT]... [--FIELD VALUE]... [OPTION]...\n\n"
                 "Calls operations of the mail configuration daemon mxadmd.\n\nNouns:\n",
                 out);
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (command_of_noun(commands[i].noun) == &commands[i]) {
            show_noun(out, commands[i].noun);
        }
    }
    for (size_t i = 0; tools[i] != NULL; i++) {
        if (command_of_noun(tools[i]->noun) == NULL && tool_of_noun(tools[i]->noun) == tools[i]) {
            show_noun(out, tools[i]->noun);
        }
    }
    (void) fputs("\nOptions, before or after the rest:\n", out);
    options_describe(out);
    (void) fputs(
        "\nExit codes: 0 done, 1 refused, 2 wrong usage, 3 server unavailable or outcome unknown.\n"
        "'mxadm NOUN --help' and 'mxadm NOUN VERB --help' say more.\n",
        out);
}

static void show_verb(FILE *out, const char *verb, const char *text)
{
    (void) fprintf(out, "  %-18s %.*s\n", verb, summary(text), text);
}

void help_noun(FILE *out, const char *noun)
{
    (void) fprintf(out, "usage: mxadm %s VERB [ARGUMENT]... [--FIELD VALUE]...\n\nVerbs:\n", noun);
    size_t count;
    const struct command *commands = commands_all(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(commands[i].noun, noun) == 0 && tool_find(noun, commands[i].verb) == NULL) {
            show_verb(out, commands[i].verb, text_of(commands[i].name));
        }
    }
    for (size_t i = 0; tools[i] != NULL; i++) {
        if (strcmp(tools[i]->noun, noun) == 0) {
            show_verb(out, tools[i]->verb, tools[i]->text);
        }
    }
}

static const char *type_name(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return "";
    case PROTOBUF_C_TYPE_STRING:
        return "TEXT";
    case PROTOBUF_C_TYPE_BYTES:
        return "BASE64|@FILE";
    case PROTOBUF_C_TYPE_ENUM:
        return "NAME";
    case PROTOBUF_C_TYPE_MESSAGE:
        return !value_has_text(field) ? "JSON" : "TEXT";
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return "NUMBER";
    }
    return "";
}

static void show_enum(FILE *out, const ProtobufCEnumDescriptor *descriptor, int indent)
{
    char *names = value_enum_names(descriptor);
    char *line = memory_print("One of: %s", names);
    wrap(out, line, indent);
    free(line);
    free(names);
}

/* The fields of a message as flags; those of inner messages under dotted names. */
static void show_fields(FILE *out, const ProtobufCMessageDescriptor *message, const char *prefix)
{
    for (unsigned i = 0; i < message->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->fields[i];
        char *flag = memory_print("%s%s", prefix, field->name);
        for (char *c = flag; *c != '\0'; c++) {
            *c = (char) (*c == '_' ? '-' : *c);
        }
        const char *type = type_name(field);
        (void) fprintf(out, "  --%s%s%s%s\n", flag, type[0] != '\0' ? " " : "", type,
                       field->label == PROTOBUF_C_LABEL_REPEATED ? " (may be repeated)" : "");
        char *name = memory_print("%s.%s", message->name, field->name);
        wrap(out, text_of(name), 8);
        free(name);
        if (field->type == PROTOBUF_C_TYPE_ENUM) {
            show_enum(out, field->descriptor, 8);
        }
        if (!value_has_text(field) && field->label != PROTOBUF_C_LABEL_REPEATED) {
            char *inner = memory_print("%s.", flag);
            show_fields(out, field->descriptor, inner);
            free(inner);
        }
        free(flag);
    }
}

void help_command(FILE *out, const struct command *command)
{
    const char *buffer[LAYOUT_FIELDS_MAX];
    const char *const *fields = layout_positionals(command->method, buffer);
    (void) fprintf(out, "usage: mxadm %s%s%s", command->noun, command->verb[0] != '\0' ? " " : "",
                   command->verb);
    for (; *fields != NULL; fields++) {
        char path[REQUEST_PATH_MAX];
        const ProtobufCFieldDescriptor *field = request_find(command->method->input, *fields, path);
        (void) fprintf(out, " [%s]%s", *fields,
                       field->label == PROTOBUF_C_LABEL_REPEATED ? "..." : "");
    }
    (void) fputs(" [--FIELD VALUE]... [OPTION]...\n\n", out);
    wrap(out, text_of(command->name), 0);
    if (command->method->input->n_fields > 0) {
        (void) fputs("\nFields:\n", out);
        show_fields(out, command->method->input, "");
        if (message_field(command->method->input, "update_mask", strlen("update_mask")) != NULL) {
            (void) fputs("\nWithout --update-mask, the fields that flags set are taken over.\n",
                         out);
        }
    }
    (void) fputs("\nOptions:\n", out);
    options_describe(out);
}

void help_tool(FILE *out, const struct tool *tool)
{
    (void) fprintf(out, "usage: mxadm %s%s%s%s%s [OPTION]...\n\n", tool->noun,
                   tool->verb[0] != '\0' ? " " : "", tool->verb,
                   tool->arguments[0] != '\0' ? " " : "", tool->arguments);
    wrap(out, tool->text, 0);
    (void) fputc('\n', out);
    for (size_t i = 0; i < TOOL_OPTIONS_MAX && tool->options[i].name != NULL; i++) {
        const struct tool_option *option = &tool->options[i];
        char *flag =
            memory_print("--%s %s", option->name, option->value != NULL ? option->value : "");
        (void) fprintf(out, "  %-26s %s\n", flag, option->text);
        free(flag);
    }
    (void) fputs("\nOptions of every command:\n", out);
    options_describe(out);
    if (command_find(tool->noun, tool->verb) != NULL) {
        (void) fputs("\nWith --request, the operation itself is called.\n", out);
    }
}
