#include "model/consistency.h"

#include "model/account.h"
#include "model/address.h"
#include "model/alias.h"
#include "model/check.h"
#include "model/config.h"
#include "model/dkim.h"
#include "model/domain.h"
#include "model/tls_key.h"
#include "mxadm/internal/v1/store.pb-c.h"

#include <string.h>

/* A walk over records: what it says and to whom. */
struct walk {
    struct model *model;
    consistency_fn problem;
    void *context;
    size_t problems;
    bool stopped;
};

/* One record under examination. */
struct check {
    struct walk *walk;
    struct slice key;
    const char *parts[RECORD_PARTS_MAX];
    struct model model; /* the walk's, reporting into `status` */
    struct status status;
};

static void say_of(struct walk *walk, struct slice key, const char *field, const char *sentence)
{
    struct consistency_problem problem = { key, field, sentence };

    walk->problems++;
    if (!walk->stopped) {
        walk->stopped = !walk->problem(walk->context, &problem);
    }
}

static void say(struct check *check, const char *field, const char *format, ...) MX_PRINTF(3, 4);

static void say(struct check *check, const char *field, const char *format, ...)
{
    va_list args;
    const char *sentence;

    va_start(args, format);
    sentence = arena_vprintf(check->model.arena, format, args);
    va_end(args);
    say_of(check->walk, check->key, field, sentence);
}

/* What the checks of a noun have reported, as problems. */
static void say_status(struct check *check)
{
    const struct status *status = &check->status;

    for (const struct status_violation *v = status->violations; v != NULL; v = v->next) {
        say(check, v->field, "%s", v->description);
    }
    if (status->code != MX_OK && status->violations == NULL) {
        say(check, "", "%s", status->message);
    }
}

/* ---------------------------------------------------------------- references */

static bool exists(struct check *check, enum record_kind kind, const char *first,
                   const char *second)
{
    struct record_key key = record_key(kind, first, second);

    return record_exists(&check->model, &key);
}

/* The domain of the key, which must exist; NULL: said. */
static Mxadm__V1__Domain *domain_of_key(struct check *check)
{
    Mxadm__V1__Domain *domain = domain_find(&check->model, check->parts[0]);

    if (domain == NULL) {
        say(check, "domain", "domain '%s' is not configured", check->parts[0]);
    }
    return domain;
}

static void check_account_exists(struct check *check, const char *field, const char *account)
{
    if (!exists(check, RECORD_ACCOUNT, account, NULL)) {
        say(check, field, "there is no account %s", name_show(check->model.arena, account));
    }
}

static void check_text(struct check *check, const char *field, const char *text, const char *wanted)
{
    if (strcmp(text, wanted) != 0) {
        say(check, field, "%s should be %s", name_show(check->model.arena, text),
            name_show(check->model.arena, wanted));
    }
}

static bool same_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A login address of an account: in canonical form, reaching it (5.5-11). Its domain, or NULL. */
static Mxadm__V1__Domain *check_login(struct check *check, const char *field, const char *text,
                                      const char *account)
{
    struct model *model = &check->model;
    struct name_address address;
    const char *wrong = name_parse_address(model->arena, text, false, &address);
    Mxadm__V1__Domain *domain;
    Mxadm__V1__Address *at;

    if (wrong != NULL) {
        say(check, field, "%s %s", name_show(model->arena, text), wrong);
        return NULL;
    }
    domain = domain_find(model, address.domain.name);
    if (domain == NULL) {
        say(check, field, "domain '%s' is not configured", address.domain.name);
        return NULL;
    }
    check_text(check, field, text, address_canonical(model, domain, &address));
    at = address_resolve(model, domain, &address);
    if (at == NULL || strcmp(at->account, account) != 0) {
        say(check, field, "%s does not reach account %s", name_show(model->arena, text),
            name_show(model->arena, account));
    }
    return domain;
}

/* ------------------------------------------------------------------- domains */

static bool is_report_of(const Mxadm__V1__Address *address, const Mxadm__V1__Domain *owner,
                         Mxadm__V1__Address__Kind kind)
{
    return address->kind == kind && strcmp(address->report_domain, owner->name) == 0;
}

