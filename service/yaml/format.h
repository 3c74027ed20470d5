/*
 * The document of ConfigExport and ConfigApply: which fields it has and how
 * their values are spelled. Derived from the descriptors of the records, so
 * that a new field is in the document without a line here.
 *
 *     # mxadm configuration of mail.example.org, revision 42, 2026-11-25T03:33:00Z.
 *     format: mxadm.v1
 *     scope: all                 # or a list of domains: [shop.example]
 *     config: { fields of Config }
 *     domains:
 *       shop.example:
 *         fields of Domain
 *         dkim_selectors:
 *           2026a: { fields of DkimSelector }
 *     accounts:
 *       dora: { fields of Account }
 *     addresses:
 *       dora@shop.example: { fields of Address }
 *       '@shop.example': { account: erin }
 *     aliases:
 *       sales@shop.example: { fields of Alias, members: [dora@shop.example] }
 *     tls_public_keys:
 *       <fingerprint>: { fields of TlsPublicKey }
 *
 * Keys are in this order, so that a reader needs to know no more than what it
 * has read. Fields are named as in model.proto; what identifies a record is its
 * key, what the server makes is left out, and so is what has its default:
 * absent means default, not "as it was". Values of enums are words ("active",
 * "rsa2048"), durations "72h" or "1h30m", bytes base64, digests hexadecimal.
 * Report addresses are not listed: they belong to `dmarc` and `tlsrpt` of their
 * domain.
 *
 * Secrets (FORMAT_SECRET fields, private keys) never stand there in the clear:
 * either they are FORMAT_HIDDEN, which means "as it is", or sealed under a
 * passphrase, base64 under the field's name with "sealed_" in front. Then the
 * document has `sealing: {kdf: scrypt, n:, r:, p:, salt:, check:}` behind
 * `scope`.
 */
#pragma once

#include "model/record.h"

#define FORMAT_NAME          "mxadm.v1"
#define FORMAT_HIDDEN        "(hidden)"
#define FORMAT_SEALED_PREFIX "sealed_"
#define FORMAT_PRIVATE_KEY   "sealed_private_key"

/* Sections of the document, in their order. */
enum format_section {
    FORMAT_CONFIG,
    FORMAT_DOMAINS,
    FORMAT_ACCOUNTS,
    FORMAT_ADDRESSES,
    FORMAT_ALIASES,
    FORMAT_TLS_PUBLIC_KEYS,
    FORMAT_SECTIONS,
};
/* "domains"; static. */
const char *format_section_name(enum format_section section);

/* Whether the document has the field: neither the record's key, nor made by the server. */
bool format_has_field(const ProtobufCMessageDescriptor *type,
                      const ProtobufCFieldDescriptor *field);
/* Whether its value is a secret. */
bool format_is_secret(const ProtobufCMessageDescriptor *type,
                      const ProtobufCFieldDescriptor *field);
/* Whether bytes are spelled in hexadecimal digits. */
bool format_is_digest(const ProtobufCFieldDescriptor *field);

/* The word of a value of an enum, in the arena; NULL: it has none. */
const char *format_enum_word(struct arena *arena, const ProtobufCEnumDescriptor *type, int value);
/* False: there is none of that word. */
bool format_enum_value(struct arena *arena, const ProtobufCEnumDescriptor *type, const char *word,
                       int *value_out);

/* "1h30m", "72h", "0s", "1.5s". In the arena. */
const char *format_duration(struct arena *arena, int64_t seconds, int32_t nanos);
/* Also "2d", and units in any number; false: it is none, or none that fits. */
bool format_parse_duration(const char *text, int64_t *seconds_out, int32_t *nanos_out);

const char *format_base64(struct arena *arena, const void *data, size_t len);
/* False: not base64. In the arena. */
bool format_parse_base64(struct arena *arena, const char *text, struct slice *out);
const char *format_hex(struct arena *arena, const void *data, size_t len);
bool format_parse_hex(struct arena *arena, const char *text, struct slice *out);
