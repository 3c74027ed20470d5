/*
 * Packed messages from hostile bytes, before they are unpacked: nothing crashes,
 * and what wire_check() lets through keeps its promises: protobuf-c unpacks it,
 * and what it is packed to passes again. The first byte of the input chooses the
 * type: 0 the envelope, others the request of an operation.
 */
#include "mxadm/v1/admin.pb-c.h"
#include "rpc/wire.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_LIMIT ((size_t) 64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static const ProtobufCMessageDescriptor *type_of(uint8_t choice)
{
    const ProtobufCServiceDescriptor *service = &mxadm__v1__admin__descriptor;

    return choice == 0 ? &mxadm__v1__request__descriptor
                       : service->methods[(choice - 1u) % service->n_methods].input;
}

static enum mx_code check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len)
{
    struct arena *arena = arena_create(ARENA_LIMIT);
    struct status status;
    enum mx_code code;

    PROMISE(arena != NULL);
    status_init(&status, arena);
    code = wire_check(type, bytes, len, "", &status);
    PROMISE(code == MX_OK || (code == MX_INVALID_ARGUMENT && status.violation_count > 0));
    arena_destroy(arena);
    return code;
}

static void check_unpacked(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t len)
{
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, len, bytes);
    uint8_t *packed;
    size_t packed_len;

    PROMISE(message != NULL);
    packed = malloc(protobuf_c_message_get_packed_size(message) + 1);
    PROMISE(packed != NULL);
    packed_len = protobuf_c_message_pack(message, packed);
    PROMISE(check(type, packed, packed_len) == MX_OK);
    free(packed);
    protobuf_c_message_free_unpacked(message, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ProtobufCMessageDescriptor *type;

    if (size == 0) {
        return 0;
    }
    type = type_of(data[0]);
    if (check(type, data + 1, size - 1) == MX_OK) {
        check_unpacked(type, data + 1, size - 1);
    }
    return 0;
}
