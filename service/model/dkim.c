#include "model/dkim.h"

#include "keys/keydir.h"
#include "model/domain.h"
#include "model/fields.h"
#include "mxadm/internal/v1/store.pb-c.h"

#include <string.h>
#include <time.h>

/* Names by year and letters, "2026a" to "2026zz": enough for a rotation a day. */
#define LETTERS 26

_Static_assert((int) KEY_RSA2048 == (int) MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048,
               "kinds are numbered alike");
_Static_assert((int) KEY_ED25519 == (int) MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519,
               "kinds are numbered alike");

/* ------------------------------------------------------------------- names */

static bool is_used(const struct model *model, const char *domain, const char *selector)
{
    struct record_key selector_key = record_key(RECORD_DKIM_SELECTOR, domain, selector);
    struct record_key used_key = record_key(RECORD_USED_SELECTOR, domain, selector);

    return record_exists(model, &selector_key) || record_exists(model, &used_key);
}

/* The `index`th name of a year; NULL behind the last. */
static const char *name_of_year(struct model *model, int year, int index)
{
    if (index < LETTERS) {
        return arena_printf(model->arena, "%d%c", year, 'a' + index);
    }
    index -= LETTERS;
    if (index < LETTERS * LETTERS) {
        return arena_printf(model->arena, "%d%c%c", year, 'a' + index / LETTERS,
                            'a' + index % LETTERS);
    }
    return NULL;
}

static Mxadm__V1__DkimSelector *selector_new(struct model *model, const char *domain,
                                             const char *name, const char *ascii)
{
    Mxadm__V1__DkimSelector *selector = arena_alloc(model->arena, sizeof(*selector));

    mxadm__v1__dkim_selector__init(selector);
    selector->domain = (char *) domain;
    selector->name = (char *) name;
    selector->ascii_name = (char *) ascii;
    selector->state = MXADM__V1__DKIM_SELECTOR__STATE__STATE_PENDING;
    selector->algorithm = MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048;
    selector->hash = MXADM__V1__DKIM_SELECTOR__HASH__HASH_SHA256;
    return selector;
}

static Google__Protobuf__Duration *seconds(struct model *model, int64_t value)
{
    Google__Protobuf__Duration *duration = arena_alloc(model->arena, sizeof(*duration));

    google__protobuf__duration__init(duration);
    duration->seconds = value;
    return duration;
}

Mxadm__V1__DkimSelector **dkim_template(struct model *model, const struct name_domain *domain,
                                        size_t *count_out)
{
    Mxadm__V1__DkimSelector **selectors =
        arena_alloc(model->arena, DKIM_TEMPLATE_SELECTORS * sizeof(*selectors));
    time_t now = (time_t) (model->now_us / 1000000);
    struct tm utc;
    size_t count = 0;
    const char *name;

    (void) gmtime_r(&now, &utc);
    for (int i = 0; count < DKIM_TEMPLATE_SELECTORS; i++) {
        name = name_of_year(model, utc.tm_year + 1900, i);
        if (name == NULL) {
            status_fail(model->status, MX_RESOURCE_EXHAUSTED, "SELECTOR_LIMIT",
                        "all selector names of this year were used in domain '%s'", domain->name);
            break;
        }
        if (is_used(model, domain->name, name)) {
            continue;
        }
        selectors[count] = selector_new(model, domain->name, name, name);
        selectors[count]->expiration = seconds(model, DKIM_EXPIRATION_S);
        count++;
    }
    if (count > 0) {
        selectors[0]->state = MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE;
    }
    *count_out = count;
    return selectors;
}

/* ----------------------------------------------------------------- requests */

enum key_kind dkim_request_kind(const Mxadm__V1__DKIMAddRequest *request)
{
    if (request->algorithm == MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_UNSPECIFIED) {
        return KEY_RSA2048;
    }
    return (enum key_kind) request->algorithm;
}

/* The rest of the selector that the request asks for. */
static void take_settings(Mxadm__V1__DkimSelector *selector,
                          const Mxadm__V1__DKIMAddRequest *request)
{
    selector->algorithm = (Mxadm__V1__DkimSelector__Algorithm) dkim_request_kind(request);
    if (request->hash != MXADM__V1__DKIM_SELECTOR__HASH__HASH_UNSPECIFIED) {
        selector->hash = request->hash;
    }
    if (request->enable) {
        selector->state = MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE;
    }
    selector->header_relaxed = request->header_relaxed;
    selector->body_relaxed = request->body_relaxed;
    selector->headers = request->headers;
    selector->n_headers = request->n_headers;
    selector->dont_seal_headers = request->dont_seal_headers;
    selector->expiration = request->expiration;
}

