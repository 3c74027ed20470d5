/*
 * What the tests of all nouns ask of each operation, and small helpers for it.
 */
#pragma once

#include "support/rpc_fixture.h"

/* `text` so many times; the fixture's. */
const char *repeated(struct fixture *fixture, const char *text, size_t times);
/* Base64 of RFC 4648, as in DKIM's "p=". */
const char *base64(struct fixture *fixture, const ProtobufCBinaryData *data);

/* Equal byte for byte when packed. */
void assert_same_message(const ProtobufCMessage *a, const ProtobufCMessage *b);

/*
 * Requests of this operation that no client library makes: its field `field` (a string) with
 * U+0000, invalid UTF-8, of another wire type, cut off, endlessly long; groups, garbage. Each is
 * INVALID_ARGUMENT and leaves no trace.
 */
void refuses_hostile_bytes(struct fixture *fixture, const char *method, const char *field);
