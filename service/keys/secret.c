#include "keys/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

bool secret_alloc(struct secret *secret_out, size_t len)
{
    char *data;

    if (len == SIZE_MAX) {
        return false;
    }
    /* Without a secure heap this is OPENSSL_zalloc(); with a full one it fails. */
    data = OPENSSL_secure_zalloc(len + 1);
    if (data == NULL) {
        data = OPENSSL_zalloc(len + 1);
    }
    if (data == NULL) {
        return false;
    }
    *secret_out = (struct secret){ data, len };
    return true;
}

bool secret_copy(struct secret *secret_out, const void *data, size_t len)
{
    if (!secret_alloc(secret_out, len)) {
        return false;
    }
    if (len > 0) {
        memcpy(secret_out->data, data, len);
    }
    return true;
}

bool secret_write(int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t written = write(fd, at, len);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return false;
        }
        at += written;
        len -= (size_t) written;
    }
    return true;
}

void secret_free(struct secret *secret)
{
    if (secret->data != NULL) {
        OPENSSL_secure_clear_free(secret->data, secret->len + 1);
    }
    *secret = (struct secret){ NULL, 0 };
}
