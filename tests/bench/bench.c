#include "bench/bench.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
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

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), ascending);
    return values[count / 2];
}

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

double process_cpu_seconds(pid_t pid)
{
    unsigned long user = 0;
    unsigned long system = 0;
    char path[64];
    FILE *file;

    (void) snprintf(path, sizeof(path), "/proc/%ld/stat", (long) pid);
    file = fopen(path, "re");
    /* proc(5): fields 14 and 15; the name, field 2, is ours and has no blank. */
    bench_check(file != NULL && fscanf(file,
                                       "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu "
                                       "%lu",
                                       &user, &system) == 2,
                "no processor time of the daemon");
    (void) fclose(file);
    return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}