static void check_report(struct check *check, const Mxadm__V1__Domain *owner,
                         const Mxadm__V1__ReportAddress *report, Mxadm__V1__Address__Kind kind,
                         const char *field)
{
    struct model *model = &check->model;
    struct name_address address;
    struct record_key key;
    Mxadm__V1__Address *record;

    if (report == NULL) {
        return;
    }
    if (domain_report_place(model, owner, report, &address, &key) == NULL) {
        say(check, field, "the domain of the report address is not configured");
        return;
    }
    record = record_load(model, RECORD_ADDRESS, &key);
    if (record == NULL || !is_report_of(record, owner, kind)) {
        say(check, field, "'%s' is not there as %s of the domain",
            name_address_text(model->arena, &address), address_kind_words(kind));
        return;
    }
    if (strcmp(record->account, report->account) != 0 ||
        strcmp(record->mailbox, report->mailbox) != 0 ||
        strcmp(record->address, name_address_text(model->arena, &address)) != 0) {
        say(check, field, "address '%s' has another account, mailbox or spelling", record->address);
    }
}

static void check_domain_record(struct check *check, const Mxadm__V1__Domain *domain)
{
    check_text(check, "name", domain->name, check->parts[0]);
    (void) domain_check(&check->model, domain, "");
    check_report(check, domain, domain->dmarc, MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT,
                 "dmarc");
    check_report(check, domain, domain->tlsrpt, MXADM__V1__ADDRESS__KIND__KIND_TLS_REPORT,
                 "tlsrpt");
}

/* ------------------------------------------------------- addresses and aliases */

/* What is true of the address of both: its key, its canonical form, no separator, not one of the
 * settings. False: said, and nothing more can be. */
static bool check_spelling(struct check *check, const char *text, const char *canonical,
                           const char *domain_name, struct name_address *address)
{
    struct model *model = &check->model;
    bool catchall = record_kind_of(check->key) == RECORD_ADDRESS;
    const char *wrong = name_parse_address(model->arena, text, catchall, address);
    Mxadm__V1__Domain *domain = domain_of_key(check);
    const char *separator;
    struct name_policy policy;

    check_text(check, "domain", domain_name, check->parts[0]);
    if (wrong != NULL) {
        say(check, "address", "%s %s", name_show(model->arena, text), wrong);
    }
    if (domain == NULL || wrong != NULL) {
        return false;
    }
    policy = domain_policy(domain);
    separator = address->catchall ? NULL : name_find_separator(address->localpart, &policy);
    if (separator != NULL) {
        say(check, "address", "'%s' contains '%s', which separates localparts of the domain", text,
            separator);
    }
    check_text(check, "address", text, name_address_text(model->arena, address));
    check_text(check, "canonical_address", canonical, address_canonical(model, domain, address));
    check_text(check, "canonical_address", canonical, record_name(model->arena, check->key));
    if (address_of_settings(model, address) != NULL) {
        say(check, "address", "'%s' is %s", text, address_of_settings(model, address));
    }
    return true;
}

static void check_report_owner(struct check *check, const Mxadm__V1__Address *address)
{
    struct model *model = &check->model;
    Mxadm__V1__Domain *owner = domain_find(model, address->report_domain);
    const Mxadm__V1__ReportAddress *report = NULL;
    struct name_address place;
    struct record_key key = { .len = 0 };

    if (owner != NULL) {
        report = address->kind == MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT ? owner->dmarc
                                                                              : owner->tlsrpt;
    }
    if (report == NULL || domain_report_place(model, owner, report, &place, &key) == NULL ||
        key.len != check->key.len || memcmp(key.data, check->key.data, key.len) != 0) {
        say(check, "report_domain", "domain %s does not have its %s here",
            name_show(model->arena, address->report_domain), address_kind_words(address->kind));
    }
}

static void check_address_kind(struct check *check, const Mxadm__V1__Address *address,
                               bool catchall)
{
    if (address->kind < MXADM__V1__ADDRESS__KIND__KIND_ORDINARY ||
        address->kind > MXADM__V1__ADDRESS__KIND__KIND_TLS_REPORT ||
        catchall != (address->kind == MXADM__V1__ADDRESS__KIND__KIND_CATCHALL)) {
        say(check, "kind", "%d does not fit the address", (int) address->kind);
    }
    if (address_is_report(address->kind)) {
        check_report_owner(check, address);
    } else {
        check_text(check, "report_domain", address->report_domain, "");
    }
}

