/*
 * The whole daemon without its transport, in this process: requests go in as
 * packed bytes through rpc_receive(), answers come back the same way. The
 * objects are those that mxadmd has (daemon/daemon.h), on data in a scratch
 * directory.
 *
 * Words:
 *   peer     who calls, as the transport would say it
 *   reply    an answer, unpacked, and checked for what is true of every answer
 *            (a refusal has reason and words, details fit the code, ...); the
 *            fixture's, valid until it is destroyed
 *   dump     all that the daemon holds: every entry of the store, position,
 *            key files; as text, to compare and to print
 *
 * A failing function fails the test, with the place in the test that called.
 */
#pragma once

#include "mxadm/v1/admin.pb-c.h"
#include "rpc/exchange.h"
#include "support/backend_gate.h"
#include "support/backend_sim.h"
#include "support/cmocka.h"

struct fixture;
struct pending;

struct fixture_options {
    bool sqlite;        /* else the simulator */
    bool key_directory; /* private keys as files too */
    bool no_mta_sts;    /* no listener serves policies */
    /* With sqlite: begins with the data of this one, which fixture_stop() stopped. Making keys
     * takes long: many small tests begin with the domains of one. */
    const struct fixture *copy_of;
    const char *limits; /* YAML within "limits:", one "  key: value\n" each; NULL: defaults */
    const char *keys;   /* the same within "keys:"; kinds not named are made on demand */
};

/* host mail.example.com, postmaster account "postmaster", host TLS reports at
 * tls-reports@mail.example.com, an MTA-STS listener, one with web, transports "smarthost" and
 * "direct", keys made on demand, the peers below.
 * NULL: all defaults. */
struct fixture *fixture_create(const struct fixture_options *options);
void fixture_destroy(struct fixture *fixture);

/* Stops it as mxadmd would, for good: it may be copied and destroyed. */
void fixture_stop(struct fixture *fixture);

/* Stops it as mxadmd would, and starts it again on the same data. */
void fixture_restart(struct fixture *fixture);

/* Ends all replies and texts so far, with no call under way: for who makes calls without end. */
void fixture_forget(struct fixture *fixture);

/* Returns when this many milliseconds have passed: a read that waits for a revision tells. */
void fixture_pass_time(struct fixture *fixture, int64_t ms);

/* ------------------------------------------------------------------- peers */

extern const struct rpc_peer root;       /* administrator and key reader */
extern const struct rpc_peer admin;      /* administrator, no key reader */
extern const struct rpc_peer viewer;     /* viewer */
extern const struct rpc_peer key_reader; /* viewer and key reader */
extern const struct rpc_peer scoped;     /* domain administrator of example.org and own.example */
extern const struct rpc_peer stranger;   /* a uid that the settings do not list */
extern const struct rpc_peer loopback;   /* viewer */

/* ------------------------------------------------------------------- calls */

struct options {
    const char *id;     /* request id: 16 bytes; NULL: none */
    int64_t timeout_ms; /* 0: the default */
    bool validate_only;
    uint64_t if_revision;
    uint64_t min_revision;
};

struct reply {
    enum mx_code code;
    const char *reason; /* "" if OK */
    const char *words;
    uint64_t revision;
    const Mxadm__V1__Response *envelope;
    const void *message; /* the operation's response; NULL unless OK */
    const uint8_t *bytes;
    size_t len;
};

/*
 * Calls an operation and waits for the answer. `method`: "DomainAdd", or a full name. The request
 * follows as pairs of a field's name and its value as text, ended by NULL:
 *
 *     ask(fixture, &root, "AccountAdd", "account", "alice", "address", "alice@example.org", NULL)
 *
 * Numbers, enums and flags are written as numbers, durations and times in seconds; a field that is
 * repeated may be given again. What lies within messages is written as a path; an empty value makes
 * an empty message:
 *
 *     "address.rulesets[0].mailbox", "Lists", "account.junk_filter", "", "update_mask.paths", "*"
 */
const struct reply *ask(struct fixture *fixture, const struct rpc_peer *peer, const char *method,
                        ...) __attribute__((sentinel));
const struct reply *ask_with(struct fixture *fixture, const struct rpc_peer *peer,
                             const struct options *options, const char *method, ...)
    __attribute__((sentinel));

