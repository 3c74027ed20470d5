#include "bench/seeded.h"

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/envelope.h"
#include "bench/seed.h"
#include "mxadm/v1/admin.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#define MESSAGE_MAX 1024
/* A prefix that a list is asked for has so many accounts at least. */
#define PREFIX_ACCOUNTS (SEEDED_PAGE + 28)

/* ---------------------------------------------------------------- requests */

static const struct {
    const char *name;
    bool is_change;
} calls[] = {
    [SEEDED_ACCOUNT_ADD] = { "AccountAdd", true },
    [SEEDED_ADDRESS_ADD] = { "AddressAdd", true },
    [SEEDED_ALIAS_ADD] = { "AliasAdd", true },
    [SEEDED_MEMBER_ADD] = { "AliasAddressesAdd", true },
    [SEEDED_ACCOUNT_SAVE] = { "AccountSave", true },
    [SEEDED_ACCOUNT_REMOVE] = { "AccountRemove", true },
    [SEEDED_ADDRESS_REMOVE] = { "AddressRemove", true },
    [SEEDED_DOMAIN_ADD] = { "DomainAdd", true },
    [SEEDED_DOMAIN_SAVE] = { "DomainSave", true },
    [SEEDED_ADDRESS_LOOKUP] = { "AddressLookup", false },
    [SEEDED_ACCOUNT_LIST] = { "AccountList", false },
    [SEEDED_CHANGE_LIST] = { "ChangeList", false },
};

const char *seeded_call_name(enum seeded_call call)
{
    return calls[call].name;
}

bool seeded_is_change(enum seeded_call call)
{
    return calls[call].is_change;
}