static void check_address_record(struct check *check, const Mxadm__V1__Address *address)
{
    struct name_address parsed;

    (void) address_check(&check->model, address, "");
    check_account_exists(check, "account", address->account);
    if (check_spelling(check, address->address, address->canonical_address, address->domain,
                       &parsed)) {
        check_address_kind(check, address, parsed.catchall);
    }
    if (exists(check, RECORD_ALIAS, check->parts[0], check->parts[1])) {
        say(check, "address", "'%s' is an alias too", address->canonical_address);
    }
}

static void check_alias_record(struct check *check, const Mxadm__V1__Alias *alias)
{
    struct record_key members = record_members(check->parts[0], check->parts[1]);
    struct name_address parsed;

    (void) alias_check(&check->model, alias, "");
    (void) check_spelling(check, alias->address, alias->canonical_address, alias->domain, &parsed);
    if (exists(check, RECORD_ADDRESS, check->parts[0], check->parts[1])) {
        say(check, "address", "'%s' is an address of an account too", alias->canonical_address);
    }
    if (record_count(&check->model, &members) == 0) {
        say(check, "", "alias '%s' has no member", alias->canonical_address);
    }
}

static void check_member_record(struct check *check, const Mxadm__V1__AliasMember *member)
{
    struct arena *arena = check->model.arena;
    const char *const *parts = check->parts;
    struct record_key key = record_key(RECORD_ADDRESS, parts[2], parts[3]);
    Mxadm__V1__Address *address = record_load(&check->model, RECORD_ADDRESS, &key);

    check_text(check, "alias", member->alias, arena_printf(arena, "%s@%s", parts[1], parts[0]));
    check_text(check, "address", member->address, arena_printf(arena, "%s@%s", parts[3], parts[2]));
    if (!exists(check, RECORD_ALIAS, parts[0], parts[1])) {
        say(check, "alias", "there is no alias %s", name_show(arena, member->alias));
    }
    if (address == NULL || address->kind == MXADM__V1__ADDRESS__KIND__KIND_CATCHALL) {
        say(check, "address", "there is no address %s", name_show(arena, member->address));
    } else {
        check_text(check, "account", member->account, address->account);
    }
}

/* ---------------------------------------------------------------- DKIM, others */

static void check_selector_record(struct check *check, const Mxadm__V1__DkimSelector *selector)
{
    struct model *model = &check->model;
    struct record_key range = record_prefix(RECORD_DKIM_SELECTOR, check->parts[0]);
    struct record_key sealed_key = record_key(RECORD_SEALED_KEY, check->parts[0], check->parts[1]);
    struct record_key used_key = record_key(RECORD_USED_SELECTOR, check->parts[0], check->parts[1]);
    Mxadm__Internal__V1__SealedKey *sealed = record_load(model, RECORD_SEALED_KEY, &sealed_key);
    Mxadm__Internal__V1__UsedSelector *used = record_load(model, RECORD_USED_SELECTOR, &used_key);
    struct name_domain name = { "", "" };

    (void) domain_of_key(check);
    (void) dkim_check(model, selector, "");
    (void) name_parse_selector(model->arena, selector->name, &name);
    check_text(check, "domain", selector->domain, check->parts[0]);
    check_text(check, "name", selector->name, check->parts[1]);
    check_text(check, "name", selector->name, name.name);
    check_text(check, "ascii_name", selector->ascii_name, name.ascii);
    if (record_count(model, &range) > DKIM_SELECTORS_MAX) {
        say(check, "", "domain '%s' has more than %d selectors", check->parts[0],
            DKIM_SELECTORS_MAX);
    }
    if (sealed == NULL || !same_bytes(sealed->public_key_sha256, selector->public_key_sha256)) {
        say(check, "public_key_sha256", "the private key is missing, or another");
    }
    if (used == NULL || !same_bytes(used->public_key_sha256, selector->public_key_sha256)) {
        say(check, "public_key_sha256", "the name is not marked as used for this key");
    }
}

static void check_sealed_record(struct check *check, const Mxadm__Internal__V1__SealedKey *sealed)
{
    check_text(check, "domain", sealed->domain, check->parts[0]);
    check_text(check, "selector", sealed->selector, check->parts[1]);
    if (!exists(check, RECORD_DKIM_SELECTOR, check->parts[0], check->parts[1])) {
        say(check, "", "a private key has no selector");
    }
}

