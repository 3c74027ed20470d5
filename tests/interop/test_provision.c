/*
 * A day of a provisioning controller: 200 domains and 2,000 accounts with names
 * in ten scripts are added by several clients, looked up in different
 * spellings, listed while they change, and half of them removed, with restarts
 * in between. What is there is held against a plain model all along.
 */
#include "support/admin.h"
#include "support/daemon.h"
#include "support/facts.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAINS             200
#define ACCOUNTS_PER_DOMAIN 10
#define CLIENTS             4 /* threads that call */
#define PAGE                97
#define NAME_SIZE           256

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void) fprintf(stderr, "provision: %s:%d: ", __func__, __LINE__);                      \
            (void) fprintf(stderr, __VA_ARGS__);                                                   \
            (void) fputc('\n', stderr);                                                            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static const char settings[] =
    DAEMON_URLS "keys: {directory: $DIR/keys, rsa2048: {low: 4, high: 8}}\n";

/* A word as it is stored, and another spelling of it: in capitals, or decomposed. */
static const struct word {
    const char *stored;
    const char *other;
} words[] = {
    { "müller", "MU\xcc\x88LLER" },
    { "αθήνα", "ΑΘΉΝΑ" },
    { "почта", "ПОЧТА" },
    { "بريد", "بريد" },
    { "דואר", "דואר" },
    { "邮件", "邮件" },
    { "डाक", "डाक" },
    { "จดหมาย", "จดหมาย" },
    { "우편", "\xe1\x84\x8b\xe1\x85\xae\xe1\x84\x91\xe1\x85\xa7\xe1\x86\xab" },
    { "📬", "📬" },
};
#define WORDS (sizeof(words) / sizeof(words[0]))

/* ------------------------------------------------------------------- names */

static const struct word *word_of(unsigned domain)
{
    return &words[domain % WORDS];
}

static const char *domain_name(unsigned domain, char *name)
{
    (void) snprintf(name, NAME_SIZE, "%s%u.example", word_of(domain)->stored, domain);
    return name;
}

/* With an ideographic full stop and wide letters besides. */
static const char *other_domain_name(unsigned domain, char *name)
{
    (void) snprintf(name, NAME_SIZE, "%s%u。ＥＸＡＭＰＬＥ", word_of(domain)->other, domain);
    return name;
}

static const char *account_name(unsigned domain, unsigned account, char *name)
{
    (void) snprintf(name, NAME_SIZE, "%s.%u.%u", word_of(domain)->stored, domain, account);
    return name;
}

static const char *localpart_name(unsigned domain, unsigned account, char *name)
{
    (void) snprintf(name, NAME_SIZE, "%s_%u", word_of(domain)->stored, account);
    return name;
}

static const char *address_name(unsigned domain, unsigned account, char *name)
{
    (void) snprintf(name, NAME_SIZE, "%s_%u@%s%u.example", word_of(domain)->stored, account,
                    word_of(domain)->stored, domain);
    return name;
}

/* The account that comes with the domain is number 0. */
static void domain_facts(struct facts *facts, unsigned domain)
{
    char name[NAME_SIZE];
    char account[NAME_SIZE];
    char other[NAME_SIZE];

    admin_domain_facts(facts, domain_name(domain, name), account_name(domain, 0, account),
                       localpart_name(domain, 0, other));
    for (unsigned i = 1; i < ACCOUNTS_PER_DOMAIN; i++) {
        facts_add(facts, "account %s", account_name(domain, i, account));
        facts_add(facts, "address %s -> %s", address_name(domain, i, other), account);
    }
}

/* ----------------------------------------------------------------- clients */

/* Some clients share the domains of a phase; each does its own from first to last. */
struct phase {
    const struct daemon *daemon;
    unsigned from;
    unsigned to;
    unsigned step;
    void (*run)(mxadm_client *client, unsigned domain);
};

struct client {
    const struct phase *phase;
    unsigned number;
    pthread_t thread;
};

static void *run_client(void *argument)
{
    const struct client *self = argument;
    const struct phase *phase = self->phase;
    mxadm_client *client = admin_open(daemon_url(phase->daemon, 0), 1);
    unsigned turn = 0;

    for (unsigned domain = phase->from; domain < phase->to; domain += phase->step) {
        if (turn++ % CLIENTS == self->number) {
            phase->run(client, domain);
        }
    }
    mxadm_client_close(client);
    return NULL;
}

static void run_phase(const struct phase *phase)
{
    struct client clients[CLIENTS];

    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ .phase = phase, .number = i };
        CHECK(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) == 0, "no thread");
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        (void) pthread_join(clients[i].thread, NULL);
    }
}

