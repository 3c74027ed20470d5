/*
 * Records: what the store holds, what a Get answers, what the history shows.
 *
 * A record is a packed protobuf message under an ordered key. Keys are a byte
 * for the kind and the names that identify the record, each ended by 0x00 but
 * for the last, so that all that belongs to a domain or an account is one
 * range:
 *
 *   'd' domain                          Domain
 *   'k' domain 0 selector               DkimSelector
 *   'a' account                         Account
 *   'e' domain 0 localpart              Address (canonical localpart in text
 *                                       form; 0x01 for the catchall)
 *   's' domain 0 selector               SealedKey
 *   'u' domain 0 selector               UsedSelector
 *   'v'                                 VaultKey
 *   'l' domain 0 localpart              Alias (canonical localpart in text form)
 *   'm' alias domain 0 alias localpart 0 member domain 0 member localpart
 *                                       AliasMember (both canonical)
 *   't' fingerprint                     TlsPublicKey
 *   'c'                                 Config
 *
 * and derived, made from these, never durable:
 *
 *   'A' account 0 domain 0 localpart    the addresses of an account
 *   'D' domain 0 account 0 localpart    the accounts with an address in a domain
 *   'M' member domain 0 member localpart 0 alias domain 0 alias localpart
 *                                       the aliases that an address is a member of
 *   'T' account 0 fingerprint           the TLS public keys of an account
 *   'L' domain 0 localpart 0 fingerprint
 *                                       the TLS public keys by login address
 *   'F' domain 0 localpart 0 account    the accounts by from_id_login_addresses
 *   'S' domain 0 character 0 key        addresses and aliases whose localpart as
 *                                       given has this character of a separator;
 *                                       `key` is their kind's byte and canonical
 *                                       localpart
 *   'U' domain 0 key                    the same with letters that may have two
 *                                       cases: upper-case ASCII, or not ASCII
 *
 * The localparts of login addresses and members are canonical as well: records
 * hold them in canonical form, and a change of the domain's case rule rewrites
 * them (domain_save()).
 *
 * Derived entries are kept by record_put() and record_delete() alone, through
 * one function of before and after, which the loader uses too: an index is by
 * construction what a rebuild gives.
 */
#pragma once

#include "base/status.h"
#include "model/names.h"
#include "store/store.h"

#include <google/protobuf/timestamp.pb-c.h>
#include <protobuf-c/protobuf-c.h>

struct settings;

enum record_kind {
    RECORD_DOMAIN,
    RECORD_DKIM_SELECTOR,
    RECORD_ACCOUNT,
    RECORD_ADDRESS,
    RECORD_SEALED_KEY,
    RECORD_USED_SELECTOR,
    RECORD_VAULT_KEY,
    RECORD_ALIAS,
    RECORD_ALIAS_MEMBER,
    RECORD_TLS_PUBLIC_KEY,
    RECORD_CONFIG,
    RECORD_KINDS,
};

/* Characters that separators of localparts are made of (model.proto, Domain). */
#define RECORD_SEPARATOR_CHARACTERS "+-_=."

/* Second byte of a catchall's key: before every localpart. */
#define RECORD_CATCHALL "\x01"

struct record_key {
    uint8_t data[STORE_KEY_MAX];
    size_t len;
};

/* What rules work on: a view, maybe a draft to change, and where to report. Made by the dispatcher
 * for one request. A failure of the store itself is reported into `status` too, so that rules need
 * no second path for it; what is written after that is rolled back with the request. */
struct model {
    const struct store_view *view;
    struct store_draft *draft; /* NULL: read only */
    struct arena *arena;
    struct status *status;
    const struct settings *settings;
    int64_t now_us; /* wall clock at the start of the request: times of its records */
};

/* ------------------------------------------------------------------- keys */

/* The key of a record from up to two names. */
struct record_key record_key(enum record_kind kind, const char *first, const char *second);
/* The range of a kind, or of all records of a kind below `first`. */
struct record_key record_prefix(enum record_kind kind, const char *first);
/* The key of a member of an alias, all parts canonical; without the member: the range of all. */
struct record_key record_member_key(const char *alias_domain, const char *alias_localpart,
                                    const char *domain, const char *localpart);
struct record_key record_members(const char *alias_domain, const char *alias_localpart);

