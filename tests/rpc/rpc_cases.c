#include "rpc_cases.h"

#include "base/buffer.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

const char *repeated(struct fixture *fixture, const char *text, size_t times)
{
    struct buffer buffer = BUFFER_INIT;
    const char *copy;

    for (size_t i = 0; i < times; i++) {
        buffer_put(&buffer, text, strlen(text));
    }
    buffer_put_u8(&buffer, 0);
    copy = fixture_text(fixture, "%s", (const char *) buffer.data);
    buffer_fini(&buffer);
    return copy;
}

const char *base64(struct fixture *fixture, const ProtobufCBinaryData *data)
{
    unsigned char *text = malloc(data->len * 4 / 3 + 8);
    const char *copy;

    assert_non_null(text);
    (void) EVP_EncodeBlock(text, data->data, (int) data->len);
    copy = fixture_text(fixture, "%s", (const char *) text);
    free(text);
    return copy;
}

void assert_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t len = protobuf_c_message_get_packed_size(a);
    uint8_t *packed_a = malloc(len + 1);
    uint8_t *packed_b = malloc(protobuf_c_message_get_packed_size(b) + 1);

    assert_non_null(packed_a);
    assert_non_null(packed_b);
    assert_int_equal(protobuf_c_message_pack(a, packed_a), len);
    assert_int_equal(protobuf_c_message_pack(b, packed_b), len);
    assert_memory_equal(packed_a, packed_b, len);
    free(packed_a);
    free(packed_b);
}

/* ----------------------------------------------------------------- hostile */

static unsigned field_number(const char *method, const char *field)
{
    const ProtobufCMethodDescriptor *found =
        protobuf_c_service_descriptor_get_method_by_name(&mxadm__v1__admin__descriptor, method);

    assert_non_null(found);
    return protobuf_c_message_descriptor_get_field_by_name(found->input, field)->id;
}

struct hostile {
    const char *what;
    unsigned wire_type;
    const char *bytes; /* behind the tag */
    size_t len;
    const char *said;
};

#define BYTES(text) (text), sizeof(text) - 1

void refuses_hostile_bytes(struct fixture *fixture, const char *method, const char *field)
{
    static const struct hostile cases[] = {
        { "U+0000 within", 2,
          BYTES("\x0f"
                "example\0.evilorg"),
          "UTF-8" },
        { "a byte that is no UTF-8", 2,
          BYTES("\x04"
                "ab\xff"
                "c"),
          "UTF-8" },
        { "an overlong form", 2, BYTES("\x02\xc0\xaf"), "UTF-8" },
        { "a surrogate", 2, BYTES("\x03\xed\xa0\x80"), "UTF-8" },
        { "a sequence cut off", 2,
          BYTES("\x02"
                "a\xc3"),
          "UTF-8" },
        { "another type", 0, BYTES("\x05"), "another type" },
        { "a fixed number", 5, BYTES("abcd"), "another type" },
        { "a length beyond the end", 2,
          BYTES("\x20"
                "abc"),
          "not a packed" },
        { "a length of 2^63", 2,
          BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
                "abc"),
          "not a packed" },
        { "a length that is no varint", 2, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
          "not a packed" },
        { "a length cut off", 2, BYTES("\x80"), "not a packed" },
        { "a group", 3, BYTES(""), "not a packed" },
        { "wire type 7", 7, BYTES(""), "not a packed" },
    };
    unsigned number = field_number(method, field);
    const char *before = fixture_dump(fixture);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer message = BUFFER_INIT;
        const struct reply *reply;

        buffer_put_varint(&message, (uint64_t) number << 3 | cases[i].wire_type);
        buffer_put(&message, cases[i].bytes, cases[i].len);
        reply = ask_message(fixture, &root, method, message.data, message.len);
        if (reply->code != MX_INVALID_ARGUMENT || strstr(reply->words, cases[i].said) == NULL) {
            fail_msg("%s with %s: %s %s", method, cases[i].what, mx_code_name(reply->code),
                     reply->words);
        }
        buffer_fini(&message);
    }
    assert_string_equal(fixture_dump(fixture), before);
}
