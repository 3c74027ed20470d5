/*
 * A real mxadmd, started and ended by a test, in a fresh directory of its own.
 *
 * The settings are a text in which "$DIR" stands for that directory. What the
 * daemon logs is kept, and printed when something fails. A daemon never
 * outlives the test: the kernel kills it when the thread that started it ends,
 * so start it from the main thread.
 *
 * Whatever these functions don't return ends the test, loudly.
 */
#pragma once

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/* As mxadmd --help says. */
enum daemon_exit { DAEMON_EXIT_OK = 0, DAEMON_EXIT_FAILED = 1, DAEMON_EXIT_SETTINGS = 2 };

struct daemon {
    char directory[PATH_MAX]; /* short enough for a unix socket in it */
    pid_t pid;                /* 0: does not run */
    pthread_t listener;       /* reads `log_fd` until the daemon has ended */
    int log_fd;
    struct daemon_log *log;
};

/* What all tests' settings begin with: a socket, and a port of the kernel's choice. */
#define DAEMON_URLS                                                                                \
    "urls: [\"ipc://$DIR/socket\", \"tcp://127.0.0.1:0\"]\n"                                       \
    "state_directory: $DIR/state\n"                                                                \
    "host_name: mail.example.org\n"

/* Makes the directory and writes the settings; starts nothing. */
void daemon_init(struct daemon *daemon, const char *settings);

/* Other settings, for the next start. */
void daemon_configure(struct daemon *daemon, const char *settings);

/* Starts it and waits until it says that it is ready. */
void daemon_start(struct daemon *daemon);

/* Starts it and waits until it is ready or has ended; true if it is ready, else the exit code. */
bool daemon_try_start(struct daemon *daemon, int *exit_out);

/* mxadmd --check-config; returns its exit code. What it says, on either stream, is in the log. */
int daemon_check_config(struct daemon *daemon);

/* Asks it to end, and waits; returns its exit code. */
int daemon_stop(struct daemon *daemon);

/* kill -9. */
void daemon_kill(struct daemon *daemon);

/* Kills it if it runs, and removes the directory with all in it. */
void daemon_fini(struct daemon *daemon);

/* Where the running daemon listens: the first url is 0. Valid until the next start. */
const char *daemon_url(const struct daemon *daemon, unsigned index);

/* What has been logged since the last start, ended or not; whole lines. The caller's to free. */
char *daemon_log_text(const struct daemon *daemon);

/* The path of a file of its directory; valid until the thread's next call. */
const char *daemon_path(const struct daemon *daemon, const char *name);
