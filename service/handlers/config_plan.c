#include "handlers/config_plan.h"

#include "base/digest.h"
#include "handlers/config_yaml.h"
#include "keys/certificate.h"
#include "keys/passphrase.h"
#include "model/account.h"
#include "model/address.h"
#include "model/alias.h"
#include "model/config.h"
#include "model/dkim.h"
#include "model/domain.h"
#include "model/packed.h"
#include "model/tls_key.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "mxadm/v1/model.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_SIZE_FIRST 1024
/* Fields from here on are stamps of the server: what a record is, is before them. */
#define STAMP_FIELD 100
/* Number of a field of Account. */
#define ACCOUNT_DOMAIN_FIELD 2

/* A document being read. */
struct reading {
    struct rpc_call *call;
    struct plan *plan;
    struct parser *parser;
    const struct plan_source *source;
    struct passphrase *passphrase; /* NULL: none */
    bool all;                      /* the scope; else these */
    const char **domains;          /* in the plan's arena */
    size_t domain_count;
    struct arena *domain_arena; /* of `domain`, the one asked for last */
    Mxadm__V1__Domain *domain;
    bool too_large; /* reported */
};

/* ---------------------------------------------------------------- the plan */

/* Wipes what is secret. */
static void plan_destroy(void *found)
{
    struct plan *plan = found;

    if (plan->reading != NULL) {
        plan->reading_destroy(plan->reading);
    }
    for (struct plan_selector *selector = plan->selectors; selector != NULL;
         selector = selector->next) {
        key_destroy(selector->key);
    }
    if (plan->arena != NULL) {
        arena_wipe(plan->arena);
    }
    arena_destroy(plan->arena);
    free(plan->table);
    if (plan->end_document != NULL) {
        plan->end_document(plan);
    }
    if (plan->fd >= 0) {
        (void) close(plan->fd);
    }
    free(plan);
}

/* NULL: out of memory. */
static struct plan *plan_create(struct rpc_call *call)
{
    struct plan *plan = calloc(1, sizeof(*plan));

    if (plan == NULL) {
        return NULL;
    }
    plan->fd = -1;
    plan->call = call;
    plan->revision = call_revision(call);
    plan->end = &plan->first;
    plan->arena = arena_create(PLAN_BYTES_MAX);
    plan->table_size = TABLE_SIZE_FIRST;
    plan->table = calloc(plan->table_size, sizeof(struct plan_entry *));
    if (plan->arena == NULL || plan->table == NULL) {
        plan_destroy(plan);
        return NULL;
    }
    return plan;
}

/* FNV-1a. Keys come from an administrator, and a table that is slow hurts only the one plan. */
static size_t hash(struct slice key)
{
    uint64_t value = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < key.len; i++) {
        value = (value ^ key.data[i]) * UINT64_C(1099511628211);
    }
    return (size_t) (value ^ value >> 32);
}

static bool same_key(const struct plan_entry *entry, struct slice key)
{
    return entry->key_len == key.len && memcmp(entry->data, key.data, key.len) == 0;
}

struct plan_entry *plan_find(const struct plan *plan, struct slice key)
{
    struct plan_entry *entry = plan->table[hash(key) & (plan->table_size - 1)];

    while (entry != NULL && !same_key(entry, key)) {
        entry = entry->chained;
    }
    return entry;
}

static void chain(struct plan *plan, struct plan_entry *entry)
{
    struct plan_entry **bucket = &plan->table[hash(plan_key(entry)) & (plan->table_size - 1)];

    entry->chained = *bucket;
    *bucket = entry;
}

/* Twice the table. A failure leaves it as it is, only slower. */
static void grow_table(struct plan *plan)
{
    struct plan_entry **table = calloc(plan->table_size * 2, sizeof(*table));

    if (table == NULL) {
        return;
    }
    free(plan->table);
    plan->table = table;
    plan->table_size *= 2;
    for (struct plan_entry *entry = plan->first; entry != NULL; entry = entry->next) {
        chain(plan, entry);
    }
}

static bool too_large(struct reading *reading)
{
    if (!reading->too_large) {
        (void) status_fail(call_status(reading->call), MX_RESOURCE_EXHAUSTED, "PLAN_TOO_LARGE",
                           "the plan of this document needs more than %zu MiB of memory",
                           PLAN_BYTES_MAX >> 20);
    }
    reading->too_large = true;
    return false;
}

/* NULL: reported. */
static struct plan_entry *add_entry(struct reading *reading, enum record_kind kind,
                                    struct slice key, struct mark at, struct slice packed)
{
    struct plan *plan = reading->plan;
    struct plan_entry *entry = arena_alloc(plan->arena, sizeof(*entry) + key.len + packed.len);

