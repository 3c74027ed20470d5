/*
 * A random walk over all operations that change what the others rely on. After
 * each step the check of everything is held against the outcome: what was
 * accepted leaves a configuration that holds together, with indexes as a rebuild
 * makes them; what was refused has changed no byte. Where mail goes is compared
 * with rule 5.5 of mox-behaviour, written plainly over a list. The other way
 * round, random edits that no operation would make are put into a draft, and the
 * check of the changes must find what the check of everything finds.
 *
 * MXADM_WALK_STEPS in the environment: another number of steps.
 */
#include "base/digest.h"
#include "model/consistency.h"
#include "support/backend_memory.h"
#include "support/rpc_fixture.h"
#include "support/seed.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef __SANITIZE_ADDRESS__
#define STEPS 5000
#else
#define STEPS 100000
#endif
#define LOOKUPS_EVERY 4
#define EDITS_EVERY   250
#define EDITS         20
#define BATCH_MAX     5
#define ARENA_MAX     ((size_t) 64 * 1024 * 1024)
#define SHOWN_MAX     12

/* The host's domain, whose postmaster and TLS reports belong to the settings; and one that comes
 * and goes. */
static const char *const domains[] = { "a.example", "b.example", "mail.example.com", "c.example" };
#define DOMAINS      4
#define COMING       3
#define ALWAYS_THERE 3

static const char *const accounts[] = { "p", "q", "r", "postmaster" };
#define ACCOUNTS 4

/* The first ones differ whatever the rules; the others collide by case, contain separators, or are
 * special. */
static const char *const localparts[] = {
    "A",
    "b",
    "aB",
    "\xc3\x84",
    "Reports",
    "Team",
    "dmarcreports",
    "\"Two words\"",
    "x=y",
    "a",
    "B",
    "ab",
    "AB",
    "\xc3\xa4",
    "reports",
    "team",
    "\"two words\"",
    "a-b",
    "A-b",
    "a--b",
    "x+y",
    "postmaster",
    "PostMaster",
    "tls-reports",
};
#define LOCALPARTS       24
#define PLAIN_LOCALPARTS 9

static const char *const separators[] = { "+", "-", "=", "--", "-=" };
#define SEPARATORS   5

#define CERTIFICATES 4

struct walk {
    struct seed seed;
    struct fixture *fixture;
    struct arena *arena; /* of a step */
    struct status status;
    struct slice certificates[CERTIFICATES];
    struct store_snapshot *before; /* pinned: what the next step starts from */
    size_t accepted;
    size_t refused;
    size_t lookups;
    size_t edits;
    size_t broken; /* edits that were found to be wrong */
};

static unsigned below(struct walk *walk, unsigned limit)
{
    return seed_below(&walk->seed, limit);
}

static bool one_in(struct walk *walk, unsigned n)
{
    return below(walk, n) == 0;
}

static char *text(struct walk *walk, const char *format, ...) MX_PRINTF(2, 3);

static char *text(struct walk *walk, const char *format, ...)
{
    va_list args;
    char *result;

    va_start(args, format);
    result = arena_vprintf(walk->arena, format, args);
    va_end(args);
    assert_non_null(result);
    return result;
}

static const char *any_domain(struct walk *walk)
{
    return domains[one_in(walk, 12) ? COMING : below(walk, ALWAYS_THERE)];
}

static char *any_account(struct walk *walk)
{
    return (char *) accounts[below(walk, ACCOUNTS)];
}

static char *any_localpart(struct walk *walk)
{
    return (char *) localparts[below(walk, one_in(walk, 8) ? LOCALPARTS : PLAIN_LOCALPARTS)];
}

static char *any_address(struct walk *walk)
{
    return text(walk, "%s@%s", any_localpart(walk), any_domain(walk));
}

static char *any_address_or_catchall(struct walk *walk)
{
    return one_in(walk, 10) ? text(walk, "@%s", any_domain(walk)) : any_address(walk);
}

/* -------------------------------------------------------------- certificates */

/* The same seed, the same keys. */
static struct slice make_certificate(struct walk *walk)
{
    X509 *certificate = X509_new();
    EVP_PKEY *key;
    uint8_t secret[32];
    uint8_t *der = NULL;
    int len;

    for (size_t i = 0; i < sizeof(secret); i++) {
        secret[i] = (uint8_t) below(walk, 256);
    }
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
    assert_non_null(key);
    assert_non_null(certificate);
    assert_int_equal(X509_set_version(certificate, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, NULL) > 0);
    len = i2d_X509(certificate, &der);
    assert_true(len > 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return slice_of(der, (size_t) len);
}

/* ------------------------------------------------------------------- the view */

/* The newest state, to read. */
struct look {
    struct store *store;
    struct store_snapshot *snapshot;
    struct model model;
};

static struct look look_begin(struct walk *walk)
{
    struct look look = { .store = fixture_store(walk->fixture) };

