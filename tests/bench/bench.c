#include "bench/bench.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void bench_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void) fputs("bench: ", stderr);
    (void) vfprintf(stderr, format, args);
    (void) fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

void bench_check(bool holds, const char *what)
{
    if (!holds) {
        bench_fail("%s", what);
    }
}

static int ascending(const void *a, const void *b)
{
    double one = *(const double *) a;
    double other = *(const double *) b;

    return (one > other) - (one < other);
}

double bench_percentile(double *values, size_t count, unsigned hundredths)
{
    qsort(values, count, sizeof(*values), ascending);
    return count == 0 ? 0 : values[count * hundredths / 100];
}

double bench_median(double *values, size_t count)
{
    return bench_percentile(values, count, 50);
}

uint64_t bench_scramble(uint64_t number)
{
    return number * UINT64_C(0x9e3779b97f4a7c15);
}

/* ------------------------------------------------------------------- table */

static bool all_kept = true;

void bench_table_begin(void)
{
    (void) printf("| what | ours | peer | ratio | promise |\n|---|---|---|---|---|\n");
}

void bench_table_row(const char *what, const char *ours, const char *peer, double ratio,
                     double most)
{
    char promise[64] = "";

    if (most > 0) {
        bool kept = ratio <= most;

        (void) snprintf(promise, sizeof(promise), "at most %.2f: %s", most,
                        kept ? "kept" : "**not kept**");
        all_kept = all_kept && kept;
    }
    (void) printf("| %s | %s | %s | %.3f | %s |\n", what, ours, peer, ratio, promise);
}

bool bench_table_kept(void)
{
    return all_kept;
}

/* --------------------------------------------------------------- processes */

/* 0 in the child. */
static pid_t fork_child(void)
{
    pid_t pid;

    (void) fflush(NULL);
    pid = fork();
    if (pid < 0) {
        bench_fail("fork failed");
    }
    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    return pid;
}

void process_run(void (*run)(void *argument, void *result), void *argument, void *result,
                 size_t result_size)
{
    int ends[2];
    int status;
    pid_t pid;

    bench_check(result_size <= 4096 && pipe(ends) == 0, "no pipe for a child");
    pid = fork_child();
    if (pid == 0) {
        run(argument, result);
        /* Within what a pipe takes at once. */
        _exit(write(ends[1], result, result_size) == (ssize_t) result_size ? 0 : 1);
    }
    (void) close(ends[1]);
    bench_check(read(ends[0], result, result_size) == (ssize_t) result_size &&
                    waitpid(pid, &status, 0) == pid && status == 0,
                "a part of the benchmark failed");
    (void) close(ends[0]);
}

pid_t process_start(void (*run)(void *argument), void *argument)
{
    pid_t pid = fork_child();

    if (pid == 0) {
        run(argument);
        _exit(EXIT_FAILURE);
    }
    return pid;
}

void process_end(pid_t pid)
{
    if (pid > 0) {
        (void) kill(pid, SIGTERM);
        (void) waitpid(pid, NULL, 0);
    }
}

struct daemon_call {
    const char *program;
    const char *settings;
};

static void daemon_exec(void *argument)
{
    const struct daemon_call *call = argument;

    (void) execl(call->program, "mxadmd", "--config", call->settings, (char *) NULL);
    bench_fail("can't run '%s'", call->program);
}

pid_t process_start_daemon(const char *program, const char *settings)
{
    struct daemon_call call = { program, settings };

    return process_start(daemon_exec, &call);
}

double process_cpu_seconds(pid_t pid)
{
    struct timespec time = { 0 };
    clockid_t clock;

    bench_check(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &time) == 0,
                "no processor time of the daemon");
    return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}
