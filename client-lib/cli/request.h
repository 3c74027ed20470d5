/* The request message of a command, from its arguments. */
#pragma once

#include "problem.h"

#include <protobuf-c/protobuf-c.h>

/* Largest file that "@file" reads: beyond what JSON or a certificate may have. */
#define REQUEST_FILE_BYTES_MAX ((size_t) 16 << 20)

/* Finds the field that a flag names: a dotted path, each part in any spelling. A field of a
 * request's only record may leave the record's name out. Writes its full path in snake_case. NULL:
 * no such field, or a step on the way is repeated. */
#define REQUEST_PATH_MAX 256
const ProtobufCFieldDescriptor *request_find(const ProtobufCMessageDescriptor *request,
                                             const char *name, char path[REQUEST_PATH_MAX]);

/* Sets the field at a path that request_find() wrote. "@file" for bytes is the file's content. */
bool request_set(ProtobufCMessage *request, const char *path, const char *text,
                 struct problem *problem);

/* Fills the request from JSON: the text itself, "@file", or "-" for standard input. */
bool request_read_json(ProtobufCMessage *request, const char *source, struct problem *problem);

/* Puts `path` into the request's update mask, if it has one: what a flag sets is what shall be
 * taken over. */
void request_note_update(ProtobufCMessage *request, const char *path);

/* The whole file, NUL-terminated and allocated; "-" is standard input. NULL: `problem` says why. */
char *request_read_file(const char *name, size_t *len_out, struct problem *problem);
