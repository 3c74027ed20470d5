/*
 * A daemon that lives long: a mixed load that adds as much as it removes, and lists that pin
 * snapshots and are never read on. Memory, the database and times must level off.
 *
 *   bench_soak MXADMD DIRECTORY SEEDS MINUTES
 *
 * A line a minute goes to standard error, a table in Markdown to standard output. Ends with 1 if a
 * promise is not kept.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/seeded.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define ACCOUNTS UINT64_C(100000)
#define CLIENTS  64
/* Calls of one kind, one after another kind's. */
#define BURST           512
#define MINUTES_MAX     240
#define BURSTS_A_MINUTE 4096
#define MIB             1048576.0
/* A checkpoint begins at 16 MiB of log, behind the largest commit; SQLite gives back what the log
 * has beyond 32 MiB (db/sqlite.c). */
#define WAL_MAX_MIB 48.0
/* Growth over the second half, of what is there. */
#define GROWTH_MAX 1.05
/* p99 of the last quarter to that of the first. */
#define DRIFT_MAX 1.5

/* History and request ids are trimmed within the run. Pinned lists: as many as by default. */
static const char settings[] = "log: {level: warning}\n"
                               "keys: {rsa2048: {low: 0, high: 0}, ed25519: {low: 0, high: 0}}\n"
                               "history: {request_id_keep: 1m, changes_keep: 20000}\n";

/* Each round removes what it has added. Saves and lookups go anywhere; every list pins. */
static const enum seeded_call mix[] = {
    SEEDED_ACCOUNT_ADD,    SEEDED_ADDRESS_LOOKUP, SEEDED_ADDRESS_ADD,    SEEDED_ACCOUNT_LIST,
    SEEDED_ACCOUNT_SAVE,   SEEDED_CHANGE_LIST,    SEEDED_ACCOUNT_REMOVE, SEEDED_ADDRESS_LOOKUP,
    SEEDED_ADDRESS_REMOVE, SEEDED_DOMAIN_SAVE,
};

struct minute {
    double memory; /* at its end */
    double file;
    double wal;
    double change_p99_us; /* of a burst's time, a call */
    double read_p99_us;
    uint64_t calls;
};

static struct seeded served;
static struct minute minutes[MINUTES_MAX];

static double size_of(const char *name)
{
    char path[PATH_MAX + 32];
    struct stat about;

    (void) snprintf(path, sizeof(path), "%s/%s", served.state, name);
    return stat(path, &about) == 0 ? (double) about.st_size : 0;
}

/* The lists of histories read what is kept of it. */
static void keep_to_history(void)
{
    static const uint64_t kept = 10000;

    if (served.revisions > kept) {
        served.first += served.revisions - kept;
        served.revisions = kept;
    }
}

static void run_minute(struct minute *minute)
{
    static double change[BURSTS_A_MINUTE];
    static double read[BURSTS_A_MINUTE];
    int64_t until_us = clock_mono_us() + INT64_C(60000000);
    size_t changes = 0;
    size_t reads = 0;

    while (clock_mono_us() < until_us &&
           changes + reads + sizeof(mix) / sizeof(mix[0]) < BURSTS_A_MINUTE) {
        for (size_t i = 0; i < sizeof(mix) / sizeof(mix[0]); i++) {
            struct load_result result = seeded_run(&served, mix[i], CLIENTS, BURST);
            double us = (double) result.us / BURST;

            keep_to_history();
            minute->calls += BURST;
            if (mix[i] == SEEDED_ADDRESS_LOOKUP) {
                read[reads++] = us;
            } else if (seeded_is_change(mix[i])) {
                change[changes++] = us;
            }
        }
    }
    minute->memory = (double) seeded_memory(&served);
    minute->file = size_of("mxadm.db");
    minute->wal = size_of("mxadm.db-wal");
    minute->change_p99_us = bench_percentile(change, changes, 99);
    minute->read_p99_us = bench_percentile(read, reads, 99);
}

