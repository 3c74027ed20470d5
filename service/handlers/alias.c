/*
 * Aliases: AliasAdd, AliasUpdate, AliasRemove, AliasAddressesAdd,
 * AliasAddressesRemove, AliasGet, AliasList.
 */
#include "model/alias.h"
#include "handlers/handlers.h"
#include "handlers/list.h"
#include "model/address.h"
#include "model/domain.h"
#include "model/fields.h"
#include "model/mask.h"
#include "mxadm/v1/admin.pb-c.h"

#include <string.h>

/* Whether a domain administrator may make the addresses members: in an alias of its own it could
 * read mail for, and see the accounts of, addresses at other domains. */
static bool covers_members(struct rpc_call *call, const struct alias_member_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!call_covers(call, list->members[i].address.domain.name)) {
            return false;
        }
    }
    return true;
}

static uint64_t member_count(struct rpc_call *call, const struct record_key *alias)
{
    struct record_key members = alias_members(call_model(call), alias);

    return record_count(call_model(call), &members);
}

/* The alias that a request names and that the caller may see; NULL: reported. */
static Mxadm__V1__Alias *named_alias(struct rpc_call *call, const char *field, const char *text,
                                     struct record_key *key_out, struct slice *packed_out)
{
    struct name_address address;

    if (!field_address(call_model(call), field, text, false, &address) ||
        !call_covers(call, address.domain.name)) {
        return NULL;
    }
    return alias_require(call_model(call), &address, key_out, packed_out);
}

/* ---------------------------------------------------------------- AliasAdd */

static void alias_add(struct rpc_call *call)
{
    const Mxadm__V1__AliasAddRequest *request = call_request(call);
    struct model *model = call_model(call);
    struct alias_member_list members;
    struct name_address address;
    struct record_key key;
    Mxadm__V1__Domain *domain;
    Mxadm__V1__Alias *alias;
    bool named = field_address(model, "address", request->address, false, &address);

    if (!alias_read_members(model, "members", request->members, request->n_members, false,
                            &members) ||
        !named || !call_covers(call, address.domain.name) || !covers_members(call, &members)) {
        return;
    }
    domain = domain_require(model, address.domain.name);
    if (domain == NULL || !alias_check_addresses(model, &members) ||
        !address_check_free(model, "address", domain, &address, NULL)) {
        return;
    }
    alias = alias_new(model, domain, &address);
    alias->post_public = request->post_public;
    alias->list_members = request->list_members;
    alias->allow_msg_from = request->allow_msg_from;
    key = alias_key(model, domain, &address);
    call_answer_field(call, 1, record_put(model, RECORD_ALIAS, &key, &alias->base));
    alias_put_members(model, alias, &key, &members);
}

/* ------------------------------------------------ AliasUpdate, AliasRemove */

static void alias_update(struct rpc_call *call)
{
    const Mxadm__V1__AliasUpdateRequest *request = call_request(call);
    struct model *model = call_model(call);
    struct record_key key;
    struct slice packed;
    Mxadm__V1__Alias *alias;

    if (request->alias == NULL) {
        status_field(model->status, "alias", "is required");
        return;
    }
    alias = named_alias(call, "alias.address", request->alias->address, &key, &packed);
    if (alias == NULL || !mask_apply(model, request->update_mask, alias_fixed,
                                     &request->alias->base, &alias->base)) {
        return;
    }
    call_answer_field(call, 1, record_put(model, RECORD_ALIAS, &key, &alias->base));
}

static void alias_remove_call(struct rpc_call *call)
{
    const Mxadm__V1__AliasRemoveRequest *request = call_request(call);
    Mxadm__V1__AliasRemoveResponse response = MXADM__V1__ALIAS_REMOVE_RESPONSE__INIT;
    struct record_key key;
    struct slice packed;

    if (named_alias(call, "address", request->address, &key, &packed) != NULL) {
        response.removed_members = alias_remove(call_model(call), &key);
        call_answer(call, &response.base);
    }
}

/* -------------------------------- AliasAddressesAdd, AliasAddressesRemove */

