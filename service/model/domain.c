#include "model/domain.h"

#include "model/address.h"
#include "model/dkim.h"
#include "model/login.h"
#include "settings/settings.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MTA_STS_MAX_AGE_S ((int64_t) 24 * 3600)

static void *new_message(struct model *model, size_t size,
                         const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = arena_alloc(model->arena, size);

    protobuf_c_message_init(descriptor, message);
    return message;
}

Mxadm__V1__Domain *domain_find(const struct model *model, const char *name)
{
    struct record_key key = record_key(RECORD_DOMAIN, name, NULL);

    return record_load(model, RECORD_DOMAIN, &key);
}

Mxadm__V1__Domain *domain_require(struct model *model, const char *name)
{
    Mxadm__V1__Domain *domain = domain_find(model, name);

    if (domain == NULL) {
        status_resource(model->status, MX_NOT_FOUND, "DOMAIN_NOT_FOUND", "domain", name,
                        "there is no domain '%s'", name);
    }
    return domain;
}

Mxadm__V1__Domain *domain_report_place(struct model *model, const Mxadm__V1__Domain *owner,
                                       const Mxadm__V1__ReportAddress *report,
                                       struct name_address *address_out, struct record_key *key_out)
{
    const char *name = report->domain[0] == '\0' ? owner->name : report->domain;
    Mxadm__V1__Domain *domain = domain_find(model, name);
    struct name_address address = { 0 };

    if (domain == NULL ||
        name_parse_localpart(model->arena, report->localpart, &address.localpart) != NULL) {
        return NULL;
    }
    address.domain = (struct name_domain){ domain->name, domain->ascii_name };
    *address_out = address;
    *key_out = address_key(model, domain, &address);
    return domain;
}

struct name_policy domain_policy(const Mxadm__V1__Domain *domain)
{
    return (struct name_policy){ (const char *const *) domain->localpart_separators,
                                 domain->n_localpart_separators, domain->localpart_case_sensitive };
}

/* ---------------------------------------------------------------- template */

static Mxadm__V1__ReportAddress *report_address(struct model *model, const char *localpart,
                                                const char *account, const char *mailbox)
{
    Mxadm__V1__ReportAddress *report =
        new_message(model, sizeof(*report), &mxadm__v1__report_address__descriptor);

    report->localpart = (char *) localpart;
    report->account = (char *) account;
    report->mailbox = (char *) mailbox;
    return report;
}

bool domain_may_have_mta_sts(const struct settings *settings)
{
    for (size_t i = 0; i < settings->listener_count; i++) {
        if (settings->listeners[i].mta_sts) {
            return true;
        }
    }
    return false;
}

static Mxadm__V1__MtaSts *mta_sts(struct model *model)
{
    Mxadm__V1__MtaSts *policy =
        new_message(model, sizeof(*policy), &mxadm__v1__mta_sts__descriptor);
    struct name_domain host;
    time_t now = (time_t) (model->now_us / 1000000);
    struct tm utc;
    char id[32];

    (void) gmtime_r(&now, &utc);
    (void) strftime(id, sizeof(id), "%Y%m%dT%H%M%S", &utc);
    policy->policy_id = arena_strdup(model->arena, id);
    policy->mode = MXADM__V1__MTA_STS__MODE__MODE_ENFORCE;
    policy->max_age =
        new_message(model, sizeof(*policy->max_age), &google__protobuf__duration__descriptor);
    policy->max_age->seconds = MTA_STS_MAX_AGE_S;
    if (name_parse_domain(model->arena, model->settings->host_name, &host) == NULL) {
        policy->mx = arena_alloc(model->arena, sizeof(char *));
        policy->mx[0] = (char *) host.ascii;
        policy->n_mx = 1;
    }
    return policy;
}

Mxadm__V1__Domain *domain_template(struct model *model, const struct name_domain *domain,
                                   const char *account)
{
    Mxadm__V1__Domain *record = new_message(model, sizeof(*record), &mxadm__v1__domain__descriptor);
    const char *client = arena_printf(model->arena, "mail.%s", domain->name);
    struct name_domain parsed;

    record->name = (char *) domain->name;
    record->ascii_name = (char *) domain->ascii;
    if (name_parse_domain(model->arena, client, &parsed) == NULL) {
        record->client_settings_domain = (char *) parsed.name;
    }
    record->localpart_separators = arena_alloc(model->arena, sizeof(char *));
    record->localpart_separators[0] = (char *) "+";
    record->n_localpart_separators = 1;
    /* Without a dash, which may be a separator (1.7-10). */
    record->dmarc = report_address(model, "dmarcreports", account, "DMARC");
    record->tlsrpt = report_address(model, "tlsreports", account, "TLSRPT");
    if (domain_may_have_mta_sts(model->settings)) {
        record->mta_sts = mta_sts(model);
    }
    return record;
}

/* ---------------------------------------------------------------- removing */

static bool is_own_report(const Mxadm__V1__Domain *domain, const Mxadm__V1__Address *address)
{
    return address_is_report(address->kind) && strcmp(address->report_domain, domain->name) == 0;
}

