/*
 * Messages as proto3 JSON, both ways, through jansson. Written: lowerCamelCase
 * names, 64 bit numbers and bytes (base64) as strings, enum values by name,
 * fields without a value left out. Read: also the names of the .proto file and
 * short enum names; unknown fields are errors. A call of a batch may have its
 * request as JSON, too (batch.h).
 */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "problem.h"

/* Nobody writes more by hand, and the daemon takes 4 MiB packed. */
#define JSON_BYTES_MAX ((size_t) 16 << 20)

json_t *json_of_message(const ProtobufCMessage *message);

/* Sets the fields that `json` has. Problems name the field by its path and show no value that may
 * be secret. */
bool json_to_message(const json_t *json, ProtobufCMessage *message, struct problem *problem);

/* Parses text, then as json_to_message(). */
bool json_read_message(const char *text, size_t len, ProtobufCMessage *message,
                       struct problem *problem);
