/*
 * The daemon's promises of speed, each measured beside its peer in one run:
 *
 *   AccountGet   64 outstanding over ipc, against an nng server that answers
 *                the same bytes to requests of the same size from as many
 *                contexts, in a process of its own;
 *   AccountAdd   64 clients, against raw SQLite that inserts the same rows, 64
 *                to a transaction;
 *   Batch        of 256 AccountAdd, one after the other, against raw SQLite that
 *                inserts the rows of 256 of them to a transaction;
 *   AddressAdd   in a store of 100,000 accounts, against one of 1,000;
 *   AddressAdd, AliasAdd, AliasAddressesAdd
 *                in an account, domain and alias of 100,000, against ones of
 *                10 in the same store.
 *
 *   bench_service MXADMD DIRECTORY JSON
 *
 * DIRECTORY is empty and on the file system to measure. The daemon is MXADMD
 * itself with its defaults, given all that a client library would send. Load
 * comes from a process of its own each round (bench/load.h); rounds of both
 * sides take turns, and medians are compared.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/echo.h"
#include "bench/load.h"
#include "bench/raw.h"
#include "bench/requests.h"
#include "mxadm/v1/admin.pb-c.h"
#include "mxadm/v1/rpc.pb-c.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTSTANDING      64
#define CLIENTS          64
#define BATCH_CLIENTS    4
#define CONTEXTS         256 /* the daemon's default */
#define FEW_ACCOUNTS     1000
#define MANY_ACCOUNTS    100000
#define READ_ROUNDS      7
#define CHANGE_ROUNDS    5
#define GROWTH_ROUNDS    9
#define WARM_UP_US       200000
#define ROUND_US         800000
#define GROWTH_CALLS     4000
#define GROWTH_WARM_UP   500
#define FEW_SIBLINGS     10
#define MANY_SIBLINGS    100000
#define SIBLING_ROUNDS   7
#define SIBLING_CALLS    500 /* a round leaves so many more among the few, for a while */
#define FILL_OUTSTANDING 128
/* Revisions and times in a record take so many bytes more or less. */
#define ANSWER_SLACK 8
/* A change's head: time, principal, method, request id. */
#define CHANGE_HEAD_BYTES 70

/* ------------------------------------------------------------------ daemon */

struct daemon {
    const char *program;
    char state[PATH_MAX];
    char settings[PATH_MAX + 16];
    char path[PATH_MAX + 16]; /* of its socket */
    pid_t pid;
    uint64_t accounts; /* numbered from 0 */
    uint64_t next;     /* number of the next address */
};

static void write_settings(const struct daemon *daemon)
{
    FILE *file = fopen(daemon->settings, "we");

    bench_check(file != NULL, "can't write settings");
    /* No key is made ahead: that would take processor time from both sides at times. */
    (void) fprintf(file,
                   "urls: [\"ipc://%s\"]\nstate_directory: \"%s\"\nhost_name: mail.example\n"
                   "keys: {rsa2048: {low: 0, high: 0}, ed25519: {low: 0, high: 0}}\n",
                   daemon->path, daemon->state);
    bench_check(fclose(file) == 0, "can't write settings");
}

/* `of`: of the siblings. */
static struct load_result call_of(const struct daemon *daemon, enum request_kind kind,
                                  const char *of, unsigned outstanding, uint64_t first,
                                  uint64_t count)
{
    struct requests requests = { kind, daemon->accounts, of };
    struct load load = { .path = daemon->path,
                         .connections = outstanding < CLIENTS ? outstanding : CLIENTS,
                         .outstanding = outstanding,
                         .make = request_make,
                         .context = &requests,
                         .first = first,
                         .calls = count };
    struct load_result result;

    process_run(load_run, &load, &result, sizeof(result));
    return result;
}

static struct load_result call(const struct daemon *daemon, enum request_kind kind,
                               unsigned outstanding, uint64_t first, uint64_t count)
{
    return call_of(daemon, kind, NULL, outstanding, first, count);
}

