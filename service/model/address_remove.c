/*
 * Removing an address, and what hangs on it (mox-behaviour 1.16-05 to 1.16-13).
 *
 * Done first and looked at then: whether a login address still reaches its
 * account is asked of the configuration without the address. What is refused is
 * undone with the request.
 */
#include "model/address.h"
#include "model/alias.h"
#include "model/domain.h"

#include <string.h>

/* Takes the address out of all aliases; one that would be empty blocks. */
static void leave_aliases(struct model *model, const struct record_key *key,
                          struct address_removal *out)
{
    const char *parts[RECORD_PARTS_MAX];
    struct record_key range;
    struct store_cursor cursor;
    struct store_entry entry;

    record_key_parts(model->arena, record_slice(key), parts);
    range = record_memberships(parts[0], parts[1]);
    out->aliases = arena_alloc(model->arena, (record_count(model, &range) + 1) * sizeof(char *));
    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        const char *at[RECORD_PARTS_MAX];
        struct record_key member;
        struct record_key members;
        const char *alias;

        record_key_parts(model->arena, entry.key, at);
        alias = arena_printf(model->arena, "%s@%s", at[3], at[2]);
        member = record_member_key(at[2], at[3], parts[0], parts[1]);
        members = record_members(at[2], at[3]);
        if (record_count(model, &members) > 1) {
            record_delete(model, &member);
            out->aliases[out->alias_count++] = (char *) alias;
        } else {
            status_blocker(model->status, "ADDRESS_IN_USE", record_kind_name(RECORD_ALIAS), alias,
                           "address '%s@%s' is the last member of alias '%s'", parts[1], parts[0],
                           alias);
        }
    }
}

/* Whether a login address is at another domain than this, or reaches the account. */
static bool is_unhurt(struct model *model, const Mxadm__V1__Domain *domain, const char *login,
                      const char *account)
{
    struct name_address address;
    Mxadm__V1__Address *reached;

    if (name_parse_address(model->arena, login, false, &address) != NULL ||
        strcmp(address.domain.name, domain->name) != 0) {
        return true;
    }
    reached = address_resolve(model, domain, &address);
    return reached != NULL && strcmp(reached->account, account) == 0;
}

/* What the removed address of an account reached was that account: only its own keys can be cut
 * off, by an address as by a catchall. */
static void check_keys(struct model *model, const Mxadm__V1__Domain *domain,
                       const Mxadm__V1__Address *removed)
{
    struct record_key range = record_account_tls_keys(removed->account);
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        const char *parts[RECORD_PARTS_MAX];
        struct record_key key;
        Mxadm__V1__TlsPublicKey *record;

        record_key_parts(model->arena, entry.key, parts);
        key = record_key(RECORD_TLS_PUBLIC_KEY, parts[1], NULL);
        record = record_load(model, RECORD_TLS_PUBLIC_KEY, &key);
        if (record != NULL && !is_unhurt(model, domain, record->login_address, removed->account)) {
            status_blocker(model->status, "ADDRESS_IN_USE", record_kind_name(RECORD_TLS_PUBLIC_KEY),
                           parts[1], "TLS public key '%s' of account '%s' logs in as '%s'",
                           parts[1], removed->account, record->login_address);
        }
    }
}

/* Drops exactly those that no longer reach the account (1.16-09). */
static void drop_login_addresses(struct model *model, const Mxadm__V1__Domain *domain,
                                 const Mxadm__V1__Address *removed, struct address_removal *out)
{
    struct record_key key = record_key(RECORD_ACCOUNT, removed->account, NULL);
    Mxadm__V1__Account *account = record_load(model, RECORD_ACCOUNT, &key);
    size_t kept = 0;

    if (account == NULL) {
        return;
    }
    out->login_addresses =
        arena_alloc(model->arena, (account->n_from_id_login_addresses + 1) * sizeof(char *));
    for (size_t i = 0; i < account->n_from_id_login_addresses; i++) {
        char *login = account->from_id_login_addresses[i];

        if (is_unhurt(model, domain, login, removed->account)) {
            account->from_id_login_addresses[kept++] = login;
        } else {
            out->login_addresses[out->login_address_count++] = login;
        }
    }
    account->n_from_id_login_addresses = kept;
    if (out->login_address_count > 0) {
        (void) record_put(model, RECORD_ACCOUNT, &key, &account->base);
    }
}

bool address_remove(struct model *model, const Mxadm__V1__Address *address,
                    const struct record_key *key, struct address_removal *out)
{
    Mxadm__V1__Domain *domain = domain_find(model, address->domain);

    *out = (struct address_removal){ 0 };
    if (address_is_report(address->kind)) {
        status_blocker(model->status, "ADDRESS_IN_USE", record_kind_name(RECORD_DOMAIN),
                       address->report_domain, "address '%s' is the %s of domain '%s'",
                       address->address, address_kind_words(address->kind), address->report_domain);
        return false;
    }
    leave_aliases(model, key, out);
    record_delete(model, key);
    if (domain != NULL) {
        check_keys(model, domain, address);
        drop_login_addresses(model, domain, address, out);
    }
    return status_ok(model->status);
}