    look.snapshot = store_acquire(look.store);
    status_init(&walk->status, walk->arena);
    look.model = (struct model){ .view = store_snapshot_view(look.snapshot),
                                 .arena = walk->arena,
                                 .status = &walk->status,
                                 .settings = fixture_settings(walk->fixture) };
    return look;
}

static void look_end(struct look *look)
{
    store_release(look->store, look->snapshot);
}

static struct slice whole(void)
{
    return slice_of("", 0);
}

static void digest_view(struct walk *walk, const struct store_view *view, uint8_t out[DIGEST_SIZE])
{
    size_t count = (size_t) store_count(view, whole());
    struct digest_piece *pieces = arena_alloc(walk->arena, (3 * count + 1) * sizeof(*pieces));
    struct store_cursor cursor;
    struct store_entry entry;
    size_t n = 0;

    store_cursor_init(&cursor, view, whole(), whole(), false);
    while (store_cursor_next(&cursor, &entry)) {
        size_t *lens = arena_alloc(walk->arena, 2 * sizeof(*lens));

        assert_non_null(lens);
        lens[0] = entry.key.len;
        lens[1] = entry.value.len;
        pieces[n++] = (struct digest_piece){ lens, 2 * sizeof(*lens) };
        pieces[n++] = (struct digest_piece){ entry.key.data, entry.key.len };
        pieces[n++] = (struct digest_piece){ entry.value.data, entry.value.len };
    }
    digest_pieces(pieces, n, out);
}

static bool print_problem(void *context, const struct consistency_problem *problem)
{
    struct walk *walk = context;

    print_message("  %s '%s' %s: %s\n", record_kind_name(record_kind_of(problem->key)),
                  record_name(walk->arena, problem->key), problem->field, problem->sentence);
    return true;
}

static bool ignore_problem(void *context, const struct consistency_problem *problem)
{
    (void) context;
    (void) problem;
    return false;
}

/* An address that there is, mostly: random ones seldom hit. NULL for `account_out`: not asked. */
static char *some_address(struct walk *walk, char **account_out)
{
    struct look look = look_begin(walk);
    struct record_key range = record_prefix(RECORD_ADDRESS, NULL);
    uint64_t count = record_count(&look.model, &range);
    uint64_t skip = count == 0 ? 0 : below(walk, (unsigned) count);
    char *name = any_address(walk);
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, look.model.view, record_slice(&range), whole(), false);
    while (!one_in(walk, 200) && store_cursor_next(&cursor, &entry)) {
        if (skip-- == 0) {
            Mxadm__V1__Address *address = record_unpack(&look.model, RECORD_ADDRESS, entry.value);

            name = address->address;
            if (account_out != NULL) {
                *account_out = address->account;
            }
            break;
        }
    }
    look_end(&look);
    return name;
}

static char **some_addresses(struct walk *walk, size_t count)
{
    char **list = arena_alloc(walk->arena, (count + 1) * sizeof(*list));

    for (size_t i = 0; i < count; i++) {
        list[i] = one_in(walk, 4) ? any_address(walk) : some_address(walk, NULL);
    }
    return list;
}

/* ------------------------------------------------------------------ operations */

struct operation {
    const char *method;
    const ProtobufCMessage *request;
};

static void *message(struct walk *walk, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *made = arena_alloc(walk->arena, descriptor->sizeof_message);

    assert_non_null(made);
    protobuf_c_message_init(descriptor, made);
    return made;
}

#define REQUEST(walk, lower) message(walk, &mxadm__v1__##lower##__descriptor)

static Google__Protobuf__FieldMask *mask(struct walk *walk, const char *one, const char *two)
{
    Google__Protobuf__FieldMask *made = message(walk, &google__protobuf__field_mask__descriptor);

    made->paths = arena_alloc(walk->arena, 2 * sizeof(*made->paths));
    made->paths[0] = (char *) one;
    made->paths[1] = (char *) two;
    made->n_paths = two == NULL ? 1 : 2;
    return made;
}

static struct operation address_add(struct walk *walk)
{
    Mxadm__V1__AddressAddRequest *request = REQUEST(walk, address_add_request);

    request->account = any_account(walk);
    request->address = any_address_or_catchall(walk);
    return (struct operation){ "AddressAdd", &request->base };
}

static struct operation address_remove(struct walk *walk)
{
    Mxadm__V1__AddressRemoveRequest *request = REQUEST(walk, address_remove_request);

    request->address = any_address_or_catchall(walk);
    return (struct operation){ "AddressRemove", &request->base };
}

static struct operation address_save(struct walk *walk)
{
    Mxadm__V1__AddressSaveRequest *request = REQUEST(walk, address_save_request);

    request->address = REQUEST(walk, address);
    request->address->address = any_address_or_catchall(walk);
    request->address->mailbox = (char *) (one_in(walk, 2) ? "Inbox" : "Other");
    request->update_mask = mask(walk, "mailbox", NULL);
    return (struct operation){ "AddressSave", &request->base };
}

static struct operation account_add(struct walk *walk)
{
    Mxadm__V1__AccountAddRequest *request = REQUEST(walk, account_add_request);

