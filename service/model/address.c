#include "model/address.h"

#include "model/alias.h"
#include "model/domain.h"
#include "model/fields.h"
#include "model/login.h"
#include "model/packed.h"
#include "settings/settings.h"

#include <string.h>
#include <strings.h>

/* -------------------------------------------------------------------- forms */

/* Postmaster has no letter case, whatever the domain's rule (5.5-01). */
const char *address_localpart(struct model *model, const Mxadm__V1__Domain *domain,
                              const struct name_address *address)
{
    struct name_policy policy = domain_policy(domain);
    const char *canonical = name_canonical_localpart(model->arena, address->localpart, &policy);

    return strcasecmp(canonical, "postmaster") == 0 ? "postmaster"
                                                    : name_localpart_text(model->arena, canonical);
}

struct record_key address_key(struct model *model, const Mxadm__V1__Domain *domain,
                              const struct name_address *address)
{
    return record_key(RECORD_ADDRESS, domain->name,
                      address->catchall ? RECORD_CATCHALL
                                        : address_localpart(model, domain, address));
}

const char *address_canonical(struct model *model, const Mxadm__V1__Domain *domain,
                              const struct name_address *address)
{
    if (address->catchall) {
        return arena_printf(model->arena, "@%s", domain->name);
    }
    return arena_printf(model->arena, "%s@%s", address_localpart(model, domain, address),
                        domain->name);
}

const char *address_kind_words(Mxadm__V1__Address__Kind kind)
{
    switch (kind) {
    case MXADM__V1__ADDRESS__KIND__KIND_CATCHALL:
        return "catchall address";
    case MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT:
        return "DMARC report address";
    case MXADM__V1__ADDRESS__KIND__KIND_TLS_REPORT:
        return "TLS report address";
    case MXADM__V1__ADDRESS__KIND__KIND_ORDINARY:
    case MXADM__V1__ADDRESS__KIND__KIND_UNSPECIFIED:
    case _MXADM__V1__ADDRESS__KIND_IS_INT_SIZE:
        break;
    }
    return "address";
}

bool address_is_report(Mxadm__V1__Address__Kind kind)
{
    return kind == MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT ||
           kind == MXADM__V1__ADDRESS__KIND__KIND_TLS_REPORT;
}

/* ------------------------------------------------------------------ adding */

Mxadm__V1__Address *address_new(struct model *model, const Mxadm__V1__Domain *domain,
                                const struct name_address *address, const char *account,
                                Mxadm__V1__Address__Kind kind)
{
    Mxadm__V1__Address *record = arena_alloc(model->arena, sizeof(*record));

    mxadm__v1__address__init(record);
    record->address = (char *) name_address_text(model->arena, address);
    record->canonical_address = (char *) address_canonical(model, domain, address);
    record->domain = domain->name;
    record->account = (char *) account;
    record->kind = kind;
    return record;
}

/* Number of Address.account. */
#define ADDRESS_ACCOUNT_FIELD 4

struct slice address_put(struct model *model, const Mxadm__V1__Domain *domain,
                         const struct name_address *address, Mxadm__V1__Address *record)
{
    struct record_key key = address_key(model, domain, address);
    struct slice before = { NULL, 0 };
    bool exists = record_get(model, &key, &before);
    struct slice account = packed_bytes(before, ADDRESS_ACCOUNT_FIELD);
    struct slice after = record_put(model, RECORD_ADDRESS, &key, &record->base);

    /* One that is new may have gone just now, in this request, and left its memberships. */
    if (!exists || account.len != strlen(record->account) ||
        memcmp(account.data, record->account, account.len) != 0) {
        alias_members_follow(model, record, &key);
    }
    return after;
}

/* True, as the address is. */
static bool in_use(struct model *model, const char *name, const char *by)
{
    status_resource(model->status, MX_ALREADY_EXISTS, "ADDRESS_IN_USE", "address", name,
                    "address '%s' is %s already", name, by);
    return true;
}