/* ------------------------------------------------------------------- telling */

/* Least squares, bytes a minute. */
static double slope(const struct minute *from, size_t count)
{
    double middle = (double) (count - 1) / 2;
    double above = 0;
    double below = 0;

    for (size_t i = 0; i < count; i++) {
        above += ((double) i - middle) * from[i].memory;
        below += ((double) i - middle) * ((double) i - middle);
    }
    return below == 0 ? 0 : above / below;
}

static double middle_p99(const struct minute *from, size_t count, bool of_reads)
{
    double values[MINUTES_MAX];

    for (size_t i = 0; i < count; i++) {
        values[i] = of_reads ? from[i].read_p99_us : from[i].change_p99_us;
    }
    return bench_median(values, count);
}

static void tell_drift(size_t count, bool of_reads)
{
    size_t quarter = count / 4 > 0 ? count / 4 : 1;
    double first = middle_p99(minutes, quarter, of_reads);
    double last = middle_p99(minutes + count - quarter, quarter, of_reads);
    char ours[64];
    char peer[64];

    (void) snprintf(ours, sizeof(ours), "%.0f us a call in the last quarter", last);
    (void) snprintf(peer, sizeof(peer), "%.0f us in the first", first);
    bench_table_row(of_reads ? "p99 of bursts of AddressLookup" : "p99 of bursts of changes", ours,
                    peer, last / first, DRIFT_MAX);
}

static void tell(size_t count)
{
    size_t half = count / 2;
    const struct minute *last = &minutes[count - 1];
    double growth = slope(minutes + half, count - half);
    double wal = 0;
    char ours[64];
    char peer[64];

    for (size_t i = 0; i < count; i++) {
        wal = minutes[i].wal > wal ? minutes[i].wal : wal;
    }
    bench_table_begin();
    (void) snprintf(ours, sizeof(ours), "%.1f MiB, %+.3f MiB a minute", last->memory / MIB,
                    growth / MIB);
    (void) snprintf(peer, sizeof(peer), "%.1f MiB at half time", minutes[half].memory / MIB);
    bench_table_row("memory, growth over the second half", ours, peer,
                    1 + growth * (double) (count - half) / last->memory, GROWTH_MAX);
    (void) snprintf(ours, sizeof(ours), "%.1f MiB", last->file / MIB);
    (void) snprintf(peer, sizeof(peer), "%.1f MiB at half time", minutes[half].file / MIB);
    bench_table_row("database file", ours, peer, last->file / minutes[half].file, GROWTH_MAX);
    (void) snprintf(ours, sizeof(ours), "%.1f MiB", wal / MIB);
    (void) snprintf(peer, sizeof(peer), "%.0f MiB", WAL_MAX_MIB);
    bench_table_row("log of the database, largest", ours, peer, wal / MIB / WAL_MAX_MIB, 1);
    tell_drift(count, false);
    tell_drift(count, true);
}

int main(int argc, char **argv)
{
    size_t count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;

    if (count < 2 || count > MINUTES_MAX) {
        (void) fprintf(stderr, "usage: bench_soak MXADMD DIRECTORY SEEDS MINUTES\n");
        return 2;
    }
    seeded_init(&served, argv[1], argv[2], argv[3], ACCOUNTS, settings);
    (void) seeded_start(&served);
    for (size_t i = 0; i < count; i++) {
        struct minute *minute = &minutes[i];

        run_minute(minute);
        (void) fprintf(stderr,
                       "bench: minute %zu of %zu: %" PRIu64 " calls, memory %.1f MiB, file %.1f, "
                       "log %.1f, p99 of bursts: changes %.0f us, reads %.0f us a call\n",
                       i + 1, count, minute->calls, minute->memory / MIB, minute->file / MIB,
                       minute->wal / MIB, minute->change_p99_us, minute->read_p99_us);
    }
    (void) seeded_stop(&served);
    tell(count);
    return bench_table_kept() ? 0 : 1;
}
