/*
 * mxadmd: settings -> objects, in the order in which they need each other ->
 * wait for a signal -> undo, in reverse order.
 */
#include "auth/principal.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "descriptor_set.h"
#include "mxadm/version.h"
#include "net/lock.h"
#include "net/server.h"
#include "rpc/rpc.h"
#include "settings/settings.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was accepted is done within it; with the 2 s that nng may take to end, 5 s are enough for
 * all. */
#define DRAIN_MS 2500

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
    const char *config;
    bool check_config;
};

struct program {
    struct settings *settings;
    struct lock *lock;
    struct daemon *daemon;
    struct server *server;
};

static const char usage[] =
    "usage: mxadmd [--config FILE] [--check-config]\n"
    "\n"
    "The daemon of mxadm: administers the configuration of mail servers over RPC.\n"
    "\n"
    "  --config FILE    settings (YAML); without: all defaults. See mxadmd.yaml.\n"
    "  --check-config   check the settings, say what is wrong with them, and end\n"
    "  --version        print the version\n"
    "  --help           print this\n"
    "\n"
    "SIGTERM and SIGINT end it: nothing new is accepted, what was accepted is done.\n"
    "Exit codes: 0 done, 1 failed, 2 usage or settings.\n";

/* ------------------------------------------------------------------ start */

static enum mx_code make_state_directory(const struct settings *settings, struct mx_error *err)
{
    struct stat found;

    if (mkdir(settings->state_directory, 0700) != 0 && errno != EEXIST) {
        return mx_fail(err, MX_UNAVAILABLE, "state directory '%s' can't be made: %s",
                       settings->state_directory, strerror(errno));
    }
    if (stat(settings->state_directory, &found) != 0) {
        return mx_fail(err, MX_UNAVAILABLE, "cannot look at state directory '%s': %s",
                       settings->state_directory, strerror(errno));
    }
    if ((found.st_uid != geteuid() && found.st_uid != 0) || (found.st_mode & 022) != 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION,
                       "state directory '%s' is writable for others (owner %lu, mode %04o): anyone "
                       "could put a database or a key of theirs there",
                       settings->state_directory, (unsigned long) found.st_uid,
                       (unsigned) (found.st_mode & 07777));
    }
    return MX_OK;
}

static enum mx_code lock_state(struct program *program, struct mx_error *err)
{
    char path[PATH_MAX];
    enum mx_code code = make_state_directory(program->settings, err);

    if (code == MX_OK) {
        code = daemon_state_path(program->settings, "mxadmd.lock", path, err);
    }
    return code == MX_OK ? lock_acquire(path, &program->lock, err) : code;
}

static enum mx_code start(struct program *program, struct mx_error *err)
{
    struct daemon_config config = { .settings = program->settings,
                                    .version = MXADM_VERSION_STRING,
                                    .descriptor_set =
                                        slice_of(descriptor_set, descriptor_set_len) };
    enum mx_code code = lock_state(program, err);

    if (code == MX_OK) {
        code = daemon_start(&config, &program->daemon, err);
    }
    if (code == MX_OK) {
        code = server_start(program->settings, NULL, daemon_rpc(program->daemon), &program->server,
                            err);
    }
    return code;
}

/* What was accepted is done and its answers leave; only then does the transport end, which alone
 * could still call the dispatcher; then goes what that stood on. */
static void stop(struct program *program)
{
    int64_t deadline_ms = clock_mono_ms() + DRAIN_MS;
    bool drained = program->daemon == NULL || rpc_drain(daemon_rpc(program->daemon), deadline_ms);
    bool ended = true;

    if (program->server != NULL) {
        int64_t left_ms = deadline_ms - clock_mono_ms();

        drained = server_drain(program->server, left_ms > 0 ? left_ms : 0) && drained;
        ended = server_stop(program->server);
    }
    if (!drained) {
        log_write(LOG_WARNING, "drain_incomplete", LOG_NUMBER("ms", DRAIN_MS));
    }
    daemon_stop(program->daemon);
    server_destroy(program->server);
    if (ended) {
        server_library_fini();
    }
    lock_release(program->lock);
}

