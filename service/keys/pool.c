/*
 * One keeper thread and the makers. The keeper decides what is made, collects
 * what is ready and serves who waits; a maker gets an order, makes one key and
 * reports. Between the two stand semaphores and an atomic, no lock.
 */
#include "keys/pool.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A maker that could not make a key (no memory, no randomness) tries no sooner again. */
#define FAILURE_PAUSE_S 1
/* RetryInfo: no client comes back sooner, none is sent away for longer. */
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 60000
/* The mean time of making moves by 1/8 of the difference with each key. */
#define MEAN_SHARE 8

/* What one core needs for a key, until the pool has seen one made. */
static const int64_t usual_us[KEY_KINDS] = {
    [KEY_RSA2048] = 300 * 1000,
    [KEY_RSA3072] = 1000 * 1000,
    [KEY_RSA4096] = 3000 * 1000,
    [KEY_ED25519] = 100,
};

/* A maker is idle (kind 0), at work, or finished; the keeper moves it from finished to idle. */
struct maker {
    struct key_pool *pool;
    pthread_t thread;
    sem_t order;        /* posted when `kind` is set, and when the pool closes */
    enum key_kind kind; /* the keeper's; the maker reads it after `order` */
    struct key *key;    /* the maker's, until `finished`; NULL: it failed */
    int64_t took_us;    /* as `key` */
    atomic_bool finished;
};

struct stock {
    struct key **ready; /* protected by lock, as all here; room for high + KEY_POOL_SPARE_MAX */
    unsigned ready_count;
    unsigned making;
    unsigned waiting;
    bool filling; /* was below low and is not yet at high */
    int64_t mean_us;
};

struct key_pool {
    struct key_pool_settings settings; /* const */
    struct maker *makers;              /* const */
    unsigned maker_count;              /* makers that have a thread; const once the keeper runs */
    pthread_t keeper;
    sem_t events; /* posted when the keeper has something to look at */
    /* Ends all making when nonzero. Set under the lock, read without it by those who search. */
    atomic_int closing;

    pthread_mutex_t lock; /* protects what follows; never held while calling anybody */
    struct stock stocks[KEY_KINDS];
    struct key_wait *first; /* who waits, of all kinds, in the order they came */
    struct key_wait **end;
    unsigned waiting;
};

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0 && errno == EINTR) {
    }
}

/* Makers */

/* Failing is no error: then keys are made at the priority of everything else. */
static void become_idle(void)
{
    struct sched_param none = { 0 };

    if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none) != 0) {
        /* Linux takes a thread's id here, though POSIX speaks of processes. */
        (void) setpriority(PRIO_PROCESS, (id_t) gettid(), 19);
    }
}

static void pause_after_failure(struct maker *maker)
{
    struct timespec until;

    (void) clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += FAILURE_PAUSE_S;
    /* The next order comes only after this one is reported: only closing posts meanwhile. */
    while (atomic_load(&maker->pool->closing) == 0 &&
           sem_clockwait(&maker->order, CLOCK_MONOTONIC, &until) != 0 && errno == EINTR) {
    }
}

static void *make_keys(void *argument)
{
    struct maker *maker = argument;
    struct key_pool *pool = maker->pool;

    become_idle();
    for (;;) {
        struct mx_error err;
        int64_t start;

        if (atomic_load(&pool->closing) == 0) {
            wait_for(&maker->order);
        }
        if (atomic_load(&pool->closing) != 0) {
            return NULL;
        }
        start = clock_mono_us();
        maker->key = NULL;
        if (key_make(maker->kind, &pool->closing, &maker->key, &err) != MX_OK) {
            pause_after_failure(maker);
        }
        maker->took_us = clock_mono_us() - start;
        atomic_store(&maker->finished, true);
        (void) sem_post(&pool->events);
    }
}

/* The queue; with the lock held */

/* The first who waits for that kind, out of the queue; NULL: nobody. */
static struct key_wait *take_first(struct key_pool *pool, enum key_kind kind)
{
    for (struct key_wait **at = &pool->first; *at != NULL; at = &(*at)->next) {
        struct key_wait *wait = *at;

        if (wait->kind == kind) {
            *at = wait->next;
            if (pool->end == &wait->next) {
                pool->end = at;
            }
            pool->waiting--;
            pool->stocks[kind].waiting--;
            return wait;
        }
    }
    return NULL;
}

/* Those whose deadline is at or before `now_ms`, out of the queue, in their order. */
static struct key_wait *take_expired(struct key_pool *pool, int64_t now_ms)
{
    struct key_wait *expired = NULL;
    struct key_wait **expired_end = &expired;
    struct key_wait **at = &pool->first;

