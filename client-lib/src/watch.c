/*
 * A watch: a thread that polls for changes, one call after the other, each of
 * which waits at the daemon until there is something to say.
 *
 *     START_NOW ----> FOLLOW <----> LIST
 *
 * START_NOW asks for the newest revision, LIST delivers what there is, FOLLOW
 * delivers changes; whatever can't be done now is done again after a pause.
 * Since a position moves only with what was delivered, and every poll begins
 * there, nothing is missed and nothing comes twice.
 */
#include "watch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "moment.h"
#include "options.h"
#include "result.h"

/* How long a poll waits at the daemon: how long a daemon that vanished without a word stays
 * unnoticed. */
#define POLL_MS 30000

/* Changes asked for at once: the daemon's largest page. */
#define POLL_CHANGES 1000

void watch_deliver(struct mxadm_watch *watch, mxadm_watch_event event)
{
    watch->callback(&event, watch->payload);
}

static void tell(struct mxadm_watch *watch, mxadm_watch_kind kind, const mxadm_result *result)
{
    watch_deliver(
        watch, (mxadm_watch_event){ .kind = kind, .revision = watch->position, .result = result });
}

mxadm_code watch_call(struct mxadm_watch *watch, const char *method,
                      const ProtobufCMessage *request, const mxadm_call_options *options,
                      mxadm_result **result_out)
{
    mxadm_code code = mxadm_call(watch->client, method, request, options, result_out);
    if (code != MXADM_OK) {
        return code;
    }
    watch->failures = 0;
    if (watch->lost) {
        watch->lost = false;
        tell(watch, MXADM_WATCH_RESUMED, NULL);
    }
    return MXADM_OK;
}

static bool is_closing(struct mxadm_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool closing = watch->closing;
    pthread_mutex_unlock(&watch->lock);
    return closing;
}

/* ------------------------------------------------------------------ follow */

static bool deliver_change(struct mxadm_watch *watch, const Mxadm__V1__Change *change, bool more)
{
    if (is_closing(watch)) {
        return false;
    }
    watch_deliver(watch, (mxadm_watch_event){ .kind = MXADM_WATCH_CHANGE,
                                              .more = more,
                                              .revision = change->revision,
                                              .change = change });
    return true;
}

/* Delivers an answer's changes and moves on to where it ends. */
static void take_changes(struct mxadm_watch *watch, const mxadm_result *result)
{
    const Mxadm__V1__ChangeListResponse *answer =
        (const Mxadm__V1__ChangeListResponse *) mxadm_result_response(result);
    uint64_t before = watch->position;
    for (size_t i = 0; i < answer->n_changes; i++) {
        const Mxadm__V1__Change *change = answer->changes[i];
        bool more = i + 1 == answer->n_changes && answer->record_offset > 0;
        if (change->revision <= watch->position) {
            continue; /* not asked for */
        }
        if (!deliver_change(watch, change, more)) {
            return;
        }
        if (more) {
            watch->position = change->revision - 1;
            watch->offset = answer->record_offset;
        } else {
            watch->position = change->revision;
            watch->offset = 0;
        }
    }
    bool partly = answer->record_offset > 0;
    if (!partly && answer->revision > watch->position) {
        watch->position = answer->revision; /* the filter left out the rest */
        watch->offset = 0;
    }
    /* The server may look at so many changes at once, whatever the filter lets through: only who
     * stands still, or where the newest is, has seen everything. */
    bool moved = watch->position > before;
    if (partly || (moved && watch->position < mxadm_result_revision(result))) {
        watch->behind = true;
    } else if (watch->behind && !is_closing(watch)) {
        watch->behind = false;
        tell(watch, MXADM_WATCH_CAUGHT_UP, NULL);
    }
}

