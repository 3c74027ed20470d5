#include "daemon/key_files.h"

#include "base/clock.h"
#include "base/log.h"
#include "keys/vault.h"
#include "model/dkim.h"
#include "settings/settings.h"

#include <grp.h>

/* One record and its key at a time; reset after each. */
#define RECONCILE_ARENA_BYTES ((size_t) 4 * 1024 * 1024)

static enum mx_code write_missing_key(struct vault *vault, struct model *model,
                                      struct keydir_reconcile *reconcile,
                                      const Mxadm__V1__DkimSelector *selector, struct mx_error *err)
{
    struct name_domain domain = { "", "" };
    struct secret pem = { NULL, 0 };
    struct key *key = dkim_unseal(model, vault, selector->domain, selector->name);
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
static enum mx_code reconcile_keys(struct vault *vault, struct keydir_reconcile *reconcile,
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
            code = write_missing_key(vault, model, reconcile, selector, err);
            (*written_out)++;
        }
        arena_reset(model->arena);
        status_init(model->status, model->arena);
    }
    return code;
}

static enum mx_code put_right(struct keydir *keydir, const struct settings *settings,
                              struct store *store, struct vault *vault, struct mx_error *err)
{
    struct arena *arena = arena_create(RECONCILE_ARENA_BYTES);
    struct store_snapshot *snapshot = store_acquire(store);
    struct keydir_reconcile *reconcile = NULL;
    struct status status;
    struct model model = { .view = store_snapshot_view(snapshot),
                           .arena = arena,
                           .status = &status,
                           .settings = settings };
    unsigned written = 0;
    unsigned moved = 0;
    unsigned deleted = 0;
    enum mx_code code = MX_OK;

    if (arena == NULL) {
        code = mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    if (code == MX_OK) {
        status_init(&status, arena);
        code = keydir_reconcile_begin(keydir, &reconcile, err);
    }
    if (code == MX_OK) {
        struct mx_error end;

        code = reconcile_keys(vault, reconcile, &model, &written, err);
        if (keydir_reconcile_end(reconcile, &moved, &deleted, &end) != MX_OK && code == MX_OK) {
            *err = end;
            code = end.code;
        }
    }
    if (code == MX_OK && written + moved + deleted > 0) {
        log_write(LOG_WARNING, "key_directory_put_right", LOG_NUMBER("written", written),
                  LOG_NUMBER("moved", moved), LOG_NUMBER("deleted", deleted));
    }
    store_release(store, snapshot);
    arena_destroy(arena);
    return code;
}

enum mx_code key_files_open(const struct settings *settings, struct store *store,
                            struct vault *vault, struct keydir **keydir_out, struct mx_error *err)
{
    struct keydir *keydir = NULL;
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
    code = keydir_open(settings->keys.directory, gid, &keydir, err);
    if (code == MX_OK) {
        code = put_right(keydir, settings, store, vault, err);
    }
    if (code != MX_OK) {
        keydir_close(keydir);
        return code;
    }
    *keydir_out = keydir;
    return MX_OK;
}