static void daemon_start(struct daemon *daemon, const char *program, const char *directory,
                         const char *name)
{
    memset(daemon, 0, sizeof(*daemon));
    daemon->program = program;
    (void) snprintf(daemon->state, sizeof(daemon->state), "%s/%s", directory, name);
    (void) snprintf(daemon->settings, sizeof(daemon->settings), "%s.yaml", daemon->state);
    (void) snprintf(daemon->path, sizeof(daemon->path), "%s.sock", daemon->state);
    bench_check(mkdir(daemon->state, 0700) == 0, "can't make the state directory");
    write_settings(daemon);
    daemon->pid = process_start_daemon(daemon->program, daemon->settings);
    load_await(daemon->path);
    (void) call(daemon, REQUEST_DOMAIN_ADD, 1, 0, 1);
}

static struct load_result daemon_fill(struct daemon *daemon, uint64_t accounts)
{
    struct load_result result =
        call(daemon, REQUEST_ACCOUNT_ADD, FILL_OUTSTANDING, daemon->accounts, accounts);

    daemon->accounts += accounts;
    return result;
}

/* ------------------------------------------------------------------ figures */

struct figure {
    const char *what;
    const char *unit;
    double ours;
    const char *peer_name;
    double peer;
    double ratio;
    const char *promise; /* NULL: told for completeness */
    bool kept;
};

#define FIGURES_MAX 24

static struct figure figures[FIGURES_MAX];
static size_t figure_count;

static void add_figure(struct figure figure)
{
    bench_check(figure_count < FIGURES_MAX, "too many figures");
    figures[figure_count++] = figure;
}

static double rate(const struct load_result *result)
{
    return (double) result->calls * 1e6 / (double) result->us;
}

/* ------------------------------------------------------------------- reads */

static struct load_result read_round(const char *path, uint64_t accounts, unsigned connections)
{
    struct requests requests = { REQUEST_ACCOUNT_GET, accounts };
    struct load load = { .path = path,
                         .connections = connections,
                         .outstanding = OUTSTANDING,
                         .make = request_make,
                         .context = &requests,
                         .warm_up_us = WARM_UP_US,
                         .run_us = ROUND_US };
    struct load_result result;

    process_run(load_run, &load, &result, sizeof(result));
    return result;
}

static double read_rate(const char *path, const struct daemon *daemon, unsigned connections,
                        size_t answer_len)
{
    struct load_result result = read_round(path, daemon->accounts, connections);

    bench_check(labs((long) result.answer_len - (long) answer_len) <= ANSWER_SLACK,
                "an answer has another size");
    return rate(&result);
}

static void add_read_figure(struct figure figure, double ours, double peer)
{
    figure.unit = "calls/s";
    figure.ours = ours;
    figure.peer = peer;
    figure.ratio = ours / peer;
    figure.kept = figure.ratio >= 0.7;
    add_figure(figure);
}

/* Beside an echo as anybody would write it, which is what is promised, and beside one that is kept
 * to one processor as the daemon keeps nng's threads. */
static void compare_reads(const struct daemon *daemon, const char *echo_path, const char *kept_path,
                          size_t answer_len, unsigned connections, const char *what)
{
    double ours[READ_ROUNDS];
    double echo[READ_ROUNDS];
    double kept[READ_ROUNDS];
    double median;

    for (int i = 0; i < READ_ROUNDS; i++) {
        ours[i] = read_rate(daemon->path, daemon, connections, answer_len);
        echo[i] = read_rate(echo_path, daemon, connections, answer_len);
        kept[i] = read_rate(kept_path, daemon, connections, answer_len);
    }
    median = bench_median(ours, READ_ROUNDS);
    add_read_figure((struct figure){ .what = what,
                                     .peer_name = "nng echo of the same bytes",
                                     .promise = "at least 0.7" },
                    median, bench_median(echo, READ_ROUNDS));
    add_read_figure((struct figure){ .what = "the same",
                                     .peer_name = "the echo, its nng kept to one processor as "
                                                  "the daemon's is" },
                    median, bench_median(kept, READ_ROUNDS));
}

