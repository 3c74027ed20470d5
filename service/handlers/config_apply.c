/*
 * ConfigApply: makes the configuration equal to a document.
 *
 * prepare() reads the document and compares it with the newest snapshot, on a
 * thread that may take its time; what differs is the plan. The handler writes
 * it, if nothing came in between, and then all rules are checked at once, over
 * what was changed and what depends on it. A problem is told by the place in the
 * document that has it; then nothing is applied.
 */
#include "handlers/config_yaml.h"

#include "handlers/config_plan.h"
#include "handlers/handlers.h"
#include "keys/passphrase.h"
#include "model/address.h"
#include "model/alias.h"
#include "model/consistency.h"
#include "model/dkim.h"
#include "model/domain.h"
#include "model/respell.h"
#include "mxadm/v1/admin.pb-c.h"
#include "stage/stage.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What an answer tells of the changes. */
#define CHANGES_MAX 10000
/* New private keys in one call. */
#define SELECTORS_MAX 1000

/* ----------------------------------------------------------------- prepare */

/* The document as a text. */
struct text {
    struct rpc_call *call;
    const char *at;
    size_t left;
};

static bool read_text_part(void *context, void *buffer, size_t size, size_t *len_out)
{
    struct text *text = context;
    size_t len = size < text->left ? size : text->left;

    if (call_is_over(text->call)) {
        return false;
    }
    memcpy(buffer, text->at, len);
    text->at += len;
    text->left -= len;
    *len_out = len;
    return true;
}

/* The same of a staged one. */
struct staged {
    int fd;
    uint64_t at;
    uint64_t end;
    struct rpc_call *call;
};

static bool read_staged_part(void *context, void *buffer, size_t size, size_t *len_out)
{
    struct staged *staged = context;
    size_t want = size < staged->end - staged->at ? size : (size_t) (staged->end - staged->at);
    ssize_t got;

    if (call_is_over(staged->call)) {
        return false;
    }
    do {
        got = pread(staged->fd, buffer, want, (off_t) staged->at);
    } while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && want > 0)) {
        (void) status_fail(call_status(staged->call), MX_UNAVAILABLE, "STAGE_UNREADABLE",
                           "the staged document can't be read: %s",
                           got < 0 ? strerror(errno) : "it is shorter than it was");
        return false;
    }
    staged->at += (uint64_t) got;
    *len_out = (size_t) got;
    return true;
}

static void check_name(struct rpc_call *call, const char *field, const char *name)
{
    if (name[0] != '\0' && !stage_is_name(name)) {
        (void) status_field(call_status(call), field,
                            "%s is not 1 to %d letters, digits, \"-\" and \"_\"",
                            name_show(call_arena(call), name), STAGE_NAME_MAX);
    }
}

static bool check_apply(struct rpc_call *call, const Mxadm__V1__ConfigApplyRequest *request)
{
    struct status *status = call_status(call);
    size_t len = strlen(request->passphrase);

    check_name(call, "staged", request->staged);
    if (request->yaml[0] == '\0' && request->staged[0] == '\0') {
        (void) status_field(status, "yaml", "is required, unless the document is staged");
    } else if (request->yaml[0] != '\0' && request->staged[0] != '\0') {
        (void) status_field(status, "yaml", "is one document, and the staged one another");
    }
    if (request->discard || request->stage_offset != 0) {
        (void) status_field(status, request->discard ? "discard" : "stage_offset",
                            "is said with \"stage\" only");
    }
    if (len > 0 && (len < PASSPHRASE_BYTES_MIN || len > PASSPHRASE_BYTES_MAX)) {
        (void) status_field(status, "passphrase", "must have %d to %d bytes", PASSPHRASE_BYTES_MIN,
                            PASSPHRASE_BYTES_MAX);
    }
    return status_ok(status);
}

static void prepare_staged(struct rpc_call *call, const Mxadm__V1__ConfigApplyRequest *request)
{
    struct staged staged = { .fd = -1, .call = call };
    struct plan_source source = { read_staged_part, &staged, -1, request->passphrase,
                                  request->prune };

    staged.fd =
        stage_open(call_stage(call), call_principal(call)->name, request->staged, &staged.end);
    if (staged.fd < 0) {
        (void) status_resource(call_status(call), MX_NOT_FOUND, "STAGE_NOT_FOUND",
                               "staged document", request->staged,
                               "there is no staged document '%s', or no more: it expires after an "
                               "hour without a part, and ends with the daemon",
                               request->staged);
        return;
    }
    source.fd = staged.fd;
    (void) plan_read(call, &source);
}

