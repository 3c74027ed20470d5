/*
 * mxadmd: settings -> objects, in the order in which they need each other ->
 * wait for a signal -> undo, in reverse order.
 */
#include "auth/principal.h"
#include "base/clock.h"
#include "base/log.h"
#include "db/backend_sqlite.h"
#include "descriptor_set.h"
#include "handlers/handlers.h"
#include "keys/keydir.h"
#include "keys/pool.h"
#include "keys/vault.h"
#include "model/dkim.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "mxadm/version.h"
#include "net/lock.h"
#include "net/server.h"
#include "rpc/rpc.h"
#include "settings/settings.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A service manager waits longer; a person does not. What is accepted is done within it. */
#define DRAIN_MS 4000
/* One record and its key at a time; reset after each. */
#define RECONCILE_ARENA_BYTES ((size_t) 4 * 1024 * 1024)

enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
    const char *config;
    bool check_config;
};

struct daemon {
    struct settings *settings;
    struct lock *lock;
    struct backend *backend;
    struct store *store;
    struct vault *vault;
    struct key_pool *pool;
    struct keydir *keydir;
    struct auth *auth;
    struct rpc *rpc;
    struct server *server;
};

static const char usage[] =
    "usage: mxadmd [--config FILE] [--check-config]\n"
    "\n"
    "The daemon of mxadm: administers the configuration of mail servers over RPC.\n"
    "\n"
    "  --config FILE    settings (YAML); without: all defaults. See mxadmd.yaml.\n"
    "  --check-config   check the settings, say what is wrong with them, and end\n"
    "  --version        print the version\n"
    "  --help           print this\n"
    "\n"
    "SIGTERM and SIGINT end it: nothing new is accepted, what was accepted is done.\n"
    "Exit codes: 0 done, 1 failed, 2 usage or settings.\n";

/* ------------------------------------------------------------------ start */

static enum mx_code path_in_state(const struct settings *settings, const char *name, char *path,
                                  struct mx_error *err)
{
    int len = snprintf(path, PATH_MAX, "%s/%s", settings->state_directory, name);

    if (len < 0 || len >= PATH_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "state_directory '%s' is too long",
                       settings->state_directory);
    }
    return MX_OK;
}

static enum mx_code make_state_directory(const struct settings *settings, struct mx_error *err)
{
    if (mkdir(settings->state_directory, 0700) != 0 && errno != EEXIST) {
        return mx_fail(err, MX_UNAVAILABLE, "state directory '%s' can't be made: %s",
                       settings->state_directory, strerror(errno));
    }
    return MX_OK;
}

static enum mx_code lock_state(struct daemon *daemon, struct mx_error *err)
{
    char path[PATH_MAX];
    enum mx_code code = make_state_directory(daemon->settings, err);

    if (code == MX_OK) {
        code = path_in_state(daemon->settings, "mxadmd.lock", path, err);
    }
    return code == MX_OK ? lock_acquire(path, &daemon->lock, err) : code;
}

static enum mx_code load_entry(void *context, struct store_draft *draft, struct slice key,
                               struct slice value, struct mx_error *err)
{
    (void) context;
    return record_derive(draft, key, slice_of(NULL, 0), value, err);
}

static enum mx_code load_edit(void *context, struct store_draft *draft,
                              const struct backend_edit *edit, struct mx_error *err)
{
    (void) context;
    return record_derive(draft, slice_of(edit->key, edit->key_len),
                         slice_of(edit->before, edit->before_len),
                         slice_of(edit->after, edit->after_len), err);
}

static enum mx_code open_store(struct daemon *daemon, struct mx_error *err)
{
    static const struct store_loader loader = { .entry = load_entry, .edit = load_edit };
    char path[PATH_MAX];
    enum mx_code code = path_in_state(daemon->settings, "mxadm.db", path, err);

    if (code == MX_OK) {
        code = backend_sqlite_open(path, &daemon->backend, err);
    }
    return code == MX_OK ? store_open(daemon->backend, &loader, &daemon->store, err) : code;
}