    if (entry == NULL) {
        (void) too_large(reading);
        return NULL;
    }
    entry->at = at;
    entry->kind = (uint8_t) kind;
    entry->changed = packed.data != NULL;
    entry->key_len = (uint16_t) key.len;
    entry->packed_len = (uint32_t) packed.len;
    memcpy(entry->data, key.data, key.len);
    if (packed.data != NULL) {
        memcpy(entry->data + key.len, packed.data, packed.len);
    }
    *plan->end = entry;
    plan->end = &entry->next;
    chain(plan, entry);
    if (++plan->count > plan->table_size) {
        grow_table(plan);
    }
    return entry;
}

static bool add_removal(struct reading *reading, struct slice key)
{
    struct plan *plan = reading->plan;
    struct plan_removal *removal = arena_alloc(plan->arena, sizeof(*removal) + key.len);

    if (removal == NULL) {
        return too_large(reading);
    }
    removal->kind = (uint8_t) record_kind_of(key);
    removal->key_len = (uint16_t) key.len;
    memcpy(removal->key, key.data, key.len);
    removal->next = plan->removals;
    plan->removals = removal;
    return true;
}

/* -------------------------------------------------------------- comparing */

/* A packed record without its stamps. */
static struct slice bare(struct slice packed)
{
    struct packed_walk walk = packed_walk(packed);

    while (packed_next(&walk)) {
        if (walk.field >= STAMP_FIELD) {
            return slice_of(packed.data, (size_t) (walk.whole.data - packed.data));
        }
    }
    return packed;
}

