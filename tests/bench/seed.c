#include "bench/seed.h"

#include "base/clock.h"
#include "bench/bench.h"
#include "db/backend_sqlite.h"
#include "model/account.h"
#include "model/address.h"
#include "model/alias.h"
#include "model/consistency.h"
#include "model/domain.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "settings/settings.h"
#include "store/store.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Changes of one commit: some ten megabytes, a small part of what a commit takes. */
#define GROUP 16
/* Changes that stay in the history; each is as large as the records that it made. */
#define HISTORY 2
/* Progress is told each so many accounts. */
#define TELL UINT64_C(1000000)

/* ------------------------------------------------------------------- names */

/* Bits that look random: the finalizer of splitmix64. */
static uint64_t mix(uint64_t number)
{
    uint64_t bits = number + UINT64_C(0x9e3779b97f4a7c15);

    bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
    return bits ^ (bits >> 31);
}

static uint64_t blocks_of(uint64_t accounts)
{
    return (accounts + SEED_BLOCK - 1) / SEED_BLOCK;
}

/* Each sweep has its remainder modulo SEED_SWEEPS: no name is there twice. */
static uint64_t point(uint64_t accounts, uint64_t number, bool of_block)
{
    uint64_t a_sweep = (blocks_of(accounts) + SEED_SWEEPS - 1) / SEED_SWEEPS;
    uint64_t block = number / SEED_BLOCK;
    uint64_t cell = SEED_SPACE / a_sweep / SEED_BLOCK;
    uint64_t start = (block % a_sweep) * (SEED_SPACE / a_sweep);
    uint64_t within =
        of_block ? 0 : (number % SEED_BLOCK) * cell + mix(number) % (cell - SEED_SWEEPS);

    return (start + within) / SEED_SWEEPS * SEED_SWEEPS + block / a_sweep;
}

void seed_account(uint64_t accounts, uint64_t number, char name_out[SEED_NAME_MAX])
{
    (void) snprintf(name_out, SEED_NAME_MAX, "u%010" PRIx64, point(accounts, number, false));
}

void seed_domain(uint64_t accounts, uint64_t number, char name_out[SEED_NAME_MAX])
{
    (void) snprintf(name_out, SEED_NAME_MAX, "d%010" PRIx64 ".example",
                    point(accounts, number, true));
}

void seed_address(uint64_t accounts, uint64_t number, char text_out[SEED_NAME_MAX])
{
    (void) snprintf(text_out, SEED_NAME_MAX, "u%010" PRIx64 "@d%010" PRIx64 ".example",
                    point(accounts, number, false), point(accounts, number, true));
}

void seed_alias(uint64_t accounts, uint64_t number, char text_out[SEED_NAME_MAX])
{
    (void) snprintf(text_out, SEED_NAME_MAX, "list%" PRIu64 "@d%010" PRIx64 ".example",
                    number % SEED_ALIASES, point(accounts, number, true));
}

/* ------------------------------------------------- a backend that shows nothing */

/* For a store that appends to what it has not read: it is at the newest position, and empty. */
struct blind {
    struct backend backend;
    struct backend *real;
};

static struct backend *real_of(struct backend *backend)
{
    return ((struct blind *) backend)->real;
}

static void blind_limits(struct backend *backend, struct backend_limits *limits_out)
{
    real_of(backend)->ops->limits(real_of(backend), limits_out);
}

static enum backend_result blind_load(struct backend *backend, backend_record_fn record,
                                      void *context, struct position *position_out,
                                      struct mx_error *err)
{
    (void) record;
    (void) context;
    return real_of(backend)->ops->barrier(real_of(backend), position_out, err);
}

static enum backend_result blind_commit(struct backend *backend, const struct position *expected,
                                        const struct backend_request *requests, size_t count,
                                        int64_t deadline_ms, struct position *position_out,
                                        size_t *replay_index, struct mx_error *err)
{
    return real_of(backend)->ops->commit(real_of(backend), expected, requests, count, deadline_ms,
                                         position_out, replay_index, err);
}

static enum backend_result blind_reopen(struct backend *backend, struct mx_error *err)
{
    return real_of(backend)->ops->reopen(real_of(backend), err);
}

static enum backend_result blind_barrier(struct backend *backend, struct position *position_out,
                                         struct mx_error *err)
{
    return real_of(backend)->ops->barrier(real_of(backend), position_out, err);
}

static const struct backend_ops blind_ops = {
    .name = "blind",
    .limits = blind_limits,
    .load = blind_load,
    .commit = blind_commit,
    .reopen = blind_reopen,
    .barrier = blind_barrier,
};

/* ------------------------------------------------------------------ a block */

struct seeding {
    uint64_t accounts;
    struct backend *backend;
    struct settings *settings;
    struct arena *arena;
    struct status status;
    struct model model; /* of the block that is being made */
    struct name_domain name;
    Mxadm__V1__Domain *domain;
};

