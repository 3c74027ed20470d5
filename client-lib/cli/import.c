/*
 * `mxadm import`: a file of domains, accounts, addresses or aliases, in batches.
 *
 * Batches are on their way several at a time; the file is read on when one has
 * come back, so that memory stays bounded. What a batch is:
 *
 * - lines that are one operation each: independent ones, up to --batch;
 * - a line that is two, an Add and a Save: both or neither, alone.
 *
 * Lines of another kind wait until all before them are done: an alias may need
 * the addresses above it.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "import_line.h"
#include "json.h"
#include "memory.h"
#include "progress.h"
#include "tool.h"

enum { KIND, FAILED, BATCH };

#define BATCH_LINES_DEFAULT 256
#define BATCH_LINES_MAX     1000 /* the daemon's (admin.proto, BatchRequest.calls) */

/* A batch is sent when it has this many bytes: well below what a message may have. */
#define BATCH_BYTES_MAX ((size_t) 1 << 20)

/* As many batches are under way, each on a connection of its own. */
#define IN_FLIGHT 4

/* Longer than the daemon takes to restart; unless --timeout says otherwise. */
#define TIMEOUT_MS 60000

struct batch {
    STAILQ_ENTRY(batch) link;
    struct import *import;
    struct import_line **lines;
    size_t line_count;
    Mxadm__V1__BatchRequest request;
    size_t bytes;
    mxadm_result *result;
};

struct import {
    const struct tool_call *call;
    mxadm_client *client;
    struct import_source source;
    size_t batch_lines;
    struct batch *filling;          /* NULL: none */
    const struct import_kind *kind; /* of the lines before */
    struct progress progress;
    const char *failed_path;
    char *own_failed_path;
    FILE *failed; /* NULL: no line has failed */
    bool failed_is_lost;
    uint64_t done_count;
    uint64_t failed_count;
    bool stopped;        /* the server is gone: no further batches */
    enum exit_code code; /* what is to be returned */

    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t back_cond;
    STAILQ_HEAD(, batch) back; /* whose result is there */
    size_t under_way;
};

/* ------------------------------------------------------------- failed lines */

static void note_failed(struct import *import, const struct import_line *line)
{
    bool first = import->failed == NULL;
    import->failed_count++;
    if (import->failed_is_lost) {
        return;
    }
    if (first && (import->failed = fopen(import->failed_path, "we")) == NULL) {
        (void) fprintf(stderr, "mxadm: can't write '%s': %s\n", import->failed_path,
                       strerror(errno));
        import->failed_is_lost = true;
        import->stopped = true;
        import->code = EXIT_REFUSED;
        return;
    }
    import_line_write(import->failed, &import->source, line, first);
}

/* What the daemon says of one call of a batch names it: the line does that here. Allocated. */
static char *plain(const char *message)
{
    char *text = memory_copy(message);
    for (char *at = text; (at = strstr(at, "calls[")) != NULL;) {
        char *end = at + strlen("calls[");
        end += strspn(end, "0123456789");
        if (strncmp(end, "].", 2) == 0) {
            end += 2;
        } else if (strncmp(end, "] (", 3) == 0 && strstr(end, "): ") != NULL) {
            end = strstr(end, "): ") + 3;
        } else {
            at = end;
            continue;
        }
        memmove(at, end, strlen(end) + 1);
    }
    return text;
}

static char *reason_of(const char *message, const char *reason)
{
    char *words = plain(message);
    char *text = memory_print("%s (%s)", words, reason);
    free(words);
    return text;
}

/* ------------------------------------------------------------------ results */

static const Mxadm__V1__Status *status_at(const Mxadm__V1__BatchResponse *response, size_t index)
{
    return response->results[index]->status;
}

static void judge_line(struct import *import, struct import_line *line,
                       const Mxadm__V1__Status *status)
{
    if (status == NULL || status->code == MXADM__V1__CODE__OK) {
        import->done_count++;
        return;
    }
    line->reason =
        reason_of(status->message, status->error_info != NULL ? status->error_info->reason : "");
    note_failed(import, line);
}

/* The batch as a whole failed. If nobody knows how it ended, or nobody answers, it makes no sense
 * to go on. */