    while (*at != NULL) {
        struct key_wait *wait = *at;

        if (wait->deadline_ms > now_ms) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        pool->waiting--;
        pool->stocks[wait->kind].waiting--;
        wait->next = NULL;
        *expired_end = wait;
        expired_end = &wait->next;
    }
    pool->end = at;
    return expired;
}

/* Without the lock. A wait's memory is its owner's again when `done` is called. */
static void end_with_nothing(struct key_wait *wait)
{
    while (wait != NULL) {
        struct key_wait *next = wait->next;

        wait->done(wait, NULL);
        wait = next;
    }
}

/* The keeper */

/* The kind that nobody makes for the longest waiting; 0: all who wait have a key in the making.
 * `coming` becomes what of the keys in the making is for stock. With the lock held. */
static enum key_kind kind_waited_for(const struct key_pool *pool, unsigned coming[KEY_KINDS])
{
    for (unsigned i = 1; i < KEY_KINDS; i++) {
        coming[i] = pool->stocks[i].making;
    }
    for (const struct key_wait *wait = pool->first; wait != NULL; wait = wait->next) {
        if (coming[wait->kind] == 0) {
            return wait->kind;
        }
        coming[wait->kind]--;
    }
    return (enum key_kind) 0;
}

/* The kind that is nearest to running dry; 0: all have enough. With the lock held. */
static enum key_kind kind_to_fill(struct key_pool *pool, const unsigned coming[KEY_KINDS])
{
    unsigned best = 0;
    uint64_t best_count = 0;

    for (unsigned i = 1; i < KEY_KINDS; i++) {
        struct stock *stock = &pool->stocks[i];
        uint64_t low = pool->settings.kinds[i].low;
        uint64_t count = (uint64_t) stock->ready_count + coming[i];

        stock->filling = count < low || (stock->filling && count < pool->settings.kinds[i].high);
        /* count / low < best_count / best's low */
        if (stock->filling &&
            (best == 0 || count * pool->settings.kinds[best].low < best_count * low)) {
            best = i;
            best_count = count;
        }
    }
    return (enum key_kind) best;
}

/* What to make next, counted as being made; 0: nothing. */
static enum key_kind next_kind(struct key_pool *pool)
{
    unsigned coming[KEY_KINDS];
    enum key_kind kind;

    (void) pthread_mutex_lock(&pool->lock);
    kind = kind_waited_for(pool, coming);
    if (kind == 0) {
        kind = kind_to_fill(pool, coming);
    }
    if (kind != 0) {
        pool->stocks[kind].making++;
    }
    (void) pthread_mutex_unlock(&pool->lock);
    return kind;
}

/* To the first who waits, else into stock, else (no room, or closing) wiped. */
static void give(struct key_pool *pool, struct key *key)
{
    enum key_kind kind = key_kind(key);
    struct stock *stock = &pool->stocks[kind];
    struct key_wait *wait;

    (void) pthread_mutex_lock(&pool->lock);
    wait = take_first(pool, kind);
    if (wait == NULL && atomic_load(&pool->closing) == 0 &&
        stock->ready_count < pool->settings.kinds[kind].high + KEY_POOL_SPARE_MAX) {
        stock->ready[stock->ready_count++] = key;
        key = NULL;
    }
    (void) pthread_mutex_unlock(&pool->lock);
    if (wait != NULL) {
        wait->done(wait, key);
    } else {
        key_destroy(key);
    }
}

/* Takes a finished maker's key; the maker is idle then. */
static void collect(struct key_pool *pool, struct maker *maker)
{
    struct stock *stock = &pool->stocks[maker->kind];
    struct key *key = maker->key;

    (void) pthread_mutex_lock(&pool->lock);
    stock->making--;
    if (key != NULL) {
        stock->mean_us += (maker->took_us - stock->mean_us) / MEAN_SHARE;
    }
    (void) pthread_mutex_unlock(&pool->lock);
    maker->key = NULL;
    maker->kind = (enum key_kind) 0;
    atomic_store(&maker->finished, false);
    if (key != NULL) {
        give(pool, key);
    }
}