static void add_domain(mxadm_client *client, unsigned domain)
{
    char name[NAME_SIZE];
    char account[NAME_SIZE];
    char other[NAME_SIZE];

    (void) admin_done(admin_domain_add(client, domain_name(domain, name),
                                       account_name(domain, 0, account),
                                       localpart_name(domain, 0, other), NULL));
    for (unsigned i = 1; i < ACCOUNTS_PER_DOMAIN; i++) {
        (void) admin_done(admin_account_add(client, account_name(domain, i, account),
                                            address_name(domain, i, other), NULL));
    }
}

/* The domain's reports go to account 0, which therefore goes last; its address lies in the domain
 * and goes first. */
static void remove_domain(mxadm_client *client, unsigned domain)
{
    char name[NAME_SIZE];
    char account[NAME_SIZE];
    char address[NAME_SIZE];

    admin_refused(admin_domain_remove(client, domain_name(domain, name), NULL), "DOMAIN_IN_USE");
    for (unsigned i = 1; i < ACCOUNTS_PER_DOMAIN; i++) {
        (void) admin_done(admin_account_remove(client, account_name(domain, i, account), NULL));
    }
    (void) account_name(domain, 0, account);
    admin_refused(admin_account_remove(client, account, NULL), "ACCOUNT_IN_USE");
    (void) admin_done(admin_address_remove(client, address_name(domain, 0, address), NULL));
    (void) admin_done(admin_domain_remove(client, other_domain_name(domain, name), NULL));
    (void) admin_done(admin_account_remove(client, account, NULL));
}

/* ------------------------------------------------------------------- looks */

static void check_model(const struct daemon *daemon, struct facts *model)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 1), 0);
    struct facts seen = { 0 };

    admin_observe(client, &seen);
    facts_check_same(model, &seen);
    facts_fini(&seen);
    mxadm_client_close(client);
}

/* An address that is spelled so reaches the account. */
static void check_reaches(mxadm_client *client, const char *spelled, unsigned domain,
                          unsigned number)
{
    mxadm_result *result = admin_address_lookup(client, spelled);
    const Mxadm__V1__AddressLookupResponse *found =
        (const Mxadm__V1__AddressLookupResponse *) mxadm_result_response(result);
    char account[NAME_SIZE];
    char address[NAME_SIZE];

    CHECK(found != NULL, "'%s': %s", spelled, mxadm_result_message(result));
    CHECK(strcmp(found->account, account_name(domain, number, account)) == 0 &&
              strcmp(found->canonical_address, address_name(domain, number, address)) == 0,
          "'%s' reaches '%s' as '%s'", spelled, found->account, found->canonical_address);
    mxadm_result_free(result);
}

/* The domain's name as DNS has it. */
static void get_ascii_name(mxadm_client *client, unsigned domain, char *ascii)
{
    Mxadm__V1__DomainGetRequest request = MXADM__V1__DOMAIN_GET_REQUEST__INIT;
    const Mxadm__V1__DomainGetResponse *response;
    mxadm_result *result;
    char name[NAME_SIZE];

    request.domain = (char *) other_domain_name(domain, name);
    result = admin_call(client, "DomainGet", &request.base, NULL);
    response = (const Mxadm__V1__DomainGetResponse *) mxadm_result_response(result);
    CHECK(response != NULL, "'%s': %s", name, mxadm_result_message(result));
    CHECK(strncmp(response->domain->ascii_name, "xn--", 4) == 0, "'%s' is '%s' in DNS", name,
          response->domain->ascii_name);
    /* And the two for reports. */
    CHECK(response->address_count == ACCOUNTS_PER_DOMAIN + 2, "'%s' has %llu addresses", name,
          (unsigned long long) response->address_count);
    (void) snprintf(ascii, NAME_SIZE, "%s", response->domain->ascii_name);
    mxadm_result_free(result);
}

static void look_up(mxadm_client *client, unsigned domain)
{
    const struct word *word = word_of(domain);
    char ascii[NAME_SIZE];
    char name[NAME_SIZE];
    char other[NAME_SIZE];
    char spelled[4 * NAME_SIZE];

    get_ascii_name(client, domain, ascii);
    (void) domain_name(domain, name);
    (void) other_domain_name(domain, other);
    for (unsigned i = 0; i < ACCOUNTS_PER_DOMAIN; i++) {
        (void) snprintf(spelled, sizeof(spelled), "%s_%u@%s", word->stored, i, name);
        check_reaches(client, spelled, domain, i);
        (void) snprintf(spelled, sizeof(spelled), "%s_%u+tag@%s", word->other, i, other);
        check_reaches(client, spelled, domain, i);
        (void) snprintf(spelled, sizeof(spelled), "\"%s_%u\"@%s", word->other, i, ascii);
        check_reaches(client, spelled, domain, i);
    }
    (void) snprintf(spelled, sizeof(spelled), "%s_%u@%s", word->stored, ACCOUNTS_PER_DOMAIN, ascii);
    admin_refused(admin_address_lookup(client, spelled), "ADDRESS_NOT_FOUND");
}

