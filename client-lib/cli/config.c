/* `mxadm config export`, `plan` and `apply`: the configuration as a document. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "change.h"
#include "memory.h"
#include "passphrase.h"
#include "print.h"
#include "progress.h"
#include "stage.h"
#include "tool.h"

/* Of an operation on a million records; unless --timeout says otherwise. */
#define TIMEOUT_MS 600000

/* How often a document is staged anew that the server does not know any more. */
#define STAGINGS_MAX 3

/* Reads the passphrase if one is wanted; `text_out` stays as it is else. */
static bool take_passphrase(const struct tool_call *call, int ask, int file, bool twice,
                            struct passphrase *passphrase, char **text_out, struct problem *problem)
{
    if (call->values[ask] == NULL && call->values[file] == NULL) {
        return true;
    }
    if (call->values[ask] != NULL && call->values[file] != NULL) {
        return problem_say(problem, "--passphrase and --passphrase-file can't be together");
    }
    *text_out = passphrase->text;
    return passphrase_read(passphrase, call->values[file], twice, problem);
}

static mxadm_call_options call_options(const struct tool_call *call)
{
    mxadm_call_options options = call->options->call;
    options.timeout_ms = options.timeout_ms != 0 ? options.timeout_ms : TIMEOUT_MS;
    return options;
}

/* ------------------------------------------------------------------- export */

enum { EXPORT_DOMAIN, EXPORT_OUTPUT, EXPORT_PASSPHRASE, EXPORT_PASSPHRASE_FILE };

/* Where a document is written: to standard output, or to a file beside its place, which it takes
 * when it is complete. */
struct output {
    FILE *file;
    const char *path; /* NULL: standard output */
    char *part_path;
};

static bool output_open(struct output *output, const char *path, bool is_secret,
                        struct problem *problem)
{
    *output = (struct output){ .file = stdout, .path = path };
    if (path == NULL) {
        return true;
    }
    output->part_path = memory_print("%s.XXXXXX", path);
    int fd = mkstemp(output->part_path); /* for its owner alone */
    output->file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (output->file == NULL) {
        if (fd >= 0) {
            (void) close(fd);
            (void) unlink(output->part_path);
        }
        free(output->part_path);
        output->part_path = NULL;
        return problem_say(problem, "can't write '%.200s': %s", path, strerror(errno));
    }
    if (!is_secret) {
        mode_t mask = umask(0);
        (void) umask(mask);
        (void) fchmod(fd, 0666 & ~mask);
    }
    return true;
}

static void output_write(struct output *output, const char *text)
{
    if (output->path == NULL && isatty(STDOUT_FILENO) == 1) {
        print_raw(output->file, text);
    } else {
        (void) fputs(text, output->file);
    }
}

/* Returns whether all is written. */
static bool output_close(struct output *output, bool complete)
{
    if (output->part_path == NULL) {
        return true; /* standard output: main() looks */
    }
    bool good = fflush(output->file) == 0 && fsync(fileno(output->file)) == 0;
    good = fclose(output->file) == 0 && good;
    good = good && complete && rename(output->part_path, output->path) == 0;
    if (complete && !good) {
        (void) fprintf(stderr, "mxadm: can't write '%s': %s\n", output->path, strerror(errno));
    }
    if (!good) {
        (void) unlink(output->part_path);
    }
    free(output->part_path);
    return good;
}

static enum exit_code export_parts(const struct tool_call *call, mxadm_client *client,
                                   Mxadm__V1__ConfigExportRequest *request, struct output *output)
{
    mxadm_call_options options = call_options(call);
    struct progress progress;
    mxadm_result *result = NULL;
    enum exit_code code = EXIT_DONE;
    uint64_t bytes = 0;
    progress_begin(&progress, NULL, call->options->quiet || output->path == NULL);
    for (bool more = true; more;) {
        mxadm_result *next;
        more = mxadm_call(client, "ConfigExport", &request->base, &options, &next) == MXADM_OK;
        mxadm_result_free(result); /* until now it had the token */
        result = next;
        if (!more) {
            (void) progress_end(&progress);
            code = run_fail(call->options, result);
            break;
        }
        const Mxadm__V1__ConfigExportResponse *part =
            (const Mxadm__V1__ConfigExportResponse *) mxadm_result_response(result);
        output_write(output, part->yaml);
        bytes += strlen(part->yaml);
        progress_show(&progress, bytes, 0, 0);
        request->page_token = part->next_page_token;
        more = part->next_page_token[0] != '\0';
    }
    if (code == EXIT_DONE) {
        (void) progress_end(&progress);
    }
    mxadm_result_free(result);
    return code;
}

