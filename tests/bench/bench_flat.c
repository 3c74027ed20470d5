/*
 * Whether cost grows with the configuration: each call at 1,000 accounts and at up to a million
 * (--full: ten million); start, memory and end beside a raw scan of the same rows.
 *
 *   bench_flat MXADMD DIRECTORY SEEDS POINTS [--full]
 *
 * DIRECTORY is empty and on the file system to measure; databases are made once and kept in SEEDS.
 * POINTS becomes a table for curves.gp, one line a size. One daemon for each size, all running;
 * rounds take turns, and medians are compared. Prints a table in Markdown. Ends with 1 if a promise
 * is not kept.
 */
#include "bench/bench.h"
#include "bench/seeded.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SIZES        5
#define CLIENTS      64
#define ROUNDS       5
#define START_ROUNDS 3
#define CALLS        2000
/* Domains take two keys each from the pool, which is filled before the rounds begin and not between
 * them: what keys cost is measured elsewhere. */
#define DOMAIN_CALLS 2
#define SETTLE_MS    200
/* The promises. */
#define TIME_MAX   1.5 /* of the time at the smallest size */
#define MEMORY_MAX 2.5 /* of the packed bytes of the records, keys and values */
#define START_MAX  2.0 /* of a scan */
#define STOP_MAX   5.0 /* seconds */

/* 22 keys: ROUNDS * DOMAIN_CALLS domains, and one pair that keeps the pool from being filled anew.
 */
static const char settings[] = "log: {level: warning}\n"
                               "keys: {rsa2048: {low: 1, high: 22}, ed25519: {low: 0, high: 0}}\n";

static const uint64_t accounts[SIZES] = { 1000, 10000, 100000, 1000000, 10000000 };

/* Removed accounts are those that were added. */
static const enum seeded_call order[] = {
    SEEDED_ACCOUNT_ADD,    SEEDED_ADDRESS_ADD,  SEEDED_ALIAS_ADD,      SEEDED_MEMBER_ADD,
    SEEDED_ACCOUNT_SAVE,   SEEDED_DOMAIN_SAVE,  SEEDED_ACCOUNT_REMOVE, SEEDED_DOMAIN_ADD,
    SEEDED_ADDRESS_LOOKUP, SEEDED_ACCOUNT_LIST, SEEDED_CHANGE_LIST,
};
#define ORDERED (sizeof(order) / sizeof(order[0]))

struct size {
    struct seeded seeded;
    struct seeded_scan scan;
    double start_s;
    double scan_s;
    double stop_s;
    double memory;                                      /* after the start */
    double memory_after;                                /* after all calls */
    double wall_us[SEEDED_CALLS], cpu_us[SEEDED_CALLS]; /* a call */
};

static struct size sizes[SIZES];

/* ------------------------------------------------------------------ measuring */

static void measure_start(struct size *size)
{
    double start[START_ROUNDS];
    double scan[START_ROUNDS];

    for (int round = 0; round < START_ROUNDS; round++) {
        size->scan = seeded_scan(&size->seeded);
        scan[round] = size->scan.seconds;
        start[round] = seeded_start(&size->seeded);
        size->memory = (double) seeded_memory(&size->seeded);
        (void) seeded_stop(&size->seeded);
    }
    size->start_s = bench_median(start, START_ROUNDS);
    size->scan_s = bench_median(scan, START_ROUNDS);
}

/* Until its pool of keys is full and what it does at first is done. */
static void settle(const struct size *size)
{
    double before;
    double now = process_cpu_seconds(size->seeded.pid);

    do {
        before = now;
        (void) poll(NULL, 0, SETTLE_MS);
        now = process_cpu_seconds(size->seeded.pid);
    } while (now - before > 0.01);
}

static uint64_t calls_of(enum seeded_call call)
{
    return call == SEEDED_DOMAIN_ADD ? DOMAIN_CALLS : CALLS;
}

static unsigned clients_of(enum seeded_call call)
{
    return calls_of(call) < CLIENTS ? (unsigned) calls_of(call) : CLIENTS;
}

static void measure_round(struct size *size, enum seeded_call call, double *wall, double *cpu)
{
    uint64_t calls = calls_of(call);
    double before = process_cpu_seconds(size->seeded.pid);
    struct load_result result = seeded_run(&size->seeded, call, clients_of(call), calls);

    *wall = (double) result.us / (double) calls;
    *cpu = (process_cpu_seconds(size->seeded.pid) - before) * 1e6 / (double) calls;
}

