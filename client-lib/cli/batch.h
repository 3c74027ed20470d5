/*
 * A batch as people write and read it: each call with its request as JSON,
 * {"method": "AccountAdd", "request": {...}}, and each result with its response
 * as JSON, instead of packed messages in base64.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "problem.h"

/* Whether this is the name of what batch_complete() reads from the JSON of such a message. */
bool batch_has_request(const ProtobufCMessageDescriptor *message, const char *name);

/* Once a BatchCall's fields are read: gives the method its full name, and packs "request" of the
 * same JSON into `message`. True for all other messages. */
bool batch_complete(const json_t *json, ProtobufCMessage *message, struct problem *problem);

/* Whether these are of Batch, for the functions below. */
bool batch_is_answer(const ProtobufCMessage *response);

/* Puts "response" in the place of "message" in the results of the answer's JSON. */
void batch_name_responses(json_t *json, const ProtobufCMessage *request,
                          const ProtobufCMessage *response);

/* A line a call: what, and how it ended. */
void batch_print(FILE *out, const ProtobufCMessage *request, const ProtobufCMessage *response);

/* How many calls were refused. */
size_t batch_refused(const ProtobufCMessage *response);
