#include "model/record.h"

#include "model/packed.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "mxadm/v1/model.pb-c.h"

#include <stddef.h>
#include <string.h>

/* Number of the field `revision` in every record of the model. */
#define REVISION_FIELD 100

static const struct {
    char prefix;
    const char *name;
    const ProtobufCMessageDescriptor *descriptor;
} kinds[RECORD_KINDS] = {
    [RECORD_DOMAIN] = { 'd', "domain", &mxadm__v1__domain__descriptor },
    [RECORD_DKIM_SELECTOR] = { 'k', "dkim selector", &mxadm__v1__dkim_selector__descriptor },
    [RECORD_ACCOUNT] = { 'a', "account", &mxadm__v1__account__descriptor },
    [RECORD_ADDRESS] = { 'e', "address", &mxadm__v1__address__descriptor },
    [RECORD_SEALED_KEY] = { 's', "private key", &mxadm__internal__v1__sealed_key__descriptor },
    [RECORD_USED_SELECTOR] = { 'u', "used selector",
                               &mxadm__internal__v1__used_selector__descriptor },
    [RECORD_VAULT_KEY] = { 'v', "vault key", &mxadm__internal__v1__vault_key__descriptor },
    [RECORD_ALIAS] = { 'l', "alias", &mxadm__v1__alias__descriptor },
    [RECORD_ALIAS_MEMBER] = { 'm', "alias member", &mxadm__v1__alias_member__descriptor },
    [RECORD_TLS_PUBLIC_KEY] = { 't', "tls public key", &mxadm__v1__tls_public_key__descriptor },
    [RECORD_CONFIG] = { 'c', "config", &mxadm__v1__config__descriptor },
};

#define DERIVED_ACCOUNT_ADDRESSES 'A'
#define DERIVED_DOMAIN_ACCOUNTS   'D'
#define DERIVED_MEMBERSHIPS       'M'
#define DERIVED_ACCOUNT_TLS_KEYS  'T'
#define DERIVED_LOGIN_TLS_KEYS    'L'
#define DERIVED_FROM_IDS          'F'
#define DERIVED_SEPARATORS        'S'
#define DERIVED_CASE              'U'

/* -------------------------------------------------------------------- keys */

/* Names come checked, far below STORE_KEY_MAX; a longer one would make a key that nothing has. */
static void append(struct record_key *key, const char *text, size_t len)
{
    if (len > sizeof(key->data) - key->len) {
        len = sizeof(key->data) - key->len;
    }
    if (len > 0) {
        memcpy(key->data + key->len, text, len);
    }
    key->len += len;
}

/* The names that are not NULL, each but the first behind a 0x00. */
static struct record_key key_of(char prefix, const char *const names[RECORD_PARTS_MAX])
{
    struct record_key key;

    key.len = 0;
    append(&key, &prefix, 1);
    for (int i = 0; i < RECORD_PARTS_MAX && names[i] != NULL; i++) {
        if (i > 0) {
            append(&key, "", 1);
        }
        append(&key, names[i], strlen(names[i]));
    }
    return key;
}

struct record_key record_key(enum record_kind kind, const char *first, const char *second)
{
    return key_of(kinds[kind].prefix, (const char *[RECORD_PARTS_MAX]){ first, second });
}

struct record_key record_prefix(enum record_kind kind, const char *first)
{
    return key_of(kinds[kind].prefix,
                  (const char *[RECORD_PARTS_MAX]){ first, first == NULL ? NULL : "" });
}

struct record_key record_member_key(const char *alias_domain, const char *alias_localpart,
                                    const char *domain, const char *localpart)
{
    return key_of(
        kinds[RECORD_ALIAS_MEMBER].prefix,
        (const char *[RECORD_PARTS_MAX]){ alias_domain, alias_localpart, domain, localpart });
}

struct record_key record_members(const char *alias_domain, const char *alias_localpart)
{
    return record_member_key(alias_domain, alias_localpart, "", NULL);
}

/* All keys that go on behind these names; `second` NULL: behind the first. */
static struct record_key range_of(char prefix, const char *first, const char *second)
{
    return key_of(prefix, (const char *[RECORD_PARTS_MAX]){ first, second == NULL ? "" : second,
                                                            second == NULL ? NULL : "" });
}

struct record_key record_account_addresses(const char *account, const char *domain)
{
    return range_of(DERIVED_ACCOUNT_ADDRESSES, account, domain);
}