    request->account = any_account(walk);
    request->address = any_address(walk);
    return (struct operation){ "AccountAdd", &request->base };
}

static struct operation account_remove(struct walk *walk)
{
    Mxadm__V1__AccountRemoveRequest *request = REQUEST(walk, account_remove_request);

    request->account = any_account(walk);
    return (struct operation){ "AccountRemove", &request->base };
}

static struct operation account_save(struct walk *walk)
{
    Mxadm__V1__AccountSaveRequest *request = REQUEST(walk, account_save_request);

    request->account = REQUEST(walk, account);
    request->account->name = any_account(walk);
    request->account->n_from_id_login_addresses = below(walk, 3);
    request->account->from_id_login_addresses = some_addresses(walk, 2);
    if (request->account->n_from_id_login_addresses > 0) {
        request->account->from_id_login_addresses[0] = some_address(walk, &request->account->name);
    }
    request->update_mask = mask(walk, "from_id_login_addresses", NULL);
    return (struct operation){ "AccountSave", &request->base };
}

static Mxadm__V1__ReportAddress *any_report(struct walk *walk)
{
    Mxadm__V1__ReportAddress *report = REQUEST(walk, report_address);

    if (one_in(walk, 6)) {
        return NULL;
    }
    report->localpart = any_localpart(walk);
    report->domain = (char *) (one_in(walk, 2) ? "" : any_domain(walk));
    report->account = any_account(walk);
    report->mailbox = (char *) "Reports";
    return report;
}

static void any_separators(struct walk *walk, Mxadm__V1__Domain *domain)
{
    domain->localpart_separators =
        arena_alloc(walk->arena, 2 * sizeof(*domain->localpart_separators));
    domain->n_localpart_separators = below(walk, 3);
    for (size_t i = 0; i < domain->n_localpart_separators; i++) {
        domain->localpart_separators[i] = (char *) separators[below(walk, SEPARATORS)];
    }
}

static struct operation domain_save(struct walk *walk)
{
    static const char *const paths[] = {
        "localpart_case_sensitive",
        "localpart_case_sensitive",
        "localpart_separators",
        "dmarc",
        "tlsrpt",
        "dmarc.localpart",
        "dmarc.account",
        "tlsrpt.account",
        "disabled",
    };
    Mxadm__V1__DomainSaveRequest *request = REQUEST(walk, domain_save_request);
    unsigned count = sizeof(paths) / sizeof(paths[0]);

    request->domain = REQUEST(walk, domain);
    request->domain->name = (char *) any_domain(walk);
    request->domain->localpart_case_sensitive = one_in(walk, 2);
    request->domain->disabled = one_in(walk, 4);
    request->domain->dmarc = any_report(walk);
    request->domain->tlsrpt = any_report(walk);
    any_separators(walk, request->domain);
    request->update_mask =
        mask(walk, paths[below(walk, count)], one_in(walk, 3) ? paths[below(walk, count)] : NULL);
    return (struct operation){ "DomainSave", &request->base };
}

static struct operation alias_add(struct walk *walk)
{
    Mxadm__V1__AliasAddRequest *request = REQUEST(walk, alias_add_request);

    request->address = any_address(walk);
    request->n_members = 1 + below(walk, 3);
    request->members = some_addresses(walk, request->n_members);
    return (struct operation){ "AliasAdd", &request->base };
}

static struct operation alias_remove(struct walk *walk)
{
    Mxadm__V1__AliasRemoveRequest *request = REQUEST(walk, alias_remove_request);

    request->address = any_address(walk);
    return (struct operation){ "AliasRemove", &request->base };
}

static struct operation alias_update(struct walk *walk)
{
    Mxadm__V1__AliasUpdateRequest *request = REQUEST(walk, alias_update_request);

    request->alias = REQUEST(walk, alias);
    request->alias->address = any_address(walk);
    request->alias->post_public = one_in(walk, 2);
    request->update_mask = mask(walk, "post_public", NULL);
    return (struct operation){ "AliasUpdate", &request->base };
}

/* An address of some alias there is: random ones hardly ever hit. */
static char *some_alias(struct walk *walk)
{
    struct look look = look_begin(walk);
    struct record_key range = record_prefix(RECORD_ALIAS, NULL);
    uint64_t count = record_count(&look.model, &range);
    uint64_t skip = count == 0 ? 0 : below(walk, (unsigned) count);
    struct store_cursor cursor;
    struct store_entry entry;
    char *name = NULL;

    store_cursor_init(&cursor, look.model.view, record_slice(&range), whole(), false);
    while (store_cursor_next(&cursor, &entry)) {
        if (skip-- == 0) {
            name = (char *) record_name(walk->arena, entry.key);
            break;
        }
    }
    look_end(&look);
    return name == NULL ? any_address(walk) : name;
}

static struct operation members_add(struct walk *walk)
{
    Mxadm__V1__AliasAddressesAddRequest *request = REQUEST(walk, alias_addresses_add_request);