/* ------------------------------------------------------------------- main */

/* Private keys pass through this process: nothing of it goes to disk by itself. */
static void protect_memory(void)
{
    const struct rlimit none = { 0, 0 };

    (void) setrlimit(RLIMIT_CORE, &none);
    (void) prctl(PR_SET_DUMPABLE, 0);
    (void) umask(0077);
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = { { "config", required_argument, NULL, 'c' },
                                           { "check-config", no_argument, NULL, 'k' },
                                           { "version", no_argument, NULL, 'v' },
                                           { "help", no_argument, NULL, 'h' },
                                           { 0 } };
    int option;

    while ((option = getopt_long(argc, argv, "c:hv", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'k':
            options->check_config = true;
            break;
        case 'v':
            (void) printf("mxadmd %s\n", MXADM_VERSION_STRING);
            return EXIT_OK;
        case 'h':
            (void) fputs(usage, stdout);
            return EXIT_OK;
        default:
            (void) fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void) fprintf(stderr, "mxadmd: unexpected argument '%s'\n%s", argv[optind], usage);
        return EXIT_USAGE;
    }
    return -1; /* go on */
}

static int check_config(const struct options *options, struct settings *settings)
{
    struct auth *auth;
    struct mx_error err;

    if (auth_create(settings, &auth, &err) != MX_OK) {
        (void) fprintf(stderr, "mxadmd: %s: %s\n", options->config, err.message);
        return EXIT_USAGE;
    }
    auth_destroy(auth);
    (void) printf("%s: ok\n", options->config == NULL ? "(defaults)" : options->config);
    return EXIT_OK;
}

static int run(struct settings *settings)
{
    struct program program = { .settings = settings };
    struct mx_error err;
    sigset_t signals;
    int received = 0;
    int result = EXIT_OK;

    log_configure((enum log_level) settings->log.level, settings->log.json);
    protect_memory();
    /* A write that fails says so. */
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGXFSZ, SIG_IGN);
    /* Blocked before the first thread, so that all inherit it and only sigwait() gets them. */
    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigaddset(&signals, SIGINT);
    (void) sigaddset(&signals, SIGHUP); /* a terminal that closed: an end like the others */
    (void) pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (start(&program, &err) == MX_OK) {
        log_write(LOG_INFO, "ready", LOG_TEXT("version", MXADM_VERSION_STRING),
                  LOG_TEXT("url", settings->urls[0]), LOG_NUMBER("urls", settings->url_count));
        (void) sigwait(&signals, &received);
        log_write(LOG_INFO, "stopping", LOG_NUMBER("signal", received));
    } else {
        log_write(LOG_ERROR, "start_failed", LOG_TEXT("why", err.message));
        result = EXIT_FAILED;
    }
    stop(&program);
    if (result == EXIT_OK) {
        log_write(LOG_INFO, "stopped", LOG_NUMBER("signal", received));
    }
    return result;
}

int main(int argc, char **argv)
{
    struct options options = { 0 };
    struct settings *settings = NULL;
    struct settings_problems problems = { 0 };
    struct mx_error err;
    int result = read_options(argc, argv, &options);

    if (result >= 0) {
        return result;
    }
    if (settings_load(options.config, &settings, &problems, &err) != MX_OK) {
        (void) fprintf(stderr, "mxadmd: the settings are not usable:\n%s%s",
                       problems.text == NULL ? err.message : problems.text,
                       problems.text == NULL ? "\n" : ""); /* the problems are whole lines */
        settings_problems_fini(&problems);
        return EXIT_USAGE;
    }
    settings_problems_fini(&problems);
    result = options.check_config ? check_config(&options, settings) : run(settings);
    settings_free(settings);
    return result;
}