/* Ranges of the derived entries; the last name NULL: of all below the first. */
struct record_key record_account_addresses(const char *account, const char *domain);
struct record_key record_domain_accounts(const char *domain, const char *account);
struct record_key record_memberships(const char *domain, const char *localpart);
struct record_key record_account_tls_keys(const char *account);
struct record_key record_login_tls_keys(const char *domain, const char *localpart);
struct record_key record_from_ids(const char *domain, const char *localpart);
/* `character` of RECORD_SEPARATOR_CHARACTERS. */
struct record_key record_with_separator(const char *domain, char character);
struct record_key record_with_case(const char *domain);

/* The names within any key of ours, durable or derived, copied into the arena; those that it does
 * not have are "". What 'S' and 'U' end with stays in one piece. */
#define RECORD_PARTS_MAX 4
void record_key_parts(struct arena *arena, struct slice key,
                      const char *parts_out[RECORD_PARTS_MAX]);
/* The key of the address record that an entry of either index stands for. */
bool record_indexed_address(struct slice index_key, struct record_key *key_out);
/* The account within a key of the index of a domain's accounts. Borrowed from an arena copy. */
const char *record_indexed_account(struct arena *arena, struct slice index_key);

static inline struct slice record_slice(const struct record_key *key)
{
    return slice_of(key->data, key->len);
}

/* ---------------------------------------------------------------- reading */

bool record_exists(const struct model *model, const struct record_key *key);
/* The packed record; false if there is none. Borrowed from the view. */
bool record_get(const struct model *model, const struct record_key *key, struct slice *packed_out);
/* The record unpacked into the arena, NULL if there is none. */
void *record_load(const struct model *model, enum record_kind kind, const struct record_key *key);
/* A packed record of a kind, unpacked into the arena; never NULL (a damaged one is reported as
 * DATA_LOSS and given as an empty record). */
void *record_unpack(const struct model *model, enum record_kind kind, struct slice packed);
uint64_t record_count(const struct model *model, const struct record_key *prefix);

/* ---------------------------------------------------------------- writing */

/*
 * Stores a record. Sets its revision and times; create_time is that of the stored record, else the
 * record's own (one that is restored), else now. What differs from the stored record in nothing
 * else is not written. Returns what is stored then, packed, in
 * the arena.
 */
struct slice record_put(struct model *model, enum record_kind kind, const struct record_key *key,
                        ProtobufCMessage *record);
/* What is not there need not be deleted. */
void record_delete(struct model *model, const struct record_key *key);
/* All records of a range of durable keys; returns how many. */
uint64_t record_delete_range(struct model *model, const struct record_key *prefix);

/* Calls `each` for every derived entry that a durable one has; what an index is, in one place. */
void record_each_derived(struct slice key, struct slice value,
                         void (*each)(void *context, const struct record_key *derived),
                         void *context);

/* The key of the durable record that a derived entry is made from; false: it is no such entry. */
bool record_origin(struct slice derived, struct record_key *key_out);

/* The loader's hook, store_loader.entry: all derived entries of a durable one. No context. */
enum mx_code record_derive_loaded(void *context, struct store_derived *derived, struct slice key,
                                  struct slice value, struct mx_error *err);

/* The follower's hook: makes derived entries follow a durable one. */
enum mx_code record_derive(struct store_draft *draft, struct slice key, struct slice before,
                           struct slice after, struct mx_error *err);

/* ------------------------------------------------------------- describing */

/* The kind of a durable key; RECORD_KINDS if it is none. */
enum record_kind record_kind_of(struct slice key);
const ProtobufCMessageDescriptor *record_descriptor(enum record_kind kind);
/* Bytes that a value of this type takes in an unpacked message; of a list, each of its elements. */
size_t record_value_size(ProtobufCType type);
/* "dkim selector": PlannedChange.kind; static. */
const char *record_kind_name(enum record_kind kind);
/* "2026a._domainkey.example.org": PlannedChange.name, from the key alone; in the arena. */
const char *record_name(struct arena *arena, struct slice key);
/* A number among a packed record's own fields, without unpacking it; 0 if it is not there. */
uint64_t record_number(struct slice packed, unsigned field);
/* The revision that last changed a packed record; 0 if its kind has none. */
uint64_t record_revision(struct slice packed);

/* Allocator that unpacks into an arena: NULL at its limit, never jumps. */
ProtobufCAllocator record_allocator(struct arena *arena);

/* Microseconds of the wall clock as the records have them. */
Google__Protobuf__Timestamp record_timestamp(int64_t us);
