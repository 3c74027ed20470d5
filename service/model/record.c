#include "model/record.h"

#include "base/buffer.h"
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
};

#define DERIVED_ACCOUNT_ADDRESSES 'A'
#define DERIVED_DOMAIN_ACCOUNTS   'D'

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

static struct record_key key_of(char prefix, const char *first, const char *second,
                                const char *third)
{
    struct record_key key;

    key.len = 0;
    append(&key, &prefix, 1);
    if (first != NULL) {
        append(&key, first, strlen(first));
    }
    if (second != NULL) {
        append(&key, "", 1);
        append(&key, second, strlen(second));
    }
    if (third != NULL) {
        append(&key, "", 1);
        append(&key, third, strlen(third));
    }
    return key;
}

struct record_key record_key(enum record_kind kind, const char *first, const char *second)
{
    return key_of(kinds[kind].prefix, first, second, NULL);
}

struct record_key record_prefix(enum record_kind kind, const char *first)
{
    return key_of(kinds[kind].prefix, first, first == NULL ? NULL : "", NULL);
}

struct record_key record_account_addresses(const char *account, const char *domain)
{
    return key_of(DERIVED_ACCOUNT_ADDRESSES, account, domain == NULL ? "" : domain,
                  domain == NULL ? NULL : "");
}

struct record_key record_domain_accounts(const char *domain, const char *account)
{
    return key_of(DERIVED_DOMAIN_ACCOUNTS, domain, account == NULL ? "" : account,
                  account == NULL ? NULL : "");
}

struct names {
    const char *first;
    size_t first_len;
    const char *second;
    size_t second_len;
    const char *third;
    size_t third_len;
};

/* The names within a key; those that it does not have are NULL. */
static struct names names_of(struct slice key)
{
    struct names names = { 0 };
    const char *at = (const char *) key.data + 1;
    const char *end = (const char *) key.data + key.len;
    const char **starts[] = { &names.first, &names.second, &names.third };
    size_t *lens[] = { &names.first_len, &names.second_len, &names.third_len };

    for (int i = 0; i < 3 && at <= end; i++) {
        const char *stop = i == 2 ? NULL : memchr(at, 0, (size_t) (end - at));

        *starts[i] = at;
        *lens[i] = (size_t) ((stop == NULL ? end : stop) - at);
        at += *lens[i] + 1;
    }
    return names;
}

bool record_indexed_address(struct slice index_key, struct record_key *key_out)
{
    struct names names = names_of(index_key);
    char prefix = kinds[RECORD_ADDRESS].prefix;

    if (names.third == NULL) {
        return false;
    }
    key_out->len = 0;
    append(key_out, &prefix, 1);
    if (index_key.data[0] == DERIVED_ACCOUNT_ADDRESSES) {
        append(key_out, names.second, names.second_len);
    } else {
        append(key_out, names.first, names.first_len);
    }
    append(key_out, "", 1);
    append(key_out, names.third, names.third_len);
    return true;
}

