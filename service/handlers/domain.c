/*
 * Domains: DomainAdd, DomainRemove, DomainSave, DomainGet, DomainList,
 * DomainRecords, DomainTemplate.
 */
#include "model/domain.h"
#include "handlers/handlers.h"
#include "handlers/list.h"
#include "model/account.h"
#include "model/address.h"
#include "model/dkim.h"
#include "model/dns.h"
#include "model/fields.h"
#include "model/mask.h"
#include "settings/settings.h"

#include <string.h>

/* --------------------------------------------------------------- DomainAdd */

struct domain_add {
    struct rpc_call *call;
    struct model *model;
    struct name_domain name;
    const char *account;
    const char *localpart; /* NULL: the account exists */
    Mxadm__V1__Domain *domain;
    Mxadm__V1__DkimSelector **selectors;
    size_t selector_count;
};

static void check_localpart(struct domain_add *add)
{
    struct name_policy policy = domain_policy(add->domain);
    const char *separator = name_find_separator(add->localpart, &policy);
    const char *canonical = name_canonical_localpart(add->model->arena, add->localpart, &policy);

    if (separator != NULL) {
        status_field(add->model->status, "localpart",
                     "%s contains '%s', which separates localparts of the new domain",
                     name_show(add->model->arena, add->localpart), separator);
    } else if (strcmp(canonical, add->domain->dmarc->localpart) == 0 ||
               strcmp(canonical, add->domain->tlsrpt->localpart) == 0) {
        status_field(add->model->status, "localpart", "'%s' is a report address of the new domain",
                     canonical);
    }
}

static bool read_domain_add(struct domain_add *add)
{
    const Mxadm__V1__DomainAddRequest *request = call_request(add->call);
    bool named = field_domain(add->model, "domain", request->domain, &add->name);

    if (named && strlen(add->name.ascii) > DOMAIN_ASCII_MAX) {
        status_field(add->model->status, "domain",
                     "%s is longer than %d bytes in ASCII form: its DNS records would not fit",
                     name_show(add->model->arena, request->domain), DOMAIN_ASCII_MAX);
    }
    (void) field_account(add->model, "account", request->account, &add->account);
    if (request->localpart[0] != '\0' &&
        !field_localpart(add->model, "localpart", request->localpart, &add->localpart)) {
        add->localpart = NULL;
    }
    if (!status_ok(add->model->status)) {
        return false;
    }
    add->domain = domain_template(add->model, &add->name, add->account);
    add->domain->disabled = request->disabled;
    if (add->localpart != NULL) {
        check_localpart(add);
    }
    return status_ok(add->model->status);
}

static bool check_domain_add(struct domain_add *add)
{
    struct name_address address = { .localpart = add->localpart, .domain = add->name };
    struct slice packed;

    if (domain_find(add->model, add->name.name) != NULL) {
        status_resource(add->model->status, MX_ALREADY_EXISTS, "DOMAIN_EXISTS", "domain",
                        add->name.name, "domain '%s' is there already", add->name.name);
    }
    if (add->localpart != NULL) {
        (void) account_check_free(add->model, add->account);
        (void) address_check_free(add->model, "localpart", add->domain, &address, add->account);
    } else if (!account_require(add->model, add->account, &packed)) {
        status_metadata(add->model->status, "hint",
                        "give a localpart to add the account with the domain");
    }
    return status_ok(add->model->status);
}

/* The account's address in the new domain: the given one, else postmaster, unless the settings
 * give that mail to somebody anyway (1.10-07 to 1.10-09). */
static void put_first_address(struct domain_add *add)
{
    struct name_address address = { .localpart = add->localpart, .domain = add->name };
    Mxadm__V1__Address *record;

    if (add->localpart == NULL) {
        if (account_is_postmaster(add->model, add->account) ||
            domain_is_host(add->model, add->name.name)) {
            return;
        }
        address.localpart = "postmaster";
    }
    record = address_new(add->model, add->domain, &address, add->account,
                         MXADM__V1__ADDRESS__KIND__KIND_ORDINARY);
    call_answer_field(add->call, 4, address_put(add->model, add->domain, &address, record));
}

static void put_selectors(struct domain_add *add)
{
    for (size_t i = 0; i < add->selector_count; i++) {
        Mxadm__V1__DkimSelector *selector = add->selectors[i];
        const struct key *key = call_take_key(add->call, KEY_RSA2048);

        call_answer_field(
            add->call, 2,
            dkim_put_new(add->model, call_vault(add->call), add->name.ascii, selector, key));
        call_write_key_file(add->call, selector->key_file, key, selector->ascii_name,
                            add->name.ascii);
    }
}

static unsigned domain_add_keys(const void *request, enum key_kind *kind_out)
{
    (void) request;
    *kind_out = KEY_RSA2048;
    return DKIM_TEMPLATE_SELECTORS;
}

