/*
 * Kills a daemon at random moments while several clients change things, many
 * times, and holds what is there after each restart against a ledger of what
 * was sent and what was acknowledged.
 *
 * A change is a set of facts that it removes and a set that it adds. Of each
 * change that was in flight at the kill, either all of that is seen afterwards
 * or none; everything else is exactly as the ledger says.
 *
 * Usage: test_kill [rounds]; MXADM_SEED repeats its random choices.
 */
#include "support/admin.h"
#include "support/daemon.h"
#include "support/facts.h"
#include "support/seed.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS  50
#define WORKERS 6
#define SHARED  2 /* domains that all workers' accounts are in */
/* Longer than a commit, and often longer than a pair of RSA keys. */
#define ROUND_MS_MAX      250
#define LONG_ROUND_EVERY  8
#define LONG_ROUND_MS_MAX 1500
/* Rounds after which the daemon is killed once more with nothing in flight. */
#define REST_EVERY 10
/* So that a domain's limit of selectors is not met. */
#define OWN_SELECTORS_MAX 10

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void) fprintf(stderr, "kill: %s:%d: ", __func__, __LINE__);                           \
            (void) fprintf(stderr, __VA_ARGS__);                                                   \
            (void) fputc('\n', stderr);                                                            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static const char settings[] =
    DAEMON_URLS "keys: {directory: $DIR/keys, rsa2048: {low: 2, high: 4},"
                " ed25519: {low: 8, high: 16}}\n";

enum change_kind {
    ACCOUNT_ADD,
    ACCOUNT_REMOVE,
    ADDRESS_ADD,
    ADDRESS_REMOVE,
    DKIM_ADD,
    DKIM_REMOVE,
    DOMAIN_ADD,
};

#define NAME_SIZE 128

/* One change, as sent; it can be sent again. */
struct change {
    enum change_kind kind;
    uint8_t id[MXADM_REQUEST_ID_SIZE];
    char domain[NAME_SIZE];
    char account[NAME_SIZE];
    char address[NAME_SIZE]; /* or localpart, or selector */
    struct facts adds;
    struct facts removes;
};

/* A client, whose names nobody else uses. */
struct worker {
    unsigned number;
    struct seed random;
    unsigned names; /* used so far */
    pthread_t thread;
    mxadm_client *client;
    struct facts ledger;   /* acknowledged */
    struct change change;  /* the last one */
    bool in_flight;        /* its end is not known... */
    bool not_sent;         /* ...but the library says that it never left */
    uint64_t acknowledged; /* the highest revision */
    unsigned long done;
};

/* ------------------------------------------------------------------ ledger */

/* A fact of the ledger that starts so; NULL: none. */
static const char *any_fact(struct worker *worker, const char *prefix)
{
    size_t count = worker->ledger.count;
    size_t start = count == 0 ? 0 : seed_below(&worker->random, (unsigned) count);

    for (size_t i = 0; i < count; i++) {
        const char *fact = worker->ledger.items[(start + i) % count];

        if (strncmp(fact, prefix, strlen(prefix)) == 0) {
            return fact;
        }
    }
    return NULL;
}

static unsigned count_facts(const struct facts *facts, const char *prefix)
{
    unsigned count = 0;

    for (size_t i = 0; i < facts->count; i++) {
        count += strncmp(facts->items[i], prefix, strlen(prefix)) == 0 ? 1 : 0;
    }
    return count;
}

/* ------------------------------------------------------------ next changes */

static void shared_domain(char *name, unsigned number)
{
    (void) snprintf(name, NAME_SIZE, "shared%u.example", number);
}

static void plan_account_add(struct worker *worker, struct change *change)
{
    unsigned name = worker->names++;

    change->kind = ACCOUNT_ADD;
    shared_domain(change->domain, name % SHARED);
    (void) snprintf(change->account, NAME_SIZE, "w%u-%u", worker->number, name);
    (void) snprintf(change->address, NAME_SIZE, "w%u-%u@shared%u.example", worker->number, name,
                    name % SHARED);
    facts_add(&change->adds, "account %s", change->account);
    facts_add(&change->adds, "address %s -> %s", change->address, change->account);
}