static void check_used_record(struct check *check, const Mxadm__Internal__V1__UsedSelector *used)
{
    check_text(check, "domain", used->domain, check->parts[0]);
    check_text(check, "selector", used->selector, check->parts[1]);
}

static void check_account_record(struct check *check, const Mxadm__V1__Account *account)
{
    struct arena *arena = check->model.arena;
    const char *name = "";

    (void) account_check(&check->model, account, "");
    (void) name_parse_account(arena, account->name, &name);
    check_text(check, "name", account->name, name);
    check_text(check, "name", account->name, check->parts[0]);
    for (size_t i = 0; i < account->n_from_id_login_addresses; i++) {
        const char *text = account->from_id_login_addresses[i];
        const char *field = check_path(&check->model, "from_id_login_addresses[%zu]", i);
        const Mxadm__V1__Domain *domain = check_login(check, field, text, account->name);

        if (domain != NULL && domain->n_localpart_separators == 0) {
            say(check, field, "domain '%s' has no separator of localparts", domain->name);
        }
    }
}

static void check_tls_record(struct check *check, const Mxadm__V1__TlsPublicKey *key)
{
    (void) tls_key_check(&check->model, key, "");
    check_text(check, "fingerprint", key->fingerprint, check->parts[0]);
    check_account_exists(check, "account", key->account);
    (void) check_login(check, "login_address", key->login_address, key->account);
}

/* ---------------------------------------------------------------- one record */

static void check_kind(struct check *check, enum record_kind kind, struct slice packed)
{
    void *record = record_unpack(&check->model, kind, packed);

    if (check->status.code != MX_OK) {
        return;
    }
    switch (kind) {
    case RECORD_DOMAIN:
        check_domain_record(check, record);
        break;
    case RECORD_DKIM_SELECTOR:
        check_selector_record(check, record);
        break;
    case RECORD_ACCOUNT:
        check_account_record(check, record);
        break;
    case RECORD_ADDRESS:
        check_address_record(check, record);
        break;
    case RECORD_SEALED_KEY:
        check_sealed_record(check, record);
        break;
    case RECORD_USED_SELECTOR:
        check_used_record(check, record);
        break;
    case RECORD_ALIAS:
        check_alias_record(check, record);
        break;
    case RECORD_ALIAS_MEMBER:
        check_member_record(check, record);
        break;
    case RECORD_TLS_PUBLIC_KEY:
        check_tls_record(check, record);
        break;
    case RECORD_CONFIG:
        (void) config_check(&check->model, record, "");
        break;
    case RECORD_VAULT_KEY:
    case RECORD_KINDS:
        break;
    }
}

static void check_record(struct walk *walk, struct slice key, struct slice packed)
{
    struct arena *arena = walk->model->arena;
    struct arena_mark mark = arena_mark(arena);
    size_t problems = walk->problems;
    enum record_kind kind = record_kind_of(key);
    struct check check = { .walk = walk, .key = key, .model = *walk->model };

    if (kind == RECORD_KINDS) {
        say_of(walk, key, "", "is not the key of any record");
        return;
    }
    status_init(&check.status, arena);
    check.model.status = &check.status;
    record_key_parts(arena, key, check.parts);
    check_kind(&check, kind, packed);
    say_status(&check);
    if (walk->problems == problems) {
        arena_rewind(arena, &mark);
    }
}

bool consistency_check_record(struct model *model, struct slice key, struct slice packed,
                              consistency_fn problem, void *context)
{
    struct walk walk = { model, problem, context, 0, false };

    check_record(&walk, key, packed);
    return walk.problems == 0;
}

/* ---------------------------------------------------------------- dependants */

/* Looks at a record again, if it is there. */
static void look_again(struct walk *walk, const struct record_key *key)
{
    struct slice packed;

    if (!walk->stopped && record_get(walk->model, key, &packed)) {
        check_record(walk, record_slice(key), packed);
    }
}

static void look_again_at(struct walk *walk, enum record_kind kind, const char *first,
                          const char *second)
{
    struct record_key key = record_key(kind, first, second);

    look_again(walk, &key);
}