static bool is_alias(struct model *model, const Mxadm__V1__Domain *domain,
                     const struct name_address *address)
{
    struct record_key key;

    if (address->catchall) {
        return false;
    }
    key = alias_key(model, domain, address);
    return record_exists(model, &key);
}

static bool is_host_report(const struct model *model, const struct name_address *address)
{
    const struct settings *settings = model->settings;
    const char *localpart;
    struct name_domain host;

    return !address->catchall && settings->host_tls_reports.localpart != NULL &&
           name_parse_localpart(model->arena, settings->host_tls_reports.localpart, &localpart) ==
               NULL &&
           name_parse_domain(model->arena, settings->host_name, &host) == NULL &&
           strcmp(host.name, address->domain.name) == 0 &&
           strcasecmp(localpart, address->localpart) == 0;
}

static bool is_postmaster(const struct name_address *address)
{
    return !address->catchall && strcasecmp(address->localpart, "postmaster") == 0;
}

const char *address_of_settings(const struct model *model, const struct name_address *address)
{
    if (is_host_report(model, address)) {
        return "the host's TLS report address by the settings";
    }
    if (is_postmaster(address) && domain_is_host(model, address->domain.name)) {
        return "the settings' postmaster account's, as postmaster of a host";
    }
    return NULL;
}

static bool check_separator(struct model *model, const char *field, const Mxadm__V1__Domain *domain,
                            const struct name_address *address)
{
    struct name_policy policy = domain_policy(domain);
    const char *separator = name_find_separator(address->localpart, &policy);

    if (separator != NULL) {
        status_field(model->status, field,
                     "%s contains '%s', which separates localparts of domain '%s'",
                     name_show(model->arena, name_address_text(model->arena, address)), separator,
                     domain->name);
    }
    return separator == NULL;
}

static const char *whose(struct model *model, const Mxadm__V1__Address *address)
{
    if (address_is_report(address->kind)) {
        return arena_printf(model->arena, "the %s of domain '%s' and of account '%s'",
                            address_kind_words(address->kind), address->report_domain,
                            address->account);
    }
    return arena_printf(model->arena, "an address of account '%s'", address->account);
}

static bool is_taken(struct model *model, const Mxadm__V1__Domain *domain,
                     const struct name_address *address)
{
    struct record_key key = address_key(model, domain, address);
    const char *name = address_canonical(model, domain, address);
    Mxadm__V1__Address *other = record_load(model, RECORD_ADDRESS, &key);

    if (other != NULL) {
        return in_use(model, name, whose(model, other));
    }
    if (is_alias(model, domain, address)) {
        return in_use(model, name, "an alias");
    }
    if (address_of_settings(model, address) != NULL) {
        return in_use(model, name, address_of_settings(model, address));
    }
    return false;
}

bool address_check_free(struct model *model, const char *field, const Mxadm__V1__Domain *domain,
                        const struct name_address *address, const char *account)
{
    if (!address->catchall && !check_separator(model, field, domain, address)) {
        return false;
    }
    return !is_taken(model, domain, address) &&
           (address->catchall ||
            login_check_owner(model, "ADDRESS_IN_USE", domain->name,
                              address_localpart(model, domain, address), account));
}

/* ----------------------------------------------------------------- finding */

Mxadm__V1__Address *address_require(struct model *model, const struct name_address *address,
                                    struct record_key *key_out, struct slice *packed_out)
{
    Mxadm__V1__Domain *domain = domain_find(model, address->domain.name);
    const char *name = name_address_text(model->arena, address);

    if (domain != NULL) {
        *key_out = address_key(model, domain, address);
        if (record_get(model, key_out, packed_out)) {
            return record_unpack(model, RECORD_ADDRESS, *packed_out);
        }
    }
    status_resource(model->status, MX_NOT_FOUND, "ADDRESS_NOT_FOUND", "address", name,
                    domain == NULL ? "there is no address '%s': its domain is not configured"
                                   : "there is no address '%s'",
                    name);
    return NULL;
}

