/*
 * Accounts: AccountAdd, AccountRemove, AccountSave, AccountGet, AccountList,
 * AccountTemplate.
 */
#include "model/account.h"
#include "handlers/handlers.h"
#include "handlers/list.h"
#include "model/address.h"
#include "model/domain.h"
#include "model/fields.h"
#include "model/mask.h"

#include <string.h>

/* -------------------------------------------------------------- AccountAdd */

static void account_add(struct rpc_call *call)
{
    const Mxadm__V1__AccountAddRequest *request = call_request(call);
    struct model *model = call_model(call);
    struct name_address address;
    struct record_key key;
    Mxadm__V1__Domain *domain;
    Mxadm__V1__Account *account;
    Mxadm__V1__Address *record;
    const char *name;
    bool named = field_account(model, "account", request->account, &name);

    if (!field_address(model, "address", request->address, false, &address) || !named ||
        !call_covers(call, address.domain.name)) {
        return;
    }
    (void) account_check_free(model, name);
    domain = domain_require(model, address.domain.name);
    if (domain == NULL || !address_check_free(model, "address", domain, &address, name) ||
        !status_ok(model->status)) {
        return;
    }
    account = account_template(model, name, domain->name);
    key = record_key(RECORD_ACCOUNT, name, NULL);
    call_answer_field(call, 1, record_put(model, RECORD_ACCOUNT, &key, &account->base));
    record = address_new(model, domain, &address, name, MXADM__V1__ADDRESS__KIND__KIND_ORDINARY);
    call_answer_field(call, 2, address_put(model, domain, &address, record));
}

/* ----------------------------------------------------------- AccountRemove */

static void account_remove_call(struct rpc_call *call)
{
    const Mxadm__V1__AccountRemoveRequest *request = call_request(call);
    Mxadm__V1__AccountRemoveResponse response = MXADM__V1__ACCOUNT_REMOVE_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct record_key keys;
    struct slice packed;
    const char *name;

    if (!field_account(model, "account", request->account, &name) ||
        !account_require(model, name, &packed) || !account_check_removable(model, name)) {
        return;
    }
    keys = record_account_tls_keys(name);
    response.removed_tls_public_keys = record_count(model, &keys);
    response.removed_addresses = account_remove(model, name);
    call_answer(call, &response.base);
}

/* ------------------------------------------------------------- AccountSave */

/* The account as the caller may see it: most have no secret, and stay as they are. */
static struct slice shown(struct rpc_call *call, struct slice packed)
{
    return call_principal(call)->key_reader ? packed : account_redact(call_model(call), packed);
}

static void account_save_call(struct rpc_call *call)
{
    const Mxadm__V1__AccountSaveRequest *request = call_request(call);
    struct model *model = call_model(call);
    Mxadm__V1__Account *before;
    Mxadm__V1__Account *after;
    struct slice packed;
    const char *name;

    if (request->account == NULL) {
        status_field(model->status, "account", "is required");
        return;
    }
    if (!field_account(model, "account.name", request->account->name, &name) ||
        !account_require(model, name, &packed)) {
        return;
    }
    before = record_unpack(model, RECORD_ACCOUNT, packed);
    /* What the caller changes is what the caller sees: a secret that is not seen does not go along
     * when the URL that it is for becomes another. */
    after = record_unpack(model, RECORD_ACCOUNT, shown(call, packed));
    if (!mask_apply(model, request->update_mask, account_fixed, &request->account->base,
                    &after->base)) {
        return;
    }
    packed = account_save(model, before, after, "account");
    if (status_ok(model->status)) {
        call_answer_field(call, 1, shown(call, packed));
    }
}

/* ------------------------------------------------- AccountGet, AccountList */

/* Whether a domain administrator may see the account: it has an address in an own domain. */
static bool is_covered(struct rpc_call *call, const char *account)
{
    const struct principal *principal = call_principal(call);

    if (principal->role != ROLE_DOMAIN_ADMINISTRATOR) {
        return true;
    }
    for (size_t i = 0; i < principal->domain_count; i++) {
        struct record_key range = record_account_addresses(account, principal->domains[i]);

        if (record_count(call_model(call), &range) > 0) {
            return true;
        }
    }
    return false;
}

bool account_check_covered(struct rpc_call *call, const char *account)
{
    if (is_covered(call, account)) {
        return true;
    }
    status_fail(call_status(call), MX_PERMISSION_DENIED, "ACCOUNT_OUT_OF_SCOPE",
                "account '%s' has no address in a domain of %s", account,
                call_principal(call)->name);
    return false;
}

static void account_get(struct rpc_call *call)
{
    const Mxadm__V1__AccountGetRequest *request = call_request(call);
    Mxadm__V1__AccountGetResponse response = MXADM__V1__ACCOUNT_GET_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct record_key account;
    struct record_key addresses;
    struct slice packed;
    const char *name;

    if (!field_account(model, "account", request->account, &name)) {
        return;
    }
    account = record_key(RECORD_ACCOUNT, name, NULL);
    addresses = record_account_addresses(name, NULL);
    store_prefetch(model->view,
                   (struct slice[]){ record_slice(&account), record_slice(&addresses) }, 2);
    if (!account_require(model, name, &packed)) {
        return;
    }
    if (!account_check_covered(call, name)) {
        return;
    }
    response.address_count = record_count(model, &addresses);
    call_answer_field(call, 1, shown(call, packed));
    call_answer(call, &response.base);
}

