/*
 * What the benchmarks share: ending with a word, and parts of a measurement
 * that run in processes of their own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Ends the program, and by that the whole benchmark. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void bench_check(bool holds, const char *what);

/* The value that so many hundredths of them are not above; sorts the values. None: 0. */
double bench_percentile(double *values, size_t count, unsigned hundredths);
double bench_median(double *values, size_t count);

/* One to one, and far from order: names from numbers. */
uint64_t bench_scramble(uint64_t number);

/* A table in Markdown of what is promised to be at most so much (0: no promise). */
void bench_table_begin(void);
void bench_table_row(const char *what, const char *ours, const char *peer, double ratio,
                     double most);
/* Whether every row kept its promise. */
bool bench_table_kept(void);

/* Runs `run` in a child and gives what it left in `result`. A child that fails fails all. */
void process_run(void (*run)(void *argument, void *result), void *argument, void *result,
                 size_t result_size);
/* Starts a child that goes on until process_end(), or until this process is gone. */
pid_t process_start(void (*run)(void *argument), void *argument);
void process_end(pid_t pid);
/* An mxadmd with these settings, as process_start(). */
pid_t process_start_daemon(const char *program, const char *settings);
/* Processor time that a process has used so far. */
double process_cpu_seconds(pid_t pid);