/* The wrapped data key is in the store once it has sealed something. */
static enum mx_code open_vault(struct daemon *daemon, struct mx_error *err)
{
    const char *named = daemon->settings->keys.key_encryption_key_file;
    struct store_snapshot *snapshot = store_acquire(daemon->store);
    struct record_key key = record_key(RECORD_VAULT_KEY, NULL, NULL);
    Mxadm__Internal__V1__VaultKey *record = NULL;
    struct slice packed;
    char path[PATH_MAX];
    enum mx_code code = path_in_state(daemon->settings, "kek", path, err);

    if (store_get(store_snapshot_view(snapshot), record_slice(&key), &packed)) {
        record = mxadm__internal__v1__vault_key__unpack(NULL, packed.len, packed.data);
        if (record == NULL) {
            code = mx_fail(err, MX_DATA_LOSS, "the stored data key is damaged");
        }
    }
    if (code == MX_OK) {
        code = vault_open(named == NULL ? path : named, named == NULL && record == NULL,
                          record == NULL ? NULL : record->wrapped.data,
                          record == NULL ? 0 : record->wrapped.len, &daemon->vault, err);
    }
    mxadm__internal__v1__vault_key__free_unpacked(record, NULL);
    store_release(daemon->store, snapshot);
    return code;
}

static enum mx_code start_pool(struct daemon *daemon, struct mx_error *err)
{
    const struct settings *settings = daemon->settings;
    struct key_pool_settings pool = { .threads = settings->keys.threads,
                                      .waiters_max = settings->keys.waiters_max };
    const struct settings_pool_kind *kinds[KEY_KINDS] = { [KEY_RSA2048] = &settings->keys.rsa2048,
                                                          [KEY_RSA3072] = &settings->keys.rsa3072,
                                                          [KEY_RSA4096] = &settings->keys.rsa4096,
                                                          [KEY_ED25519] = &settings->keys.ed25519 };

    for (int kind = KEY_RSA2048; kind < KEY_KINDS; kind++) {
        pool.kinds[kind].low = kinds[kind]->low;
        pool.kinds[kind].high = kinds[kind]->high;
    }
    return key_pool_create(&pool, &daemon->pool, err);
}

/* ----------------------------------------------------------- key directory */

static enum mx_code write_missing_key(struct daemon *daemon, struct model *model,
                                      struct keydir_reconcile *reconcile,
                                      const Mxadm__V1__DkimSelector *selector, struct mx_error *err)
{
    struct name_domain domain = { "", "" };
    struct secret pem = { NULL, 0 };
    struct key *key = dkim_unseal(model, daemon->vault, selector->domain, selector->name);
    enum mx_code code;

    if (key == NULL) {
        return mx_fail(err, model->status->code, "%s", model->status->message);
    }
    (void) name_parse_domain(model->arena, selector->domain, &domain);
    code = key_pem(key, selector->ascii_name, domain.ascii, clock_wall_us(), &pem, err);
    if (code == MX_OK) {
        code = keydir_reconcile_write(reconcile, selector->key_file, &pem, err);
    }
    secret_free(&pem);
    key_destroy(key);
    return code;
}

/* Each selector's key has its file; returns how many were missing. */
static enum mx_code reconcile_keys(struct daemon *daemon, struct keydir_reconcile *reconcile,
                                   struct model *model, unsigned *written_out, struct mx_error *err)
{
    struct record_key range = record_prefix(RECORD_DKIM_SELECTOR, NULL);
    struct store_cursor cursor;
    struct store_entry entry;
    enum mx_code code = MX_OK;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (code == MX_OK && store_cursor_next(&cursor, &entry)) {
        Mxadm__V1__DkimSelector *selector = record_unpack(model, RECORD_DKIM_SELECTOR, entry.value);

        if (selector->public_key_sha256.len == DIGEST_SIZE &&
            !keydir_reconcile_has(reconcile, selector->key_file,
                                  selector->public_key_sha256.data)) {
            code = write_missing_key(daemon, model, reconcile, selector, err);
            (*written_out)++;
        }
        arena_reset(model->arena);
        status_init(model->status, model->arena);
    }
    return code;
}

