/*
 * The seam between the store and what makes it durable. SQLite is behind it
 * today (db/backend_sqlite.c), a seeded simulator in tests
 * (tests/support/backend_sim.c); a shared engine fits too.
 *
 * Words:
 *   position   a point in the history of the configuration: its revision and
 *              the SHA-256 chain over everything up to it. Two histories with
 *              the same position are the same.
 *   change     one revision: a head that is opaque here (who, when, how) and
 *              the edits of records, each with before and after.
 *   request    a change with the id under which it is remembered, so that it
 *              can be asked later whether it happened, with what digest and
 *              answer. One request that changes something is one revision.
 *
 * No SQL, no handle of a transaction and no text of an engine crosses the seam.
 * All functions may be called from any thread; a backend keeps its own order.
 */
#pragma once

#include "base/digest.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest name of a request: 16 bytes of id, and the principal. */
#define BACKEND_REQUEST_ID_MAX 256

struct position {
    uint64_t revision;
    uint8_t chain[DIGEST_SIZE];
};

/* One record of a change. All borrowed. before NULL: it is new; after NULL: it is removed. */
struct backend_edit {
    const uint8_t *key;
    size_t key_len;
    const uint8_t *before;
    size_t before_len;
    const uint8_t *after;
    size_t after_len;
};

/*
 * One request of a commit. All borrowed. `change` is the packed change (change_encode in
 * store/change.h): backends keep and hand out its bytes, and apply the edits. An empty change
 * (change_len 0): nothing changed, only the request is to be remembered; no revision is made.
 */
struct backend_request {
    const uint8_t *id; /* id_len 0: not remembered */
    size_t id_len;
    uint8_t digest[DIGEST_SIZE];
    const uint8_t *answer;
    size_t answer_len;
    int64_t time_us; /* wall clock; what trim goes by */
    const uint8_t *change;
    size_t change_len;
    const struct backend_edit *edits; /* the same as in `change` */
    size_t edit_count;
};

enum backend_result {
    BACKEND_OK,
    /* Certainly not applied: */
    BACKEND_CONFLICT,  /* the head is not where the caller believed */
    BACKEND_REPLAY,    /* an id is known; see `replay_index` */
    BACKEND_TOO_BIG,   /* beyond the engine's limits */
    BACKEND_READ_ONLY, /* takes no changes: disk full, no permission, closed for writing */
    BACKEND_FAILED,    /* refused for another reason, which err names */
    /* Answers of reading verbs: */
    BACKEND_ABSENT,    /* never happened, or forgotten by trim */
    BACKEND_COMPACTED, /* the history asked for was trimmed */
    BACKEND_DIVERGED,  /* the position asked for is not in this history */
    BACKEND_CORRUPT,   /* what is stored is damaged */
    /* May or may not be applied; ask find() or barrier() after reopen(). */
    BACKEND_UNKNOWN,
    /* The engine can't be reached or proven current now. */
    BACKEND_UNAVAILABLE,
};

/* Called for each record of an image, in order of keys. False stops the load. */
typedef bool (*backend_record_fn)(void *context, const uint8_t *key, size_t key_len,
                                  const uint8_t *value, size_t value_len);
/* Called for each change of a tail, in order. False stops the tail, which is no error. */
typedef bool (*backend_change_fn)(void *context, const struct position *position,
                                  const uint8_t *change, size_t change_len, int64_t time_us);

struct backend_found {
    uint64_t revision;           /* after the request: the one it made, or found */
    uint8_t digest[DIGEST_SIZE]; /* of its content */
    uint8_t *answer;             /* yours: free() */
    size_t answer_len;
};

struct backend_limits {
    bool shared; /* others may append: a commit may meet BACKEND_CONFLICT at any time */
    size_t commit_requests_max;
    size_t commit_bytes_max;
    size_t alone_bytes_max; /* of a request that is alone in its commit, if that is more */
};

struct backend {
    const struct backend_ops *ops;
};

struct backend_ops {
    const char *name;

    /* Frees everything. After it the backend is gone. */
    void (*close)(struct backend *backend);

    void (*limits)(struct backend *backend, struct backend_limits *limits_out);

    /* The whole image at one position, record by record. OK, CORRUPT, UNAVAILABLE. */
    enum backend_result (*load)(struct backend *backend, backend_record_fn record, void *context,
                                struct position *position_out, struct mx_error *err);

    /*
     * The changes after a position, contiguous and chain-true, at most `limit`. OK (also if there
     * are none), COMPACTED (then floor_out is the oldest revision that can be asked after),
     * DIVERGED, CORRUPT, UNAVAILABLE. Holds no commit up for longer than one bounded step.
     * A zero chain in `after` is not compared: by revision alone.
     */
    enum backend_result (*tail)(struct backend *backend, const struct position *after, size_t limit,
                                backend_change_fn change, void *context, uint64_t *floor_out,
                                struct mx_error *err);

    /*
     * Appends all requests behind `expected`, or none. OK means durable: on disk, with power lost
     * the moment after. On REPLAY `*replay_index` is the first request whose id is known. UNKNOWN
     * may be applied. `deadline_ms` is on the monotonic clock; an engine that can't keep it says
     * UNKNOWN or what it knows. `position_out` is the position after all of them.
     */
    enum backend_result (*commit)(struct backend *backend, const struct position *expected,
                                  const struct backend_request *requests, size_t count,
                                  int64_t deadline_ms, struct position *position_out,
                                  size_t *replay_index, struct mx_error *err);

    /* A request by its id, never stale. OK, ABSENT, UNAVAILABLE. */
    enum backend_result (*find)(struct backend *backend, const uint8_t *id, size_t id_len,
                                struct backend_found *found_out, struct mx_error *err);

    /* The newest position, proven current. OK, UNAVAILABLE. */
    enum backend_result (*barrier)(struct backend *backend, struct position *position_out,
                                   struct mx_error *err);

    /*
     * Waits until there may be something after `revision`, or the deadline. A hint: may come
     * early, late or never. True: look.
     */
    bool (*wait)(struct backend *backend, uint64_t revision, int64_t deadline_ms);

    /*
     * Forgets changes up to and including `below_revision - 1` and request ids older than
     * `ids_before_us`, at most `limit` of each in one step. `*more_out`: call again.
     */
    enum backend_result (*trim)(struct backend *backend, uint64_t below_revision,
                                int64_t ids_before_us, size_t limit, bool *more_out,
                                struct mx_error *err);

    /*
     * After UNKNOWN: closes and opens what is underneath, so that the next find() and barrier()
     * speak of what is really there. OK, UNAVAILABLE, CORRUPT.
     */
    enum backend_result (*reopen)(struct backend *backend, struct mx_error *err);
};

/* Name of a result for logs and tests: "CONFLICT"; static. */
const char *backend_result_name(enum backend_result result);

/* The position after one more change. The only definition of the chain:
 * SHA-256(chain before || revision as 8 bytes, big-endian || change). */
struct position position_next(const struct position *position, const uint8_t *change,
                              size_t change_len);

bool position_equal(const struct position *a, const struct position *b);