static void measure_reads(const struct daemon *daemon, const char *directory)
{
    struct load_result one = call(daemon, REQUEST_ACCOUNT_GET, 1, 1, 1);
    char paths[2][PATH_MAX];
    char url[PATH_MAX + 8];
    pid_t pids[2];

    for (int i = 0; i < 2; i++) {
        struct echo echo = { url, CONTEXTS, one.answer, one.answer_len, i == 1 };

        (void) snprintf(paths[i], sizeof(paths[i]), "%s/echo%d.sock", directory, i);
        (void) snprintf(url, sizeof(url), "ipc://%s", paths[i]);
        pids[i] = process_start(echo_serve, &echo);
        load_await(paths[i]);
    }
    (void) fprintf(stderr, "bench: AccountGet: request %zu bytes, answer %zu\n", one.request_len,
                   one.answer_len);
    compare_reads(daemon, paths[0], paths[1], one.answer_len, 1,
                  "AccountGet of 100,000, 64 outstanding, 1 connection");
    compare_reads(daemon, paths[0], paths[1], one.answer_len, CLIENTS,
                  "AccountGet of 100,000, 64 outstanding, 64 connections");
    process_end(pids[0]);
    process_end(pids[1]);
}

/* ----------------------------------------------------------------- changes */

struct raw_round {
    const char *path;
    struct rows_shape shape;
    uint64_t made;
    bench_commit *commit;
    size_t group; /* requests to a transaction */
};

struct raw_result {
    double rate;
    uint64_t made;
};

/* In a process of its own, and in the database of the rounds before: both sides grow. */
static void raw_run_round(void *argument, void *result)
{
    static struct rows rows;
    const struct raw_round *round = argument;
    struct raw_result *out = result;
    struct raw raw;

    rows_init(&rows, &round->shape);
    rows.made = round->made;
    raw_open(&raw, round->path);
    out->rate = rows_measure(round->commit, &raw, &rows, round->group, ROUND_US);
    out->made = rows.made;
    raw_close(&raw);
    rows_fini(&rows);
}

static double add_round(struct daemon *daemon)
{
    struct requests requests = { REQUEST_ACCOUNT_ADD, 0, NULL };
    struct load load = { .path = daemon->path,
                         .connections = CLIENTS,
                         .outstanding = CLIENTS,
                         .make = request_make,
                         .context = &requests,
                         .first = daemon->accounts,
                         .warm_up_us = WARM_UP_US,
                         .run_us = ROUND_US };
    struct load_result result;

    process_run(load_run, &load, &result, sizeof(result));
    daemon->accounts = result.next;
    return rate(&result);
}

/* The sizes of the rows, from a real answer. */
static struct rows_shape shape_of(const struct load_result *result)
{
    struct rows_shape shape = { .answer = result->answer_len, .head = CHANGE_HEAD_BYTES };
    Mxadm__V1__Response *response =
        mxadm__v1__response__unpack(NULL, result->answer_len, result->answer);
    Mxadm__V1__AccountAddResponse *added =
        response == NULL ? NULL
                         : mxadm__v1__account_add_response__unpack(NULL, response->message.len,
                                                                   response->message.data);

    bench_check(added != NULL && added->account != NULL && added->address != NULL,
                "AccountAdd has another answer");
    shape.values[0] = mxadm__v1__account__get_packed_size(added->account);
    shape.values[1] = mxadm__v1__address__get_packed_size(added->address);
    mxadm__v1__account_add_response__free_unpacked(added, NULL);
    mxadm__v1__response__free_unpacked(response, NULL);
    return shape;
}