Mxadm__V1__DkimSelector *dkim_from_request(struct model *model, const struct name_domain *domain,
                                           const Mxadm__V1__DKIMAddRequest *request)
{
    struct name_domain name = { "", "" };
    Mxadm__V1__DkimSelector *selector;

    if (field_selector(model, "selector", request->selector, &name) &&
        strlen(name.ascii) + strlen("._domainkey.") + strlen(domain->ascii) > NAME_DOMAIN_MAX) {
        status_field(model->status, "selector",
                     "%s makes a DNS name longer than %d bytes with domain '%s'",
                     name_show(model->arena, request->selector), NAME_DOMAIN_MAX, domain->name);
    }
    selector = selector_new(model, domain->name, name.name, name.ascii);
    take_settings(selector, request);
    dkim_check_settings(model, selector, "");
    return status_ok(model->status) ? selector : NULL;
}

bool dkim_check_free(struct model *model, const char *domain, const char *selector)
{
    struct record_key key = record_key(RECORD_DKIM_SELECTOR, domain, selector);
    struct record_key used = record_key(RECORD_USED_SELECTOR, domain, selector);
    struct record_key all = record_prefix(RECORD_DKIM_SELECTOR, domain);
    const char *name = arena_printf(model->arena, "%s._domainkey.%s", selector, domain);

    if (record_exists(model, &key)) {
        status_resource(model->status, MX_ALREADY_EXISTS, "SELECTOR_EXISTS", "dkim selector", name,
                        "domain '%s' has a selector '%s' already", domain, selector);
    } else if (record_exists(model, &used)) {
        status_blocker(model->status, "SELECTOR_USED", "used selector", name,
                       "the selector name '%s' was used for another key of domain '%s'; names are "
                       "not used again",
                       selector, domain);
    } else if (record_count(model, &all) >= DKIM_SELECTORS_MAX) {
        status_fail(model->status, MX_RESOURCE_EXHAUSTED, "SELECTOR_LIMIT",
                    "domain '%s' has %d selectors already, which is the limit", domain,
                    DKIM_SELECTORS_MAX);
    }
    return status_ok(model->status);
}

/* ----------------------------------------------------------------- storing */

/* The wrapped data key goes into the store with the first key that it seals. */
static void put_vault_key(struct model *model, struct vault *vault)
{
    struct record_key key = record_key(RECORD_VAULT_KEY, NULL, NULL);
    Mxadm__Internal__V1__VaultKey record = MXADM__INTERNAL__V1__VAULT_KEY__INIT;

    if (record_exists(model, &key)) {
        return;
    }
    record.wrapped.data = (uint8_t *) vault_wrapped(vault);
    record.wrapped.len = VAULT_WRAPPED_SIZE;
    (void) record_put(model, RECORD_VAULT_KEY, &key, &record.base);
}

static void put_sealed(struct model *model, struct vault *vault,
                       const Mxadm__V1__DkimSelector *selector, const struct key *private_key)
{
    struct record_key key = record_key(RECORD_SEALED_KEY, selector->domain, selector->name);
    Mxadm__Internal__V1__SealedKey record = MXADM__INTERNAL__V1__SEALED_KEY__INIT;
    struct vault_sealed sealed;
    struct mx_error err;

    record.domain = selector->domain;
    record.selector = selector->name;
    if (private_key != NULL) {
        if (vault_seal(vault, selector->domain, selector->name, private_key, model->arena, &sealed,
                       &err) != MX_OK) {
            status_error(model->status, &err);
            return;
        }
        record.nonce.data = sealed.nonce;
        record.nonce.len = VAULT_NONCE_SIZE;
        record.ciphertext.data = sealed.ciphertext;
        record.ciphertext.len = sealed.ciphertext_len;
        record.key_id.data = sealed.key_id;
        record.key_id.len = VAULT_KEY_ID_SIZE;
        record.public_key_sha256 = selector->public_key_sha256;
    }
    (void) record_put(model, RECORD_SEALED_KEY, &key, &record.base);
}

static void put_used(struct model *model, const Mxadm__V1__DkimSelector *selector)
{
    struct record_key key = record_key(RECORD_USED_SELECTOR, selector->domain, selector->name);
    Mxadm__Internal__V1__UsedSelector record = MXADM__INTERNAL__V1__USED_SELECTOR__INIT;

    record.domain = selector->domain;
    record.selector = selector->name;
    record.public_key_sha256 = selector->public_key_sha256;
    (void) record_put(model, RECORD_USED_SELECTOR, &key, &record.base);
}