struct record_key record_domain_accounts(const char *domain, const char *account)
{
    return range_of(DERIVED_DOMAIN_ACCOUNTS, domain, account);
}

struct record_key record_memberships(const char *domain, const char *localpart)
{
    return range_of(DERIVED_MEMBERSHIPS, domain, localpart);
}

struct record_key record_account_tls_keys(const char *account)
{
    return range_of(DERIVED_ACCOUNT_TLS_KEYS, account, NULL);
}

struct record_key record_login_tls_keys(const char *domain, const char *localpart)
{
    return range_of(DERIVED_LOGIN_TLS_KEYS, domain, localpart);
}

struct record_key record_from_ids(const char *domain, const char *localpart)
{
    return range_of(DERIVED_FROM_IDS, domain, localpart);
}

struct record_key record_with_separator(const char *domain, char character)
{
    return range_of(DERIVED_SEPARATORS, domain, (const char[]){ character, '\0' });
}

struct record_key record_with_case(const char *domain)
{
    return range_of(DERIVED_CASE, domain, NULL);
}

/* The names within a key; those that it does not have are absent. */
struct names {
    struct slice at[RECORD_PARTS_MAX];
};

static struct names names_of(struct slice key)
{
    struct names names = { 0 };
    const uint8_t *at = key.data + 1;
    const uint8_t *end = key.data + key.len;

    for (int i = 0; i < RECORD_PARTS_MAX && at <= end; i++) {
        const uint8_t *stop = i == RECORD_PARTS_MAX - 1 ? NULL : memchr(at, 0, (size_t) (end - at));

        names.at[i] = slice_of(at, (size_t) ((stop == NULL ? end : stop) - at));
        at += names.at[i].len + 1;
    }
    return names;
}

void record_key_parts(struct arena *arena, struct slice key,
                      const char *parts_out[RECORD_PARTS_MAX])
{
    struct names names = names_of(key);

    for (int i = 0; i < RECORD_PARTS_MAX; i++) {
        parts_out[i] = names.at[i].data == NULL
                           ? ""
                           : arena_strndup(arena, (const char *) names.at[i].data, names.at[i].len);
    }
}

static void append_slice(struct record_key *key, struct slice text)
{
    append(key, (const char *) text.data, text.len);
}

bool record_indexed_address(struct slice index_key, struct record_key *key_out)
{
    struct names names = names_of(index_key);
    char prefix = kinds[RECORD_ADDRESS].prefix;

    if (names.at[2].data == NULL) {
        return false;
    }
    key_out->len = 0;
    append(key_out, &prefix, 1);
    append_slice(key_out, names.at[index_key.data[0] == DERIVED_ACCOUNT_ADDRESSES ? 1 : 0]);
    append(key_out, "", 1);
    append_slice(key_out, names.at[2]);
    return true;
}

const char *record_indexed_account(struct arena *arena, struct slice index_key)
{
    const char *parts[RECORD_PARTS_MAX];

    record_key_parts(arena, index_key, parts);
    return parts[index_key.data[0] == DERIVED_ACCOUNT_ADDRESSES ? 0 : 1];
}

/* ----------------------------------------------------------------- reading */

static void *allocate(void *arena, size_t size)
{
    return arena_try_alloc(arena, size);
}

static void release(void *arena, void *memory)
{
    (void) arena;
    (void) memory;
}

ProtobufCAllocator record_allocator(struct arena *arena)
{
    return (ProtobufCAllocator){ allocate, release, arena };
}

bool record_exists(const struct model *model, const struct record_key *key)
{
    struct slice packed;

    return store_get(model->view, record_slice(key), &packed);
}

bool record_get(const struct model *model, const struct record_key *key, struct slice *packed_out)
{
    return store_get(model->view, record_slice(key), packed_out);
}

void *record_unpack(const struct model *model, enum record_kind kind, struct slice packed)
{
    ProtobufCAllocator allocator = record_allocator(model->arena);
    ProtobufCMessage *record =
        protobuf_c_message_unpack(kinds[kind].descriptor, &allocator, packed.len, packed.data);

    if (record == NULL) {
        status_fail(model->status, MX_DATA_LOSS, "RECORD_DAMAGED",
                    "a stored %s can't be read, or is too large for the call", kinds[kind].name);
        record = arena_alloc(model->arena, kinds[kind].descriptor->sizeof_message);
        protobuf_c_message_init(kinds[kind].descriptor, record);
    }
    return record;
}

