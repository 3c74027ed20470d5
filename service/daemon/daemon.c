#include "daemon/daemon.h"

#include "auth/principal.h"
#include "daemon/key_files.h"
#include "db/backend_sqlite.h"
#include "handlers/handlers.h"
#include "keys/pool.h"
#include "keys/vault.h"
#include "model/record.h"
#include "mxadm/internal/v1/store.pb-c.h"
#include "rpc/rpc.h"
#include "settings/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct daemon {
    struct daemon_config config;
    struct backend *backend;
    struct store *store;
    struct vault *vault;
    struct keydir *keydir; /* NULL: the settings name no directory */
    struct key_pool *pool;
    struct auth *auth;
    struct rpc *rpc;
};

/* ------------------------------------------------------------------- store */

enum mx_code daemon_state_path(const struct settings *settings, const char *name, char *path,
                               struct mx_error *err)
{
    int len = snprintf(path, PATH_MAX, "%s/%s", settings->state_directory, name);

    if (len < 0 || len >= PATH_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "state_directory '%s' is too long",
                       settings->state_directory);
    }
    return MX_OK;
}

/* What the model derives from what the store follows. */
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
    static const struct store_loader loader = { .entry = record_derive_loaded, .edit = load_edit };
    char path[PATH_MAX];
    enum mx_code code = MX_OK;

    if (daemon->backend == NULL) {
        code = daemon_state_path(daemon->config.settings, "mxadm.db", path, err);
        if (code == MX_OK) {
            code = backend_sqlite_open(path, &daemon->backend, err);
        }
    }
    return code == MX_OK ? store_open(daemon->backend, &loader, &daemon->store, err) : code;
}

/* -------------------------------------------------------------------- keys */

/* The wrapped data key is in the store once it has sealed something. */
static enum mx_code open_vault(struct daemon *daemon, struct mx_error *err)
{
    const char *named = daemon->config.settings->keys.key_encryption_key_file;
    struct store_snapshot *snapshot = store_acquire(daemon->store);
    struct record_key key = record_key(RECORD_VAULT_KEY, NULL, NULL);
    Mxadm__Internal__V1__VaultKey *record = NULL;
    struct slice packed;
    char path[PATH_MAX];
    enum mx_code code = daemon_state_path(daemon->config.settings, "kek", path, err);

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
    const struct settings *settings = daemon->config.settings;
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

/* -------------------------------------------------------------------- life */

static enum mx_code start_rpc(struct daemon *daemon, struct mx_error *err)
{
    struct rpc_config config = { .settings = daemon->config.settings,
                                 .backend = daemon->backend,
                                 .store = daemon->store,
                                 .pool = daemon->pool,
                                 .vault = daemon->vault,
                                 .keydir = daemon->keydir,
                                 .auth = daemon->auth,
                                 .tables = handlers,
                                 .table_count = handlers_count,
                                 .version = daemon->config.version,
                                 .descriptor_set = daemon->config.descriptor_set };

    return rpc_create(&config, &daemon->rpc, err);
}

static enum mx_code start(struct daemon *daemon, struct mx_error *err)
{
    enum mx_code code = auth_create(daemon->config.settings, &daemon->auth, err);

    if (code == MX_OK) {
        code = open_store(daemon, err);
    }
    if (code == MX_OK) {
        code = open_vault(daemon, err);
    }
    if (code == MX_OK) {
        code = key_files_open(daemon->config.settings, daemon->store, daemon->vault,
                              &daemon->keydir, err);
    }
    if (code == MX_OK) {
        code = start_pool(daemon, err);
    }
    return code == MX_OK ? start_rpc(daemon, err) : code;
}

enum mx_code daemon_start(const struct daemon_config *config, struct daemon **daemon_out,
                          struct mx_error *err)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    enum mx_code code;

    if (daemon == NULL) {
        if (config->backend != NULL) {
            config->backend->ops->close(config->backend);
        }
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for the daemon");
    }
    daemon->config = *config;
    daemon->backend = config->backend;
    code = start(daemon, err);
    if (code != MX_OK) {
        daemon_stop(daemon);
        return code;
    }
    *daemon_out = daemon;
    return MX_OK;
}

struct rpc *daemon_rpc(const struct daemon *daemon)
{
    return daemon->rpc;
}

struct store *daemon_store(const struct daemon *daemon)
{
    return daemon->store;
}

void daemon_stop(struct daemon *daemon)
{
    if (daemon == NULL) {
        return;
    }
    rpc_stop(daemon->rpc);
    /* Calls may wait for these two; they end with them. */
    keydir_close(daemon->keydir);
    key_pool_destroy(daemon->pool);
    rpc_destroy(daemon->rpc);
    vault_close(daemon->vault);
    store_close(daemon->store);
    if (daemon->backend != NULL) {
        daemon->backend->ops->close(daemon->backend);
    }
    auth_destroy(daemon->auth);
    free(daemon);
}
