/*
 * The writer: the one thread that changes the store.
 *
 * It takes the calls that wait, up to a limit, and runs each on the draft as a
 * request of its own: one that is refused is rolled back alone. What is kept is
 * made durable with one commit of the backend, then published, then answered.
 * So the disk is waited for once for all of them, and the more calls wait, the
 * cheaper each becomes.
 *
 * Refusals are answered after the commit as well: one may speak of what an
 * earlier call of the same group did, and nobody may hear of that before it is
 * durable.
 */
#include "base/clock.h"
#include "base/log.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "rpc/internal.h"
#include "settings/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Changes that a plan tells of. */
#define PLANNED_MAX 10000
/* How often a call is prepared beside the writer before the writer does it itself. */
#define PREPARATIONS_MAX 3
/* Runs of a group that somebody else was faster than; with an engine of our own there is none. */
#define ATTEMPTS_MAX 5
/* How often history is looked through for what is past its time, and how much in one step, so that
 * no commit waits long for it. */
#define TRIM_PERIOD_MS 60000
#define TRIM_STEP      500
/* With nothing to do, memory of old versions is reclaimed this often. */
#define IDLE_MS 1000

struct writer {
    struct rpc *rpc;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct rpc_call *first; /* protected by lock, as all below */
    struct rpc_call **end;
    unsigned count;
    bool stopping;

    int64_t trim_at_ms;      /* the writer's own from here on */
    struct rpc_call **group; /* the calls being run */
    unsigned group_count;
    struct rpc_call *later; /* what can't be in this group: it goes into the next one */
    struct rpc_call **later_end;
};

/* ------------------------------------------------------------------- queue */

static void append(struct writer *writer, struct rpc_call *call)
{
    call->next = NULL;
    *writer->end = call;
    writer->end = &call->next;
    writer->count++;
    (void) pthread_cond_signal(&writer->wake);
}

bool writer_submit(struct writer *writer, struct rpc_call *call)
{
    bool room;

    (void) pthread_mutex_lock(&writer->lock);
    room = writer->count < writer->rpc->config.settings->limits.change_queue;
    if (room) {
        append(writer, call);
    }
    (void) pthread_mutex_unlock(&writer->lock);
    return room;
}

void writer_resubmit(struct writer *writer, struct rpc_call *call)
{
    (void) pthread_mutex_lock(&writer->lock);
    append(writer, call);
    (void) pthread_mutex_unlock(&writer->lock);
}

static void put_first(struct writer *writer, struct rpc_call *list)
{
    struct rpc_call *last = list;

    if (list == NULL) {
        return;
    }
    (void) pthread_mutex_lock(&writer->lock);
    for (;;) {
        writer->count++;
        if (last->next == NULL) {
            break;
        }
        last = last->next;
    }
    last->next = writer->first;
    if (writer->first == NULL) {
        writer->end = &last->next;
    }
    writer->first = list;
    (void) pthread_mutex_unlock(&writer->lock);
}

/* Waits for calls and takes a group of them. False: there are none, and it is time to end. */
static bool take_group(struct writer *writer)
{
    unsigned limit = writer->rpc->config.settings->limits.group;
    struct timespec until;
    int64_t idle_at = clock_mono_us() + (int64_t) IDLE_MS * 1000;
    bool go_on;

    until.tv_sec = (time_t) (idle_at / 1000000);
    until.tv_nsec = (long) (idle_at % 1000000) * 1000;
    writer->group_count = 0;
    (void) pthread_mutex_lock(&writer->lock);
    while (writer->first == NULL && !writer->stopping) {
        if (pthread_cond_timedwait(&writer->wake, &writer->lock, &until) == ETIMEDOUT) {
            break;
        }
    }
    while (writer->first != NULL && writer->group_count < limit) {
        struct rpc_call *call = writer->first;

        writer->first = call->next;
        if (writer->first == NULL) {
            writer->end = &writer->first;
        }
        writer->count--;
        call->next = NULL;
        writer->group[writer->group_count++] = call;
    }
    go_on = writer->group_count > 0 || !writer->stopping;
    (void) pthread_mutex_unlock(&writer->lock);
    return go_on;
}

