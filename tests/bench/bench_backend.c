/*
 * How much of raw SQLite is left: requests a second of the SQLite backend
 * against prepared inserts of the same rows by hand (bench/raw.h), in the same
 * run, taking turns round by round.
 *
 *   bench_backend [rounds]
 */
#include "bench/bench.h"
#include "bench/raw.h"
#include "db/backend_sqlite.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUND_US   400000
#define ROUNDS     5
#define ROUNDS_MAX 64

/* Like AccountAdd: two records, one change, one answer kept. */
static const struct rows_shape shape = { .values = { 250, 250 }, .answer = 400, .head = 100 };

/* ------------------------------------------------------------------------ ours */

struct ours {
    struct backend *backend;
    struct position head;
};

static void ours_open(struct ours *ours, const char *path)
{
    struct mx_error err;

    bench_check(backend_sqlite_open(path, &ours->backend, &err) == MX_OK, err.message);
    bench_check(ours->backend->ops->barrier(ours->backend, &ours->head, &err) == BACKEND_OK,
                "barrier");
}

static void ours_commit(void *context, const struct rows *rows, size_t count)
{
    struct ours *ours = context;
    struct mx_error err;
    size_t index;

    bench_check(ours->backend->ops->commit(ours->backend, &ours->head, rows->requests, count,
                                           INT64_MAX, &ours->head, &index, &err) == BACKEND_OK,
                err.message);
}

/* ------------------------------------------------------------------- measuring */

static void compare(struct raw *raw, struct ours *ours, struct rows *rows, size_t count,
                    size_t rounds)
{
    double raw_rates[ROUNDS_MAX];
    double our_rates[ROUNDS_MAX];
    double raw_rate;
    double our_rate;

    for (size_t i = 0; i < rounds; i++) {
        raw_rates[i] = rows_measure(raw_commit, raw, rows, count, ROUND_US);
        our_rates[i] = rows_measure(ours_commit, ours, rows, count, ROUND_US);
    }
    raw_rate = bench_median(raw_rates, rounds);
    our_rate = bench_median(our_rates, rounds);
    (void) printf("%4zu a transaction: raw %8.0f requests/s, backend %8.0f, ratio %.2f\n", count,
                  raw_rate, our_rate, our_rate / raw_rate);
}

int main(int argc, char **argv)
{
    static const size_t counts[] = { 1, 8, 64, RAW_GROUP_MAX };
    static struct rows rows;
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
    struct scratch scratch;
    struct raw raw = { 0 };
    struct ours ours;

    bench_check(rounds >= 1 && rounds <= ROUNDS_MAX, "rounds: 1 to 64");
    rows_init(&rows, &shape);
    scratch_init(&scratch);
    raw_open(&raw, scratch_path(&scratch, "raw.db"));
    ours_open(&ours, scratch_path(&scratch, "ours.db"));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        compare(&raw, &ours, &rows, counts[i], rounds);
    }
    raw_close(&raw);
    ours.backend->ops->close(ours.backend);
    rows_fini(&rows);
    scratch_fini(&scratch);
    return 0;
}