/* Any of `count`, another one for each purpose. */
static uint64_t any(uint64_t number, uint64_t purpose, uint64_t count)
{
    uint64_t bits = bench_scramble(number + (purpose << 40));

    bits = (bits ^ (bits >> 31)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (bits >> 20) % count;
}

static void any_address(const struct seeded *seeded, uint64_t number, char *text)
{
    seed_address(seeded->accounts, any(number, 1, seeded->accounts), text);
}

/* A new address at any domain: `kind` is its last letter. */
static void new_address(const struct seeded *seeded, uint64_t number, char kind, char *text)
{
    char domain[SEED_NAME_MAX];

    seed_domain(seeded->accounts, any(number, 2, seeded->accounts), domain);
    (void) snprintf(text, SEED_NAME_MAX, "u%010" PRIx64 "%c@%.40s",
                    bench_scramble(number) % SEED_SPACE, kind, domain);
}

static size_t pack_account_add(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AccountAddRequest request = MXADM__V1__ACCOUNT_ADD_REQUEST__INIT;
    char address[SEED_NAME_MAX];
    char account[SEED_NAME_MAX];

    new_address(seeded, number, 'n', address);
    (void) snprintf(account, sizeof(account), "%.*s", (int) strcspn(address, "@"), address);
    request.account = account;
    request.address = address;
    return mxadm__v1__account_add_request__pack(&request, room);
}

static size_t pack_account_remove(uint64_t number, uint8_t *room)
{
    Mxadm__V1__AccountRemoveRequest request = MXADM__V1__ACCOUNT_REMOVE_REQUEST__INIT;
    char account[SEED_NAME_MAX];

    (void) snprintf(account, sizeof(account), "u%010" PRIx64 "n",
                    bench_scramble(number) % SEED_SPACE);
    request.account = account;
    return mxadm__v1__account_remove_request__pack(&request, room);
}

static size_t pack_address_add(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AddressAddRequest request = MXADM__V1__ADDRESS_ADD_REQUEST__INIT;
    char address[SEED_NAME_MAX];
    char account[SEED_NAME_MAX];

    new_address(seeded, number, 'x', address);
    seed_account(seeded->accounts, any(number, 3, seeded->accounts), account);
    request.address = address;
    request.account = account;
    return mxadm__v1__address_add_request__pack(&request, room);
}

static size_t pack_address_remove(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AddressRemoveRequest request = MXADM__V1__ADDRESS_REMOVE_REQUEST__INIT;
    char address[SEED_NAME_MAX];

    new_address(seeded, number, 'x', address);
    request.address = address;
    return mxadm__v1__address_remove_request__pack(&request, room);
}

static size_t pack_alias_add(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AliasAddRequest request = MXADM__V1__ALIAS_ADD_REQUEST__INIT;
    char address[SEED_NAME_MAX];
    char member[SEED_NAME_MAX];
    char *members[] = { member };

    new_address(seeded, number, 'l', address);
    any_address(seeded, number, member);
    request.address = address;
    request.members = members;
    request.n_members = 1;
    return mxadm__v1__alias_add_request__pack(&request, room);
}

static size_t pack_member_add(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AliasAddressesAddRequest request = MXADM__V1__ALIAS_ADDRESSES_ADD_REQUEST__INIT;
    char address[SEED_NAME_MAX];
    char member[SEED_NAME_MAX];
    char *members[] = { member };

    seed_alias(seeded->accounts, any(number, 4, seeded->accounts), address);
    new_address(seeded, number, 'x', member);
    request.address = address;
    request.members = members;
    request.n_members = 1;
    return mxadm__v1__alias_addresses_add_request__pack(&request, room);
}

static char *description_path[] = { (char *) "description" };

static size_t pack_account_save(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AccountSaveRequest request = MXADM__V1__ACCOUNT_SAVE_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Mxadm__V1__Account account = MXADM__V1__ACCOUNT__INIT;
    char name[SEED_NAME_MAX];
    char description[SEED_NAME_MAX];

    seed_account(seeded->accounts, any(number, 5, seeded->accounts), name);
    (void) snprintf(description, sizeof(description), "saved by call %020" PRIu64, number);
    mask.paths = description_path;
    mask.n_paths = 1;
    account.name = name;
    account.description = description;
    request.account = &account;
    request.update_mask = &mask;
    return mxadm__v1__account_save_request__pack(&request, room);
}

static size_t pack_domain_save(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__DomainSaveRequest request = MXADM__V1__DOMAIN_SAVE_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Mxadm__V1__Domain domain = MXADM__V1__DOMAIN__INIT;
    char name[SEED_NAME_MAX];
    char description[SEED_NAME_MAX];

    seed_domain(seeded->accounts, any(number, 6, seeded->accounts), name);
    (void) snprintf(description, sizeof(description), "saved by call %020" PRIu64, number);
    mask.paths = description_path;
    mask.n_paths = 1;
    domain.name = name;
    domain.description = description;
    request.domain = &domain;
    request.update_mask = &mask;
    return mxadm__v1__domain_save_request__pack(&request, room);
}

static size_t pack_domain_add(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__DomainAddRequest request = MXADM__V1__DOMAIN_ADD_REQUEST__INIT;
    char domain[SEED_NAME_MAX];
    char account[SEED_NAME_MAX];

    (void) snprintf(domain, sizeof(domain), "d%010" PRIx64 "n.example",
                    bench_scramble(number) % SEED_SPACE);
    seed_account(seeded->accounts, any(number, 7, seeded->accounts), account);
    request.domain = domain;
    request.account = account;
    return mxadm__v1__domain_add_request__pack(&request, room);
}

static size_t pack_address_lookup(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AddressLookupRequest request = MXADM__V1__ADDRESS_LOOKUP_REQUEST__INIT;
    char address[SEED_NAME_MAX];

    any_address(seeded, number, address);
    request.address = address;
    return mxadm__v1__address_lookup_request__pack(&request, room);
}

/* The accounts of a prefix, anywhere, that has enough of them. */
static size_t pack_account_list(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__AccountListRequest request = MXADM__V1__ACCOUNT_LIST_REQUEST__INIT;
    char prefix[SEED_NAME_MAX];
    uint64_t left = seeded->accounts;
    size_t len = 1;

    for (; left / 16 >= PREFIX_ACCOUNTS; left /= 16) {
        len++;
    }
    seed_account(seeded->accounts, any(number, 8, seeded->accounts), prefix);
    prefix[len] = '\0';
    request.prefix = prefix;
    request.page_size = SEEDED_PAGE;
    return mxadm__v1__account_list_request__pack(&request, room);
}

static size_t pack_change_list(const struct seeded *seeded, uint64_t number, uint8_t *room)
{
    Mxadm__V1__ChangeListRequest request = MXADM__V1__CHANGE_LIST_REQUEST__INIT;

    bench_check(seeded->revisions > SEEDED_PAGE, "no changes to list");
    request.after_revision = seeded->first + any(number, 9, seeded->revisions - SEEDED_PAGE);
    request.page_size = SEEDED_PAGE;
    return mxadm__v1__change_list_request__pack(&request, room);
}

static size_t pack_message(const struct seeded_load *load, uint64_t number, uint8_t *room)
{
    switch (load->call) {
    case SEEDED_ACCOUNT_ADD:
        return pack_account_add(load->seeded, number, room);
    case SEEDED_ADDRESS_ADD:
        return pack_address_add(load->seeded, number, room);
    case SEEDED_ALIAS_ADD:
        return pack_alias_add(load->seeded, number, room);
    case SEEDED_MEMBER_ADD:
        return pack_member_add(load->seeded, number, room);
    case SEEDED_ACCOUNT_SAVE:
        return pack_account_save(load->seeded, number, room);
    case SEEDED_ACCOUNT_REMOVE:
        return pack_account_remove(number, room);
    case SEEDED_ADDRESS_REMOVE:
        return pack_address_remove(load->seeded, number, room);
    case SEEDED_DOMAIN_ADD:
        return pack_domain_add(load->seeded, number, room);
    case SEEDED_DOMAIN_SAVE:
        return pack_domain_save(load->seeded, number, room);
    case SEEDED_ADDRESS_LOOKUP:
        return pack_address_lookup(load->seeded, number, room);
    case SEEDED_ACCOUNT_LIST:
        return pack_account_list(load->seeded, number, room);
    case SEEDED_CHANGE_LIST:
        return pack_change_list(load->seeded, number, room);
    case SEEDED_CALLS:
        break;
    }
    return 0;
}

size_t seeded_request(const struct load *load, uint64_t number, uint8_t *room)
{
    const struct seeded_load *seeded = load->context;
    bool is_change = calls[seeded->call].is_change;
    uint8_t message[MESSAGE_MAX];
    char method[SEED_NAME_MAX];

    (void) snprintf(method, sizeof(method), "mxadm.v1.Admin/%s", calls[seeded->call].name);
    return envelope_pack(method, message, pack_message(seeded, number, message),
                         is_change ? &(struct envelope_id){ number, seeded->call } : NULL, room);
}

struct load_result seeded_run(struct seeded *seeded, enum seeded_call call, unsigned clients,
                              uint64_t count)
{
    struct seeded_load context = { seeded, call };
    struct load load = { .path = seeded->socket,
                         .connections = clients,
                         .outstanding = clients,
                         .make = seeded_request,
                         .context = &context,
                         .first = seeded->next[call],
                         .calls = count };
    struct load_result result;

    process_run(load_run, &load, &result, sizeof(result));
    seeded->next[call] = result.next;
    seeded->revisions += calls[call].is_change ? count : 0;
    return result;
}

/* -------------------------------------------------------------------- life */

static void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat about = { 0 };
    off_t at = 0;

    bench_check(in >= 0 && out >= 0 && fstat(in, &about) == 0, "can't copy a seed");
    while (at < about.st_size) {
        bench_check(sendfile(out, in, &at, (size_t) (about.st_size - at)) > 0, "can't copy a seed");
    }
    bench_check(fsync(out) == 0 && close(out) == 0 && close(in) == 0, "can't copy a seed");
}

