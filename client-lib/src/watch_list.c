/*
 * The listing that a watch begins with when history can't serve: every record,
 * by the lists that the daemon has, each within the watch's filter.
 *
 * The lists come from different snapshots. None is older than the revision that
 * the daemon is asked for first, and the changes after that one follow, so that
 * what moved meanwhile is told once more. What is gone when its turn comes (the
 * selectors of a domain that was removed) is left out: the change that removed
 * it follows too.
 */
#include "watch.h"

#include <string.h>

/* The daemon's largest page. */
#define PAGE_SIZE 1000

struct listing {
    struct mxadm_watch *watch;
    uint64_t revision;     /* none of the answers is older */
    uint64_t speaks_of;    /* of the answer at hand */
    bool failed;           /* it is over */
    mxadm_code code;       /* of the call that failed */
    mxadm_result *failure; /* its result */
    const char *domain;    /* the filter as records spell it; NULL: all */
    const char *account;   /* likewise */
    const char *member;    /* the only member of an alias that is wanted; NULL: all */
};

/* NULL: there is no such thing, or the listing has failed, now or before. */
static mxadm_result *ask(struct listing *listing, const char *method,
                         const ProtobufCMessage *request)
{
    if (listing->failed) {
        return NULL;
    }
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;
    options.min_revision = listing->revision;
    mxadm_result *result = NULL;
    mxadm_code code = watch_call(listing->watch, method, request, &options, &result);
    if (code == MXADM_OK) {
        listing->speaks_of = mxadm_result_revision(result);
        return result;
    }
    if (code == MXADM_NOT_FOUND) {
        mxadm_result_free(result);
        return NULL;
    }
    listing->failed = true;
    listing->code = code;
    listing->failure = result;
    return NULL;
}

typedef void (*page_fn)(struct listing *listing, const ProtobufCMessage *answer);

static char *next_page_token(const ProtobufCMessage *answer)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(answer->descriptor, "next_page_token");
    return *(char *const *) ((const char *) answer + field->offset);
}

/* Calls a list page by page; `page_token` is the request's. */
static void ask_pages(struct listing *listing, const char *method, const ProtobufCMessage *request,
                      char **page_token, page_fn each)
{
    mxadm_result *page = NULL;
    bool more = true;
    while (more) {
        mxadm_result *next = ask(listing, method, request); /* its token is the last page's */
        mxadm_result_free(page);
        page = next;
        more = page != NULL;
        if (more) {
            const ProtobufCMessage *answer = mxadm_result_response(page);
            each(listing, answer);
            *page_token = next_page_token(answer);
            more = !listing->failed && (*page_token)[0] != '\0';
        }
    }
    mxadm_result_free(page);
}

/* A record's members are pointers in one union: any of them will do. */
static void deliver(struct listing *listing, Mxadm__V1__Record__RecordCase kind, void *message)
{
    Mxadm__V1__Record record = MXADM__V1__RECORD__INIT;
    record.record_case = kind;
    record.domain = message;
    watch_deliver(listing->watch, (mxadm_watch_event){ .kind = MXADM_WATCH_RECORD,
                                                       .revision = listing->speaks_of,
                                                       .record = &record });
}

static bool is_of(const char *filter, const char *name)
{
    return filter == NULL || strcmp(filter, name) == 0;
}

/* Whether an address in text form is at the filter's domain. */
static bool is_at(const char *filter, const char *address)
{
    const char *at = strrchr(address, '@');
    return filter == NULL || (at != NULL && strcmp(at + 1, filter) == 0);
}

/* ----------------------------------------------------------------- domains */

static void take_selectors(struct listing *listing, const ProtobufCMessage *message)
{
    const Mxadm__V1__DKIMListResponse *answer = (const Mxadm__V1__DKIMListResponse *) message;
    for (size_t i = 0; i < answer->n_dkim_selectors; i++) {
        deliver(listing, MXADM__V1__RECORD__RECORD_DKIM_SELECTOR, answer->dkim_selectors[i]);
    }
}

static void take_domain(struct listing *listing, Mxadm__V1__Domain *domain)
{
    deliver(listing, MXADM__V1__RECORD__RECORD_DOMAIN, domain);
    Mxadm__V1__DKIMListRequest request = MXADM__V1__DKIMLIST_REQUEST__INIT;
    request.domain = domain->name;
    request.page_size = PAGE_SIZE;
    ask_pages(listing, "DKIMList", &request.base, &request.page_token, take_selectors);
}

