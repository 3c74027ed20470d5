#include "settings/keys.h"

#include "base/log.h"
#include "settings/check.h"
#include "settings/rules.h"
#include "settings/settings.h"
#include "settings/value.h"

#include <ctype.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>

/* offsetof() that does not compile when the member is not of the row's type. */
#define OFFSET(type, member, expected)                                                             \
    _Generic(((struct type *) NULL)->member, expected : offsetof(struct type, member))

#define TEXT(s, m) .type = SETTINGS_TEXT, .offset = OFFSET(s, m, const char *)
#define TEXTS(s, m, count, least, most)                                                            \
    .type = SETTINGS_TEXTS, .offset = OFFSET(s, m, const char **),                                 \
    .count_offset = OFFSET(s, count, size_t), .min = (least), .max = (most)
#define BOOL(s, m) .type = SETTINGS_BOOL, .offset = OFFSET(s, m, bool)
#define UNSIGNED(m, least, most)                                                                   \
    .type = SETTINGS_UNSIGNED, .offset = OFFSET(settings, m, unsigned), .min = (least),            \
    .max = (most)
#define UINT64(m, least, most)                                                                     \
    .type = SETTINGS_UINT64, .offset = OFFSET(settings, m, uint64_t), .min = (least), .max = (most)
#define SIZE(m, least, most)                                                                       \
    .type = SETTINGS_SIZE, .offset = OFFSET(settings, m, size_t), .min = (least), .max = (most)
#define DURATION(m, least, most)                                                                   \
    .type = SETTINGS_DURATION, .offset = OFFSET(settings, m, int64_t), .min = (least), .max = (most)
#define ROLE(s, m)                                                                                 \
    .type = SETTINGS_CHOICE, .offset = OFFSET(s, m, enum settings_role), .choices = roles
#define CHOICE(m, names)                                                                           \
    .type = SETTINGS_CHOICE, .offset = OFFSET(settings, m, int), .choices = (names)
#define FLAG(m, names)                                                                             \
    .type = SETTINGS_FLAG, .offset = OFFSET(settings, m, bool), .choices = (names)
#define ENTRIES(m, count, table)                                                                   \
    .type = SETTINGS_ENTRIES, .offset = offsetof(struct settings, m),                              \
    .count_offset = OFFSET(settings, count, size_t), .entries = &(table)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MILLISECOND  ((uint64_t) 1)
#define SECOND       (1000 * MILLISECOND)
#define MINUTE       (60 * SECOND)
#define HOUR         (60 * MINUTE)
#define DAY          (24 * HOUR)
#define KIB          ((uint64_t) 1024)
#define MIB          (1024 * KIB)

/* A list that a person writes and reads; more is a mistake of a generator. */
#define LIST_MAX 256
/* Each url is a listening socket with threads' attention; a machine has a few networks. */
#define URLS_MAX 16
/* A spare key is about 2 KiB of locked memory: 16 MiB in all, more than a day's work of a core. */
#define POOL_MAX 8192

/* A choice is stored as an int. */
_Static_assert(sizeof(enum settings_role) == sizeof(int), "a role is stored as an int");

static const struct settings_choice roles[] = {
    { "none", SETTINGS_ROLE_NONE },
    { "viewer", SETTINGS_ROLE_VIEWER },
    { "domain_administrator", SETTINGS_ROLE_DOMAIN_ADMINISTRATOR },
    { "administrator", SETTINGS_ROLE_ADMINISTRATOR },
    { NULL, 0 },
};

static const struct settings_choice levels[] = {
    { "debug", LOG_DEBUG }, { "info", LOG_INFO }, { "warning", LOG_WARNING },
    { "error", LOG_ERROR }, { NULL, 0 },
};

static const struct settings_choice forms[] = { { "text", false }, { "json", true }, { NULL, 0 } };

/* Nobody writes this by accident. */
static const struct settings_choice remote_tcp[] = {
    { "i understand that tcp is neither encrypted nor authenticated", true },
    { NULL, 0 },
};

