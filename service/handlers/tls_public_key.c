/*
 * TLS public keys: TLSPublicKeyAdd, TLSPublicKeyUpdate, TLSPublicKeyRemove,
 * TLSPublicKeyGet, TLSPublicKeyList.
 */
#include "handlers/handlers.h"
#include "handlers/list.h"
#include "keys/certificate.h"
#include "model/account.h"
#include "model/check.h"
#include "model/fields.h"
#include "model/mask.h"
#include "model/tls_key.h"
#include "mxadm/v1/admin.pb-c.h"

#include <string.h>

/* Whether a domain administrator may see the key: by the domain of its login address. */
static bool is_covered(struct rpc_call *call, const Mxadm__V1__TlsPublicKey *key)
{
    const char *at = strrchr(key->login_address, '@');

    return at != NULL && principal_covers(call_principal(call), at + 1);
}

/* The key that a request names and that the caller may see. NULL: reported, with nothing about a
 * foreign key but that it is there, which its fingerprint says nobody keeps secret. */
static Mxadm__V1__TlsPublicKey *named_key(struct rpc_call *call, const char *field,
                                          const char *fingerprint, struct record_key *key_out,
                                          struct slice *packed_out)
{
    struct model *model = call_model(call);
    Mxadm__V1__TlsPublicKey *key;

    if (!tls_key_read_fingerprint(model, field, fingerprint)) {
        return NULL;
    }
    key = tls_key_require(model, fingerprint, key_out, packed_out);
    if (key == NULL || is_covered(call, key)) {
        return key;
    }
    status_fail(model->status, MX_PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
                "TLS public key '%s' has its login address in no domain of %s", fingerprint,
                call_principal(call)->name);
    return NULL;
}

/* --------------------------------------------------------- TLSPublicKeyAdd */

static bool check_new(struct model *model, const char *fingerprint, const char *account)
{
    struct record_key key = record_key(RECORD_TLS_PUBLIC_KEY, fingerprint, NULL);

    if (record_exists(model, &key)) {
        status_resource(model->status, MX_ALREADY_EXISTS, "FINGERPRINT_EXISTS", "tls public key",
                        fingerprint, "there is a TLS public key '%s' already", fingerprint);
        return false;
    }
    return tls_key_check_room(model, account);
}

static void tls_public_key_add(struct rpc_call *call)
{
    const Mxadm__V1__TLSPublicKeyAddRequest *request = call_request(call);
    Mxadm__V1__TlsPublicKey key = MXADM__V1__TLS_PUBLIC_KEY__INIT;
    struct model *model = call_model(call);
    struct certificate certificate;
    struct name_address login;
    struct record_key at;
    const char *account;
    const char *canonical;
    bool good = tls_key_read(model, "certificate", request->certificate, &certificate);

    good = check_line(model, "name", request->name) && good;
    if (!field_address(model, "login_address", request->login_address, false, &login) || !good ||
        !call_covers(call, login.domain.name)) {
        return;
    }
    account = tls_key_reach(model, &login, &canonical);
    if (account == NULL || !check_new(model, certificate.fingerprint, account)) {
        return;
    }
    key.fingerprint = certificate.fingerprint;
    key.type = certificate.type;
    key.name =
        request->name[0] != '\0' ? request->name : (char *) tls_key_name(model, &certificate);
    key.no_imap_preauth = request->no_imap_preauth;
    key.certificate = request->certificate;
    key.account = (char *) account;
    key.login_address = (char *) canonical;
    at = record_key(RECORD_TLS_PUBLIC_KEY, key.fingerprint, NULL);
    call_answer_field(call, 1, record_put(model, RECORD_TLS_PUBLIC_KEY, &at, &key.base));
}

/* ------------------------------------------------------ TLSPublicKeyUpdate */

/* Whether the key, with the new values in it, still reaches its account; its names become what
 * records hold: account name as parsed, login address canonical. */
static bool check_login(struct rpc_call *call, Mxadm__V1__TlsPublicKey *key)
{
    struct model *model = call_model(call);
    struct name_address login;
    struct slice packed;
    const char *account;
    const char *canonical;
    const char *reached;

    if (!field_account(model, "tls_public_key.account", key->account, &account) ||
        !field_address(model, "tls_public_key.login_address", key->login_address, false, &login) ||
        !call_covers(call, login.domain.name) || !account_require(model, account, &packed)) {
        return false;
    }
    reached = tls_key_reach(model, &login, &canonical);
    if (reached == NULL) {
        return false;
    }
    if (strcmp(reached, account) != 0) {
        status_blocker(model->status, "LOGIN_ADDRESS_UNREACHABLE", "address", canonical,
                       "address '%s' does not reach account '%s'", canonical, account);
        return false;
    }
    key->account = (char *) account;
    key->login_address = (char *) canonical;
    return true;
}

static void tls_public_key_update(struct rpc_call *call)
{
    const Mxadm__V1__TLSPublicKeyUpdateRequest *request = call_request(call);
    struct model *model = call_model(call);
    Mxadm__V1__TlsPublicKey *key;
    struct certificate certificate;
    struct record_key at;
    struct slice packed;
    const char *owner;

    if (request->tls_public_key == NULL) {
        status_field(model->status, "tls_public_key", "is required");
        return;
    }
    key = named_key(call, "tls_public_key.fingerprint", request->tls_public_key->fingerprint, &at,
                    &packed);
    if (key == NULL) {
        return;
    }
    owner = key->account;
    if (!mask_apply(model, request->update_mask, tls_key_fixed, &request->tls_public_key->base,
                    &key->base) ||
        !tls_key_check(model, key, "tls_public_key") || !check_login(call, key) ||
        (strcmp(owner, key->account) != 0 && !tls_key_check_room(model, key->account))) {
        return;
    }
    if (key->name[0] == '\0' &&
        tls_key_read(model, "tls_public_key.certificate", key->certificate, &certificate)) {
        key->name = (char *) tls_key_name(model, &certificate);
    }
    call_answer_field(call, 1, record_put(model, RECORD_TLS_PUBLIC_KEY, &at, &key->base));
}