static void take_domains(struct listing *listing, const ProtobufCMessage *message)
{
    const Mxadm__V1__DomainListResponse *answer = (const Mxadm__V1__DomainListResponse *) message;
    for (size_t i = 0; i < answer->n_domains && !listing->failed; i++) {
        take_domain(listing, answer->domains[i]);
    }
}

static void list_domains(struct listing *listing)
{
    Mxadm__V1__DomainListRequest request = MXADM__V1__DOMAIN_LIST_REQUEST__INIT;
    request.page_size = PAGE_SIZE;
    ask_pages(listing, "DomainList", &request.base, &request.page_token, take_domains);
}

/* ---------------------------------------------------------------- accounts */

static void take_accounts(struct listing *listing, const ProtobufCMessage *message)
{
    const Mxadm__V1__AccountListResponse *answer = (const Mxadm__V1__AccountListResponse *) message;
    for (size_t i = 0; i < answer->n_accounts; i++) {
        deliver(listing, MXADM__V1__RECORD__RECORD_ACCOUNT, answer->accounts[i]);
    }
}

static void list_accounts(struct listing *listing)
{
    Mxadm__V1__AccountListRequest request = MXADM__V1__ACCOUNT_LIST_REQUEST__INIT;
    request.page_size = PAGE_SIZE;
    if (listing->domain != NULL) {
        request.domain = (char *) listing->domain;
    }
    ask_pages(listing, "AccountList", &request.base, &request.page_token, take_accounts);
}

static void get_account(struct listing *listing)
{
    Mxadm__V1__AccountGetRequest request = MXADM__V1__ACCOUNT_GET_REQUEST__INIT;
    request.account = (char *) listing->account;
    mxadm_result *result = ask(listing, "AccountGet", &request.base);
    if (result != NULL) {
        const Mxadm__V1__AccountGetResponse *answer =
            (const Mxadm__V1__AccountGetResponse *) mxadm_result_response(result);
        if (answer->account != NULL && is_of(listing->domain, answer->account->domain)) {
            deliver(listing, MXADM__V1__RECORD__RECORD_ACCOUNT, answer->account);
        }
    }
    mxadm_result_free(result);
}

/* ----------------------------------------------------------------- aliases */

static void take_members(struct listing *listing, const ProtobufCMessage *message)
{
    const Mxadm__V1__AliasListResponse *answer = (const Mxadm__V1__AliasListResponse *) message;
    for (size_t i = 0; i < answer->n_members; i++) {
        if (is_of(listing->member, answer->members[i]->address)) {
            deliver(listing, MXADM__V1__RECORD__RECORD_ALIAS_MEMBER, answer->members[i]);
        }
    }
}

static void list_members(struct listing *listing, const Mxadm__V1__Alias *alias)
{
    Mxadm__V1__AliasListRequest request = MXADM__V1__ALIAS_LIST_REQUEST__INIT;
    request.page_size = PAGE_SIZE;
    request.members_of = alias->canonical_address;
    ask_pages(listing, "AliasList", &request.base, &request.page_token, take_members);
}

static void take_aliases(struct listing *listing, const ProtobufCMessage *message)
{
    const Mxadm__V1__AliasListResponse *answer = (const Mxadm__V1__AliasListResponse *) message;
    for (size_t i = 0; i < answer->n_aliases && !listing->failed; i++) {
        if (listing->member == NULL) {
            deliver(listing, MXADM__V1__RECORD__RECORD_ALIAS, answer->aliases[i]);
        }
        list_members(listing, answer->aliases[i]);
    }
}

static void list_aliases(struct listing *listing)
{
    Mxadm__V1__AliasListRequest request = MXADM__V1__ALIAS_LIST_REQUEST__INIT;
    request.page_size = PAGE_SIZE;
    if (listing->member != NULL) {
        request.member = (char *) listing->member;
    } else if (listing->domain != NULL) {
        request.domain = (char *) listing->domain;
    }
    ask_pages(listing, "AliasList", &request.base, &request.page_token, take_aliases);
}

/* --------------------------------------------------------------- addresses */

/* Of an account it is its addresses that are members: its memberships come with them. */
static void take_addresses(struct listing *listing, const ProtobufCMessage *message)
{
    const Mxadm__V1__AddressListResponse *answer = (const Mxadm__V1__AddressListResponse *) message;
    for (size_t i = 0; i < answer->n_addresses && !listing->failed; i++) {
        deliver(listing, MXADM__V1__RECORD__RECORD_ADDRESS, answer->addresses[i]);
        if (listing->account != NULL && !listing->failed) {
            listing->member = answer->addresses[i]->canonical_address;
            list_aliases(listing);
            listing->member = NULL;
        }
    }
}