static void prepare_plan(struct rpc_call *call, const Mxadm__V1__ConfigApplyRequest *request)
{
    struct text text = { call, request->yaml, strlen(request->yaml) };
    struct plan_source source = { read_text_part, &text, -1, request->passphrase, request->prune };

    if (!check_apply(call, request)) {
        return;
    }
    if (request->staged[0] != '\0') {
        prepare_staged(call, request);
    } else {
        (void) plan_read(call, &source);
    }
}

/* ----------------------------------------------------------------- staging */

static bool check_part(struct rpc_call *call, const Mxadm__V1__ConfigApplyRequest *request)
{
    struct status *status = call_status(call);

    check_name(call, "stage", request->stage);
    if (request->staged[0] != '\0') {
        (void) status_field(status, "staged", "is not for a call that stages a part");
    }
    if (request->prune) {
        (void) status_field(status, "prune", "is said when the document is applied");
    }
    if (request->passphrase[0] != '\0') {
        (void) status_field(status, "passphrase", "is given when the document is applied");
    }
    if (request->discard && (request->yaml[0] != '\0' || request->stage_offset != 0)) {
        (void) status_field(status, "discard", "is for the whole staged document, without a part");
    } else if (!request->discard && request->yaml[0] == '\0') {
        (void) status_field(status, "yaml", "is required");
    }
    return status_ok(status);
}

static void report_stage(struct rpc_call *call, enum stage_result result, uint64_t bytes,
                         const struct mx_error *err)
{
    struct status *status = call_status(call);

    switch (result) {
    case STAGE_GAP:
        (void) status_fail(status, MX_OUT_OF_RANGE, "STAGE_OFFSET",
                           "the part does not begin where the staged document ends, at byte %llu",
                           (unsigned long long) bytes);
        status_metadata(status, "staged_bytes",
                        arena_printf(status->arena, "%llu", (unsigned long long) bytes));
        break;
    case STAGE_FULL:
        (void) status_fail(status, MX_RESOURCE_EXHAUSTED, "STAGE_LIMIT", "%s", err->message);
        break;
    case STAGE_FAILED:
        (void) status_fail(status, MX_UNAVAILABLE, "STAGE_FAILED", "%s", err->message);
        break;
    case STAGE_OK:
    case STAGE_ABSENT:
        break;
    }
}

/* No change of the configuration: done here, and answered. */
static void stage_part(struct rpc_call *call, const Mxadm__V1__ConfigApplyRequest *request)
{
    Mxadm__V1__ConfigApplyResponse response = MXADM__V1__CONFIG_APPLY_RESPONSE__INIT;
    struct stage *stage = call_stage(call);
    const char *principal = call_principal(call)->name;
    enum stage_result result = STAGE_OK;
    struct mx_error err;

    if (!check_part(call, request)) {
        return;
    }
    if (call_validate_only(call)) {
        response.staged_bytes = stage_bytes(stage, principal, request->stage);
    } else if (request->discard) {
        (void) stage_remove(stage, principal, request->stage);
    } else {
        result = stage_add(stage, principal, request->stage, request->stage_offset, request->yaml,
                           strlen(request->yaml), &response.staged_bytes, &err);
    }
    if (result != STAGE_OK) {
        report_stage(call, result, response.staged_bytes, &err);
        return;
    }
    call_answer(call, &response.base);
    call_end(call);
}

void config_apply_prepare(struct rpc_call *call)
{
    const Mxadm__V1__ConfigApplyRequest *request = call_request(call);

    if (request->stage[0] != '\0') {
        stage_part(call, request);
    } else {
        prepare_plan(call, request);
    }
}

/* ----------------------------------------------------------------- problems */

/* How the problems of rules find their place in the document. */
struct problems {
    struct rpc_call *call;
    const struct plan *plan;
    struct arena *call_arena;
    bool elsewhere; /* report those of records that the document does not name, not the others */
};