const char *record_indexed_account(struct arena *arena, struct slice index_key)
{
    struct names names = names_of(index_key);

    if (names.second == NULL) {
        return "";
    }
    if (index_key.data[0] == DERIVED_ACCOUNT_ADDRESSES) {
        return arena_strndup(arena, names.first, names.first_len);
    }
    return arena_strndup(arena, names.second, names.second_len);
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

/* One top-level field of a record that we packed ourselves: its number if it is a varint, its bytes
 * if it is a run. False: it is not there (or, of a damaged record, not reached). */
static bool packed_field(struct slice packed, unsigned field, uint64_t *number_out,
                         struct slice *bytes_out)
{
    const uint8_t *at = packed.data;
    const uint8_t *end = packed.data + packed.len;
    uint64_t tag;
    uint64_t value;

    while (at < end && varint_get(&at, end, &tag)) {
        switch (tag & 7) {
        case 0:
            if (!varint_get(&at, end, &value)) {
                return false;
            }
            if (tag >> 3 == field) {
                *number_out = value;
                return true;
            }
            break;
        case 1:
            value = 8;
            if ((uint64_t) (end - at) < value) {
                return false;
            }
            at += value;
            break;
        case 2:
            if (!varint_get(&at, end, &value) || value > (uint64_t) (end - at)) {
                return false;
            }
            if (tag >> 3 == field) {
                *bytes_out = slice_of(at, (size_t) value);
                return true;
            }
            at += value;
            break;
        default:
            return false; /* no record of ours has another type */
        }
    }
    return false;
}

uint64_t record_number(struct slice packed, unsigned field)
{
    uint64_t number = 0;
    struct slice none;

    (void) packed_field(packed, field, &number, &none);
    return number;
}

uint64_t record_revision(struct slice packed)
{
    return record_number(packed, REVISION_FIELD);
}

/* ----------------------------------------------------------------- derived */

#define ADDRESS_ACCOUNT_FIELD 4
#define DERIVED_MAX           2

struct derived {
    struct record_key keys[DERIVED_MAX];
    size_t count;
};

static void derived_add(struct derived *derived, char prefix, struct slice first,
                        struct slice second, struct slice third)
{
    struct record_key *key = &derived->keys[derived->count++];

    key->len = 0;
    append(key, &prefix, 1);
    append(key, (const char *) first.data, first.len);
    append(key, "", 1);
    append(key, (const char *) second.data, second.len);
    append(key, "", 1);
    append(key, (const char *) third.data, third.len);
}

/* What a durable entry has in the indexes. */
static void derive(struct slice key, struct slice value, struct derived *derived)
{
    struct names names;
    struct slice account = { NULL, 0 };
    uint64_t none;

    derived->count = 0;
    if (value.data == NULL || (char) key.data[0] != kinds[RECORD_ADDRESS].prefix) {
        return;
    }
    names = names_of(key);
    if (names.second != NULL && packed_field(value, ADDRESS_ACCOUNT_FIELD, &none, &account)) {
        struct slice domain = slice_of(names.first, names.first_len);
        struct slice localpart = slice_of(names.second, names.second_len);

        derived_add(derived, DERIVED_ACCOUNT_ADDRESSES, account, domain, localpart);
        derived_add(derived, DERIVED_DOMAIN_ACCOUNTS, domain, account, localpart);
    }
}

static bool has_derived(const struct derived *derived, const struct record_key *key)
{
    for (size_t i = 0; i < derived->count; i++) {
        if (derived->keys[i].len == key->len &&
            memcmp(derived->keys[i].data, key->data, key->len) == 0) {
            return true;
        }
    }
    return false;
}

enum mx_code record_derive(struct store_draft *draft, struct slice key, struct slice before,
                           struct slice after, struct mx_error *err)
{
    struct derived old;
    struct derived new;
    enum mx_code code = MX_OK;

    derive(key, before, &old);
    derive(key, after, &new);
    for (size_t i = 0; i < old.count && code == MX_OK; i++) {
        if (!has_derived(&new, &old.keys[i])) {
            code = store_delete_derived(draft, record_slice(&old.keys[i]), err);
        }
    }
    for (size_t i = 0; i < new.count &&code == MX_OK; i++) {
        if (!has_derived(&old, &new.keys[i])) {
            code = store_put_derived(draft, record_slice(&new.keys[i]), slice_of("", 0), err);
        }
    }
    return code;
}

/* ----------------------------------------------------------------- writing */

static void *field_of(ProtobufCMessage *record, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(record->descriptor, name);

    return field == NULL ? NULL : (char *) record + field->offset;
}

static Google__Protobuf__Timestamp *timestamp(const struct model *model)
{
    Google__Protobuf__Timestamp *time = arena_alloc(model->arena, sizeof(*time));

    google__protobuf__timestamp__init(time);
    time->seconds = model->now_us / 1000000;
    time->nanos = (int32_t) (model->now_us % 1000000) * 1000;
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
    if (created != NULL && is_new) {
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

const char *record_name(struct arena *arena, struct slice key)
{
    struct names names = names_of(key);
    int first_len = (int) names.first_len;
    int second_len = (int) names.second_len;

    switch (record_kind_of(key)) {
    case RECORD_DOMAIN:
    case RECORD_ACCOUNT:
        return arena_printf(arena, "%.*s", first_len, names.first);
    case RECORD_DKIM_SELECTOR:
    case RECORD_SEALED_KEY:
    case RECORD_USED_SELECTOR:
        return arena_printf(arena, "%.*s._domainkey.%.*s", second_len, names.second, first_len,
                            names.first);
    case RECORD_ADDRESS:
        if (second_len == 1 && names.second[0] == RECORD_CATCHALL[0]) {
            return arena_printf(arena, "@%.*s", first_len, names.first);
        }
        return arena_printf(arena, "%.*s@%.*s", second_len, names.second, first_len, names.first);
    case RECORD_VAULT_KEY:
        return arena_strdup(arena, "vault");
    case RECORD_KINDS:
        break;
    }
    return arena_strdup(arena, "");
}
