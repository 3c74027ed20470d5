#include "support/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define URLS_MAX     8
#define URL_SIZE     (PATH_MAX + 16)
#define EXEC_FAILED  126
#define REMOVE_FILES 16 /* descriptors that the removal may hold open */

/* What the daemon says. */
struct daemon_log {
    pthread_mutex_t lock;
    pthread_cond_t said; /* ready, or ended */
    /* All protected by lock. */
    char *text;
    size_t len;
    size_t parsed; /* whole lines, looked at */
    bool ready;
    bool ended;
    char urls[URLS_MAX][URL_SIZE];
    unsigned url_count;
};

static void fail(const struct daemon *daemon, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void fail(const struct daemon *daemon, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void) fputs("daemon: ", stderr);
    (void) vfprintf(stderr, format, arguments);
    (void) fputc('\n', stderr);
    va_end(arguments);
    if (daemon->log != NULL && daemon->log->text != NULL) {
        (void) fprintf(stderr, "---- its log:\n%s----\n", daemon->log->text);
    }
    abort();
}

const char *daemon_path(const struct daemon *daemon, const char *name)
{
    static _Thread_local char path[PATH_MAX + NAME_MAX + 2];

    (void) snprintf(path, sizeof(path), "%s/%s", daemon->directory, name);
    return path;
}

/* --------------------------------------------------------------- settings */

void daemon_configure(struct daemon *daemon, const char *settings)
{
    static const char mark[] = "$DIR";
    FILE *file = fopen(daemon_path(daemon, "mxadmd.yaml"), "we");

    if (file == NULL) {
        fail(daemon, "%s: %s", daemon_path(daemon, "mxadmd.yaml"), strerror(errno));
    }
    for (const char *at; (at = strstr(settings, mark)) != NULL; settings = at + strlen(mark)) {
        (void) fprintf(file, "%.*s%s", (int) (at - settings), settings, daemon->directory);
    }
    (void) fputs(settings, file);
    if (fclose(file) != 0) {
        fail(daemon, "writing the settings: %s", strerror(errno));
    }
}

void daemon_init(struct daemon *daemon, const char *settings)
{
    const char *base = getenv("TMPDIR");

    memset(daemon, 0, sizeof(*daemon));
    (void) snprintf(daemon->directory, sizeof(daemon->directory), "%s/mxadm-test-XXXXXX",
                    base == NULL ? "/tmp" : base);
    if (mkdtemp(daemon->directory) == NULL) {
        fail(daemon, "%s: %s", daemon->directory, strerror(errno));
    }
    daemon_configure(daemon, settings);
}

/* -------------------------------------------------------------------- log */

/* Takes the value of `url="..."`; the daemon's urls hold nothing that is escaped. */
static void take_url(struct daemon_log *log, const char *line)
{
    const char *from = strstr(line, "url=\"");
    const char *to = from == NULL ? NULL : strchr(from + 5, '"');

    if (to != NULL && log->url_count < URLS_MAX) {
        (void) snprintf(log->urls[log->url_count++], URL_SIZE, "%.*s", (int) (to - from - 5),
                        from + 5);
    }
}

/* Looks at the whole lines that have come. Holding the lock. */
static void parse_log(struct daemon_log *log)
{
    char *end;

    while ((end = strchr(log->text + log->parsed, '\n')) != NULL) {
        char *line = log->text + log->parsed;

        *end = '\0';
        if (strstr(line, " info listening ") != NULL) {
            take_url(log, line);
        } else if (strstr(line, " info ready ") != NULL) {
            log->ready = true;
            (void) pthread_cond_broadcast(&log->said);
        }
        *end = '\n';
        log->parsed = (size_t) (end + 1 - log->text);
    }
}

static void append_log(struct daemon_log *log, const char *piece, size_t len)
{
    (void) pthread_mutex_lock(&log->lock);
    log->text = realloc(log->text, log->len + len + 1);
    if (log->text == NULL) {
        abort();
    }
    memcpy(log->text + log->len, piece, len);
    log->len += len;
    log->text[log->len] = '\0';
    parse_log(log);
    (void) pthread_mutex_unlock(&log->lock);
}

static void *listen_to_log(void *argument)
{
    struct daemon *daemon = argument;
    struct daemon_log *log = daemon->log;
    char piece[4096];
    ssize_t len;

    while ((len = read(daemon->log_fd, piece, sizeof(piece))) > 0 || (len < 0 && errno == EINTR)) {
        if (len > 0) {
            append_log(log, piece, (size_t) len);
        }
    }
    (void) pthread_mutex_lock(&log->lock);
    log->ended = true;
    (void) pthread_cond_broadcast(&log->said);
    (void) pthread_mutex_unlock(&log->lock);
    return NULL;
}

char *daemon_log_text(const struct daemon *daemon)
{
    char *text;

    (void) pthread_mutex_lock(&daemon->log->lock);
    text = strndup(daemon->log->text == NULL ? "" : daemon->log->text, daemon->log->parsed);
    (void) pthread_mutex_unlock(&daemon->log->lock);
    if (text == NULL) {
        abort();
    }
    return text;
}