static bool same_bytes(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A record that the document names: to be stored, if it differs. NULL: reported. */
static struct plan_entry *want(struct reading *reading, enum record_kind kind,
                               const struct record_key *key, struct mark at,
                               const ProtobufCMessage *record)
{
    struct model *model = call_model(reading->call);
    struct plan_entry *before = plan_find(reading->plan, record_slice(key));
    size_t len = protobuf_c_message_get_packed_size(record);
    struct slice stored;
    struct slice packed;
    uint8_t *bytes;

    if (before != NULL) {
        parser_problem(reading->parser, at, "is there twice: first in line %u", before->at.line);
        return NULL;
    }
    if (len > STORE_VALUE_MAX) {
        parser_problem(reading->parser, at, "is larger than %zu MiB", STORE_VALUE_MAX >> 20);
        return NULL;
    }
    bytes = arena_alloc(model->arena, len + 1);
    packed = slice_of(bytes, protobuf_c_message_pack(record, bytes));
    if (record_get(model, key, &stored) && same_bytes(bare(stored), packed)) {
        packed = slice_of(NULL, 0);
    }
    return add_entry(reading, kind, record_slice(key), at, packed);
}

/* ------------------------------------------------------------------- scope */

static bool in_scope(const struct reading *reading, const char *domain)
{
    for (size_t i = 0; i < reading->domain_count; i++) {
        if (strcmp(reading->domains[i], domain) == 0) {
            return true;
        }
    }
    return reading->all;
}

static bool check_scope(struct reading *reading, struct mark at, const char *domain)
{
    if (!in_scope(reading, domain)) {
        parser_problem(reading->parser, at, "domain '%s' is not in the document's scope", domain);
        return false;
    }
    return true;
}

static bool take_scope(struct reading *reading, const struct document_head *head)
{
    struct arena *arena = call_arena(reading->call);

    reading->all = head->all;
    reading->domains =
        arena_alloc(reading->plan->arena, (head->domain_count + 1) * sizeof(*reading->domains));
    for (size_t i = 0; reading->domains != NULL && i < head->domain_count; i++) {
        struct name_domain domain;
        const char *wrong = name_parse_domain(arena, head->domains[i], &domain);
        const char *copy = wrong != NULL ? NULL : arena_strdup(reading->plan->arena, domain.name);

        if (copy == NULL) {
            parser_problem(reading->parser, head->domain_marks[i], "%s %s",
                           name_show(arena, head->domains[i]), wrong == NULL ? "" : wrong);
            return false;
        }
        reading->domains[reading->domain_count++] = copy;
    }
    return reading->domains != NULL || too_large(reading);
}

static bool take_sealing(struct reading *reading, const struct document_sealing *sealing)
{
    struct status *status = call_status(reading->call);
    struct passphrase_parameters parameters = { sealing->n, sealing->r, sealing->p, { 0 } };
    struct secret known = { NULL, 0 };
    struct mx_error err;

    if (reading->source->passphrase[0] == '\0' || !sealing->there) {
        return true; /* missed when a secret is met */
    }
    if (!passphrase_parameters_good(sealing->n, sealing->r, sealing->p) ||
        sealing->salt.len != PASSPHRASE_SALT_SIZE) {
        parser_problem(reading->parser, sealing->at,
                       "these are not the parameters of an export: n 32768 to 131072, r 8, p 1 to "
                       "4, a salt of %d bytes",
                       PASSPHRASE_SALT_SIZE);
        return false;
    }
    memcpy(parameters.salt, sealing->salt.data, PASSPHRASE_SALT_SIZE);
    if (passphrase_create(reading->source->passphrase, &parameters, &reading->passphrase, &err) !=
        MX_OK) {
        (void) status_error(status, &err);
        return false;
    }
    if (!passphrase_open(reading->passphrase, CONFIG_SEAL_BOUND, sealing->check.data,
                         sealing->check.len, &known)) {
        (void) status_field(status, "passphrase", "does not open the document");
        return false;
    }
    secret_free(&known);
    return true;
}

static bool take_head(void *context, const struct document_head *head)
{
    struct reading *reading = context;

    return take_scope(reading, head) && take_sealing(reading, &head->sealing);
}

/* ----------------------------------------------------------------- secrets */

/* False: reported. */
static bool open_sealed(struct reading *reading, enum record_kind kind, const char *name,
                        const char *field, struct mark at, struct slice sealed,
                        struct secret *secret_out)
{
    struct arena *arena = call_model(reading->call)->arena;

    if (reading->passphrase == NULL) {
        parser_problem(reading->parser, at, "is sealed: it needs the passphrase of the export");
        return false;
    }
    if (!passphrase_open(reading->passphrase, config_secret_bound(arena, kind, name, field),
                         sealed.data, sealed.len, secret_out)) {
        parser_problem(reading->parser, at, "was not sealed for this place, or is damaged");
        return false;
    }
    return true;
}

static char *open_field(void *context, const struct document_entry *entry, const char *field,
                        struct mark at, const char *sealed_text)
{
    struct reading *reading = context;
    struct arena *arena = call_model(reading->call)->arena;
    struct secret secret;
    struct slice sealed;
    const char *name;
    char *text;

    if (!format_parse_base64(arena, sealed_text, &sealed)) {
        parser_problem(reading->parser, at, "is not base64");
        return NULL;
    }
    if (name_parse_account(arena, entry->name, &name) != NULL) {
        return NULL; /* reported with the entry */
    }
    if (!open_sealed(reading, entry->kind, name, field, at, sealed, &secret)) {
        return NULL;
    }
    text = arena_try_alloc(arena, secret.len + 1); /* wiped with the arena */
    if (text != NULL) {
        memcpy(text, secret.data, secret.len);
    }
    secret_free(&secret);
    return text;
}

/* ----------------------------------------------------------------- domains */

/* A domain as the document has it, else as it is stored; NULL: neither. Valid until the next is
 * asked for. */
static Mxadm__V1__Domain *find_domain(struct reading *reading, const char *name)
{
    struct record_key key = record_key(RECORD_DOMAIN, name, NULL);
    const struct plan_entry *entry;
    struct model model = *call_model(reading->call);
    struct slice packed;

    if (reading->domain != NULL && strcmp(reading->domain->name, name) == 0) {
        return reading->domain;
    }
    arena_reset(reading->domain_arena);
    reading->domain = NULL;
    model.arena = reading->domain_arena;
    entry = plan_find(reading->plan, record_slice(&key));
    if (entry != NULL && entry->changed) {
        reading->domain = record_unpack(&model, RECORD_DOMAIN, plan_packed(entry));
    } else if (record_get(&model, &key, &packed)) {
        reading->domain = record_unpack(&model, RECORD_DOMAIN, packed);
    }
    return reading->domain;
}

/* The same, or reported. */
static Mxadm__V1__Domain *need_domain(struct reading *reading, struct mark at, const char *name)
{
    Mxadm__V1__Domain *domain = find_domain(reading, name);

    if (domain == NULL) {
        parser_problem(reading->parser, at, "domain '%s' is not configured", name);
    }
    return domain;
}

static void take_domain(struct reading *reading, const struct document_entry *entry)
{
    struct model *model = call_model(reading->call);
    Mxadm__V1__Domain *domain = (Mxadm__V1__Domain *) (void *) entry->record;
    struct name_domain name;
    const char *wrong = name_parse_domain(model->arena, entry->name, &name);
    struct record_key key;

    if (wrong != NULL) {
        parser_problem(reading->parser, entry->at, "%s %s", name_show(model->arena, entry->name),
                       wrong);
        return;
    }
    if (!check_scope(reading, entry->at, name.name)) {
        return;
    }
    domain->name = (char *) name.name;
    domain->ascii_name = (char *) name.ascii;
    domain_normalise(model, domain);
    key = record_key(RECORD_DOMAIN, name.name, NULL);
    (void) want(reading, RECORD_DOMAIN, &key, entry->at, &domain->base);
}

/* --------------------------------------------------------------- selectors */

/* The private key that the document has; NULL: reported. */
static struct key *open_key(struct reading *reading, const struct document_entry *entry,
                            const struct record_key *record)
{
    struct arena *arena = call_model(reading->call)->arena;
    const char *name = record_name(arena, record_slice(record));
    struct secret der;
    struct key *key = NULL;
    struct mx_error err;

    if (!open_sealed(reading, RECORD_DKIM_SELECTOR, name, "private_key", entry->private_key_at,
                     entry->sealed_private_key, &der)) {
        return NULL;
    }
    if (key_from_der((const uint8_t *) der.data, der.len, &key, &err) != MX_OK) {
        parser_problem(reading->parser, entry->private_key_at, "%s", err.message);
    }
    secret_free(&der);
    return key;
}

static bool fits(ProtobufCBinaryData wanted, const uint8_t fingerprint[DIGEST_SIZE])
{
    return wanted.len == 0 ||
           (wanted.len == DIGEST_SIZE && memcmp(wanted.data, fingerprint, DIGEST_SIZE) == 0);
}

/* A selector that is there keeps its key. False: reported. */
static bool keep_key(struct reading *reading, const struct document_entry *entry,
                     const Mxadm__V1__DkimSelector *stored)
{
    Mxadm__V1__DkimSelector *selector = (Mxadm__V1__DkimSelector *) (void *) entry->record;

    if (selector->algorithm == MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_UNSPECIFIED) {
        selector->algorithm = stored->algorithm;
    }
    if (selector->algorithm != stored->algorithm ||
        !fits(selector->public_key_sha256, stored->public_key_sha256.data)) {
        parser_problem(reading->parser, entry->at,
                       "the selector has another key; keys stay where they are: add a selector of "
                       "another name");
        return false;
    }
    selector->public_key = stored->public_key;
    selector->public_key_sha256 = stored->public_key_sha256;
    selector->key_file = stored->key_file;
    return true;
}

/* Whether a key may have the name. NULL: one that is yet to be made. */
static bool may_use(struct reading *reading, const struct document_entry *entry, const char *domain,
                    const char *name, const struct key *key)
{
    struct model *model = call_model(reading->call);
    struct record_key used_key = record_key(RECORD_USED_SELECTOR, domain, name);
    Mxadm__Internal__V1__UsedSelector *used = record_load(model, RECORD_USED_SELECTOR, &used_key);
    Mxadm__V1__DkimSelector *selector = (Mxadm__V1__DkimSelector *) (void *) entry->record;
    uint8_t fingerprint[DIGEST_SIZE];

    if (key == NULL && selector->public_key_sha256.len > 0) {
        parser_problem(reading->parser, entry->at,
                       "the private key of this public_key_sha256 is not in the document: export "
                       "with a passphrase, or leave public_key_sha256 out to have a new key made");
        return false;
    }
    if (key != NULL) {
        key_fingerprint(key, fingerprint);
        if (!fits(selector->public_key_sha256, fingerprint)) {
            parser_problem(reading->parser, entry->private_key_at,
                           "is not the key of public_key_sha256");
            return false;
        }
    }
    if (used != NULL && (key == NULL || !fits(used->public_key_sha256, fingerprint))) {
        parser_problem(reading->parser, entry->at,
                       "the selector name '%s' was used for another key of domain '%s'; names are "
                       "not used again",
                       name, domain);
        return false;
    }
    return true;
}

/* Takes over the key, in any case. */
static void add_selector(struct reading *reading, const struct document_entry *entry,
                         const struct record_key *record, struct key *key)
{
    Mxadm__V1__DkimSelector *selector = (Mxadm__V1__DkimSelector *) (void *) entry->record;
    struct plan_selector *wanted = arena_try_alloc(reading->plan->arena, sizeof(*wanted));
    struct plan_entry *added;

    if (wanted == NULL) {
        key_destroy(key);
        (void) too_large(reading);
        return;
    }
    wanted->key = key;
    wanted->next = reading->plan->selectors;
    reading->plan->selectors = wanted; /* the key is the plan's from here on */
    if (key != NULL &&
        selector->algorithm == MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_UNSPECIFIED) {
        selector->algorithm = (Mxadm__V1__DkimSelector__Algorithm) key_kind(key);
    }
    if (selector->algorithm == MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_UNSPECIFIED) {
        selector->algorithm = MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048;
    }
    if (key != NULL && (int) selector->algorithm != (int) key_kind(key)) {
        parser_problem(reading->parser, entry->private_key_at, "is not a key of this algorithm");
        return;
    }
    if (!may_use(reading, entry, selector->domain, selector->name, key)) {
        return;
    }
    selector->public_key_sha256 = (ProtobufCBinaryData){ 0, NULL };
    wanted->kind = (enum key_kind) selector->algorithm;
    added = want(reading, RECORD_DKIM_SELECTOR, record, entry->at, &selector->base);
    if (added != NULL) {
        added->selector = wanted;
    }
}

static void complete_selector(Mxadm__V1__DkimSelector *selector)
{
    if (selector->state == MXADM__V1__DKIM_SELECTOR__STATE__STATE_UNSPECIFIED) {
        selector->state = MXADM__V1__DKIM_SELECTOR__STATE__STATE_PENDING;
    }
    if (selector->hash == MXADM__V1__DKIM_SELECTOR__HASH__HASH_UNSPECIFIED) {
        selector->hash = MXADM__V1__DKIM_SELECTOR__HASH__HASH_SHA256;
    }
}

static void take_selector(struct reading *reading, const struct document_entry *entry)
{
    struct model *model = call_model(reading->call);
    Mxadm__V1__DkimSelector *selector = (Mxadm__V1__DkimSelector *) (void *) entry->record;
    Mxadm__V1__DkimSelector *stored;
    struct name_domain domain;
    struct name_domain name;
    const char *wrong = name_parse_selector(model->arena, entry->name, &name);
    struct record_key key;
    struct key *private_key = NULL;

    if (wrong != NULL) {
        parser_problem(reading->parser, entry->at, "%s %s", name_show(model->arena, entry->name),
                       wrong);
        return;
    }
    if (name_parse_domain(model->arena, entry->parent, &domain) != NULL ||
        !in_scope(reading, domain.name)) {
        return; /* reported with the domain */
    }
    selector->domain = (char *) domain.name;
    selector->name = (char *) name.name;
    selector->ascii_name = (char *) name.ascii;
    complete_selector(selector);
    key = record_key(RECORD_DKIM_SELECTOR, domain.name, name.name);
    stored = record_load(model, RECORD_DKIM_SELECTOR, &key);
    if (stored != NULL) {
        if (keep_key(reading, entry, stored)) {
            (void) want(reading, RECORD_DKIM_SELECTOR, &key, entry->at, &selector->base);
        }
        return;
    }
    if (entry->sealed_private_key.data != NULL) {
        private_key = open_key(reading, entry, &key);
        if (private_key == NULL) {
            return;
        }
    }
    add_selector(reading, entry, &key, private_key);
}

/* --------------------------------------------------- addresses as others say them */

/* The canonical text of an address of any account; as written if it is none, which the rules then
 * tell. */
static char *canonical_login(struct reading *reading, char *text)
{
    struct model *model = call_model(reading->call);
    struct name_address address;
    Mxadm__V1__Domain *domain;

    if (name_parse_address(model->arena, text, false, &address) != NULL) {
        return text;
    }
    domain = find_domain(reading, address.domain.name);
    return domain == NULL ? text : (char *) address_canonical(model, domain, &address);
}

/* ---------------------------------------------------------------- accounts */

static void take_config(struct reading *reading, const struct document_entry *entry)
{
    Mxadm__V1__Config *config = (Mxadm__V1__Config *) (void *) entry->record;
    struct record_key key = record_key(RECORD_CONFIG, NULL, NULL);

    if (!reading->all) {
        parser_problem(reading->parser, entry->at, "is not in the document's scope");
        return;
    }
    config_normalise(call_model(reading->call), config);
    if (protobuf_c_message_get_packed_size(&config->base) > 0 ||
        record_exists(call_model(reading->call), &key)) {
        (void) want(reading, RECORD_CONFIG, &key, entry->at, &config->base);
    }
}

/* Path of a problem within the entry. */
static void problem_at(struct reading *reading, struct mark at, const char *field,
                       const char *sentence)
{
    size_t before = parser_enter(reading->parser, field);

    parser_problem(reading->parser, at, "%s", sentence);
    parser_leave(reading->parser, before);
}

/* Puts what is stored in the place of FORMAT_HIDDEN. */
static void reveal(struct reading *reading, const struct document_entry *entry)
{
    struct model model = *call_model(reading->call);
    Mxadm__V1__Account *account = (Mxadm__V1__Account *) (void *) entry->record;
    struct record_key key = record_key(RECORD_ACCOUNT, account->name, NULL);
    struct status status;

    status_init(&status, model.arena);
    model.status = &status;
    account_reveal(&model, record_load(&model, RECORD_ACCOUNT, &key), account, "");
    for (const struct status_violation *violation = status.violations; violation != NULL;
         violation = violation->next) {
        problem_at(reading, entry->at, violation->field, violation->description);
    }
}

static void take_account(struct reading *reading, const struct document_entry *entry)
{
    struct model *model = call_model(reading->call);
    Mxadm__V1__Account *account = (Mxadm__V1__Account *) (void *) entry->record;
    const char *name;
    const char *wrong = name_parse_account(model->arena, entry->name, &name);
    struct record_key key;

    if (wrong != NULL) {
        parser_problem(reading->parser, entry->at, "%s %s", name_show(model->arena, entry->name),
                       wrong);
        return;
    }
    account->name = (char *) name;
    account_normalise(model, account);
    for (size_t i = 0; i < account->n_from_id_login_addresses; i++) {
        account->from_id_login_addresses[i] =
            canonical_login(reading, account->from_id_login_addresses[i]);
    }
    reveal(reading, entry);
    key = record_key(RECORD_ACCOUNT, name, NULL);
    (void) want(reading, RECORD_ACCOUNT, &key, entry->at, &account->base);
}

/* --------------------------------------------------------------- addresses */

/* An address as the key of an entry: in scope, of a domain that there is. False: reported. */
static bool parse_key(struct reading *reading, const struct document_entry *entry, bool catchall,
                      struct name_address *address, Mxadm__V1__Domain **domain_out)
{
    struct arena *arena = call_model(reading->call)->arena;
    const char *wrong = name_parse_address(arena, entry->name, catchall, address);

    if (wrong != NULL) {
        parser_problem(reading->parser, entry->at, "%s %s", name_show(arena, entry->name), wrong);
        return false;
    }
    if (!check_scope(reading, entry->at, address->domain.name)) {
        return false;
    }
    *domain_out = need_domain(reading, entry->at, address->domain.name);
    return *domain_out != NULL;
}

static void take_address(struct reading *reading, const struct document_entry *entry)
{
    struct model *model = call_model(reading->call);
    Mxadm__V1__Address *record = (Mxadm__V1__Address *) (void *) entry->record;
    struct name_address address;
    Mxadm__V1__Domain *domain;
    struct record_key key;

    if (!parse_key(reading, entry, true, &address, &domain)) {
        return;
    }
    key = address_key(model, domain, &address);
    record->address = (char *) name_address_text(model->arena, &address);
    record->canonical_address = (char *) address_canonical(model, domain, &address);
    record->domain = (char *) address.domain.name;
    record->kind = address.catchall ? MXADM__V1__ADDRESS__KIND__KIND_CATCHALL
                                    : MXADM__V1__ADDRESS__KIND__KIND_ORDINARY;
    address_normalise(model, record);
    (void) want(reading, RECORD_ADDRESS, &key, entry->at, &record->base);
}

/* The account of an address as the document has it, else as it is stored; NULL: neither. */
static const char *account_of(struct reading *reading, const struct record_key *key)
{
    struct model *model = call_model(reading->call);
    const struct plan_entry *entry = plan_find(reading->plan, record_slice(key));
    Mxadm__V1__Address *address = NULL;

    if (entry != NULL && entry->changed) {
        address = record_unpack(model, RECORD_ADDRESS, plan_packed(entry));
    } else {
        address = record_load(model, RECORD_ADDRESS, key);
    }
    return address == NULL ? NULL : address->account;
}

/* ----------------------------------------------------------------- aliases */

static void take_member(struct reading *reading, const Mxadm__V1__Alias *alias,
                        const char *alias_localpart, const struct document_member *member)
{
    struct model *model = call_model(reading->call);
    Mxadm__V1__AliasMember record = MXADM__V1__ALIAS_MEMBER__INIT;
    struct name_address address;
    const char *wrong = name_parse_address(model->arena, member->address, false, &address);
    Mxadm__V1__Domain *domain;
    struct record_key at;
    struct record_key key;
    const char *parts[RECORD_PARTS_MAX];

    if (wrong != NULL) {
        parser_problem(reading->parser, member->at, "%s %s",
                       name_show(model->arena, member->address), wrong);
        return;
    }
    domain = need_domain(reading, member->at, address.domain.name);
    if (domain == NULL) {
        return;
    }
    at = address_key(model, domain, &address);
    record_key_parts(model->arena, record_slice(&at), parts);
    record.alias = alias->canonical_address;
    record.address = (char *) address_canonical(model, domain, &address);
    record.account = (char *) account_of(reading, &at);
    if (record.account == NULL) {
        parser_problem(reading->parser, member->at, "there is no address %s",
                       name_show(model->arena, member->address));
        return;
    }
    key = record_member_key(alias->domain, alias_localpart, parts[0], parts[1]);
    (void) want(reading, RECORD_ALIAS_MEMBER, &key, member->at, &record.base);
}

/* Members that are stored and that the list does not have. */
static void drop_members(struct reading *reading, const char *domain, const char *localpart)
{
    struct record_key range = record_members(domain, localpart);
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, call_model(reading->call)->view, record_slice(&range),
                      slice_of(NULL, 0), false);
    while (!reading->too_large && store_cursor_next(&cursor, &entry)) {
        if (plan_find(reading->plan, entry.key) == NULL) {
            (void) add_removal(reading, entry.key);
        }
    }
}