/* ------------------------------------------------------------------ replay */

static bool same_id(const struct rpc_call *a, const struct rpc_call *b)
{
    return a->id_len > 0 && a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}

/* Whether an earlier call of this group has the same id and was kept: its answer is not durable
 * yet, so the repeat has to wait for it. */
static bool repeats_in_group(const struct writer *writer, const struct rpc_call *call)
{
    for (unsigned i = 0; i < writer->group_count && writer->group[i] != call; i++) {
        if (writer->group[i] != NULL && writer->group[i]->in_commit &&
            same_id(writer->group[i], call)) {
            return true;
        }
    }
    return false;
}

static void replay(struct rpc_call *call, struct backend_found *found)
{
    if (memcmp(found->digest, call->digest, DIGEST_SIZE) == 0) {
        uint8_t *answer = arena_try_alloc(call->arena, found->answer_len + 1);

        if (answer == NULL) {
            status_fail(&call->status, MX_RESOURCE_EXHAUSTED, "CALL_TOO_LARGE",
                        "no memory for the answer to repeat");
        } else {
            memcpy(answer, found->answer, found->answer_len);
            call->packed = slice_of(answer, found->answer_len);
            call->revision = found->revision;
        }
    } else {
        status_fail(&call->status, MX_ALREADY_EXISTS, "REQUEST_ID_REUSED",
                    "this request id was used for another change, which made revision %llu",
                    (unsigned long long) found->revision);
    }
    free(found->answer);
}

/* A trim or a rollback that failed leaves an engine that wants to be opened anew. The store does so
 * for a commit, but a call with an id asks here before it gets there. */
static enum backend_result find(struct backend *backend, const struct rpc_call *call,
                                struct backend_found *found, struct mx_error *err)
{
    enum backend_result result = backend->ops->find(backend, call->id, call->id_len, found, err);

    if (result == BACKEND_UNAVAILABLE && backend->ops->reopen(backend, err) == BACKEND_OK) {
        result = backend->ops->find(backend, call->id, call->id_len, found, err);
    }
    return result;
}

/* True: the call needs no run any more, or can't have one. */
static bool is_known(struct writer *writer, struct rpc_call *call)
{
    struct backend_found found;
    struct mx_error err;

    if (call->id_len == 0) {
        return false;
    }
    switch (find(writer->rpc->config.backend, call, &found, &err)) {
    case BACKEND_ABSENT:
        return false;
    case BACKEND_OK:
        replay(call, &found);
        return true;
    case BACKEND_CONFLICT:
    case BACKEND_REPLAY:
    case BACKEND_TOO_BIG:
    case BACKEND_READ_ONLY:
    case BACKEND_FAILED:
    case BACKEND_COMPACTED:
    case BACKEND_DIVERGED:
    case BACKEND_CORRUPT:
    case BACKEND_UNKNOWN:
    case BACKEND_UNAVAILABLE:
        break;
    }
    status_retry(&call->status, MX_UNAVAILABLE, "REQUEST_ID_UNKNOWN", RETRY_DRAIN_MS,
                 "it can't be found out now whether this request id is known: %s", err.message);
    return true;
}

/* --------------------------------------------------------------------- run */

static bool revision_allows(struct rpc_call *call)
{
    struct backend_edit edit;

    if (call->if_revision == 0) {
        return true;
    }
    for (size_t i = 0; store_request_edit(call->model.draft, i, &edit); i++) {
        struct slice key = slice_of(edit.key, edit.key_len);
        uint64_t revision = 0;

        if (edit.before != NULL) {
            revision = record_revision(slice_of(edit.before, edit.before_len));
        }
        if (revision > call->if_revision) {
            status_fail(&call->status, MX_ABORTED, "REVISION_CHANGED",
                        "%s '%s' was changed in revision %llu, after revision %llu",
                        record_kind_name(record_kind_of(key)), record_name(call->arena, key),
                        (unsigned long long) revision, (unsigned long long) call->if_revision);
            return false;
        }
    }
    return true;
}