/* All records of a range, or that the index entries of a range are made from. */
static void look_again_at_range(struct walk *walk, const struct record_key *range)
{
    struct store_cursor cursor;
    struct store_entry entry;
    struct record_key origin = { .len = 0 };

    store_cursor_init(&cursor, walk->model->view, record_slice(range), slice_of(NULL, 0), false);
    while (!walk->stopped && store_cursor_next(&cursor, &entry)) {
        struct record_key last = origin;

        if (entry.durable) {
            check_record(walk, entry.key, entry.value);
        } else if (record_origin(entry.key, &origin) &&
                   (origin.len != last.len || memcmp(origin.data, last.data, last.len) != 0)) {
            look_again(walk, &origin);
        }
    }
}

static void look_again_at_logins(struct walk *walk, const char *domain, const char *localpart)
{
    struct record_key tls_keys = record_login_tls_keys(domain, localpart);
    struct record_key from_ids = record_from_ids(domain, localpart);

    look_again_at_range(walk, &tls_keys);
    look_again_at_range(walk, &from_ids);
}

static void look_again_at_report(struct walk *walk, const Mxadm__V1__Domain *owner,
                                 const Mxadm__V1__ReportAddress *report)
{
    struct name_address address;
    struct record_key key;

    if (report != NULL && domain_report_place(walk->model, owner, report, &address, &key) != NULL) {
        look_again(walk, &key);
    }
}

static void after_domain_removed(struct walk *walk, const char *name)
{
    static const enum record_kind kinds[] = { RECORD_ADDRESS, RECORD_DKIM_SELECTOR, RECORD_ALIAS };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct record_key range = record_prefix(kinds[i], name);

        look_again_at_range(walk, &range);
    }
    look_again_at_logins(walk, name, NULL);
}

static bool has_separator(const Mxadm__V1__Domain *domain, const char *separator)
{
    for (size_t i = 0; i < domain->n_localpart_separators; i++) {
        if (strcmp(domain->localpart_separators[i], separator) == 0) {
            return true;
        }
    }
    return false;
}

static void after_policy_changed(struct walk *walk, const Mxadm__V1__Domain *before,
                                 const Mxadm__V1__Domain *after)
{
    bool changed = before->localpart_case_sensitive != after->localpart_case_sensitive ||
                   before->n_localpart_separators != after->n_localpart_separators;

    if (before->localpart_case_sensitive != after->localpart_case_sensitive) {
        struct record_key range = record_with_case(after->name);

        look_again_at_range(walk, &range);
    }
    for (size_t i = 0; i < after->n_localpart_separators; i++) {
        const char *separator = after->localpart_separators[i];
        struct record_key range = record_with_separator(after->name, separator[0]);

        if (!has_separator(before, separator)) {
            changed = true;
            look_again_at_range(walk, &range);
        }
    }
    if (changed) {
        look_again_at_logins(walk, after->name, NULL);
    }
}

static void after_domain(struct walk *walk, const char *const parts[], struct slice before,
                         struct slice after)
{
    Mxadm__V1__Domain *old = record_unpack(walk->model, RECORD_DOMAIN, before);

    look_again_at_report(walk, old, old->dmarc);
    look_again_at_report(walk, old, old->tlsrpt);
    if (after.data == NULL) {
        after_domain_removed(walk, parts[0]);
    } else {
        after_policy_changed(walk, old, record_unpack(walk->model, RECORD_DOMAIN, after));
    }
}

/* Of an address that came, changed or went. */
static void after_address(struct walk *walk, const char *const parts[], struct slice before,
                          struct slice after)
{
    const struct slice states[] = { before, after };
    struct record_key memberships = record_memberships(parts[0], parts[1]);
    bool catchall = strcmp(parts[1], RECORD_CATCHALL) == 0;

    look_again_at_range(walk, &memberships);
    look_again_at_logins(walk, parts[0], catchall ? NULL : parts[1]);
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (states[i].data != NULL) {
            Mxadm__V1__Address *address = record_unpack(walk->model, RECORD_ADDRESS, states[i]);

            look_again_at(walk, RECORD_DOMAIN, address->report_domain, NULL);
        }
    }
}

static void after_account_removed(struct walk *walk, const char *name)
{
    struct record_key addresses = record_account_addresses(name, NULL);
    struct record_key tls_keys = record_account_tls_keys(name);

    look_again_at_range(walk, &addresses);
    look_again_at_range(walk, &tls_keys);
}

/* Those whose record refers to this one. What the record itself refers to is its own check's. */
static void check_dependants(struct walk *walk, struct slice key, struct slice before,
                             struct slice after)
{
    const char *parts[RECORD_PARTS_MAX];
    struct record_key range;