static void judge_failure(struct import *import, struct batch *batch)
{
    const mxadm_result *result = batch->result;
    mxadm_code code = mxadm_result_code(result);
    bool unsure = mxadm_result_may_have_happened(result);
    if (unsure || code == MXADM_UNAVAILABLE || code == MXADM_DEADLINE_EXCEEDED) {
        if (!import->stopped) {
            import->code = run_fail(import->call->options, result);
        }
        import->code = EXIT_UNSURE;
        import->stopped = true;
    }
    char *reason = reason_of(mxadm_result_message(result), mxadm_result_reason(result));
    for (size_t i = 0; i < batch->line_count; i++) {
        batch->lines[i]->reason =
            memory_print("%s%s", unsure ? "it may be there already: " : "", reason);
        note_failed(import, batch->lines[i]);
    }
    free(reason);
}

static void judge(struct import *import, struct batch *batch)
{
    const Mxadm__V1__BatchResponse *response =
        (const Mxadm__V1__BatchResponse *) mxadm_result_response(batch->result);
    if (response == NULL) {
        judge_failure(import, batch);
        return;
    }
    if (batch->request.atomic) { /* one line, all of it */
        judge_line(import, batch->lines[0], NULL);
        return;
    }
    for (size_t i = 0; i < batch->line_count; i++) {
        if (i < response->n_results) {
            judge_line(import, batch->lines[i], status_at(response, i));
        } else {
            batch->lines[i]->reason = memory_copy("the server did not say how it ended");
            note_failed(import, batch->lines[i]);
        }
    }
}

/* ------------------------------------------------------------------ batches */

static struct batch *batch_new(struct import *import)
{
    struct batch *batch = memory_get(sizeof(*batch));
    batch->import = import;
    mxadm__v1__batch_request__init(&batch->request);
    batch->lines = memory_get(import->batch_lines * sizeof(struct import_line *));
    batch->request.calls = memory_get(2 * import->batch_lines * sizeof(Mxadm__V1__BatchCall *));
    return batch;
}

static void batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->line_count; i++) {
        import_line_free(batch->lines[i]);
    }
    for (size_t i = 0; i < batch->request.n_calls; i++) {
        free(batch->request.calls[i]->message.data);
        free(batch->request.calls[i]->method);
        free(batch->request.calls[i]);
    }
    mxadm_result_free(batch->result);
    free(batch->request.calls);
    free(batch->lines);
    free(batch);
}

static void add_call(struct batch *batch, const char *method, const ProtobufCMessage *message)
{
    Mxadm__V1__BatchCall *call = memory_get(sizeof(*call));
    mxadm__v1__batch_call__init(call);
    call->method = memory_print("mxadm.v1.Admin/%s", method);
    call->message.len = protobuf_c_message_get_packed_size(message);
    call->message.data = memory_get(call->message.len);
    protobuf_c_message_pack(message, call->message.data);
    batch->bytes += call->message.len;
    batch->request.calls[batch->request.n_calls++] = call;
}

static void add_line(struct batch *batch, struct import_line *line)
{
    batch->lines[batch->line_count++] = line;
    add_call(batch, line->kind->add, line->add);
    if (line->save != NULL) {
        add_call(batch, line->kind->save, line->save);
        batch->request.atomic = true;
    }
}

static void come_back(mxadm_result *result, void *payload)
{
    struct batch *batch = payload;
    struct import *import = batch->import;
    batch->result = result;
    pthread_mutex_lock(&import->lock);
    STAILQ_INSERT_TAIL(&import->back, batch, link);
    pthread_cond_signal(&import->back_cond);
    pthread_mutex_unlock(&import->lock);
}

static void show_progress(struct import *import)
{
    progress_show(&import->progress, import->source.bytes, import->source.size,
                  import->done_count + import->failed_count);
}

/* Waits until at most `count` batches are under way, and takes the results of the others. */
static void await(struct import *import, size_t count)
{
    pthread_mutex_lock(&import->lock);
    while (import->under_way > count) {
        while (STAILQ_EMPTY(&import->back)) {
            pthread_cond_wait(&import->back_cond, &import->lock);
        }
        struct batch *batch = STAILQ_FIRST(&import->back);
        STAILQ_REMOVE_HEAD(&import->back, link);
        import->under_way--;
        pthread_mutex_unlock(&import->lock);
        judge(import, batch);
        batch_free(batch);
        show_progress(import);
        pthread_mutex_lock(&import->lock);
    }
    pthread_mutex_unlock(&import->lock);
}

