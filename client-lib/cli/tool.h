/*
 * Commands that are more than one operation: `watch`, `history`, `import`,
 * `config plan`. Where an operation makes a command of the same name (`config
 * export`), the one here takes its place; with --request the operation itself
 * is called.
 */
#pragma once

#include <stdio.h>

#include "options.h"
#include "problem.h"
#include "run.h"

#define TOOL_OPTIONS_MAX   8
#define TOOL_ARGUMENTS_MAX 2

/* An option of one tool; without a value it is a flag. */
struct tool_option {
    const char *name;
    const char *value;
    const char *text;
};

/* What was said on the command line. */
struct tool_call {
    const struct tool *tool;
    const struct options *options;
    const char *arguments[TOOL_ARGUMENTS_MAX]; /* NULL: not given */
    const char *values[TOOL_OPTIONS_MAX];      /* by number of the option; "" of a given flag */
};

struct tool {
    const char *noun;
    const char *verb;      /* "": the noun alone */
    const char *arguments; /* as the usage has them */
    unsigned arguments_min;
    unsigned arguments_max;
    const char *text; /* what help says; the first sentence is its summary */
    struct tool_option options[TOOL_OPTIONS_MAX];
    enum exit_code (*run)(const struct tool_call *call);
};

extern const struct tool tool_watch;
extern const struct tool tool_history;
extern const struct tool tool_import;
extern const struct tool tool_config_export;
extern const struct tool tool_config_plan;
extern const struct tool tool_config_apply;

/* All, NULL-terminated. */
extern const struct tool *const tools[];

/* NULL: no such tool. */
const struct tool *tool_find(const char *noun, const char *verb);
/* The first tool of a noun; NULL: no such noun. */
const struct tool *tool_of_noun(const char *noun);

/* The number of an option, negative: none. */
int tool_option(const struct tool *tool, const char *name);

/* Says what is wrong with an argument or option. Returns EXIT_USAGE. */
enum exit_code tool_usage(const struct tool_call *call, const struct problem *problem);

/* Reads the whole number of an option that is given. */
bool tool_number(const struct tool_call *call, int option, uint64_t *number_out,
                 struct problem *problem);

/* Asks the server whether it is there, and for the largest message that it takes (NULL: not of
 * interest). Says so if it is not. */
enum exit_code tool_reach(const struct options *options, uint64_t *message_bytes_out);
