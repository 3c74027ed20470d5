/*
 * Saving an account: what its login addresses need elsewhere, and the secret
 * within it.
 */
#include "model/account.h"
#include "model/address.h"
#include "model/check.h"
#include "model/domain.h"
#include "model/packed.h"

#include <string.h>
#include <strings.h>

/* --------------------------------------------------------------- redaction */

enum { OUTGOING_WEBHOOK_FIELD = 6, INCOMING_WEBHOOK_FIELD = 7, AUTHORIZATION_FIELD = 2 };

static bool has_authorization(struct slice packed)
{
    struct packed_walk walk = packed_walk(packed);

    while (packed_next(&walk)) {
        if ((walk.field == OUTGOING_WEBHOOK_FIELD || walk.field == INCOMING_WEBHOOK_FIELD) &&
            packed_bytes(walk.bytes, AUTHORIZATION_FIELD).len > 0) {
            return true;
        }
    }
    return false;
}

static void hide(char **authorization)
{
    if ((*authorization)[0] != '\0') {
        *authorization = (char *) ACCOUNT_HIDDEN;
    }
}

struct slice account_redact(const struct model *model, struct slice packed)
{
    Mxadm__V1__Account *account;
    uint8_t *redacted;

    if (!has_authorization(packed)) {
        return packed;
    }
    account = record_unpack(model, RECORD_ACCOUNT, packed);
    if (account->outgoing_webhook != NULL) {
        hide(&account->outgoing_webhook->authorization);
    }
    if (account->incoming_webhook != NULL) {
        hide(&account->incoming_webhook->authorization);
    }
    redacted = arena_alloc(model->arena, mxadm__v1__account__get_packed_size(account) + 1);
    return slice_of(redacted, mxadm__v1__account__pack(account, redacted));
}

/* Bytes of scheme, host and port; 0: it is no URL. */
static size_t origin_length(const char *url)
{
    const char *authority = strstr(url, "://");

    return authority == NULL ? 0 : (size_t) (authority - url) + 3 + strcspn(authority + 3, "/?#");
}

static bool same_origin(const char *a, const char *b)
{
    size_t len = origin_length(a);

    return len > 0 && len == origin_length(b) && strncasecmp(a, b, len) == 0;
}

/* The URL and authorization of a webhook, whichever. */
struct webhook {
    const char *url;
    char *authorization;
};

/*
 * Puts what is stored in the place of ACCOUNT_HIDDEN. Not for another server: whoever may not read
 * the secret could have it sent to a server of their own.
 */
static char *reveal(struct model *model, const char *path, struct webhook before,
                    struct webhook after)
{
    const char *field = check_field(model, path, "authorization");

    if (strcmp(after.authorization, ACCOUNT_HIDDEN) != 0) {
        return after.authorization;
    }
    if (before.authorization == NULL || before.authorization[0] == '\0') {
        status_field(model->status, field,
                     "\"%s\" stands for what is stored, and nothing is stored", ACCOUNT_HIDDEN);
    } else if (!same_origin(before.url, after.url)) {
        status_field(model->status, field,
                     "must be given anew: the URL has another scheme, host or port than the one it "
                     "is stored for");
    } else {
        return before.authorization;
    }
    return after.authorization;
}

/* The webhooks are copied first: they may be the request's, which is read again if the call has to
 * be done again. */
static void reveal_outgoing(struct model *model, const char *path, const Mxadm__V1__Account *before,
                            Mxadm__V1__Account *after)
{
    const Mxadm__V1__OutgoingWebhook *stored = before == NULL ? NULL : before->outgoing_webhook;
    struct webhook from = { "", NULL };
    Mxadm__V1__OutgoingWebhook *to;

    if (after->outgoing_webhook == NULL) {
        return;
    }
    if (stored != NULL) {
        from = (struct webhook){ stored->url, stored->authorization };
    }
    to = arena_memdup(model->arena, after->outgoing_webhook, sizeof(*to));
    to->authorization = reveal(model, path, from, (struct webhook){ to->url, to->authorization });
    after->outgoing_webhook = to;
}