Mxadm__V1__Address *address_resolve(struct model *model, const Mxadm__V1__Domain *domain,
                                    const struct name_address *address)
{
    struct record_key exact = address_key(model, domain, address);
    struct record_key all = record_key(RECORD_ADDRESS, domain->name, RECORD_CATCHALL);
    Mxadm__V1__Address *record;

    if (is_host_report(model, address) ||
        (is_postmaster(address) && domain_is_host(model, domain->name))) {
        return NULL;
    }
    record = record_load(model, RECORD_ADDRESS, &exact);
    if (record != NULL || is_alias(model, domain, address)) {
        return record;
    }
    return record_load(model, RECORD_ADDRESS, &all);
}

/* ---------------------------------------------------------------- removing */

void address_report_memberships(struct model *model, const char *reason, const char *domain,
                                const char *localpart)
{
    struct record_key range = record_memberships(domain, localpart);
    uint64_t left = record_count(model, &range);
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (model->status->blocker_count < STATUS_BLOCKERS_MAX &&
           store_cursor_next(&cursor, &entry)) {
        const char *parts[RECORD_PARTS_MAX];
        const char *alias;

        record_key_parts(model->arena, entry.key, parts);
        alias = arena_printf(model->arena, "%s@%s", parts[3], parts[2]);
        status_blocker(model->status, reason, record_kind_name(RECORD_ALIAS), alias,
                       "address '%s@%s' is a member of alias '%s'", localpart, domain, alias);
        left--;
    }
    model->status->blocker_count += left;
}

bool address_check_unneeded(struct model *model, const char *reason,
                            const Mxadm__V1__Domain *domain, const char *localpart)
{
    struct name_address address = { .domain = { domain->name, domain->ascii_name } };
    size_t before = model->status->blocker_count;
    Mxadm__V1__Address *now = NULL;

    address_report_memberships(model, reason, domain->name, localpart);
    if (name_parse_localpart(model->arena, localpart, &address.localpart) == NULL) {
        now = address_resolve(model, domain, &address);
    }
    (void) login_check_owner(model, reason, domain->name, localpart,
                             now == NULL ? NULL : now->account);
    return model->status->blocker_count == before;
}

/* ----------------------------------------------------------------- looking up */

struct lookup {
    struct model *model;
    const Mxadm__V1__AddressLookupRequest *request;
    Mxadm__V1__AddressLookupResponse *answer;
    struct name_address address;
};

static void found_by_settings(struct lookup *lookup, Mxadm__V1__AddressLookupResponse__Via via,
                              const char *account, const char *mailbox, const char *canonical)
{
    lookup->answer->via = via;
    lookup->answer->account = (char *) account;
    lookup->answer->mailbox = (char *) (mailbox == NULL ? "" : mailbox);
    lookup->answer->canonical_address = (char *) canonical;
}

static void not_found(struct lookup *lookup)
{
    const char *name = lookup->request->address;

    status_resource(lookup->model->status, MX_NOT_FOUND, "ADDRESS_NOT_FOUND", "address",
                    name_show(lookup->model->arena, name), "mail for address %s goes nowhere",
                    name_show(lookup->model->arena, name));
}

/* 5.5-03, 5.5-09: the settings' postmaster, if they name one. */
static void look_for_postmaster(struct lookup *lookup)
{
    const struct settings *settings = lookup->model->settings;

    if (lookup->request->exclude_postmaster || settings->postmaster.account == NULL) {
        not_found(lookup);
        return;
    }
    found_by_settings(lookup, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_POSTMASTER,
                      settings->postmaster.account, settings->postmaster.mailbox, "postmaster");
}

static bool found_alias(struct lookup *lookup, const Mxadm__V1__Domain *domain)
{
    struct record_key key = alias_key(lookup->model, domain, &lookup->address);
    Mxadm__V1__Alias *alias = record_load(lookup->model, RECORD_ALIAS, &key);

    if (alias == NULL) {
        return false;
    }
    if (lookup->request->exclude_aliases) {
        not_found(lookup); /* the catchall does not have it either (5.5-07) */
        return true;
    }
    lookup->answer->via = MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_ALIAS;
    lookup->answer->alias = alias;
    lookup->answer->canonical_address = alias->canonical_address;
    return true;
}