static const char *section_of(enum record_kind kind)
{
    switch (kind) {
    case RECORD_DOMAIN:
    case RECORD_DKIM_SELECTOR:
        return "domains";
    case RECORD_ACCOUNT:
        return "accounts";
    case RECORD_ADDRESS:
        return "addresses";
    case RECORD_ALIAS:
    case RECORD_ALIAS_MEMBER:
        return "aliases";
    case RECORD_TLS_PUBLIC_KEY:
        return "tls_public_keys";
    case RECORD_CONFIG:
    case RECORD_SEALED_KEY:
    case RECORD_USED_SELECTOR:
    case RECORD_VAULT_KEY:
    case RECORD_KINDS:
        break;
    }
    return "config";
}

/* Path of a record in the document. */
static const char *path_of(struct arena *arena, struct slice key)
{
    enum record_kind kind = record_kind_of(key);
    const char *parts[RECORD_PARTS_MAX];

    record_key_parts(arena, key, parts);
    if (kind == RECORD_CONFIG) {
        return "config";
    }
    if (kind == RECORD_DKIM_SELECTOR) {
        return arena_printf(arena, "domains.%s.dkim_selectors.%s", parts[0], parts[1]);
    }
    if (kind == RECORD_ALIAS_MEMBER) {
        return arena_printf(arena, "aliases.%s@%s.members", parts[1], parts[0]);
    }
    return arena_printf(arena, "%s.%s", section_of(kind), record_name(arena, key));
}

static bool report_named(struct problems *problems, const struct plan_entry *entry,
                         const struct consistency_problem *problem)
{
    struct status *status = call_status(problems->call);
    const char *path = path_of(status->arena, problem->key);

    if (problem->field[0] != '\0') {
        path = arena_printf(status->arena, "%s.%s", path, problem->field);
    }
    parser_report(status, path, entry->at, problem->sentence);
    return status->violation_count < STATUS_VIOLATIONS_MAX;
}

static bool report_other(struct problems *problems, const struct consistency_problem *problem)
{
    struct status *status = call_status(problems->call);

    (void) status_blocker(status, "CONFIG_CONFLICT", record_kind_name(record_kind_of(problem->key)),
                          record_name(status->arena, problem->key), "%s '%s': %s%s%s",
                          record_kind_name(record_kind_of(problem->key)),
                          record_name(status->arena, problem->key), problem->field,
                          problem->field[0] == '\0' ? "" : ": ", problem->sentence);
    return status->blocker_count < STATUS_VIOLATIONS_MAX;
}

static struct record_key copy_key(struct slice key)
{
    struct record_key copy;

    memcpy(copy.data, key.data, key.len);
    copy.len = key.len;
    return copy;
}

/* A report address stands in the document as a setting of its domain. */
static const struct plan_entry *find_report(struct problems *problems,
                                            struct consistency_problem *problem)
{
    struct model model = *call_model(problems->call);
    Mxadm__V1__Address *address;
    struct record_key key = copy_key(problem->key);
    const struct plan_entry *entry;
    struct slice packed;

    if (record_kind_of(problem->key) != RECORD_ADDRESS || !record_get(&model, &key, &packed)) {
        return NULL;
    }
    model.arena = problems->call_arena;
    address = record_unpack(&model, RECORD_ADDRESS, packed);
    key = record_key(RECORD_DOMAIN, address->report_domain, NULL);
    entry = plan_find(problems->plan, record_slice(&key));
    if (!address_is_report(address->kind) || entry == NULL) {
        return NULL;
    }
    problem->key = plan_key(entry);
    problem->field = arena_printf(
        problems->call_arena, "%s%s%s",
        address->kind == MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT ? "dmarc" : "tlsrpt",
        problem->field[0] == '\0' ? "" : ".", problem->field);
    return entry;
}

static bool report_problem(void *context, const struct consistency_problem *found)
{
    struct problems *problems = context;
    struct consistency_problem about = *found;
    const struct consistency_problem *problem = &about;
    const struct plan_entry *entry = plan_find(problems->plan, problem->key);

    if (entry == NULL) {
        entry = find_report(problems, &about);
    }
    if (problems->elsewhere != (entry == NULL)) {
        return true;
    }
    return entry == NULL ? report_other(problems, problem) : report_named(problems, entry, problem);
}

