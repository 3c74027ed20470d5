/*
 * Addresses: AddressAdd, AddressRemove, AddressSave, AddressGet, AddressList,
 * AddressLookup.
 */
#include "model/address.h"
#include "handlers/handlers.h"
#include "handlers/list.h"
#include "model/account.h"
#include "model/domain.h"
#include "model/fields.h"
#include "model/mask.h"

#include <string.h>

/* -------------------------------------------------------------- AddressAdd */

static void address_add(struct rpc_call *call)
{
    const Mxadm__V1__AddressAddRequest *request = call_request(call);
    struct model *model = call_model(call);
    struct name_address address;
    struct slice packed;
    Mxadm__V1__Domain *domain;
    Mxadm__V1__Address *record;
    const char *account;
    bool named = field_account(model, "account", request->account, &account);

    if (!field_address(model, "address", request->address, true, &address) || !named ||
        !call_covers(call, address.domain.name)) {
        return;
    }
    if (account_require(model, account, &packed)) {
        /* Else an address would make the account of another one's own to see. */
        (void) account_check_covered(call, account);
    }
    domain = domain_require(model, address.domain.name);
    if (domain == NULL || !address_check_free(model, "address", domain, &address, account) ||
        !status_ok(model->status)) {
        return;
    }
    record = address_new(model, domain, &address, account,
                         address.catchall ? MXADM__V1__ADDRESS__KIND__KIND_CATCHALL
                                          : MXADM__V1__ADDRESS__KIND__KIND_ORDINARY);
    call_answer_field(call, 1, address_put(model, domain, &address, record));
}

/* ----------------------------------------------------------- AddressRemove */

static void address_remove_call(struct rpc_call *call)
{
    const Mxadm__V1__AddressRemoveRequest *request = call_request(call);
    Mxadm__V1__AddressRemoveResponse response = MXADM__V1__ADDRESS_REMOVE_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct name_address address;
    struct address_removal removal;
    struct record_key key;
    struct slice packed;
    Mxadm__V1__Address *record;

    if (!field_address(model, "address", request->address, true, &address) ||
        !call_covers(call, address.domain.name)) {
        return;
    }
    record = address_require(model, &address, &key, &packed);
    if (record == NULL) {
        return;
    }
    if (!address_remove(model, record, &key, &removal)) {
        return;
    }
    response.aliases = removal.aliases;
    response.n_aliases = removal.alias_count;
    response.from_id_login_addresses = removal.login_addresses;
    response.n_from_id_login_addresses = removal.login_address_count;
    call_answer(call, &response.base);
}

/* ------------------------------------------------------------- AddressSave */

static void address_save_call(struct rpc_call *call)
{
    const Mxadm__V1__AddressSaveRequest *request = call_request(call);
    struct model *model = call_model(call);
    struct name_address address;
    struct record_key key;
    struct slice packed;
    Mxadm__V1__Address *before;
    Mxadm__V1__Address *after;

    if (request->address == NULL) {
        status_field(model->status, "address", "is required");
        return;
    }
    if (!field_address(model, "address.address", request->address->address, true, &address) ||
        !call_covers(call, address.domain.name)) {
        return;
    }
    before = address_require(model, &address, &key, &packed);
    if (before == NULL) {
        return;
    }
    after = record_unpack(model, RECORD_ADDRESS, packed);
    if (!mask_apply(model, request->update_mask, address_fixed, &request->address->base,
                    &after->base)) {
        return;
    }
    packed = address_save(model, before, after, "address");
    if (status_ok(model->status)) {
        call_answer_field(call, 1, packed);
    }
}

/* ------------------------------------------------- AddressGet, AddressList */

static void address_get(struct rpc_call *call)
{
    const Mxadm__V1__AddressGetRequest *request = call_request(call);
    struct model *model = call_model(call);
    struct name_address address;
    struct record_key key;
    struct slice packed;

    if (!field_address(model, "address", request->address, true, &address) ||
        !call_covers(call, address.domain.name)) {
        return;
    }
    if (address_require(model, &address, &key, &packed) != NULL) {
        call_answer_field(call, 1, packed);
    }
}

/* A localpart in text form: every byte quoted, and the quotes. */
#define PREFIX_MAX (2 * NAME_LOCALPART_MAX + 2)

struct address_filter {
    const char *domain; /* NULL: all */
    const char *prefix; /* of the canonical localpart */
    bool scoped;        /* only domains of the caller */
};