    request->address = some_alias(walk);
    request->n_members = 1 + below(walk, 2);
    request->members = some_addresses(walk, request->n_members);
    return (struct operation){ "AliasAddressesAdd", &request->base };
}

static struct operation members_remove(struct walk *walk)
{
    Mxadm__V1__AliasAddressesRemoveRequest *request = REQUEST(walk, alias_addresses_remove_request);

    request->address = some_alias(walk);
    request->n_members = 1;
    request->members = some_addresses(walk, request->n_members);
    return (struct operation){ "AliasAddressesRemove", &request->base };
}

static struct operation tls_key_add(struct walk *walk)
{
    Mxadm__V1__TLSPublicKeyAddRequest *request = REQUEST(walk, tlspublic_key_add_request);
    struct slice der = walk->certificates[below(walk, CERTIFICATES)];

    request->certificate.data = (uint8_t *) der.data;
    request->certificate.len = der.len;
    request->login_address = *some_addresses(walk, 1);
    return (struct operation){ "TLSPublicKeyAdd", &request->base };
}

/* The fingerprint of some key there is. */
static char *some_fingerprint(struct walk *walk)
{
    struct look look = look_begin(walk);
    struct record_key range = record_prefix(RECORD_TLS_PUBLIC_KEY, NULL);
    struct store_cursor cursor;
    struct store_entry entry;
    char *name = NULL;

    store_cursor_init(&cursor, look.model.view, record_slice(&range), whole(), false);
    while (store_cursor_next(&cursor, &entry) && (name == NULL || one_in(walk, 2))) {
        name = (char *) record_name(walk->arena, entry.key);
    }
    look_end(&look);
    return name == NULL ? (char *) "none" : name;
}

static struct operation tls_key_remove(struct walk *walk)
{
    Mxadm__V1__TLSPublicKeyRemoveRequest *request = REQUEST(walk, tlspublic_key_remove_request);

    request->fingerprint = some_fingerprint(walk);
    return (struct operation){ "TLSPublicKeyRemove", &request->base };
}

static struct operation tls_key_update(struct walk *walk)
{
    Mxadm__V1__TLSPublicKeyUpdateRequest *request = REQUEST(walk, tlspublic_key_update_request);

    request->tls_public_key = REQUEST(walk, tls_public_key);
    request->tls_public_key->fingerprint = some_fingerprint(walk);
    request->tls_public_key->login_address = *some_addresses(walk, 1);
    request->update_mask = mask(walk, "login_address", NULL);
    return (struct operation){ "TLSPublicKeyUpdate", &request->base };
}

/* Needs keys, which take long to make. */
static struct operation domain_add(struct walk *walk)
{
    Mxadm__V1__DomainAddRequest *request = REQUEST(walk, domain_add_request);

    request->domain = (char *) domains[COMING];
    request->account = any_account(walk);
    return (struct operation){ "DomainAdd", &request->base };
}

static struct operation domain_remove(struct walk *walk)
{
    Mxadm__V1__DomainRemoveRequest *request = REQUEST(walk, domain_remove_request);

    request->domain = (char *) domains[COMING];
    return (struct operation){ "DomainRemove", &request->base };
}

static struct operation any_operation(struct walk *walk)
{
    static struct operation (*const common[])(struct walk * walk) = {
        address_add,    address_add,  address_add,    address_remove, address_remove, address_save,
        account_add,    account_save, account_save,   domain_save,    domain_save,    domain_save,
        domain_save,    alias_add,    alias_add,      alias_remove,   alias_update,   members_add,
        members_remove, tls_key_add,  tls_key_remove, tls_key_update,
    };

    if (one_in(walk, 20000)) {
        return domain_add(walk);
    }
    if (one_in(walk, 300)) {
        return one_in(walk, 8) ? domain_remove(walk) : account_remove(walk);
    }
    return common[below(walk, sizeof(common) / sizeof(common[0]))](walk);
}

static ProtobufCBinaryData pack(struct walk *walk, const ProtobufCMessage *request)
{
    ProtobufCBinaryData packed = { protobuf_c_message_get_packed_size(request), NULL };

    packed.data = arena_alloc(walk->arena, packed.len + 1);
    assert_non_null(packed.data);
    (void) protobuf_c_message_pack(request, packed.data);
    return packed;
}

static struct operation any_batch(struct walk *walk)
{
    Mxadm__V1__BatchRequest *request = REQUEST(walk, batch_request);

    request->atomic = one_in(walk, 2);
    request->n_calls = 2 + below(walk, BATCH_MAX - 1);
    request->calls = arena_alloc(walk->arena, request->n_calls * sizeof(*request->calls));
    for (size_t i = 0; i < request->n_calls; i++) {
        struct operation operation = any_operation(walk);

        request->calls[i] = REQUEST(walk, batch_call);
        request->calls[i]->method = text(walk, "mxadm.v1.Admin/%s", operation.method);
        request->calls[i]->message = pack(walk, operation.request);
    }
    return (struct operation){ "Batch", &request->base };
}

