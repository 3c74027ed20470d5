/*
 * A group of changes: run one after the other on one draft, each as a request of
 * its own, so that one that is refused is rolled back alone; made durable with
 * one commit of the backend, published, and then answered. So the disk is waited
 * for once for all of them, and the more calls come at a time, the cheaper each
 * becomes.
 *
 * Refusals are answered after the commit as well: one may speak of what an
 * earlier call of the same group did, and nobody may hear of that before it is
 * durable.
 *
 * Whether a request id is known is not asked before the call is run: the index
 * of ids is the backend's, which is busy with the group before. An id that is
 * known and gets as far as the commit makes the commit fail, and the group is
 * run again, asking for each (those that join it then, too: one repeat after the
 * other could fail it for ever); a call that is refused is looked up before it is
 * told so, since a repeat mostly is.
 */
#include "base/clock.h"
#include "base/log.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "rpc/internal.h"
#include "settings/settings.h"

#include <stdlib.h>
#include <string.h>

/* Changes that a plan tells of. */
#define PLANNED_MAX 10000
/* How often a call is prepared beside the writer before the writer does it itself. */
#define PREPARATIONS_MAX 3
/* Runs of a call whose group somebody else was faster than. With an engine of our own that is a
 * repeat of what was done before, and a second run meets none. */
#define ATTEMPTS_MAX 5

/* ------------------------------------------------------------------ replay */

static bool same_id(const struct rpc_call *a, const struct rpc_call *b)
{
    return a->id_len > 0 && a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}

/* Whether an earlier call of this group has the same id and was kept: its answer is not durable
 * yet, so the repeat has to wait for it. */