static void take_members(struct reading *reading, const struct document_entry *entry,
                         const Mxadm__V1__Alias *alias, const char *localpart)
{
    size_t before = parser_enter(reading->parser, "members");

    for (size_t i = 0; i < entry->member_count; i++) {
        size_t outside = parser_enter_index(reading->parser, i);

        take_member(reading, alias, localpart, &entry->members[i]);
        parser_leave(reading->parser, outside);
    }
    parser_leave(reading->parser, before);
    if (entry->has_members) {
        drop_members(reading, alias->domain, localpart);
    }
}

static void take_alias(struct reading *reading, const struct document_entry *entry)
{
    struct model *model = call_model(reading->call);
    Mxadm__V1__Alias *alias = (Mxadm__V1__Alias *) (void *) entry->record;
    struct name_address address;
    Mxadm__V1__Domain *domain;
    struct record_key key;
    const char *parts[RECORD_PARTS_MAX];

    if (!parse_key(reading, entry, false, &address, &domain)) {
        return;
    }
    key = alias_key(model, domain, &address);
    record_key_parts(model->arena, record_slice(&key), parts);
    alias->address = (char *) name_address_text(model->arena, &address);
    alias->canonical_address = (char *) address_canonical(model, domain, &address);
    alias->domain = (char *) address.domain.name;
    if (want(reading, RECORD_ALIAS, &key, entry->at, &alias->base) != NULL) {
        take_members(reading, entry, alias, parts[1]);
    }
}

