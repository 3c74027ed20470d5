/*
 * A call as a handler sees it.
 *
 * The dispatcher has unpacked and checked the request, identified and
 * authorised the caller, pinned a snapshot or opened a request on the draft. A
 * handler reads the request, asks and changes the model, and gives the answer.
 * It acquires nothing and has no cleanup: what it allocates is in the arena,
 * what it changes is undone if the call's status is not OK when it returns.
 *
 * An allocation that meets the arena's limit does not return; the dispatcher
 * answers RESOURCE_EXHAUSTED.
 */
#pragma once

#include "auth/principal.h"
#include "keys/key.h"
#include "keys/vault.h"
#include "model/record.h"

#include <protobuf-c/protobuf-c.h>

struct rpc_call;

enum rpc_access {
    RPC_READ,      /* answered from a snapshot, in the transport's callback */
    RPC_READ_SLOW, /* the same on a thread that may take its time (slow.c) */
    RPC_CHANGE,    /* done by the writer */
};

/* One operation: a row of a handler's table. `name` as in the service of its descriptor. */
struct rpc_row {
    const char *name;
    void (*handle)(struct rpc_call *call);
    enum rpc_access access;
    enum role role;
    bool key_reader; /* needs the right to see private keys, whatever the role */
    bool secret;     /* request or answer hold a secret: wiped after sending; a read is audited */
    /*
     * Of a change; NULL: nothing. What takes long and needs no draft, done before the change has
     * its turn, on a thread that may take its time: model.view is the newest snapshot, there is no
     * draft. What it finds it leaves with call_keep(); what it reports ends the call.
     */
    void (*prepare)(struct rpc_call *call);
    /*
     * Of a change; NULL: none. How many private keys of which kind a request will want, judged by
     * the request alone, so that a batch can have them all before the writer is entered.
     */
    unsigned (*keys)(const void *request, enum key_kind *kind_out);
};

/* One service's operations; rows end with a NULL name. */
struct rpc_table {
    const ProtobufCServiceDescriptor *service;
    const struct rpc_row *rows;
};

/* The row of Batch, which is a part of the dispatcher since it dispatches. */
extern const struct rpc_row batch_rows[];

/* --------------------------------------------------------------- what is asked */

/* The unpacked request message of the operation; its type is the operation's. */
const void *call_request(const struct rpc_call *call);
struct model *call_model(struct rpc_call *call);
struct status *call_status(struct rpc_call *call);
struct arena *call_arena(struct rpc_call *call);
/* A second arena beside it, empty after every call of this function, for who works on one record
 * after the other and must not keep them all. Ends with the call; escapes as the first. */
struct arena *call_scratch(struct rpc_call *call);
const struct settings *call_settings(const struct rpc_call *call);
const struct principal *call_principal(const struct rpc_call *call);

/* Revision that the view of call_model() shows: of the snapshot, or of the draft with all that was
 * kept in it before this call. */
uint64_t call_revision(const struct rpc_call *call);

/* Reports PERMISSION_DENIED unless the caller's scope covers the domain (a name). */
bool call_covers(struct rpc_call *call, const char *domain);

/* ---------------------------------------------------------------- the answer */

/* Adds a response message of the operation (or a part of it). */
void call_answer(struct rpc_call *call, const ProtobufCMessage *response);
/* Adds a field that is a packed message; bytes borrowed until the call ends: from the view, or
 * from the arena. */
void call_answer_field(struct rpc_call *call, unsigned number, struct slice packed);

/* --------------------------------------------------------------- preparing */

/* What prepare() found, for the handler; destroyed with the call, or when it is prepared anew. */
void call_keep(struct rpc_call *call, void *found, void (*destroy)(void *found));
void *call_kept(const struct rpc_call *call);

/*
 * For a handler that finds the configuration moved on since prepare() (call_revision() differs):
 * it returns at once, the call is prepared anew and comes again. After a few times it is prepared
 * by the writer itself, so that it gets its turn under whatever load; then this is not needed.
 */
void call_prepare_again(struct rpc_call *call);
/* For a prepare() that finds nothing to change and has answered: the handler is not called, no
 * request id is remembered, and nothing waits for the disk. */
