/* mxadm: the operations of mxadmd as commands. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "help.h"
#include "layout.h"
#include "memory.h"
#include "message.h"
#include "options.h"
#include "request.h"
#include "run.h"
#include "tool.h"

/* Everything that was said on the command line. */
struct line {
    struct options options;
    const char *noun;
    const struct command *command;
    const struct tool *tool; /* instead of `command` */
    struct tool_call call;   /* of the tool */
    bool plain;              /* operations themselves are wanted: --request is given */
    ProtobufCMessage *request;
    size_t positional_count;
    bool only_arguments; /* after "--" */
    /* Flags of fields, until the request has been read from JSON: they come on top of it. */
    struct setting {
        char path[REQUEST_PATH_MAX];
        const char *value;
        bool is_flag;
    } * settings;
    size_t setting_count;
};

static void guess(struct problem *problem, const char *word, const char *const *words,
                  const char *prefix)
{
    const char *near = command_guess(word, words);
    if (near != NULL) {
        size_t len = strlen(problem->words);
        (void) snprintf(problem->words + len, sizeof(problem->words) - len,
                        "; did you mean '%s%s'?", prefix, near);
    }
}

static bool no_command(const struct line *line, const char *word, struct problem *problem)
{
    size_t count;
    const struct command *commands = commands_all(&count);
    size_t tool_count = 0;
    while (tools[tool_count] != NULL) {
        tool_count++;
    }
    const char **words = memory_get((count + tool_count + 1) * sizeof(*words));
    size_t n = 0;
    for (size_t i = 0; i < count + tool_count; i++) {
        const char *noun = i < count ? commands[i].noun : tools[i - count]->noun;
        const char *verb = i < count ? commands[i].verb : tools[i - count]->verb;
        if (line->noun == NULL) {
            words[n++] = noun;
        } else if (strcmp(noun, line->noun) == 0) {
            words[n++] = verb;
        }
    }
    if (line->noun == NULL) {
        problem_say(problem, "there is no noun '%.60s'", word);
    } else {
        problem_say(problem, "there is no command '%s %.60s'", line->noun, word);
    }
    guess(problem, word, words, "");
    free(words);
    return false;
}

static bool no_flag(const struct line *line, const char *name, struct problem *problem)
{
    const ProtobufCMessageDescriptor *request =
        line->command != NULL ? line->command->method->input : NULL;
    size_t field_count = request != NULL ? request->n_fields : 0;
    char **words = memory_get((field_count + 64) * sizeof(*words));
    size_t n = 0;
    for (size_t i = 0; i < field_count; i++) {
        words[n] = memory_copy(request->fields[i].name);
        for (char *c = words[n++]; *c != '\0'; c++) {
            *c = (char) (*c == '_' ? '-' : *c);
        }
    }
    for (size_t i = 0; options_name(i) != NULL; i++) {
        words[n++] = memory_copy(options_name(i));
    }
    for (size_t i = 0; line->tool != NULL && i < TOOL_OPTIONS_MAX; i++) {
        if (line->tool->options[i].name != NULL) {
            words[n++] = memory_copy(line->tool->options[i].name);
        }
    }
    problem_say(problem, "there is no flag '--%.60s'", name);
    guess(problem, name, (const char *const *) words, "--");
    while (n > 0) {
        free(words[--n]);
    }
    free(words);
    return false;
}

static void add_setting(struct line *line, const char *path, const char *value, bool is_flag)
{
    line->settings =
        memory_resize(line->settings, (line->setting_count + 1) * sizeof(*line->settings));
    struct setting *setting = &line->settings[line->setting_count++];
    (void) snprintf(setting->path, sizeof(setting->path), "%s", path);
    setting->value = value;
    setting->is_flag = is_flag;
}

/* Finds what noun and verb stand for: the operation, or the tool that takes its place. */
static bool find_command(struct line *line, const char *verb)
{
    line->command = command_find(line->noun, verb);
    line->tool = tool_find(line->noun, verb);
    if (line->command != NULL && line->tool != NULL) {
        if (line->plain) {
            line->tool = NULL;
        } else {
            line->command = NULL;
        }
    }
    return line->command != NULL || line->tool != NULL;
}