static bool plan_account_remove(struct worker *worker, struct change *change)
{
    const char *fact = any_fact(worker, "account w");
    char owned[2 * NAME_SIZE];

    if (fact == NULL) {
        return false;
    }
    change->kind = ACCOUNT_REMOVE;
    (void) snprintf(change->account, NAME_SIZE, "%s", fact + strlen("account "));
    (void) snprintf(owned, sizeof(owned), " -> %s", change->account);
    facts_add(&change->removes, "%s", fact);
    for (size_t i = 0; i < worker->ledger.count; i++) {
        const char *address = worker->ledger.items[i];
        const char *owner = strstr(address, " -> ");

        if (owner != NULL && strcmp(owner, owned) == 0) {
            facts_add(&change->removes, "%s", address);
        }
    }
    return true;
}

static bool plan_address_add(struct worker *worker, struct change *change)
{
    const char *fact = any_fact(worker, "account w");
    unsigned name = worker->names++;

    if (fact == NULL) {
        return false;
    }
    change->kind = ADDRESS_ADD;
    (void) snprintf(change->account, NAME_SIZE, "%s", fact + strlen("account "));
    (void) snprintf(change->address, NAME_SIZE, "w%u-%u@shared%u.example", worker->number, name,
                    name % SHARED);
    facts_add(&change->adds, "address %s -> %s", change->address, change->account);
    return true;
}

static bool plan_address_remove(struct worker *worker, struct change *change)
{
    const char *fact = any_fact(worker, "address w");

    if (fact == NULL) {
        return false;
    }
    change->kind = ADDRESS_REMOVE;
    (void) sscanf(fact, "address %127s", change->address);
    facts_add(&change->removes, "%s", fact);
    return true;
}

static bool plan_dkim_add(struct worker *worker, struct change *change)
{
    if (count_facts(&worker->ledger, "selector own") >= OWN_SELECTORS_MAX) {
        return false;
    }
    change->kind = DKIM_ADD;
    shared_domain(change->domain, seed_below(&worker->random, SHARED));
    (void) snprintf(change->address, NAME_SIZE, "own%u-%u", worker->number, worker->names++);
    facts_add(&change->adds, "selector %s of %s", change->address, change->domain);
    return true;
}

static bool plan_dkim_remove(struct worker *worker, struct change *change)
{
    const char *fact = any_fact(worker, "selector own");

    if (fact == NULL) {
        return false;
    }
    change->kind = DKIM_REMOVE;
    (void) sscanf(fact, "selector %127s of %127s", change->address, change->domain);
    facts_add(&change->removes, "%s", fact);
    return true;
}

static void plan_domain_add(struct worker *worker, struct change *change)
{
    unsigned name = worker->names++;

    change->kind = DOMAIN_ADD;
    (void) snprintf(change->domain, NAME_SIZE, "d%u-%u.example", worker->number, name);
    (void) snprintf(change->account, NAME_SIZE, "owner%u-%u", worker->number, name);
    (void) snprintf(change->address, NAME_SIZE, "owner");
    admin_domain_facts(&change->adds, change->domain, change->account, change->address);
}

static void forget_change(struct change *change)
{
    facts_fini(&change->adds);
    facts_fini(&change->removes);
    memset(change, 0, sizeof(*change));
}

/* The first worker adds domains, which wait for keys; the others do all else. */
static void plan(struct worker *worker)
{
    struct change *change = &worker->change;
    unsigned dice = seed_below(&worker->random, 100);
    bool planned = true;

    forget_change(change);
    if (worker->number == 0) {
        plan_domain_add(worker, change);
    } else if (dice < 45) {
        plan_account_add(worker, change);
    } else if (dice < 65) {
        planned = plan_address_add(worker, change);
    } else if (dice < 75) {
        planned = plan_address_remove(worker, change);
    } else if (dice < 85) {
        planned = plan_account_remove(worker, change);
    } else if (dice < 93) {
        planned = plan_dkim_add(worker, change);
    } else {
        planned = plan_dkim_remove(worker, change);
    }
    if (!planned) {
        plan_account_add(worker, change);
    }
    for (size_t i = 0; i < sizeof(change->id); i++) {
        change->id[i] = (uint8_t) seed_next(&worker->random);
    }
}