void *record_load(const struct model *model, enum record_kind kind, const struct record_key *key)
{
    struct slice packed;

    return record_get(model, key, &packed) ? record_unpack(model, kind, packed) : NULL;
}

uint64_t record_count(const struct model *model, const struct record_key *prefix)
{
    return store_count(model->view, record_slice(prefix));
}

/* ------------------------------------------------------------ packed fields */

uint64_t record_number(struct slice packed, unsigned field)
{
    return packed_number(packed, field);
}

uint64_t record_revision(struct slice packed)
{
    return record_number(packed, REVISION_FIELD);
}

/* ----------------------------------------------------------------- derived */

/* Numbers of the fields that indexes are made of. */
enum {
    ADDRESS_ADDRESS_FIELD = 1, /* of Address and Alias: as given */
    ADDRESS_ACCOUNT_FIELD = 4,
    ACCOUNT_FROM_ID_FIELD = 8,
    TLS_ACCOUNT_FIELD = 6,
    TLS_LOGIN_FIELD = 7,
};

struct derive {
    void (*each)(void *context, const struct record_key *derived);
    void *context;
};

/* A key of up to four names; those absent at the end are left out. */
static struct record_key key_of_slices(char prefix, const struct slice names[RECORD_PARTS_MAX])
{
    struct record_key key;

    key.len = 0;
    append(&key, &prefix, 1);
    for (int i = 0; i < RECORD_PARTS_MAX && names[i].data != NULL; i++) {
        if (i > 0) {
            append(&key, "", 1);
        }
        append_slice(&key, names[i]);
    }
    return key;
}

static void derive_one(const struct derive *derive, char prefix,
                       const struct slice names[RECORD_PARTS_MAX])
{
    struct record_key key = key_of_slices(prefix, names);

    derive->each(derive->context, &key);
}

/* The two parts of an address in text form; the domain has no "@". False: it is none. */
static bool split_address(struct slice address, struct slice *localpart, struct slice *domain)
{
    const uint8_t *at = address.data == NULL ? NULL : memrchr(address.data, '@', address.len);

    if (at == NULL) {
        return false;
    }
    *localpart = slice_of(address.data, (size_t) (at - address.data));
    *domain = slice_of(at + 1, address.len - localpart->len - 1);
    return true;
}

static bool may_have_case(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= 0x80 || (text.data[i] >= 'A' && text.data[i] <= 'Z')) {
            return true;
        }
    }
    return false;
}

/* What a change of the domain's separators or case rule must look at. */
static void derive_spelling(const struct derive *derive, struct slice key,
                            const struct names *names, struct slice given)
{
    /* The kind's byte and the localpart, in one piece. */
    uint8_t tail[1 + 2 * NAME_LOCALPART_MAX + 2];
    struct slice localpart;
    struct slice domain;
    size_t len = 1 + names->at[1].len;

    if (!split_address(given, &localpart, &domain) || localpart.len == 0 || len > sizeof(tail)) {
        return;
    }
    tail[0] = key.data[0];
    memcpy(tail + 1, names->at[1].data, names->at[1].len);
    for (const char *c = RECORD_SEPARATOR_CHARACTERS; *c != '\0'; c++) {
        if (memchr(localpart.data, *c, localpart.len) != NULL) {
            derive_one(derive, DERIVED_SEPARATORS,
                       (struct slice[RECORD_PARTS_MAX]){ names->at[0], slice_of(c, 1),
                                                         slice_of(tail, len) });
        }
    }
    if (may_have_case(localpart)) {
        derive_one(derive, DERIVED_CASE,
                   (struct slice[RECORD_PARTS_MAX]){ names->at[0], slice_of(tail, len) });
    }
}

static void derive_address(const struct derive *derive, struct slice key, struct slice value)
{
    struct names names = names_of(key);
    struct slice account = packed_bytes(value, ADDRESS_ACCOUNT_FIELD);

    if (names.at[1].data == NULL) {
        return;
    }
    if (account.data != NULL) {
        derive_one(derive, DERIVED_ACCOUNT_ADDRESSES,
                   (struct slice[RECORD_PARTS_MAX]){ account, names.at[0], names.at[1] });
        derive_one(derive, DERIVED_DOMAIN_ACCOUNTS,
                   (struct slice[RECORD_PARTS_MAX]){ names.at[0], account, names.at[1] });
    }
    derive_spelling(derive, key, &names, packed_bytes(value, ADDRESS_ADDRESS_FIELD));
}