/* --------------------------------------------------------- TLS public keys */

static void take_tls_key(struct reading *reading, const struct document_entry *entry)
{
    struct model *model = call_model(reading->call);
    Mxadm__V1__TlsPublicKey *key = (Mxadm__V1__TlsPublicKey *) (void *) entry->record;
    struct certificate certificate;
    struct name_address address;
    struct record_key record;
    struct mx_error err;

    if (certificate_parse(key->certificate.data, key->certificate.len, &certificate, &err) !=
        MX_OK) {
        problem_at(reading, entry->at, "certificate", err.message);
        return;
    }
    if (strcmp(certificate.fingerprint, entry->name) != 0) {
        parser_problem(reading->parser, entry->at, "the certificate's fingerprint is %s",
                       certificate.fingerprint);
        return;
    }
    key->fingerprint = arena_strdup(model->arena, certificate.fingerprint);
    key->type = arena_strdup(model->arena, certificate.type);
    key->login_address = canonical_login(reading, key->login_address);
    if (name_parse_address(model->arena, key->login_address, false, &address) == NULL &&
        !check_scope(reading, entry->at, address.domain.name)) {
        return;
    }
    record = record_key(RECORD_TLS_PUBLIC_KEY, key->fingerprint, NULL);
    (void) want(reading, RECORD_TLS_PUBLIC_KEY, &record, entry->at, &key->base);
}

