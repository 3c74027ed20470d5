/*
 * What the files of rpc/ share: the call, the dispatcher, and who does what.
 * Included by nobody else.
 */
#pragma once

#include "base/arena.h"
#include "base/digest.h"
#include "base/status.h"
#include "keys/keydir.h"
#include "keys/pool.h"
#include "mxadm/v1/rpc.pb-c.h"
#include "rpc/call.h"
#include "rpc/rpc.h"
#include "store/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

/* What one call may allocate: a full batch of the largest message, unpacked, with its answer. */
#define CALL_MEMORY_MAX ((size_t) 64 * 1024 * 1024)
/* Calls kept for reuse; more are freed. Twice the default number of contexts. */
#define CALLS_KEPT_MAX  512
#define REQUEST_ID_SIZE 16
/* "uid:4294967295", 0x00, the client's 16 bytes */
#define CALL_ID_MAX       64
#define CALL_FALLBACK_MAX 128
#define TIMEOUT_MAX_MS    ((int64_t) 3600 * 1000)
/* How long a client is asked to wait before it tries again, when nothing better is known. */
#define RETRY_QUEUE_MS 50
#define RETRY_DRAIN_MS 1000
#define RETRY_WAIT_MS  1000
/* First block of a call that waits: a request with its filters. */
#define CALL_SMALL ((size_t) 1024)

/* A run of the answer's message. */
struct segment {
    struct segment *next;
    const uint8_t *data;
    size_t len;
};

/* One of a batch's operations. */
struct batch_part {
    const struct rpc_row *row;
    const char *method;
    ProtobufCMessage *request; /* NULL: `status` says why it can't be done */
    struct status status;      /* how it ended */
};

struct batch {
    bool atomic;
    bool secret; /* a part's request or answer may hold one */
    size_t count;
    struct batch_part *parts;
    struct rpc_call *stand_in; /* the call that a part's handler sees; one after the other */
};

/* The keys of one kind that a call has at hand. */
struct key_list {
    struct key **at; /* in the arena */
    unsigned room;
    unsigned count;
    unsigned used; /* the first so many, by this run of the handler */
    unsigned want; /* more than `count`: the handler left to wait for them */
};

/* How many of each kind were used at some point of a run. */
struct key_marks {
    unsigned used[KEY_KINDS];
};

/* Changes taken at a time. */
#define HISTORY_BATCH 32

/* Where a call is in the history (history.c). */
struct history {
    struct recent_change *batch[HISTORY_BATCH]; /* pinned from `given` on */
    size_t count;
    size_t given;
    struct recent_change *current; /* the handler's, until it asks for the next; pinned */
    uint64_t after;                /* the revision of the one given last */
    size_t bytes;                  /* given so far */
    size_t step_bytes;
    bool no_memory;
};

struct rpc_call {
    struct rpc *rpc;
    struct rpc_exchange *exchange; /* NULL once answered */
    struct arena *arena;
    struct arena *scratch; /* NULL until asked for */
    jmp_buf escape;

    const struct rpc_row *row; /* NULL until found */
    const char *method;        /* in the arena; "" until known */
    const char *tag;           /* the caller's, for the log; "": none */
    struct principal *principal;
    bool counted; /* in principal->in_flight */
    bool waits;   /* counted in principal->waiting and rpc->waiting */
    Mxadm__V1__Request *envelope;
    ProtobufCMessage *request;
    int64_t start_us;
    int64_t deadline_ms;
    bool validate_only;
    uint64_t if_revision;
    uint64_t min_revision;

    /* Of one that waits for changes. */
    bool wants_change;      /* the handler left to be run again when there is one */
    bool has_waited;        /* and it was */
    uint64_t wait_after;    /* the revision it has looked up to */
    int64_t wait_until_ms;  /* then it is run a last time, at or before the deadline */
    bool small;             /* `arena` is one for little */
    struct arena_mark mark; /* once it has waited: up to here the arena is filled by the request */

    struct status status;
    struct model model;
    struct store_snapshot *snapshot; /* of a read */

    struct segment *first;
    struct segment **end;
    size_t message_len;
    uint64_t revision; /* Response.revision */
    Mxadm__V1__PlannedChange *planned;
    size_t planned_count;
    struct slice packed; /* of a change: the whole answer; replayed or to be remembered */

    struct history history;
    bool slow;      /* runs where it may wait for the disk */
    bool goes_slow; /* the handler left to be run there */

    void *kept; /* by prepare() */
    void (*kept_destroy)(void *found);
    bool stale;            /* the handler left to be prepared anew */
    bool ended;            /* prepare() has answered: there is nothing to change */
    unsigned preparations; /* so far */

    struct rpc_call *whole; /* who holds keys and files: the call itself, or its batch */
    struct key_list keys[KEY_KINDS];
    struct key_wait wait;

    struct batch *batch; /* the parts, of a Batch that could be read; in the arena */
    struct keydir_job *job;
    uint8_t fallback[CALL_FALLBACK_MAX]; /* a bare status, for when the arena is full */

