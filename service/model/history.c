#include "model/history.h"

#include "base/buffer.h"
#include "model/account.h"
#include "model/packed.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "mxadm/v1/admin.pb-c.h"

#include <string.h>

/* -------------------------------------------------------------------- head */

enum { HEAD_TIME = 1, HEAD_PRINCIPAL, HEAD_METHOD, HEAD_REQUEST_ID };
enum { TIMESTAMP_SECONDS = 1, TIMESTAMP_NANOS };

static int64_t microseconds(struct slice time)
{
    return (int64_t) packed_number(time, TIMESTAMP_SECONDS) * 1000000 +
           (int64_t) packed_number(time, TIMESTAMP_NANOS) / 1000;
}

bool history_open(struct slice change, struct history_head *head_out,
                  struct change_reader *reader_out)
{
    struct packed_walk walk;

    memset(head_out, 0, sizeof(*head_out));
    if (!change_open(reader_out, change.data, change.len)) {
        return false;
    }
    walk = packed_walk(slice_of(reader_out->head, reader_out->head_len));
    while (packed_next(&walk)) {
        switch (walk.field) {
        case HEAD_TIME:
            head_out->time = walk.bytes;
            break;
        case HEAD_PRINCIPAL:
            head_out->principal = walk.bytes;
            break;
        case HEAD_METHOD:
            head_out->method = walk.bytes;
            break;
        case HEAD_REQUEST_ID:
            head_out->request_id = walk.bytes;
            break;
        default:
            break;
        }
    }
    head_out->time_us = microseconds(head_out->time);
    return true;
}

/* ------------------------------------------------------------------ filter */

/* Called for each domain (or account) that a record belongs to. */
struct belongs {
    const struct history_filter *filter;
    bool domain;  /* to the domain asked for */
    bool account; /* to the account asked for */
    bool scope;   /* to a domain of the scope */
};

static bool is_named(struct slice name, const char *text)
{
    return text != NULL && name.len == strlen(text) && memcmp(name.data, text, name.len) == 0;
}

static void of_domain(struct belongs *belongs, struct slice domain)
{
    const struct history_filter *filter = belongs->filter;

    if (domain.data == NULL) {
        return;
    }
    belongs->domain = belongs->domain || is_named(domain, filter->domain);
    for (size_t i = 0; i < filter->domain_count && !belongs->scope; i++) {
        belongs->scope = is_named(domain, filter->domains[i]);
    }
}

static void of_account(struct belongs *belongs, struct slice account)
{
    belongs->account =
        belongs->account || (account.data != NULL && is_named(account, belongs->filter->account));
}

/* The `index`th name within a key. */
static struct slice name_at(struct slice key, int index)
{
    const uint8_t *at = key.data + 1;
    const uint8_t *end = key.data + key.len;

    for (int i = 0; at <= end; i++) {
        const uint8_t *stop = memchr(at, 0, (size_t) (end - at));

        if (i == index) {
            return slice_of(at, (size_t) ((stop == NULL ? end : stop) - at));
        }
        if (stop == NULL) {
            break;
        }
        at = stop + 1;
    }
    return slice_of(NULL, 0);
}

enum { ADDRESS_ACCOUNT = 4, MEMBER_ACCOUNT = 3, TLS_ACCOUNT = 6, TLS_LOGIN = 7 };

static struct slice domain_of_address(struct slice address)
{
    const uint8_t *at = address.data == NULL ? NULL : memrchr(address.data, '@', address.len);

    return at == NULL ? slice_of(NULL, 0)
                      : slice_of(at + 1, (size_t) (address.data + address.len - at - 1));
}

/* The account that a member reaches: as its record says, else as its address does now. */
static struct slice account_of_member(const struct store_view *view, struct slice key,
                                      struct slice value)
{
    struct slice account = packed_bytes(value, MEMBER_ACCOUNT);
    struct slice domain = name_at(key, 2);
    struct record_key address = record_prefix(RECORD_ADDRESS, NULL);
    struct slice stored;

    if (account.data != NULL || domain.data == NULL || view == NULL) {
        return account;
    }
    /* The address's key is the member's end: domain, 0x00, localpart. */
    memcpy(address.data + address.len, domain.data, (size_t) (key.data + key.len - domain.data));
    address.len += (size_t) (key.data + key.len - domain.data);
    return store_get(view, record_slice(&address), &stored) ? packed_bytes(stored, ADDRESS_ACCOUNT)
                                                            : account;
}