static void fail_unsent(struct import *import, struct batch *batch)
{
    for (size_t i = 0; i < batch->line_count; i++) {
        batch->lines[i]->reason = memory_copy("not sent: the import was given up before");
        note_failed(import, batch->lines[i]);
    }
    batch_free(batch);
}

/* Sends what is filled. */
static void flush(struct import *import)
{
    struct batch *batch = import->filling;
    if (batch == NULL) {
        return;
    }
    import->filling = NULL;
    await(import, IN_FLIGHT - 1);
    if (import->stopped) {
        fail_unsent(import, batch);
        return;
    }
    mxadm_call_options options = import->call->options->call;
    options.timeout_ms = options.timeout_ms != 0 ? options.timeout_ms : TIMEOUT_MS;
    pthread_mutex_lock(&import->lock);
    import->under_way++;
    pthread_mutex_unlock(&import->lock);
    if (mxadm_call_async(import->client, "Batch", &batch->request.base, &options, come_back,
                         batch) != MXADM_OK) {
        pthread_mutex_lock(&import->lock);
        import->under_way--;
        pthread_mutex_unlock(&import->lock);
        (void) fputs("mxadm: the batch can't be sent: out of memory, or options that can't be\n",
                     stderr);
        import->stopped = true;
        import->code = EXIT_REFUSED;
        fail_unsent(import, batch);
    }
}

static void take_line(struct import *import, struct import_line *line)
{
    if (line->reason != NULL) {
        note_failed(import, line);
        import_line_free(line);
        return;
    }
    bool alone = line->save != NULL;
    bool other = import->kind != NULL && import->kind != line->kind;
    import->kind = line->kind;
    if (alone || other) {
        flush(import);
    }
    if (other) {
        await(import, 0);
    }
    if (import->filling == NULL) {
        import->filling = batch_new(import);
    }
    add_line(import->filling, line);
    if (alone || import->filling->line_count == import->batch_lines ||
        import->filling->bytes >= BATCH_BYTES_MAX) {
        flush(import);
    }
}

/* --------------------------------------------------------------------- tool */

