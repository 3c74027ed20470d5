#include "keys/crypto.h"

#include <openssl/err.h>

enum mx_code crypto_fail(struct mx_error *err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return mx_fail(err, MX_INTERNAL, "%s: OpenSSL: %s", what,
                   reason == NULL ? "no reason given" : reason);
}