/* What is wrong with the document's records goes first: it often is the cause of the rest. */
static bool check_rules(struct rpc_call *call, const struct plan *plan)
{
    struct problems problems = { call, plan, call_arena(call), false };
    struct model *model = call_model(call);

    model->arena = call_scratch(call);
    if (!consistency_check_changes(model, report_problem, &problems) &&
        status_ok(call_status(call))) {
        problems.elsewhere = true;
        model->arena = call_scratch(call);
        (void) consistency_check_changes(model, report_problem, &problems);
    }
    model->arena = call_arena(call);
    return status_ok(call_status(call));
}

static void report_entry(struct rpc_call *call, const struct plan_entry *entry,
                         const char *sentence)
{
    struct status *status = call_status(call);

    parser_report(status, path_of(status->arena, plan_key(entry)), entry->at, sentence);
}

/* ----------------------------------------------------------------- removing */

static struct model *fresh_model(struct rpc_call *call)
{
    struct model *model = call_model(call);

    model->arena = call_scratch(call);
    return model;
}

static void remove_record(struct rpc_call *call, const struct plan_removal *removal)
{
    struct model *model = fresh_model(call);
    struct record_key key = copy_key(slice_of(removal->key, removal->key_len));

    if (removal->kind == RECORD_DKIM_SELECTOR) {
        Mxadm__V1__DkimSelector *selector = record_load(model, RECORD_DKIM_SELECTOR, &key);

        if (selector != NULL) {
            dkim_remove(model, selector);
            call_retire_key_file(call, selector->key_file);
        }
        return;
    }
    record_delete(model, &key);
}

/* ------------------------------------------------------------ report addresses */

static void remove_report(struct model *model, const Mxadm__V1__Domain *owner,
                          const Mxadm__V1__ReportAddress *report)
{
    struct name_address address;
    Mxadm__V1__Domain *domain;
    Mxadm__V1__Address *record;
    struct record_key key;

    if (report == NULL) {
        return;
    }
    domain = domain_report_place(model, owner, report, &address, &key);
    if (domain == NULL) {
        return;
    }
    record = record_load(model, RECORD_ADDRESS, &key);
    if (record != NULL && address_is_report(record->kind) &&
        strcmp(record->report_domain, owner->name) == 0) {
        record_delete(model, &key);
    }
}

/* The report addresses of a domain as it is stored, before it changes or goes. */
static void remove_reports(struct rpc_call *call, struct slice key)
{
    struct model *model = fresh_model(call);
    struct record_key record = copy_key(key);
    Mxadm__V1__Domain *domain = record_load(model, RECORD_DOMAIN, &record);

    if (domain != NULL) {
        remove_report(model, domain, domain->dmarc);
        remove_report(model, domain, domain->tlsrpt);
    }
}

static void put_report(struct rpc_call *call, const struct plan_entry *entry,
                       const Mxadm__V1__Domain *owner, const Mxadm__V1__ReportAddress *report,
                       Mxadm__V1__Address__Kind kind)
{
    struct model *model = call_model(call);
    struct name_address address;
    Mxadm__V1__Domain *domain;
    Mxadm__V1__Address *record;
    struct record_key key;

    if (report == NULL) {
        return;
    }
    domain = domain_report_place(model, owner, report, &address, &key);
    if (domain == NULL) {
        return;
    }
    if (record_exists(model, &key)) {
        report_entry(call, entry,
                     arena_printf(call_arena(call), "its %s '%s' is in use already",
                                  address_kind_words(kind),
                                  name_address_text(model->arena, &address)));
        return;
    }
    record = address_new(model, domain, &address, report->account, kind);
    record->mailbox = report->mailbox;
    record->report_domain = owner->name;
    (void) address_put(model, domain, &address, record);
}

static void put_reports(struct rpc_call *call, const struct plan_entry *entry)
{
    struct model *model = fresh_model(call);
    Mxadm__V1__Domain *domain = record_unpack(model, RECORD_DOMAIN, plan_packed(entry));

    put_report(call, entry, domain, domain->dmarc, MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT);
    put_report(call, entry, domain, domain->tlsrpt, MXADM__V1__ADDRESS__KIND__KIND_TLS_REPORT);
}