    record_key_parts(walk->model->arena, key, parts);
    switch (record_kind_of(key)) {
    case RECORD_DOMAIN:
        if (before.data != NULL) {
            after_domain(walk, parts, before, after);
        }
        break;
    case RECORD_ADDRESS:
        after_address(walk, parts, before, after);
        break;
    case RECORD_ALIAS:
        range = record_members(parts[0], parts[1]);
        if (after.data == NULL) {
            look_again_at_range(walk, &range);
        }
        look_again_at_logins(walk, parts[0], parts[1]); /* it hides the catchall */
        break;
    case RECORD_ALIAS_MEMBER:
        if (after.data == NULL) {
            look_again_at(walk, RECORD_ALIAS, parts[0], parts[1]);
        }
        break;
    case RECORD_DKIM_SELECTOR:
        look_again_at(walk, RECORD_SEALED_KEY, parts[0], parts[1]);
        break;
    case RECORD_SEALED_KEY:
    case RECORD_USED_SELECTOR:
        look_again_at(walk, RECORD_DKIM_SELECTOR, parts[0], parts[1]);
        break;
    case RECORD_ACCOUNT:
        if (after.data == NULL) {
            after_account_removed(walk, parts[0]);
        }
        break;
    case RECORD_TLS_PUBLIC_KEY:
    case RECORD_CONFIG:
    case RECORD_VAULT_KEY:
    case RECORD_KINDS:
        break;
    }
}

static void check_edit(struct walk *walk, const struct backend_edit *edit)
{
    struct slice key = slice_of(edit->key, edit->key_len);
    struct slice before = slice_of(edit->before, edit->before_len);
    struct slice after = slice_of(edit->after, edit->after_len);
    struct arena_mark mark = arena_mark(walk->model->arena);
    size_t problems = walk->problems;

    if (after.data != NULL) {
        check_record(walk, key, after);
    }
    if (!walk->stopped) {
        check_dependants(walk, key, before, after);
    }
    if (walk->problems == problems) {
        arena_rewind(walk->model->arena, &mark);
    }
}

bool consistency_check_changes(struct model *model, consistency_fn problem, void *context)
{
    struct walk walk = { model, problem, context, 0, false };
    struct backend_edit edit;

    for (size_t i = 0; !walk.stopped && store_request_edit(model->draft, i, &edit); i++) {
        check_edit(&walk, &edit);
    }
    return walk.problems == 0;
}

/* ---------------------------------------------------------------- everything */

/* Looks whether each entry that a record must have in the indexes is there. */
struct index_walk {
    struct walk *walk;
    struct slice wanted; /* an index entry to look for among the record's; absent: none */
    bool found;
};

static void check_indexed(void *context, const struct record_key *derived)
{
    struct index_walk *index = context;
    struct slice value;

    if (!store_get(index->walk->model->view, record_slice(derived), &value)) {
        say_of(index->walk, record_slice(derived), "", "is missing in its index");
    }
}

static void find_indexed(void *context, const struct record_key *derived)
{
    struct index_walk *index = context;

    index->found = index->found || (index->wanted.len == derived->len &&
                                    memcmp(index->wanted.data, derived->data, derived->len) == 0);
}

/* An index entry must have a record that it is made from. */
static void check_derived(struct walk *walk, struct slice key)
{
    struct index_walk index = { walk, key, false };
    struct record_key origin;
    struct slice packed;

    if (record_origin(key, &origin) && record_get(walk->model, &origin, &packed)) {
        record_each_derived(record_slice(&origin), packed, find_indexed, &index);
    }
    if (!index.found) {
        say_of(walk, key, "", "is in an index without the record that it stands for");
    }
}

bool consistency_check_all(struct model *model, consistency_fn problem, void *context)
{
    struct walk walk = { model, problem, context, 0, false };
    struct index_walk index = { &walk, { NULL, 0 }, false };
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, model->view, slice_of(NULL, 0), slice_of(NULL, 0), false);
    while (!walk.stopped && store_cursor_next(&cursor, &entry)) {
        if (entry.durable) {
            check_record(&walk, entry.key, entry.value);
            record_each_derived(entry.key, entry.value, check_indexed, &index);
        } else {
            check_derived(&walk, entry.key);
        }
    }
    return walk.problems == 0;
}
