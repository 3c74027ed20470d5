#include "stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "memory.h"
#include "value.h"

/* What a message has beside the document: the envelope, names, a passphrase. */
#define MESSAGE_ROOM ((uint64_t) 64 << 10)

/* Parts are no larger: each shows progress. */
#define PART_BYTES_MAX ((uint64_t) 1 << 20)

/* A server that has lost parts as often will not keep them. */
#define RESTARTS_MAX 100

/* A copy that can be read from any place, of what may be a pipe; it has no name. */
static FILE *copy_of(FILE *in)
{
    FILE *copy = tmpfile();
    char bytes[65536];
    size_t got;
    while (copy != NULL && (got = fread(bytes, 1, sizeof(bytes), in)) > 0) {
        if (fwrite(bytes, 1, got, copy) != got) {
            (void) fclose(copy);
            copy = NULL;
        }
    }
    if (copy != NULL && ferror(in) != 0) {
        (void) fclose(copy);
        copy = NULL;
    }
    return copy;
}

static FILE *open_seekable(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (file == NULL || (file != stdin && fseeko(file, 0, SEEK_END) == 0)) {
        return file;
    }
    FILE *copy = copy_of(file);
    if (file != stdin) {
        (void) fclose(file);
    }
    return copy;
}

/* Reads a part into a new text, without cutting a character. NULL: `problem` says why. */
static char *read_part(struct document *document, uint64_t offset, uint64_t max,
                       struct problem *problem)
{
    uint64_t left = document->size - offset;
    size_t want = (size_t) (left < max ? left : max);
    char *text = memory_get(want + 1);
    if (fseeko(document->file, (off_t) offset, SEEK_SET) != 0 ||
        fread(text, 1, want, document->file) != want) {
        problem_say(problem, "the document can't be read, or became shorter meanwhile");
        free(text);
        return NULL;
    }
    size_t len = want;
    if (len < left) {
        char next = '\0';
        next = (char) getc(document->file);
        while (len > 0 && ((unsigned char) next & 0xc0) == 0x80) {
            next = text[--len];
        }
    }
    text[len] = '\0';
    if (len == 0 || memchr(text, '\0', len) != NULL || !value_is_utf8(text)) {
        problem_say(problem, "the document is %s", want == 0 ? "empty" : "not UTF-8 text");
        free(text);
        return NULL;
    }
    return text;
}

static void make_name(char name[STAGE_NAME_MAX])
{
    uint8_t random[12];
    if (getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random)) {
        memset(random, 0, sizeof(random)); /* does not happen for so few */
    }
    int len = snprintf(name, STAGE_NAME_MAX, "mxadm-");
    for (size_t i = 0; i < sizeof(random); i++) {
        len += snprintf(name + len, STAGE_NAME_MAX - (size_t) len, "%02x", random[i]);
    }
}

bool document_open(struct document *document, const char *path, uint64_t message_bytes,
                   struct problem *problem)
{
    memset(document, 0, sizeof(*document));
    document->file = open_seekable(path);
    if (document->file == NULL) {
        return problem_say(problem, "can't read '%.200s': %s", path, strerror(errno));
    }
    off_t size = fseeko(document->file, 0, SEEK_END) == 0 ? ftello(document->file) : -1;
    if (size < 0) {
        return problem_say(problem, "can't read '%.200s': %s", path, strerror(errno));
    }
    document->size = (uint64_t) size;
    uint64_t most =
        message_bytes > 2 * MESSAGE_ROOM ? message_bytes - MESSAGE_ROOM : message_bytes / 2 + 1;
    document->part_bytes = most < PART_BYTES_MAX ? most : PART_BYTES_MAX;
    if (document->size <= most) {
        document->text = read_part(document, 0, most, problem);
        return document->text != NULL;
    }
    make_name(document->name);
    return true;
}

void document_close(struct document *document)
{
    if (document->file != NULL && document->file != stdin) {
        (void) fclose(document->file);
    }
    if (document->text != NULL) {
        explicit_bzero(document->text, strlen(document->text));
        free(document->text);
    }
}

/* How much of the document the server says it has; false: it says something else. */
static bool staged_bytes(const mxadm_result *result, uint64_t *bytes_out)
{
    const Mxadm__V1__Status *status = mxadm_result_status(result);
    if (mxadm_result_code(result) != MXADM_OUT_OF_RANGE || status == NULL ||
        status->error_info == NULL) {
        return false;
    }
    for (size_t i = 0; i < status->error_info->n_metadata; i++) {
        const Mxadm__V1__ErrorMetadata *data = status->error_info->metadata[i];
        if (strcmp(data->key, "staged_bytes") == 0) {
            return value_read_uint64(data->value, bytes_out);
        }
    }
    return false;
}

/* Sends the part at `*offset` and moves on to where the server wants the next one. */
static bool send_part(struct document *document, mxadm_client *client,
                      const struct options *options, uint64_t *offset, unsigned *restarts,
                      mxadm_result **result_out, struct problem *problem)
{
    Mxadm__V1__ConfigApplyRequest request = MXADM__V1__CONFIG_APPLY_REQUEST__INIT;
    char *text = read_part(document, *offset, document->part_bytes, problem);
    if (text == NULL) {
        return false;
    }
    mxadm_call_options call = MXADM_CALL_OPTIONS_INIT;
    call.timeout_ms = options->call.timeout_ms;
    request.stage = document->name;
    request.stage_offset = *offset;
    request.yaml = text;
    mxadm_result *result;
    bool good = mxadm_call(client, "ConfigApply", &request.base, &call, &result) == MXADM_OK;
    uint64_t staged;
    if (good) {
        *offset += strlen(text);
    } else if (staged_bytes(result, &staged) && staged <= document->size &&
               ++*restarts <= RESTARTS_MAX) {
        *offset = staged;
        good = true;
    }
    explicit_bzero(text, strlen(text));
    free(text);
    if (!good) {
        *result_out = result;
        return false;
    }
    mxadm_result_free(result);
    return true;
}

bool document_stage(struct document *document, mxadm_client *client, const struct options *options,
                    Mxadm__V1__ConfigApplyRequest *request, mxadm_result **result_out,
                    struct problem *problem)
{
    *result_out = NULL;
    if (document->text != NULL) {
        request->yaml = document->text;
        return true;
    }
    progress_begin(&document->progress, NULL, options->quiet);
    uint64_t offset = 0;
    unsigned restarts = 0;
    bool good = true;
    while (good && offset < document->size) {
        good = send_part(document, client, options, &offset, &restarts, result_out, problem);
        progress_show(&document->progress, offset, document->size, 0);
    }
    (void) progress_end(&document->progress);
    request->staged = document->name;
    return good;
}

void document_discard(struct document *document, mxadm_client *client)
{
    if (document->text != NULL || document->name[0] == '\0') {
        return;
    }
    Mxadm__V1__ConfigApplyRequest request = MXADM__V1__CONFIG_APPLY_REQUEST__INIT;
    request.stage = document->name;
    request.discard = true;
    (void) mxadm_call(client, "ConfigApply", &request.base, NULL, NULL); /* else it expires */
}
