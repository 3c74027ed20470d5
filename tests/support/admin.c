#include "support/admin.h"

#include <dirent.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest a call may take; a busy machine makes RSA keys slowly. */
#define TIMEOUT_MS 300000
/* Longer than any private key as PEM with its note. */
#define PEM_MAX 8192

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void) fprintf(stderr, "admin: %s:%d: ", __func__, __LINE__);                          \
            (void) fprintf(stderr, __VA_ARGS__);                                                   \
            (void) fputc('\n', stderr);                                                            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

mxadm_client *admin_open(const char *url, unsigned connections)
{
    mxadm_client_options options = MXADM_CLIENT_OPTIONS_INIT;
    mxadm_client *client = NULL;

    options.urls = &url;
    options.url_count = 1;
    options.timeout_ms = TIMEOUT_MS;
    options.connections = connections;
    CHECK(mxadm_client_open(&options, &client) == MXADM_OK, "no client for %s", url);
    return client;
}

/* ------------------------------------------------------------------- calls */

mxadm_result *admin_call(mxadm_client *client, const char *method, const ProtobufCMessage *request,
                         const mxadm_call_options *options)
{
    mxadm_result *result = NULL;

    (void) mxadm_call(client, method, request, options, &result);
    return result;
}

mxadm_result *admin_domain_add(mxadm_client *client, const char *domain, const char *account,
                               const char *localpart, const mxadm_call_options *options)
{
    Mxadm__V1__DomainAddRequest request = MXADM__V1__DOMAIN_ADD_REQUEST__INIT;

    request.domain = (char *) domain;
    request.account = (char *) account;
    request.localpart = (char *) (localpart == NULL ? "" : localpart);
    return admin_call(client, "DomainAdd", &request.base, options);
}

mxadm_result *admin_domain_remove(mxadm_client *client, const char *domain,
                                  const mxadm_call_options *options)
{
    Mxadm__V1__DomainRemoveRequest request = MXADM__V1__DOMAIN_REMOVE_REQUEST__INIT;

    request.domain = (char *) domain;
    return admin_call(client, "DomainRemove", &request.base, options);
}

mxadm_result *admin_account_add(mxadm_client *client, const char *account, const char *address,
                                const mxadm_call_options *options)
{
    Mxadm__V1__AccountAddRequest request = MXADM__V1__ACCOUNT_ADD_REQUEST__INIT;

    request.account = (char *) account;
    request.address = (char *) address;
    return admin_call(client, "AccountAdd", &request.base, options);
}

mxadm_result *admin_account_remove(mxadm_client *client, const char *account,
                                   const mxadm_call_options *options)
{
    Mxadm__V1__AccountRemoveRequest request = MXADM__V1__ACCOUNT_REMOVE_REQUEST__INIT;

    request.account = (char *) account;
    return admin_call(client, "AccountRemove", &request.base, options);
}

mxadm_result *admin_address_add(mxadm_client *client, const char *address, const char *account,
                                const mxadm_call_options *options)
{
    Mxadm__V1__AddressAddRequest request = MXADM__V1__ADDRESS_ADD_REQUEST__INIT;

    request.address = (char *) address;
    request.account = (char *) account;
    return admin_call(client, "AddressAdd", &request.base, options);
}

mxadm_result *admin_address_remove(mxadm_client *client, const char *address,
                                   const mxadm_call_options *options)
{
    Mxadm__V1__AddressRemoveRequest request = MXADM__V1__ADDRESS_REMOVE_REQUEST__INIT;

    request.address = (char *) address;
    return admin_call(client, "AddressRemove", &request.base, options);
}

mxadm_result *admin_address_lookup(mxadm_client *client, const char *address)
{
    Mxadm__V1__AddressLookupRequest request = MXADM__V1__ADDRESS_LOOKUP_REQUEST__INIT;

    request.address = (char *) address;
    return admin_call(client, "AddressLookup", &request.base, NULL);
}

mxadm_result *admin_dkim_add(mxadm_client *client, const char *domain, const char *selector,
                             const mxadm_call_options *options)
{
    Mxadm__V1__DKIMAddRequest request = MXADM__V1__DKIMADD_REQUEST__INIT;

    request.domain = (char *) domain;
    request.selector = (char *) selector;
    request.algorithm = MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519;
    request.enable = true;
    return admin_call(client, "DKIMAdd", &request.base, options);
}