/* ----------------------------------------------------------------- reading */

static bool take_entry(void *context, const struct document_entry *entry)
{
    struct reading *reading = context;

    switch (entry->kind) {
    case RECORD_CONFIG:
        take_config(reading, entry);
        break;
    case RECORD_DOMAIN:
        take_domain(reading, entry);
        break;
    case RECORD_DKIM_SELECTOR:
        take_selector(reading, entry);
        break;
    case RECORD_ACCOUNT:
        take_account(reading, entry);
        break;
    case RECORD_ADDRESS:
        take_address(reading, entry);
        break;
    case RECORD_ALIAS:
        take_alias(reading, entry);
        break;
    case RECORD_TLS_PUBLIC_KEY:
        take_tls_key(reading, entry);
        break;
    case RECORD_ALIAS_MEMBER:
    case RECORD_SEALED_KEY:
    case RECORD_USED_SELECTOR:
    case RECORD_VAULT_KEY:
    case RECORD_KINDS:
        break;
    }
    return !reading->too_large;
}

static void reset(void *context)
{
    struct reading *reading = context;

    call_model(reading->call)->arena = call_scratch(reading->call);
}

/* ----------------------------------------------------------------- pruning */

/* Whether the document's scope has the record, which it does not name. */
typedef bool (*prune_fn)(struct reading *reading, struct slice key, struct slice packed);