static enum mx_code put_keys_right(struct daemon *daemon, struct mx_error *err)
{
    struct arena *arena = arena_create(RECONCILE_ARENA_BYTES);
    struct store_snapshot *snapshot = store_acquire(daemon->store);
    struct keydir_reconcile *reconcile = NULL;
    struct status status;
    struct model model = { .view = store_snapshot_view(snapshot),
                           .arena = arena,
                           .status = &status,
                           .settings = daemon->settings };
    unsigned written = 0;
    unsigned moved = 0;
    unsigned deleted = 0;
    enum mx_code code = MX_OK;

    if (arena == NULL) {
        code = mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    if (code == MX_OK) {
        status_init(&status, arena);
        code = keydir_reconcile_begin(daemon->keydir, &reconcile, err);
    }
    if (code == MX_OK) {
        struct mx_error end;

        code = reconcile_keys(daemon, reconcile, &model, &written, err);
        if (keydir_reconcile_end(reconcile, &moved, &deleted, &end) != MX_OK && code == MX_OK) {
            *err = end;
            code = end.code;
        }
    }
    if (code == MX_OK && written + moved + deleted > 0) {
        log_write(LOG_WARNING, "key_directory_put_right", LOG_NUMBER("written", written),
                  LOG_NUMBER("moved", moved), LOG_NUMBER("deleted", deleted));
    }
    store_release(daemon->store, snapshot);
    arena_destroy(arena);
    return code;
}

static enum mx_code open_keydir(struct daemon *daemon, struct mx_error *err)
{
    const struct settings *settings = daemon->settings;
    gid_t gid = (gid_t) -1;
    enum mx_code code;

    if (settings->keys.directory == NULL) {
        return MX_OK;
    }
    if (settings->keys.group != NULL) {
        const struct group *group = getgrnam(settings->keys.group);

        if (group == NULL) {
            return mx_fail(err, MX_INVALID_ARGUMENT, "keys.group: there is no group '%s'",
                           settings->keys.group);
        }
        gid = group->gr_gid;
    }
    code = keydir_open(settings->keys.directory, gid, &daemon->keydir, err);
    return code == MX_OK ? put_keys_right(daemon, err) : code;
}

/* ----------------------------------------------------------------- serving */

static enum mx_code start_rpc(struct daemon *daemon, struct mx_error *err)
{
    struct rpc_config config = { .settings = daemon->settings,
                                 .backend = daemon->backend,
                                 .store = daemon->store,
                                 .pool = daemon->pool,
                                 .vault = daemon->vault,
                                 .keydir = daemon->keydir,
                                 .auth = daemon->auth,
                                 .tables = handlers,
                                 .table_count = handlers_count,
                                 .version = MXADM_VERSION_STRING,
                                 .descriptor_set = slice_of(descriptor_set, descriptor_set_len) };

    return rpc_create(&config, &daemon->rpc, err);
}

static enum mx_code start(struct daemon *daemon, struct mx_error *err)
{
    enum mx_code code = auth_create(daemon->settings, &daemon->auth, err);