/* ------------------------------------------------------------ rule 5.5, plainly */

struct plain_domain {
    const char *name;
    const char *separators[NAME_SEPARATORS_MAX];
    size_t separator_count;
    bool case_sensitive;
    struct plain_domain *next;
};

struct plain_entry {
    char *canonical;     /* "localpart@domain" with the localpart decoded; "@domain" */
    const char *account; /* NULL: an alias */
    struct plain_entry *next;
};

struct plain {
    struct plain_domain *domains;
    struct plain_entry *entries;
};

/* Of the letters that the walk uses. */
static void plain_lower(char *localpart)
{
    for (char *c = localpart; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            *c = (char) (*c - 'A' + 'a');
        } else if (c[0] == '\xc3' && c[1] == '\x84') {
            c[1] = '\xa4';
        }
    }
}

static const struct plain_domain *plain_find(const struct plain *plain, const char *name)
{
    for (const struct plain_domain *domain = plain->domains; domain != NULL;
         domain = domain->next) {
        if (strcmp(domain->name, name) == 0) {
            return domain;
        }
    }
    return NULL;
}

/* The localpart of an address, without quotes. */
static char *plain_localpart(struct walk *walk, const char *address)
{
    size_t len = (size_t) (strrchr(address, '@') - address);

    return address[0] == '"' ? arena_strndup(walk->arena, address + 1, len - 2)
                             : arena_strndup(walk->arena, address, len);
}

static char *plain_canonical(struct walk *walk, const struct plain_domain *domain, char *localpart)
{
    char *cut = NULL;

    if (!domain->case_sensitive) {
        plain_lower(localpart);
    }
    for (size_t i = 0; i < domain->separator_count; i++) {
        char *at = strstr(localpart, domain->separators[i]);

        cut = at != NULL && (cut == NULL || at < cut) ? at : cut;
    }
    if (cut != NULL) {
        *cut = '\0';
    }
    if (strcasecmp(localpart, "postmaster") == 0) {
        plain_lower(localpart); /* better than 5.5-01: what is stored can be reached */
    }
    return text(walk, "%s@%s", localpart, domain->name);
}

static void plain_add(struct walk *walk, struct plain *plain, const char *given,
                      const char *account)
{
    struct plain_entry *entry = arena_alloc(walk->arena, sizeof(*entry));
    const struct plain_domain *domain = plain_find(plain, strrchr(given, '@') + 1);

    assert_non_null(domain);
    entry->canonical = given[0] == '@'
                           ? text(walk, "%s", given)
                           : plain_canonical(walk, domain, plain_localpart(walk, given));
    entry->account = account;
    entry->next = plain->entries;
    plain->entries = entry;
}

static void plain_add_domain(struct walk *walk, struct plain *plain,
                             const Mxadm__V1__Domain *record)
{
    struct plain_domain *domain = arena_alloc(walk->arena, sizeof(*domain));

    domain->name = record->name;
    domain->case_sensitive = record->localpart_case_sensitive;
    for (size_t i = 0; i < record->n_localpart_separators; i++) {
        domain->separators[domain->separator_count++] = record->localpart_separators[i];
    }
    domain->next = plain->domains;
    plain->domains = domain;
}

/* What is configured, in a list. */
static struct plain plain_read(struct walk *walk, const struct model *model)
{
    static const enum record_kind kinds[] = { RECORD_DOMAIN, RECORD_ADDRESS, RECORD_ALIAS };
    struct plain plain = { NULL, NULL };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct record_key range = record_prefix(kinds[i], NULL);
        struct store_cursor cursor;
        struct store_entry entry;

        store_cursor_init(&cursor, model->view, record_slice(&range), whole(), false);
        while (store_cursor_next(&cursor, &entry)) {
            void *record = record_unpack(model, kinds[i], entry.value);

            if (kinds[i] == RECORD_DOMAIN) {
                plain_add_domain(walk, &plain, record);
            } else if (kinds[i] == RECORD_ADDRESS) {
                plain_add(walk, &plain, ((Mxadm__V1__Address *) record)->address,
                          ((Mxadm__V1__Address *) record)->account);
            } else {
                plain_add(walk, &plain, ((Mxadm__V1__Alias *) record)->address, NULL);
            }
        }
    }
    return plain;
}

static const struct plain_entry *plain_entry(const struct plain *plain, const char *canonical)
{
    for (const struct plain_entry *entry = plain->entries; entry != NULL; entry = entry->next) {
        if (strcmp(entry->canonical, canonical) == 0) {
            return entry;
        }
    }
    return NULL;
}

struct found {
    Mxadm__V1__AddressLookupResponse__Via via; /* VIA_UNSPECIFIED: nowhere */
    const char *account;
};

#define VIA(name) MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_##name

static struct found plain_postmaster(bool allow)
{
    return allow ? (struct found){ VIA(POSTMASTER), "postmaster" }
                 : (struct found){ VIA(UNSPECIFIED), "" };
}