static double raw_take_round(struct raw_round *round)
{
    struct raw_result result;

    process_run(raw_run_round, round, &result, sizeof(result));
    round->made = result.made;
    return result.rate;
}

static void measure_changes(struct daemon *daemon, const char *directory)
{
    struct load_result filled = daemon_fill(daemon, FEW_ACCOUNTS);
    struct rows_shape shape = shape_of(&filled);
    char groups_path[PATH_MAX];
    char singles_path[PATH_MAX];
    struct raw_round groups = { groups_path, shape, 0, raw_commit, CLIENTS };
    struct raw_round singles = { singles_path, shape, 0, raw_commit_single_rows, CLIENTS };
    double ours[CHANGE_ROUNDS];
    double peer[CHANGE_ROUNDS];
    double strict[CHANGE_ROUNDS];
    struct figure figure = { .what = "AccountAdd, 64 clients",
                             .unit = "objects/s",
                             .peer_name = "raw SQLite, the 4 rows of each object, 64 objects "
                                          "a transaction",
                             .promise = "at least 0.4" };

    (void) fprintf(stderr, "bench: AccountAdd: records of %zu and %zu bytes, answer %zu\n",
                   shape.values[0], shape.values[1], shape.answer);
    (void) snprintf(groups_path, sizeof(groups_path), "%s/groups.db", directory);
    (void) snprintf(singles_path, sizeof(singles_path), "%s/singles.db", directory);
    for (int i = 0; i < CHANGE_ROUNDS; i++) {
        ours[i] = add_round(daemon);
        peer[i] = raw_take_round(&groups);
        strict[i] = raw_take_round(&singles);
    }
    figure.ours = bench_median(ours, CHANGE_ROUNDS);
    figure.peer = bench_median(peer, CHANGE_ROUNDS);
    figure.ratio = figure.ours / figure.peer;
    figure.kept = figure.ratio >= 0.4;
    add_figure(figure);
    figure.what = "the same, its rows counted one by one";
    figure.unit = "rows/s";
    figure.peer_name = "raw SQLite, single records, 64 rows a transaction";
    figure.ours *= 4;
    figure.peer = bench_median(strict, CHANGE_ROUNDS);
    figure.ratio = figure.ours / figure.peer;
    figure.kept = figure.ratio >= 0.4;
    add_figure(figure);
    figure.what = "the same, the whole call counted as one row";
    figure.unit = "calls/s, rows/s";
    figure.ours /= 4;
    figure.ratio = figure.ours / figure.peer;
    figure.promise = NULL;
    add_figure(figure);
}

/* ----------------------------------------------------------------- batches */

/* Objects a second. */
static double batch_round(struct daemon *daemon, unsigned outstanding)
{
    struct requests requests = { REQUEST_ACCOUNT_ADD_BATCH, 0 };
    struct load load = { .path = daemon->path,
                         .connections = outstanding,
                         .outstanding = outstanding,
                         .make = request_make,
                         .context = &requests,
                         .first = daemon->next,
                         .warm_up_us = WARM_UP_US,
                         .run_us = ROUND_US };
    struct load_result result;

    process_run(load_run, &load, &result, sizeof(result));
    daemon->next = result.next;
    return rate(&result) * BENCH_BATCH;
}

static void add_batch_figure(struct figure figure, double ours, double peer)
{
    figure.unit = "objects/s";
    figure.ours = ours;
    figure.peer = peer;
    figure.ratio = ours / peer;
    figure.kept = figure.ratio >= 0.8;
    add_figure(figure);
}

