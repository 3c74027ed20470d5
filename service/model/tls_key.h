/*
 * TLS public keys: what a TLS client may log in with, as which account
 * (mox-behaviour 7).
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

struct certificate;

/* Reports values that a key may not have, below `path`. `fingerprint` and `type`, where they are
 * set, must be those of the certificate. */
bool tls_key_check(struct model *model, const Mxadm__V1__TlsPublicKey *key, const char *path);
/* Fields that name a key or that the server makes, for masks; ended by NULL. */
extern const char *const tls_key_fixed[];

/* Reads a certificate as the field `path`. False: reported. */
bool tls_key_read(struct model *model, const char *path, ProtobufCBinaryData der,
                  struct certificate *out);
