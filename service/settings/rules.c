#include "settings/rules.h"

#include "settings/check.h"
#include "settings/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A path of the tables with an entry's name in front, which check_name() bounds. */
#define PATH_SIZE 256

const struct tree_node *scope_given(const struct scope *scope, const char *path)
{
    const struct settings_key *key = settings_key_find(scope->table, path);

    return key == NULL ? NULL : scope->given[key - scope->table->keys];
}

/* Tells a broken rule where `path` is given; where the scope begins if it is not. */
MX_PRINTF(3, 4)
static void broken(const struct scope *scope, const char *path, const char *format, ...)
{
    const struct tree_node *node = scope_given(scope, path);
    char whole[PATH_SIZE];
    char what[256];
    va_list args;

    va_start(args, format);
    (void) vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    (void) snprintf(whole, sizeof(whole), "%s%s%s", scope->path == NULL ? "" : scope->path,
                    scope->path == NULL ? "" : ".", path);
    problems_add(scope->problems, node == NULL ? scope->at : node->at, whole, "%s", what);
}

/* Of two keys that don't go together, the one to complain about: one that is in the file. */
static const char *either(const struct scope *scope, const char *first, const char *second)
{
    return scope_given(scope, first) != NULL ? first : second;
}

static void urls_are_loopback_unless_allowed(const struct scope *scope)
{
    const struct settings *settings = scope->base;
    const struct tree_node *node = scope_given(scope, "urls");

    if (node == NULL || settings->allow_remote_tcp) {
        return;
    }
    /* A list that was refused as a whole has left the default in place. */
    node = node->first;
    for (size_t i = 0; i < settings->url_count && node != NULL; i++, node = node->next) {
        const char *url = settings->urls[i];
        char key[32];

        if (url != NULL && check_url_is_remote(url)) {
            (void) snprintf(key, sizeof(key), "urls[%zu]", i);
            problems_add(scope->problems, node->at, key,
                         "'%.80s' is not on loopback; tcp is neither encrypted nor authenticated, "
                         "see allow_remote_tcp",
                         url);
        }
    }
}

/* A section that is all or nothing; its keys, NULL behind the last. */
static void all_or_none(const struct scope *scope, const char *section, const char *const *keys)
{
    const struct tree_node *node = scope_given(scope, section);

    if (node == NULL || node->first == NULL) {
        return;
    }
    for (size_t i = 0; keys[i] != NULL; i++) {
        if (scope_given(scope, keys[i]) == NULL) {
            problems_add(scope->problems, node->key_at, keys[i],
                         "is missing; the keys of '%s' go together", section);
        }
    }
}

static void pool_marks_fit(const struct scope *scope, const char *kind,
                           const struct settings_pool_kind *pool)
{
    char low[PATH_SIZE];
    char high[PATH_SIZE];

    (void) snprintf(low, sizeof(low), "keys.%s.low", kind);
    (void) snprintf(high, sizeof(high), "keys.%s.high", kind);
    if (pool->low > pool->high) {
        broken(scope, either(scope, low, high), "low (%u) is above high (%u)", pool->low,
               pool->high);
    } else if (pool->low == 0 && pool->high > 0) {
        /* More keys are made when fewer than `low` are ready: never. */
        broken(scope, either(scope, low, high),
               "low is 0 and high %u, so that no key would ever be made in advance; give both or "
               "neither",
               pool->high);
    }
}

static void limits_fit(const struct scope *scope)
{
    const struct settings *settings = scope->base;

    if (settings->limits.in_flight_per_principal >= settings->limits.contexts) {
        broken(scope, either(scope, "limits.in_flight_per_principal", "limits.contexts"),
               "in_flight_per_principal (%u) is not lower than contexts (%u): one user could keep "
               "all others out",
               settings->limits.in_flight_per_principal, settings->limits.contexts);
    }
    if (settings->limits.group > settings->limits.change_queue) {
        broken(scope, either(scope, "limits.group", "limits.change_queue"),
               "group (%u) is above change_queue (%u): no group would ever be full",
               settings->limits.group, settings->limits.change_queue);
    }
}

static void users_are_given_once(const struct scope *scope)
{
    const struct settings *settings = scope->base;
    const struct settings_principal *all = settings->access.principals;
    const struct tree_node *node = scope_given(scope, "access.principals");

    node = node == NULL ? NULL : node->first;
    for (size_t i = 0; i < settings->access.principal_count && node != NULL;
         i++, node = node->next) {
        for (size_t j = 0; j < i; j++) {
            if (all[i].uid == all[j].uid && all[i].uid != (uid_t) -1) {
                problems_add(scope->problems, node->key_at, "access.principals",
                             "'%.80s' is uid %u, which is given already", node->key,
                             (unsigned) all[i].uid);
                break;
            }
        }
    }
}

void rules_daemon(const struct scope *scope)
{
    static const char *const postmaster[] = { "postmaster.account", "postmaster.mailbox", NULL };
    static const char *const reports[] = { "host_tls_reports.localpart", "host_tls_reports.account",
                                           "host_tls_reports.mailbox", NULL };
    const struct settings *settings = scope->base;

    urls_are_loopback_unless_allowed(scope);
    all_or_none(scope, "postmaster", postmaster);
    all_or_none(scope, "host_tls_reports", reports);
    pool_marks_fit(scope, "rsa2048", &settings->keys.rsa2048);
    pool_marks_fit(scope, "rsa3072", &settings->keys.rsa3072);
    pool_marks_fit(scope, "rsa4096", &settings->keys.rsa4096);
    pool_marks_fit(scope, "ed25519", &settings->keys.ed25519);
    if (scope_given(scope, "keys.group") != NULL && scope_given(scope, "keys.directory") == NULL) {
        broken(scope, "keys.group", "is of no use without keys.directory");
    }
    if (settings->access.loopback_role == SETTINGS_ROLE_DOMAIN_ADMINISTRATOR) {
        broken(scope, "access.loopback_role",
               "a domain_administrator has domains, which only "
               "principals can have");
    }
    limits_fit(scope);
    users_are_given_once(scope);
}

void rules_listener(const struct scope *scope)
{
    const struct settings_listener *listener = scope->base;

    if (listener->ips_nated && listener->nat_ip_count > 0) {
        broken(scope, "ips_nated", "says that the outer addresses are unknown, but nat_ips has %zu",
               listener->nat_ip_count);
    }
}

void rules_principal(const struct scope *scope)
{
    const struct settings_principal *principal = scope->base;
    bool has_domains = scope_given(scope, "domains") != NULL && principal->domain_count > 0;

    if (principal->role == SETTINGS_ROLE_DOMAIN_ADMINISTRATOR && !has_domains) {
        broken(scope, either(scope, "domains", "role"),
               "a domain_administrator needs at least one domain");
    }
    if (principal->role != SETTINGS_ROLE_DOMAIN_ADMINISTRATOR && has_domains &&
        scope_given(scope, "role") != NULL) {
        broken(scope, "domains", "only a domain_administrator has domains");
    }
}