/* Rules 5.5-01 to 5.5-10, one after the other. */
static struct found plain_lookup(struct walk *walk, const struct plain *plain, const char *address,
                                 bool allow_postmaster, bool allow_alias)
{
    const char *name = strrchr(address, '@') + 1;
    char *localpart = plain_localpart(walk, address);
    const struct plain_domain *domain = plain_find(plain, name);
    const struct plain_entry *entry;
    const char *canonical;

    if (strcasecmp(localpart, "postmaster") == 0) {
        plain_lower(localpart);
        if (strcmp(name, "mail.example.com") == 0 || strcmp(name, "mx2.example.com") == 0) {
            return plain_postmaster(allow_postmaster);
        }
    }
    if (strcmp(name, "mail.example.com") == 0 && strcasecmp(localpart, "tls-reports") == 0) {
        return (struct found){ VIA(HOST_REPORT), "postmaster" };
    }
    if (domain == NULL) {
        return (struct found){ VIA(UNSPECIFIED), "" };
    }
    canonical = plain_canonical(walk, domain, localpart);
    entry = plain_entry(plain, canonical);
    if (entry != NULL && entry->account != NULL) {
        return (struct found){ VIA(ADDRESS), entry->account };
    }
    if (entry != NULL) {
        return (struct found){ allow_alias ? VIA(ALIAS) : VIA(UNSPECIFIED), "" };
    }
    entry = plain_entry(plain, text(walk, "@%s", name));
    if (entry != NULL) {
        return (struct found){ VIA(CATCHALL), entry->account };
    }
    if (strcmp(canonical, text(walk, "postmaster@%s", name)) == 0) {
        return plain_postmaster(allow_postmaster);
    }
    return (struct found){ VIA(UNSPECIFIED), "" };
}

/* Asks where mail for a random address goes, and compares. */
static void compare_lookup(struct walk *walk)
{
    struct look look = look_begin(walk);
    struct plain plain = plain_read(walk, &look.model);
    Mxadm__V1__AddressLookupRequest *request = REQUEST(walk, address_lookup_request);
    struct found expected;
    struct found found = { VIA(UNSPECIFIED), "" };
    const struct reply *reply;
    ProtobufCBinaryData packed;

    request->address =
        one_in(walk, 8) ? text(walk, "a+tag@%s", any_domain(walk)) : any_address(walk);
    request->exclude_postmaster = one_in(walk, 3);
    request->exclude_aliases = one_in(walk, 3);
    expected = plain_lookup(walk, &plain, request->address, !request->exclude_postmaster,
                            !request->exclude_aliases);
    packed = pack(walk, &request->base);
    reply = ask_message(walk->fixture, &viewer, "AddressLookup", packed.data, packed.len);
    if (reply->code == MX_OK) {
        const Mxadm__V1__AddressLookupResponse *response = reply->message;

        found = (struct found){ response->via, response->account };
    } else {
        assert_int_equal(reply->code, MX_NOT_FOUND);
    }
    if (found.via != expected.via || strcmp(found.account, expected.account) != 0) {
        fail_msg("'%s' is found by way %d for '%s', by the rule by way %d for '%s'",
                 request->address, found.via, found.account, expected.via, expected.account);
    }
    walk->lookups++;
    look_end(&look);
}

/* ------------------------------------------------------------------- raw edits */

/* A store of its own with the same records, to spoil. */
struct mirror {
    struct backend *backend;
    struct store *store;
};

static void copy_records(struct store_draft *draft, const struct store_view *view)
{
    struct store_cursor cursor;
    struct store_entry entry;
    struct mx_error err;

    store_cursor_init(&cursor, view, whole(), whole(), false);
    while (store_cursor_next(&cursor, &entry)) {
        if (entry.durable) {
            assert_int_equal(store_put(draft, entry.key, entry.value, &err), MX_OK);
            assert_int_equal(record_derive(draft, entry.key, slice_of(NULL, 0), entry.value, &err),
                             MX_OK);
        }
    }
}

static struct mirror mirror_create(const struct store_view *view)
{
    struct mirror mirror = { .backend = backend_memory_create() };
    struct store_request request = { .head = whole() };
    struct store_draft *draft;
    struct mx_error err;
    bool changed;

    assert_int_equal(store_open(mirror.backend, NULL, &mirror.store, &err), MX_OK);
    draft = store_begin(mirror.store);
    assert_non_null(draft);
    store_request_begin(draft);
    copy_records(draft, view);
    assert_int_equal(store_request_keep(draft, &request, &changed, &err), MX_OK);
    assert_int_equal(store_commit(mirror.store, &draft, &err), MX_OK);
    return mirror;
}

static void mirror_destroy(struct mirror *mirror)
{
    store_close(mirror->store);
    mirror->backend->ops->close(mirror->backend);
}

/* Some durable record of the view. */
static struct record_key some_record(struct walk *walk, const struct store_view *view,
                                     struct slice *packed_out)
{
    unsigned skip = below(walk, (unsigned) store_count(view, whole()));
    struct store_cursor cursor;
    struct store_entry entry;
    struct record_key key = { .len = 0 };

