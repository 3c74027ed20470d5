/*
 * TLS public keys: what a TLS client may log in with, as which account
 * (mox-behaviour 7).
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

struct certificate;

/* Of one account. Nobody has that many devices; and with the account, or an address of it, all are
 * looked at. */
#define TLS_KEYS_PER_ACCOUNT_MAX 100

/* Reports values that a key may not have, below `path`. `fingerprint` and `type`, where they are
 * set, must be those of the certificate. */
bool tls_key_check(struct model *model, const Mxadm__V1__TlsPublicKey *key, const char *path);
/* Fields that name a key or that the server makes, for masks; ended by NULL. */
extern const char *const tls_key_fixed[];

/* Reads a certificate as the field `path`. False: reported. */
bool tls_key_read(struct model *model, const char *path, ProtobufCBinaryData der,
                  struct certificate *out);
/* Reads a fingerprint; whether there is such a key is another question. */
bool tls_key_read_fingerprint(struct model *model, const char *path, const char *text);
/* The label of a key that is given none (7.2-01): the common name, unless it is no single line of
 * text, else the serial number. In the arena. */
const char *tls_key_name(struct model *model, const struct certificate *certificate);

/* The record, or NULL and NOT_FOUND reported. */
Mxadm__V1__TlsPublicKey *tls_key_require(struct model *model, const char *fingerprint,
                                         struct record_key *key_out, struct slice *packed_out);

/* The account that a login with the address arrives at (5.5-11), and the address's canonical form;
 * NULL: nobody's, NOT_FOUND is reported. */
const char *tls_key_reach(struct model *model, const struct name_address *login,
                          const char **canonical_out);

/* Whether the account may have one more key; else reported. */
bool tls_key_check_room(struct model *model, const char *account);