/* clang-format off */
static const struct settings_key listener_keys[] = {
    { "host_name", TEXT(settings_listener, host_name), .check = check_host_name,
      .meaning = "its host name, if not the mail host's" },
    { "smtp", BOOL(settings_listener, smtp), .fallback = "false",
      .meaning = "receives and sends mail; its addresses are in SPF records" },
    { "mta_sts", BOOL(settings_listener, mta_sts), .fallback = "false",
      .meaning = "serves MTA-STS policies; new domains then get one" },
    { "web", BOOL(settings_listener, web), .fallback = "false",
      .meaning = "serves web redirects and handlers" },
    { "ips_nated", BOOL(settings_listener, ips_nated), .fallback = "false",
      .meaning = "the addresses are behind NAT, their outer ones unknown" },
    { "ips", TEXTS(settings_listener, ips, ip_count, 0, LIST_MAX), .check = check_ip,
      .meaning = "addresses it listens on" },
    { "nat_ips", TEXTS(settings_listener, nat_ips, nat_ip_count, 0, LIST_MAX), .check = check_ip,
      .meaning = "outer addresses in place of ips" },
    { "tlsa_sha256", TEXTS(settings_listener, tlsa_sha256, tlsa_count, 0, LIST_MAX),
      .check = check_sha256,
      .meaning = "digests of its TLS public keys, for TLSA 3 1 1 records" },
};

static const struct settings_key principal_keys[] = {
    /* No default: what somebody may do is said, never guessed. */
    { "role", ROLE(settings_principal, role), .required = true, .meaning = "what the user may do" },
    { "key_reader", BOOL(settings_principal, key_reader), .fallback = "false",
      .meaning = "may export private keys" },
    { "domains", TEXTS(settings_principal, domains, domain_count, 0, TREE_ENTRIES_MAX),
      .check = check_host_name,
      .meaning = "what a domain_administrator administers" },
};
/* clang-format on */

static const char *name_listener(void *entry, const char *name)
{
    struct settings_listener *listener = entry;

    listener->name = name;
    return check_name(name);
}

/* The largest uid is (uid_t) -1, which means "none" to the kernel. */
#define UID_NONE ((uid_t) -1)
/* Enough for any local user database. */
#define PASSWD_BUFFER_SIZE 16384

static const char *name_principal(void *entry, const char *name)
{
    struct settings_principal *principal = entry;
    struct passwd *found = NULL;
    struct passwd user;
    char buffer[PASSWD_BUFFER_SIZE];
    uint64_t number;

    principal->uid = UID_NONE;
    if (value_parse_number(name, &number) && number < UID_NONE) {
        principal->uid = (uid_t) number;
        return NULL;
    }
    if (check_name(name) != NULL || isdigit((unsigned char) name[0])) {
        return "is neither a user's name nor a uid";
    }
    if (getpwnam_r(name, &user, buffer, sizeof(buffer), &found) != 0 || found == NULL) {
        return "is not a user of this machine";
    }
    principal->uid = user.pw_uid;
    return NULL;
}

static const struct settings_table listener_table = {
    listener_keys, COUNT(listener_keys), sizeof(struct settings_listener),
    name_listener, rules_listener,
};

static const struct settings_table principal_table = {
    principal_keys, COUNT(principal_keys), sizeof(struct settings_principal),
    name_principal, rules_principal,
};

