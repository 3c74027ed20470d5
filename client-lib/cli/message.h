/*
 * Messages of any type, built and read through their descriptors.
 *
 * A *place* is where a field's value lies: the C member itself, or an element
 * of a repeated field. All memory is malloc's, so that
 * protobuf_c_message_free_unpacked(message, NULL) frees a message.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

ProtobufCMessage *message_new(const ProtobufCMessageDescriptor *descriptor);

/* By name, in snake_case, kebab-case or lowerCamelCase, not terminated. NULL: no such field. */
const ProtobufCFieldDescriptor *message_field(const ProtobufCMessageDescriptor *descriptor,
                                              const char *name, size_t len);

/* How many values the field has: 0 or 1, or those of a repeated one. Proto3's default values are
 * none. */
size_t message_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);

/* The place of a value, for reading. */
const void *message_get(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                        size_t index);

/* The place for a new value: of a repeated field a further one, of a oneof the one that is set from
 * now on. What was there is freed. A message's place holds NULL. */
void *message_place(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);

/* The submessage of a field that is not repeated; made if there is none. */
ProtobufCMessage *message_sub(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);

/* A member of the same oneof as `field` that is set; NULL: none. */
const ProtobufCFieldDescriptor *message_rival(const ProtobufCMessage *message,
                                              const ProtobufCFieldDescriptor *field);

/* Bytes that a value of the field's type takes in C. */
size_t message_value_size(const ProtobufCFieldDescriptor *field);

/* Free it, unless it is protobuf-c's shared empty string. */
void message_free_string(char *string);
