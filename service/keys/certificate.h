/*
 * TLS client certificates: what of them lets a client log in (mox-behaviour
 * 7.2-01). Only the public key matters; validity dates, names, usages and
 * signatures are not looked at.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* A certificate of an RSA-16384 key is about 5 KiB; the rest is room for extensions. */
#define CERTIFICATE_BYTES_MAX ((size_t) 64 * 1024)
/* Base64url of 32 bytes. */
#define CERTIFICATE_FINGERPRINT_SIZE 43
/* Of the common name: more is not shown as text in one line (model.proto). */
#define CERTIFICATE_NAME_MAX 1024

struct certificate {
    /* Unpadded base64url of SHA-256 of the DER SubjectPublicKeyInfo. */
    char fingerprint[CERTIFICATE_FINGERPRINT_SIZE + 1];
    char type[16]; /* "rsa-2048", "ecdsa-p256", "ed25519" */
    /* Of the subject, as it stands there; "" if it has none, or a longer one, or one with NUL. */
    char common_name[CERTIFICATE_NAME_MAX + 1];
    char
        serial[48]; /* in hex, two digits a byte; "..." behind the first 20 bytes of a longer one */
};

/* From X.509 DER, with nothing behind it. MX_INVALID_ARGUMENT: it is none, or not of a key that we
 * take; the message is a clause ("has an RSA key of 1024 bits, not 2048 to 16384"). */
MX_MUST_USE enum mx_code certificate_parse(const uint8_t *der, size_t len, struct certificate *out,
                                           struct mx_error *err);