static bool fits(const struct list *list, const Mxadm__V1__Address *address)
{
    const struct address_filter *filter = list->context;

    if (filter->scoped && !principal_covers(call_principal(list->call), address->domain)) {
        return false;
    }
    return strncmp(address->canonical_address, filter->prefix, strlen(filter->prefix)) == 0;
}

/* An entry of the addresses themselves. */
static bool filtered_address(const struct list *list, const struct store_entry *entry,
                             struct slice *packed_out, struct slice *skip_to)
{
    struct model *model = call_model(list->call);

    (void) packed_out;
    (void) skip_to;
    return fits(list, record_unpack(model, RECORD_ADDRESS, entry->value));
}

/* An entry of the index of an account's addresses. */
static bool address_of_account(const struct list *list, const struct store_entry *entry,
                               struct slice *packed_out, struct slice *skip_to)
{
    struct model *model = call_model(list->call);
    struct record_key key;

    (void) skip_to;
    return record_indexed_address(entry->key, &key) && record_get(model, &key, packed_out) &&
           fits(list, record_unpack(model, RECORD_ADDRESS, *packed_out));
}

/* Domain and account of the filter, parsed; false: reported. */
static bool read_filter(struct rpc_call *call, const Mxadm__V1__AddressListRequest *request,
                        struct address_filter *filter, const char **account_out)
{
    struct model *model = call_model(call);
    struct name_domain domain;
    struct slice packed;

    filter->prefix = request->prefix;
    filter->scoped = call_principal(call)->role == ROLE_DOMAIN_ADMINISTRATOR;
    if (request->prefix[0] != '\0' && request->domain[0] == '\0') {
        status_field(model->status, "prefix", "needs a domain");
    }
    if (strlen(request->prefix) > PREFIX_MAX) {
        status_field(model->status, "prefix", "is longer than %d bytes", PREFIX_MAX);
    }
    if (request->domain[0] != '\0' && field_domain(model, "domain", request->domain, &domain) &&
        call_covers(call, domain.name) && domain_require(model, domain.name) != NULL) {
        filter->domain = domain.name;
    }
    if (request->account[0] != '\0' &&
        field_account(model, "account", request->account, account_out)) {
        (void) account_require(model, *account_out, &packed);
    }
    return status_ok(model->status);
}

static void address_list(struct rpc_call *call)
{
    const Mxadm__V1__AddressListRequest *request = call_request(call);
    Mxadm__V1__AddressListResponse response = MXADM__V1__ADDRESS_LIST_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct address_filter filter = { 0 };
    struct list list = { .call = call, .number = 1, .context = &filter };
    const char *account = NULL;
    struct record_key range;
    struct call_page page;

    if (!call_page_begin(call, request->page_size, request->page_token, &page) ||
        !read_filter(call, request, &filter, &account)) {
        return;
    }
    if (account != NULL) {
        range = record_account_addresses(account, filter.domain);
        list.record = address_of_account;
    } else {
        range = filter.domain == NULL ? record_prefix(RECORD_ADDRESS, NULL)
                                      : record_key(RECORD_ADDRESS, filter.domain, filter.prefix);
        list.record = filter.scoped && filter.domain == NULL ? filtered_address : NULL;
    }
    list.range = record_slice(&range);
    response.next_page_token = (char *) list_page(&list, &page);
    if ((account == NULL || filter.prefix[0] == '\0') &&
        (!filter.scoped || filter.domain != NULL)) {
        response.total = record_count(model, &range);
    }
    call_answer(call, &response.base);
}

/* ----------------------------------------------------------- AddressLookup */

/* An address that is none, and "postmaster" alone, belong to nobody's domain. */
static bool covers_address(struct rpc_call *call, const char *text)
{
    struct name_address address;

    return name_parse_address(call_arena(call), text, false, &address) != NULL ||
           call_covers(call, address.domain.name);
}

static void address_lookup_call(struct rpc_call *call)
{
    const Mxadm__V1__AddressLookupRequest *request = call_request(call);
    struct model *model = call_model(call);
    Mxadm__V1__AddressLookupResponse *response;

    if (!covers_address(call, request->address)) {
        return;
    }
    response = address_lookup(model, request);
    if (status_ok(model->status)) {
        call_answer(call, &response->base);
    }
}

const struct rpc_row address_rows[] = {
    { "AddressAdd", address_add, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "AddressRemove", address_remove_call, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false,
      NULL },
    { "AddressSave", address_save_call, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "AddressGet", address_get, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "AddressList", address_list, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "AddressLookup", address_lookup_call, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { 0 },
};
