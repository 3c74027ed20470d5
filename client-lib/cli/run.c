#include "run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "change.h"
#include "json.h"
#include "layout.h"
#include "memory.h"
#include "message.h"
#include "print.h"
#include "value.h"

/* The daemon's largest page (admin.proto, "True of every list"): fewest round trips. */
#define PAGE_SIZE_MAX 1000

struct run {
    const struct command *command;
    ProtobufCMessage *request;
    const struct options *options;
    struct print_table table;
    json_t *json;   /* with --json: all pages joined */
    size_t refused; /* of a batch: so many of its calls */
    uint64_t left;
};

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *message,
                                                const char *name, ProtobufCType type)
{
    const ProtobufCFieldDescriptor *field = message_field(message, name, strlen(name));
    return field != NULL && field->type == type ? field : NULL;
}

static bool is_list(const ProtobufCMethodDescriptor *method)
{
    return field_of(method->input, "page_token", PROTOBUF_C_TYPE_STRING) != NULL &&
           field_of(method->output, "next_page_token", PROTOBUF_C_TYPE_STRING) != NULL;
}

static bool is_records(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED && !value_has_text(field);
}

/* Whether the answer is nothing but records, as that of a list or of ChangeList. */
static bool is_table(const ProtobufCMethodDescriptor *method)
{
    return method->output->n_fields > 0 && is_records(&method->output->fields[0]) &&
           layout_raw(method) == NULL;
}

static void print_raw_fields(const ProtobufCMessage *response, const char *const *names)
{
    for (; *names != NULL; names++) {
        const ProtobufCFieldDescriptor *field =
            field_of(response->descriptor, *names, PROTOBUF_C_TYPE_STRING);
        if (field != NULL && message_count(response, field) > 0) {
            print_raw(stdout, *(char *const *) message_get(response, field, 0));
        }
    }
}

/* Answers with a form of their own; false: this one has none. */
static bool print_specially(const ProtobufCMessage *response)
{
    if (response->descriptor == &mxadm__v1__config_diff_response__descriptor) {
        const Mxadm__V1__ConfigDiffResponse *diff =
            (const Mxadm__V1__ConfigDiffResponse *) response;
        change_print_records(stdout, diff->records, diff->n_records);
        if (diff->n_records < diff->total) {
            (void) printf("%zu of %" PRIu64 " records that differ\n", diff->n_records, diff->total);
        }
        return true;
    }
    if (response->descriptor == &mxadm__v1__config_rollback_response__descriptor) {
        const Mxadm__V1__ConfigRollbackResponse *done =
            (const Mxadm__V1__ConfigRollbackResponse *) response;
        (void) printf("%" PRIu64 " added, %" PRIu64 " updated, %" PRIu64 " removed\n", done->added,
                      done->updated, done->removed);
        return true;
    }
    return false;
}

static void print_human(struct run *run, const ProtobufCMessage *response)
{
    const ProtobufCMethodDescriptor *method = run->command->method;
    if (print_specially(response)) {
        return;
    }
    if (layout_raw(method) != NULL) {
        print_raw_fields(response, layout_raw(method));
    } else if (is_table(method)) {
        for (unsigned i = 0; i < response->descriptor->n_fields; i++) {
            if (is_records(&response->descriptor->fields[i])) {
                print_records(stdout, &run->table, response, &response->descriptor->fields[i]);
            }
        }
    } else {
        print_fields(stdout, response, 0);
    }
}

/* Adds a page to what is there: lists grow, the rest is the last page's. */
static void join_json(struct run *run, const ProtobufCMessage *response)
{
    json_t *page = json_of_message(response);
    if (batch_is_answer(response)) {
        batch_name_responses(page, run->request, response);
    }
    const char *name;
    json_t *value;
    json_object_del(run->json, "nextPageToken");
    json_object_foreach(page, name, value)
    {
        json_t *before = json_object_get(run->json, name);
        if (json_is_array(before)) {
            json_array_extend(before, value);
        } else {
            json_object_set(run->json, name, value);
        }
    }
    json_decref(page);
}

static void add_changes_json(struct run *run, const mxadm_result *result)
{
    json_t *changes = json_array();
    for (size_t i = 0; i < mxadm_result_change_count(result); i++) {
        json_array_append_new(changes, json_of_message(&mxadm_result_change(result, i)->base));
    }
    json_t *response = run->json;
    run->json = json_pack("{s:o, s:o}", "changes", changes, "response", response);
}

static void print_json(FILE *out, const json_t *json)
{
    json_dumpf(json, out, JSON_INDENT(2));
    (void) fputc('\n', out);
}