/* What is there in one spelling can't be added in another. */
static void add_again(mxadm_client *client, unsigned domain)
{
    const struct word *word = word_of(domain);
    char other[NAME_SIZE];
    char spelled[4 * NAME_SIZE];

    admin_refused(admin_domain_add(client, other_domain_name(domain, other), "somebody", "x", NULL),
                  "DOMAIN_EXISTS");
    (void) snprintf(spelled, sizeof(spelled), "%s_%u@%s", word->other, 0, other);
    admin_refused(admin_account_add(client, "somebody", spelled, NULL), "ADDRESS_IN_USE");
}

/* ------------------------------------------------------------------- lists */

/* One account goes and another comes between two pages. */
static void change_one(mxadm_client *client, struct facts *model, unsigned turn)
{
    unsigned domain = DOMAINS - 1 - 2 * (turn % (DOMAINS / 2)); /* not one of those that stay */
    char account[NAME_SIZE];
    char address[NAME_SIZE];
    char fact[3 * NAME_SIZE];

    (void) account_name(domain, 1, account);
    (void) address_name(domain, 1, address);
    (void) admin_done(admin_account_remove(client, account, NULL));
    (void) snprintf(fact, sizeof(fact), "account %s", account);
    facts_remove(model, fact);
    (void) snprintf(fact, sizeof(fact), "address %s -> %s", address, account);
    facts_remove(model, fact);

    (void) snprintf(account, sizeof(account), "new.%u", turn);
    (void) admin_done(admin_account_add(client, account, address, NULL));
    facts_add(model, "account %s", account);
    facts_add(model, "address %s -> %s", address, account);
}

/* The accounts of the model, and nothing else. */
static void keep_accounts(const struct facts *model, struct facts *accounts)
{
    for (size_t i = 0; i < model->count; i++) {
        if (strncmp(model->items[i], "account ", strlen("account ")) == 0) {
            facts_add(accounts, "%s", model->items[i]);
        }
    }
}

/* All pages are of the configuration that the first one was of. Returns how many changes there were
 * meanwhile. */
static unsigned list_while_changing(const struct daemon *daemon, struct facts *model)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);
    Mxadm__V1__AccountListRequest request = MXADM__V1__ACCOUNT_LIST_REQUEST__INIT;
    const Mxadm__V1__AccountListResponse *page;
    mxadm_result *last = NULL;
    struct facts expected = { 0 };
    struct facts seen = { 0 };
    unsigned changes = 0;

    keep_accounts(model, &expected);
    request.page_size = PAGE;
    do {
        mxadm_result *result = admin_call(client, "AccountList", &request.base, NULL);

        page = (const Mxadm__V1__AccountListResponse *) mxadm_result_response(result);
        CHECK(page != NULL, "%s", mxadm_result_message(result));
        CHECK(page->n_accounts <= PAGE && page->total == expected.count,
              "%zu accounts on a page, %llu in all", page->n_accounts,
              (unsigned long long) page->total);
        for (size_t i = 0; i < page->n_accounts; i++) {
            facts_add(&seen, "account %s", page->accounts[i]->name);
        }
        change_one(client, model, changes++);
        request.page_token = page->next_page_token;
        mxadm_result_free(last);
        last = result;
    } while (*request.page_token != '\0');
    mxadm_result_free(last);
    facts_check_same(&expected, &seen);
    facts_fini(&expected);
    facts_fini(&seen);
    mxadm_client_close(client);
    return changes;
}

/* The accounts that came while listing go, and those that went come back. */
static void undo_changes(const struct daemon *daemon, struct facts *model, unsigned changes)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);

    for (unsigned turn = 0; turn < changes; turn++) {
        unsigned domain = DOMAINS - 1 - 2 * (turn % (DOMAINS / 2));
        char account[NAME_SIZE];
        char address[NAME_SIZE];
        char fact[3 * NAME_SIZE];

        (void) address_name(domain, 1, address);
        (void) snprintf(account, sizeof(account), "new.%u", turn);
        (void) admin_done(admin_account_remove(client, account, NULL));
        (void) snprintf(fact, sizeof(fact), "account %s", account);
        facts_remove(model, fact);
        (void) snprintf(fact, sizeof(fact), "address %s -> %s", address, account);
        facts_remove(model, fact);
        (void) admin_done(
            admin_account_add(client, account_name(domain, 1, account), address, NULL));
        facts_add(model, "account %s", account);
        facts_add(model, "address %s -> %s", address, account);
    }
    mxadm_client_close(client);
}