    store_cursor_init(&cursor, view, whole(), whole(), false);
    while (store_cursor_next(&cursor, &entry)) {
        if (entry.durable) {
            memcpy(key.data, entry.key.data, entry.key.len);
            key.len = entry.key.len;
            *packed_out = slice_of(arena_memdup(walk->arena, entry.value.data, entry.value.len),
                                   entry.value.len);
            if (skip == 0) {
                break;
            }
        }
        skip -= skip > 0;
    }
    return key;
}

/* Puts another text, of those that the walk uses, into some text field of the record. */
static void alter_text(struct walk *walk, ProtobufCMessage *record)
{
    const ProtobufCFieldDescriptor *field =
        &record->descriptor->fields[below(walk, record->descriptor->n_fields)];
    char *texts[] = { any_account(walk), any_address(walk), (char *) any_domain(walk),
                      any_localpart(walk), (char *) "" };

    if (field->type == PROTOBUF_C_TYPE_STRING && field->label != PROTOBUF_C_LABEL_REPEATED) {
        *(char **) (void *) ((char *) record + field->offset) = texts[below(walk, 5)];
    }
}

static void alter_domain(struct walk *walk, Mxadm__V1__Domain *domain)
{
    switch (below(walk, 4)) {
    case 0:
        domain->localpart_case_sensitive = !domain->localpart_case_sensitive;
        break;
    case 1:
        any_separators(walk, domain);
        break;
    case 2:
        domain->dmarc = any_report(walk);
        break;
    default:
        domain->tlsrpt = any_report(walk);
        break;
    }
}

static void alter(struct walk *walk, enum record_kind kind, ProtobufCMessage *record)
{
    Mxadm__V1__Account *account = (Mxadm__V1__Account *) record;
    Mxadm__V1__Address *address = (Mxadm__V1__Address *) record;

    if (kind == RECORD_DOMAIN && !one_in(walk, 4)) {
        alter_domain(walk, (Mxadm__V1__Domain *) record);
    } else if (kind == RECORD_ACCOUNT && !one_in(walk, 4)) {
        account->n_from_id_login_addresses = below(walk, 3);
        account->from_id_login_addresses = some_addresses(walk, account->n_from_id_login_addresses);
    } else if (kind == RECORD_ADDRESS && one_in(walk, 2)) {
        address->account = any_account(walk);
    } else {
        alter_text(walk, record);
    }
}

/* A key of the kind with other names. */
static struct record_key other_key(struct walk *walk, enum record_kind kind)
{
    const char *domain = any_domain(walk);
    const char *localpart = one_in(walk, 8) ? RECORD_CATCHALL : any_localpart(walk);

    switch (kind) {
    case RECORD_ALIAS_MEMBER:
        return record_member_key(domain, localpart, any_domain(walk), any_localpart(walk));
    case RECORD_ACCOUNT:
        return record_key(kind, any_account(walk), NULL);
    case RECORD_DOMAIN:
        return record_key(kind, domain, NULL);
    case RECORD_TLS_PUBLIC_KEY:
        return record_key(kind, "another", NULL);
    case RECORD_CONFIG:
    case RECORD_VAULT_KEY:
        return record_key(kind, NULL, NULL);
    case RECORD_DKIM_SELECTOR:
    case RECORD_SEALED_KEY:
    case RECORD_USED_SELECTOR:
    case RECORD_ADDRESS:
    case RECORD_ALIAS:
    case RECORD_KINDS:
        break;
    }
    return record_key(kind, domain, localpart);
}

/* One edit, as no operation would make it. */
static void edit(struct walk *walk, struct model *model)
{
    struct slice packed = { NULL, 0 };
    struct record_key key = some_record(walk, model->view, &packed);
    enum record_kind kind = record_kind_of(record_slice(&key));
    ProtobufCMessage *record;

    if (kind == RECORD_KINDS || one_in(walk, 4)) {
        record_delete(model, &key);
        return;
    }
    record = record_unpack(model, kind, packed);
    if (one_in(walk, 6)) {
        if (one_in(walk, 2)) {
            record_delete(model, &key);
        }
        key = other_key(walk, kind);
    } else {
        alter(walk, kind, record);
    }
    (void) record_put(model, kind, &key, record);
}

/* Both checks see the same in the open request. */
static void compare_checks(struct walk *walk, struct model *model)
{
    bool changes = consistency_check_changes(model, ignore_problem, walk);
    bool all = consistency_check_all(model, ignore_problem, walk);

    walk->edits++;
    walk->broken += !all;
    if (changes != all) {
        struct backend_edit done;

        for (size_t i = 0; store_request_edit(model->draft, i, &done); i++) {
            struct slice key = slice_of(done.key, done.key_len);

            print_message("edit of %s '%s': %s\n", record_kind_name(record_kind_of(key)),
                          record_name(walk->arena, key),
                          done.before == NULL  ? "new"
                          : done.after == NULL ? "removed"
                                               : "changed");
        }
        print_message("problems by the changes:\n");
        (void) consistency_check_changes(model, print_problem, walk);
        print_message("problems of everything:\n");
        (void) consistency_check_all(model, print_problem, walk);
        fail_msg("the checks differ");
    }
}