static void prune_range(struct reading *reading, const struct record_key *range, prune_fn goes)
{
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, call_model(reading->call)->view, record_slice(range),
                      slice_of(NULL, 0), false);
    while (!reading->too_large && store_cursor_next(&cursor, &entry)) {
        if (plan_find(reading->plan, entry.key) != NULL) {
            continue;
        }
        reset(reading);
        if (goes == NULL || goes(reading, entry.key, entry.value)) {
            (void) add_removal(reading, entry.key);
        }
    }
}

/* Report addresses come and go with the settings of their domain. */
static bool is_no_report(struct reading *reading, struct slice key, struct slice packed)
{
    Mxadm__V1__Address *address = record_unpack(call_model(reading->call), RECORD_ADDRESS, packed);

    (void) key;
    return !address_is_report(address->kind);
}

static bool is_account_in_scope(struct reading *reading, struct slice key, struct slice packed)
{
    struct slice domain = packed_bytes(packed, ACCOUNT_DOMAIN_FIELD);

    (void) key;
    for (size_t i = 0; i < reading->domain_count; i++) {
        if (same_bytes(domain, slice_of(reading->domains[i], strlen(reading->domains[i])))) {
            return true;
        }
    }
    return reading->all;
}

/* Members that are named, or gone already with a list that lacks them, stay out. */
static bool is_member_left(struct reading *reading, struct slice key, struct slice packed)
{
    const char *parts[RECORD_PARTS_MAX];
    struct record_key alias;

    (void) packed;
    record_key_parts(call_model(reading->call)->arena, key, parts);
    alias = record_key(RECORD_ALIAS, parts[0], parts[1]);
    return plan_find(reading->plan, record_slice(&alias)) == NULL;
}