/* What is kept is made beside its place first, so that it is whole or not there. */
static void make_kept(const char *kept, const char *directory, uint64_t accounts)
{
    char made[PATH_MAX + 16];
    char path[PATH_MAX];

    (void) snprintf(path, sizeof(path), "%s/%" PRIu64 ".db", kept, accounts);
    if (access(path, R_OK) == 0) {
        return;
    }
    (void) fprintf(stderr, "bench: seeding %" PRIu64 " accounts\n", accounts);
    bench_check(mkdir(kept, 0700) == 0 || errno == EEXIST, "can't make the directory of seeds");
    seed_make(directory, accounts);
    (void) snprintf(made, sizeof(made), "%s/mxadm.db", directory);
    bench_check(rename(made, path) == 0, "can't keep a seed");
}

static void make_database(const struct seeded *seeded, const char *kept)
{
    char from[PATH_MAX];
    char to[PATH_MAX + 16];

    if (kept == NULL) {
        seed_make(seeded->state, seeded->accounts);
        return;
    }
    make_kept(kept, seeded->state, seeded->accounts);
    (void) snprintf(from, sizeof(from), "%s/%" PRIu64 ".db", kept, seeded->accounts);
    (void) snprintf(to, sizeof(to), "%s/mxadm.db", seeded->state);
    copy_file(from, to);
}