static bool redacted_account(const struct list *list, const struct store_entry *entry,
                             struct slice *packed_out, struct slice *skip_to)
{
    (void) skip_to;
    *packed_out = shown(list->call, entry->value);
    return true;
}

static bool visible_account(const struct list *list, const struct store_entry *entry,
                            struct slice *packed_out, struct slice *skip_to)
{
    const char *name = arena_strndup(call_arena(list->call), (const char *) entry->key.data + 1,
                                     entry->key.len - 1);

    return is_covered(list->call, name) && redacted_account(list, entry, packed_out, skip_to);
}

/* Walks the index of a domain's accounts, which has one entry an address: the first of each account
 * counts, and the walk goes on behind its others. */
static bool account_of_domain(const struct list *list, const struct store_entry *entry,
                              struct slice *packed_out, struct slice *skip_to)
{
    struct model *model = call_model(list->call);
    const char *prefix = list->context;
    const char *domain = prefix + strlen(prefix) + 1;
    const char *account = record_indexed_account(model->arena, entry->key);
    struct record_key key = record_key(RECORD_ACCOUNT, account, NULL);
    struct record_key *behind = arena_alloc(model->arena, sizeof(*behind));

    *behind = record_domain_accounts(domain, account);
    behind->data[behind->len++] = 0xff; /* no localpart starts with it: it is not UTF-8 */
    *skip_to = record_slice(behind);
    if (strncmp(account, prefix, strlen(prefix)) != 0 || !record_get(model, &key, packed_out)) {
        return false;
    }
    *packed_out = shown(list->call, *packed_out);
    return true;
}

static void list_domain(struct rpc_call *call, const Mxadm__V1__AccountListRequest *request,
                        const struct call_page *page, Mxadm__V1__AccountListResponse *response)
{
    struct model *model = call_model(call);
    struct list list = { .call = call, .number = 1, .record = account_of_domain };
    struct name_domain domain;
    struct record_key range;
    char *context;

    if (!field_domain(model, "domain", request->domain, &domain) ||
        !call_covers(call, domain.name) || domain_require(model, domain.name) == NULL) {
        return;
    }
    context = arena_alloc(model->arena, strlen(request->prefix) + strlen(domain.name) + 2);
    memcpy(context, request->prefix, strlen(request->prefix) + 1);
    memcpy(context + strlen(request->prefix) + 1, domain.name, strlen(domain.name) + 1);
    list.context = context;
    range = record_domain_accounts(domain.name, NULL);
    list.range = record_slice(&range);
    response->next_page_token = (char *) list_page(&list, page);
}

static void account_list(struct rpc_call *call)
{
    const Mxadm__V1__AccountListRequest *request = call_request(call);
    Mxadm__V1__AccountListResponse response = MXADM__V1__ACCOUNT_LIST_RESPONSE__INIT;
    bool scoped = call_principal(call)->role == ROLE_DOMAIN_ADMINISTRATOR;
    struct list list = { .call = call,
                         .number = 1,
                         .record = scoped ? visible_account : redacted_account };
    struct record_key range;
    struct call_page page;

    if (strlen(request->prefix) > NAME_ACCOUNT_BYTES_MAX) {
        status_field(call_status(call), "prefix", "is longer than %d bytes",
                     NAME_ACCOUNT_BYTES_MAX);
        return;
    }
    if (!call_page_begin(call, request->page_size, request->page_token, &page)) {
        return;
    }
    if (request->domain[0] != '\0') {
        list_domain(call, request, &page, &response);
    } else {
        range = record_key(RECORD_ACCOUNT, request->prefix, NULL);
        list.range = record_slice(&range);
        response.next_page_token = (char *) list_page(&list, &page);
        response.total = scoped ? 0 : record_count(call_model(call), &range);
    }
    call_answer(call, &response.base);
}

/* --------------------------------------------------------- AccountTemplate */

static void account_template_call(struct rpc_call *call)
{
    const Mxadm__V1__AccountTemplateRequest *request = call_request(call);
    Mxadm__V1__AccountTemplateResponse response = MXADM__V1__ACCOUNT_TEMPLATE_RESPONSE__INIT;
    struct model *model = call_model(call);
    struct name_address address;
    const char *name;
    bool named = field_account(model, "account", request->account, &name);

    if (!field_address(model, "address", request->address, false, &address) || !named) {
        return;
    }
    response.account = account_template(model, name, address.domain.name);
    response.address = address_new(model, domain_template(model, &address.domain, name), &address,
                                   name, MXADM__V1__ADDRESS__KIND__KIND_ORDINARY);
    call_answer(call, &response.base);
}

const struct rpc_row account_rows[] = {
    { "AccountAdd", account_add, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false, NULL },
    { "AccountRemove", account_remove_call, RPC_CHANGE, ROLE_ADMINISTRATOR, false, false, NULL },
    { "AccountSave", account_save_call, RPC_CHANGE, ROLE_ADMINISTRATOR, false, true, NULL },
    { "AccountGet", account_get, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "AccountList", account_list, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "AccountTemplate", account_template_call, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { 0 },
};