static Mxadm__V1__ChangeAction action_of(const struct backend_edit *edit)
{
    if (edit->before == NULL) {
        return MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD;
    }
    return edit->after == NULL ? MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_REMOVE
                               : MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_UPDATE;
}

static size_t count_edits(struct store_draft *draft)
{
    struct backend_edit edit;
    size_t count = 0;

    while (store_request_edit(draft, count, &edit)) {
        count++;
    }
    return count;
}

/* What the open request would do, for `validate_only`. False: no memory. */
static bool list_plan(struct rpc_call *call)
{
    size_t all = count_edits(call->model.draft);
    size_t count = all < PLANNED_MAX ? all : PLANNED_MAX;
    struct backend_edit edit;

    call->planned = arena_try_alloc(call->arena, (count + 1) * sizeof(*call->planned));
    if (call->planned == NULL) {
        return false;
    }
    for (size_t i = 0; i < count && store_request_edit(call->model.draft, i, &edit); i++) {
        struct slice key = slice_of(edit.key, edit.key_len);
        Mxadm__V1__PlannedChange *plan = &call->planned[call->planned_count];
        const char *name = record_name(call->arena, key);

        if (name == NULL) {
            return false;
        }
        mxadm__v1__planned_change__init(plan);
        plan->action = action_of(&edit);
        plan->kind = (char *) record_kind_name(record_kind_of(key));
        plan->name = (char *) name;
        call->planned_count++;
    }
    return true;
}

static struct slice pack_head(struct rpc_call *call)
{
    Mxadm__Internal__V1__ChangeHead head = MXADM__INTERNAL__V1__CHANGE_HEAD__INIT;
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    uint8_t *packed;

    time.seconds = call->model.now_us / 1000000;
    time.nanos = (int32_t) (call->model.now_us % 1000000) * 1000;
    head.time = &time;
    head.principal = call->principal->name;
    head.method = (char *) call->method;
    head.request_id = call->envelope->request_id;
    packed =
        arena_try_alloc(call->arena, mxadm__internal__v1__change_head__get_packed_size(&head) + 1);
    if (packed == NULL) {
        return (struct slice){ NULL, 0 };
    }
    return slice_of(packed, mxadm__internal__v1__change_head__pack(&head, packed));
}

/* The draft's request becomes a part of the group's commit. */
static void keep(struct rpc_call *call)
{
    struct store_draft *draft = call->model.draft;
    struct store_request request = { .id = slice_of(call->id, call->id_len),
                                     .digest = slice_of(call->digest, DIGEST_SIZE) };
    struct backend_edit edit;
    struct mx_error err;
    bool changed = store_request_edit(draft, 0, &edit);

    call->revision = store_draft_revision(draft) - (changed ? 0 : 1);
    request.head = pack_head(call);
    if (request.head.data == NULL || !answer_pack(call, &call->packed)) {
        status_fail(&call->status, MX_RESOURCE_EXHAUSTED, "CALL_TOO_LARGE",
                    "no memory for the answer");
        return;
    }
    request.answer = call->packed;
    if (store_request_keep(draft, &request, &changed, &err) != MX_OK) {
        call->packed = (struct slice){ NULL, 0 };
        /* Too much beside the others may well fit alone. */
        call->later = err.code == MX_RESOURCE_EXHAUSTED && store_draft_requests(draft) > 0;
        status_error(&call->status, &err);
        return;
    }
    call->in_commit = true;
}