static mxadm_code follow(struct mxadm_watch *watch, mxadm_result **result_out)
{
    Mxadm__V1__ChangeListRequest request = MXADM__V1__CHANGE_LIST_REQUEST__INIT;
    request.after_revision = watch->position;
    request.record_offset = watch->offset;
    request.page_size = POLL_CHANGES;
    request.wait = !watch->behind;
    if (watch->domain != NULL) {
        request.domain = watch->domain;
    }
    if (watch->account != NULL) {
        request.account = watch->account;
    }
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;
    options.timeout_ms = POLL_MS;
    mxadm_code code = watch_call(watch, "ChangeList", &request.base, &options, result_out);
    if (code == MXADM_OK) {
        take_changes(watch, *result_out);
    }
    return code;
}

static mxadm_code start_now(struct mxadm_watch *watch, mxadm_result **result_out)
{
    Mxadm__V1__ServerInfoRequest request = MXADM__V1__SERVER_INFO_REQUEST__INIT;
    mxadm_code code = watch_call(watch, "ServerInfo", &request.base, NULL, result_out);
    if (code == MXADM_OK) {
        watch->position = mxadm_result_revision(*result_out);
        watch->stage = WATCH_FOLLOW;
    }
    return code;
}

static mxadm_code list(struct mxadm_watch *watch, mxadm_result **result_out)
{
    mxadm_code code = watch_list(watch, result_out);
    if (code == MXADM_OK) {
        watch->stage = WATCH_FOLLOW;
        watch->behind = true;
    }
    return code;
}

/* ---------------------------------------------------------------- failures */

/* Waits until the watch is closed, at most that long. */
static void pause_for(struct mxadm_watch *watch, int64_t ms)
{
    struct timespec until = moment_timespec(moment_now_ms() + ms);
    pthread_mutex_lock(&watch->lock);
    int rv = 0;
    while (!watch->closing && rv == 0) {
        rv = pthread_cond_timedwait(&watch->close_cond, &watch->lock, &until);
    }
    pthread_mutex_unlock(&watch->lock);
}

/* The first round over several URLs has no pauses. */
static int64_t pause_after(struct mxadm_watch *watch, const mxadm_result *result)
{
    const mxadm_client_options *options = client_options(watch->client);
    watch->failures++;
    if (watch->failures < options->url_count) {
        return 0;
    }
    int64_t pause = backoff_ms(options, watch->failures);
    int64_t asked = result != NULL ? result_retry_delay_ms(result) : 0;
    return asked > pause ? asked : pause;
}

static void lose(struct mxadm_watch *watch, const mxadm_result *result)
{
    if (!watch->lost) {
        watch->lost = true;
        watch->behind = true;
        tell(watch, MXADM_WATCH_LOST, result);
    }
    pause_for(watch, pause_after(watch, result));
}

/* The history that the watch follows is gone. If this comes again and again, history is trimmed
 * faster than it can be read: the pauses give it time. */
static void start_over(struct mxadm_watch *watch, const mxadm_result *result)
{
    bool follows = watch->stage == WATCH_FOLLOW;
    watch->stage = WATCH_LIST;
    watch->behind = true;
    if (!follows) {
        pause_for(watch, pause_after(watch, result));
    }
}

/* Returns whether the watch goes on. */
static bool go_on_after(struct mxadm_watch *watch, mxadm_code code, const mxadm_result *result)
{
    switch (code) {
    case MXADM_OK:
        return true;
    case MXADM_CANCELLED:
        if (is_closing(watch)) {
            return false;
        }
        lose(watch, result);
        return true;
    case MXADM_OUT_OF_RANGE: /* HISTORY_TRIMMED, REVISION_UNKNOWN, PAGE_TOKEN_EXPIRED */
        start_over(watch, result);
        return true;
    case MXADM_UNKNOWN:
    case MXADM_DEADLINE_EXCEEDED:
    case MXADM_RESOURCE_EXHAUSTED:
    case MXADM_ABORTED:
    case MXADM_INTERNAL:
    case MXADM_UNAVAILABLE:
        lose(watch, result);
        return true;
    case MXADM_INVALID_ARGUMENT:
    case MXADM_NOT_FOUND:
    case MXADM_ALREADY_EXISTS:
    case MXADM_PERMISSION_DENIED:
    case MXADM_FAILED_PRECONDITION:
    case MXADM_UNIMPLEMENTED:
    case MXADM_DATA_LOSS:
    case MXADM_UNAUTHENTICATED:
        break;
    }
    tell(watch, MXADM_WATCH_ENDED, result);
    return false;
}