    uint8_t id[CALL_ID_MAX];
    size_t id_len; /* 0: has no request id */
    uint8_t digest[DIGEST_SIZE];
    bool in_commit;  /* kept in the draft, waits for the commit */
    bool later;      /* goes into the next group */
    bool was_run;    /* by a group */
    bool asks_first; /* whether its id is known, before it is run */
    unsigned attempts;

    struct rpc_call *next;
};

struct service {
    const ProtobufCServiceDescriptor *descriptor;
    const struct rpc_row **rows; /* by index of the method; NULL: not built */
};

struct rpc {
    struct rpc_config config;
    struct service *services;
    size_t service_count;
    int64_t start_us;
    atomic_bool draining;
    atomic_bool transport_failed;
    atomic_bool keydir_failed;
    atomic_uint waiting;                   /* calls that wait for a revision or a key */
    atomic_uint_least64_t oldest_revision; /* the first that changes can be asked after */

    pthread_mutex_t calls_lock;
    pthread_cond_t calls_none;   /* live became 0 */
    struct rpc_call *calls_free; /* protected by calls_lock */
    unsigned calls_kept;         /* protected by calls_lock */
    unsigned live;               /* calls not yet answered; protected by calls_lock */

    struct writer *writer;
    struct waiter *waiter;
    struct slow *slow;
    struct pages *pages;
    struct stage *stage;
};

/* ----------------------------------------------------------------- rpc.c */

/* Finds the row of call->method. NULL, or no row: reported. */
const ProtobufCMethodDescriptor *call_find_method(struct rpc_call *call);
/* Whether role and rights of the caller are enough for the row. False: reported. */
bool call_authorise(struct rpc_call *call);
/* Checked, then unpacked into the arena; NULL: reported. */
void *call_unpack(struct rpc_call *call, const ProtobufCMessageDescriptor *type,
                  const uint8_t *bytes, size_t len);

/* ---------------------------------------------------------------- call.c */

/* A fresh call for an exchange; NULL when out of memory. */
struct rpc_call *call_begin(struct rpc *rpc, struct rpc_exchange *exchange);
/* Answers with what the call has come to, releases all that it holds. The call is gone. */
void call_finish(struct rpc_call *call);
/* Runs a function with the arena's escape set: an allocation that fails ends it, and the call. */
void call_run(struct rpc_call *call, void (*function)(struct rpc_call *call));
/* Adds bytes to the answer's message; borrowed until the call ends. */
void call_add_segment(struct rpc_call *call, const uint8_t *data, size_t len);
/* Forgets what a run of the handler left, so that it can be run again. Keys at hand stay. */
void call_rewind(struct rpc_call *call);
/* Runs the handler on `model.view` (and draft), with the arena's escape set. */
void call_handle(struct rpc_call *call);
/* A call that is about to wait, for a revision, a change or a key, leaves its place to another;
 * what it takes is memory. So limits.waiting_calls may wait, and of one principal three quarters of
 * these. False: no more may. Ends when the call does. */
bool call_may_wait(struct rpc_call *call);
/* Into the writer's queue, or refused when that is full. */
void call_submit_change(struct rpc_call *call);
/* Into the queue of the slow threads, likewise. */
void call_submit_slow(struct rpc_call *call);
/* Runs the row's prepare() on `model.view`, with the arena's escape set. What was kept before goes.
 */
void call_prepare(struct rpc_call *call);
/* A read on the newest snapshot (or its list's), to its end: answered or waiting. */
void call_run_read(struct rpc_call *call);

/* ----------------------------------------------------------- call_keys.c */

/* Whether the handler left to wait for keys; then it waits now, or the status says why not. */
bool call_wants_keys(const struct rpc_call *call);
void call_wait_for_keys(struct rpc_call *call);
/* For another run: all keys at hand are unused. */
void call_keys_rewind(struct rpc_call *call);
/* For what is undone within a run: what it used since the mark is unused. */
void call_keys_mark(const struct rpc_call *call, struct key_marks *marks_out);
void call_keys_unuse(struct rpc_call *call, const struct key_marks *marks);
/* Destroys those used: they are, or may be, in the store or an answer, so never anybody's again. */
void call_spend_keys(struct rpc_call *call);
/* Gives back all that are left. */
void call_release_keys(struct rpc_call *call);

/* --------------------------------------------------------------- batch.c */

bool batch_is(const struct rpc_call *call);
/* Looks at all parts and takes the keys that they will want, as far as they are ready. False: the
 * whole batch is refused. */
bool batch_read(struct rpc_call *call);
/* How many parts did not end OK. */
size_t batch_failures(const struct rpc_call *call);
/* A part that was refused to its caller while the batch went on; NULL at the end. `index` starts at
 * 0 and is moved on. */
const struct batch_part *batch_next_denied(const struct rpc_call *call, size_t *index);

/* -------------------------------------------------------------- answer.c */