    if (code == MX_OK) {
        code = lock_state(daemon, err);
    }
    if (code == MX_OK) {
        code = open_store(daemon, err);
    }
    if (code == MX_OK) {
        code = open_vault(daemon, err);
    }
    if (code == MX_OK) {
        code = open_keydir(daemon, err);
    }
    if (code == MX_OK) {
        code = start_pool(daemon, err);
    }
    if (code == MX_OK) {
        code = start_rpc(daemon, err);
    }
    if (code == MX_OK) {
        code = server_start(daemon->settings, NULL, daemon->rpc, &daemon->server, err);
    }
    return code;
}

/* What was accepted is done and its answers leave; only then does the transport end, which alone
 * could still call the dispatcher; then goes what that stood on. */
static void stop_serving(struct daemon *daemon)
{
    int64_t deadline_ms = clock_mono_ms() + DRAIN_MS;
    bool drained = daemon->rpc == NULL || rpc_drain(daemon->rpc, deadline_ms);
    bool ended = true;

    if (daemon->server != NULL) {
        int64_t left_ms = deadline_ms - clock_mono_ms();

        drained = server_drain(daemon->server, left_ms > 0 ? left_ms : 0) && drained;
        ended = server_stop(daemon->server);
    }
    if (!drained) {
        log_write(LOG_WARNING, "drain_incomplete", LOG_NUMBER("ms", DRAIN_MS));
    }
    rpc_stop(daemon->rpc);
    keydir_close(daemon->keydir);
    key_pool_destroy(daemon->pool);
    rpc_destroy(daemon->rpc);
    server_destroy(daemon->server);
    if (ended) {
        server_library_fini();
    }
}

static void stop(struct daemon *daemon)
{
    stop_serving(daemon);
    vault_close(daemon->vault);
    store_close(daemon->store);
    if (daemon->backend != NULL) {
        daemon->backend->ops->close(daemon->backend);
    }
    lock_release(daemon->lock);
    auth_destroy(daemon->auth);
}

/* ------------------------------------------------------------------- main */

/* Private keys pass through this process: nothing of it goes to disk by itself. */
static void protect_memory(void)
{
    const struct rlimit none = { 0, 0 };

    (void) setrlimit(RLIMIT_CORE, &none);
    (void) prctl(PR_SET_DUMPABLE, 0);
    (void) umask(0077);
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = { { "config", required_argument, NULL, 'c' },
                                           { "check-config", no_argument, NULL, 'k' },
                                           { "version", no_argument, NULL, 'v' },
                                           { "help", no_argument, NULL, 'h' },
                                           { 0 } };
    int option;

    while ((option = getopt_long(argc, argv, "c:hv", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'k':
            options->check_config = true;
            break;
        case 'v':
            (void) printf("mxadmd %s\n", MXADM_VERSION_STRING);
            return EXIT_OK;
        case 'h':
            (void) fputs(usage, stdout);
            return EXIT_OK;
        default:
            (void) fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void) fprintf(stderr, "mxadmd: unexpected argument '%s'\n%s", argv[optind], usage);
        return EXIT_USAGE;
    }
    return -1; /* go on */
}

static int check_config(const struct options *options, struct settings *settings)
{
    struct auth *auth;
    struct mx_error err;

    if (auth_create(settings, &auth, &err) != MX_OK) {
        (void) fprintf(stderr, "mxadmd: %s: %s\n", options->config, err.message);
        return EXIT_USAGE;
    }
    auth_destroy(auth);
    (void) printf("%s: ok\n", options->config == NULL ? "(defaults)" : options->config);
    return EXIT_OK;
}

static int run(struct settings *settings)
{
    struct daemon daemon = { .settings = settings };
    struct mx_error err;
    sigset_t signals;
    int received = 0;
    int result = EXIT_OK;

    log_configure((enum log_level) settings->log.level, settings->log.json);
    protect_memory();
    (void) signal(SIGPIPE, SIG_IGN);
    /* Blocked before the first thread, so that all inherit it and only sigwait() gets them. */
    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigaddset(&signals, SIGINT);
    (void) pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (start(&daemon, &err) == MX_OK) {
        log_write(LOG_INFO, "ready", LOG_TEXT("version", MXADM_VERSION_STRING),
                  LOG_TEXT("url", settings->urls[0]), LOG_NUMBER("urls", settings->url_count));
        (void) sigwait(&signals, &received);
        log_write(LOG_INFO, "stopping", LOG_NUMBER("signal", received));
    } else {
        log_write(LOG_ERROR, "start_failed", LOG_TEXT("why", err.message));
        result = EXIT_FAILED;
    }
    stop(&daemon);
    if (result == EXIT_OK) {
        log_write(LOG_INFO, "stopped", LOG_NUMBER("signal", received));
    }
    return result;
}

int main(int argc, char **argv)
{
    struct options options = { 0 };
    struct settings *settings = NULL;
    struct settings_problems problems = { 0 };
    struct mx_error err;
    int result = read_options(argc, argv, &options);

    if (result >= 0) {
        return result;
    }
    if (settings_load(options.config, &settings, &problems, &err) != MX_OK) {
        (void) fprintf(stderr, "mxadmd: the settings are not usable:\n%s\n",
                       problems.text == NULL ? err.message : problems.text);
        settings_problems_fini(&problems);
        return EXIT_USAGE;
    }
    settings_problems_fini(&problems);
    result = options.check_config ? check_config(&options, settings) : run(settings);
    settings_free(settings);
    return result;
}