static void derive_tls_key(const struct derive *derive, struct slice key, struct slice value)
{
    struct names names = names_of(key);
    struct slice account = packed_bytes(value, TLS_ACCOUNT_FIELD);
    struct slice localpart;
    struct slice domain;

    if (account.data != NULL) {
        derive_one(derive, DERIVED_ACCOUNT_TLS_KEYS,
                   (struct slice[RECORD_PARTS_MAX]){ account, names.at[0] });
    }
    if (split_address(packed_bytes(value, TLS_LOGIN_FIELD), &localpart, &domain)) {
        derive_one(derive, DERIVED_LOGIN_TLS_KEYS,
                   (struct slice[RECORD_PARTS_MAX]){ domain, localpart, names.at[0] });
    }
}

static void derive_account(const struct derive *derive, struct slice key, struct slice value)
{
    struct names names = names_of(key);
    struct packed_walk walk = packed_walk(value);
    struct slice localpart;
    struct slice domain;

    while (packed_next(&walk)) {
        if (walk.field == ACCOUNT_FROM_ID_FIELD && split_address(walk.bytes, &localpart, &domain)) {
            derive_one(derive, DERIVED_FROM_IDS,
                       (struct slice[RECORD_PARTS_MAX]){ domain, localpart, names.at[0] });
        }
    }
}

void record_each_derived(struct slice key, struct slice value,
                         void (*each)(void *context, const struct record_key *derived),
                         void *context)
{
    struct derive derive = { each, context };
    struct names names;

    if (value.data == NULL) {
        return;
    }
    switch (record_kind_of(key)) {
    case RECORD_ADDRESS:
        derive_address(&derive, key, value);
        break;
    case RECORD_ACCOUNT:
        derive_account(&derive, key, value);
        break;
    case RECORD_ALIAS:
        names = names_of(key);
        derive_spelling(&derive, key, &names, packed_bytes(value, ADDRESS_ADDRESS_FIELD));
        break;
    case RECORD_ALIAS_MEMBER:
        names = names_of(key);
        derive_one(
            &derive, DERIVED_MEMBERSHIPS,
            (struct slice[RECORD_PARTS_MAX]){ names.at[2], names.at[3], names.at[0], names.at[1] });
        break;
    case RECORD_TLS_PUBLIC_KEY:
        derive_tls_key(&derive, key, value);
        break;
    case RECORD_DOMAIN:
    case RECORD_DKIM_SELECTOR:
    case RECORD_SEALED_KEY:
    case RECORD_USED_SELECTOR:
    case RECORD_VAULT_KEY:
    case RECORD_CONFIG:
    case RECORD_KINDS:
        break;
    }
}

/* What 'S' and 'U' end with: the kind's byte and the localpart. */
static bool origin_of_spelling(struct slice domain, struct slice tail, struct record_key *key_out)
{
    if (tail.len == 0) {
        return false;
    }
    *key_out = key_of_slices(
        (char) tail.data[0],
        (struct slice[RECORD_PARTS_MAX]){ domain, slice_of(tail.data + 1, tail.len - 1) });
    return true;
}

bool record_origin(struct slice derived, struct record_key *key_out)
{
    struct names names;
    char prefix;

    if (derived.len == 0) {
        return false;
    }
    names = names_of(derived);
    switch (derived.data[0]) {
    case DERIVED_ACCOUNT_ADDRESSES:
    case DERIVED_DOMAIN_ACCOUNTS:
        return record_indexed_address(derived, key_out);
    case DERIVED_MEMBERSHIPS:
        prefix = kinds[RECORD_ALIAS_MEMBER].prefix;
        *key_out = key_of_slices(prefix, (struct slice[RECORD_PARTS_MAX]){
                                             names.at[2], names.at[3], names.at[0], names.at[1] });
        return names.at[3].data != NULL;
    case DERIVED_ACCOUNT_TLS_KEYS:
        prefix = kinds[RECORD_TLS_PUBLIC_KEY].prefix;
        *key_out = key_of_slices(prefix, (struct slice[RECORD_PARTS_MAX]){ names.at[1] });
        return names.at[1].data != NULL;
    case DERIVED_LOGIN_TLS_KEYS:
        prefix = kinds[RECORD_TLS_PUBLIC_KEY].prefix;
        *key_out = key_of_slices(prefix, (struct slice[RECORD_PARTS_MAX]){ names.at[2] });
        return names.at[2].data != NULL;
    case DERIVED_FROM_IDS:
        prefix = kinds[RECORD_ACCOUNT].prefix;
        *key_out = key_of_slices(prefix, (struct slice[RECORD_PARTS_MAX]){ names.at[2] });
        return names.at[2].data != NULL;
    case DERIVED_SEPARATORS:
        return origin_of_spelling(names.at[0], names.at[2], key_out);
    case DERIVED_CASE:
        return origin_of_spelling(names.at[0], names.at[1], key_out);
    default:
        return false;
    }
}