/* A packed mxadm.v1.Status, in the arena; with the escape set. */
struct slice answer_status(struct arena *arena, const struct status *status);

/* The packed answer of a call as it stands. False: out of memory. */
bool answer_pack(struct rpc_call *call, struct slice *packed_out);
/* Packs straight into the transport's buffer. False: out of memory. */
bool answer_send(struct rpc_call *call);

/* --------------------------------------------------------------- call_group.c */

/* Changes that are made durable together. */
struct call_group {
    struct rpc *rpc;
    struct store_draft *draft;
    struct rpc_call **calls; /* NULL: it left */
    unsigned count;
    unsigned room;
    unsigned ran;           /* so many of them have been run */
    bool any_kept;          /* there is something to commit */
    bool asks_first;        /* of each call from here on: one has to */
    struct rpc_call *later; /* what can't be in this group: it goes into the next one */
    struct rpc_call **later_end;
};

/* Whether the call's id is known: then it has the answer of then, or can't have one. Any thread;
 * may wait for a commit. */
bool call_is_known(struct rpc_call *call);

/* False: out of memory. */
bool call_group_init(struct call_group *group, struct rpc *rpc);
void call_group_fini(struct call_group *group);
/* Whether it takes no more calls. */
bool call_group_is_full(const struct call_group *group);
/* Runs on the draft those that were not run yet; stops where `ends` becomes true. */
void call_group_run(struct call_group *group, const atomic_bool *ends);
/* Those for the next group; they are not this one's any more. */
struct rpc_call *call_group_take_later(struct call_group *group);
/* All calls, to be run again; of its own fault: somebody else was first, and not for ever. Empties
 * the group. */
struct rpc_call *call_group_take_back(struct call_group *group, bool is_own_fault);
/* A repeat of what was done before is refused as a rule; it is to be told what the first was. To be
 * called when the group is durable, and no other is on its way to the disk: each look would wait
 * for it. */
void call_group_look_up(struct call_group *group);
/* Answers all with what they have come to. */
void call_group_answer(struct call_group *group);
/* Tells all that the commit failed, or that none was begun. */
void call_group_fail(struct call_group *group, const struct mx_error *err);
void call_group_refuse(struct call_group *group);
/* For the next use. */
void call_group_clear(struct call_group *group);

/* ---------------------------------------------------------------- trim.c */

/* One step of forgetting, when it is time. Sets when the next is. */
void trim_step(struct rpc *rpc, int64_t *next_ms);

/* -------------------------------------------------------------- writer.c */

struct writer;
MX_MUST_USE enum mx_code writer_create(struct rpc *rpc, struct writer **out, struct mx_error *err);
/* False: the queue is full. */
bool writer_submit(struct writer *writer, struct rpc_call *call);
/* A call that waited for keys comes again; it has its place already. */
void writer_resubmit(struct writer *writer, struct rpc_call *call);
/* For who runs a group: waits until all before it is durable. False: it is not going to be, and
 * the group will be undone. */
bool writer_await_durable(struct writer *writer);
/* Does what is queued, then ends. */
void writer_destroy(struct writer *writer);

/* -------------------------------------------------------------- waiter.c */

struct waiter;
MX_MUST_USE enum mx_code waiter_create(struct rpc *rpc, struct waiter **out, struct mx_error *err);
/* Until the newest revision is at least call->min_revision, or its deadline. False: full. */
bool waiter_park(struct waiter *waiter, struct rpc_call *call);
/* Until there is a revision newer than call->wait_after, or call->wait_until_ms. */
void waiter_watch(struct waiter *waiter, struct rpc_call *call);
/* Ends the waiting of those whose client has gone. */
void waiter_hung_up(struct waiter *waiter);
/* Runs a read on the waiter's thread, soon. */
void waiter_run(struct waiter *waiter, struct rpc_call *call);
/* There may be a new revision, a new deadline, or a reason to end all waiting (draining). */
void waiter_poke(struct waiter *waiter);
void waiter_destroy(struct waiter *waiter);

/* ---------------------------------------------------------------- slow.c */

struct slow;
MX_MUST_USE enum mx_code slow_create(struct rpc *rpc, struct slow **out, struct mx_error *err);
/* Runs a slow read to its end, or prepares a change and hands it to the writer. False: full. */
bool slow_submit(struct slow *slow, struct rpc_call *call);
/* One that had its place already. Refused once stopped. */
void slow_resubmit(struct slow *slow, struct rpc_call *call);
/* Does what is queued, then ends. NULL is fine, for both. */
void slow_stop(struct slow *slow);
void slow_destroy(struct slow *slow);

/* ------------------------------------------------------------- history.c */

/* Lets go of the changes that the call has taken. */
void history_end(struct rpc_call *call);
/* Asks the backend; waits for the disk. */
void history_find_oldest(struct rpc *rpc);

/* --------------------------------------------------------------- pages.c */

struct pages;
struct pages *pages_create(struct store *store, unsigned limit);
void pages_destroy(struct pages *pages);
void pages_expire(struct pages *pages);