static void measure_batches(struct daemon *daemon, const char *directory)
{
    struct load_result one = call(daemon, REQUEST_ACCOUNT_ADD, 1, UINT32_MAX, 1);
    struct rows_shape shape = shape_of(&one);
    char groups_path[PATH_MAX];
    char batches_path[PATH_MAX];
    struct raw_round groups = { groups_path, shape, 0, raw_commit, BENCH_BATCH };
    struct raw_round batches = { batches_path, shape, 0, raw_commit_batch, BENCH_BATCH };
    double alone[CHANGE_ROUNDS];
    double several[CHANGE_ROUNDS];
    double peer[CHANGE_ROUNDS];
    double strict[CHANGE_ROUNDS];

    (void) snprintf(groups_path, sizeof(groups_path), "%s/groups256.db", directory);
    (void) snprintf(batches_path, sizeof(batches_path), "%s/batches.db", directory);
    for (int i = 0; i < CHANGE_ROUNDS; i++) {
        alone[i] = batch_round(daemon, 1);
        peer[i] = raw_take_round(&groups);
        several[i] = batch_round(daemon, BATCH_CLIENTS);
        strict[i] = raw_take_round(&batches);
    }
    add_batch_figure((struct figure){ .what = "AccountAdd in batches of 256, 1 client",
                                      .peer_name = "raw SQLite, the 4 rows of each object, 256 "
                                                   "objects a transaction",
                                      .promise = "at least 0.8" },
                     bench_median(alone, CHANGE_ROUNDS), bench_median(peer, CHANGE_ROUNDS));
    add_batch_figure((struct figure){ .what = "the same",
                                      .peer_name = "raw SQLite, the rows that a batch leaves" },
                     bench_median(alone, CHANGE_ROUNDS), bench_median(strict, CHANGE_ROUNDS));
    add_batch_figure((struct figure){ .what = "the same, 4 clients",
                                      .peer_name = "as above: 4 rows of each object" },
                     bench_median(several, CHANGE_ROUNDS), bench_median(peer, CHANGE_ROUNDS));
}

/* ------------------------------------------------------------------ growth */

struct cost {
    double wall_us;
    double cpu_us;
};

/* Adds addresses and takes them away again, so that the store stays as large as it is. */
static struct cost growth_round(struct daemon *daemon)
{
    uint64_t first = daemon->next;
    struct load_result warm = call(daemon, REQUEST_ADDRESS_ADD, CLIENTS, first, GROWTH_WARM_UP);
    double cpu = process_cpu_seconds(daemon->pid);
    struct load_result timed = call(daemon, REQUEST_ADDRESS_ADD, CLIENTS, warm.next, GROWTH_CALLS);
    struct cost cost = { .wall_us = (double) timed.us / GROWTH_CALLS,
                         .cpu_us = (process_cpu_seconds(daemon->pid) - cpu) * 1e6 / GROWTH_CALLS };

    (void) call(daemon, REQUEST_ADDRESS_REMOVE, CLIENTS, first, timed.next - first);
    daemon->next = timed.next;
    return cost;
}

static void measure_growth(struct daemon *few, struct daemon *many)
{
    double few_wall[GROWTH_ROUNDS];
    double few_cpu[GROWTH_ROUNDS];
    double many_wall[GROWTH_ROUNDS];
    double many_cpu[GROWTH_ROUNDS];
    struct figure figure = { .what = "AddressAdd at 100,000 accounts, 64 clients",
                             .unit = "us a call",
                             .peer_name = "at 1,000 accounts",
                             .promise = "at most 1.5" };

    for (int i = 0; i < GROWTH_ROUNDS; i++) {
        struct cost small = growth_round(few);
        struct cost large = growth_round(many);

        few_wall[i] = small.wall_us;
        few_cpu[i] = small.cpu_us;
        many_wall[i] = large.wall_us;
        many_cpu[i] = large.cpu_us;
    }
    figure.ours = bench_median(many_wall, GROWTH_ROUNDS);
    figure.peer = bench_median(few_wall, GROWTH_ROUNDS);
    figure.ratio = figure.ours / figure.peer;
    figure.kept = figure.ratio <= 1.5;
    add_figure(figure);
    figure.what = "the same, processor time of the daemon";
    figure.ours = bench_median(many_cpu, GROWTH_ROUNDS);
    figure.peer = bench_median(few_cpu, GROWTH_ROUNDS);
    figure.ratio = figure.ours / figure.peer;
    figure.promise = NULL;
    add_figure(figure);
}