static void set_public_key(struct model *model, Mxadm__V1__DkimSelector *selector,
                           const struct key *key)
{
    size_t len;
    const uint8_t *der = key_public_der(key, &len);

    selector->public_key.data = arena_memdup(model->arena, der, len);
    selector->public_key.len = len;
    selector->public_key_sha256.data = arena_alloc(model->arena, DIGEST_SIZE);
    selector->public_key_sha256.len = DIGEST_SIZE;
    key_fingerprint(key, selector->public_key_sha256.data);
}

struct slice dkim_put_new(struct model *model, struct vault *vault, const char *domain_ascii,
                          Mxadm__V1__DkimSelector *selector, const struct key *key)
{
    struct record_key record = record_key(RECORD_DKIM_SELECTOR, selector->domain, selector->name);

    if (key != NULL) {
        set_public_key(model, selector, key);
    }
    /* Named whether or not there is a key directory today: there may be one tomorrow. */
    selector->key_file = keydir_file_name(model->arena, selector->ascii_name, domain_ascii,
                                          model->now_us, (enum key_kind) selector->algorithm);
    put_vault_key(model, vault);
    put_sealed(model, vault, selector, key);
    put_used(model, selector);
    return record_put(model, RECORD_DKIM_SELECTOR, &record, &selector->base);
}

/* ----------------------------------------------------------------- finding */

Mxadm__V1__DkimSelector *dkim_require(struct model *model, const char *domain, const char *selector)
{
    struct record_key key = record_key(RECORD_DKIM_SELECTOR, domain, selector);
    Mxadm__V1__DkimSelector *record = record_load(model, RECORD_DKIM_SELECTOR, &key);

    if (record == NULL) {
        status_resource(model->status, MX_NOT_FOUND, "SELECTOR_NOT_FOUND", "dkim selector",
                        arena_printf(model->arena, "%s._domainkey.%s", selector, domain),
                        "domain '%s' has no selector '%s'", domain, selector);
    }
    return record;
}

Mxadm__V1__DkimSelector **dkim_all(const struct model *model, const char *domain, size_t *count_out)
{
    struct record_key range = record_prefix(RECORD_DKIM_SELECTOR, domain);
    uint64_t count = record_count(model, &range);
    Mxadm__V1__DkimSelector **all = arena_alloc(model->arena, (count + 1) * sizeof(*all));
    struct store_cursor cursor;
    struct store_entry entry;
    size_t n = 0;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (n < count && store_cursor_next(&cursor, &entry)) {
        all[n++] = record_unpack(model, RECORD_DKIM_SELECTOR, entry.value);
    }
    *count_out = n;
    return all;
}

void dkim_remove(struct model *model, const Mxadm__V1__DkimSelector *selector)
{
    struct record_key record = record_key(RECORD_DKIM_SELECTOR, selector->domain, selector->name);
    struct record_key sealed = record_key(RECORD_SEALED_KEY, selector->domain, selector->name);

    record_delete(model, &record);
    record_delete(model, &sealed);
}

struct key *dkim_unseal(struct model *model, struct vault *vault, const char *domain,
                        const char *selector)
{
    struct record_key key = record_key(RECORD_SEALED_KEY, domain, selector);
    Mxadm__Internal__V1__SealedKey *record = record_load(model, RECORD_SEALED_KEY, &key);
    struct vault_sealed sealed;
    struct key *private_key;
    struct mx_error err;

    if (record == NULL || record->nonce.len != VAULT_NONCE_SIZE ||
        record->key_id.len != VAULT_KEY_ID_SIZE) {
        status_fail(model->status, MX_DATA_LOSS, "PRIVATE_KEY_DAMAGED",
                    "the private key of selector '%s' of domain '%s' is missing or damaged",
                    selector, domain);
        return NULL;
    }
    memcpy(sealed.nonce, record->nonce.data, VAULT_NONCE_SIZE);
    memcpy(sealed.key_id, record->key_id.data, VAULT_KEY_ID_SIZE);
    sealed.ciphertext = record->ciphertext.data;
    sealed.ciphertext_len = record->ciphertext.len;
    if (vault_unseal(vault, domain, selector, &sealed, &private_key, &err) != MX_OK) {
        status_error(model->status, &err);
        return NULL;
    }
    return private_key;
}

const char *dkim_record_text(struct model *model, const Mxadm__V1__DkimSelector *selector)
{
    const char *text =
        key_dkim_record(model->arena, (enum key_kind) selector->algorithm,
                        selector->public_key.data, selector->public_key.len,
                        selector->state == MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRED);

    return text == NULL ? "" : text;
}