static void alias_addresses_add(struct rpc_call *call)
{
    const Mxadm__V1__AliasAddressesAddRequest *request = call_request(call);
    Mxadm__V1__AliasAddressesAddResponse response = MXADM__V1__ALIAS_ADDRESSES_ADD_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct alias_member_list members;
    struct name_address address;
    struct record_key key;
    struct slice packed;
    Mxadm__V1__Alias *alias;
    bool named = field_address(model, "address", request->address, false, &address);

    if (!alias_read_members(model, "members", request->members, request->n_members, false,
                            &members) ||
        !named || !call_covers(call, address.domain.name) || !covers_members(call, &members)) {
        return;
    }
    alias = alias_require(model, &address, &key, &packed);
    if (alias == NULL || !alias_check_addresses(model, &members) ||
        !alias_check_members(model, alias, &key, &members, false)) {
        return;
    }
    alias_put_members(model, alias, &key, &members);
    response.member_count = member_count(call, &key);
    call_answer(call, &response.base);
}

static void alias_addresses_remove(struct rpc_call *call)
{
    const Mxadm__V1__AliasAddressesRemoveRequest *request = call_request(call);
    Mxadm__V1__AliasAddressesRemoveResponse response =
        MXADM__V1__ALIAS_ADDRESSES_REMOVE_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct alias_member_list members;
    struct name_address address;
    struct record_key key;
    struct slice packed;
    Mxadm__V1__Alias *alias;
    bool named = field_address(model, "address", request->address, false, &address);

    if (!alias_read_members(model, "members", request->members, request->n_members, true,
                            &members) ||
        !named || !call_covers(call, address.domain.name)) {
        return;
    }
    alias = alias_require(model, &address, &key, &packed);
    if (alias == NULL || !alias_check_members(model, alias, &key, &members, true)) {
        return;
    }
    if (members.count == member_count(call, &key)) {
        status_blocker(model->status, "LAST_MEMBER", "alias", alias->canonical_address,
                       "alias '%s' would have no member left", alias->canonical_address);
        return;
    }
    alias_delete_members(model, &key, &members);
    response.member_count = member_count(call, &key);
    call_answer(call, &response.base);
}

/* ---------------------------------------------------- AliasGet, AliasList */

static void alias_get(struct rpc_call *call)
{
    const Mxadm__V1__AliasGetRequest *request = call_request(call);
    Mxadm__V1__AliasGetResponse response = MXADM__V1__ALIAS_GET_RESPONSE__INIT;
    struct record_key key;
    struct slice packed;

    if (named_alias(call, "address", request->address, &key, &packed) == NULL) {
        return;
    }
    response.member_count = member_count(call, &key);
    call_answer_field(call, 1, packed);
    call_answer(call, &response.base);
}

/* What of AliasList is asked for: aliases, or those that one address is a member of. */
struct alias_filter {
    const char *domain; /* NULL: all */
    bool member;        /* the range is one of record_memberships() */
    const char *member_domain;
    const char *member_localpart;
};

/* The range of the aliases at a domain, or at all (NULL). */
static struct record_key filter_range(const struct alias_filter *filter, const char *domain)
{
    struct record_key range;

    if (!filter->member) {
        return record_prefix(RECORD_ALIAS, domain);
    }
    range = record_memberships(filter->member_domain, filter->member_localpart);
    if (domain != NULL && range.len + strlen(domain) + 1 <= sizeof(range.data)) {
        memcpy(range.data + range.len, domain, strlen(domain) + 1);
        range.len += strlen(domain) + 1;
    }
    return range;
}

/* An entry of either range; one at a domain that the caller does not cover is left out. */
static bool filtered_alias(const struct list *list, const struct store_entry *entry,
                           struct slice *packed_out, struct slice *skip_to)
{
    const struct alias_filter *filter = list->context;
    struct model *model = call_model(list->call);
    const char *parts[RECORD_PARTS_MAX];
    struct record_key key;