/* What the key says. */
static void belong_by_key(struct belongs *belongs, struct slice key)
{
    switch (record_kind_of(key)) {
    case RECORD_ALIAS_MEMBER:
        of_domain(belongs, name_at(key, 2));
        of_domain(belongs, name_at(key, 0));
        break;
    case RECORD_DOMAIN:
    case RECORD_DKIM_SELECTOR:
    case RECORD_ADDRESS:
    case RECORD_SEALED_KEY:
    case RECORD_USED_SELECTOR:
    case RECORD_ALIAS:
        of_domain(belongs, name_at(key, 0));
        break;
    case RECORD_ACCOUNT:
        of_account(belongs, name_at(key, 0));
        break;
    case RECORD_TLS_PUBLIC_KEY:
    case RECORD_VAULT_KEY:
    case RECORD_CONFIG:
    case RECORD_KINDS:
        break;
    }
}

/* What a value under it says: before and after may belong to two. */
static void belong_by_value(struct belongs *belongs, struct slice key, struct slice value)
{
    enum record_kind kind = record_kind_of(key);

    if (value.data == NULL) {
        return;
    }
    if (kind == RECORD_ADDRESS) {
        of_account(belongs, packed_bytes(value, ADDRESS_ACCOUNT));
    } else if (kind == RECORD_TLS_PUBLIC_KEY) {
        of_account(belongs, packed_bytes(value, TLS_ACCOUNT));
        of_domain(belongs, domain_of_address(packed_bytes(value, TLS_LOGIN)));
    } else if (kind == RECORD_ALIAS_MEMBER && belongs->filter->account != NULL) {
        of_account(belongs, account_of_member(belongs->filter->view, key, value));
    }
}

bool history_shows(const struct history_filter *filter, const struct backend_edit *edit)
{
    struct belongs belongs = { .filter = filter };
    struct slice key = slice_of(edit->key, edit->key_len);

    if (!filter->scoped && filter->domain == NULL && filter->account == NULL) {
        return true;
    }
    belong_by_key(&belongs, key);
    belong_by_value(&belongs, key, slice_of(edit->before, edit->before_len));
    belong_by_value(&belongs, key, slice_of(edit->after, edit->after_len));
    return (!filter->scoped || belongs.scope) && (filter->domain == NULL || belongs.domain) &&
           (filter->account == NULL || belongs.account);
}

/* ----------------------------------------------------------------- records */

enum { CHANGE_ACTION = 1, CHANGE_BEFORE, CHANGE_AFTER };

/* Field of Record by kind. */
static const unsigned record_fields[RECORD_KINDS] = {
    [RECORD_DOMAIN] = 1,         [RECORD_DKIM_SELECTOR] = 2, [RECORD_ACCOUNT] = 3,
    [RECORD_ADDRESS] = 4,        [RECORD_ALIAS] = 5,         [RECORD_ALIAS_MEMBER] = 6,
    [RECORD_TLS_PUBLIC_KEY] = 7, [RECORD_CONFIG] = 8,        [RECORD_SEALED_KEY] = 9,
    [RECORD_USED_SELECTOR] = 10, [RECORD_VAULT_KEY] = 11,
};

static struct slice pack(const struct model *model, const ProtobufCMessage *message)
{
    uint8_t *packed = arena_alloc(model->arena, protobuf_c_message_get_packed_size(message) + 1);

    return slice_of(packed, protobuf_c_message_pack(message, packed));
}

static struct slice fingerprint(const struct model *model, struct slice value)
{
    const Mxadm__Internal__V1__SealedKey *sealed = record_unpack(model, RECORD_SEALED_KEY, value);
    Mxadm__V1__PrivateKeyFingerprint shown = MXADM__V1__PRIVATE_KEY_FINGERPRINT__INIT;

    shown.domain = sealed->domain;
    shown.selector = sealed->selector;
    shown.public_key_sha256 = sealed->public_key_sha256;
    return pack(model, &shown.base);
}

static struct slice used_selector(const struct model *model, struct slice value)
{
    const Mxadm__Internal__V1__UsedSelector *used =
        record_unpack(model, RECORD_USED_SELECTOR, value);
    Mxadm__V1__UsedSelector shown = MXADM__V1__USED_SELECTOR__INIT;

    shown.domain = used->domain;
    shown.selector = used->selector;
    shown.public_key_sha256 = used->public_key_sha256;
    return pack(model, &shown.base);
}

