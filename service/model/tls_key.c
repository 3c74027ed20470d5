#include "model/tls_key.h"

#include "keys/certificate.h"
#include "model/address.h"
#include "model/check.h"
#include "model/domain.h"
#include "model/fields.h"

#include <string.h>

const char *const tls_key_fixed[] = {
    "fingerprint", "type", "revision", "create_time", "update_time", NULL,
};

bool tls_key_read(struct model *model, const char *path, ProtobufCBinaryData der,
                  struct certificate *out)
{
    struct mx_error err;
    enum mx_code code;

    if (der.len == 0) {
        status_field(model->status, path, "is required");
        return false;
    }
    code = certificate_parse(der.data, der.len, out, &err);
    if (code == MX_INVALID_ARGUMENT) {
        status_field(model->status, path, "%s", err.message);
    } else if (code != MX_OK) {
        status_error(model->status, &err);
    }
    return code == MX_OK;
}

static bool check_certificate(struct model *model, const Mxadm__V1__TlsPublicKey *key,
                              const char *path)
{
    const char *field = check_path(model, "%s.certificate", path);
    struct certificate certificate;

    if (!tls_key_read(model, field, key->certificate, &certificate)) {
        return false;
    }
    if (key->fingerprint[0] != '\0' && strcmp(key->fingerprint, certificate.fingerprint) != 0) {
        status_field(model->status, field, "is of public key '%s', not of %s",
                     certificate.fingerprint, name_show(model->arena, key->fingerprint));
        return false;
    }
    if (key->type[0] != '\0' && strcmp(key->type, certificate.type) != 0) {
        status_field(model->status, check_path(model, "%s.type", path), "%s is not '%s'",
                     name_show(model->arena, key->type), certificate.type);
        return false;
    }
    return true;
}

bool tls_key_check(struct model *model, const Mxadm__V1__TlsPublicKey *key, const char *path)
{
    struct name_address login;
    const char *account;
    bool good = check_certificate(model, key, path);

    good = check_line(model, check_path(model, "%s.name", path), key->name) && good;
    good =
        field_account(model, check_path(model, "%s.account", path), key->account, &account) && good;
    return field_address(model, check_path(model, "%s.login_address", path), key->login_address,
                         false, &login) &&
           good;
}

bool tls_key_read_fingerprint(struct model *model, const char *path, const char *text)
{
    static const char base64url[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    if (!check_required(model, path, text)) {
        return false;
    }
    if (strlen(text) != CERTIFICATE_FINGERPRINT_SIZE ||
        strspn(text, base64url) != CERTIFICATE_FINGERPRINT_SIZE) {
        status_field(model->status, path, "%s is no fingerprint: not %d characters of base64url",
                     name_show(model->arena, text), CERTIFICATE_FINGERPRINT_SIZE);
        return false;
    }
    return true;
}

const char *tls_key_name(struct model *model, const struct certificate *certificate)
{
    const char *name = certificate->common_name;

    if (name[0] != '\0' && name_check_line(name) == NULL) {
        return arena_strdup(model->arena, name);
    }
    return arena_printf(model->arena, "serial %s", certificate->serial);
}

Mxadm__V1__TlsPublicKey *tls_key_require(struct model *model, const char *fingerprint,
                                         struct record_key *key_out, struct slice *packed_out)
{
    *key_out = record_key(RECORD_TLS_PUBLIC_KEY, fingerprint, NULL);
    if (record_get(model, key_out, packed_out)) {
        return record_unpack(model, RECORD_TLS_PUBLIC_KEY, *packed_out);
    }
    status_resource(model->status, MX_NOT_FOUND, "TLS_PUBLIC_KEY_NOT_FOUND", "tls public key",
                    fingerprint, "there is no TLS public key '%s'", fingerprint);
    return NULL;
}

const char *tls_key_reach(struct model *model, const struct name_address *login,
                          const char **canonical_out)
{
    Mxadm__V1__Domain *domain = domain_find(model, login->domain.name);
    Mxadm__V1__Address *address = domain == NULL ? NULL : address_resolve(model, domain, login);
    const char *name = name_address_text(model->arena, login);

    if (address == NULL) {
        status_resource(model->status, MX_NOT_FOUND, "ADDRESS_NOT_FOUND", "address", name,
                        domain == NULL ? "address '%s' reaches nobody: its domain is not configured"
                                       : "address '%s' reaches no account",
                        name);
        return NULL;
    }
    *canonical_out = address_canonical(model, domain, login);
    return address->account;
}

bool tls_key_check_room(struct model *model, const char *account)
{
    struct record_key range = record_account_tls_keys(account);

    if (record_count(model, &range) < TLS_KEYS_PER_ACCOUNT_MAX) {
        return true;
    }
    status_fail(model->status, MX_RESOURCE_EXHAUSTED, "TLS_PUBLIC_KEY_LIMIT",
                "account '%s' has %d TLS public keys, as many as it may", account,
                TLS_KEYS_PER_ACCOUNT_MAX);
    return false;
}
