/*
 * `mxadm history`: what changed, the newest first.
 *
 * The server lists changes forwards. So that the newest come first without all
 * others, stretches of the history are read from its end backwards, each
 * forwards, until there are as many as wanted.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "change.h"
#include "memory.h"
#include "message.h"
#include "tool.h"
#include "value.h"

enum { DOMAIN_FILTER, ACCOUNT, PRINCIPAL, SINCE, UNTIL };

#define LIMIT_DEFAULT 50

/* Revisions of the first stretch; each further one has twice as many, as filters that let little
 * through need. */
#define STRETCH_FIRST 200
#define STRETCH_MAX   UINT64_C(100000)

/* Changes in one answer: the daemon's largest page. */
#define PAGE_SIZE 1000

struct history {
    const struct options *options;
    mxadm_client *client;
    Mxadm__V1__ChangeListRequest request; /* the filter */
    uint64_t oldest;                      /* that can be asked after */
    uint64_t left;                        /* still to be shown */
    /* The answers of a stretch, in order. */
    mxadm_result **pages;
    size_t page_count;
};

/* A time of RFC 3339, or how long ago: "2h", "2h ago". */
static bool read_time(const struct tool_call *call, int option, const char *field_name,
                      Google__Protobuf__Timestamp **time_out, struct problem *problem)
{
    const char *text = call->values[option];
    if (text == NULL) {
        return true;
    }
    static const char ago[] = " ago";
    size_t len = strlen(text);
    bool has_ago = len > strlen(ago) && strcmp(text + len - strlen(ago), ago) == 0;
    char *period = memory_copy(text);
    period[has_ago ? len - strlen(ago) : len] = '\0';
    int64_t ms;
    bool is_period = value_read_duration_ms(period, &ms);
    free(period);
    if (!is_period) {
        const ProtobufCFieldDescriptor *field = message_field(
            &mxadm__v1__change_list_request__descriptor, field_name, strlen(field_name));
        struct problem inner;
        return value_read(field, text, time_out, &inner) ||
               problem_say(problem,
                           "--%s: '%.100s' is neither a time such as '2026-01-02T03:04:05Z' nor a "
                           "duration such as '2h'",
                           call->tool->options[option].name, text);
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *time_out =
        (Google__Protobuf__Timestamp *) message_new(&google__protobuf__timestamp__descriptor);
    (*time_out)->seconds = now.tv_sec - ms / 1000;
    (*time_out)->nanos = (int32_t) now.tv_nsec;
    return true;
}

static void set_text(char **field, const char *value)
{
    if (value != NULL) {
        *field = (char *) value;
    }
}

static bool read_options(const struct tool_call *call, struct history *history,
                         struct problem *problem)
{
    mxadm__v1__change_list_request__init(&history->request);
    set_text(&history->request.domain, call->values[DOMAIN_FILTER]);
    set_text(&history->request.account, call->values[ACCOUNT]);
    set_text(&history->request.principal, call->values[PRINCIPAL]);
    history->left = call->options->limit > 0 ? call->options->limit : LIMIT_DEFAULT;
    return read_time(call, SINCE, "from_time", &history->request.from_time, problem) &&
           read_time(call, UNTIL, "to_time", &history->request.to_time, problem);
}

/* -------------------------------------------------------------- a stretch */

static const Mxadm__V1__ChangeListResponse *answer_of(const mxadm_result *result)
{
    return (const Mxadm__V1__ChangeListResponse *) mxadm_result_response(result);
}

static void forget_pages(struct history *history)
{
    while (history->page_count > 0) {
        mxadm_result_free(history->pages[--history->page_count]);
    }
}

/* Where to ask on: after this answer. Of a change with more records than fit an answer only the
 * first part is taken. */
static uint64_t next_after(const Mxadm__V1__ChangeListResponse *answer)
{
    return answer->record_offset > 0 ? answer->revision + 1 : answer->revision;
}

/* Reads the changes after one revision up to another. */
static mxadm_code read_stretch(struct history *history, uint64_t after, uint64_t last,
                               mxadm_result **failure_out)
{
    while (after < last) {
        /* The oldest is asked for as such: it may have moved on since. */
        history->request.after_revision = after <= history->oldest ? 0 : after;
        history->request.page_size = PAGE_SIZE;
        mxadm_result *result;
        mxadm_code code = mxadm_call(history->client, "ChangeList", &history->request.base,
                                     &history->options->call, &result);
        if (code != MXADM_OK) {
            *failure_out = result;
            return code;
        }
        history->pages =
            memory_resize(history->pages, (history->page_count + 1) * sizeof(*history->pages));
        history->pages[history->page_count++] = result;
        uint64_t next = next_after(answer_of(result));
        if (next <= after) {
            break; /* that was the newest */
        }
        after = next;
    }
    return MXADM_OK;
}

static void show(struct history *history, const Mxadm__V1__Change *change)
{
    if (history->options->json) {
        change_print_json(stdout, &change->base);
    } else {
        change_print(stdout, change);
    }
}

/* Shows what was read, backwards, as far as wanted; `last` is where the stretch ends. */
static void show_stretch(struct history *history, uint64_t after, uint64_t last)
{
    for (size_t p = history->page_count; p-- > 0;) {
        const Mxadm__V1__ChangeListResponse *answer = answer_of(history->pages[p]);
        for (size_t i = answer->n_changes; i-- > 0 && history->left > 0;) {
            const Mxadm__V1__Change *change = answer->changes[i];
            if (change->revision > after && change->revision <= last) {
                show(history, change);
                history->left--;
            }
        }
    }
}

/* ---------------------------------------------------------------- backwards */

static enum exit_code show_from(struct history *history, uint64_t newest)
{
    uint64_t last = newest;
    uint64_t length = STRETCH_FIRST;
    while (history->left > 0 && last > history->oldest) {
        uint64_t after = last - history->oldest > length ? last - length : history->oldest;
        mxadm_result *failure = NULL;
        mxadm_code code = read_stretch(history, after, last, &failure);
        if (code == MXADM_OK) {
            show_stretch(history, after, last);
            last = after;
            length = length < STRETCH_MAX ? 2 * length : length;
        } else if (code == MXADM_OUT_OF_RANGE && after > history->oldest) {
            history->oldest = after; /* trimmed meanwhile: it ends here, with what is left of it */
        } else {
            enum exit_code exit_code = run_fail(history->options, failure);
            mxadm_result_free(failure);
            return exit_code;
        }
        mxadm_result_free(failure);
        forget_pages(history);
    }
    return EXIT_DONE;
}

static enum exit_code begin(struct history *history)
{
    Mxadm__V1__ServerInfoRequest request = MXADM__V1__SERVER_INFO_REQUEST__INIT;
    mxadm_result *result;
    enum exit_code code;
    if (mxadm_call(history->client, "ServerInfo", &request.base, &history->options->call,
                   &result) != MXADM_OK) {
        code = run_fail(history->options, result);
    } else {
        const Mxadm__V1__ServerInfoResponse *info =
            (const Mxadm__V1__ServerInfoResponse *) mxadm_result_response(result);
        history->oldest = info->oldest_revision;
        code = show_from(history, info->revision);
    }
    mxadm_result_free(result);
    return code;
}

static enum exit_code run(const struct tool_call *call)
{
    struct history history = { .options = call->options };
    struct problem problem;
    enum exit_code code;
    if (!read_options(call, &history, &problem)) {
        code = tool_usage(call, &problem);
    } else if ((history.client = run_open(call->options, 1)) == NULL) {
        code = EXIT_REFUSED;
    } else {
        code = begin(&history);
    }
    mxadm_client_close(history.client);
    forget_pages(&history);
    free(history.pages);
    if (history.request.from_time != NULL) {
        google__protobuf__timestamp__free_unpacked(history.request.from_time, NULL);
    }
    if (history.request.to_time != NULL) {
        google__protobuf__timestamp__free_unpacked(history.request.to_time, NULL);
    }
    return code;
}

const struct tool tool_history = {
    .noun = "history",
    .verb = "",
    .arguments = "",
    .text = "Shows what changed, the newest first, 50 changes unless --limit says otherwise; all "
            "options together narrow it. Of each change it shows what 'mxadm watch' does; with "
            "--json, each is a Change on a line of its own. Of a change with more records than one "
            "answer takes, the first part is shown with the number of all: 'mxadm watch --after N "
            "--count 1' with the revision before shows them all. How long history is kept is a "
            "setting of the daemon.",
    .options = { [DOMAIN_FILTER] = { "domain", "NAME", "only what concerned this domain" },
                 [ACCOUNT] = { "account", "NAME", "only what concerned this account" },
                 [PRINCIPAL] = { "principal", "WHO", "only by this principal, such as 'uid:0'" },
                 [SINCE] = { "since", "TIME", "only since '2026-01-02T03:04:05Z', or '2h' ago" },
                 [UNTIL] = { "until", "TIME", "only before this time, likewise" } },
    .run = run,
};
