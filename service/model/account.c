#include "model/account.h"

#include "model/address.h"
#include "settings/settings.h"

#include <string.h>

/* mox-behaviour 1.5-01, 1.5-03 */
#define JUNK_REGEXP    "^(junk|spam)"
#define NEUTRAL_REGEXP "^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)"
#define SUBJECT_PASS_S ((int64_t) 12 * 3600)

bool account_require(struct model *model, const char *name, struct slice *packed_out)
{
    struct record_key key = record_key(RECORD_ACCOUNT, name, NULL);

    if (record_get(model, &key, packed_out)) {
        return true;
    }
    status_resource(model->status, MX_NOT_FOUND, "ACCOUNT_NOT_FOUND", "account", name,
                    "there is no account '%s'", name);
    return false;
}

bool account_check_free(struct model *model, const char *name)
{
    struct record_key key = record_key(RECORD_ACCOUNT, name, NULL);

    if (!record_exists(model, &key)) {
        return true;
    }
    status_resource(model->status, MX_ALREADY_EXISTS, "ACCOUNT_EXISTS", "account", name,
                    "there is an account '%s' already", name);
    return false;
}

Mxadm__V1__Account *account_template(struct model *model, const char *name, const char *domain)
{
    Mxadm__V1__Account *account = arena_alloc(model->arena, sizeof(*account));
    Mxadm__V1__AutomaticJunkFlags *flags = arena_alloc(model->arena, sizeof(*flags));
    Mxadm__V1__JunkFilter *filter = arena_alloc(model->arena, sizeof(*filter));

    mxadm__v1__account__init(account);
    account->name = (char *) name;
    account->domain = (char *) domain;
    account->rejects_mailbox = (char *) "Rejects";
    account->no_custom_password = true;
    account->subject_pass_period = arena_alloc(model->arena, sizeof(*account->subject_pass_period));
    google__protobuf__duration__init(account->subject_pass_period);
    account->subject_pass_period->seconds = SUBJECT_PASS_S;

    mxadm__v1__automatic_junk_flags__init(flags);
    flags->enabled = true;
    flags->junk_mailbox_regexp = (char *) JUNK_REGEXP;
    flags->neutral_mailbox_regexp = (char *) NEUTRAL_REGEXP;
    account->automatic_junk_flags = flags;

    mxadm__v1__junk_filter__init(filter);
    filter->threshold = 0.95;
    filter->onegrams = true;
    filter->max_power = 0.01;
    filter->top_words = 10;
    filter->ignore_words = 0.1;
    filter->rare_words = 2;
    account->junk_filter = filter;
    return account;
}

bool account_is_postmaster(const struct model *model, const char *name)
{
    const char *postmaster = model->settings->postmaster.account;

    return postmaster != NULL && strcmp(postmaster, name) == 0;
}

/* ---------------------------------------------------------------- removing */

static void check_settings(struct model *model, const char *name)
{
    const char *reports = model->settings->host_tls_reports.account;

    if (account_is_postmaster(model, name)) {
        status_blocker(model->status, "ACCOUNT_IN_USE", "setting", "postmaster.account",
                       "account '%s' is the postmaster account by the settings", name);
    }
    if (reports != NULL && strcmp(reports, name) == 0) {
        status_blocker(model->status, "ACCOUNT_IN_USE", "setting", "host_tls_reports.account",
                       "account '%s' gets the host's TLS reports by the settings", name);
    }
}

/* Number of Address.kind: of a hundred thousand addresses only the report ones are unpacked. */
#define ADDRESS_KIND_FIELD 5

static void check_address(struct model *model, const char *name, struct slice packed)
{
    Mxadm__V1__Address *address;

    if (!address_is_report((Mxadm__V1__Address__Kind) record_number(packed, ADDRESS_KIND_FIELD))) {
        return;
    }
    address = record_unpack(model, RECORD_ADDRESS, packed);
    status_blocker(model->status, "ACCOUNT_IN_USE", "domain", address->report_domain,
                   "account '%s' has the %s of domain '%s'", name,
                   address_kind_words(address->kind), address->report_domain);
}

static void check_addresses(struct model *model, const char *name)
{
    struct record_key range = record_account_addresses(name, NULL);
    struct store_cursor cursor;
    struct store_entry entry;
    struct record_key key;
    struct slice packed;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        const char *parts[RECORD_PARTS_MAX];

        if (record_indexed_address(entry.key, &key) && record_get(model, &key, &packed)) {
            check_address(model, name, packed);
            record_key_parts(model->arena, record_slice(&key), parts);
            address_report_memberships(model, "ACCOUNT_IN_USE", parts[0], parts[1]);
        }
    }
}

bool account_check_removable(struct model *model, const char *name)
{
    check_settings(model, name);
    check_addresses(model, name);
    return status_ok(model->status);
}

/* An account's keys, of which there are few (tls_key.h), through their index. */
static void remove_keys(struct model *model, const char *name)
{
    struct record_key range = record_account_tls_keys(name);
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        const char *parts[RECORD_PARTS_MAX];
        struct record_key key;

        record_key_parts(model->arena, entry.key, parts);
        key = record_key(RECORD_TLS_PUBLIC_KEY, parts[1], NULL);
        record_delete(model, &key);
    }
}

uint64_t account_remove(struct model *model, const char *name)
{
    struct record_key account = record_key(RECORD_ACCOUNT, name, NULL);
    struct record_key range = record_account_addresses(name, NULL);
    struct store_cursor cursor;
    struct record_key key;
    struct store_entry entry;
    uint64_t removed = 0;

    /* The range shrinks as we go: its first is always the next. */
    for (;;) {
        store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
        if (!store_cursor_next(&cursor, &entry) || !record_indexed_address(entry.key, &key) ||
            !record_exists(model, &key) || !status_ok(model->status)) {
            break;
        }
        record_delete(model, &key);
        removed++;
    }
    remove_keys(model, name);
    record_delete(model, &account);
    return removed;
}