/* A list that a restart interrupts has to be begun anew, and says so. */
static void restart_amid_list(struct daemon *daemon)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);
    Mxadm__V1__AccountListRequest request = MXADM__V1__ACCOUNT_LIST_REQUEST__INIT;
    mxadm_result *first = admin_call(client, "AccountList", &request.base, NULL);
    const Mxadm__V1__AccountListResponse *page =
        (const Mxadm__V1__AccountListResponse *) mxadm_result_response(first);

    CHECK(page != NULL && *page->next_page_token != '\0', "%s", mxadm_result_message(first));
    daemon_kill(daemon);
    daemon_start(daemon);
    request.page_token = page->next_page_token;
    admin_refused(admin_call(client, "AccountList", &request.base, NULL), "PAGE_TOKEN_EXPIRED");
    mxadm_result_free(first);
    mxadm_client_close(client);
}

/* -------------------------------------------------------------------- keys */

static size_t count_old_keys(const struct daemon *daemon)
{
    DIR *dir = opendir(daemon_path(daemon, "keys/dkim/old"));
    struct dirent *entry;
    size_t count = 0;

    CHECK(dir != NULL, "no directory for old keys");
    while ((entry = readdir(dir)) != NULL) {
        count += strstr(entry->d_name, "._domainkey.") != NULL ? 1 : 0;
    }
    (void) closedir(dir);
    return count;
}

static void check_keys(const struct daemon *daemon, size_t keys, size_t old_keys)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);
    size_t count = admin_check_keys(client, daemon_path(daemon, "keys"));

    CHECK(count == keys, "%zu keys, not %zu", count, keys);
    count = count_old_keys(daemon);
    CHECK(count == old_keys, "%zu old keys, not %zu", count, old_keys);
    mxadm_client_close(client);
}

/* --------------------------------------------------------------------- run */

static void tell(const char *what)
{
    (void) printf("%s\n", what);
    (void) fflush(stdout);
}

static void restart(struct daemon *daemon)
{
    CHECK(daemon_stop(daemon) == DAEMON_EXIT_OK, "it did not end well");
    daemon_start(daemon);
}

static void add_domains(struct daemon *daemon, struct facts *model, unsigned from, unsigned to)
{
    run_phase(&(struct phase){ daemon, from, to, 1, add_domain });
    for (unsigned domain = from; domain < to; domain++) {
        domain_facts(model, domain);
    }
}

/* Every second one. */
static void remove_half(struct daemon *daemon, struct facts *model)
{
    run_phase(&(struct phase){ daemon, 1, DOMAINS, 2, remove_domain });
    for (unsigned domain = 1; domain < DOMAINS; domain += 2) {
        struct facts gone = { 0 };

        domain_facts(&gone, domain);
        facts_remove_all(model, &gone);
        facts_fini(&gone);
    }
}

int main(void)
{
    struct facts model = { 0 };
    struct daemon daemon;
    unsigned changes;

    daemon_init(&daemon, settings);
    daemon_start(&daemon);
    add_domains(&daemon, &model, 0, DOMAINS / 2);
    check_model(&daemon, &model);
    restart(&daemon);
    check_model(&daemon, &model);
    tell("half of the domains are there, also after a restart");

    add_domains(&daemon, &model, DOMAINS / 2, DOMAINS);
    run_phase(&(struct phase){ &daemon, 0, DOMAINS, 1, add_again });
    daemon_kill(&daemon);
    daemon_start(&daemon);
    check_model(&daemon, &model);
    check_keys(&daemon, (size_t) 2 * DOMAINS, 0);
    tell("all domains are there, also after a kill");

    run_phase(&(struct phase){ &daemon, 0, DOMAINS, 1, look_up });
    tell("all addresses are found in all spellings");

    changes = list_while_changing(&daemon, &model);
    check_model(&daemon, &model);
    undo_changes(&daemon, &model, changes);
    restart_amid_list(&daemon);
    check_model(&daemon, &model);
    tell("a list is of one moment");

    remove_half(&daemon, &model);
    check_model(&daemon, &model);
    daemon_kill(&daemon);
    daemon_start(&daemon);
    check_model(&daemon, &model);
    check_keys(&daemon, DOMAINS, DOMAINS);
    run_phase(&(struct phase){ &daemon, 0, DOMAINS, 2, look_up });
    tell("half is gone, the other half as it was");

    CHECK(daemon_stop(&daemon) == DAEMON_EXIT_OK, "it did not end well");
    facts_fini(&model);
    daemon_fini(&daemon);
    return 0;
}
