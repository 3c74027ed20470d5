#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include <mxadm/mxadm.h>

#include "commands.h"
#include "json.h"
#include "memory.h"
#include "message.h"
#include "print.h"

/* The operation of this full name; a short one is of the first service, Admin. NULL: none. */
static const struct command *find_operation(const char *name)
{
    size_t count;
    const struct command *commands = commands_all(&count);
    char *full =
        strchr(name, '/') != NULL
            ? memory_copy(name)
            : memory_print("%.*s/%s", (int) strcspn(commands[0].name, "/"), commands[0].name, name);
    const struct command *found = NULL;
    for (size_t i = 0; i < count && found == NULL; i++) {
        if (strcmp(commands[i].name, full) == 0) {
            found = &commands[i];
        }
    }
    free(full);
    return found;
}

/* ------------------------------------------------------------------ reading */

bool batch_has_request(const ProtobufCMessageDescriptor *message, const char *name)
{
    return message == &mxadm__v1__batch_call__descriptor && strcmp(name, "request") == 0;
}

static bool pack_request(const json_t *json, const ProtobufCMessageDescriptor *type,
                         ProtobufCBinaryData *packed_out, struct problem *problem)
{
    ProtobufCMessage *request = message_new(type);
    bool good = json_to_message(json, request, problem);
    if (good) {
        packed_out->data = memory_get(protobuf_c_message_get_packed_size(request) + 1);
        packed_out->len = protobuf_c_message_pack(request, packed_out->data);
    } else {
        char inner[sizeof(problem->words)];
        memcpy(inner, problem->words, sizeof(inner));
        problem_say(problem, "request.%.400s", inner);
    }
    protobuf_c_message_free_unpacked(request, NULL);
    return good;
}

bool batch_complete(const json_t *json, ProtobufCMessage *message, struct problem *problem)
{
    if (message->descriptor != &mxadm__v1__batch_call__descriptor) {
        return true;
    }
    Mxadm__V1__BatchCall *call = (Mxadm__V1__BatchCall *) message;
    const struct command *operation = find_operation(call->method);
    const json_t *request = json_object_get(json, "request");
    if (operation != NULL) {
        message_free_string(call->method);
        call->method = memory_copy(operation->name);
    }
    if (request == NULL || json_is_null(request)) {
        return true;
    }
    if (operation == NULL) {
        return problem_say(problem, "request: its type is not known, since method names no "
                                    "operation");
    }
    if (call->message.len > 0) {
        return problem_say(problem, "request: can't be set together with message");
    }
    return pack_request(request, operation->method->input, &call->message, problem);
}

/* ------------------------------------------------------------------ writing */

bool batch_is_answer(const ProtobufCMessage *response)
{
    return response->descriptor == &mxadm__v1__batch_response__descriptor;
}

static const struct command *operation_of(const ProtobufCMessage *request, size_t index)
{
    const Mxadm__V1__BatchRequest *batch = (const Mxadm__V1__BatchRequest *) request;
    return index < batch->n_calls ? find_operation(batch->calls[index]->method) : NULL;
}

void batch_name_responses(json_t *json, const ProtobufCMessage *request,
                          const ProtobufCMessage *response)
{
    const Mxadm__V1__BatchResponse *answer = (const Mxadm__V1__BatchResponse *) response;
    for (size_t i = 0; i < answer->n_results; i++) {
        const Mxadm__V1__BatchResult *result = answer->results[i];
        const struct command *operation = operation_of(request, i);
        json_t *shown = json_array_get(json_object_get(json, "results"), i);
        if (operation == NULL || result->status != NULL) {
            continue;
        }
        ProtobufCMessage *inner = protobuf_c_message_unpack(
            operation->method->output, NULL, result->message.len, result->message.data);
        if (inner != NULL) {
            json_object_del(shown, "message");
            json_object_set_new(shown, "response", json_of_message(inner));
            protobuf_c_message_free_unpacked(inner, NULL);
        }
    }
}

void batch_print(FILE *out, const ProtobufCMessage *request, const ProtobufCMessage *response)
{
    const Mxadm__V1__BatchResponse *answer = (const Mxadm__V1__BatchResponse *) response;
    for (size_t i = 0; i < answer->n_results; i++) {
        const Mxadm__V1__Status *status = answer->results[i]->status;
        const struct command *operation = operation_of(request, i);
        const char *name = operation == NULL ? "" : operation->method->name;
        char *line = status == NULL
                         ? memory_print("calls[%zu] %s: done", i, name)
                         : memory_print("calls[%zu] %s: %s (%s)", i, name, status->message,
                                        mxadm_code_name((mxadm_code) status->code));
        print_raw(out, line);
        free(line);
    }
}

size_t batch_refused(const ProtobufCMessage *response)
{
    const Mxadm__V1__BatchResponse *answer = (const Mxadm__V1__BatchResponse *) response;
    size_t count = 0;
    for (size_t i = 0; i < answer->n_results; i++) {
        count += answer->results[i]->status != NULL;
    }
    return count;
}
