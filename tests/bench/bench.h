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

/* The middle one; sorts the values. */
double bench_median(double *values, size_t count);

/* Runs `run` in a child and gives what it left in `result`. A child that fails fails all. */
void process_run(void (*run)(void *argument, void *result), void *argument, void *result,
                 size_t result_size);
/* Starts a child that goes on until process_end(), or until this process is gone. */
pid_t process_start(void (*run)(void *argument), void *argument);
void process_end(pid_t pid);
/* Processor time that a process has used so far. */
double process_cpu_seconds(pid_t pid);