/* The record as the contract shows it. */
static struct slice shown(const struct model *model, enum record_kind kind, struct slice value)
{
    switch (kind) {
    case RECORD_SEALED_KEY:
        return fingerprint(model, value);
    case RECORD_USED_SELECTOR:
        return used_selector(model, value);
    case RECORD_VAULT_KEY:
        return slice_of("", 0);
    case RECORD_ACCOUNT:
        return account_redact(model, value);
    case RECORD_DOMAIN:
    case RECORD_DKIM_SELECTOR:
    case RECORD_ADDRESS:
    case RECORD_ALIAS:
    case RECORD_ALIAS_MEMBER:
    case RECORD_TLS_PUBLIC_KEY:
    case RECORD_CONFIG:
    case RECORD_KINDS:
        break;
    }
    return value;
}

/* All our fields have numbers below 16: a tag is one byte. */
static size_t run_size(size_t len)
{
    return 1 + varint_size(len) + len;
}

static uint8_t *put_head(uint8_t *at, unsigned field, size_t len)
{
    *at++ = (uint8_t) (field << 3 | 2);
    return varint_put(at, len);
}

/* A Record around the value, as a field of RecordChange. */
static uint8_t *put_record(uint8_t *at, unsigned field, unsigned kind_field, struct slice value)
{
    if (value.data == NULL) {
        return at;
    }
    at = put_head(at, field, run_size(value.len));
    at = put_head(at, kind_field, value.len);
    memcpy(at, value.data, value.len);
    return at + value.len;
}

static size_t record_size(struct slice value)
{
    return value.data == NULL ? 0 : run_size(run_size(value.len));
}

static Mxadm__V1__ChangeAction action_of(const struct backend_edit *edit)
{
    if (edit->before == NULL) {
        return MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_ADD;
    }
    return edit->after == NULL ? MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_REMOVE
                               : MXADM__V1__CHANGE_ACTION__CHANGE_ACTION_UPDATE;
}

struct slice history_record_change(const struct model *model, const struct backend_edit *edit)
{
    enum record_kind kind = record_kind_of(slice_of(edit->key, edit->key_len));
    struct slice before = slice_of(edit->before, edit->before_len);
    struct slice after = slice_of(edit->after, edit->after_len);
    uint8_t *packed;
    uint8_t *at;

    if (kind == RECORD_KINDS) {
        status_fail(model->status, MX_DATA_LOSS, "HISTORY_DAMAGED",
                    "the history has a record of an unknown kind");
        return slice_of("", 0);
    }
    before = before.data == NULL ? before : shown(model, kind, before);
    after = after.data == NULL ? after : shown(model, kind, after);
    packed = arena_alloc(model->arena, 2 + record_size(before) + record_size(after));
    packed[0] = CHANGE_ACTION << 3;
    packed[1] = (uint8_t) action_of(edit);
    at = put_record(packed + 2, CHANGE_BEFORE, record_fields[kind], before);
    at = put_record(at, CHANGE_AFTER, record_fields[kind], after);
    return slice_of(packed, (size_t) (at - packed));
}

/* --------------------------------------------------------------- comparing */

/* Of every record of the model. */
#define REVISION_FIELD 100

static unsigned update_time_field(enum record_kind kind)
{
    const ProtobufCFieldDescriptor *field = kind == RECORD_KINDS
                                                ? NULL
                                                : protobuf_c_message_descriptor_get_field_by_name(
                                                      record_descriptor(kind), "update_time");

    return field == NULL ? 0 : field->id;
}

/* The next field that is no stamp. */
static bool next_meant(struct packed_walk *walk, unsigned update_time)
{
    while (packed_next(walk)) {
        if (walk->field != REVISION_FIELD && walk->field != update_time) {
            return true;
        }
    }
    return false;
}

static bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool history_same(struct slice key, struct slice a, struct slice b)
{
    unsigned update_time = update_time_field(record_kind_of(key));
    struct packed_walk walk_a = packed_walk(a);
    struct packed_walk walk_b = packed_walk(b);

    if (a.data == NULL || b.data == NULL) {
        return a.data == b.data;
    }
    for (;;) {
        bool more = next_meant(&walk_a, update_time);

        if (more != next_meant(&walk_b, update_time)) {
            return false;
        }
        if (!more) {
            return true;
        }
        if (!slice_equal(walk_a.whole, walk_b.whole)) {
            return false;
        }
    }
}

bool history_is_internal(enum record_kind kind)
{
    return kind == RECORD_SEALED_KEY || kind == RECORD_USED_SELECTOR || kind == RECORD_VAULT_KEY;
}