mxadm_result *admin_dkim_remove(mxadm_client *client, const char *domain, const char *selector,
                                const mxadm_call_options *options)
{
    Mxadm__V1__DKIMRemoveRequest request = MXADM__V1__DKIMREMOVE_REQUEST__INIT;

    request.domain = (char *) domain;
    request.selector = (char *) selector;
    return admin_call(client, "DKIMRemove", &request.base, options);
}

uint64_t admin_done(mxadm_result *result)
{
    uint64_t revision = mxadm_result_revision(result);

    CHECK(mxadm_result_code(result) == MXADM_OK, "%s: %s",
          mxadm_code_name(mxadm_result_code(result)), mxadm_result_message(result));
    mxadm_result_free(result);
    return revision;
}

void admin_refused(mxadm_result *result, const char *reason)
{
    CHECK(strcmp(mxadm_result_reason(result), reason) == 0, "'%s' in place of '%s': %s",
          mxadm_result_reason(result), reason, mxadm_result_message(result));
    mxadm_result_free(result);
}

/* ------------------------------------------------------------------- lists */

/* Takes a page of a list; returns the token of the next, the result's; "" for none. */
typedef const char *(*take_page)(const ProtobufCMessage *response, struct facts *facts);

static const char *take_domains(const ProtobufCMessage *response, struct facts *facts)
{
    const Mxadm__V1__DomainListResponse *page = (const Mxadm__V1__DomainListResponse *) response;

    for (size_t i = 0; i < page->n_domains; i++) {
        facts_add(facts, "domain %s", page->domains[i]->name);
    }
    return page->next_page_token;
}

static const char *take_accounts(const ProtobufCMessage *response, struct facts *facts)
{
    const Mxadm__V1__AccountListResponse *page = (const Mxadm__V1__AccountListResponse *) response;

    for (size_t i = 0; i < page->n_accounts; i++) {
        facts_add(facts, "account %s", page->accounts[i]->name);
    }
    return page->next_page_token;
}

static void take_address(const Mxadm__V1__Address *address, struct facts *facts)
{
    if (address->kind == MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT) {
        facts_add(facts, "dmarc report of %s", address->report_domain);
    } else if (address->kind == MXADM__V1__ADDRESS__KIND__KIND_TLS_REPORT) {
        facts_add(facts, "tls report of %s", address->report_domain);
    } else {
        facts_add(facts, "address %s -> %s", address->canonical_address, address->account);
    }
}

static const char *take_addresses(const ProtobufCMessage *response, struct facts *facts)
{
    const Mxadm__V1__AddressListResponse *page = (const Mxadm__V1__AddressListResponse *) response;

    for (size_t i = 0; i < page->n_addresses; i++) {
        take_address(page->addresses[i], facts);
    }
    return page->next_page_token;
}

/* Selectors that were named after the year, as "2026a" is, are known by their number. */
static const char *take_selectors(const ProtobufCMessage *response, struct facts *facts)
{
    const Mxadm__V1__DKIMListResponse *page = (const Mxadm__V1__DKIMListResponse *) response;
    unsigned number = 0;

    for (size_t i = 0; i < page->n_dkim_selectors; i++) {
        const Mxadm__V1__DkimSelector *selector = page->dkim_selectors[i];

        if (selector->name[0] == '2') {
            facts_add(facts, "selector #%u of %s", ++number, selector->domain);
        } else {
            facts_add(facts, "selector %s of %s", selector->name, selector->domain);
        }
    }
    return page->next_page_token;
}

/* `token` and `request` belong together: the request's field is set from page to page. */
static size_t walk(mxadm_client *client, const char *method, const ProtobufCMessage *request,
                   char **token, take_page take, struct facts *facts)
{
    size_t before = facts->count;
    mxadm_result *last = NULL;

    *token = (char *) "";
    do {
        mxadm_result *result = admin_call(client, method, request, NULL);

        CHECK(mxadm_result_code(result) == MXADM_OK, "%s: %s", method,
              mxadm_result_message(result));
        *token = (char *) take(mxadm_result_response(result), facts);
        mxadm_result_free(last);
        last = result; /* owns the token */
    } while (**token != '\0');
    mxadm_result_free(last);
    return facts->count - before;
}

