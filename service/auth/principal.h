/*
 * Who is calling, and what that allows.
 *
 * A principal is an identity with a role and a scope, made from the settings at
 * start. Over the unix socket it is the peer's uid as the kernel tells it; over
 * loopback tcp it is "loopback", which is everybody on this machine.
 *
 * Roles are ordered: each may do what the one before it may. The right to see
 * private keys stands beside them.
 */
#pragma once

#include "base/error.h"
#include "rpc/exchange.h"
#include "settings/settings.h"

#include <stdatomic.h>

enum role {
    ROLE_NONE,                 /* health only */
    ROLE_VIEWER,               /* reads */
    ROLE_DOMAIN_ADMINISTRATOR, /* reads and changes within the listed domains */
    ROLE_ADMINISTRATOR,        /* everything but private keys */
};

struct principal {
    char name[32]; /* "uid:0", "loopback": in the history and in logs */
    enum role role;
    bool key_reader;
    const char **domains; /* names; of a domain administrator */
    size_t domain_count;
    atomic_uint in_flight; /* calls being served */
    atomic_uint waiting;   /* of these: for a revision or a key */
};

struct auth;

/* `settings` is borrowed and outlives it. Fails on a domain name of the settings that is none. */
MX_MUST_USE enum mx_code auth_create(const struct settings *settings, struct auth **auth_out,
                                     struct mx_error *err);
void auth_destroy(struct auth *auth); /* NULL is fine */

/* The principal of a peer; never NULL, one without a role if the settings do not know it. */
struct principal *auth_identify(struct auth *auth, const struct rpc_peer *peer);

/* Whether the principal may see and, with the role for it, change things of this domain. */
bool principal_covers(const struct principal *principal, const char *domain);
