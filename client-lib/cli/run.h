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

/* The request's page token is moved on from page to page. */
enum exit_code run_command(const struct command *command, ProtobufCMessage *request,
                           const struct options *options);