static bool take_tool_argument(struct line *line, const char *word, struct problem *problem)
{
    size_t i = 0;
    while (i < line->tool->arguments_max && line->call.arguments[i] != NULL) {
        i++;
    }
    if (word[0] == '-' && word[1] != '\0' && !line->only_arguments) {
        return problem_say(problem, "there is no flag '%.60s'", word);
    }
    if (i == line->tool->arguments_max) {
        return problem_say(problem, "there is one argument too many: '%.100s'", word);
    }
    line->call.arguments[i] = word;
    return true;
}

static bool take_argument(struct line *line, const char *word, struct problem *problem)
{
    if (line->noun == NULL) {
        if (command_of_noun(word) == NULL && tool_of_noun(word) == NULL) {
            return no_command(line, word, problem);
        }
        line->noun = word;
        (void) find_command(line, "");
        return true;
    }
    if (line->tool != NULL) {
        return take_tool_argument(line, word, problem);
    }
    if (line->command == NULL) {
        return find_command(line, word) || no_command(line, word, problem);
    }
    const char *buffer[LAYOUT_FIELDS_MAX];
    const char *const *fields = layout_positionals(line->command->method, buffer);
    size_t i = 0;
    while (i < line->positional_count && fields[i] != NULL) {
        i++;
    }
    if (fields[i] == NULL && word[0] == '-' && !line->only_arguments) {
        return problem_say(problem, "there is no flag '%.60s'", word);
    }
    if (fields[i] == NULL) {
        return problem_say(problem, "there is one argument too many: '%.100s'", word);
    }
    char path[REQUEST_PATH_MAX];
    const ProtobufCFieldDescriptor *field =
        request_find(line->command->method->input, fields[i], path);
    add_setting(line, path, word, false);
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        line->positional_count++;
    }
    return true;
}

/* "--name", "--name=value" or "--name value"; `next` is the following word. Says in `used_out`
 * whether it was the value. */
static bool take_flag(struct line *line, const char *word, const char *next, bool *used_out,
                      struct problem *problem)
{
    size_t len = strcspn(word, "=");
    char name[REQUEST_PATH_MAX];
    if (len >= sizeof(name)) {
        return no_flag(line, word, problem);
    }
    memcpy(name, word, len);
    name[len] = '\0';
    const char *value = word[len] == '=' ? word + len + 1 : NULL;
    const ProtobufCFieldDescriptor *field = NULL;
    char path[REQUEST_PATH_MAX];
    bool takes_value;
    int tool_number = line->tool != NULL ? tool_option(line->tool, name) : -1;
    bool is_option = tool_number < 0 && options_has(name, &takes_value);
    if (tool_number >= 0) {
        takes_value = line->tool->options[tool_number].value != NULL;
    } else if (!is_option) {
        field =
            line->command != NULL ? request_find(line->command->method->input, name, path) : NULL;
        if (field == NULL) {
            return no_flag(line, name, problem);
        }
        takes_value = field->type != PROTOBUF_C_TYPE_BOOL;
    }
    if (value == NULL && takes_value) {
        if (next == NULL) {
            return problem_say(problem, "--%s: a value is missing", name);
        }
        value = next;
        *used_out = true;
    }
    if (is_option || tool_number >= 0) {
        if (value != NULL && !takes_value) {
            return problem_say(problem, "--%s: it takes no value", name);
        }
    }
    if (tool_number >= 0) {
        line->call.values[tool_number] = value != NULL ? value : "";
        return true;
    }
    if (is_option) {
        return options_set(&line->options, name, value, problem);
    }
    add_setting(line, path, value != NULL ? value : "true", true);
    return true;
}