/* ---------------------------------------------------------------- siblings */

/* An account, an alias and a domain, each of so many. */
static void fill_siblings(const struct daemon *daemon, const char *of, uint64_t count)
{
    uint64_t groups = (count - 1) / BENCH_MEMBERS;

    (void) call_of(daemon, REQUEST_OF_DOMAIN_ADD, of, 1, 0, 1);
    (void) call_of(daemon, REQUEST_OF_ACCOUNT_ADD, of, 1, 0, 1);
    (void) call_of(daemon, REQUEST_OF_ADDRESS_ADD, of, FILL_OUTSTANDING, 1, count);
    (void) call_of(daemon, REQUEST_OF_ALIAS_ADD, of, 1, 0, 1);
    if (groups > 0) {
        (void) call_of(daemon, REQUEST_MEMBERS_ADD, of, FILL_OUTSTANDING, 0, groups);
    }
    (void) call_of(daemon, REQUEST_ALIAS_ADD, of, FILL_OUTSTANDING, 0, count);
}

struct sibling_call {
    const char *what;
    const char *peer_name;
    enum request_kind add;
    enum request_kind remove;
    uint64_t first; /* number of the first: members come from the pool, the others are new names */
    const char *promise;
};

static double sibling_round(const struct daemon *daemon, const struct sibling_call *sibling,
                            const char *of, uint64_t first)
{
    struct load_result timed = call_of(daemon, sibling->add, of, CLIENTS, first, SIBLING_CALLS);

    (void) call_of(daemon, sibling->remove, of, CLIENTS, first, timed.next - first);
    return (double) timed.us / SIBLING_CALLS;
}

static void measure_sibling(const struct daemon *daemon, const struct sibling_call *sibling)
{
    double few[SIBLING_ROUNDS];
    double many[SIBLING_ROUNDS];
    uint64_t first = sibling->first;
    struct figure figure = { .what = sibling->what,
                             .unit = "us a call",
                             .peer_name = sibling->peer_name,
                             .promise = sibling->promise };

    for (int i = 0; i < SIBLING_ROUNDS; i++, first += SIBLING_CALLS) {
        few[i] = sibling_round(daemon, sibling, "few", first);
        many[i] = sibling_round(daemon, sibling, "many", first);
    }
    figure.ours = bench_median(many, SIBLING_ROUNDS);
    figure.peer = bench_median(few, SIBLING_ROUNDS);
    figure.ratio = figure.ours / figure.peer;
    figure.kept = figure.ratio <= 1.5;
    add_figure(figure);
}

static void measure_siblings(const struct daemon *daemon)
{
    /*
     * New names in no order among 100,000 change a page of SQLite's each; among a few, all change
     * the same few pages. That is what the disk asks for rows anywhere in a large table,
     * whosesoever siblings they are: told beside the figure without it.
     */
    static const struct sibling_call calls[] = {
        { "AddressAdd, account of 100,000 addresses, 64 clients", "account of 10",
          REQUEST_OF_ADDRESS_ADD, REQUEST_OF_ADDRESS_REMOVE, 2 * (uint64_t) MANY_SIBLINGS,
          "at most 1.5" },
        { "AliasAdd, domain of 100,000 aliases, 64 clients", "domain of 10", REQUEST_ALIAS_ADD,
          REQUEST_ALIAS_REMOVE, BENCH_CLOSE, "at most 1.5" },
        { "the same, new names in no order, each on pages of its own", "domain of 10",
          REQUEST_ALIAS_ADD, REQUEST_ALIAS_REMOVE, 2 * (uint64_t) MANY_SIBLINGS, NULL },
        { "AliasAddressesAdd, alias of 100,000 members, 64 clients", "alias of 10",
          REQUEST_MEMBER_ADD, REQUEST_MEMBER_REMOVE, 0, "at most 1.5" },
    };

    (void) call_of(daemon, REQUEST_OF_ACCOUNT_ADD, "pool", 1, 0, 1);
    (void) call_of(daemon, REQUEST_OF_ADDRESS_ADD, "pool", FILL_OUTSTANDING, 1,
                   (uint64_t) SIBLING_CALLS * (SIBLING_ROUNDS + 1));
    fill_siblings(daemon, "few", FEW_SIBLINGS);
    fill_siblings(daemon, "many", MANY_SIBLINGS);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        measure_sibling(daemon, &calls[i]);
    }
}

