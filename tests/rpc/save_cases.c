#include "save_cases.h"

#include "support/message_text.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX ((size_t) 64 * 1024 * 1024)

const struct reply *ask_text_with(struct fixture *fixture, const struct rpc_peer *peer,
                                  const struct options *options, const char *method,
                                  const char *text)
{
    const ProtobufCServiceDescriptor *service = &mxadm__v1__admin__descriptor;
    const ProtobufCMethodDescriptor *found =
        protobuf_c_service_descriptor_get_method_by_name(service, method);
    struct arena *arena = arena_create(ARENA_MAX);
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
    Mxadm__V1__CallOptions call_options = MXADM__V1__CALL_OPTIONS__INIT;
    ProtobufCMessage *message;
    const struct reply *reply;

    assert_non_null(arena);
    assert_non_null(found);
    message = message_parse(arena, service, found->input, text);
    envelope.method = fixture_text(fixture, "mxadm.v1.Admin/%s", method);
    envelope.message.data = arena_alloc(arena, protobuf_c_message_get_packed_size(message) + 1);
    envelope.message.len = protobuf_c_message_pack(message, envelope.message.data);
    if (options != NULL) {
        call_options.validate_only = options->validate_only;
        call_options.if_revision = options->if_revision;
        envelope.options = &call_options;
    }
    reply = ask_envelope(fixture, peer, &envelope);
    arena_destroy(arena);
    return reply;
}

const struct reply *ask_text(struct fixture *fixture, const struct rpc_peer *peer,
                             const char *method, const char *text)
{
    return ask_text_with(fixture, peer, NULL, method, text);
}

/* The form with the fields in it, which the compiler need not know. */
static const char *fill(struct fixture *fixture, const char *form, const char *fields)
{
    const char *at = strstr(form, "%s");

    assert_non_null(at);
    return fixture_text(fixture, "%.*s%s%s", (int) (at - form), form, fields, at + 2);
}

void try_saves(struct fixture *fixture, const struct save_form *form, const struct save_case *cases,
               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = fill(fixture, form->form, cases[i].text);
        const char *before = fixture_dump(fixture);
        const struct reply *reply = ask_text(fixture, &root, form->method, text);

        if (cases[i].field == NULL && reply->code != MX_OK) {
            fail_msg("rule %s: %s: %s", cases[i].rule, text, reply->words);
        }
        if (cases[i].field == NULL) {
            continue;
        }
        if (reply->code != MX_INVALID_ARGUMENT || !has_violation(reply, cases[i].field)) {
            fail_msg("rule %s: %s: not refused at %s: %s", cases[i].rule, text, cases[i].field,
                     reply->code == MX_OK ? "OK" : reply->words);
        }
        assert_string_equal(fixture_dump(fixture), before);
    }
}
