#include "options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "value.h"

static bool set_url(struct options *options, const char *value, struct problem *problem)
{
    if (options->url_count == OPTIONS_URLS_MAX) {
        return problem_say(problem, "--url: more than %d are given", OPTIONS_URLS_MAX);
    }
    options->urls[options->url_count++] = value;
    return true;
}

static bool set_timeout(struct options *options, const char *value, struct problem *problem)
{
    int64_t ms;
    if (!value_read_duration_ms(value, &ms) || ms < 1 || ms > 3600000) {
        return problem_say(problem,
                           "--timeout: '%.100s' is not a duration of up to an hour, such "
                           "as '30s'",
                           value);
    }
    options->call.timeout_ms = (uint32_t) ms;
    return true;
}

static bool read_number(const char *name, const char *value, uint64_t max, uint64_t *out,
                        struct problem *problem)
{
    if (!value_read_uint64(value, out) || *out > max) {
        return problem_say(problem, "--%s: '%.100s' is not a whole number", name, value);
    }
    return true;
}

static bool set_attempts(struct options *options, const char *value, struct problem *problem)
{
    uint64_t number;
    if (!read_number("attempts", value, UINT32_MAX, &number, problem)) {
        return false;
    }
    options->attempts = (uint32_t) number;
    return true;
}

static bool set_if_revision(struct options *options, const char *value, struct problem *problem)
{
    return read_number("if-revision", value, UINT64_MAX, &options->call.if_revision, problem);
}

static bool set_min_revision(struct options *options, const char *value, struct problem *problem)
{
    return read_number("min-revision", value, UINT64_MAX, &options->call.min_revision, problem);
}

static bool set_limit(struct options *options, const char *value, struct problem *problem)
{
    return read_number("limit", value, UINT64_MAX, &options->limit, problem);
}

static bool set_request_id(struct options *options, const char *value, struct problem *problem)
{
    bool good = strlen(value) == sizeof(options->request_id) * 2;
    for (size_t i = 0; good && value[i] != '\0'; i++) {
        good = isxdigit((unsigned char) value[i]);
    }
    if (!good) {
        return problem_say(problem, "--request-id: '%.100s' is not 32 hexadecimal digits", value);
    }
    for (size_t i = 0; i < sizeof(options->request_id); i++) {
        char digits[3] = { value[2 * i], value[2 * i + 1], '\0' };
        options->request_id[i] = (uint8_t) strtoul(digits, NULL, 16);
    }
    options->has_request_id = true;
    return true;
}

static bool set_request(struct options *options, const char *value, struct problem *problem)
{
    (void) problem;
    options->request = value;
    return true;
}

/* An option without a value sets the flag at `flag`. */
static const struct {
    const char *name;
    const char *value;
    bool (*set)(struct options *options, const char *value, struct problem *problem);
    size_t flag;
    const char *text;
} table[] = {
    { "url", "URL", set_url, 0, "server; may be repeated, else MXADM_URL or " MXADM_DEFAULT_URL },
    { "timeout", "DURATION", set_timeout, 0, "for the whole call; default 30s" },
    { "attempts", "N", set_attempts, 0, "how often to try; default 5, 0: as time allows" },
    { "json", NULL, NULL, offsetof(struct options, json), "print proto3 JSON" },
    { "request", "JSON|@FILE|-", set_request, 0, "the request as proto3 JSON; flags come on top" },
    { "validate-only", NULL, NULL, 0, "check and show what would change, change nothing" },
    { "if-revision", "N", set_if_revision, 0, "refuse if what would change is newer" },
    { "min-revision", "N", set_min_revision, 0, "wait until the configuration is this new" },
    { "request-id", "HEX", set_request_id, 0, "go on with an earlier call" },
    { "limit", "N", set_limit, 0, "of a list, show this many; default all" },
    { "quiet", NULL, NULL, offsetof(struct options, quiet), "print nothing when it is done" },
    { "help", NULL, NULL, offsetof(struct options, help), "explain" },
    { "version", NULL, NULL, offsetof(struct options, version), "print the version" },
};

#define COUNT (sizeof(table) / sizeof(table[0]))

void options_init(struct options *options)
{
    static const mxadm_call_options call = MXADM_CALL_OPTIONS_INIT;
    memset(options, 0, sizeof(*options));
    options->call = call;
    options->attempts = OPTIONS_ATTEMPTS;
}

const char *options_name(size_t index)
{
    return index < COUNT ? table[index].name : NULL;
}

bool options_has(const char *name, bool *takes_value_out)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) {
            *takes_value_out = table[i].value != NULL;
            return true;
        }
    }
    return false;
}

bool options_set(struct options *options, const char *name, const char *value,
                 struct problem *problem)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(table[i].name, name) != 0) {
            continue;
        }
        if (table[i].set != NULL) {
            return table[i].set(options, value, problem);
        }
        if (strcmp(name, "validate-only") == 0) {
            options->call.validate_only = 1;
        } else {
            *(bool *) ((char *) options + table[i].flag) = true;
        }
        return true;
    }
    return false;
}

bool options_complete(struct options *options, struct problem *problem)
{
    const char *environment = getenv("MXADM_URL");
    if (options->url_count == 0 && environment != NULL) {
        options->environment = memory_copy(environment);
        char *rest = options->environment;
        for (char *url; (url = strsep(&rest, ",")) != NULL;) {
            if (url[0] != '\0' && !set_url(options, url, problem)) {
                return false;
            }
        }
    }
    if (options->url_count == 0) {
        options->urls[options->url_count++] = MXADM_DEFAULT_URL;
    }
    if (options->has_request_id) {
        options->call.request_id = options->request_id;
    }
    return true;
}

void options_fini(struct options *options)
{
    free(options->environment);
}

void options_describe(FILE *out)
{
    for (size_t i = 0; i < COUNT; i++) {
        char *flag =
            memory_print("--%s %s", table[i].name, table[i].value != NULL ? table[i].value : "");
        (void) fprintf(out, "  %-26s %s\n", flag, table[i].text);
        free(flag);
    }
}