static void report_dependant(struct model *model, const Mxadm__V1__Domain *domain,
                             const Mxadm__V1__Address *address)
{
    if (address_is_report(address->kind)) {
        status_blocker(model->status, "DOMAIN_IN_USE", "domain", address->report_domain,
                       "domain '%s' has its %s '%s' at domain '%s'", address->report_domain,
                       address_kind_words(address->kind), address->address, domain->name);
    } else {
        status_blocker(model->status, "DOMAIN_IN_USE", "address", address->address,
                       "account '%s' has the address '%s'", address->account, address->address);
    }
}

/* How many of the addresses at the domain are its own report addresses, and go with it. */
static uint64_t count_own_reports(struct model *model, const Mxadm__V1__Domain *domain)
{
    const Mxadm__V1__ReportAddress *reports[] = { domain->dmarc, domain->tlsrpt };
    uint64_t count = 0;

    for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
        struct name_address address = { .domain = { domain->name, domain->ascii_name } };
        struct record_key key;
        Mxadm__V1__Address *record = NULL;

        if (reports[i] != NULL &&
            (reports[i]->domain[0] == '\0' || strcmp(reports[i]->domain, domain->name) == 0) &&
            name_parse_localpart(model->arena, reports[i]->localpart, &address.localpart) == NULL) {
            key = address_key(model, domain, &address);
            record = record_load(model, RECORD_ADDRESS, &key);
        }
        count += record != NULL && is_own_report(domain, record);
    }
    return count;
}

bool domain_check_removable(struct model *model, const Mxadm__V1__Domain *domain)
{
    struct record_key range = record_prefix(RECORD_ADDRESS, domain->name);
    uint64_t left = record_count(model, &range) - count_own_reports(model, domain);
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (model->status->blocker_count < STATUS_BLOCKERS_MAX &&
           store_cursor_next(&cursor, &entry)) {
        Mxadm__V1__Address *address = record_unpack(model, RECORD_ADDRESS, entry.value);

        if (!is_own_report(domain, address)) {
            report_dependant(model, domain, address);
            left--;
        }
    }
    model->status->blocker_count += left; /* those beyond the first are not read */
    (void) login_check_owner(model, "DOMAIN_IN_USE", domain->name, NULL, NULL);
    return status_ok(model->status);
}

static void remove_report(struct model *model, const Mxadm__V1__Domain *domain,
                          const Mxadm__V1__ReportAddress *report, uint64_t *removed)
{
    struct name_address address;
    Mxadm__V1__Domain *at = (Mxadm__V1__Domain *) domain;
    struct record_key key;

    if (report == NULL) {
        return;
    }
    if (report->domain[0] != '\0' && strcmp(report->domain, domain->name) != 0) {
        at = domain_find(model, report->domain);
    }
    if (at == NULL || name_parse_localpart(model->arena, report->localpart, &address.localpart)) {
        return;
    }
    address.catchall = false;
    address.domain = (struct name_domain){ at->name, at->ascii_name };
    key = address_key(model, at, &address);
    if (record_exists(model, &key)) {
        record_delete(model, &key);
        (void) address_check_unneeded(model, "DOMAIN_IN_USE", at,
                                      address_localpart(model, at, &address));
        (*removed)++;
    }
}

/* With their members. */
static uint64_t remove_aliases(struct model *model, const Mxadm__V1__Domain *domain)
{
    struct record_key aliases = record_prefix(RECORD_ALIAS, domain->name);
    struct record_key members = record_prefix(RECORD_ALIAS_MEMBER, domain->name);
    uint64_t removed = record_delete_range(model, &members);

    return removed + record_delete_range(model, &aliases);
}

uint64_t domain_remove(struct model *model, const Mxadm__V1__Domain *domain,
                       void (*key_file)(void *context, const char *name), void *context)
{
    struct record_key key = record_key(RECORD_DOMAIN, domain->name, NULL);
    uint64_t removed = 0;
    size_t count;
    Mxadm__V1__DkimSelector **selectors = dkim_all(model, domain->name, &count);

    for (size_t i = 0; i < count; i++) {
        key_file(context, selectors[i]->key_file);
        dkim_remove(model, selectors[i]);
        removed++;
    }
    removed += remove_aliases(model, domain); /* first: report addresses may be members of those */
    remove_report(model, domain, domain->dmarc, &removed);
    remove_report(model, domain, domain->tlsrpt, &removed);
    record_delete(model, &key);
    return removed;
}

static bool same_domain(const struct model *model, const char *text, const char *name)
{
    struct name_domain parsed;

    return text != NULL && name_parse_domain(model->arena, text, &parsed) == NULL &&
           strcmp(parsed.name, name) == 0;
}

bool domain_is_host(const struct model *model, const char *name)
{
    const struct settings *settings = model->settings;

    if (same_domain(model, settings->host_name, name)) {
        return true;
    }
    for (size_t i = 0; i < settings->listener_count; i++) {
        if (settings->listeners[i].smtp &&
            same_domain(model, settings->listeners[i].host_name, name)) {
            return true;
        }
    }
    return false;
}