static void compare_edits(struct walk *walk)
{
    struct look look = look_begin(walk);
    struct mirror mirror = mirror_create(look.model.view);
    struct store_draft *draft = store_begin(mirror.store);
    struct model model = look.model;

    assert_non_null(draft);
    model.draft = draft;
    model.view = store_draft_view(draft);
    for (unsigned i = 0; i < EDITS; i++) {
        unsigned count = 1 + below(walk, 3);

        store_request_begin(draft);
        for (unsigned k = 0; k < count; k++) {
            edit(walk, &model);
        }
        assert_int_equal(walk->status.code, MX_OK);
        compare_checks(walk, &model);
        store_request_rollback(draft);
    }
    assert_true(consistency_check_all(&model, print_problem, walk));
    store_abort(&draft);
    mirror_destroy(&mirror);
    look_end(&look);
}

/* ------------------------------------------------------------------------ steps */

static void print_operation(const struct operation *operation, const struct reply *reply)
{
    print_message("after %s: %s %s\n", operation->method, reply->reason, reply->words);
}

/* Whether the two snapshots have the same bytes, derived entries included. */
static bool same_bytes(struct walk *walk, struct store_snapshot *one, struct store_snapshot *other)
{
    uint8_t digests[2][DIGEST_SIZE];

    if (one == other) {
        return true; /* what is published is never written again */
    }
    digest_view(walk, store_snapshot_view(one), digests[0]);
    digest_view(walk, store_snapshot_view(other), digests[1]);
    return memcmp(digests[0], digests[1], DIGEST_SIZE) == 0;
}

/* After an operation: everything agrees with the outcome. */
static void check_outcome(struct walk *walk, const struct operation *operation,
                          const struct reply *reply)
{
    struct look look = look_begin(walk);
    bool raised = store_snapshot_revision(look.snapshot) != store_snapshot_revision(walk->before);
    bool same = !raised && same_bytes(walk, walk->before, look.snapshot);

    if (reply->code != MX_OK && !same) {
        print_operation(operation, reply);
        fail_msg("a refused call left a trace");
    }
    if (!raised && !same) {
        print_operation(operation, reply);
        fail_msg("a change did not raise the revision");
    }
    if (!same && !consistency_check_all(&look.model, print_problem, walk)) {
        print_operation(operation, reply);
        fail_msg("an accepted call left a configuration that does not hold together");
    }
    store_release(look.store, walk->before);
    walk->before = look.snapshot; /* the pin goes along */
}

static void step(struct walk *walk, size_t number)
{
    struct operation operation = one_in(walk, 8) ? any_batch(walk) : any_operation(walk);
    ProtobufCBinaryData packed = pack(walk, operation.request);
    const struct reply *reply =
        ask_message(walk->fixture, &root, operation.method, packed.data, packed.len);

    *(reply->code == MX_OK ? &walk->accepted : &walk->refused) += 1;
    check_outcome(walk, &operation, reply);
    if (number % LOOKUPS_EVERY == 0) {
        compare_lookup(walk);
    }
    if (number % EDITS_EVERY == 0) {
        compare_edits(walk);
    }
    arena_reset(walk->arena);
    fixture_forget(walk->fixture);
}

static void begin(struct walk *walk)
{
    for (size_t i = 0; i < CERTIFICATES; i++) {
        walk->certificates[i] = make_certificate(walk);
    }
    for (size_t i = 0; i < ALWAYS_THERE; i++) {
        add_domain(walk->fixture, domains[i], accounts[i]);
    }
    walk->before = store_acquire(fixture_store(walk->fixture));
}

static size_t step_count(void)
{
    const char *given = getenv("MXADM_WALK_STEPS");

    return given == NULL ? STEPS : (size_t) strtoul(given, NULL, 10);
}

static void incremental_and_full_checks_agree_on_a_random_walk(void **state)
{
    struct walk walk = { .fixture = fixture_create(NULL), .arena = arena_create(ARENA_MAX) };
    size_t steps = step_count();

    (void) state;
    walk.seed = seed_init();
    begin(&walk);
    for (size_t i = 0; i < steps; i++) {
        step(&walk, i);
    }
    print_message("%zu steps: %zu accepted, %zu refused, %zu lookups; %zu raw edits, %zu wrong\n",
                  steps, walk.accepted, walk.refused, walk.lookups, walk.edits, walk.broken);
    assert_true(walk.accepted > steps / 10);
    assert_true(walk.refused > steps / 10);
    for (size_t i = 0; i < CERTIFICATES; i++) {
        OPENSSL_free((void *) walk.certificates[i].data);
    }
    store_release(fixture_store(walk.fixture), walk.before);
    arena_destroy(walk.arena);
    fixture_destroy(walk.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incremental_and_full_checks_agree_on_a_random_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
