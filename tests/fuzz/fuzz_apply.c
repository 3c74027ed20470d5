/* Fuzzes the reading of documents: any bytes are records or problems told in words. */
#include "base/arena.h"
#include "yaml/document.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_MAX ((size_t) 64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    size_t left;
    struct arena *arena;
    jmp_buf *escape;
};

static bool read_part(void *context, void *buffer, size_t size, size_t *len_out)
{
    struct input *input = context;

    *len_out = size < input->left ? size : input->left;
    memcpy(buffer, input->at, *len_out);
    input->at += *len_out;
    input->left -= *len_out;
    return true;
}

static bool take_head(void *context, const struct document_head *head)
{
    (void) context;
    return head->all || head->domains != NULL;
}

/* What was read is a message that can be packed. */
static bool take_entry(void *context, const struct document_entry *entry)
{
    struct input *input = context;
    size_t len = protobuf_c_message_get_packed_size(entry->record);
    uint8_t *packed = arena_alloc(input->arena, len + 1);

    if (protobuf_c_message_pack(entry->record, packed) != len || entry->name == NULL) {
        abort();
    }
    return true;
}

static char *open_secret(void *context, const struct document_entry *entry, const char *field,
                         struct mark at, const char *sealed)
{
    struct input *input = context;

    (void) entry;
    (void) field;
    (void) at;
    return arena_strdup(input->arena, sealed);
}

static void reset(void *context)
{
    struct input *input = context;

    arena_reset(input->arena);
    arena_set_escape(input->arena, input->escape);
}

static void read_document(struct parser *parser, struct input *input, const struct status *status)
{
    const struct document_handler handler = { take_head, take_entry, open_secret, reset, input };
    jmp_buf escape;

    if (setjmp(escape) != 0) {
        return; /* out of memory */
    }
    input->escape = &escape;
    arena_set_escape(input->arena, &escape);
    if (!document_read(parser, input->arena, &handler) && status->code == MX_OK) {
        abort(); /* stopped without a word */
    }
    if (status->code != MX_OK && (status->message == NULL || status->message[0] == '\0')) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *words = arena_create(MEMORY_MAX);
    struct input input = { data, size, arena_create(MEMORY_MAX), NULL };
    struct status status;
    struct parser *parser;

    if (words == NULL || input.arena == NULL) {
        abort();
    }
    status_init(&status, words);
    parser = parser_create(read_part, &input, &status);
    if (parser == NULL) {
        abort();
    }
    read_document(parser, &input, &status);
    parser_destroy(parser);
    arena_destroy(input.arena);
    arena_destroy(words);
    return 0;
}