/* Whether operations themselves are wanted must be known before the words are read. */
static bool wants_plain(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--request") == 0 ||
            strncmp(argv[i], "--request=", strlen("--request=")) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_line(struct line *line, int argc, char **argv, struct problem *problem)
{
    line->plain = wants_plain(argc, argv);
    for (int i = 1; i < argc; i++) {
        bool used = false;
        bool good = true;
        if (line->only_arguments || strncmp(argv[i], "--", 2) != 0) {
            good = strcmp(argv[i], "-h") == 0 && !line->only_arguments
                       ? options_set(&line->options, "help", NULL, problem)
                       : take_argument(line, argv[i], problem);
        } else if (argv[i][2] == '\0') {
            line->only_arguments = true;
        } else {
            good = take_flag(line, argv[i] + 2, argv[i + 1], &used, problem);
        }
        if (!good) {
            return false;
        }
        i += used;
    }
    return true;
}

static bool build_request(struct line *line, struct problem *problem)
{
    line->request = message_new(line->command->method->input);
    if (line->options.request != NULL &&
        !request_read_json(line->request, line->options.request, problem)) {
        return false;
    }
    bool mask_given = false;
    for (size_t i = 0; i < line->setting_count; i++) {
        mask_given = mask_given || strcmp(line->settings[i].path, "update_mask") == 0;
    }
    for (size_t i = 0; i < line->setting_count; i++) {
        const struct setting *setting = &line->settings[i];
        if (!request_set(line->request, setting->path, setting->value, problem)) {
            return false;
        }
        if (setting->is_flag && !mask_given) {
            request_note_update(line->request, setting->path);
        }
    }
    return true;
}

static enum exit_code usage(const struct line *line, const struct problem *problem)
{
    if (line->tool != NULL) {
        return tool_usage(&line->call, problem);
    }
    (void) fprintf(stderr, "mxadm: %s\n", problem->words);
    if (line->command != NULL) {
        (void) fprintf(stderr, "'mxadm %s%s%s --help' says more.\n", line->command->noun,
                       line->command->verb[0] != '\0' ? " " : "", line->command->verb);
    } else {
        (void) fprintf(stderr, "'mxadm%s%s --help' says more.\n", line->noun != NULL ? " " : "",
                       line->noun != NULL ? line->noun : "");
    }
    return EXIT_USAGE;
}

static enum exit_code help(const struct line *line)
{
    if (line->tool != NULL) {
        help_tool(stdout, line->tool);
    } else if (line->command != NULL) {
        help_command(stdout, line->command);
    } else if (line->noun != NULL) {
        help_noun(stdout, line->noun);
    } else {
        help_program(stdout);
    }
    return EXIT_DONE;
}

static enum exit_code run_tool(struct line *line)
{
    struct problem problem;
    unsigned count = 0;
    while (count < line->tool->arguments_max && line->call.arguments[count] != NULL) {
        count++;
    }
    if (count < line->tool->arguments_min) {
        problem_say(&problem, "an argument is missing: %s", line->tool->arguments);
        return usage(line, &problem);
    }
    if (line->plain) {
        problem_say(&problem, "--request: this is no operation");
        return usage(line, &problem);
    }
    if (!options_complete(&line->options, &problem)) {
        return usage(line, &problem);
    }
    return line->tool->run(&line->call);
}

static enum exit_code run(struct line *line, int argc, char **argv)
{
    struct problem problem;
    bool good = read_line(line, argc, argv, &problem);
    line->call.tool = line->tool;
    line->call.options = &line->options;
    if (!good) {
        return usage(line, &problem);
    }
    if (line->options.version) {
        puts("mxadm " MXADM_VERSION_STRING);
        return EXIT_DONE;
    }
    if (line->options.help) {
        return help(line);
    }
    if (line->tool != NULL) {
        return run_tool(line);
    }
    if (line->command == NULL) {
        problem_say(&problem, line->noun != NULL ? "a verb is missing" : "a noun is missing");
        return usage(line, &problem);
    }
    if (!build_request(line, &problem) || !options_complete(&line->options, &problem)) {
        return usage(line, &problem);
    }
    return run_command(line->command, line->request, &line->options);
}

int main(int argc, char **argv)
{
    /* Widths of characters and UTF-8; numbers stay as in C. */
    (void) setlocale(LC_CTYPE, "C.UTF-8");
    struct line line = { 0 };
    options_init(&line.options);
    enum exit_code code = run(&line, argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == EXIT_DONE) {
        (void) fprintf(stderr, "mxadm: can't write: %s\n", strerror(errno));
        code = EXIT_REFUSED;
    }
    if (line.request != NULL) {
        protobuf_c_message_free_unpacked(line.request, NULL);
    }
    free(line.settings);
    options_fini(&line.options);
    return code;
}
