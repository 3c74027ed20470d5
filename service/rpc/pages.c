/*
 * Lists over several calls: all pages come from one snapshot.
 *
 * A page token is the base64url of
 *   8 bytes   this run of the daemon (random)
 *   8 bytes   digest of operation, principal and filters
 *   varint    revision of the snapshot
 *   the rest  the last key that was looked at
 * It is no secret and grants nothing: a forged one is another place in a list
 * that the caller may read anyway. The snapshots that tokens speak of stay
 * pinned for ten minutes after their last use; one pin serves all lists of its
 * revision.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "rpc/internal.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TOKEN_KEEP_MS     ((int64_t) 10 * 60 * 1000)
#define PAGE_SIZE_DEFAULT 100
#define PAGE_SIZE_MAX     1000
#define RUN_SIZE          8
#define FILTER_SIZE       8
#define TOKEN_HEAD        (RUN_SIZE + FILTER_SIZE)
#define TOKEN_BYTES_MAX   (TOKEN_HEAD + VARINT_SIZE_MAX + STORE_KEY_MAX)

struct pin {
    struct store_snapshot *snapshot; /* NULL: free */
    int64_t used_ms;                 /* for how long it is kept */
    uint64_t turn;                   /* of its last use; which goes when there are too many */
};

struct pages {
    struct store *store;
    uint8_t run[RUN_SIZE];
    pthread_mutex_t lock;
    struct pin *pins; /* protected by lock */
    uint64_t turns;   /* uses so far; protected by lock */
    unsigned limit;
};

struct pages *pages_create(struct store *store, unsigned limit)
{
    struct pages *pages = calloc(1, sizeof(*pages));

    if (pages == NULL) {
        return NULL;
    }
    pages->pins = calloc(limit, sizeof(*pages->pins));
    if (pages->pins == NULL || getrandom(pages->run, RUN_SIZE, 0) != RUN_SIZE) {
        free(pages->pins);
        free(pages);
        return NULL;
    }
    pages->store = store;
    pages->limit = limit;
    (void) pthread_mutex_init(&pages->lock, NULL);
    return pages;
}

static void unpin(struct pages *pages, struct pin *pin)
{
    store_release(pages->store, pin->snapshot);
    pin->snapshot = NULL;
}

void pages_destroy(struct pages *pages)
{
    if (pages == NULL) {
        return;
    }
    for (unsigned i = 0; i < pages->limit; i++) {
        if (pages->pins[i].snapshot != NULL) {
            unpin(pages, &pages->pins[i]);
        }
    }
    (void) pthread_mutex_destroy(&pages->lock);
    free(pages->pins);
    free(pages);
}

void pages_expire(struct pages *pages)
{
    int64_t before = clock_mono_ms() - TOKEN_KEEP_MS;

    (void) pthread_mutex_lock(&pages->lock);
    for (unsigned i = 0; i < pages->limit; i++) {
        if (pages->pins[i].snapshot != NULL && pages->pins[i].used_ms < before) {
            unpin(pages, &pages->pins[i]);
        }
    }
    (void) pthread_mutex_unlock(&pages->lock);
}

static void touch(struct pages *pages, struct pin *pin)
{
    pin->used_ms = clock_mono_ms();
    pin->turn = ++pages->turns; /* many uses fall into one millisecond */
}

/* The pin of a revision, or a free place, or the one that was unused longest. */
static struct pin *find_pin(struct pages *pages, uint64_t revision)
{
    struct pin *place = &pages->pins[0];

    for (unsigned i = 0; i < pages->limit; i++) {
        struct pin *pin = &pages->pins[i];

        if (pin->snapshot != NULL && store_snapshot_revision(pin->snapshot) == revision) {
            return pin;
        }
        if (place->snapshot != NULL && (pin->snapshot == NULL || pin->turn < place->turn)) {
            place = pin;
        }
    }
    return place;
}

static void pin_snapshot(struct pages *pages, struct store_snapshot *snapshot)
{
    struct pin *pin;

    (void) pthread_mutex_lock(&pages->lock);
    pin = find_pin(pages, store_snapshot_revision(snapshot));
    if (pin->snapshot != snapshot) {
        if (pin->snapshot != NULL) {
            unpin(pages, pin);
        }
        pin->snapshot = store_snapshot_pin(snapshot);
    }
    touch(pages, pin);
    (void) pthread_mutex_unlock(&pages->lock);
}

static struct store_snapshot *pinned(struct pages *pages, uint64_t revision)
{
    struct store_snapshot *snapshot = NULL;
    struct pin *pin;

    (void) pthread_mutex_lock(&pages->lock);
    pin = find_pin(pages, revision);
    if (pin->snapshot != NULL && store_snapshot_revision(pin->snapshot) == revision) {
        touch(pages, pin);
        snapshot = store_snapshot_pin(pin->snapshot);
    }
    (void) pthread_mutex_unlock(&pages->lock);
    return snapshot;
}

/* ------------------------------------------------------------------ tokens */

/* Makes a field of a request what it is when it is absent. */
static void clear_field(ProtobufCMessage *request, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);

    if (field == NULL) {
        return;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        *(char **) (void *) ((char *) request + field->offset) = (char *) protobuf_c_empty_string;
    } else {
        *(uint32_t *) (void *) ((char *) request + field->offset) = 0;
    }
}

