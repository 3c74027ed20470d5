/*
 * Spare keys, made in advance by threads of idle priority, so that no call
 * waits for primes.
 *
 * For each kind the pool makes keys when fewer than `low` are ready, until
 * `high` are. A key is handed out once, ever: it lives in this process's memory
 * only and leaves the pool when it is taken. A key that was taken and used for
 * nothing (its call was refused) may be given back.
 *
 * Waiters are served first come, first served, before the pool fills; when
 * somebody waits for a kind whose `high` is 0 (made on demand), it is made too.
 *
 * What is made next: what the longest waiting needs, whatever it costs, since a
 * cheap kind that overtakes would let a costly one wait for ever; with nobody
 * waiting, the kind whose stock is the smallest part of its low mark, since that
 * one runs dry first.
 *
 * A key that nobody waits for any more when it is ready, or that comes back, is
 * kept beyond `high` (up to KEY_POOL_SPARE_MAX): whoever tries again gets it.
 *
 * Threads: all functions from any thread. A wait's `done` is called without a
 * lock held, from the pool's own thread or from within key_pool_wait(),
 * key_pool_return(), key_pool_expire() or key_pool_destroy(); it must not block.
 * Only the search for primes runs at idle priority: the making threads take no
 * lock and call nobody, so that under load nobody waits for a lock whose holder
 * the scheduler has put aside.
 */
#pragma once

#include "keys/key.h"

/* More threads than any machine has use for. */
#define KEY_POOL_THREADS_MAX 64
/* Spare keys of a kind; bounds the memory (an RSA-4096 key takes 3 kB). */
#define KEY_POOL_READY_MAX 100000
/* Keys kept beyond `high`: as many as may come back from calls refused together. */
#define KEY_POOL_SPARE_MAX 64

struct key_pool;

struct key_pool_settings {
    struct {
        unsigned low; /* at most `high` */
        unsigned high;
    } kinds[KEY_KINDS];
    unsigned threads; /* making threads; 1 to KEY_POOL_THREADS_MAX */
    unsigned waiters_max;
};

struct key_pool_info {
    unsigned ready;
    unsigned low;
    unsigned high;
    unsigned waiting;
};

/* A wait for one key; memory of the caller, until `done`. */
struct key_wait {
    enum key_kind kind;
    int64_t deadline_ms; /* monotonic */
    /* `key` is yours; NULL: the deadline passed, or the pool closes. Called exactly once. */
    void (*done)(struct key_wait *wait, struct key *key);
    struct key_wait *next; /* the pool's */
};

MX_MUST_USE enum mx_code key_pool_create(const struct key_pool_settings *settings,
                                         struct key_pool **pool_out, struct mx_error *err);

/* Ends all waits with NULL, stops making at once, wipes what is left. NULL is fine. */
void key_pool_destroy(struct key_pool *pool);

/* A spare key, yours; NULL if none is ready or others wait already. Never blocks. */
struct key *key_pool_try_take(struct key_pool *pool, enum key_kind kind);

/*
 * Joins the queue; with a key ready `done` is called at once. False: too many wait already, or the
 * pool closes (then `done` is not called).
 */
bool key_pool_wait(struct key_pool *pool, struct key_wait *wait);

/* An unused key back into the pool (or to the first who waits). NULL is fine. */
void key_pool_return(struct key_pool *pool, struct key *key);

/* Ends the waits whose deadline is past; returns the next deadline, INT64_MAX if none. */
int64_t key_pool_expire(struct key_pool *pool, int64_t now_ms);

/* Milliseconds until a key of this kind can be expected, for RetryInfo. A guess, at least 50. */
int64_t key_pool_retry_ms(struct key_pool *pool, enum key_kind kind);

void key_pool_info(struct key_pool *pool, enum key_kind kind, struct key_pool_info *info_out);