static void *keep(void *argument)
{
    struct key_pool *pool = argument;

    for (;;) {
        wait_for(&pool->events);
        if (atomic_load(&pool->closing) != 0) {
            return NULL;
        }
        for (unsigned i = 0; i < pool->maker_count; i++) {
            if (atomic_load(&pool->makers[i].finished)) {
                collect(pool, &pool->makers[i]);
            }
        }
        for (unsigned i = 0; i < pool->maker_count; i++) {
            struct maker *maker = &pool->makers[i];

            if (maker->kind == 0 && (maker->kind = next_kind(pool)) != 0) {
                (void) sem_post(&maker->order);
            }
        }
    }
}

/* Opening and closing */

static enum mx_code check_settings(const struct key_pool_settings *settings, struct mx_error *err)
{
    if (settings->threads < 1 || settings->threads > KEY_POOL_THREADS_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "a key pool can't have %u threads: 1 to %d",
                       settings->threads, KEY_POOL_THREADS_MAX);
    }
    for (unsigned i = 1; i < KEY_KINDS; i++) {
        unsigned low = settings->kinds[i].low;
        unsigned high = settings->kinds[i].high;

        if (low > high || high > KEY_POOL_READY_MAX) {
            return mx_fail(err, MX_INVALID_ARGUMENT,
                           "water marks of %s keys: low %u, high %u; low may not be above high, "
                           "high not above %d",
                           key_kind_name((enum key_kind) i), low, high, KEY_POOL_READY_MAX);
        }
    }
    return MX_OK;
}

/* False: out of memory; what is there is freed by pool_free(). */
static bool allocate(struct key_pool *pool)
{
    pool->makers = calloc(pool->settings.threads, sizeof(*pool->makers));
    if (pool->makers == NULL) {
        return false;
    }
    for (unsigned i = 1; i < KEY_KINDS; i++) {
        size_t room = (size_t) pool->settings.kinds[i].high + KEY_POOL_SPARE_MAX;

        pool->stocks[i].mean_us = usual_us[i];
        pool->stocks[i].ready = calloc(room, sizeof(*pool->stocks[i].ready));
        if (pool->stocks[i].ready == NULL) {
            return false;
        }
    }
    return true;
}

/* The makers before the keeper, who gives them work. False: no thread to be had. */
static bool start(struct key_pool *pool)
{
    for (unsigned i = 0; i < pool->settings.threads; i++) {
        struct maker *maker = &pool->makers[i];

        maker->pool = pool;
        (void) sem_init(&maker->order, 0, 0);
        if (pthread_create(&maker->thread, NULL, make_keys, maker) != 0) {
            (void) sem_destroy(&maker->order);
            return false;
        }
        pool->maker_count++;
    }
    return pthread_create(&pool->keeper, NULL, keep, pool) == 0;
}

static void stop_makers(struct key_pool *pool)
{
    for (unsigned i = 0; i < pool->maker_count; i++) {
        (void) sem_post(&pool->makers[i].order);
    }
    for (unsigned i = 0; i < pool->maker_count; i++) {
        (void) pthread_join(pool->makers[i].thread, NULL);
        (void) sem_destroy(&pool->makers[i].order);
        key_destroy(pool->makers[i].key);
    }
}

static void pool_free(struct key_pool *pool)
{
    for (unsigned i = 1; i < KEY_KINDS; i++) {
        for (unsigned j = 0; j < pool->stocks[i].ready_count; j++) {
            key_destroy(pool->stocks[i].ready[j]);
        }
        free(pool->stocks[i].ready);
    }
    free(pool->makers);
    (void) sem_destroy(&pool->events);
    (void) pthread_mutex_destroy(&pool->lock);
    free(pool);
}

enum mx_code key_pool_create(const struct key_pool_settings *settings, struct key_pool **pool_out,
                             struct mx_error *err)
{
    struct key_pool *pool;
    enum mx_code code = check_settings(settings, err);

    if (code != MX_OK) {
        return code;
    }
    pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the key pool");
    }
    pool->settings = *settings;
    pool->end = &pool->first;
    (void) pthread_mutex_init(&pool->lock, NULL);
    /* One event is due already: the pool is empty. */
    (void) sem_init(&pool->events, 0, 1);
    if (!allocate(pool)) {
        pool_free(pool);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the key pool");
    }
    if (!start(pool)) {
        atomic_store(&pool->closing, 1);
        stop_makers(pool);
        pool_free(pool);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "can't start the key pool's threads");
    }
    *pool_out = pool;
    return MX_OK;
}

/* Nobody joins the queue any more; returns who is in it. */
static struct key_wait *close_queue(struct key_pool *pool)
{
    struct key_wait *waits;

    (void) pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->closing, 1);
    waits = take_expired(pool, INT64_MAX);
    (void) pthread_mutex_unlock(&pool->lock);
    return waits;
}

