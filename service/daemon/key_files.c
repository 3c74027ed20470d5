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

struct tally {
    unsigned written; /* were missing */
    unsigned moved;
    unsigned deleted;
    unsigned damaged; /* records that give no key */
};

/* One selector whose record is damaged must not keep the others from being served. */
static enum mx_code skip_damaged(const Mxadm__V1__DkimSelector *selector, enum mx_code code,
                                 const struct mx_error *err, struct tally *tally)
{
    if (code != MX_DATA_LOSS) {
        return code;
    }
    tally->damaged++;
    log_write(LOG_ERROR, "key_file_missing", LOG_TEXT("file", selector->key_file),
              LOG_TEXT("why", err->message));
    return MX_OK;
}

/* Each selector's key has its file. */
static enum mx_code reconcile_keys(struct vault *vault, struct keydir_reconcile *reconcile,
                                   struct model *model, struct tally *tally, struct mx_error *err)
{
    struct record_key range = record_prefix(RECORD_DKIM_SELECTOR, NULL);
    struct store_cursor cursor;
    struct store_entry entry;
    enum mx_code code = MX_OK;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (code == MX_OK && store_cursor_next(&cursor, &entry)) {
        Mxadm__V1__DkimSelector *selector = record_unpack(model, RECORD_DKIM_SELECTOR, entry.value);

        if (!status_ok(model->status)) {
            code = mx_fail(err, model->status->code, "%s", model->status->message);
        } else if (selector->public_key_sha256.len == DIGEST_SIZE &&
                   !keydir_reconcile_has(reconcile, selector->key_file,
                                         selector->public_key_sha256.data)) {
            code = write_missing_key(vault, model, reconcile, selector, err);
            tally->written += code == MX_OK;
        }
        code = skip_damaged(selector, code, err, tally);
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
    struct tally tally = { 0 };
    enum mx_code code = MX_OK;

    if (arena == NULL) {
        code = mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory");
    }
    if (code == MX_OK) {
        status_init(&status, arena);
        code = keydir_reconcile_begin(keydir, &reconcile, err);
    }
    if (code == MX_OK) {
        code = reconcile_keys(vault, reconcile, &model, &tally, err);
        if (code != MX_OK || tally.damaged > 0) {
            /* Which files are wanted is not known for certain: none is moved. */
            keydir_reconcile_abandon(reconcile);
        } else {
            code = keydir_reconcile_end(reconcile, &tally.moved, &tally.deleted, err);
        }
    }
    if (code == MX_OK && tally.written + tally.moved + tally.deleted > 0) {
        log_write(LOG_WARNING, "key_directory_put_right", LOG_NUMBER("written", tally.written),
                  LOG_NUMBER("moved", tally.moved), LOG_NUMBER("deleted", tally.deleted));
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
