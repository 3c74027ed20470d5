/*
 * What a change would do (Response.changes), and what it did (two dumps of the store), in one
 * form: a line a record, "+", "~" or "-" and the record's key, in order of keys.
 */
#pragma once

#include "support/rpc_fixture.h"

const char *plan_text(struct fixture *fixture, const struct reply *reply);
const char *plan_of_dumps(struct fixture *fixture, const char *before, const char *after);