/* ------------------------------------------------------------------ storing */

static void put_selector(struct rpc_call *call, const struct plan_entry *entry)
{
    struct model *model = fresh_model(call);
    const struct plan_selector *wanted = entry->selector;
    Mxadm__V1__DkimSelector *selector =
        record_unpack(model, RECORD_DKIM_SELECTOR, plan_packed(entry));
    struct record_key record = copy_key(plan_key(entry));
    Mxadm__V1__Domain *domain;
    const struct key *key;

    if (wanted == NULL) {
        (void) record_put(model, RECORD_DKIM_SELECTOR, &record, &selector->base);
        return;
    }
    domain = domain_find(model, selector->domain);
    if (domain == NULL) {
        return; /* the domain's own problem */
    }
    key = wanted->key != NULL ? wanted->key : call_take_key(call, wanted->kind);
    (void) dkim_put_new(model, call_vault(call), domain->ascii_name, selector, key);
    if (key != NULL) {
        call_write_key_file(call, selector->key_file, key, selector->ascii_name,
                            domain->ascii_name);
    }
}

static void put_address(struct rpc_call *call, const struct plan_entry *entry)
{
    struct model *model = fresh_model(call);
    struct record_key key = copy_key(plan_key(entry));
    Mxadm__V1__Address *address = record_unpack(model, RECORD_ADDRESS, plan_packed(entry));
    Mxadm__V1__Address *there = record_load(model, RECORD_ADDRESS, &key);

    if (there != NULL && address_is_report(there->kind)) {
        report_entry(call, entry,
                     arena_printf(call_arena(call), "is the %s of domain '%s'",
                                  address_kind_words(there->kind), there->report_domain));
        return;
    }
    (void) record_put(model, RECORD_ADDRESS, &key, &address->base);
    if (there != NULL && strcmp(there->account, address->account) != 0) {
        alias_members_follow(model, address, &key);
    }
}

static void put_record(struct rpc_call *call, const struct plan_entry *entry)
{
    enum record_kind kind = (enum record_kind) entry->kind;
    struct record_key key = copy_key(plan_key(entry));
    struct model *model;

    if (kind == RECORD_DKIM_SELECTOR) {
        put_selector(call, entry);
    } else if (kind == RECORD_ADDRESS) {
        put_address(call, entry);
    } else {
        model = fresh_model(call);
        (void) record_put(model, kind, &key, record_unpack(model, kind, plan_packed(entry)));
    }
}

typedef void (*entry_fn)(struct rpc_call *call, const struct plan_entry *entry);

static void each_changed_domain(struct rpc_call *call, const struct plan *plan, entry_fn each)
{
    for (const struct plan_entry *entry = plan->first; entry != NULL; entry = entry->next) {
        if (entry->changed && entry->kind == RECORD_DOMAIN) {
            each(call, entry);
        }
    }
}

static void remove_entry_reports(struct rpc_call *call, const struct plan_entry *entry)
{
    remove_reports(call, plan_key(entry));
}

static void put_domain(struct rpc_call *call, const struct plan_entry *entry)
{
    struct model *model = fresh_model(call);
    struct record_key key = copy_key(plan_key(entry));
    Mxadm__V1__Domain *before = record_load(model, RECORD_DOMAIN, &key);
    Mxadm__V1__Domain *after = record_unpack(model, RECORD_DOMAIN, plan_packed(entry));

    /* What is named is put in its new place below; what is not follows here. */
    if (before == NULL || respell_domain(model, before, after, false)) {
        (void) record_put(model, RECORD_DOMAIN, &key, &after->base);
    }
}

/* Report addresses give way first and take their places once all domains are there. */
static void write_plan(struct rpc_call *call, const struct plan *plan)
{
    for (const struct plan_removal *removal = plan->removals; removal != NULL;
         removal = removal->next) {
        if (removal->kind == RECORD_DOMAIN) {
            remove_reports(call, slice_of(removal->key, removal->key_len));
        }
    }
    each_changed_domain(call, plan, remove_entry_reports);
    for (const struct plan_removal *removal = plan->removals; removal != NULL;
         removal = removal->next) {
        remove_record(call, removal);
    }
    each_changed_domain(call, plan, put_domain);
    each_changed_domain(call, plan, put_reports);
    for (const struct plan_entry *entry = plan->first; entry != NULL; entry = entry->next) {
        if (entry->changed && entry->kind != RECORD_DOMAIN) {
            if (call_is_over(call)) {
                break;
            }
            put_record(call, entry);
        }
    }
    call_model(call)->arena = call_arena(call);
}