/* The same without waiting. */
struct pending *ask_later(struct fixture *fixture, const struct rpc_peer *peer,
                          const struct options *options, const char *method, ...)
    __attribute__((sentinel));
const struct reply *await(struct pending *pending);
bool is_answered(struct pending *pending);
/* The client of a call that waits goes away; its answer, which nobody hears, can be awaited. */
void hang_up(struct pending *pending);

/* A call within a batch, with pairs as above; the fixture's. */
Mxadm__V1__BatchCall *batch_call(struct fixture *fixture, const char *method, ...)
    __attribute__((sentinel));
struct pending *ask_batch_later(struct fixture *fixture, const struct rpc_peer *peer,
                                const struct options *options, bool atomic,
                                Mxadm__V1__BatchCall **calls, size_t count);
const struct reply *ask_batch(struct fixture *fixture, const struct rpc_peer *peer,
                              const struct options *options, bool atomic,
                              Mxadm__V1__BatchCall **calls, size_t count);
/* The response of one of its calls. */
const void *batch_message(struct fixture *fixture, const char *method,
                          const Mxadm__V1__BatchResult *result);

/* A request of these bytes; `method` says how to unpack an answer (NULL: leave it packed). */
const struct reply *ask_bytes(struct fixture *fixture, const struct rpc_peer *peer,
                              const char *method, const void *bytes, size_t len);
/* An envelope around these bytes of a request message. */
const struct reply *ask_message(struct fixture *fixture, const struct rpc_peer *peer,
                                const char *method, const void *message, size_t len);
const struct reply *ask_envelope(struct fixture *fixture, const struct rpc_peer *peer,
                                 const Mxadm__V1__Request *envelope);

/* ------------------------------------------------------------------ checks */

/* Each returns its reply. */
#define OK(reply)                    check_ok((reply), __FILE__, __LINE__)
#define REFUSED(reply, code, reason) check_refused((reply), MX_##code, (reason), __FILE__, __LINE__)
const struct reply *check_ok(const struct reply *reply, const char *file, int line);
const struct reply *check_refused(const struct reply *reply, enum mx_code code, const char *reason,
                                  const char *file, int line);

/* The call is refused and leaves no trace: neither in the store, nor in its history, nor as a file,
 * nor as a key gone from the pool. */
#define REFUSES(fixture, code, reason, call)                                                       \
    do {                                                                                           \
        const char *before_ = fixture_dump(fixture);                                               \
        REFUSED((call), code, (reason));                                                           \
        assert_string_equal(fixture_dump(fixture), before_);                                       \
    } while (0)

/* Whether INVALID_ARGUMENT names this field. */
bool has_violation(const struct reply *reply, const char *field);
/* Whether FAILED_PRECONDITION names this object. */
bool has_blocker(const struct reply *reply, const char *type, const char *subject);

const char *fixture_dump(struct fixture *fixture);
/* Files below the key directory, without the directory's own name, ordered, one a line. */
const char *fixture_key_files(struct fixture *fixture);
const char *fixture_key_path(struct fixture *fixture, const char *name);

uint64_t fixture_revision(struct fixture *fixture);
bool fixture_serves(struct fixture *fixture);
/* Ready spare keys of an algorithm. */
unsigned fixture_spare_keys(struct fixture *fixture, Mxadm__V1__DkimSelector__Algorithm algorithm);

/* ------------------------------------------------------------ what it is on */

struct rpc *fixture_rpc(struct fixture *fixture);
/* To read; the writer is the daemon's. */
struct store *fixture_store(struct fixture *fixture);
const struct settings *fixture_settings(struct fixture *fixture);
struct backend_gate *fixture_gate(struct fixture *fixture);
/* NULL with SQLite. */
struct backend *fixture_sim(struct fixture *fixture);
struct backend_sim_disk *fixture_disk(struct fixture *fixture);

/* Text that lives as long as the fixture. */
char *fixture_text(struct fixture *fixture, const char *format, ...) MX_PRINTF(2, 3);

/* A domain with the account "owner" of localpart "owner", which must succeed. */
void add_domain(struct fixture *fixture, const char *domain, const char *owner);
