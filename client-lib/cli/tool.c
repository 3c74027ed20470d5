#include "tool.h"

#include <string.h>

#include "value.h"

const struct tool *const tools[] = {
    &tool_config_export,
    &tool_config_plan,
    &tool_config_apply,
    &tool_import,
    &tool_watch,
    &tool_history,
    NULL,
};

const struct tool *tool_find(const char *noun, const char *verb)
{
    for (size_t i = 0; tools[i] != NULL; i++) {
        if (strcmp(tools[i]->noun, noun) == 0 && strcmp(tools[i]->verb, verb) == 0) {
            return tools[i];
        }
    }
    return NULL;
}

const struct tool *tool_of_noun(const char *noun)
{
    for (size_t i = 0; tools[i] != NULL; i++) {
        if (strcmp(tools[i]->noun, noun) == 0) {
            return tools[i];
        }
    }
    return NULL;
}

int tool_option(const struct tool *tool, const char *name)
{
    for (int i = 0; i < TOOL_OPTIONS_MAX && tool->options[i].name != NULL; i++) {
        if (strcmp(tool->options[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

enum exit_code tool_usage(const struct tool_call *call, const struct problem *problem)
{
    const struct tool *tool = call->tool;
    (void) fprintf(stderr, "mxadm: %s\n'mxadm %s%s%s --help' says more.\n", problem->words,
                   tool->noun, tool->verb[0] != '\0' ? " " : "", tool->verb);
    return EXIT_USAGE;
}

bool tool_number(const struct tool_call *call, int option, uint64_t *number_out,
                 struct problem *problem)
{
    if (!value_read_uint64(call->values[option], number_out)) {
        return problem_say(problem, "--%s: '%.100s' is not a whole number",
                           call->tool->options[option].name, call->values[option]);
    }
    return true;
}

enum exit_code tool_reach(const struct options *options, uint64_t *message_bytes_out)
{
    Mxadm__V1__ServerInfoRequest request = MXADM__V1__SERVER_INFO_REQUEST__INIT;
    mxadm_client *client = run_open(options, 1);
    if (client == NULL) {
        return EXIT_REFUSED;
    }
    mxadm_result *result;
    enum exit_code code = EXIT_DONE;
    if (mxadm_call(client, "ServerInfo", &request.base, NULL, &result) != MXADM_OK) {
        code = run_fail(options, result);
    } else if (message_bytes_out != NULL) {
        *message_bytes_out = ((const Mxadm__V1__ServerInfoResponse *) mxadm_result_response(result))
                                 ->message_bytes_limit;
    }
    mxadm_result_free(result);
    mxadm_client_close(client);
    return code;
}
