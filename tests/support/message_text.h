/*
 * Messages written as text, for tests that need nested ones: protobuf's text
 * format in the little that tests use.
 *
 *     account { name: 'alice' routes { transport: 'direct' } } update_mask { paths: '*' }
 *
 * A field that is repeated is given again. Text stands between ' and ', without escapes; numbers,
 * flags (true, false) and enums (by name) as they are. Bytes: hexadecimal digits, or the packed
 * request of an operation, for Batch: <AccountAdd account: 'bob' address: 'bob@example.org'>.
 *
 * What can't be read fails the test.
 */
#pragma once

#include "base/arena.h"

#include <protobuf-c/protobuf-c.h>

/* In the arena; of the service that `<` means. */
ProtobufCMessage *message_parse(struct arena *arena, const ProtobufCServiceDescriptor *service,
                                const ProtobufCMessageDescriptor *descriptor, const char *text);

/* The address of a field's value, of its list's length or of its oneof's case. */
void *message_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
void *message_quantifier(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/* Bytes of one value in memory. */
size_t message_value_size(const ProtobufCFieldDescriptor *field);
