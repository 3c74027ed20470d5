/*
 * The configuration of another time: ConfigDiff, ConfigRollback.
 */
#include "handlers/change.h"
#include "handlers/handlers.h"
#include "model/consistency.h"
#include "model/dkim.h"
#include "model/domain.h"
#include "model/fold.h"
#include "mxadm/v1/admin.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* What an answer of ConfigDiff holds at most. */
#define DIFF_RECORDS_MAX 10000
#define DIFF_BYTES_MAX   ((size_t) 4 * 1024 * 1024)

static void report(struct rpc_call *call, const struct mx_error *err)
{
    if (err->code == MX_RESOURCE_EXHAUSTED) {
        status_fail(call_status(call), err->code, "HISTORY_TOO_LARGE", "%s", err->message);
    } else {
        status_fail(call_status(call), err->code, "HISTORY_DAMAGED", "%s", err->message);
    }
}

/* Folds the changes after `from` up to `to`. False: the handler returns. */
static bool fold_history(struct rpc_call *call, struct fold *fold, uint64_t from, uint64_t to)
{
    struct call_change change;
    struct mx_error err;

    if (!call_history(call, from)) {
        return false;
    }
    while (from < to && call_history_next(call, &change)) {
        if (fold_add(fold, change.bytes, &err) != MX_OK) {
            report(call, &err);
            return false;
        }
        from = change.revision;
    }
    return !call_must_return(call);
}

static void out_of_memory(struct rpc_call *call)
{
    status_fail(call_status(call), MX_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                "out of memory for the history");
}

/* -------------------------------------------------------------- ConfigDiff */

static void destroy_fold(void *fold)
{
    fold_destroy(fold);
}

static void add_differences(struct rpc_call *call, struct fold *fold, uint64_t *total)
{
    struct history_filter filter = { 0 };
    const struct backend_edit *edits;
    size_t bytes = 0;
    size_t count;

    change_scope(call, &filter);
    edits = fold_edits(fold, &count);
    for (size_t i = 0; i < count; i++) {
        const struct backend_edit *edit = &edits[i];

        if (history_same(slice_of(edit->key, edit->key_len),
                         slice_of(edit->before, edit->before_len),
                         slice_of(edit->after, edit->after_len)) ||
            !history_shows(&filter, edit)) {
            continue;
        }
        (*total)++;
        bytes += edit->before_len + edit->after_len;
        if (*total == 1 || (*total <= DIFF_RECORDS_MAX && bytes <= DIFF_BYTES_MAX)) {
            call_answer_field(call, 1, history_record_change(call_model(call), edit));
        }
    }
}

static void config_diff(struct rpc_call *call)
{
    const Mxadm__V1__ConfigDiffRequest *request = call_request(call);
    Mxadm__V1__ConfigDiffResponse response = MXADM__V1__CONFIG_DIFF_RESPONSE__INIT;
    uint64_t newest = call_revision(call);
    uint64_t to = request->to_revision == 0 ? newest : request->to_revision;
    struct fold *fold;

    if (request->from_revision == 0) {
        status_field(call_status(call), "from_revision", "is required");
        return;
    }
    if (request->to_revision != 0 && request->from_revision > request->to_revision) {
        status_field(call_status(call), "from_revision", "%llu is newer than to_revision %llu",
                     (unsigned long long) request->from_revision,
                     (unsigned long long) request->to_revision);
        return;
    }
    if (to > newest) {
        (void) call_history(call, to); /* says so */
        return;
    }
    fold = fold_create(FOLD_BYTES_MAX, false);
    if (fold == NULL) {
        out_of_memory(call);
        return;
    }
    call_keep(call, fold, destroy_fold);
    if (fold_history(call, fold, request->from_revision, to)) {
        add_differences(call, fold, &response.total);
        call_answer(call, &response.base);
    }
}

/* ---------------------------------------------------------- ConfigRollback */

/* What prepare() found: each record changed since, as it was. */
struct plan {
    struct fold *fold;
    uint64_t newest; /* the revision that it was made from */
    const struct backend_edit *edits;
    size_t count;
    struct key *key; /* the one being looked at, so that nothing loses it */
};

static void destroy_plan(void *found)
{
    struct plan *plan = found;

    fold_destroy(plan->fold);
    key_destroy(plan->key);
    free(plan);
}

static void prepare_rollback(struct rpc_call *call)
{
    const Mxadm__V1__ConfigRollbackRequest *request = call_request(call);
    struct plan *plan;

    if (request->revision == 0) {
        status_field(call_status(call), "revision", "is required");
        return;
    }
    plan = calloc(1, sizeof(*plan));
    if (plan == NULL) {
        out_of_memory(call);
        return;
    }
    call_keep(call, plan, destroy_plan);
    plan->newest = call_revision(call);
    plan->fold = fold_create(FOLD_BYTES_MAX, true);
    if (plan->fold == NULL) {
        out_of_memory(call);
    } else if (fold_history(call, plan->fold, request->revision, plan->newest)) {
        plan->edits = fold_edits(plan->fold, &plan->count);
    }
}

/* Names of selectors stay used, and the vault's key stays as it is. */
static bool is_taken_back(enum record_kind kind)
{
    return kind != RECORD_USED_SELECTOR && kind != RECORD_VAULT_KEY && kind != RECORD_KINDS;
}