static void check(const struct mx_error *err, enum mx_code code)
{
    if (code != MX_OK) {
        bench_fail("%s", err->message);
    }
}

/* The names are good and the rules kept, or the tool is wrong. */
static void check_status(const struct seeding *seeding)
{
    if (!status_ok(&seeding->status)) {
        bench_fail("%s", seeding->status.message);
    }
}

static void put_account(struct seeding *seeding, const char *name)
{
    struct record_key key = record_key(RECORD_ACCOUNT, name, NULL);

    (void) record_put(&seeding->model, RECORD_ACCOUNT, &key,
                      &account_template(&seeding->model, name, seeding->name.name)->base);
}

static void put_address(struct seeding *seeding, const char *name)
{
    struct name_address address = { .localpart = name, .domain = seeding->name };

    (void) address_put(&seeding->model, seeding->domain, &address,
                       address_new(&seeding->model, seeding->domain, &address, name,
                                   MXADM__V1__ADDRESS__KIND__KIND_ORDINARY));
}

/* With the account that its reports go to, as DomainAdd does; that has its address then, too. */
static void put_domain(struct seeding *seeding, uint64_t first)
{
    char name[SEED_NAME_MAX];
    char account[SEED_NAME_MAX];

    seed_domain(seeding->accounts, first, name);
    seed_account(seeding->accounts, first, account);
    bench_check(name_parse_domain(seeding->arena, name, &seeding->name) == NULL, "a bad domain");
    put_account(seeding, account);
    seeding->domain =
        domain_template(&seeding->model, &seeding->name, arena_strdup(seeding->arena, account));
    (void) domain_save(&seeding->model, NULL, seeding->domain, "domain");
    check_status(seeding);
    put_address(seeding, account);
}

static void put_alias(struct seeding *seeding, uint64_t first, uint64_t count, uint64_t which)
{
    struct model *model = &seeding->model;
    struct alias_member_list members;
    char texts[SEED_MEMBERS][SEED_NAME_MAX];
    char *list[SEED_MEMBERS];
    char text[SEED_NAME_MAX];
    struct name_address address;
    struct record_key key;
    Mxadm__V1__Alias *alias;
    size_t len = count < SEED_MEMBERS ? count : SEED_MEMBERS;

    for (size_t i = 0; i < len; i++) {
        seed_address(seeding->accounts, first + (which * SEED_MEMBERS + i) % count, texts[i]);
        list[i] = texts[i];
    }
    seed_alias(seeding->accounts, first + which, text);
    bench_check(name_parse_address(seeding->arena, text, false, &address) == NULL, "a bad alias");
    (void) (alias_read_members(model, "members", list, len, false, &members) &&
            alias_check_addresses(model, &members));
    check_status(seeding);
    alias = alias_new(model, seeding->domain, &address);
    key = alias_key(model, seeding->domain, &address);
    (void) record_put(model, RECORD_ALIAS, &key, &alias->base);
    alias_put_members(model, alias, &key, &members);
}

static void put_block(struct seeding *seeding, uint64_t first, uint64_t count)
{
    struct arena_mark mark;

    put_domain(seeding, first);
    mark = arena_mark(seeding->arena);
    for (uint64_t i = 1; i < count; i++) {
        char name[SEED_NAME_MAX];

        seed_account(seeding->accounts, first + i, name);
        put_account(seeding, name);
        put_address(seeding, name);
        check_status(seeding);
        arena_rewind(seeding->arena, &mark);
    }
    for (uint64_t i = 0; i < SEED_ALIASES && i < count; i++) {
        put_alias(seeding, first, count, i);
        check_status(seeding);
        arena_rewind(seeding->arena, &mark);
    }
}

/* ---------------------------------------------------------------- a commit */

/* As of a batch that somebody on this machine has sent. */
static struct slice pack_head(const struct seeding *seeding)
{
    Mxadm__Internal__V1__ChangeHead head = MXADM__INTERNAL__V1__CHANGE_HEAD__INIT;
    Google__Protobuf__Timestamp time = record_timestamp(seeding->model.now_us);
    uint8_t *packed;

    head.time = &time;
    head.principal = (char *) "uid:0";
    head.method = (char *) "mxadm.v1.Admin/Batch";
    packed = arena_alloc(seeding->arena, mxadm__internal__v1__change_head__get_packed_size(&head));
    return slice_of(packed, mxadm__internal__v1__change_head__pack(&head, packed));
}