static void list_addresses(struct listing *listing)
{
    Mxadm__V1__AddressListRequest request = MXADM__V1__ADDRESS_LIST_REQUEST__INIT;
    request.page_size = PAGE_SIZE;
    if (listing->domain != NULL) {
        request.domain = (char *) listing->domain;
    }
    if (listing->account != NULL) {
        request.account = (char *) listing->account;
    }
    ask_pages(listing, "AddressList", &request.base, &request.page_token, take_addresses);
}

/* --------------------------------------------------------------- the others */

static void take_tls_keys(struct listing *listing, const ProtobufCMessage *message)
{
    const Mxadm__V1__TLSPublicKeyListResponse *answer =
        (const Mxadm__V1__TLSPublicKeyListResponse *) message;
    for (size_t i = 0; i < answer->n_tls_public_keys; i++) {
        Mxadm__V1__TlsPublicKey *key = answer->tls_public_keys[i];
        if (is_at(listing->domain, key->login_address)) {
            deliver(listing, MXADM__V1__RECORD__RECORD_TLS_PUBLIC_KEY, key);
        }
    }
}

static void list_tls_keys(struct listing *listing)
{
    Mxadm__V1__TLSPublicKeyListRequest request = MXADM__V1__TLSPUBLIC_KEY_LIST_REQUEST__INIT;
    request.page_size = PAGE_SIZE;
    if (listing->account != NULL) {
        request.account = (char *) listing->account;
    }
    ask_pages(listing, "TLSPublicKeyList", &request.base, &request.page_token, take_tls_keys);
}

static void get_config(struct listing *listing)
{
    Mxadm__V1__ConfigGetRequest request = MXADM__V1__CONFIG_GET_REQUEST__INIT;
    mxadm_result *result = ask(listing, "ConfigGet", &request.base);
    if (result != NULL) {
        const Mxadm__V1__ConfigGetResponse *answer =
            (const Mxadm__V1__ConfigGetResponse *) mxadm_result_response(result);
        if (answer->config != NULL) {
            deliver(listing, MXADM__V1__RECORD__RECORD_CONFIG, answer->config);
        }
    }
    mxadm_result_free(result);
}

/* ------------------------------------------------------------- the listing */

/* Asks which revision is the newest: the listing is of that one or later. */
static void begin(struct listing *listing)
{
    Mxadm__V1__ServerInfoRequest request = MXADM__V1__SERVER_INFO_REQUEST__INIT;
    mxadm_result *result = ask(listing, "ServerInfo", &request.base);
    if (result != NULL) {
        listing->revision = listing->speaks_of;
        watch_deliver(listing->watch, (mxadm_watch_event){ .kind = MXADM_WATCH_RESET,
                                                           .revision = listing->revision });
    }
    mxadm_result_free(result);
}

static void list_everything(struct listing *listing)
{
    list_domains(listing);
    list_accounts(listing);
    list_addresses(listing);
    list_aliases(listing);
    list_tls_keys(listing);
    get_config(listing);
}

static void list_account(struct listing *listing)
{
    get_account(listing);
    list_addresses(listing);
    list_tls_keys(listing);
}

/* The filter may spell the domain in another way than its records do. A domain that is not there
 * has none. */
static void list_domain(struct listing *listing)
{
    Mxadm__V1__DomainGetRequest request = MXADM__V1__DOMAIN_GET_REQUEST__INIT;
    request.domain = listing->watch->domain;
    mxadm_result *result = ask(listing, "DomainGet", &request.base);
    const Mxadm__V1__DomainGetResponse *answer =
        (const Mxadm__V1__DomainGetResponse *) mxadm_result_response(result);
    if (result == NULL || answer == NULL || answer->domain == NULL) {
        mxadm_result_free(result);
        return;
    }
    listing->domain = answer->domain->name;
    if (listing->account != NULL) {
        list_account(listing);
    } else {
        take_domain(listing, answer->domain);
        list_accounts(listing);
        list_addresses(listing);
        list_aliases(listing);
        list_tls_keys(listing);
    }
    mxadm_result_free(result);
}

mxadm_code watch_list(struct mxadm_watch *watch, mxadm_result **result_out)
{
    struct listing listing = { .watch = watch, .account = watch->account };
    begin(&listing);
    if (listing.failed) {
        *result_out = listing.failure;
        return listing.code;
    }
    if (watch->domain != NULL) {
        list_domain(&listing);
    } else if (watch->account != NULL) {
        list_account(&listing);
    } else {
        list_everything(&listing);
    }
    if (listing.failed) {
        *result_out = listing.failure;
        return listing.code;
    }
    watch->position = listing.revision;
    watch->offset = 0;
    return MXADM_OK;
}