/* What goes, or gets another file. */
static void retire_file(struct rpc_call *call, struct slice now, struct slice then)
{
    const Mxadm__V1__DkimSelector *selector =
        record_unpack(call_model(call), RECORD_DKIM_SELECTOR, now);
    const Mxadm__V1__DkimSelector *wanted =
        then.data == NULL ? NULL : record_unpack(call_model(call), RECORD_DKIM_SELECTOR, then);

    if (wanted == NULL || strcmp(selector->key_file, wanted->key_file) != 0) {
        call_retire_key_file(call, selector->key_file);
    }
}

static void count(Mxadm__V1__ConfigRollbackResponse *response, enum record_kind kind,
                  struct slice now, struct slice then)
{
    if (history_is_internal(kind)) {
        return;
    }
    if (now.data == NULL) {
        response->added++;
    } else if (then.data == NULL) {
        response->removed++;
    } else {
        response->updated++;
    }
}

/* Makes one record what it was. Whether that is another than it is. */
static bool take_back(struct rpc_call *call, const struct backend_edit *edit,
                      Mxadm__V1__ConfigRollbackResponse *response)
{
    struct model *model = call_model(call);
    struct slice then = slice_of(edit->before, edit->before_len);
    struct slice now = slice_of(NULL, 0);
    struct record_key key = { .len = edit->key_len };
    enum record_kind kind = record_kind_of(slice_of(edit->key, edit->key_len));

    memcpy(key.data, edit->key, edit->key_len);
    (void) record_get(model, &key, &now);
    if (!is_taken_back(kind) || history_same(record_slice(&key), now, then)) {
        return false;
    }
    count(response, kind, now, then);
    if (kind == RECORD_DKIM_SELECTOR && now.data != NULL) {
        retire_file(call, now, then);
    }
    /* Removed first: what is new gets the create time that it brings. */
    record_delete(model, &key);
    if (then.data != NULL) {
        (void) record_put(model, kind, &key, record_unpack(model, kind, then));
    }
    return true;
}

static void report_key(struct model *model, const char *domain, const char *selector)
{
    status_init(model->status, model->arena); /* in the words of a rollback */
    status_fail(model->status, MX_DATA_LOSS, "PRIVATE_KEY_DAMAGED",
                "the private key that selector '%s' of domain '%s' had then can't be opened any "
                "more",
                selector, domain);
}

/* A private key that came back: whether it opens, and belongs to its selector; then its file. */
static void check_key(struct rpc_call *call, struct plan *plan, struct slice key)
{
    struct model *model = call_model(call);
    const char *parts[RECORD_PARTS_MAX];
    const Mxadm__V1__DkimSelector *selector;
    const Mxadm__V1__Domain *domain;
    struct record_key selector_key;
    uint8_t fingerprint[DIGEST_SIZE];

    record_key_parts(model->arena, key, parts);
    selector_key = record_key(RECORD_DKIM_SELECTOR, parts[0], parts[1]);
    selector = record_load(model, RECORD_DKIM_SELECTOR, &selector_key);
    domain = domain_find(model, parts[0]);
    key_destroy(plan->key);
    plan->key = dkim_unseal(model, call_vault(call), parts[0], parts[1]);
    if (plan->key != NULL) {
        key_fingerprint(plan->key, fingerprint);
    }
    if (plan->key == NULL || selector == NULL || domain == NULL ||
        selector->public_key_sha256.len != DIGEST_SIZE ||
        memcmp(selector->public_key_sha256.data, fingerprint, DIGEST_SIZE) != 0) {
        report_key(model, parts[0], parts[1]);
        return;
    }
    if (selector->key_file[0] != '\0') {
        call_write_key_file(call, selector->key_file, plan->key, selector->ascii_name,
                            domain->ascii_name);
    }
}

static bool add_conflict(void *context, const struct consistency_problem *problem)
{
    struct model *model = context;

    status_blocker(model->status, "ROLLBACK_CONFLICT",
                   record_kind_name(record_kind_of(problem->key)),
                   record_name(model->arena, problem->key), "%s%s%s", problem->field,
                   problem->field[0] == '\0' ? "" : ": ", problem->sentence);
    return true;
}

static void config_rollback(struct rpc_call *call)
{
    Mxadm__V1__ConfigRollbackResponse response = MXADM__V1__CONFIG_ROLLBACK_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct plan *plan = call_kept(call);
    bool *taken_back;

    if (call_revision(call) != plan->newest) {
        call_prepare_again(call);
        return;
    }
    taken_back = arena_alloc(model->arena, plan->count + 1);
    for (size_t i = 0; i < plan->count && status_ok(model->status); i++) {
        struct arena_mark mark = arena_mark(model->arena);

        taken_back[i] = take_back(call, &plan->edits[i], &response);
        if (status_ok(model->status)) {
            arena_rewind(model->arena, &mark);
        }
    }
    for (size_t i = 0; i < plan->count && status_ok(model->status); i++) {
        const struct backend_edit *edit = &plan->edits[i];
        struct slice key = slice_of(edit->key, edit->key_len);

        if (taken_back[i] && edit->before != NULL && record_kind_of(key) == RECORD_SEALED_KEY) {
            check_key(call, plan, key);
        }
    }
    if (status_ok(model->status) && consistency_check_changes(model, add_conflict, model)) {
        call_answer(call, &response.base);
    }
}

const struct rpc_row config_history_rows[] = {
    { "ConfigDiff", config_diff, RPC_READ_SLOW, ROLE_VIEWER, false, false, NULL },
    { "ConfigRollback", config_rollback, RPC_CHANGE, ROLE_ADMINISTRATOR, false, false,
      prepare_rollback },
    { 0 },
};