void seeded_init(struct seeded *seeded, const char *program, const char *directory,
                 const char *kept, uint64_t accounts, const char *more)
{
    FILE *file;

    memset(seeded, 0, sizeof(*seeded));
    seeded->program = program;
    seeded->accounts = accounts;
    seeded->first = (accounts + SEED_BLOCK - 1) / SEED_BLOCK;
    (void) snprintf(seeded->state, sizeof(seeded->state), "%s/%" PRIu64, directory, accounts);
    (void) snprintf(seeded->settings, sizeof(seeded->settings), "%s.yaml", seeded->state);
    (void) snprintf(seeded->socket, sizeof(seeded->socket), "%s.sock", seeded->state);
    bench_check(mkdir(seeded->state, 0700) == 0, "can't make a state directory");
    make_database(seeded, kept);
    file = fopen(seeded->settings, "we");
    bench_check(file != NULL &&
                    fprintf(file,
                            "urls: [\"ipc://%s\"]\nstate_directory: \"%s\"\n"
                            "host_name: mail.host.example\n%s",
                            seeded->socket, seeded->state, more) > 0 &&
                    fclose(file) == 0,
                "can't write settings");
}

double seeded_start(struct seeded *seeded)
{
    int64_t begun_us = clock_mono_us();

    seeded->pid = process_start_daemon(seeded->program, seeded->settings);
    load_await(seeded->socket);
    (void) seeded_run(seeded, SEEDED_ADDRESS_LOOKUP, 1, 1);
    return (double) (clock_mono_us() - begun_us) / 1e6;
}

double seeded_stop(struct seeded *seeded)
{
    int64_t begun_us = clock_mono_us();

    process_end(seeded->pid);
    seeded->pid = 0;
    return (double) (clock_mono_us() - begun_us) / 1e6;
}

/* ---------------------------------------------------------------- looking at */

uint64_t seeded_memory(const struct seeded *seeded)
{
    uint64_t kib = 0;
    char path[64];
    char line[256];
    FILE *file;

    (void) snprintf(path, sizeof(path), "/proc/%ld/status", (long) seeded->pid);
    file = fopen(path, "re");
    bench_check(file != NULL, "the daemon is gone");
    while (fgets(line, sizeof(line), file) != NULL && sscanf(line, "RssAnon: %" SCNu64, &kib) < 1) {
    }
    (void) fclose(file);
    return kib * 1024;
}

/* Reads every byte of a value. */
static uint64_t read_bytes(sqlite3_stmt *statement, int column, uint64_t *sum)
{
    const uint8_t *bytes = sqlite3_column_blob(statement, column);
    int len = sqlite3_column_bytes(statement, column);

    for (int i = 0; i < len; i++) {
        *sum += bytes[i];
    }
    return (uint64_t) len;
}

struct seeded_scan seeded_scan(const struct seeded *seeded)
{
    struct seeded_scan scan = { 0 };
    int64_t begun_us = clock_mono_us();
    sqlite3_stmt *statement = NULL;
    char path[PATH_MAX + 16];
    sqlite3 *db = NULL;
    uint64_t sum = 0;

    (void) snprintf(path, sizeof(path), "%s/mxadm.db", seeded->state);
    bench_check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
                    sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL) ==
                        SQLITE_OK &&
                    sqlite3_prepare_v2(db, "SELECT key, value FROM record ORDER BY key", -1,
                                       &statement, NULL) == SQLITE_OK,
                "can't scan");
    while (sqlite3_step(statement) == SQLITE_ROW) {
        scan.rows++;
        scan.key_bytes += read_bytes(statement, 0, &sum);
        scan.value_bytes += read_bytes(statement, 1, &sum);
    }
    (void) sqlite3_finalize(statement);
    bench_check(sqlite3_close(db) == SQLITE_OK && sum > 0, "can't scan");
    scan.seconds = (double) (clock_mono_us() - begun_us) / 1e6;
    return scan;
}