static bool read_batch_lines(const struct tool_call *call, size_t *lines_out,
                             struct problem *problem)
{
    uint64_t lines = BATCH_LINES_DEFAULT;
    if (call->values[BATCH] != NULL && !tool_number(call, BATCH, &lines, problem)) {
        return false;
    }
    if (lines < 1 || lines > BATCH_LINES_MAX) {
        return problem_say(problem, "--batch: %" PRIu64 " is not between 1 and %d", lines,
                           BATCH_LINES_MAX);
    }
    *lines_out = (size_t) lines;
    return true;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat one;
    struct stat other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static bool read_call(struct import *import, struct problem *problem)
{
    const struct tool_call *call = import->call;
    const char *path = call->arguments[0];
    const struct import_kind *kind = NULL;
    if (call->values[KIND] != NULL && (kind = import_kind_find(call->values[KIND])) == NULL) {
        return problem_say(problem,
                           "--kind: '%.60s' is none of: domains, accounts, addresses, aliases",
                           call->values[KIND]);
    }
    import->failed_path = call->values[FAILED];
    if (import->failed_path == NULL) {
        import->own_failed_path =
            memory_print("%s.failed", strcmp(path, "-") == 0 ? "import" : path);
        import->failed_path = import->own_failed_path;
    }
    if (is_same_file(import->failed_path, path)) {
        return problem_say(problem, "--failed: it is the file that is read");
    }
    return read_batch_lines(call, &import->batch_lines, problem) &&
           import_source_open(&import->source, path, kind, problem);
}

static void report(struct import *import, int64_t elapsed_ms)
{
    const struct options *options = import->call->options;
    bool written = import->failed != NULL;
    if (options->json) {
        json_t *json = json_pack("{s:I, s:I}", "imported", (json_int_t) import->done_count,
                                 "failed", (json_int_t) import->failed_count);
        if (written) {
            json_object_set_new(json, "failedFile", json_string(import->failed_path));
        }
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        (void) fputc('\n', stdout);
        json_decref(json);
    } else if (!options->quiet) {
        (void) printf("%" PRIu64 " %s, %" PRIu64 " failed (%.0f lines/s)\n", import->done_count,
                      options->call.validate_only != 0 ? "would be imported" : "imported",
                      import->failed_count,
                      (double) (import->done_count + import->failed_count) * 1000 /
                          (double) elapsed_ms);
    }
    if (written) {
        (void) fprintf(stderr, "mxadm: the lines that failed are in '%s', with the reason\n",
                       import->failed_path);
    }
}

static void import_all(struct import *import)
{
    progress_begin(&import->progress, "lines", import->call->options->quiet);
    struct import_line *line;
    while (!import->failed_is_lost && (line = import_source_next(&import->source)) != NULL) {
        take_line(import, line);
        show_progress(import);
    }
    flush(import);
    await(import, 0);
    int64_t elapsed_ms = progress_end(&import->progress);
    if (ferror(import->source.file) != 0) {
        (void) fprintf(stderr, "mxadm: can't read '%s': %s\n", import->call->arguments[0],
                       strerror(errno));
        import->code = EXIT_REFUSED;
    }
    bool failed_good = import->failed == NULL || ferror(import->failed) == 0;
    if (import->failed != NULL && fclose(import->failed) != 0) {
        failed_good = false;
    }
    if (!failed_good) {
        (void) fprintf(stderr, "mxadm: can't write '%s'\n", import->failed_path);
        import->code = EXIT_REFUSED;
    }
    report(import, elapsed_ms);
    if (import->failed_count > 0 && import->code == EXIT_DONE) {
        import->code = EXIT_REFUSED;
    }
}

/* The file is not touched when nobody answers: a batch would wait long for the server. */
static enum exit_code begin(struct import *import)
{
    struct options patient = *import->call->options;
    enum exit_code code = tool_reach(import->call->options, NULL);
    if (code != EXIT_DONE) {
        return code;
    }
    if (patient.attempts == OPTIONS_ATTEMPTS) {
        patient.attempts = 0; /* as often as time allows: a restart is survived */
    }
    import->client = run_open(&patient, IN_FLIGHT);
    if (import->client == NULL) {
        return EXIT_REFUSED;
    }
    import_all(import);
    mxadm_client_close(import->client);
    return import->code;
}

static enum exit_code run(const struct tool_call *call)
{
    struct import import = { .call = call,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .back_cond = PTHREAD_COND_INITIALIZER,
                             .back = STAILQ_HEAD_INITIALIZER(import.back) };
    struct problem problem;
    enum exit_code code = EXIT_USAGE;
    if (read_call(&import, &problem)) {
        code = begin(&import);
    } else {
        (void) tool_usage(call, &problem);
    }
    import_source_close(&import.source);
    free(import.own_failed_path);
    return code;
}

const struct tool tool_import = {
    .noun = "import",
    .verb = "",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .text =
        "Adds domains, accounts, addresses or aliases from a file. FILE (\"-\": standard input) "
        "is CSV (RFC 4180) with a header, or JSON lines, one object a line. Columns and keys are "
        "the fields of the operation that adds: 'mxadm account add --help'; further fields of "
        "the record, such as full_name, are saved with it, both or neither. Elements of a list, "
        "such as members, are separated by blanks or semicolons; an empty value is none. What "
        "the lines are says --kind, or the key \"kind\" (domain, account, address, alias). Lines "
        "are sent in batches of which several are under way; lines of another kind wait for "
        "those before; of two lines of one kind that want the same, either may get it. A line that "
        "fails keeps no other from being imported: it is written to "
        "another file with the reason, which can be mended and imported as it is. Exit code 1: "
        "lines failed; 3: the server went away, and what was not sent is among the failed.",
    .options = { [KIND] = { "kind", "KIND", "domains, accounts, addresses or aliases" },
                 [FAILED] = { "failed", "FILE", "for lines that failed; default FILE.failed" },
                 [BATCH] = { "batch", "N", "lines sent at once, up to 1000; default 256" } },
    .run = run,
};