static mxadm_result *send_change(mxadm_client *client, const struct change *change)
{
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;

    options.request_id = change->id;
    switch (change->kind) {
    case ACCOUNT_ADD:
        return admin_account_add(client, change->account, change->address, &options);
    case ACCOUNT_REMOVE:
        return admin_account_remove(client, change->account, &options);
    case ADDRESS_ADD:
        return admin_address_add(client, change->address, change->account, &options);
    case ADDRESS_REMOVE:
        return admin_address_remove(client, change->address, &options);
    case DKIM_ADD:
        return admin_dkim_add(client, change->domain, change->address, &options);
    case DKIM_REMOVE:
        return admin_dkim_remove(client, change->domain, change->address, &options);
    case DOMAIN_ADD:
        return admin_domain_add(client, change->domain, change->account, change->address, &options);
    }
    abort();
}

/* ----------------------------------------------------------------- workers */

static void apply(struct worker *worker)
{
    facts_remove_all(&worker->ledger, &worker->change.removes);
    facts_add_all(&worker->ledger, &worker->change.adds);
    worker->done++;
}

static void *work(void *argument)
{
    struct worker *worker = argument;

    while (!worker->in_flight) {
        mxadm_result *result;

        plan(worker);
        result = send_change(worker->client, &worker->change);
        if (mxadm_result_code(result) == MXADM_OK) {
            apply(worker);
            worker->acknowledged = mxadm_result_revision(result);
        } else {
            CHECK(mxadm_result_code(result) == MXADM_UNAVAILABLE, "%s: %s",
                  mxadm_code_name(mxadm_result_code(result)), mxadm_result_message(result));
            worker->in_flight = true;
            worker->not_sent = !mxadm_result_may_have_happened(result);
        }
        mxadm_result_free(result);
    }
    return NULL;
}

/* Each call is tried once: what comes of it is the ledger's business. */
static mxadm_client *open_for_workers(const struct daemon *daemon)
{
    const char *url = daemon_url(daemon, 0);
    mxadm_client_options options = MXADM_CLIENT_OPTIONS_INIT;
    mxadm_client *client = NULL;

    options.urls = &url;
    options.url_count = 1;
    options.connections = WORKERS;
    options.max_attempts = 1;
    CHECK(mxadm_client_open(&options, &client) == MXADM_OK, "no client");
    return client;
}

/* The moment must not hang on any event of ours. */
static void pause_ms(unsigned ms, struct seed *random)
{
    struct timespec time = { .tv_sec = ms / 1000,
                             .tv_nsec =
                                 (long) (ms % 1000) * 1000000 + seed_below(random, 1000000) };

    (void) nanosleep(&time, NULL);
}

static void change_until_killed(struct daemon *daemon, struct worker *workers, unsigned round,
                                struct seed *random)
{
    unsigned most = round % LONG_ROUND_EVERY == 0 ? LONG_ROUND_MS_MAX : ROUND_MS_MAX;
    mxadm_client *client = open_for_workers(daemon);

    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].client = client;
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "no thread");
    }
    pause_ms(seed_below(random, most), random);
    daemon_kill(daemon);
    for (unsigned i = 0; i < WORKERS; i++) {
        (void) pthread_join(workers[i].thread, NULL);
    }
    mxadm_client_close(client);
}

/* ----------------------------------------------------------- after restart */

/* Whether the change in flight was made; it may not be made in part. */
static bool was_made(const struct worker *worker, const struct facts *seen)
{
    const struct change *change = &worker->change;
    size_t added = facts_count_of(seen, &change->adds);
    size_t kept = facts_count_of(seen, &change->removes);
    bool made = added == change->adds.count && kept == 0;
    bool not_made = added == 0 && kept == change->removes.count;

    CHECK(made || not_made, "half a change: %zu of %zu added, %zu of %zu still there", added,
          change->adds.count, kept, change->removes.count);
    CHECK(not_made || !worker->not_sent, "a change that was never sent was made");
    return made;
}

/* The same change again under its id: made now if it was not, else not again. */
static void finish_change(struct worker *worker, mxadm_client *client, bool made)
{
    uint64_t before = admin_position(client).revision;
    uint64_t revision = admin_done(send_change(client, &worker->change));
    uint64_t after = admin_position(client).revision;

    if (made) {
        CHECK(revision <= before && after == before,
              "a change that was made already was made again: %" PRIu64 " to %" PRIu64, before,
              after);
    } else {
        CHECK(revision == before + 1 && after == revision,
              "a change that was not made was made %" PRIu64 " times", after - before);
        apply(worker);
    }
    worker->in_flight = false;
    worker->acknowledged = revision > worker->acknowledged ? revision : worker->acknowledged;
}

