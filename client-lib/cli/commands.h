/*
 * Operations as commands: "DomainAdd" is `domain add`, "DKIMKeyMake" is `dkim
 * key-make`, Health/Check is `health check`, and "Batch", which is a noun
 * alone, is `batch`. Made from the service descriptors, so that a new operation
 * is a new command without a line here.
 */
#pragma once

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

/* Longest noun or verb, with its terminator; "tls-public-key" has 15. */
#define COMMAND_WORD_MAX 64

struct command {
    char noun[COMMAND_WORD_MAX];
    char verb[COMMAND_WORD_MAX];     /* "": the noun alone */
    char name[2 * COMMAND_WORD_MAX]; /* full name of the operation */
    const ProtobufCMethodDescriptor *method;
};

/* All, in the order of the .proto files; made at the first call. */
const struct command *commands_all(size_t *count_out);

/* NULL: no such command. */
const struct command *command_find(const char *noun, const char *verb);

/* The first command of a noun; NULL: no such noun. */
const struct command *command_of_noun(const char *noun);

/* The word among `words` (NULL-terminated) that `word` may be a slip of; NULL: none is near. */
const char *command_guess(const char *word, const char *const *words);
