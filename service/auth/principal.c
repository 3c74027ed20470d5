#include "auth/principal.h"

#include "model/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Names of a domain administrator's domains: bounded by the settings file's size. */
#define SCOPE_ARENA_BYTES ((size_t) 16 * 1024 * 1024)

struct auth {
    struct arena *arena;
    struct principal loopback;
    struct principal unknown; /* unix users that the settings do not list; remote peers */
    struct principal *users;
    uid_t *uids;
    size_t user_count;
};

_Static_assert((int) ROLE_VIEWER == (int) SETTINGS_ROLE_VIEWER, "roles are numbered alike");
_Static_assert((int) ROLE_DOMAIN_ADMINISTRATOR == (int) SETTINGS_ROLE_DOMAIN_ADMINISTRATOR,
               "roles are numbered alike");
_Static_assert((int) ROLE_ADMINISTRATOR == (int) SETTINGS_ROLE_ADMINISTRATOR,
               "roles are numbered alike");

static struct principal *add_user(struct auth *auth, uid_t uid, enum role role, bool key_reader)
{
    struct principal *user = &auth->users[auth->user_count];

    (void) snprintf(user->name, sizeof(user->name), "uid:%lu", (unsigned long) uid);
    user->role = role;
    user->key_reader = key_reader;
    auth->uids[auth->user_count++] = uid;
    return user;
}

static struct principal *find_user(struct auth *auth, uid_t uid)
{
    for (size_t i = 0; i < auth->user_count; i++) {
        if (auth->uids[i] == uid) {
            return &auth->users[i];
        }
    }
    return NULL;
}

static enum mx_code add_domains(struct auth *auth, struct principal *user,
                                const struct settings_principal *listed, struct mx_error *err)
{
    user->domains = arena_alloc(auth->arena, listed->domain_count * sizeof(*user->domains));
    if (user->domains == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for principals");
    }
    for (size_t i = 0; i < listed->domain_count; i++) {
        struct name_domain domain;
        const char *wrong = name_parse_domain(auth->arena, listed->domains[i], &domain);

        if (wrong != NULL) {
            return mx_fail(err, MX_INVALID_ARGUMENT, "access.principals: domain %s of uid %lu %s",
                           name_show(auth->arena, listed->domains[i]), (unsigned long) listed->uid,
                           wrong);
        }
        user->domains[user->domain_count++] = domain.name;
    }
    return MX_OK;
}

static enum mx_code add_listed(struct auth *auth, const struct settings *settings,
                               struct mx_error *err)
{
    for (size_t i = 0; i < settings->access.principal_count; i++) {
        const struct settings_principal *listed = &settings->access.principals[i];
        struct principal *user;
        enum mx_code code;

        if (find_user(auth, listed->uid) != NULL) {
            return mx_fail(err, MX_INVALID_ARGUMENT, "access.principals: uid %lu is listed twice",
                           (unsigned long) listed->uid);
        }
        user = add_user(auth, listed->uid, (enum role) listed->role, listed->key_reader);
        code = add_domains(auth, user, listed, err);
        if (code != MX_OK) {
            return code;
        }
    }
    return MX_OK;
}

enum mx_code auth_create(const struct settings *settings, struct auth **auth_out,
                         struct mx_error *err)
{
    /* Root and the daemon's own user are administrators unless the settings say otherwise. */
    const uid_t implied[] = { 0, geteuid() };
    struct auth *auth = calloc(1, sizeof(*auth));
    enum mx_code code;

    if (auth == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for principals");
    }
    auth->arena = arena_create(SCOPE_ARENA_BYTES);
    auth->users = calloc(settings->access.principal_count + 2, sizeof(*auth->users));
    auth->uids = calloc(settings->access.principal_count + 2, sizeof(*auth->uids));
    if (auth->arena == NULL || auth->users == NULL || auth->uids == NULL) {
        auth_destroy(auth);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for principals");
    }
    (void) snprintf(auth->loopback.name, sizeof(auth->loopback.name), "loopback");
    auth->loopback.role = (enum role) settings->access.loopback_role;
    auth->loopback.key_reader = settings->access.loopback_key_reader;
    (void) snprintf(auth->unknown.name, sizeof(auth->unknown.name), "unknown");
    code = add_listed(auth, settings, err);
    if (code != MX_OK) {
        auth_destroy(auth);
        return code;
    }
    for (size_t i = 0; i < sizeof(implied) / sizeof(implied[0]); i++) {
        if (find_user(auth, implied[i]) == NULL) {
            add_user(auth, implied[i], ROLE_ADMINISTRATOR, true);
        }
    }
    *auth_out = auth;
    return MX_OK;
}

void auth_destroy(struct auth *auth)
{
    if (auth == NULL) {
        return;
    }
    arena_destroy(auth->arena);
    free(auth->users);
    free(auth->uids);
    free(auth);
}

struct principal *auth_identify(struct auth *auth, const struct rpc_peer *peer)
{
    struct principal *user = NULL;

    switch (peer->kind) {
    case RPC_PEER_UNIX:
        user = find_user(auth, peer->uid);
        break;
    case RPC_PEER_LOOPBACK:
    case RPC_PEER_REMOTE: /* neither encrypted nor authenticated, let in by `allow_remote_tcp` */
        user = &auth->loopback;
        break;
    }
    return user == NULL ? &auth->unknown : user;
}

bool principal_covers(const struct principal *principal, const char *domain)
{
    if (principal->role != ROLE_DOMAIN_ADMINISTRATOR) {
        return true;
    }
    for (size_t i = 0; i < principal->domain_count; i++) {
        if (strcmp(principal->domains[i], domain) == 0) {
            return true;
        }
    }
    return false;
}