void key_pool_destroy(struct key_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    end_with_nothing(close_queue(pool));
    (void) sem_post(&pool->events);
    /* The keeper before the makers: it may be giving one an order. */
    (void) pthread_join(pool->keeper, NULL);
    stop_makers(pool);
    pool_free(pool);
}

/* Taking and giving back */

/* NULL: none ready. With the lock held. */
static struct key *take_ready(struct stock *stock)
{
    struct key *key;

    if (stock->ready_count == 0) {
        return NULL;
    }
    key = stock->ready[--stock->ready_count];
    stock->ready[stock->ready_count] = NULL;
    return key;
}

struct key *key_pool_try_take(struct key_pool *pool, enum key_kind kind)
{
    struct stock *stock = &pool->stocks[kind];
    struct key *key;
    bool low;

    assert(key_kind_name(kind) != NULL);
    (void) pthread_mutex_lock(&pool->lock);
    /* While somebody waits for the kind none is ready: give() serves them first. */
    key = take_ready(stock);
    low = stock->ready_count < pool->settings.kinds[kind].low;
    (void) pthread_mutex_unlock(&pool->lock);
    if (key != NULL && low) {
        (void) sem_post(&pool->events);
    }
    return key;
}

/* With the lock held. False: too many wait. */
static bool join_queue(struct key_pool *pool, struct key_wait *wait)
{
    if (pool->waiting >= pool->settings.waiters_max) {
        return false;
    }
    wait->next = NULL;
    *pool->end = wait;
    pool->end = &wait->next;
    pool->waiting++;
    pool->stocks[wait->kind].waiting++;
    return true;
}

bool key_pool_wait(struct key_pool *pool, struct key_wait *wait)
{
    struct key *key = NULL;
    bool accepted = false;

    assert(key_kind_name(wait->kind) != NULL);
    (void) pthread_mutex_lock(&pool->lock);
    if (atomic_load(&pool->closing) == 0) {
        /* One may have become ready since the caller's key_pool_try_take(). */
        key = take_ready(&pool->stocks[wait->kind]);
        accepted = key != NULL || join_queue(pool, wait);
    }
    (void) pthread_mutex_unlock(&pool->lock);
    if (accepted) {
        (void) sem_post(&pool->events);
    }
    if (key != NULL) {
        wait->done(wait, key);
    }
    return accepted;
}

void key_pool_return(struct key_pool *pool, struct key *key)
{
    if (key != NULL) {
        give(pool, key);
    }
}

int64_t key_pool_expire(struct key_pool *pool, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    struct key_wait *expired;

    (void) pthread_mutex_lock(&pool->lock);
    expired = take_expired(pool, now_ms);
    for (const struct key_wait *wait = pool->first; wait != NULL; wait = wait->next) {
        next_ms = wait->deadline_ms < next_ms ? wait->deadline_ms : next_ms;
    }
    (void) pthread_mutex_unlock(&pool->lock);
    end_with_nothing(expired);
    return next_ms;
}

/* Looking */

int64_t key_pool_retry_ms(struct key_pool *pool, enum key_kind kind)
{
    int64_t ahead_us = 0;
    int64_t retry_ms;

    assert(key_kind_name(kind) != NULL);
    (void) pthread_mutex_lock(&pool->lock);
    if (pool->stocks[kind].ready_count == 0) {
        for (unsigned i = 1; i < KEY_KINDS; i++) {
            ahead_us += pool->stocks[i].waiting * pool->stocks[i].mean_us;
        }
        ahead_us = ahead_us / pool->settings.threads + pool->stocks[kind].mean_us;
    }
    (void) pthread_mutex_unlock(&pool->lock);
    retry_ms = ahead_us / 1000;
    if (retry_ms < RETRY_MIN_MS) {
        return RETRY_MIN_MS;
    }
    return retry_ms > RETRY_MAX_MS ? RETRY_MAX_MS : retry_ms;
}

void key_pool_info(struct key_pool *pool, enum key_kind kind, struct key_pool_info *info_out)
{
    const struct stock *stock = &pool->stocks[kind];

    assert(key_kind_name(kind) != NULL);
    (void) pthread_mutex_lock(&pool->lock);
    *info_out = (struct key_pool_info){
        .ready = stock->ready_count,
        .low = pool->settings.kinds[kind].low,
        .high = pool->settings.kinds[kind].high,
        .waiting = stock->waiting,
    };
    (void) pthread_mutex_unlock(&pool->lock);
}