static void measure_call(enum seeded_call call, size_t count)
{
    double wall[SIZES][ROUNDS];
    double cpu[SIZES][ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            measure_round(&sizes[i], call, &wall[i][round], &cpu[i][round]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        sizes[i].wall_us[call] = bench_median(wall[i], ROUNDS);
        sizes[i].cpu_us[call] = bench_median(cpu[i], ROUNDS);
    }
}

static void measure(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        measure_start(&sizes[i]);
        (void) fprintf(stderr, "bench: measured the start at %" PRIu64 "\n", accounts[i]);
    }
    for (size_t i = 0; i < count; i++) {
        (void) seeded_start(&sizes[i].seeded);
    }
    for (size_t i = 0; i < count; i++) {
        settle(&sizes[i]);
    }
    for (size_t i = 0; i < ORDERED; i++) {
        measure_call(order[i], count);
        (void) fprintf(stderr, "bench: measured %s\n", seeded_call_name(order[i]));
    }
    for (size_t i = 0; i < count; i++) {
        sizes[i].memory_after = (double) seeded_memory(&sizes[i].seeded);
        sizes[i].stop_s = seeded_stop(&sizes[i].seeded);
    }
}

/* -------------------------------------------------------------------- telling */

static void tell_call(enum seeded_call call, const struct size *large, double most)
{
    char what[128];
    char ours[64];
    char peer[64];

    (void) snprintf(what, sizeof(what), "%s at %" PRIu64 " accounts, %u clients",
                    seeded_call_name(call), large->seeded.accounts, clients_of(call));
    (void) snprintf(ours, sizeof(ours), "%.0f us (processor %.0f)", large->wall_us[call],
                    large->cpu_us[call]);
    (void) snprintf(peer, sizeof(peer), "%.0f us (%.0f) at %" PRIu64, sizes[0].wall_us[call],
                    sizes[0].cpu_us[call], sizes[0].seeded.accounts);
    bench_table_row(what, ours, peer, large->wall_us[call] / sizes[0].wall_us[call], most);
}

static void tell_size(const struct size *size, double most_memory, double most_start)
{
    double packed = (double) (size->scan.key_bytes + size->scan.value_bytes);
    double memory = size->memory > size->memory_after ? size->memory : size->memory_after;
    char what[128];
    char ours[64];
    char peer[64];

    (void) snprintf(what, sizeof(what), "memory at %" PRIu64 " accounts", size->seeded.accounts);
    (void) snprintf(ours, sizeof(ours), "%.0f MB (%.0f at start)", memory / 1e6,
                    size->memory / 1e6);
    (void) snprintf(peer, sizeof(peer), "%.0f MB packed (values %.0f)", packed / 1e6,
                    (double) size->scan.value_bytes / 1e6);
    bench_table_row(what, ours, peer, memory / packed, most_memory);
    (void) snprintf(what, sizeof(what), "start at %" PRIu64 " accounts", size->seeded.accounts);
    (void) snprintf(ours, sizeof(ours), "%.2f s", size->start_s);
    (void) snprintf(peer, sizeof(peer), "%.2f s scan of the rows", size->scan_s);
    bench_table_row(what, ours, peer, size->start_s / size->scan_s, most_start);
    (void) snprintf(what, sizeof(what), "shutdown at %" PRIu64 " accounts", size->seeded.accounts);
    (void) snprintf(ours, sizeof(ours), "%.2f s", size->stop_s);
    bench_table_row(what, ours, "1 s", size->stop_s, STOP_MAX);
}

/* The promises are about the million; the rest is told. */
static void tell(size_t count)
{
    bench_table_begin();
    for (size_t i = 3; i < count; i++) {
        bool promised = accounts[i] == 1000000;

        for (size_t k = 0; k < ORDERED; k++) {
            tell_call(order[k], &sizes[i], promised ? TIME_MAX : 0);
        }
        tell_size(&sizes[i], promised ? MEMORY_MAX : 0, promised ? START_MAX : 0);
    }
}

static void write_points(const char *path, size_t count)
{
    FILE *file = fopen(path, "we");

    bench_check(file != NULL, "can't write the points");
    (void) fprintf(file, "accounts\tstart_s\tscan_s\tstop_s\tmemory\tmemory_after\tpacked");
    for (size_t k = 0; k < ORDERED; k++) {
        (void) fprintf(file, "\t%s", seeded_call_name(order[k]));
    }
    for (size_t i = 0; i < count; i++) {
        const struct size *size = &sizes[i];

        (void) fprintf(file, "\n%" PRIu64 "\t%.4f\t%.4f\t%.3f\t%.0f\t%.0f\t%" PRIu64, accounts[i],
                       size->start_s, size->scan_s, size->stop_s, size->memory, size->memory_after,
                       size->scan.key_bytes + size->scan.value_bytes);
        for (size_t k = 0; k < ORDERED; k++) {
            (void) fprintf(file, "\t%.1f", size->wall_us[order[k]]);
        }
    }
    (void) fprintf(file, "\n");
    bench_check(fclose(file) == 0, "can't write the points");
}

int main(int argc, char **argv)
{
    bool full = argc == 6 && strcmp(argv[5], "--full") == 0;
    size_t count = full ? SIZES : SIZES - 1;

    if (argc != 5 && !full) {
        (void) fprintf(stderr, "usage: bench_flat MXADMD DIRECTORY SEEDS POINTS [--full]\n");
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        seeded_init(&sizes[i].seeded, argv[1], argv[2], argv[3], accounts[i], settings);
    }
    measure(count);
    tell(count);
    write_points(argv[4], count);
    return bench_table_kept() ? 0 : 1;
}