static void reveal_incoming(struct model *model, const char *path, const Mxadm__V1__Account *before,
                            Mxadm__V1__Account *after)
{
    const Mxadm__V1__IncomingWebhook *stored = before == NULL ? NULL : before->incoming_webhook;
    struct webhook from = { "", NULL };
    Mxadm__V1__IncomingWebhook *to;

    if (after->incoming_webhook == NULL) {
        return;
    }
    if (stored != NULL) {
        from = (struct webhook){ stored->url, stored->authorization };
    }
    to = arena_memdup(model->arena, after->incoming_webhook, sizeof(*to));
    to->authorization = reveal(model, path, from, (struct webhook){ to->url, to->authorization });
    after->incoming_webhook = to;
}

void account_reveal(struct model *model, const Mxadm__V1__Account *before,
                    Mxadm__V1__Account *after, const char *path)
{
    reveal_outgoing(model, check_field(model, path, "outgoing_webhook"), before, after);
    reveal_incoming(model, check_field(model, path, "incoming_webhook"), before, after);
}

/* --------------------------------------------------------- login addresses */

/* The address parsed, and its domain; NULL: it is not configured. */
static Mxadm__V1__Domain *domain_of(struct model *model, const char *text,
                                    struct name_address *address_out)
{
    return name_parse_address(model->arena, text, false, address_out) == NULL
               ? domain_find(model, address_out->domain.name)
               : NULL;
}

/* What has no configured domain stays as it is. */
static void canonical_logins(struct model *model, Mxadm__V1__Account *account)
{
    size_t count = account->n_from_id_login_addresses;
    char **canonical = arena_alloc(model->arena, (count + 1) * sizeof(*canonical));

    for (size_t i = 0; i < count; i++) {
        struct name_address address;
        const Mxadm__V1__Domain *domain =
            domain_of(model, account->from_id_login_addresses[i], &address);

        canonical[i] = domain == NULL ? account->from_id_login_addresses[i]
                                      : (char *) address_canonical(model, domain, &address);
    }
    account->from_id_login_addresses = canonical;
}

static void check_reach(struct model *model, const Mxadm__V1__Account *account, const char *login)
{
    struct name_address address;
    const Mxadm__V1__Domain *domain = domain_of(model, login, &address);
    const Mxadm__V1__Address *record;

    if (domain == NULL) {
        status_blocker(model->status, "LOGIN_ADDRESS_UNREACHABLE", "address", login,
                       "the domain of login address '%s' is not configured", login);
        return;
    }
    if (domain->n_localpart_separators == 0) {
        status_blocker(model->status, "LOGIN_ADDRESS_UNREACHABLE", "address", login,
                       "domain '%s' has no separator, which the sender addresses of '%s' need",
                       domain->name, login);
    }
    record = address_resolve(model, domain, &address);
    if (record == NULL) {
        status_blocker(model->status, "LOGIN_ADDRESS_UNREACHABLE", "address", login,
                       "login address '%s' reaches no account", login);
    } else if (strcmp(record->account, account->name) != 0) {
        status_blocker(model->status, "LOGIN_ADDRESS_UNREACHABLE", "address", login,
                       "login address '%s' reaches account '%s'", login, record->account);
    }
}

bool account_check_reach(struct model *model, const Mxadm__V1__Account *account)
{
    for (size_t i = 0; i < account->n_from_id_login_addresses; i++) {
        check_reach(model, account, account->from_id_login_addresses[i]);
    }
    return status_ok(model->status);
}

/* ------------------------------------------------------------------ saving */

struct slice account_save(struct model *model, const Mxadm__V1__Account *before,
                          Mxadm__V1__Account *after, const char *path)
{
    const char *logins = check_field(model, path, "from_id_login_addresses");
    struct record_key key;

    account_normalise(model, after);
    account_reveal(model, before, after, path);
    if (!account_check(model, after, path) || !status_ok(model->status)) {
        return slice_of(NULL, 0);
    }
    canonical_logins(model, after);
    if (!check_distinct(model, logins, "", (const char *const *) after->from_id_login_addresses,
                        after->n_from_id_login_addresses) ||
        !account_check_reach(model, after)) {
        return slice_of(NULL, 0);
    }
    key = record_key(RECORD_ACCOUNT, after->name, NULL);
    return record_put(model, RECORD_ACCOUNT, &key, &after->base);
}
