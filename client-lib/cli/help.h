/* --help, on every level; texts come from the .proto files. */
#pragma once

#include <stdio.h>

#include "commands.h"
#include "tool.h"

void help_program(FILE *out);
void help_noun(FILE *out, const char *noun);
void help_command(FILE *out, const struct command *command);
void help_tool(FILE *out, const struct tool *tool);