static bool found_address(struct lookup *lookup, const struct record_key *key,
                          Mxadm__V1__AddressLookupResponse__Via via)
{
    Mxadm__V1__Address *address = record_load(lookup->model, RECORD_ADDRESS, key);

    if (address == NULL) {
        return false;
    }
    lookup->answer->via = via;
    lookup->answer->address = address;
    lookup->answer->account = address->account;
    lookup->answer->canonical_address = address->canonical_address;
    return true;
}

/* Whether the domain has something to say; reported or answered. */
static bool look_in_domain(struct lookup *lookup, const Mxadm__V1__Domain *domain)
{
    struct record_key exact = address_key(lookup->model, domain, &lookup->address);
    struct record_key all = record_key(RECORD_ADDRESS, domain->name, RECORD_CATCHALL);

    return found_address(lookup, &exact, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_ADDRESS) ||
           found_alias(lookup, domain) ||
           found_address(lookup, &all, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_CATCHALL);
}

/* A domain without anything to send to is not one that mail is taken for (5.5-05, 5.6-02; aliases
 * count, other than upstream). */
static bool takes_mail(struct lookup *lookup, const char *domain)
{
    struct record_key addresses = record_prefix(RECORD_ADDRESS, domain);
    struct record_key aliases = record_prefix(RECORD_ALIAS, domain);

    if (record_count(lookup->model, &addresses) > 0 || record_count(lookup->model, &aliases) > 0) {
        return true;
    }
    status_resource(lookup->model->status, MX_NOT_FOUND, "DOMAIN_NOT_FOUND", "domain", domain,
                    "domain '%s' takes no mail: it has neither addresses nor aliases", domain);
    return false;
}

static void look_at_domain(struct lookup *lookup)
{
    struct model *model = lookup->model;
    Mxadm__V1__Domain *domain = domain_require(model, lookup->address.domain.name);

    if (domain == NULL || !takes_mail(lookup, domain->name)) {
        return;
    }
    lookup->answer->domain_disabled = domain->disabled;
    if (domain->disabled && lookup->request->refuse_disabled) {
        status_blocker(model->status, "DOMAIN_DISABLED", "domain", domain->name,
                       "domain '%s' is out of service", domain->name);
        return;
    }
    if (look_in_domain(lookup, domain)) {
        return;
    }
    if (strcmp(address_localpart(model, domain, &lookup->address), "postmaster") == 0) {
        look_for_postmaster(lookup);
    } else {
        not_found(lookup);
    }
}

/* "postmaster" alone is legal (RFC 5321 section 4.5.1). False: reported, or found already. */
static bool read_address(struct lookup *lookup)
{
    if (strcasecmp(lookup->request->address, "postmaster") == 0) {
        look_for_postmaster(lookup);
        return false;
    }
    if (!field_address(lookup->model, "address", lookup->request->address, false,
                       &lookup->address)) {
        return false;
    }
    return true;
}

Mxadm__V1__AddressLookupResponse *address_lookup(struct model *model,
                                                 const Mxadm__V1__AddressLookupRequest *request)
{
    const struct settings *settings = model->settings;
    struct lookup lookup = { .model = model, .request = request };

    lookup.answer = arena_alloc(model->arena, sizeof(*lookup.answer));
    mxadm__v1__address_lookup_response__init(lookup.answer);
    if (!read_address(&lookup)) {
        return lookup.answer;
    }
    if (is_postmaster(&lookup.address) && domain_is_host(model, lookup.address.domain.name)) {
        look_for_postmaster(&lookup);
    } else if (is_host_report(model, &lookup.address)) {
        found_by_settings(&lookup, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_HOST_REPORT,
                          settings->host_tls_reports.account, settings->host_tls_reports.mailbox,
                          name_address_text(model->arena, &lookup.address));
    } else {
        look_at_domain(&lookup);
    }
    return lookup.answer;
}