static void domain_add(struct rpc_call *call)
{
    struct domain_add add = { .call = call, .model = call_model(call) };

    if (!read_domain_add(&add) || !check_domain_add(&add)) {
        return;
    }
    add.selectors = dkim_template(add.model, &add.name, &add.selector_count);
    if (!status_ok(add.model->status) ||
        !call_want_keys(call, KEY_RSA2048, (unsigned) add.selector_count)) {
        return;
    }
    if (add.localpart != NULL) {
        struct record_key key = record_key(RECORD_ACCOUNT, add.account, NULL);
        Mxadm__V1__Account *account = account_template(add.model, add.account, add.name.name);

        call_answer_field(call, 3, record_put(add.model, RECORD_ACCOUNT, &key, &account->base));
    }
    call_answer_field(call, 1, domain_save(add.model, NULL, add.domain, "domain"));
    if (!status_ok(add.model->status)) {
        return;
    }
    put_selectors(&add);
    put_first_address(&add);
}

/* ------------------------------------------------------------ DomainRemove */

static void retire_file(void *context, const char *name)
{
    call_retire_key_file(context, name);
}

static void domain_remove_call(struct rpc_call *call)
{
    const Mxadm__V1__DomainRemoveRequest *request = call_request(call);
    Mxadm__V1__DomainRemoveResponse response = MXADM__V1__DOMAIN_REMOVE_RESPONSE__INIT;
    struct model *model = call_model(call);
    Mxadm__V1__Domain *domain;
    struct name_domain name;

    if (!field_domain(model, "domain", request->domain, &name)) {
        return;
    }
    domain = domain_require(model, name.name);
    if (domain == NULL || !domain_check_removable(model, domain)) {
        return;
    }
    response.removed = domain_remove(model, domain, retire_file, call);
    call_answer(call, &response.base);
}

/* -------------------------------------------------------------- DomainSave */

static const char *report_domain(const Mxadm__V1__Domain *owner,
                                 const Mxadm__V1__ReportAddress *report)
{
    return report->domain[0] == '\0' ? owner->name : report->domain;
}

static bool same_report(const Mxadm__V1__ReportAddress *a, const Mxadm__V1__ReportAddress *b)
{
    return a != NULL && b != NULL && strcmp(a->localpart, b->localpart) == 0 &&
           strcmp(a->domain, b->domain) == 0 && strcmp(a->account, b->account) == 0;
}

/* A domain administrator neither takes nor gives away an address of a domain, and gives nothing to
 * an account, that is not the own. What stays as it is may be anybody's. */
static bool may_change_report(struct rpc_call *call, const Mxadm__V1__Domain *owner,
                              const Mxadm__V1__ReportAddress *before,
                              const Mxadm__V1__ReportAddress *after)
{
    if (same_report(before, after)) {
        return true;
    }
    return (before == NULL || call_covers(call, report_domain(owner, before))) &&
           (after == NULL || (call_covers(call, report_domain(owner, after)) &&
                              account_check_covered(call, after->account)));
}

/* Asks nothing of what is not well-formed: it is refused anyway. */
static bool may_save(struct rpc_call *call, const Mxadm__V1__Domain *before,
                     const Mxadm__V1__Domain *after)
{
    struct model *model = call_model(call);

    if (call_principal(call)->role != ROLE_DOMAIN_ADMINISTRATOR) {
        return true;
    }
    return domain_check(model, after, "domain") &&
           may_change_report(call, before, before->dmarc, after->dmarc) &&
           may_change_report(call, before, before->tlsrpt, after->tlsrpt);
}

static void domain_save_call(struct rpc_call *call)
{
    const Mxadm__V1__DomainSaveRequest *request = call_request(call);
    struct model *model = call_model(call);
    Mxadm__V1__Domain *before;
    Mxadm__V1__Domain *after;
    struct name_domain name;
    struct slice packed;

    if (request->domain == NULL) {
        status_field(model->status, "domain", "is required");
        return;
    }
    if (!field_domain(model, "domain.name", request->domain->name, &name) ||
        !call_covers(call, name.name)) {
        return;
    }
    before = domain_require(model, name.name);
    if (before == NULL) {
        return;
    }
    after = arena_memdup(model->arena, before, sizeof(*before));
    if (!mask_apply(model, request->update_mask, domain_fixed, &request->domain->base,
                    &after->base)) {
        return;
    }
    domain_normalise(model, after);
    if (!may_save(call, before, after)) {
        return;
    }
    packed = domain_save(model, before, after, "domain");
    if (status_ok(model->status)) {
        call_answer_field(call, 1, packed);
    }
}

/* --------------------------------------------------- DomainGet, DomainList */

static void domain_get(struct rpc_call *call)
{
    const Mxadm__V1__DomainGetRequest *request = call_request(call);
    Mxadm__V1__DomainGetResponse response = MXADM__V1__DOMAIN_GET_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct name_domain name;
    struct record_key key;
    struct record_key addresses;
    struct record_key aliases;
    struct slice packed;

    if (!field_domain(model, "domain", request->domain, &name) || !call_covers(call, name.name)) {
        return;
    }
    key = record_key(RECORD_DOMAIN, name.name, NULL);
    if (!record_get(model, &key, &packed)) {
        (void) domain_require(model, name.name);
        return;
    }
    addresses = record_prefix(RECORD_ADDRESS, name.name);
    response.address_count = record_count(model, &addresses);
    aliases = record_prefix(RECORD_ALIAS, name.name);
    response.alias_count = record_count(model, &aliases);
    call_answer_field(call, 1, packed);
    call_answer(call, &response.base);
}