const char *daemon_url(const struct daemon *daemon, unsigned index)
{
    if (daemon->log == NULL || index >= daemon->log->url_count) {
        fail(daemon, "it does not listen on %u urls", index + 1);
    }
    return daemon->log->urls[index];
}

static void forget_log(struct daemon *daemon)
{
    if (daemon->log != NULL) {
        (void) pthread_mutex_destroy(&daemon->log->lock);
        (void) pthread_cond_destroy(&daemon->log->said);
        free(daemon->log->text);
        free(daemon->log);
        daemon->log = NULL;
    }
}

static void new_log(struct daemon *daemon)
{
    forget_log(daemon);
    daemon->log = calloc(1, sizeof(*daemon->log));
    if (daemon->log == NULL || pthread_mutex_init(&daemon->log->lock, NULL) != 0 ||
        pthread_cond_init(&daemon->log->said, NULL) != 0) {
        abort();
    }
}

/* ---------------------------------------------------------- start and end */

static void become_daemon(const char *config, const char *option, int log_fd, pid_t parent)
    __attribute__((noreturn));

/* The daemon's side of fork(): nothing but system calls. With an option it ends by itself, and what
 * it prints counts as log. */
static void become_daemon(const char *config, const char *option, int log_fd, pid_t parent)
{
    sigset_t none;

    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(log_fd, STDERR_FILENO) == STDERR_FILENO &&
        (option == NULL || dup2(log_fd, STDOUT_FILENO) == STDOUT_FILENO)) {
        (void) execl(MXADMD_PATH, "mxadmd", "--config", config, option, (char *) NULL);
    }
    _exit(EXEC_FAILED);
}

static void spawn(struct daemon *daemon, const char *option)
{
    const char *config = daemon_path(daemon, "mxadmd.yaml");
    pid_t parent = getpid();
    int ends[2];

    if (daemon->pid != 0) {
        fail(daemon, "it runs already");
    }
    new_log(daemon);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fail(daemon, "pipe: %s", strerror(errno));
    }
    daemon->pid = fork();
    if (daemon->pid == 0) {
        become_daemon(config, option, ends[1], parent);
    }
    if (daemon->pid < 0) {
        fail(daemon, "fork: %s", strerror(errno));
    }
    (void) close(ends[1]);
    daemon->log_fd = ends[0];
    if (pthread_create(&daemon->listener, NULL, listen_to_log, daemon) != 0) {
        fail(daemon, "no thread for its log");
    }
}

/* Waits for its end; returns its status as waitpid() gives it. */
static int reap(struct daemon *daemon)
{
    int status;

    if (waitpid(daemon->pid, &status, 0) != daemon->pid) {
        fail(daemon, "waitpid: %s", strerror(errno));
    }
    daemon->pid = 0;
    (void) pthread_join(daemon->listener, NULL);
    (void) close(daemon->log_fd);
    return status;
}

static int exit_code(struct daemon *daemon, int status)
{
    if (!WIFEXITED(status)) {
        fail(daemon, "it was ended by signal %d", WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}

bool daemon_try_start(struct daemon *daemon, int *exit_out)
{
    bool ready;

    spawn(daemon, NULL);
    (void) pthread_mutex_lock(&daemon->log->lock);
    while (!daemon->log->ready && !daemon->log->ended) {
        (void) pthread_cond_wait(&daemon->log->said, &daemon->log->lock);
    }
    ready = daemon->log->ready;
    (void) pthread_mutex_unlock(&daemon->log->lock);
    if (!ready) {
        *exit_out = exit_code(daemon, reap(daemon));
    }
    return ready;
}

void daemon_start(struct daemon *daemon)
{
    int code;

    if (!daemon_try_start(daemon, &code)) {
        fail(daemon, "it did not start: exit code %d", code);
    }
}

int daemon_check_config(struct daemon *daemon)
{
    spawn(daemon, "--check-config");
    return exit_code(daemon, reap(daemon));
}

static void send_signal(struct daemon *daemon, int number)
{
    if (daemon->pid == 0 || kill(daemon->pid, number) != 0) {
        fail(daemon, "signal %d can't be sent", number);
    }
}

int daemon_stop(struct daemon *daemon)
{
    send_signal(daemon, SIGTERM);
    return exit_code(daemon, reap(daemon));
}

void daemon_kill(struct daemon *daemon)
{
    int status;

    send_signal(daemon, SIGKILL);
    status = reap(daemon);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fail(daemon, "it had ended by itself before it was killed: status %d", status);
    }
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void) info;
    (void) type;
    (void) walk;
    return remove(path);
}

void daemon_fini(struct daemon *daemon)
{
    if (daemon->pid != 0) {
        (void) kill(daemon->pid, SIGKILL);
        (void) reap(daemon);
    }
    forget_log(daemon);
    (void) nftw(daemon->directory, remove_entry, REMOVE_FILES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
