/*
 * Looks at packed protobuf bytes before they are unpacked.
 *
 * protobuf-c trusts its input in ways that we must not: it does not check
 * UTF-8, lets U+0000 cut a string short, keeps unknown enum values, recurses as
 * deep as the bytes say and makes 84 MB of 1 MiB of empty submessages. This
 * walks the bytes with the message's descriptor and finds all of that first.
 */
#pragma once

#include "base/status.h"

#include <protobuf-c/protobuf-c.h>

/* The contract's own messages nest 4 deep. */
#define WIRE_DEPTH_MAX 16
/* Elements of one repeated field: ten full batches. Nor may any other field come more often, nor
 * all unknown ones together: protobuf-c keeps 40 bytes for each. */
#define WIRE_ELEMENTS_MAX 10000
/* Fields of a message's descriptor that the walk can count. */
#define WIRE_FIELDS_MAX 64

/* Reports each fault as a field violation with the field's path below `prefix` ("" for none).
 * Returns the status's code. */
enum mx_code wire_check(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
                        size_t len, const char *prefix, struct status *status);

/* Whether all bytes are well-formed UTF-8 (RFC 3629) without U+0000. */
bool wire_is_text(const uint8_t *bytes, size_t len);
