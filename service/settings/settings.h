/*
 * The daemon's settings: one YAML file, read once at start into a const struct.
 *
 * deploy/mxadmd.yaml is the commented sample with all keys and their defaults;
 * a test loads it and compares. Unknown keys, keys given twice, wrong types and
 * bad values are errors that name file, line, column and key; all of them are
 * reported, not the first only (a text that is no YAML ends the reading at that
 * place). An empty file is legal: all defaults. settings/keys.h has the keys.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Numbers of the role names in the file and in auth/principal.h. */
enum settings_role {
    SETTINGS_ROLE_NONE,
    SETTINGS_ROLE_VIEWER,
    SETTINGS_ROLE_DOMAIN_ADMINISTRATOR,
    SETTINGS_ROLE_ADMINISTRATOR,
};

/* A unix user that may call. */
struct settings_principal {
    uid_t uid;
    enum settings_role role;
    bool key_reader;      /* may export private keys */
    const char **domains; /* for a domain administrator; names as written */
    size_t domain_count;
};

/* A listener of the mail hosts (not of this daemon): what DNS records and MTA-STS are made from. */
struct settings_listener {
    const char *name;
    const char *host_name; /* NULL: the host name */
    bool smtp;
    bool mta_sts;
    bool web;
    bool ips_nated;
    const char **ips;
    size_t ip_count;
    const char **nat_ips;
    size_t nat_ip_count;
    /* DER SubjectPublicKeyInfo digests for TLSA 3 1 1, hex, 64 digits. */
    const char **tlsa_sha256;
    size_t tlsa_count;
};

struct settings_pool_kind {
    unsigned low;
    unsigned high;
};

struct settings {
    const char **urls; /* ipc://, tcp:// on loopback, abstract://, inproc:// */
    size_t url_count;
    bool allow_remote_tcp; /* in words: "i understand that tcp is neither encrypted nor
                              authenticated" */
    const char *state_directory;
    const char *host_name; /* of the mail host; default: this machine's */
    struct settings_listener *listeners;
    size_t listener_count;
    struct {
        const char *account; /* NULL: none */
        const char *mailbox;
    } postmaster;
    struct {
        const char *localpart; /* NULL: none */
        const char *account;
        const char *mailbox;
    } host_tls_reports;
    const char *acme_issuer; /* NULL: none; for CAA records */
    const char **transports;
    size_t transport_count;

    struct {
        const char *key_encryption_key_file; /* NULL: <state_directory>/kek, made at first start */
        const char *directory;               /* NULL: no key directory */
        const char *group;                   /* NULL: files are 0600; else 0640 with this group */
        struct settings_pool_kind rsa2048, rsa3072, rsa4096, ed25519;
        unsigned threads;
        unsigned waiters_max;
    } keys;

    struct {
        enum settings_role loopback_role; /* of callers over tcp on loopback and abstract/inproc */
        bool loopback_key_reader;
        struct settings_principal *principals; /* root and the daemon's own uid are administrators
                                                * and key readers unless listed */
        size_t principal_count;
    } access;

    struct {
        size_t message_bytes; /* largest request */
        unsigned contexts;    /* calls served at once */
        unsigned connections; /* pipes */
        unsigned in_flight_per_principal;
        unsigned change_queue; /* changes waiting for the writer */
        unsigned group;        /* changes in one commit */
        int64_t default_timeout_ms;
        int64_t send_timeout_ms; /* of an answer that the client does not read */
        int64_t idle_timeout_ms; /* a connection without a call is closed */
        bool one_processor;      /* keep the transport's threads to one */
        unsigned waiting_reads;  /* reads waiting for a revision */
        unsigned waiting_calls;  /* all that wait: for a revision, a change, a key */
        unsigned pinned_lists;   /* snapshots kept for page tokens */
    } limits;

    struct {
        int64_t request_id_keep_ms; /* 24 hours */
        uint64_t changes_keep;      /* revisions of history kept; 0: all */
        int64_t changes_keep_ms;    /* 0: for ever */
    } history;

    struct {
        int level; /* enum log_level */
        bool json;
    } log;

    void *memory; /* the settings' own */
};

/* All problems found, one line each "file:line:column: key: what", at most 64 KiB; yours. */
struct settings_problems {
    char *text; /* NULL: none */
    size_t count;
};
void settings_problems_fini(struct settings_problems *problems);

/*
 * Reads a file; NULL path: all defaults. Not MX_OK: `problems_out` says all, `err` the first.
 */
MX_MUST_USE enum mx_code settings_load(const char *path, struct settings **settings_out,
                                       struct settings_problems *problems_out,
                                       struct mx_error *err);

/* The same from text; `name` stands for the file in problems. What the fuzzer calls. */
MX_MUST_USE enum mx_code settings_parse(const char *text, size_t len, const char *name,
                                        struct settings **settings_out,
                                        struct settings_problems *problems_out,
                                        struct mx_error *err);
void settings_free(struct settings *settings);
