/* Calls an operation and prints what comes back. */
#pragma once

#include "commands.h"
#include "options.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,
    EXIT_USAGE = 2,
    EXIT_UNSURE = 3, /* unavailable, or nobody knows how it ended */
};

/* A client for what `options` say; NULL: said why. */
mxadm_client *run_open(const struct options *options, uint32_t connections);

/* Says how a call failed, and what the program's exit code is then. */
enum exit_code run_fail(const struct options *options, const mxadm_result *result);

/* The request's page token is moved on from page to page. */
enum exit_code run_command(const struct command *command, ProtobufCMessage *request,
                           const struct options *options);