static void walk_selectors(mxadm_client *client, const struct facts *domains, struct facts *facts)
{
    for (size_t i = 0; i < domains->count; i++) {
        Mxadm__V1__DKIMListRequest request = MXADM__V1__DKIMLIST_REQUEST__INIT;

        request.domain = domains->items[i] + strlen("domain ");
        (void) walk(client, "DKIMList", &request.base, &request.page_token, take_selectors, facts);
    }
}

static mxadm_result *server_info(mxadm_client *client)
{
    Mxadm__V1__ServerInfoRequest request = MXADM__V1__SERVER_INFO_REQUEST__INIT;
    mxadm_result *result = admin_call(client, "ServerInfo", &request.base, NULL);

    CHECK(mxadm_result_code(result) == MXADM_OK, "%s", mxadm_result_message(result));
    return result;
}

static void check_counts(mxadm_client *client, size_t domains, size_t accounts, size_t addresses)
{
    mxadm_result *result = server_info(client);
    const Mxadm__V1__ServerInfoResponse *info =
        (const Mxadm__V1__ServerInfoResponse *) mxadm_result_response(result);

    CHECK(info->domain_count == domains && info->account_count == accounts &&
              info->address_count == addresses,
          "ServerInfo counts %llu domains, %llu accounts, %llu addresses; listed are %zu, %zu, %zu",
          (unsigned long long) info->domain_count, (unsigned long long) info->account_count,
          (unsigned long long) info->address_count, domains, accounts, addresses);
    mxadm_result_free(result);
}

void admin_observe(mxadm_client *client, struct facts *facts)
{
    Mxadm__V1__DomainListRequest domains = MXADM__V1__DOMAIN_LIST_REQUEST__INIT;
    Mxadm__V1__AccountListRequest accounts = MXADM__V1__ACCOUNT_LIST_REQUEST__INIT;
    Mxadm__V1__AddressListRequest addresses = MXADM__V1__ADDRESS_LIST_REQUEST__INIT;
    struct facts names = { 0 };
    size_t counts[3];

    domains.page_size = 1000;
    accounts.page_size = 1000;
    addresses.page_size = 1000;
    counts[0] =
        walk(client, "DomainList", &domains.base, &domains.page_token, take_domains, &names);
    facts_add_all(facts, &names);
    counts[1] =
        walk(client, "AccountList", &accounts.base, &accounts.page_token, take_accounts, facts);
    counts[2] =
        walk(client, "AddressList", &addresses.base, &addresses.page_token, take_addresses, facts);
    walk_selectors(client, &names, facts);
    check_counts(client, counts[0], counts[1], counts[2]);
    facts_fini(&names);
}

void admin_domain_facts(struct facts *facts, const char *domain, const char *account,
                        const char *localpart)
{
    facts_add(facts, "domain %s", domain);
    facts_add(facts, "account %s", account);
    facts_add(facts, "address %s@%s -> %s", localpart, domain, account);
    facts_add(facts, "selector #1 of %s", domain);
    facts_add(facts, "selector #2 of %s", domain);
    facts_add(facts, "dmarc report of %s", domain);
    facts_add(facts, "tls report of %s", domain);
}

struct admin_position admin_position(mxadm_client *client)
{
    mxadm_result *result = server_info(client);
    const Mxadm__V1__ServerInfoResponse *info =
        (const Mxadm__V1__ServerInfoResponse *) mxadm_result_response(result);
    struct admin_position position = { .revision = info->revision };

    CHECK(info->revision_chain.len == sizeof(position.chain), "a chain of %zu bytes",
          info->revision_chain.len);
    memcpy(position.chain, info->revision_chain.data, sizeof(position.chain));
    mxadm_result_free(result);
    return position;
}

/* -------------------------------------------------------------------- keys */

/* The private key's PEM block, without the note above it. */
static const char *pem_block(const char *text)
{
    const char *block = strstr(text, "-----BEGIN PRIVATE KEY-----");

    CHECK(block != NULL, "no PEM block");
    return block;
}

