#include "model/address.h"

#include "model/domain.h"
#include "model/fields.h"
#include "settings/settings.h"

#include <string.h>
#include <strings.h>

/* -------------------------------------------------------------------- forms */

static const char *canonical_text(struct model *model, const Mxadm__V1__Domain *domain,
                                  const struct name_address *address)
{
    struct name_policy policy = domain_policy(domain);

    return name_localpart_text(model->arena,
                               name_canonical_localpart(model->arena, address->localpart, &policy));
}

struct record_key address_key(struct model *model, const Mxadm__V1__Domain *domain,
                              const struct name_address *address)
{
    return record_key(RECORD_ADDRESS, domain->name,
                      address->catchall ? RECORD_CATCHALL : canonical_text(model, domain, address));
}

const char *address_canonical(struct model *model, const Mxadm__V1__Domain *domain,
                              const struct name_address *address)
{
    if (address->catchall) {
        return arena_printf(model->arena, "@%s", domain->name);
    }
    return arena_printf(model->arena, "%s@%s", canonical_text(model, domain, address),
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

struct slice address_put(struct model *model, const Mxadm__V1__Domain *domain,
                         const struct name_address *address, Mxadm__V1__Address *record)
{
    struct record_key key = address_key(model, domain, address);

    return record_put(model, RECORD_ADDRESS, &key, &record->base);
}

static bool in_use(struct model *model, const char *name, const char *by)
{
    status_resource(model->status, MX_ALREADY_EXISTS, "ADDRESS_IN_USE", "address", name,
                    "address '%s' is %s already", name, by);
    return false;
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

bool address_check_free(struct model *model, const char *field, const Mxadm__V1__Domain *domain,
                        const struct name_address *address)
{
    struct record_key key = address_key(model, domain, address);
    const char *name = address_canonical(model, domain, address);
    Mxadm__V1__Address *other;

    if (!address->catchall) {
        struct name_policy policy = domain_policy(domain);
        const char *separator = name_find_separator(address->localpart, &policy);

        if (separator != NULL) {
            status_field(model->status, field,
                         "%s contains '%s', which separates localparts of domain '%s'",
                         name_show(model->arena, name_address_text(model->arena, address)),
                         separator, domain->name);
            return false;
        }
    }
    other = record_load(model, RECORD_ADDRESS, &key);
    if (other != NULL) {
        return in_use(
            model, name,
            arena_printf(model->arena, "%s of account '%s'",
                         address_is_report(other->kind)
                             ? arena_printf(model->arena, "the %s of domain '%s' and",
                                            address_kind_words(other->kind), other->report_domain)
                             : "an address",
                         other->account));
    }
    if (is_host_report(model, address)) {
        return in_use(model, name, "the host's TLS report address by the settings");
    }
    if (is_postmaster(address) && domain_is_host(model, domain->name)) {
        return in_use(model, name, "the settings' postmaster account's, as postmaster of a host");
    }
    return true;
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
    Mxadm__V1__Address *record = record_load(model, RECORD_ADDRESS, &exact);

    return record != NULL ? record : record_load(model, RECORD_ADDRESS, &all);
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

/* True: the domain has nothing more to say. */
static bool look_in_domain(struct lookup *lookup, const Mxadm__V1__Domain *domain)
{
    struct record_key exact = address_key(lookup->model, domain, &lookup->address);
    struct record_key all = record_key(RECORD_ADDRESS, domain->name, RECORD_CATCHALL);
    Mxadm__V1__Address *address = record_load(lookup->model, RECORD_ADDRESS, &exact);

    lookup->answer->via = MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_ADDRESS;
    if (address == NULL) {
        address = record_load(lookup->model, RECORD_ADDRESS, &all);
        lookup->answer->via = MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_CATCHALL;
    }
    if (address == NULL) {
        lookup->answer->via = MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_UNSPECIFIED;
        return false;
    }
    lookup->answer->address = address;
    lookup->answer->account = address->account;
    lookup->answer->canonical_address = address->canonical_address;
    return true;
}

static void look_at_domain(struct lookup *lookup)
{
    struct model *model = lookup->model;
    Mxadm__V1__Domain *domain = domain_require(model, lookup->address.domain.name);
    struct name_policy policy;

    if (domain == NULL) {
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
    policy = domain_policy(domain);
    if (strcmp(name_canonical_localpart(model->arena, lookup->address.localpart, &policy),
               "postmaster") == 0) {
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
    if (is_postmaster(&lookup->address)) {
        lookup->address.localpart = "postmaster"; /* whatever the domain's case rule, 5.5-01 */
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