static bool repeats_in_group(const struct call_group *group, const struct rpc_call *call)
{
    for (unsigned i = 0; i < group->ran; i++) {
        if (group->calls[i] != NULL && group->calls[i]->in_commit &&
            same_id(group->calls[i], call)) {
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
 * for a commit; who asks here may come before one. */
static enum backend_result find(struct backend *backend, const struct rpc_call *call,
                                struct backend_found *found, struct mx_error *err)
{
    enum backend_result result = backend->ops->find(backend, call->id, call->id_len, found, err);

    if (result == BACKEND_UNAVAILABLE && backend->ops->reopen(backend, err) == BACKEND_OK) {
        result = backend->ops->find(backend, call->id, call->id_len, found, err);
    }
    return result;
}

bool call_is_known(struct rpc_call *call)
{
    struct backend_found found;
    struct mx_error err;

    if (call->id_len == 0) {
        return false;
    }
    switch (find(call->rpc->config.backend, call, &found, &err)) {
    case BACKEND_ABSENT:
        return false;
    case BACKEND_OK:
        call_rewind(call);
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
    call_rewind(call);
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
    Google__Protobuf__Timestamp time = record_timestamp(call->model.now_us);
    uint8_t *packed;

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

/* Into the next group: this one takes no more. */
static void put_off(struct call_group *group, struct rpc_call *call)
{
    call->later = false;
    call->next = NULL;
    *group->later_end = call;
    group->later_end = &call->next;
}

/* Whether the writer has to prepare the call itself, because the configuration kept moving on. */
static bool prepares_here(const struct rpc_call *call)
{
    return call->row->prepare != NULL && call->preparations >= PREPARATIONS_MAX;
}

/* Waits outside of the group for keys, unless it needs none since it was done before. */
static bool leave_for_keys(struct rpc_call *call)
{
    if (call_is_known(call)) {
        return false;
    }
    call_wait_for_keys(call);
    return true;
}

static void run_on_draft(struct call_group *group, struct rpc_call *call)
{
    store_request_begin(group->draft);
    call->model.draft = group->draft;
    call->model.view = store_draft_view(group->draft);
    if (prepares_here(call)) {
        call_prepare(call);
    }
    if (status_ok(&call->status)) {
        call_handle(call);
    }
    settle(call);
    call->was_run = true;
}

/* What others change is behind a call that is prepared here, and all before it can be read: it is
 * the first of its group, and nothing is on its way to the disk. */
static bool may_prepare_here(struct call_group *group)
{
    return store_draft_requests(group->draft) == 0 && writer_await_durable(group->rpc->writer);
}

/* Runs one call of the group. False: it left the group (it waits for keys, or for the next one, or
 * is prepared anew). */
static bool run(struct call_group *group, struct rpc_call *call)
{
    if (call->deadline_ms <= clock_mono_ms()) {
        status_fail(&call->status, MX_DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",
                    "the time given was over before the change was started");
        return true;
    }
    if (repeats_in_group(group, call) || (prepares_here(call) && !may_prepare_here(group))) {
        put_off(group, call);
        return false;
    }
    group->asks_first = group->asks_first || call->asks_first;
    if (group->asks_first && call_is_known(call)) {
        return true;
    }
    if (call_wants_keys(call)) {
        return !leave_for_keys(call); /* a batch that came without them */
    }
    run_on_draft(group, call);
    if (call->stale) {
        call_rewind(call);
        slow_resubmit(group->rpc->slow, call);
        return false;
    }
    if (call->later) {
        call_rewind(call);
        put_off(group, call);
        return false;
    }
    if (call_wants_keys(call)) {
        return !leave_for_keys(call);
    }
    return true;
}

void call_group_run(struct call_group *group, const atomic_bool *ends)
{
    while (group->ran < group->count && !atomic_load(ends)) {
        struct rpc_call *call = group->calls[group->ran];

        if (!run(group, call)) {
            group->calls[group->ran] = NULL;
        } else {
            group->any_kept = group->any_kept || call->in_commit;
        }
        group->ran++;
    }
}

bool call_group_is_full(const struct call_group *group)
{
    return group->count == group->room || group->later != NULL;
}

/* --------------------------------------------------------------------- end */

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

void call_group_look_up(struct call_group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct rpc_call *call = group->calls[i];

        if (call != NULL && !status_ok(&call->status) && call->was_run) {
            (void) call_is_known(call);
        }
    }
}

void call_group_answer(struct call_group *group)
{
    struct keydir *keydir = group->rpc->config.keydir;

    for (unsigned i = 0; i < group->count; i++) {
        struct rpc_call *call = group->calls[i];
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

void call_group_fail(struct call_group *group, const struct mx_error *err)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct rpc_call *call = group->calls[i];

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

void call_group_refuse(struct call_group *group)
{
    for (unsigned i = 0; i < group->count; i++) {
        struct rpc_call *call = group->calls[i];

        call_rewind(call);
        status_retry(&call->status, MX_UNAVAILABLE, "STORE_READ_ONLY", RETRY_DRAIN_MS,
                     "the store takes no changes, since it is not known what became of an earlier "
                     "one");
        call_finish(call);
    }
}

/* Whether the call may try again. */
static bool may_repeat(struct rpc_call *call)
{
    call->asks_first = true; /* somebody was first: it may have been itself */
    if (++call->attempts < ATTEMPTS_MAX) {
        return true;
    }
    status_retry(&call->status, MX_UNAVAILABLE, "CONTENTION", RETRY_QUEUE_MS,
                 "others changed the configuration %d times meanwhile", ATTEMPTS_MAX);
    call_finish(call);
    return false;
}

struct rpc_call *call_group_take_back(struct call_group *group, bool is_own_fault)
{
    struct rpc_call *list = group->later;

    for (unsigned i = group->count; i-- > 0;) {
        struct rpc_call *call = group->calls[i];

        if (call == NULL) {
            continue;
        }
        call_rewind(call);
        if (!is_own_fault || may_repeat(call)) {
            call->next = list;
            list = call;
        }
    }
    call_group_clear(group);
    return list;
}

struct rpc_call *call_group_take_later(struct call_group *group)
{
    struct rpc_call *list = group->later;

    group->later = NULL;
    group->later_end = &group->later;
    return list;
}

void call_group_clear(struct call_group *group)
{
    group->count = 0;
    group->ran = 0;
    group->any_kept = false;
    group->asks_first = false;
    (void) call_group_take_later(group);
}

bool call_group_init(struct call_group *group, struct rpc *rpc)
{
    group->rpc = rpc;
    group->room = rpc->config.settings->limits.group;
    group->calls = calloc(group->room, sizeof(struct rpc_call *));
    call_group_clear(group);
    return group->calls != NULL;
}

void call_group_fini(struct call_group *group)
{
    free(group->calls);
}