static void check_pair(const char *pem, const ProtobufCBinaryData *public_key, const char *name)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    unsigned char *der = NULL;
    int len = key == NULL ? -1 : i2d_PUBKEY(key, &der);

    CHECK(der != NULL && len == (int) public_key->len &&
              memcmp(der, public_key->data, public_key->len) == 0,
          "the exported key of '%s' is not that of its public key", name);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    BIO_free(bio);
}

static void check_file(const char *directory, const char *name, const char *exported)
{
    char path[PATH_MAX];
    char text[PEM_MAX];
    size_t len;
    FILE *file;

    (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "re");
    CHECK(file != NULL, "no key file '%s'", path);
    len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    (void) fclose(file);
    CHECK(strcmp(pem_block(text), pem_block(exported)) == 0, "key file '%s' has another key", path);
}

static void check_selector(mxadm_client *client, const char *directory,
                           const Mxadm__V1__DkimSelector *selector)
{
    Mxadm__V1__DKIMKeyExportRequest request = MXADM__V1__DKIMKEY_EXPORT_REQUEST__INIT;
    const Mxadm__V1__DKIMKeyExportResponse *response;
    mxadm_result *result;

    request.domain = selector->domain;
    request.selector = selector->name;
    result = admin_call(client, "DKIMKeyExport", &request.base, NULL);
    CHECK(mxadm_result_code(result) == MXADM_OK, "%s/%s: %s", selector->domain, selector->name,
          mxadm_result_message(result));
    response = (const Mxadm__V1__DKIMKeyExportResponse *) mxadm_result_response(result);
    check_pair(response->private_key, &selector->public_key, selector->name);
    check_file(directory, selector->key_file, response->private_key);
    mxadm_result_free(result);
}

/* Of one domain, which has at most a page of them. */
static size_t check_domain_keys(mxadm_client *client, const char *directory, const char *domain)
{
    Mxadm__V1__DKIMListRequest request = MXADM__V1__DKIMLIST_REQUEST__INIT;
    const Mxadm__V1__DKIMListResponse *response;
    mxadm_result *result;
    size_t count;

    request.domain = (char *) domain;
    request.page_size = 1000;
    result = admin_call(client, "DKIMList", &request.base, NULL);
    CHECK(mxadm_result_code(result) == MXADM_OK, "%s", mxadm_result_message(result));
    response = (const Mxadm__V1__DKIMListResponse *) mxadm_result_response(result);
    count = response->n_dkim_selectors;
    CHECK(count == response->total, "%zu selectors of '%s' listed, %llu there", count, domain,
          (unsigned long long) response->total);
    for (size_t i = 0; i < count; i++) {
        check_selector(client, directory, response->dkim_selectors[i]);
    }
    mxadm_result_free(result);
    return count;
}

/* All but the directory of removed keys; temporary files of the daemon count too. */
static size_t count_files(const char *directory)
{
    char path[PATH_MAX];
    struct dirent *entry;
    size_t count = 0;
    DIR *dir;

    (void) snprintf(path, sizeof(path), "%s/dkim", directory);
    dir = opendir(path);
    CHECK(dir != NULL, "no directory '%s'", path);
    while ((entry = readdir(dir)) != NULL) {
        bool apart = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                     strcmp(entry->d_name, "old") == 0;

        count += apart ? 0 : 1;
    }
    (void) closedir(dir);
    return count;
}

size_t admin_check_keys(mxadm_client *client, const char *directory)
{
    Mxadm__V1__DomainListRequest request = MXADM__V1__DOMAIN_LIST_REQUEST__INIT;
    struct facts domains = { 0 };
    size_t count = 0;
    size_t files;

    request.page_size = 1000;
    (void) walk(client, "DomainList", &request.base, &request.page_token, take_domains, &domains);
    for (size_t i = 0; i < domains.count; i++) {
        count += check_domain_keys(client, directory, domains.items[i] + strlen("domain "));
    }
    files = count_files(directory);
    CHECK(files == count, "%zu key files for %zu selectors", files, count);
    facts_fini(&domains);
    return count;
}