/* --------------------------------------------------------------------- keys */

/* True: the pool's keys for new selectors are at hand. */
static bool have_keys(struct rpc_call *call, const struct plan *plan)
{
    unsigned counts[KEY_KINDS] = { 0 };
    unsigned total = 0;
    bool all = true;

    for (const struct plan_selector *selector = plan->selectors; selector != NULL;
         selector = selector->next) {
        if (selector->key == NULL) {
            counts[selector->kind]++;
            total++;
        }
    }
    if (total > SELECTORS_MAX) {
        (void) status_fail(
            call_status(call), MX_RESOURCE_EXHAUSTED, "TOO_MANY_KEYS",
            "the document wants %u new private keys; at most %d are made in one call", total,
            SELECTORS_MAX);
        return false;
    }
    for (int kind = 1; kind < KEY_KINDS; kind++) {
        if (counts[kind] > 0) {
            all = call_want_keys(call, (enum key_kind) kind, counts[kind]) && all;
        }
    }
    return all;
}

/* ------------------------------------------------------------------- answer */

static Mxadm__V1__ChangeAction count_change(const struct backend_edit *edit,
                                            Mxadm__V1__ConfigApplyResponse *response)
{
    if (edit->before == NULL) {
        response->added++;
        return MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD;
    }
    if (edit->after == NULL) {
        response->removed++;
        return MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_REMOVE;
    }
    response->updated++;
    return MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_UPDATE;
}

static bool is_shown(enum record_kind kind)
{
    return kind != RECORD_SEALED_KEY && kind != RECORD_USED_SELECTOR && kind != RECORD_VAULT_KEY;
}

static void answer_plan(struct rpc_call *call, const struct plan *plan)
{
    Mxadm__V1__ConfigApplyResponse response = MXADM__V1__CONFIG_APPLY_RESPONSE__INIT;
    struct arena *arena = call_arena(call);
    struct backend_edit edit;
    size_t changed = 0;

    response.changes = arena_alloc(arena, CHANGES_MAX * sizeof(*response.changes));
    for (size_t i = 0; store_request_edit(call_model(call)->draft, i, &edit); i++) {
        struct slice key = slice_of(edit.key, edit.key_len);
        Mxadm__V1__ChangeAction action;
        Mxadm__V1__PlannedChange *change;

        if (!is_shown(record_kind_of(key))) {
            continue;
        }
        action = count_change(&edit, &response);
        changed += plan_find(plan, key) != NULL;
        if (response.n_changes == CHANGES_MAX) {
            continue;
        }
        change = arena_alloc(arena, sizeof(*change));
        mxadm__v1__planned_change__init(change);
        change->action = action;
        change->kind = (char *) record_kind_name(record_kind_of(key));
        change->name = (char *) record_name(arena, key);
        response.changes[response.n_changes++] = change;
    }
    response.unchanged = plan->count - changed;
    call_answer(call, &response.base);
}

/* Applying a staged document ends it, once it is certain. */
static void end_document(const struct plan *plan)
{
    const Mxadm__V1__ConfigApplyRequest *request = call_request(plan->call);

    if (status_ok(call_status(plan->call)) && !call_validate_only(plan->call) &&
        request->staged[0] != '\0') {
        stage_used(call_stage(plan->call), call_principal(plan->call)->name, request->staged,
                   plan->fd);
    }
}

void config_apply(struct rpc_call *call)
{
    struct plan *plan = call_kept(call);

    plan->end_document = NULL; /* of a run whose commit came to nothing */
    if (call_revision(call) != plan->revision) {
        call_prepare_again(call);
        return;
    }
    if (!have_keys(call, plan)) {
        return;
    }
    write_plan(call, plan);
    if (status_ok(call_status(call)) && check_rules(call, plan)) {
        answer_plan(call, plan);
        plan->end_document = end_document;
    }
}