static void check_all(struct worker *workers, const struct facts *shared, struct facts *seen)
{
    struct facts expected = { 0 };

    facts_add_all(&expected, shared);
    for (unsigned i = 0; i < WORKERS; i++) {
        facts_add_all(&expected, &workers[i].ledger);
    }
    facts_check_same(&expected, seen);
    facts_fini(&expected);
}

/* Returns how many of the changes in flight had been made. */
static unsigned check_restarted(struct daemon *daemon, struct worker *workers,
                                const struct facts *shared)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);
    uint64_t revision = admin_position(client).revision;
    struct facts seen = { 0 };
    bool made[WORKERS];
    unsigned count = 0;

    admin_observe(client, &seen);
    for (unsigned i = 0; i < WORKERS; i++) {
        CHECK(workers[i].acknowledged <= revision,
              "revision %" PRIu64 " was acknowledged, %" PRIu64 " is there",
              workers[i].acknowledged, revision);
        made[i] = workers[i].in_flight && was_made(&workers[i], &seen);
        if (made[i]) {
            apply(&workers[i]);
            count++;
        }
    }
    check_all(workers, shared, &seen);
    (void) admin_check_keys(client, daemon_path(daemon, "keys"));
    for (unsigned i = 0; i < WORKERS; i++) {
        if (workers[i].in_flight) {
            finish_change(&workers[i], client, made[i]);
        }
    }
    facts_fini(&seen);
    mxadm_client_close(client);
    return count;
}

/* Killed with nothing in flight, it is afterwards where it was. */
static void kill_at_rest(struct daemon *daemon)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);
    struct admin_position before = admin_position(client);
    struct admin_position after;

    mxadm_client_close(client);
    daemon_kill(daemon);
    daemon_start(daemon);
    client = admin_open(daemon_url(daemon, 0), 0);
    after = admin_position(client);
    mxadm_client_close(client);
    CHECK(before.revision == after.revision, "revision %" PRIu64 " became %" PRIu64,
          before.revision, after.revision);
    CHECK(memcmp(before.chain, after.chain, sizeof(before.chain)) == 0,
          "the chain of revision %" PRIu64 " is another after a restart", after.revision);
}

/* --------------------------------------------------------------------- run */

static void add_shared_domains(struct daemon *daemon, struct facts *shared)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);

    for (unsigned i = 0; i < SHARED; i++) {
        char domain[NAME_SIZE];
        char account[NAME_SIZE];

        shared_domain(domain, i);
        (void) snprintf(account, sizeof(account), "shared%u", i);
        (void) admin_done(admin_domain_add(client, domain, account, "first", NULL));
        admin_domain_facts(shared, domain, account, "first");
    }
    mxadm_client_close(client);
}

static void tell_sums(const struct worker *workers, unsigned rounds, unsigned made)
{
    unsigned long done = 0;
    unsigned domains = 0;

    for (unsigned i = 0; i < WORKERS; i++) {
        done += workers[i].done;
        domains += count_facts(&workers[i].ledger, "domain ");
    }
    (void) printf("%u kills, %lu changes, %u domains; of the changes in flight %u had been made\n",
                  rounds, done, domains, made);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned) strtoul(argv[1], NULL, 10) : ROUNDS;
    struct worker workers[WORKERS] = { 0 };
    struct facts shared = { 0 };
    struct seed random = seed_init();
    struct daemon daemon;
    unsigned made = 0;

    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].number = i;
        workers[i].random.state = seed_next(&random);
    }
    daemon_init(&daemon, settings);
    daemon_start(&daemon);
    add_shared_domains(&daemon, &shared);
    for (unsigned round = 1; round <= rounds; round++) {
        change_until_killed(&daemon, workers, round, &random);
        daemon_start(&daemon);
        made += check_restarted(&daemon, workers, &shared);
        if (round % REST_EVERY == 0) {
            kill_at_rest(&daemon);
        }
    }
    (void) check_restarted(&daemon, workers, &shared);
    CHECK(daemon_stop(&daemon) == DAEMON_EXIT_OK, "it did not end well");
    tell_sums(workers, rounds, made);
    for (unsigned i = 0; i < WORKERS; i++) {
        facts_fini(&workers[i].ledger);
        forget_change(&workers[i].change);
    }
    facts_fini(&shared);
    daemon_fini(&daemon);
    return 0;
}
