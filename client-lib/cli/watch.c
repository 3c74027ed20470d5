/* `mxadm watch`: changes as they come. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "json.h"
#include "tool.h"

enum { AFTER, DOMAIN_FILTER, ACCOUNT, COUNT, SNAPSHOT };

/* What the watch's thread says to the main thread, which waits for signals. */
#define OVER_SIGNAL SIGUSR1

/* All but `main` is the watch's thread's until the watch is closed. */
struct watching {
    const struct options *options;
    pthread_t main;
    uint64_t left; /* changes until the end; 0: no end */
    bool over;
    bool listing; /* a listing is under way */
    enum exit_code code;
};

static void end(struct watching *watching, enum exit_code code)
{
    watching->over = true;
    watching->code = code;
    pthread_kill(watching->main, OVER_SIGNAL);
}

/* What is no change, as an object of its own. */
static void show_json_event(const mxadm_watch_event *event, const char *name)
{
    json_t *json = json_pack("{s:s}", "event", name);
    char revision[32];
    (void) snprintf(revision, sizeof(revision), "%" PRIu64, event->revision);
    json_object_set_new(json, "revision", json_string(revision));
    if (event->record != NULL) {
        json_object_set_new(json, "record", json_of_message(&event->record->base));
    }
    json_dumpf(json, stdout, JSON_COMPACT);
    (void) fputc('\n', stdout);
    json_decref(json);
}

static void show_change(struct watching *watching, const mxadm_watch_event *event)
{
    if (watching->options->json) {
        change_print_json(stdout, &event->change->base);
    } else {
        change_print(stdout, event->change);
    }
    if (event->more == 0 && watching->left > 0 && --watching->left == 0) {
        end(watching, EXIT_DONE);
    }
}

static void show_reset(struct watching *watching, const mxadm_watch_event *event)
{
    watching->listing = true;
    if (watching->options->json) {
        show_json_event(event, "reset");
    } else {
        (void) fprintf(stdout, "everything, at revision %" PRIu64 ":\n", event->revision);
    }
}

static void show_record(struct watching *watching, const mxadm_watch_event *event)
{
    if (watching->options->json) {
        show_json_event(event, "record");
        return;
    }
    (void) fputs("  = ", stdout);
    change_print_name(stdout, event->record);
    (void) fputc('\n', stdout);
}

static void show_caught_up(struct watching *watching, const mxadm_watch_event *event)
{
    if (!watching->listing) {
        return;
    }
    watching->listing = false;
    if (watching->options->json) {
        show_json_event(event, "caughtUp");
    } else {
        (void) fprintf(stdout, "up to date with revision %" PRIu64 "\n", event->revision);
    }
}

static void say_lost(struct watching *watching, const mxadm_watch_event *event)
{
    if (!watching->options->quiet) {
        (void) fprintf(stderr, "mxadm: trying again: ");
        run_fail(watching->options, event->result);
    }
}

static void show(const mxadm_watch_event *event, void *payload)
{
    struct watching *watching = payload;
    if (watching->over) {
        return;
    }
    switch (event->kind) {
    case MXADM_WATCH_CHANGE:
        show_change(watching, event);
        break;
    case MXADM_WATCH_RESET:
        show_reset(watching, event);
        break;
    case MXADM_WATCH_RECORD:
        show_record(watching, event);
        break;
    case MXADM_WATCH_CAUGHT_UP:
        show_caught_up(watching, event);
        break;
    case MXADM_WATCH_LOST:
        say_lost(watching, event);
        break;
    case MXADM_WATCH_RESUMED:
        if (!watching->options->quiet) {
            (void) fputs("mxadm: the server answers again\n", stderr);
        }
        break;
    case MXADM_WATCH_ENDED:
        end(watching, run_fail(watching->options, event->result));
        break;
    }
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && !watching->over) {
        end(watching, EXIT_DONE); /* main() says so */
    }
}

static bool read_options(const struct tool_call *call, mxadm_watch_options *options,
                         struct watching *watching, struct problem *problem)
{
    options->domain = call->values[DOMAIN_FILTER];
    options->account = call->values[ACCOUNT];
    options->snapshot = call->values[SNAPSHOT] != NULL;
    options->from_now = call->values[AFTER] == NULL && !options->snapshot;
    if (call->values[AFTER] != NULL && options->snapshot) {
        return problem_say(problem, "--after and --snapshot can't be together");
    }
    return (call->values[AFTER] == NULL ||
            tool_number(call, AFTER, &options->after_revision, problem)) &&
           (call->values[COUNT] == NULL || tool_number(call, COUNT, &watching->left, problem));
}

static enum exit_code watch(const struct tool_call *call)
{
    struct watching watching = { .options = call->options,
                                 .main = pthread_self(),
                                 .code = EXIT_DONE };
    mxadm_watch_options options = MXADM_WATCH_OPTIONS_INIT;
    struct problem problem;
    if (!read_options(call, &options, &watching, &problem)) {
        return tool_usage(call, &problem);
    }
    sigset_t signals; /* blocked before there are threads, which inherit it */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, OVER_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    mxadm_client *client = run_open(call->options, 1);
    mxadm_watch *handle = NULL;
    if (client == NULL ||
        mxadm_watch_open(client, &options, show, &watching, &handle) != MXADM_OK) {
        mxadm_client_close(client);
        (void) fputs("mxadm: out of memory or threads\n", stderr);
        return EXIT_REFUSED;
    }
    int signal;
    sigwait(&signals, &signal);
    mxadm_watch_close(handle);
    mxadm_client_close(client);
    return watching.code;
}

const struct tool tool_watch = {
    .noun = "watch",
    .verb = "",
    .arguments = "",
    .text =
        "Shows changes as they come, until interrupted. Each change is a line with its revision, "
        "time, principal and operation, then a line for each record that it added (+), changed "
        "(~) or removed (-), with the fields that changed. With --json, each is an object on a "
        "line of its own: a Change; for a listing, {\"event\": \"reset\"}, {\"event\": "
        "\"record\"} for each record, and {\"event\": \"caughtUp\"}. It goes on by itself over "
        "restarts of the server. If the server has not kept the history that is needed, "
        "everything is listed and then followed.",
    .options = { [AFTER] = { "after", "N",
                             "changes after this revision; 0: all that are kept; default: from "
                             "now on" },
                 [DOMAIN_FILTER] = { "domain", "NAME", "only what concerns this domain" },
                 [ACCOUNT] = { "account", "NAME", "only what concerns this account" },
                 [COUNT] = { "count", "N", "end after this many changes" },
                 [SNAPSHOT] = { "snapshot", NULL, "list everything first, then follow" } },
    .run = watch,
};
