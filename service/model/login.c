#include "model/login.h"

#include "mxadm/v1/model.pb-c.h"

#include <string.h>

/* The account that an entry of an index is about, and a blocker for it. */
struct use {
    const char *account;
    const char *type;
    const char *subject;
    const char *what; /* in front of "has the login address" */
};

static struct use use_of_key(struct model *model, const char *const parts[RECORD_PARTS_MAX])
{
    struct record_key key = record_key(RECORD_TLS_PUBLIC_KEY, parts[2], NULL);
    Mxadm__V1__TlsPublicKey *record = record_load(model, RECORD_TLS_PUBLIC_KEY, &key);
    const char *account = record == NULL ? "" : record->account;

    return (struct use){ account, record_kind_name(RECORD_TLS_PUBLIC_KEY), parts[2],
                         arena_printf(model->arena, "TLS public key '%s' of account '%s'", parts[2],
                                      account) };
}

static struct use use_of_account(struct model *model, const char *const parts[RECORD_PARTS_MAX])
{
    return (struct use){ parts[2], record_kind_name(RECORD_ACCOUNT), parts[2],
                         arena_printf(model->arena, "account '%s'", parts[2]) };
}

/* Reports the entries of an index, and counts those that are not read. `account`, unless it is
 * NULL: has them all or none. */
static void report_uses(struct model *model, const char *reason, const struct record_key *range,
                        struct use (*use_of)(struct model *model,
                                             const char *const parts[RECORD_PARTS_MAX]),
                        const char *account)
{
    uint64_t left = record_count(model, range);
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, model->view, record_slice(range), slice_of(NULL, 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        const char *parts[RECORD_PARTS_MAX];
        struct use use;

        record_key_parts(model->arena, entry.key, parts);
        use = use_of(model, parts);
        if (account != NULL && strcmp(use.account, account) == 0) {
            return;
        }
        if (model->status->blocker_count >= STATUS_BLOCKERS_MAX) {
            break;
        }
        status_blocker(model->status, reason, use.type, use.subject,
                       "%s has the login address '%s@%s'", use.what, parts[1], parts[0]);
        left--;
    }
    model->status->blocker_count += left;
}

bool login_check_owner(struct model *model, const char *reason, const char *domain,
                       const char *localpart, const char *account)
{
    struct record_key keys = record_login_tls_keys(domain, localpart);
    struct record_key accounts = record_from_ids(domain, localpart);
    size_t before = model->status->blocker_count;

    report_uses(model, reason, &keys, use_of_key, account);
    report_uses(model, reason, &accounts, use_of_account, account);
    return model->status->blocker_count == before;
}