struct derive_load {
    struct store_derived *derived;
    enum mx_code code;
    struct mx_error *err;
};

static void load_derived(void *context, const struct record_key *derived)
{
    struct derive_load *load = context;

    if (load->code == MX_OK) {
        load->code = store_derive(load->derived, record_slice(derived), slice_of("", 0), load->err);
    }
}

enum mx_code record_derive_loaded(void *context, struct store_derived *derived, struct slice key,
                                  struct slice value, struct mx_error *err)
{
    struct derive_load load = { derived, MX_OK, err };

    (void) context;
    record_each_derived(key, value, load_derived, &load);
    return load.code;
}

/* Looks for one derived entry among those of a record. */
struct derive_search {
    const struct record_key *wanted;
    bool found;
};

static void search_derived(void *context, const struct record_key *derived)
{
    struct derive_search *search = context;

    search->found =
        search->found || (derived->len == search->wanted->len &&
                          memcmp(derived->data, search->wanted->data, derived->len) == 0);
}

/* One direction of record_derive(): what `other` does not have is removed, or put. */
struct derive_move {
    struct store_draft *draft;
    struct slice key;
    struct slice other;
    bool put;
    enum mx_code code;
    struct mx_error *err;
};

static void move_derived(void *context, const struct record_key *derived)
{
    struct derive_move *move = context;
    struct derive_search search = { derived, false };

    if (move->code != MX_OK) {
        return;
    }
    record_each_derived(move->key, move->other, search_derived, &search);
    if (search.found) {
        return;
    }
    move->code = move->put ? store_put_derived(move->draft, record_slice(derived), slice_of("", 0),
                                               move->err)
                           : store_delete_derived(move->draft, record_slice(derived), move->err);
}

enum mx_code record_derive(struct store_draft *draft, struct slice key, struct slice before,
                           struct slice after, struct mx_error *err)
{
    struct derive_move move = { draft, key, after, false, MX_OK, err };

    record_each_derived(key, before, move_derived, &move);
    move.other = before;
    move.put = true;
    record_each_derived(key, after, move_derived, &move);
    return move.code;
}

/* ----------------------------------------------------------------- writing */

static void *field_of(ProtobufCMessage *record, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(record->descriptor, name);

    return field == NULL ? NULL : (char *) record + field->offset;
}

Google__Protobuf__Timestamp record_timestamp(int64_t us)
{
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

    time.seconds = us / 1000000;
    time.nanos = (int32_t) (us % 1000000) * 1000;
    return time;
}

static Google__Protobuf__Timestamp *timestamp(const struct model *model)
{
    Google__Protobuf__Timestamp *time = arena_alloc(model->arena, sizeof(*time));

    *time = record_timestamp(model->now_us);
    return time;
}

static struct slice pack(const struct model *model, const ProtobufCMessage *record)
{
    uint8_t *packed = arena_alloc(model->arena, protobuf_c_message_get_packed_size(record) + 1);

    return slice_of(packed, protobuf_c_message_pack(record, packed));
}

/* Gives the record the stored one's revision and times, so that what is left of a difference is
 * one. */
static void inherit(const struct model *model, enum record_kind kind, ProtobufCMessage *record,
                    struct slice stored)
{
    ProtobufCMessage *before = record_unpack(model, kind, stored);
    static const char *const times[] = { "create_time", "update_time" };
    uint64_t *revision = field_of(record, "revision");

    if (revision != NULL) {
        *revision = record_revision(stored);
    }
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        Google__Protobuf__Timestamp **to = field_of(record, times[i]);
        Google__Protobuf__Timestamp **from = field_of(before, times[i]);

        if (to != NULL && from != NULL) {
            *to = *from;
        }
    }
}