static enum exit_code run_export(const struct tool_call *call)
{
    Mxadm__V1__ConfigExportRequest request = MXADM__V1__CONFIG_EXPORT_REQUEST__INIT;
    struct passphrase passphrase = { "" };
    struct problem problem;
    struct output output;
    if (call->values[EXPORT_DOMAIN] != NULL) {
        request.domain = (char *) call->values[EXPORT_DOMAIN];
    }
    if (!take_passphrase(call, EXPORT_PASSPHRASE, EXPORT_PASSPHRASE_FILE, true, &passphrase,
                         &request.passphrase, &problem) ||
        !output_open(&output, call->values[EXPORT_OUTPUT], request.passphrase[0] != '\0',
                     &problem)) {
        explicit_bzero(&passphrase, sizeof(passphrase));
        return tool_usage(call, &problem);
    }
    mxadm_client *client = run_open(call->options, 1);
    enum exit_code code =
        client != NULL ? export_parts(call, client, &request, &output) : EXIT_REFUSED;
    mxadm_client_close(client);
    explicit_bzero(&passphrase, sizeof(passphrase));
    if (!output_close(&output, code == EXIT_DONE) && code == EXIT_DONE) {
        code = EXIT_REFUSED;
    }
    return code;
}

/* ---------------------------------------------------------- plan and apply */

enum { APPLY_PRUNE, APPLY_PASSPHRASE, APPLY_PASSPHRASE_FILE };

/* "FILE:3:5: accounts.alice: what is wrong" of "line 3, column 5: what is wrong". */
static void show_problem(const char *path, const Mxadm__V1__FieldViolation *violation)
{
    unsigned line;
    unsigned column;
    int len = -1;
    const char *words = violation->description;
    (void) fprintf(stderr, "%s:", path);
    if (sscanf(words, "line %u, column %u: %n", &line, &column, &len) == 2 && len > 0) {
        (void) fprintf(stderr, "%u:%u:", line, column);
        words += len;
    }
    (void) fputc(' ', stderr);
    if (violation->field[0] != '\0') {
        print_text(stderr, violation->field);
        (void) fputs(": ", stderr);
    }
    print_text(stderr, words);
    (void) fputc('\n', stderr);
}

static enum exit_code fail(const struct tool_call *call, const mxadm_result *result)
{
    const Mxadm__V1__Status *status = mxadm_result_status(result);
    if (call->options->json || status == NULL || status->bad_request == NULL ||
        mxadm_result_code(result) != MXADM_INVALID_ARGUMENT) {
        return run_fail(call->options, result);
    }
    const Mxadm__V1__BadRequest *bad = status->bad_request;
    for (size_t i = 0; i < bad->n_field_violations; i++) {
        show_problem(call->arguments[0], bad->field_violations[i]);
    }
    return EXIT_REFUSED;
}

static char sign_of(Mxadm__V1__ChangeAction action)
{
    if (action == MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD) {
        return '+';
    }
    return action == MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_REMOVE ? '-' : '~';
}

static void show_changes(const Mxadm__V1__ConfigApplyResponse *response, bool planned)
{
    uint64_t total = response->added + response->updated + response->removed;
    for (size_t i = 0; i < response->n_changes; i++) {
        const Mxadm__V1__PlannedChange *change = response->changes[i];
        (void) printf("%c ", sign_of(change->action));
        print_text(stdout, change->kind);
        (void) putchar(' ');
        print_text(stdout, change->name);
        (void) putchar('\n');
    }
    if (response->n_changes < total) {
        (void) printf("... and %" PRIu64 " more\n", total - response->n_changes);
    }
    (void) printf("%" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " %s, %" PRIu64 " unchanged\n",
                  response->added, planned ? "to add" : "added", response->updated,
                  planned ? "to change" : "changed", response->removed,
                  planned ? "to remove" : "removed", response->unchanged);
}

static void show_answer(const struct tool_call *call, const mxadm_result *result, bool planned)
{
    const Mxadm__V1__ConfigApplyResponse *response =
        (const Mxadm__V1__ConfigApplyResponse *) mxadm_result_response(result);
    if (call->options->json) {
        change_print_json(stdout, &response->base);
    } else if (!call->options->quiet) {
        show_changes(response, planned);
    }
}

static bool is_forgotten(const mxadm_result *result)
{
    return mxadm_result_code(result) == MXADM_NOT_FOUND &&
           strcmp(mxadm_result_reason(result), "STAGE_NOT_FOUND") == 0;
}

/* Stages the document if need be, and plans or applies it. A server that was started anew may have
 * forgotten it in between. */