/* -------------------------------------------------------------- the thread */

static mxadm_code step(struct mxadm_watch *watch, mxadm_result **result_out)
{
    switch (watch->stage) {
    case WATCH_START_NOW:
        return start_now(watch, result_out);
    case WATCH_LIST:
        return list(watch, result_out);
    case WATCH_FOLLOW:
        break;
    }
    return follow(watch, result_out);
}

static void *run(void *arg)
{
    struct mxadm_watch *watch = arg;
    bool more = true;
    while (more && !is_closing(watch)) {
        mxadm_result *result = NULL;
        mxadm_code code = step(watch, &result);
        more = go_on_after(watch, code, result);
        mxadm_result_free(result);
    }
    return NULL;
}

/* ------------------------------------------------------------ open and close */

static bool copy_filter(const char *given, char **copy_out)
{
    if (given == NULL || given[0] == '\0') {
        return true;
    }
    *copy_out = strdup(given);
    return *copy_out != NULL;
}

/* Everything but the thread. */
static mxadm_code prepare(struct mxadm_watch *watch, const mxadm_client_options *client,
                          const mxadm_watch_options *options)
{
    if (!copy_filter(options->domain, &watch->domain) ||
        !copy_filter(options->account, &watch->account)) {
        return MXADM_RESOURCE_EXHAUSTED;
    }
    watch->stage = options->from_now   ? WATCH_START_NOW
                   : options->snapshot ? WATCH_LIST
                                       : WATCH_FOLLOW;
    watch->position = options->after_revision;
    watch->behind = true;
    mxadm_client_options own = *client;
    own.size = sizeof(own);
    own.connections = 1;
    own.max_attempts = 1; /* each failure is told of: the watch itself tries again */
    return mxadm_client_open(&own, &watch->client);
}

static void destroy(struct mxadm_watch *watch)
{
    mxadm_client_close(watch->client);
    pthread_cond_destroy(&watch->close_cond);
    pthread_mutex_destroy(&watch->lock);
    free(watch->domain);
    free(watch->account);
    free(watch);
}

mxadm_code mxadm_watch_open(const mxadm_client *client, const mxadm_watch_options *given,
                            mxadm_watch_callback callback, void *payload, mxadm_watch **watch_out)
{
    mxadm_watch_options options;
    const mxadm_client_options *of_client = client_options(client);
    if (of_client == NULL) {
        return MXADM_FAILED_PRECONDITION;
    }
    if (callback == NULL || options_read_watch(given, &options) != MXADM_OK) {
        return MXADM_INVALID_ARGUMENT;
    }
    mxadm_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return MXADM_RESOURCE_EXHAUSTED;
    }
    watch->callback = callback;
    watch->payload = payload;
    watch->owner = getpid();
    pthread_mutex_init(&watch->lock, NULL);
    moment_cond_init(&watch->close_cond);
    mxadm_code code = prepare(watch, of_client, &options);
    if (code == MXADM_OK && pthread_create(&watch->thread, NULL, run, watch) != 0) {
        code = MXADM_RESOURCE_EXHAUSTED;
    }
    if (code != MXADM_OK) {
        destroy(watch);
        return code;
    }
    *watch_out = watch;
    return MXADM_OK;
}

void mxadm_watch_close(mxadm_watch *watch)
{
    if (watch == NULL || watch->owner != getpid()) {
        return;
    }
    assert(!pthread_equal(watch->thread, pthread_self()) &&
           "a watch can't be closed from its callback");
    pthread_mutex_lock(&watch->lock);
    watch->closing = true;
    pthread_cond_signal(&watch->close_cond);
    pthread_mutex_unlock(&watch->lock);
    client_cancel(watch->client);
    pthread_join(watch->thread, NULL);
    destroy(watch);
}