static void stamp(const struct model *model, ProtobufCMessage *record, bool is_new)
{
    uint64_t *revision = field_of(record, "revision");
    Google__Protobuf__Timestamp **created = field_of(record, "create_time");
    Google__Protobuf__Timestamp **updated = field_of(record, "update_time");

    if (revision != NULL) {
        *revision = store_draft_revision(model->draft);
    }
    if (created != NULL && is_new && *created == NULL) {
        *created = timestamp(model);
    }
    if (updated != NULL) {
        *updated = timestamp(model);
    }
}

static bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

struct slice record_put(struct model *model, enum record_kind kind, const struct record_key *key,
                        ProtobufCMessage *record)
{
    struct slice before = { NULL, 0 };
    bool exists = record_get(model, key, &before);
    struct slice after;
    struct mx_error err;

    if (exists) {
        inherit(model, kind, record, before);
        after = pack(model, record);
        if (slice_equal(before, after)) {
            return after;
        }
    }
    stamp(model, record, !exists);
    after = pack(model, record);
    if (record_derive(model->draft, record_slice(key), before, after, &err) != MX_OK ||
        store_put(model->draft, record_slice(key), after, &err) != MX_OK) {
        status_error(model->status, &err);
    }
    return after;
}

void record_delete(struct model *model, const struct record_key *key)
{
    struct slice before;
    struct slice none = { NULL, 0 };
    struct mx_error err;

    if (!record_get(model, key, &before)) {
        return;
    }
    if (record_derive(model->draft, record_slice(key), before, none, &err) != MX_OK ||
        store_delete(model->draft, record_slice(key), &err) != MX_OK) {
        status_error(model->status, &err);
    }
}

uint64_t record_delete_range(struct model *model, const struct record_key *prefix)
{
    struct store_cursor cursor;
    struct store_entry entry;
    uint64_t removed = 0;

    store_cursor_init(&cursor, model->view, record_slice(prefix), slice_of(NULL, 0), false);
    while (status_ok(model->status) && store_cursor_next(&cursor, &entry)) {
        struct record_key key = { .len = entry.key.len };

        memcpy(key.data, entry.key.data, entry.key.len);
        record_delete(model, &key);
        removed++;
    }
    return removed;
}

/* ------------------------------------------------------------- describing */

enum record_kind record_kind_of(struct slice key)
{
    for (int kind = 0; kind < RECORD_KINDS; kind++) {
        if (key.len > 0 && kinds[kind].prefix == (char) key.data[0]) {
            return (enum record_kind) kind;
        }
    }
    return RECORD_KINDS;
}

const char *record_kind_name(enum record_kind kind)
{
    return kind < RECORD_KINDS ? kinds[kind].name : "record";
}

const ProtobufCMessageDescriptor *record_descriptor(enum record_kind kind)
{
    return kinds[kind].descriptor;
}

size_t record_value_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    }
    return 0;
}

const char *record_name(struct arena *arena, struct slice key)
{
    const char *parts[RECORD_PARTS_MAX];

    record_key_parts(arena, key, parts);
    for (int i = 0; i < RECORD_PARTS_MAX; i++) {
        if (parts[i] == NULL) {
            return NULL; /* an arena at its limit */
        }
    }
    switch (record_kind_of(key)) {
    case RECORD_DOMAIN:
    case RECORD_ACCOUNT:
    case RECORD_TLS_PUBLIC_KEY:
        return parts[0];
    case RECORD_DKIM_SELECTOR:
    case RECORD_SEALED_KEY:
    case RECORD_USED_SELECTOR:
        return arena_printf(arena, "%s._domainkey.%s", parts[1], parts[0]);
    case RECORD_ADDRESS:
        return arena_printf(arena, "%s@%s", strcmp(parts[1], RECORD_CATCHALL) == 0 ? "" : parts[1],
                            parts[0]);
    case RECORD_ALIAS:
        return arena_printf(arena, "%s@%s", parts[1], parts[0]);
    case RECORD_ALIAS_MEMBER:
        return arena_printf(arena, "%s@%s in %s@%s", parts[3], parts[2], parts[1], parts[0]);
    case RECORD_VAULT_KEY:
        return arena_strdup(arena, "vault");
    case RECORD_CONFIG:
        return arena_strdup(arena, "config");
    case RECORD_KINDS:
        break;
    }
    return arena_strdup(arena, "");
}