enum exit_code run_fail(const struct options *options, const mxadm_result *result)
{
    const Mxadm__V1__Status *status = mxadm_result_status(result);
    if (options->json && status != NULL) {
        json_t *json = json_of_message(&status->base);
        print_json(stderr, json);
        json_decref(json);
    } else {
        print_failure(stderr, result);
    }
    switch ((int) mxadm_result_code(result)) {
    case MXADM_UNAVAILABLE:
    case MXADM_DEADLINE_EXCEEDED:
    case MXADM_CANCELLED:
    case MXADM_UNKNOWN:
        return EXIT_UNSURE;
    default:
        return mxadm_result_may_have_happened(result) ? EXIT_UNSURE : EXIT_REFUSED;
    }
}

static void take_response(struct run *run, const mxadm_result *result)
{
    const ProtobufCMessage *response = mxadm_result_response(result);
    bool dry = run->options->call.validate_only != 0;
    if (run->options->json) {
        join_json(run, response);
        if (dry) {
            add_changes_json(run, result);
        }
    } else if (dry && !is_list(run->command->method)) {
        print_changes(stdout, result);
    } else if (batch_is_answer(response) && !run->options->quiet) {
        batch_print(stdout, run->request, response);
    } else if (!run->options->quiet) {
        print_human(run, response);
    }
    if (batch_is_answer(response)) {
        run->refused = batch_refused(response);
    }
}

static size_t count_records(const ProtobufCMessage *response)
{
    size_t count = 0;
    for (unsigned i = 0; i < response->descriptor->n_fields; i++) {
        if (is_records(&response->descriptor->fields[i])) {
            count += message_count(response, &response->descriptor->fields[i]);
        }
    }
    return count;
}

/* A page as large as allowed, but no larger than what is still wanted. */
static void set_page_size(struct run *run)
{
    const ProtobufCFieldDescriptor *field =
        field_of(run->request->descriptor, "page_size", PROTOBUF_C_TYPE_UINT32);
    if (field == NULL) {
        return;
    }
    uint32_t *size = message_place(run->request, field);
    *size = run->left > 0 && run->left < PAGE_SIZE_MAX ? (uint32_t) run->left : PAGE_SIZE_MAX;
}

/* Puts the next page's token into the request; false: that was the last page. */
static bool turn_page(struct run *run, const ProtobufCMessage *response)
{
    const ProtobufCFieldDescriptor *next =
        field_of(response->descriptor, "next_page_token", PROTOBUF_C_TYPE_STRING);
    const ProtobufCFieldDescriptor *token =
        field_of(run->request->descriptor, "page_token", PROTOBUF_C_TYPE_STRING);
    if (next == NULL || token == NULL || message_count(response, next) == 0) {
        return false;
    }
    if (run->options->limit > 0) {
        size_t got = count_records(response);
        if (got >= run->left) {
            return false;
        }
        run->left -= got;
    }
    char **place = message_place(run->request, token);
    *place = memory_copy(*(char *const *) message_get(response, next, 0));
    return true;
}

static bool is_set(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field = message_field(message->descriptor, name, strlen(name));
    return field != NULL && message_count(message, field) > 0;
}

static enum exit_code run_pages(struct run *run, mxadm_client *client)
{
    /* Somebody who turns pages by hand gets one. */
    bool all = is_list(run->command->method) && !is_set(run->request, "page_token");
    bool sized = is_set(run->request, "page_size");
    for (bool more = true; more;) {
        if (all && (!sized || run->options->limit > 0)) {
            set_page_size(run);
        }
        mxadm_result *result;
        if (mxadm_call(client, run->command->name, run->request, &run->options->call, &result) !=
            MXADM_OK) {
            enum exit_code code = run_fail(run->options, result);
            mxadm_result_free(result);
            return code;
        }
        take_response(run, result);
        more = all && turn_page(run, mxadm_result_response(result));
        mxadm_result_free(result);
    }
    if (run->options->json && !run->options->quiet) {
        print_json(stdout, run->json);
    }
    return run->refused > 0 ? EXIT_REFUSED : EXIT_DONE;
}

mxadm_client *run_open(const struct options *options, uint32_t connections)
{
    mxadm_client_options client_options = MXADM_CLIENT_OPTIONS_INIT;
    client_options.urls = options->urls;
    client_options.url_count = options->url_count;
    client_options.connections = connections;
    client_options.max_attempts = options->attempts;
    mxadm_client *client = NULL;
    if (mxadm_client_open(&client_options, &client) != MXADM_OK) {
        (void) fputs("mxadm: out of memory or threads\n", stderr);
    }
    return client;
}

enum exit_code run_command(const struct command *command, ProtobufCMessage *request,
                           const struct options *options)
{
    struct run run = { .command = command,
                       .request = request,
                       .options = options,
                       .json = json_object(),
                       .left = options->limit };
    mxadm_client *client = run_open(options, 1);
    enum exit_code code = client != NULL ? run_pages(&run, client) : EXIT_REFUSED;
    json_decref(run.json);
    mxadm_client_close(client);
    return code;
}