/* What a domain administrator sees. */
static bool own_domain(const struct list *list, const struct store_entry *entry,
                       struct slice *packed_out, struct slice *skip_to)
{
    const char *name = arena_strndup(call_arena(list->call), (const char *) entry->key.data + 1,
                                     entry->key.len - 1);

    (void) packed_out;
    (void) skip_to;
    return principal_covers(call_principal(list->call), name);
}

/* How many there are of those. */
static uint64_t count_own(struct rpc_call *call, const char *prefix)
{
    const struct principal *principal = call_principal(call);
    uint64_t count = 0;

    for (size_t i = 0; i < principal->domain_count; i++) {
        const char *name = principal->domains[i];

        count += strncmp(name, prefix, strlen(prefix)) == 0 &&
                 domain_find(call_model(call), name) != NULL;
    }
    return count;
}

static void domain_list(struct rpc_call *call)
{
    const Mxadm__V1__DomainListRequest *request = call_request(call);
    Mxadm__V1__DomainListResponse response = MXADM__V1__DOMAIN_LIST_RESPONSE__INIT;
    bool scoped = call_principal(call)->role == ROLE_DOMAIN_ADMINISTRATOR;
    struct list list = { .call = call, .number = 1, .record = scoped ? own_domain : NULL };
    struct record_key range;
    struct call_page page;

    if (strlen(request->prefix) > NAME_DOMAIN_MAX) {
        status_field(call_status(call), "prefix", "is longer than %d bytes", NAME_DOMAIN_MAX);
        return;
    }
    if (!call_page_begin(call, request->page_size, request->page_token, &page)) {
        return;
    }
    range = record_key(RECORD_DOMAIN, request->prefix, NULL);
    list.range = record_slice(&range);
    response.next_page_token = (char *) list_page(&list, &page);
    response.total =
        scoped ? count_own(call, request->prefix) : record_count(call_model(call), &range);
    call_answer(call, &response.base);
}

/* ----------------------------------------------------------- DomainRecords */

/* The domain's selectors with the texts of their records. */
static const struct dns_selector *dns_selectors(struct model *model, const char *domain,
                                                size_t *count_out)
{
    Mxadm__V1__DkimSelector **all = dkim_all(model, domain, count_out);
    struct dns_selector *selectors =
        arena_alloc(model->arena, (*count_out + 1) * sizeof(*selectors));

    for (size_t i = 0; i < *count_out; i++) {
        selectors[i].record = all[i];
        selectors[i].text = dkim_record_text(model, all[i]);
    }
    return selectors;
}

static void domain_records(struct rpc_call *call)
{
    const Mxadm__V1__DomainRecordsRequest *request = call_request(call);
    Mxadm__V1__DomainRecordsResponse response = MXADM__V1__DOMAIN_RECORDS_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct dns_input input = { .settings = call_settings(call) };
    struct dns_records records;
    struct name_domain name;
    struct mx_error err;

    if (!field_domain(model, "domain", request->domain, &name) || !call_covers(call, name.name)) {
        return;
    }
    input.domain = domain_require(model, name.name);
    if (input.domain == NULL) {
        return;
    }
    input.dnssec = request->dnssec;
    input.acme_account_uri = request->acme_account_uri;
    input.selectors = dns_selectors(model, name.name, &input.selector_count);
    if (dns_records(model->arena, &input, &records, &err) == MX_OK) {
        response.records = records.records;
        response.n_records = records.count;
        response.zone = records.zone;
        call_answer(call, &response.base);
    } else if (err.code == MX_INVALID_ARGUMENT) {
        status_field(model->status, "acme_account_uri", "%s", err.message);
    } else {
        status_error(model->status, &err);
    }
}

/* ---------------------------------------------------------- DomainTemplate */

static void domain_template_call(struct rpc_call *call)
{
    const Mxadm__V1__DomainTemplateRequest *request = call_request(call);
    Mxadm__V1__DomainTemplateResponse response = MXADM__V1__DOMAIN_TEMPLATE_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct name_domain name;
    const char *account;
    bool named = field_domain(model, "domain", request->domain, &name);

    if (!field_account(model, "account", request->account, &account) || !named) {
        return;
    }
    response.domain = domain_template(model, &name, account);
    response.dkim_selectors = dkim_template(model, &name, &response.n_dkim_selectors);
    call_answer(call, &response.base);
}

const struct rpc_row domain_rows[] = {
    { "DomainAdd", domain_add, RPC_CHANGE, ROLE_ADMINISTRATOR, false, false, NULL,
      domain_add_keys },
    { "DomainRemove", domain_remove_call, RPC_CHANGE, ROLE_ADMINISTRATOR, false, false, NULL },
    { "DomainSave", domain_save_call, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "DomainGet", domain_get, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "DomainList", domain_list, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "DomainRecords", domain_records, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "DomainTemplate", domain_template_call, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { 0 },
};