void call_end(struct rpc_call *call);
bool call_validate_only(const struct rpc_call *call);

/* For who works long, to be asked every few thousandths of a second: whether the call's time is
 * over or the server is stopping, so that nobody gets what comes of it; then reported. */
bool call_is_over(struct rpc_call *call);

/* Documents that come in parts. */
struct stage;
struct stage *call_stage(struct rpc_call *call);

/* -------------------------------------------------------------------- keys */

/*
 * Makes sure that `count` further keys of a kind are at hand, to be had from call_take_key().
 * False: they are not, the handler returns; the dispatcher waits for keys outside of any lock and
 * then calls the handler again from the start. To be asked after all cheap checks, once for each
 * kind; who needs several kinds asks for all before returning. With `validate_only` it is true and
 * call_take_key() gives NULL.
 */
bool call_want_keys(struct rpc_call *call, enum key_kind kind, unsigned count);
/* Still the call's: destroyed with it, or given back if the call is refused. */
const struct key *call_take_key(struct rpc_call *call, enum key_kind kind);

struct vault *call_vault(struct rpc_call *call);
/* Writes the key's file, if there is a key directory, after the commit and before the answer.
 * `name` as keydir_file_name(). */
void call_write_key_file(struct rpc_call *call, const char *name, const struct key *key,
                         const char *selector_ascii, const char *domain_ascii);
/* Moves the file to old/, likewise. */
void call_retire_key_file(struct rpc_call *call, const char *name);

/* ------------------------------------------------------------------- lists */

/* Where a page of a list begins and how long it may be. */
struct call_page {
    const struct store_view *view; /* of the list's snapshot */
    struct slice after;            /* continue behind this key; len 0: the first page */
    size_t size;                   /* largest number of records */
};

/* A page takes no more records than fit this many bytes (but one at least), so that an answer of a
 * list stays well below what a client accepts. */
#define CALL_PAGE_BYTES_MAX ((size_t) 1024 * 1024)
/* Keys that one call walks at most when it filters; then the page ends, maybe empty. */
#define CALL_PAGE_STEPS_MAX 20000

/* Reads page_size and page_token; false: reported. The model's view becomes the list's snapshot. */
bool call_page_begin(struct rpc_call *call, uint32_t page_size, const char *page_token,
                     struct call_page *page_out);
/* The token for the page that follows `last` (the last key looked at). */
const char *call_page_token(struct rpc_call *call, struct slice last);

/* ----------------------------------------------------------------- history */

/* A change of the history; `bytes` as in store/change.h, borrowed until the next is asked for. */
struct call_change {
    uint64_t revision;
    struct slice bytes;
};

/* Begins to read the changes after a revision, up to call_revision(). False: reported
 * (REVISION_UNKNOWN, HISTORY_TRIMMED). */
bool call_history(struct rpc_call *call, uint64_t after);
/* The next one, in order, without a gap. False: that was the last, or the handler must return. */
bool call_history_next(struct rpc_call *call, struct call_change *change_out);
/* Whether the handler has to return at once: something was reported; or what it asked for is not
 * in memory, and it is run again from the start by a thread that may read it from the disk. */
bool call_must_return(const struct rpc_call *call);

/*
 * For a handler that found nothing up to revision `after`, which is call_revision(): true, and it
 * returns at once, to be run again from the start when there is a newer one, or when the caller has
 * waited long enough. False: it has; the handler answers with what there is.
 */
bool call_wait_for_changes(struct rpc_call *call, uint64_t after);
/* Up to where the runs before this one have looked; 0: this is the first. */
uint64_t call_waited_after(const struct rpc_call *call);

/* ------------------------------------------------------------------ server */

struct call_server_info {
    const char *version;
    int64_t start_us;
    uint64_t revision;
    struct position position;
    uint64_t oldest_revision; /* the first that changes can be asked after */
    struct key_pool *pool;
    size_t message_bytes;
    struct slice descriptor_set;
    bool serving;
};
void call_server(struct rpc_call *call, struct call_server_info *info_out);