/* clang-format off */
static const struct settings_key daemon_keys[] = {
    /* One unix socket, where systemd's RuntimeDirectory= is: the kernel says who calls. */
    { "urls", TEXTS(settings, urls, url_count, 1, URLS_MAX), .check = check_url,
      .fallback = "ipc:///run/mxadm/mxadmd.sock", .meaning = "where the daemon listens" },
    { "allow_remote_tcp", FLAG(allow_remote_tcp, remote_tcp),
      .meaning = "lets tcp urls be on addresses that other machines reach" },
    /* systemd's StateDirectory=. */
    { "state_directory", TEXT(settings, state_directory), .check = check_absolute_path,
      .fallback = "/var/lib/mxadm", .meaning = "the database, the lock file, the sealing key" },
    /* The default is the machine's own name, found at start. */
    { "host_name", TEXT(settings, host_name), .check = check_host_name,
      .meaning = "name of the mail host, in MX records and default client settings" },
    { "listeners", ENTRIES(listeners, listener_count, listener_table),
      .meaning = "the mail hosts' listeners, by name" },

    { "postmaster", .type = SETTINGS_SECTION, .meaning = "where mail to postmaster goes" },
    { "postmaster.account", TEXT(settings, postmaster.account), .check = check_name,
      .meaning = "the account" },
    { "postmaster.mailbox", TEXT(settings, postmaster.mailbox), .check = check_name,
      .meaning = "the mailbox" },

    { "host_tls_reports", .type = SETTINGS_SECTION,
      .meaning = "where TLS reports about the mail host go" },
    { "host_tls_reports.localpart", TEXT(settings, host_tls_reports.localpart),
      .check = check_localpart, .meaning = "localpart of their address at the host name" },
    { "host_tls_reports.account", TEXT(settings, host_tls_reports.account), .check = check_name,
      .meaning = "the account" },
    { "host_tls_reports.mailbox", TEXT(settings, host_tls_reports.mailbox), .check = check_name,
      .meaning = "the mailbox" },

    { "acme_issuer", TEXT(settings, acme_issuer), .check = check_host_name,
      .meaning = "domain of the certificate authority, for CAA records" },
    { "transports", TEXTS(settings, transports, transport_count, 0, LIST_MAX), .check = check_name,
      .meaning = "names of the mail hosts' transports, for routes" },

    { "keys", .type = SETTINGS_SECTION, .meaning = "DKIM keys" },
    { "keys.key_encryption_key_file", TEXT(settings, keys.key_encryption_key_file),
      .check = check_absolute_path, .meaning = "the key that seals private keys" },
    { "keys.directory", TEXT(settings, keys.directory), .check = check_absolute_path,
      .meaning = "where private keys are written for mail servers to read" },
    { "keys.group", TEXT(settings, keys.group), .check = check_name,
      .meaning = "unix group that may read the key directory's files" },
    /* One core makes 3 to 4 RSA-2048 keys a second, and a DomainAdd takes two: 64 carry a burst of
     * 32 domains, and are whole again within 20 seconds. */
    { "keys.rsa2048", .type = SETTINGS_SECTION, .meaning = "spare RSA keys of 2048 bits" },
    { "keys.rsa2048.low", UNSIGNED(keys.rsa2048.low, 0, POOL_MAX), .fallback = "32",
      .meaning = "spare keys at which more are made" },
    { "keys.rsa2048.high", UNSIGNED(keys.rsa2048.high, 0, POOL_MAX), .fallback = "64",
      .meaning = "spare keys at which no more are made" },
    /* Rare, and seconds of a core each: made on demand, the call waits. */
    { "keys.rsa3072", .type = SETTINGS_SECTION, .meaning = "spare RSA keys of 3072 bits" },
    { "keys.rsa3072.low", UNSIGNED(keys.rsa3072.low, 0, POOL_MAX), .fallback = "0",
      .meaning = "spare keys at which more are made" },
    { "keys.rsa3072.high", UNSIGNED(keys.rsa3072.high, 0, POOL_MAX), .fallback = "0",
      .meaning = "spare keys at which no more are made" },
    { "keys.rsa4096", .type = SETTINGS_SECTION, .meaning = "spare RSA keys of 4096 bits" },
    { "keys.rsa4096.low", UNSIGNED(keys.rsa4096.low, 0, POOL_MAX), .fallback = "0",
      .meaning = "spare keys at which more are made" },
    { "keys.rsa4096.high", UNSIGNED(keys.rsa4096.high, 0, POOL_MAX), .fallback = "0",
      .meaning = "spare keys at which no more are made" },
    /* A core makes 10,000 a second: a few, so that no call makes its own. */
    { "keys.ed25519", .type = SETTINGS_SECTION, .meaning = "spare Ed25519 keys" },
    { "keys.ed25519.low", UNSIGNED(keys.ed25519.low, 0, POOL_MAX), .fallback = "8",
      .meaning = "spare keys at which more are made" },
    { "keys.ed25519.high", UNSIGNED(keys.ed25519.high, 0, POOL_MAX), .fallback = "16",
      .meaning = "spare keys at which no more are made" },
    /* The default is one a core, found at start: they only use time that nobody else wants. No more
     * than the pool takes (KEY_POOL_THREADS_MAX). */
    { "keys.threads", UNSIGNED(keys.threads, 1, 64),
      .meaning = "threads of idle priority that make keys" },
    /* At 4 keys a second the last of them waits for minutes, longer than any deadline. */
    { "keys.waiters_max", UNSIGNED(keys.waiters_max, 0, 65536), .fallback = "1024",
      .meaning = "calls that wait for a key" },

    { "access", .type = SETTINGS_SECTION, .meaning = "who may call" },
    /* Any local process can connect to loopback, so it may look and not touch. */
    { "access.loopback_role", ROLE(settings, access.loopback_role), .fallback = "viewer",
      .meaning = "what callers over tcp, abstract and inproc urls may do" },
    { "access.loopback_key_reader", BOOL(settings, access.loopback_key_reader),
      .fallback = "false", .meaning = "whether they may export private keys" },
    { "access.principals", ENTRIES(access.principals, access.principal_count, principal_table),
      .meaning = "unix users, by name or uid" },

    { "limits", .type = SETTINGS_SECTION, .meaning = "what clients may use up" },
    /* The contract's promise. A list of all a domain's settings fits in 64 KiB; a message is held
     * in memory several times over for each of `contexts` calls. */
    { "limits.message_bytes", SIZE(limits.message_bytes, 64 * KIB, 64 * MIB), .fallback = "4MiB",
      .meaning = "largest request" },
    /* Measured with nng: 33 k calls/s with 1, 38 k with 64, 39 k with 256; more only take memory.
     * At least 2, so that one principal leaves one to the others. */
    { "limits.contexts", UNSIGNED(limits.contexts, 2, 4096), .fallback = "256",
      .meaning = "calls served at once" },
    /* Each is a file descriptor and a few buffers of nng's. The mail hosts and controllers of a
     * large installation are hundreds; a flood must end before the descriptors do. */
    { "limits.connections", UNSIGNED(limits.connections, 1, 65536), .fallback = "1024",
      .meaning = "connections" },
    /* Three quarters of `contexts`: whatever one user's programs do, 64 calls are left for the
     * others, which is what it takes to reach full speed. */
    { "limits.in_flight_per_principal", UNSIGNED(limits.in_flight_per_principal, 1, 4095),
      .fallback = "192", .meaning = "calls of one user at once" },
    /* 16 full groups: a fraction of a second of work. Longer queues only make refusals late. */
    { "limits.change_queue", UNSIGNED(limits.change_queue, 1, 65536), .fallback = "4096",
      .meaning = "changes waiting for the writer" },
    /* Measured with SQLite: 2 k rows/s with 1 a commit, 58 k with 64, 102 k with 256; beyond, the
     * first change of a group waits longer than it gains. */
    { "limits.group", UNSIGNED(limits.group, 1, 4096), .fallback = "256",
      .meaning = "changes in one commit" },
    /* The contract's promise. */
    { "limits.default_timeout", DURATION(limits.default_timeout_ms, 100 * MILLISECOND, HOUR),
      .fallback = "30s", .meaning = "deadline of a call that names none" },
    /* Two losses of a packet on a slow network; a client that reads at all is faster. */
    { "limits.send_timeout", DURATION(limits.send_timeout_ms, 10 * MILLISECOND, 5 * MINUTE),
      .fallback = "2s", .meaning = "how long a client may leave an answer unread" },
    /* Clients reconnect by themselves; a forgotten one shall not hold a descriptor for ever. */
    { "limits.idle_timeout", DURATION(limits.idle_timeout_ms, 100 * MILLISECOND, 7 * DAY),
      .fallback = "10m", .meaning = "after how long a connection without a call is closed" },
    /* nng's threads wake each other up several times a call; net/server.c says what that costs. */
    { "limits.one_processor", BOOL(settings, limits.one_processor), .fallback = "true",
      .meaning = "keep the threads that receive and send to one processor" },
    /* A wait holds no thread, only its request. */
    { "limits.waiting_reads", UNSIGNED(limits.waiting_reads, 0, 1000000), .fallback = "4096",
      .meaning = "reads waiting for a revision" },
    /* Each takes about 4 KiB, its part of nng included: 40 MB in all. */
    { "limits.waiting_calls", UNSIGNED(limits.waiting_calls, 0, 1000000), .fallback = "10000",
      .meaning = "calls waiting for a revision, a change or a key" },
    /* Each keeps the records alive that were changed since: many would keep them all. */
    { "limits.pinned_lists", UNSIGNED(limits.pinned_lists, 1, 4096), .fallback = "64",
      .meaning = "snapshots kept for the next pages of lists" },

    { "history", .type = SETTINGS_SECTION, .meaning = "what is remembered" },
    /* The contract's promise. Less than a minute would be less than a client's retries take. */
    { "history.request_id_keep", DURATION(history.request_id_keep_ms, MINUTE, 30 * DAY),
      .fallback = "24h", .meaning = "how long a repeated change gets its first answer" },
    /* About a gigabyte on disk; at one change a second, 11 days in which a follower may be away. */
    { "history.changes_keep", UINT64(history.changes_keep, 0, 1000000000000),
      .fallback = "1000000", .meaning = "revisions of history kept; 0: all" },
    { "history.changes_keep_age", DURATION(history.changes_keep_ms, 0, 36500 * DAY),
      .fallback = "0", .meaning = "age up to which history is kept; 0: any" },

    { "log", .type = SETTINGS_SECTION, .meaning = "the log, on standard error" },
    { "log.level", CHOICE(log.level, levels), .fallback = "info", .meaning = "least level logged" },
    /* For journalctl and people; json for collectors. */
    { "log.form", FLAG(log.json, forms), .fallback = "text", .meaning = "form of a line" },
};
/* clang-format on */

const struct settings_table settings_keys = {
    daemon_keys, COUNT(daemon_keys), sizeof(struct settings), NULL, rules_daemon,
};

const struct settings_key *settings_key_find(const struct settings_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->keys[i].path, path) == 0) {
            return &table->keys[i];
        }
    }
    return NULL;
}