static enum exit_code send_document(const struct tool_call *call, struct document *document,
                                    Mxadm__V1__ConfigApplyRequest *request, mxadm_client *client,
                                    bool planned)
{
    mxadm_call_options options = call_options(call);
    struct problem problem;
    mxadm_result *result = NULL;
    bool good = false;
    options.validate_only = planned;
    for (int i = 0; i < STAGINGS_MAX && (i == 0 || is_forgotten(result)); i++) {
        mxadm_result_free(result);
        if (!document_stage(document, client, call->options, request, &result, &problem)) {
            if (result == NULL) {
                (void) fprintf(stderr, "mxadm: %s: %s\n", call->arguments[0], problem.words);
                return EXIT_REFUSED;
            }
            break;
        }
        good = mxadm_call(client, "ConfigApply", &request->base, &options, &result) == MXADM_OK;
    }
    enum exit_code code = EXIT_DONE;
    if (good) {
        show_answer(call, result, planned);
    } else {
        code = fail(call, result);
    }
    if (!good || planned) {
        document_discard(document, client);
    }
    mxadm_result_free(result);
    return code;
}

static enum exit_code run_document(const struct tool_call *call, bool planned)
{
    Mxadm__V1__ConfigApplyRequest request = MXADM__V1__CONFIG_APPLY_REQUEST__INIT;
    struct passphrase passphrase = { "" };
    struct document document;
    struct problem problem;
    uint64_t message_bytes;
    enum exit_code code = tool_reach(call->options, &message_bytes);
    if (code != EXIT_DONE) {
        return code;
    }
    request.prune = call->values[APPLY_PRUNE] != NULL;
    bool good = document_open(&document, call->arguments[0], message_bytes, &problem) &&
                take_passphrase(call, APPLY_PASSPHRASE, APPLY_PASSPHRASE_FILE, false, &passphrase,
                                &request.passphrase, &problem);
    if (!good) {
        code = tool_usage(call, &problem);
    } else {
        mxadm_client *client = run_open(call->options, 1);
        code = client != NULL ? send_document(call, &document, &request, client, planned)
                              : EXIT_REFUSED;
        mxadm_client_close(client);
    }
    document_close(&document);
    explicit_bzero(&passphrase, sizeof(passphrase));
    return code;
}

static enum exit_code run_plan(const struct tool_call *call)
{
    return run_document(call, true);
}

static enum exit_code run_apply(const struct tool_call *call)
{
    return run_document(call, call->options->call.validate_only != 0);
}

#define PASSPHRASE_OPTION "passphrase", NULL
#define PASSPHRASE_FILE_OPTION                                                                     \
    "passphrase-file", "FILE", "read the passphrase from a file's first line"

const struct tool tool_config_export = {
    .noun = "config",
    .verb = "export",
    .arguments = "",
    .text = "Writes the configuration, or one domain's part, as YAML. With a passphrase, private "
            "keys and other secrets are in it, sealed, and the file is for its owner alone; else a "
            "secret reads \"(hidden)\". A file is complete or not there.",
    .options = { [EXPORT_DOMAIN] = { "domain", "NAME", "only this domain's part" },
                 [EXPORT_OUTPUT] = { "output", "FILE", "write here; default: standard output" },
                 [EXPORT_PASSPHRASE] = { PASSPHRASE_OPTION,
                                         "ask for a passphrase, and include secrets" },
                 [EXPORT_PASSPHRASE_FILE] = { PASSPHRASE_FILE_OPTION } },
    .run = run_export,
};

const struct tool tool_config_plan = {
    .noun = "config",
    .verb = "plan",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .text =
        "Shows what 'mxadm config apply' would do with a document: a line for each record to add "
        "(+), change (~) or remove (-), then how many there are. Changes nothing. FILE \"-\" is "
        "standard input. What is wrong with the document is said as FILE:LINE:COLUMN, and the "
        "exit code is 1; it is 0 whether something would change or not.",
    .options = { [APPLY_PRUNE] = { "prune", NULL,
                                   "remove what the document does not name, within its scope" },
                 [APPLY_PASSPHRASE] = { PASSPHRASE_OPTION,
                                        "ask for the passphrase of its secrets" },
                 [APPLY_PASSPHRASE_FILE] = { PASSPHRASE_FILE_OPTION } },
    .run = run_plan,
};

const struct tool tool_config_apply = {
    .noun = "config",
    .verb = "apply",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .text =
        "Makes the configuration, within the scope that the document states, equal to a YAML "
        "document, all or nothing, and shows what was done as 'mxadm config plan' does. FILE \"-\" "
        "is standard input. A document that is larger than a message is staged on the server in "
        "parts first.",
    .options = { [APPLY_PRUNE] = { "prune", NULL,
                                   "remove what the document does not name, within its scope" },
                 [APPLY_PASSPHRASE] = { PASSPHRASE_OPTION,
                                        "ask for the passphrase of its secrets" },
                 [APPLY_PASSPHRASE_FILE] = { PASSPHRASE_FILE_OPTION } },
    .run = run_apply,
};
