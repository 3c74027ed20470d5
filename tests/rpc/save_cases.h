/*
 * Saves written as text, and tables of them: values of one record, each with
 * the rule that it proves.
 */
#pragma once

#include "support/rpc_fixture.h"

struct save_case {
    const char *rule;  /* number in mox-behaviour, and maybe words */
    const char *text;  /* fields of the record (support/message_text.h) */
    const char *field; /* violation, as path; NULL: good */
};

struct save_form {
    const char *method;
    const char *form; /* the request, with %s for the fields of the record */
};

/* Calls an operation with a request written as text. */
const struct reply *ask_text(struct fixture *fixture, const struct rpc_peer *peer,
                             const char *method, const char *text);
const struct reply *ask_text_with(struct fixture *fixture, const struct rpc_peer *peer,
                                  const struct options *options, const char *method,
                                  const char *text);

/* Saves each; what is refused leaves no trace. */
void try_saves(struct fixture *fixture, const struct save_form *form, const struct save_case *cases,
               size_t count);

#define TRY(fixture, form, cases)                                                                  \
    try_saves((fixture), (form), (cases), sizeof(cases) / sizeof((cases)[0]))
