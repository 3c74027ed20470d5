#include "model/tls_key.h"

#include "keys/certificate.h"
#include "model/check.h"
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