/* Everything of a kind, or what is at one of the scope's domains. */
static void prune_kind(struct reading *reading, enum record_kind kind, prune_fn goes)
{
    struct record_key range = record_prefix(kind, NULL);

    if (reading->all) {
        prune_range(reading, &range, goes);
        return;
    }
    for (size_t i = 0; i < reading->domain_count; i++) {
        range = record_prefix(kind, reading->domains[i]);
        prune_range(reading, &range, goes);
    }
}

static void prune_one(struct reading *reading, const struct record_key *key)
{
    if (record_exists(call_model(reading->call), key) &&
        plan_find(reading->plan, record_slice(key)) == NULL) {
        (void) add_removal(reading, record_slice(key));
    }
}

static void prune_domains(struct reading *reading)
{
    if (reading->all) {
        prune_kind(reading, RECORD_DOMAIN, NULL);
        return;
    }
    for (size_t i = 0; i < reading->domain_count; i++) {
        struct record_key key = record_key(RECORD_DOMAIN, reading->domains[i], NULL);

        prune_one(reading, &key);
    }
}

/* Those with a login address at one of the scope's domains. */
static void prune_tls_keys(struct reading *reading)
{
    struct store_cursor cursor;
    struct store_entry entry;

    if (reading->all) {
        prune_kind(reading, RECORD_TLS_PUBLIC_KEY, NULL);
        return;
    }
    for (size_t i = 0; i < reading->domain_count; i++) {
        struct record_key range = record_login_tls_keys(reading->domains[i], NULL);

        store_cursor_init(&cursor, call_model(reading->call)->view, record_slice(&range),
                          slice_of(NULL, 0), false);
        while (!reading->too_large && store_cursor_next(&cursor, &entry)) {
            const char *parts[RECORD_PARTS_MAX];
            struct record_key key;

            reset(reading);
            record_key_parts(call_model(reading->call)->arena, entry.key, parts);
            key = record_key(RECORD_TLS_PUBLIC_KEY, parts[2], NULL);
            prune_one(reading, &key);
        }
    }
}

static void prune(struct reading *reading)
{
    struct record_key accounts = record_prefix(RECORD_ACCOUNT, NULL);
    struct record_key config = record_key(RECORD_CONFIG, NULL, NULL);

    if (reading->all) {
        prune_one(reading, &config);
    }
    prune_kind(reading, RECORD_DKIM_SELECTOR, NULL);
    prune_kind(reading, RECORD_ADDRESS, is_no_report);
    prune_kind(reading, RECORD_ALIAS, NULL);
    prune_kind(reading, RECORD_ALIAS_MEMBER, is_member_left);
    prune_tls_keys(reading);
    prune_range(reading, &accounts, is_account_in_scope);
    prune_domains(reading);
}

/* ------------------------------------------------------------------- whole */

static void reading_destroy(void *found)
{
    struct reading *reading = found;

    parser_destroy(reading->parser);
    passphrase_destroy(reading->passphrase);
    arena_destroy(reading->domain_arena);
    free(reading);
}

/* The plan's: a call that meets its memory's end leaves by a jump. NULL: reported. */
static struct reading *begin_reading(struct rpc_call *call, const struct plan_source *source,
                                     struct plan *plan)
{
    struct reading *reading = calloc(1, sizeof(*reading));

    if (reading == NULL) {
        return NULL;
    }
    plan->reading = reading;
    plan->reading_destroy = reading_destroy;
    reading->call = call;
    reading->plan = plan;
    reading->source = source;
    reading->domain_arena = arena_create(2 * STORE_VALUE_MAX);
    reading->parser = parser_create(source->read, source->context, call_status(call));
    return reading->domain_arena == NULL || reading->parser == NULL ? NULL : reading;
}

static void read_document(struct reading *reading)
{
    const struct document_handler handler = {
        .head = take_head,
        .entry = take_entry,
        .open = open_field,
        .reset = reset,
        .context = reading,
    };
    struct model *model = call_model(reading->call);

    reset(reading);
    if (document_read(reading->parser, model->arena, &handler) &&
        status_ok(call_status(reading->call)) && reading->source->prune) {
        prune(reading);
    }
    model->arena = call_arena(reading->call);
}

struct plan *plan_read(struct rpc_call *call, const struct plan_source *source)
{
    struct plan *plan = plan_create(call);
    struct reading *reading;

    if (plan != NULL) {
        plan->fd = source->fd;
        call_keep(call, plan, plan_destroy);
    } else if (source->fd >= 0) {
        (void) close(source->fd);
    }
    reading = plan == NULL ? NULL : begin_reading(call, source, plan);
    if (reading == NULL) {
        (void) status_fail(call_status(call), MX_RESOURCE_EXHAUSTED, "OUT_OF_MEMORY",
                           "no memory for a plan");
        return plan;
    }
    read_document(reading);
    reading_destroy(reading);
    plan->reading = NULL;
    return plan;
}