/* ------------------------------------- TLSPublicKeyRemove, TLSPublicKeyGet */

static void tls_public_key_remove(struct rpc_call *call)
{
    const Mxadm__V1__TLSPublicKeyRemoveRequest *request = call_request(call);
    Mxadm__V1__TLSPublicKeyRemoveResponse response = MXADM__V1__TLSPUBLIC_KEY_REMOVE_RESPONSE__INIT;
    struct record_key key;
    struct slice packed;

    if (named_key(call, "fingerprint", request->fingerprint, &key, &packed) != NULL) {
        record_delete(call_model(call), &key);
        call_answer(call, &response.base);
    }
}

static void tls_public_key_get(struct rpc_call *call)
{
    const Mxadm__V1__TLSPublicKeyGetRequest *request = call_request(call);
    struct record_key key;
    struct slice packed;

    if (named_key(call, "fingerprint", request->fingerprint, &key, &packed) != NULL) {
        call_answer_field(call, 1, packed);
    }
}

/* -------------------------------------------------------- TLSPublicKeyList */

/* Of the keys themselves. */
static bool visible_key(const struct list *list, const struct store_entry *entry,
                        struct slice *packed_out, struct slice *skip_to)
{
    (void) packed_out;
    (void) skip_to;
    return is_covered(list->call,
                      record_unpack(call_model(list->call), RECORD_TLS_PUBLIC_KEY, entry->value));
}

/* Of the index of an account's keys. */
static bool key_of_account(const struct list *list, const struct store_entry *entry,
                           struct slice *packed_out, struct slice *skip_to)
{
    struct model *model = call_model(list->call);
    const char *parts[RECORD_PARTS_MAX];
    struct record_key key;

    (void) skip_to;
    record_key_parts(model->arena, entry->key, parts);
    key = record_key(RECORD_TLS_PUBLIC_KEY, parts[1], NULL);
    return record_get(model, &key, packed_out) &&
           is_covered(list->call, record_unpack(model, RECORD_TLS_PUBLIC_KEY, *packed_out));
}

/* How many of an account's keys the caller sees; there are TLS_KEYS_PER_ACCOUNT_MAX at most. */
static uint64_t count_of_account(struct rpc_call *call, const struct list *list)
{
    struct model *model = call_model(call);
    struct store_cursor cursor;
    struct store_entry entry;
    struct slice packed;
    struct slice skip_to;
    uint64_t total = 0;

    store_cursor_init(&cursor, model->view, list->range, slice_of(NULL, 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        total += key_of_account(list, &entry, &packed, &skip_to);
    }
    return total;
}

static uint64_t count_keys(struct rpc_call *call)
{
    const struct principal *principal = call_principal(call);
    struct record_key range = record_prefix(RECORD_TLS_PUBLIC_KEY, NULL);
    uint64_t total = 0;

    if (principal->role != ROLE_DOMAIN_ADMINISTRATOR) {
        return record_count(call_model(call), &range);
    }
    for (size_t i = 0; i < principal->domain_count; i++) {
        range = record_login_tls_keys(principal->domains[i], NULL);
        total += record_count(call_model(call), &range);
    }
    return total;
}

static void tls_public_key_list(struct rpc_call *call)
{
    const Mxadm__V1__TLSPublicKeyListRequest *request = call_request(call);
    Mxadm__V1__TLSPublicKeyListResponse response = MXADM__V1__TLSPUBLIC_KEY_LIST_RESPONSE__INIT;
    bool scoped = call_principal(call)->role == ROLE_DOMAIN_ADMINISTRATOR;
    struct list list = { .call = call, .number = 1, .record = scoped ? visible_key : NULL };
    struct record_key range = record_prefix(RECORD_TLS_PUBLIC_KEY, NULL);
    struct call_page page;
    const char *account = NULL;

    if (!call_page_begin(call, request->page_size, request->page_token, &page) ||
        (request->account[0] != '\0' &&
         !field_account(call_model(call), "account", request->account, &account))) {
        return;
    }
    if (account != NULL) {
        range = record_account_tls_keys(account);
        list.record = key_of_account;
    }
    list.range = record_slice(&range);
    response.total = account == NULL ? count_keys(call) : count_of_account(call, &list);
    response.next_page_token = (char *) list_page(&list, &page);
    call_answer(call, &response.base);
}

const struct rpc_row tls_public_key_rows[] = {
    { "TLSPublicKeyAdd", tls_public_key_add, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false, false,
      NULL },
    { "TLSPublicKeyUpdate", tls_public_key_update, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false,
      false, NULL },
    { "TLSPublicKeyRemove", tls_public_key_remove, RPC_CHANGE, ROLE_DOMAIN_ADMINISTRATOR, false,
      false, NULL },
    { "TLSPublicKeyGet", tls_public_key_get, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { "TLSPublicKeyList", tls_public_key_list, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { 0 },
};