static void add_block(struct seeding *seeding, struct store_draft *draft, uint64_t block)
{
    uint64_t first = block * SEED_BLOCK;
    uint64_t left = seeding->accounts - first;
    struct store_request request = { 0 };
    struct mx_error err;
    bool changed = false;

    arena_reset(seeding->arena);
    status_init(&seeding->status, seeding->arena);
    seeding->model = (struct model){ .view = store_draft_view(draft),
                                     .draft = draft,
                                     .arena = seeding->arena,
                                     .status = &seeding->status,
                                     .settings = seeding->settings,
                                     .now_us = clock_wall_us() };
    store_request_begin(draft);
    put_block(seeding, first, left < SEED_BLOCK ? left : SEED_BLOCK);
    request.head = pack_head(seeding);
    check(&err, store_request_keep(draft, &request, &changed, &err));
    bench_check(changed, "a block that changes nothing");
}

static void forget_history(struct backend *backend)
{
    struct position head;
    struct mx_error err;
    bool more = true;

    bench_check(backend->ops->barrier(backend, &head, &err) == BACKEND_OK, "no position");
    while (more && head.revision > HISTORY) {
        bench_check(backend->ops->trim(backend, head.revision - HISTORY + 1, 0, GROUP, &more,
                                       &err) == BACKEND_OK,
                    "can't trim");
    }
}

/* Blocks know nothing of each other: each group has a store of its own, small whatever is there. */
static void commit_group(struct seeding *seeding, uint64_t begin, uint64_t end)
{
    struct blind blind = { .backend = { &blind_ops }, .real = seeding->backend };
    struct store_draft *draft;
    struct store *store = NULL;
    struct mx_error err;

    check(&err, store_open(&blind.backend, NULL, &store, &err));
    draft = store_begin(store);
    bench_check(draft != NULL, "out of memory");
    for (uint64_t block = begin; block < end; block++) {
        add_block(seeding, draft, block);
    }
    check(&err, store_commit(store, &draft, &err));
    store_close(store);
    forget_history(seeding->backend);
}

/* ------------------------------------------------------------------- all of it */

static void begin(struct seeding *seeding, const char *directory, uint64_t accounts)
{
    struct settings_problems problems;
    char path[PATH_MAX];
    struct mx_error err;

    *seeding = (struct seeding){ .accounts = accounts };
    (void) snprintf(path, sizeof(path), "%s/mxadm.db", directory);
    check(&err, backend_sqlite_open(path, &seeding->backend, &err));
    check(&err, settings_parse("", 0, "seed", &seeding->settings, &problems, &err));
    settings_problems_fini(&problems);
    seeding->arena = arena_create(SIZE_MAX);
    bench_check(seeding->arena != NULL, "out of memory");
}

static void end(struct seeding *seeding)
{
    arena_destroy(seeding->arena);
    settings_free(seeding->settings);
    seeding->backend->ops->close(seeding->backend);
}

static void tell(uint64_t done, uint64_t accounts)
{
    if (accounts > TELL && done / TELL != (done - GROUP * SEED_BLOCK) / TELL) {
        (void) fprintf(stderr, "seeded %" PRIu64 " of %" PRIu64 " accounts\n", done, accounts);
    }
}

void seed_make(const char *directory, uint64_t accounts)
{
    uint64_t blocks = blocks_of(accounts);
    struct seeding seeding;
    char path[PATH_MAX];

    (void) snprintf(path, sizeof(path), "%s/mxadm.db", directory);
    bench_check(access(path, F_OK) != 0, "there is a database already");
    begin(&seeding, directory, accounts);
    for (uint64_t block = 0; block < blocks; block += GROUP) {
        uint64_t behind = block + GROUP;

        commit_group(&seeding, block, behind < blocks ? behind : blocks);
        if (behind <= blocks) {
            tell(behind * SEED_BLOCK, accounts);
        }
    }
    end(&seeding);
}

/* --------------------------------------------------------------------- check */

static bool tell_problem(void *context, const struct consistency_problem *problem)
{
    (void) context;
    bench_fail("%s: %s", problem->field, problem->sentence);
}

void seed_check(const char *directory, uint64_t accounts)
{
    static const struct store_loader loader = { .entry = record_derive_loaded };
    struct record_key all = record_key(RECORD_ACCOUNT, "", NULL);
    struct store_snapshot *snapshot;
    struct store *store = NULL;
    struct seeding seeding;
    struct mx_error err;

    begin(&seeding, directory, accounts);
    check(&err, store_open(seeding.backend, &loader, &store, &err));
    snapshot = store_acquire(store);
    status_init(&seeding.status, seeding.arena);
    seeding.model = (struct model){ .view = store_snapshot_view(snapshot),
                                    .arena = seeding.arena,
                                    .status = &seeding.status,
                                    .settings = seeding.settings };
    bench_check(record_count(&seeding.model, &all) == accounts, "the accounts are not as many");
    bench_check(consistency_check_all(&seeding.model, tell_problem, NULL), "a problem");
    check_status(&seeding);
    store_release(store, snapshot);
    store_close(store);
    end(&seeding);
}