    (void) skip_to;
    record_key_parts(model->arena, entry->key, parts);
    if (!principal_covers(call_principal(list->call), parts[filter->member ? 2 : 0])) {
        return false;
    }
    if (!filter->member) {
        return true;
    }
    key = record_key(RECORD_ALIAS, parts[2], parts[3]);
    return record_get(model, &key, packed_out);
}

static uint64_t count_aliases(struct rpc_call *call, const struct alias_filter *filter)
{
    const struct principal *principal = call_principal(call);
    struct record_key range = filter_range(filter, filter->domain);
    uint64_t total = 0;

    if (filter->domain != NULL || principal->role != ROLE_DOMAIN_ADMINISTRATOR) {
        return record_count(call_model(call), &range);
    }
    for (size_t i = 0; i < principal->domain_count; i++) {
        range = filter_range(filter, principal->domains[i]);
        total += record_count(call_model(call), &range);
    }
    return total;
}

static bool read_filter(struct rpc_call *call, const Mxadm__V1__AliasListRequest *request,
                        struct alias_filter *filter)
{
    struct model *model = call_model(call);
    struct name_domain domain;
    struct name_address member;
    struct record_key key;
    struct slice packed;
    const char *parts[RECORD_PARTS_MAX];

    if (request->domain[0] != '\0' && field_domain(model, "domain", request->domain, &domain) &&
        call_covers(call, domain.name) && domain_require(model, domain.name) != NULL) {
        filter->domain = domain.name;
    }
    if (request->member[0] != '\0' &&
        field_address(model, "member", request->member, false, &member) &&
        call_covers(call, member.domain.name) &&
        address_require(model, &member, &key, &packed) != NULL) {
        record_key_parts(model->arena, record_slice(&key), parts);
        filter->member = true;
        filter->member_domain = parts[0];
        filter->member_localpart = parts[1];
    }
    return status_ok(model->status);
}

static void list_members(struct rpc_call *call, const Mxadm__V1__AliasListRequest *request,
                         const struct call_page *page, Mxadm__V1__AliasListResponse *response)
{
    struct list list = { .call = call, .number = 2 };
    struct record_key range;
    struct record_key key;
    struct slice packed;

    if (request->domain[0] != '\0' || request->member[0] != '\0') {
        status_field(call_status(call), "members_of",
                     "goes neither with a domain nor with a member");
        return;
    }
    if (named_alias(call, "members_of", request->members_of, &key, &packed) == NULL) {
        return;
    }
    range = alias_members(call_model(call), &key);
    list.range = record_slice(&range);
    response->next_page_token = (char *) list_page(&list, page);
    response->total = record_count(call_model(call), &range);
}

static void list_aliases(struct rpc_call *call, const Mxadm__V1__AliasListRequest *request,
                         const struct call_page *page, Mxadm__V1__AliasListResponse *response)
{
    struct alias_filter filter = { 0 };
    struct list list = { .call = call, .number = 1, .record = filtered_alias, .context = &filter };
    struct record_key range;

    if (!read_filter(call, request, &filter)) {
        return;
    }
    range = filter_range(&filter, filter.domain);
    list.range = record_slice(&range);
    response->next_page_token = (char *) list_page(&list, page);
    response->total = count_aliases(call, &filter);
}

static void alias_list(struct rpc_call *call)
{
    const Mxadm__V1__AliasListRequest *request = call_request(call);
    Mxadm__V1__AliasListResponse response = MXADM__V1__ALIAS_LIST_RESPONSE__INIT;
    struct call_page page;

    if (!call_page_begin(call, request->page_size, request->page_token, &page)) {
        return;
    }
    if (request->members_of[0] != '\0') {
        list_members(call, request, &page, &response);
    } else {
        list_aliases(call, request, &page, &response);
    }
    call_answer(call, &response.base);
}

const struct rpc_row alias_rows[] = {
    { "AliasAdd", alias_add, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "AliasUpdate", alias_update, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "AliasRemove", alias_remove_call, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "AliasAddressesAdd", alias_addresses_add, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false,
      NULL },
    { "AliasAddressesRemove", alias_addresses_remove, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false,
      false, NULL },
    { "AliasGet", alias_get, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "AliasList", alias_list, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { 0 },
};