/* Digest of what a token belongs to: the operation, who asks, and all fields but those of paging.
 * A passphrase is none of it: a token must not be a way to find out whether one is right. */
static void filter_digest(struct rpc_call *call, uint8_t out[DIGEST_SIZE])
{
    const ProtobufCMessageDescriptor *type = call->request->descriptor;
    ProtobufCMessage *bare = arena_memdup(call->arena, call->request, type->sizeof_message);
    uint8_t *packed;

    clear_field(bare, "page_size");
    clear_field(bare, "page_token");
    clear_field(bare, "passphrase");
    packed = arena_alloc(call->arena, protobuf_c_message_get_packed_size(bare) + 1);
    digest_pieces(
        (struct digest_piece[]){ { call->method, strlen(call->method) + 1 },
                                 { call->principal->name, strlen(call->principal->name) + 1 },
                                 { packed, protobuf_c_message_pack(bare, packed) } },
        3, out);
}

static void exchange(char *text, char from, char to)
{
    for (char *c = strchr(text, from); c != NULL; c = strchr(c, from)) {
        *c = to;
    }
}

const char *call_page_token(struct rpc_call *call, struct slice last)
{
    struct pages *pages = call->rpc->pages;
    uint8_t *bytes = arena_alloc(call->arena, TOKEN_HEAD + VARINT_SIZE_MAX + last.len);
    uint8_t filter[DIGEST_SIZE];
    uint8_t *at = bytes + TOKEN_HEAD;
    char *text;

    filter_digest(call, filter);
    memcpy(bytes, pages->run, RUN_SIZE);
    memcpy(bytes + RUN_SIZE, filter, FILTER_SIZE);
    at = varint_put(at, store_snapshot_revision(call->snapshot));
    memcpy(at, last.data, last.len);
    at += last.len;
    text = arena_alloc(call->arena, (size_t) (at - bytes) * 4 / 3 + 8);
    (void) EVP_EncodeBlock((unsigned char *) text, bytes, (int) (at - bytes));
    exchange(text, '+', '-');
    exchange(text, '/', '_');
    pin_snapshot(pages, call->snapshot);
    return text;
}

/* The token's bytes; 0: it is none. */
static size_t decode(struct rpc_call *call, const char *token, uint8_t *bytes)
{
    size_t len = strlen(token);
    char *text;
    int decoded;

    if (len % 4 != 0 || len / 4 * 3 > TOKEN_BYTES_MAX) {
        return 0;
    }
    text = arena_strdup(call->arena, token);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '+' || *c == '/') {
            return 0;
        }
    }
    exchange(text, '-', '+');
    exchange(text, '_', '/');
    decoded = EVP_DecodeBlock(bytes, (const unsigned char *) text, (int) len);
    if (decoded < 0) {
        return 0;
    }
    for (size_t i = len; i > 0 && text[i - 1] == '='; i--) {
        decoded--; /* EVP_DecodeBlock counts the padding */
    }
    return decoded > TOKEN_HEAD ? (size_t) decoded : 0;
}

static bool expired(struct rpc_call *call)
{
    status_fail(&call->status, MX_OUT_OF_RANGE, "PAGE_TOKEN_EXPIRED",
                "the page token has expired; list again from the first page");
    return false;
}

static bool read_token(struct rpc_call *call, const char *token, struct call_page *page)
{
    struct pages *pages = call->rpc->pages;
    uint8_t *bytes = arena_alloc(call->arena, TOKEN_BYTES_MAX + 4);
    size_t len = decode(call, token, bytes);
    const uint8_t *cursor = bytes + TOKEN_HEAD;
    struct store_snapshot *snapshot;
    uint8_t filter[DIGEST_SIZE];
    uint64_t revision;

    filter_digest(call, filter);
    if (len == 0 || !varint_get(&cursor, bytes + len, &revision) || cursor == bytes + len) {
        status_field(&call->status, "page_token", "is not a page token");
        return false;
    }
    if (memcmp(bytes, pages->run, RUN_SIZE) != 0) {
        return expired(call);
    }
    if (memcmp(bytes + RUN_SIZE, filter, FILTER_SIZE) != 0) {
        status_field(&call->status, "page_token", "belongs to a list with other fields");
        return false;
    }
    snapshot = pinned(pages, revision);
    if (snapshot == NULL) {
        return expired(call);
    }
    store_release(pages->store, call->snapshot);
    call->snapshot = snapshot;
    call->model.view = store_snapshot_view(snapshot);
    page->after = slice_of(cursor, (size_t) (bytes + len - cursor));
    return true;
}

bool call_page_begin(struct rpc_call *call, uint32_t page_size, const char *page_token,
                     struct call_page *page_out)
{
    memset(page_out, 0, sizeof(*page_out));
    page_out->size = page_size == 0 ? PAGE_SIZE_DEFAULT : page_size;
    if (page_out->size > PAGE_SIZE_MAX) {
        page_out->size = PAGE_SIZE_MAX;
    }
    if (page_token[0] != '\0' && !read_token(call, page_token, page_out)) {
        return false;
    }
    page_out->view = call->model.view;
    return true;
}