/* ------------------------------------------------------------------ telling */

static void print_table(void)
{
    bench_table_begin();
    for (size_t i = 0; i < figure_count; i++) {
        const struct figure *figure = &figures[i];

        (void) printf("| %s | %.0f %s | %.0f (%s) | %.2f | %s%s |\n", figure->what, figure->ours,
                      figure->unit, figure->peer, figure->peer_name, figure->ratio,
                      figure->promise == NULL ? "" : figure->promise,
                      figure->promise == NULL || figure->kept ? "" : ": **not kept**");
    }
}

static void write_json(const char *path)
{
    FILE *file = fopen(path, "we");

    bench_check(file != NULL, "can't write the JSON file");
    (void) fprintf(file, "[\n");
    for (size_t i = 0; i < figure_count; i++) {
        const struct figure *figure = &figures[i];

        (void) fprintf(file,
                       "  {\"what\": \"%s\", \"unit\": \"%s\", \"ours\": %.1f, \"peer\": \"%s\", "
                       "\"peer_value\": %.1f, \"ratio\": %.3f, \"promise\": \"%s\", "
                       "\"kept\": %s}%s\n",
                       figure->what, figure->unit, figure->ours, figure->peer_name, figure->peer,
                       figure->ratio, figure->promise == NULL ? "" : figure->promise,
                       figure->promise == NULL ? "null" : (figure->kept ? "true" : "false"),
                       i + 1 < figure_count ? "," : "");
    }
    (void) fprintf(file, "]\n");
    bench_check(fclose(file) == 0, "can't write the JSON file");
}

/* 1: a promise is not kept. */
static int verdict(void)
{
    for (size_t i = 0; i < figure_count; i++) {
        if (figures[i].promise != NULL && !figures[i].kept) {
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct daemon few;
    struct daemon many;
    struct daemon adding;
    struct daemon siblings;
    struct load_result filled;

    if (argc != 4) {
        bench_fail("usage: bench_service MXADMD DIRECTORY JSON");
    }
    daemon_start(&few, argv[1], argv[2], "few");
    (void) daemon_fill(&few, FEW_ACCOUNTS);
    daemon_start(&many, argv[1], argv[2], "many");
    filled = daemon_fill(&many, MANY_ACCOUNTS);
    (void) fprintf(stderr, "bench: %d accounts added in %.1f s, %d outstanding\n", MANY_ACCOUNTS,
                   (double) filled.us / 1e6, FILL_OUTSTANDING);
    measure_reads(&many, argv[2]);
    daemon_start(&adding, argv[1], argv[2], "adding");
    measure_changes(&adding, argv[2]);
    process_end(adding.pid);
    daemon_start(&adding, argv[1], argv[2], "batches");
    measure_batches(&adding, argv[2]);
    process_end(adding.pid);
    measure_growth(&few, &many);
    process_end(few.pid);
    process_end(many.pid);
    daemon_start(&siblings, argv[1], argv[2], "siblings");
    measure_siblings(&siblings);
    process_end(siblings.pid);
    print_table();
    write_json(argv[3]);
    return verdict();
}