/* A change that was run: kept, or rolled back for the reason that its status has. */
static void settle(struct rpc_call *call)
{
    struct store_draft *draft = call->model.draft;

    if (status_ok(&call->status) && !call->stale && !call_wants_keys(call) &&
        revision_allows(call)) {
        if (!call->validate_only) {
            keep(call);
        } else if (!list_plan(call)) {
            status_fail(&call->status, MX_RESOURCE_EXHAUSTED, "CALL_TOO_LARGE",
                        "no memory for the plan");
        }
    }
    if (!call->in_commit) {
        call->revision = store_draft_revision(draft) - 1;
        store_request_rollback(draft);
    }
}

/* Into the next group. */
static void put_off(struct writer *writer, struct rpc_call *call)
{
    call->later = false;
    call->next = NULL;
    *writer->later_end = call;
    writer->later_end = &call->next;
}

/* Whether the writer has to prepare the call itself, because the configuration kept moving on. */
static bool prepares_here(const struct rpc_call *call)
{
    return call->row->prepare != NULL && call->preparations >= PREPARATIONS_MAX;
}

/* Runs one call of the group. False: it left the group (it waits for keys, or for the next one, or
 * is prepared anew). */
static bool run(struct writer *writer, struct store_draft *draft, struct rpc_call *call)
{
    if (call->deadline_ms <= clock_mono_ms()) {
        status_fail(&call->status, MX_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",
                    "the time given was over before the change was started");
        return true;
    }
    if (repeats_in_group(writer, call)) {
        put_off(writer, call);
        return false;
    }
    if (is_known(writer, call)) {
        return true;
    }
    if (call_wants_keys(call)) {
        call_wait_for_keys(call); /* a batch that came without them; now it is known to be new */
        return false;
    }
    if (prepares_here(call) && store_draft_requests(draft) > 0) {
        put_off(writer, call); /* the first of the next group: what others change is behind it */
        return false;
    }
    store_request_begin(draft);
    call->model.draft = draft;
    call->model.view = store_draft_view(draft);
    if (prepares_here(call)) {
        call_prepare(call);
    }
    if (status_ok(&call->status)) {
        call_handle(call);
    }
    settle(call);
    if (call->stale) {
        call_rewind(call);
        slow_resubmit(writer->rpc->slow, call);
        return false;
    }
    if (call->later) {
        call_rewind(call);
        put_off(writer, call);
        return false;
    }
    if (call_wants_keys(call)) {
        call_wait_for_keys(call);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------ commit */

static void fail_all(struct writer *writer, const struct mx_error *err)
{
    for (unsigned i = 0; i < writer->group_count; i++) {
        struct rpc_call *call = writer->group[i];

        if (call == NULL) {
            continue;
        }
        if (call->in_commit && err->code == MX_UNAVAILABLE) {
            call_spend_keys(call); /* they may be in the store */
        }
        call_rewind(call);
        if (err->code == MX_UNAVAILABLE) {
            status_retry(&call->status, MX_UNAVAILABLE, "COMMIT_UNKNOWN", RETRY_DRAIN_MS,
                         "it is not known whether the change was made: %s", err->message);
        } else {
            status_fail(&call->status, err->code, "COMMIT_FAILED", "the change was not made: %s",
                        err->message);
        }
        call_finish(call);
    }
}

/* None of them is begun. */
static void refuse_all(struct writer *writer)
{
    for (unsigned i = 0; i < writer->group_count; i++) {
        struct rpc_call *call = writer->group[i];

        call_rewind(call);
        status_retry(&call->status, MX_UNAVAILABLE, "STORE_READ_ONLY", RETRY_DRAIN_MS,
                     "the store takes no changes, since it is not known what became of an earlier "
                     "one");
        call_finish(call);
    }
}

static void files_done(struct keydir_job *job, unsigned failed, const struct mx_error *err)
{
    struct rpc_call *call = job->context;

    if (failed > 0) {
        atomic_store(&call->rpc->keydir_failed, true);
        log_write(LOG_ERROR, "key_files_failed", LOG_NUMBER("count", failed),
                  LOG_TEXT("method", call->method), LOG_TEXT("why", err->message));
    }
    call->job = job;
    call_finish(call);
}

static void answer_all(struct writer *writer)
{
    struct keydir *keydir = writer->rpc->config.keydir;

    for (unsigned i = 0; i < writer->group_count; i++) {
        struct rpc_call *call = writer->group[i];
        struct keydir_job *job;

        if (call == NULL) {
            continue;
        }
        if (call->in_commit) {
            call_spend_keys(call);
        }
        job = call->job;
        if (!call->in_commit || job == NULL || keydir == NULL) {
            call_finish(call);
            continue;
        }
        call->job = NULL;
        job->context = call;
        job->done = files_done;
        keydir_submit(keydir, job);
    }
}

/* Somebody else was first: the same calls again, on what is there now. */
static void again(struct writer *writer)
{
    struct rpc_call *list = NULL;
    struct mx_error err;

    if (store_catch_up(writer->rpc->config.store, &err) != MX_OK) {
        log_write(LOG_ERROR, "catch_up_failed", LOG_TEXT("why", err.message));
    }
    waiter_poke(writer->rpc->waiter);
    for (unsigned i = writer->group_count; i-- > 0;) {
        struct rpc_call *call = writer->group[i];

        if (call == NULL) {
            continue;
        }
        call_rewind(call);
        if (++call->attempts >= ATTEMPTS_MAX) {
            status_retry(&call->status, MX_UNAVAILABLE, "CONTENTION", RETRY_QUEUE_MS,
                         "others changed the configuration %d times meanwhile", ATTEMPTS_MAX);
            call_finish(call);
            continue;
        }
        call->next = list;
        list = call;
    }
    put_first(writer, list);
}

static void finish_group(struct writer *writer, struct store_draft *draft, bool any_kept)
{
    struct store *store = writer->rpc->config.store;
    struct mx_error err;
    enum mx_code code;

    if (!any_kept) {
        store_abort(&draft);
        answer_all(writer);
        return;
    }
    code = store_commit(store, &draft, &err);
    if (code == MX_OK) {
        waiter_poke(writer->rpc->waiter);
        answer_all(writer);
    } else if (code == MX_ABORTED) {
        again(writer);
    } else {
        log_write(LOG_ERROR, "commit_failed", LOG_TEXT("code", mx_code_name(code)),
                  LOG_TEXT("why", err.message));
        fail_all(writer, &err);
    }
}

static void run_group(struct writer *writer)
{
    struct store *store = writer->rpc->config.store;
    struct store_draft *draft;
    bool any_kept = false;

    if (store_is_read_only(store)) {
        refuse_all(writer);
        return;
    }
    draft = store_begin(store);
    if (draft == NULL) {
        struct mx_error err;

        mx_fail(&err, MX_RESOURCE_EXHAUSTED, "out of memory");
        fail_all(writer, &err);
        return;
    }
    writer->later = NULL;
    writer->later_end = &writer->later;
    for (unsigned i = 0; i < writer->group_count; i++) {
        struct rpc_call *call = writer->group[i];

        if (!run(writer, draft, call)) {
            writer->group[i] = NULL;
            continue;
        }
        any_kept = any_kept || call->in_commit;
    }
    finish_group(writer, draft, any_kept);
    put_first(writer, writer->later);
}

/* ----------------------------------------------------------------- history */

struct oldest {
    uint64_t below; /* revision behind the last change that is past its time */
    size_t count;   /* of those changes */
    int64_t before_us;
};

static bool is_past(void *context, const struct position *position, const uint8_t *change,
                    size_t change_len, int64_t time_us)
{
    struct oldest *oldest = context;

    (void) change;
    (void) change_len;
    if (time_us >= oldest->before_us) {
        return false;
    }
    oldest->below = position->revision + 1;
    oldest->count++;
    return true;
}

/* The first revision to keep, by age; 0: all. `*more_out`: a step was too short to find it. */
static uint64_t floor_by_age(struct writer *writer, int64_t keep_ms, bool *more_out)
{
    struct backend *backend = writer->rpc->config.backend;
    struct oldest oldest = { .before_us = clock_wall_us() - keep_ms * 1000 };
    struct position from;
    uint64_t floor = 0;
    struct mx_error err;

    memset(&from, 0, sizeof(from));
    if (backend->ops->tail(backend, &from, TRIM_STEP, is_past, &oldest, &floor, &err) ==
        BACKEND_COMPACTED) {
        from.revision = floor;
        (void) backend->ops->tail(backend, &from, TRIM_STEP, is_past, &oldest, &floor, &err);
    }
    *more_out = oldest.count == TRIM_STEP;
    return oldest.below;
}

static uint64_t floor_by_count(struct writer *writer, uint64_t keep)
{
    uint64_t revision = store_revision(writer->rpc->config.store);

    return revision > keep ? revision - keep + 1 : 0;
}

/* One step; comes back soon if there is more to forget. */
static void trim(struct writer *writer)
{
    const struct settings *settings = writer->rpc->config.settings;
    struct backend *backend = writer->rpc->config.backend;
    uint64_t below = 0;
    struct mx_error err;
    bool more_past = false;
    bool more = false;

    if (clock_mono_ms() < writer->trim_at_ms) {
        return;
    }
    if (settings->history.changes_keep > 0) {
        below = floor_by_count(writer, settings->history.changes_keep);
    }
    if (settings->history.changes_keep_ms > 0) {
        uint64_t aged = floor_by_age(writer, settings->history.changes_keep_ms, &more_past);

        below = aged > below ? aged : below;
    }
    if (backend->ops->trim(backend, below,
                           clock_wall_us() - settings->history.request_id_keep_ms * 1000, TRIM_STEP,
                           &more, &err) != BACKEND_OK) {
        log_write(LOG_WARNING, "trim_failed", LOG_TEXT("why", err.message));
        more = false;
        more_past = false;
    }
    history_find_oldest(writer->rpc);
    writer->trim_at_ms = clock_mono_ms() + (more || more_past ? 0 : TRIM_PERIOD_MS);
}

/* ------------------------------------------------------------------ thread */

static void *writer_main(void *argument)
{
    struct writer *writer = argument;

    while (take_group(writer)) {
        if (writer->group_count > 0) {
            run_group(writer);
        } else {
            store_reclaim(writer->rpc->config.store);
        }
        trim(writer);
    }
    return NULL;
}

bool writer_knows(struct writer *writer, struct rpc_call *call)
{
    return is_known(writer, call);
}

static void writer_free(struct writer *writer)
{
    (void) pthread_mutex_destroy(&writer->lock);
    (void) pthread_cond_destroy(&writer->wake);
    free(writer->group);
    free(writer);
}

enum mx_code writer_create(struct rpc *rpc, struct writer **out, struct mx_error *err)
{
    struct writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the writer");
    }
    writer->rpc = rpc;
    writer->end = &writer->first;
    writer->trim_at_ms = clock_mono_ms(); /* who is restarted often forgets as well */
    (void) pthread_mutex_init(&writer->lock, NULL);
    clock_cond_init(&writer->wake);
    writer->group = calloc(rpc->config.settings->limits.group, sizeof(struct rpc_call *));
    if (writer->group == NULL || pthread_create(&writer->thread, NULL, writer_main, writer) != 0) {
        writer_free(writer);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "the writer's thread can't be started");
    }
    (void) pthread_setname_np(writer->thread, "mx:writer");
    *out = writer;
    return MX_OK;
}

void writer_destroy(struct writer *writer)
{
    if (writer == NULL) {
        return;
    }
    (void) pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    (void) pthread_cond_signal(&writer->wake);
    (void) pthread_mutex_unlock(&writer->lock);
    (void) pthread_join(writer->thread, NULL);
    writer_free(writer);
}
