/*
 * libmxadm: calls the operations of mxadmd, the mail configuration daemon.
 *
 * As in gRPC, requests and responses are the message types generated from the
 * .proto files (mxadm/v1/admin.proto says what each operation does); this
 * header adds the channel (`mxadm_client`), the call and its result.
 *
 *     mxadm_client *client;
 *     if (mxadm_client_open(NULL, &client) == MXADM_OK) {
 *         Mxadm__V1__DomainGetRequest request = MXADM__V1__DOMAIN_GET_REQUEST__INIT;
 *         request.domain = "example.org";
 *         mxadm_result *result;
 *         if (mxadm_call(client, "DomainGet", &request.base, NULL, &result) == MXADM_OK) {
 *             const Mxadm__V1__DomainGetResponse *answer =
 *                 (const Mxadm__V1__DomainGetResponse *) mxadm_result_response(result);
 *             puts(answer->domain->name);
 *         }
 *         mxadm_result_free(result);
 *         mxadm_client_close(client);
 *     }
 *
 * True of every function:
 * - What `*_out` returns is yours and has one matching free or close; both take
 *   NULL. `*_out` is written only on success, except `result_out`, which is
 *   written always: a failure has a result too, that says why.
 * - Getters borrow: what they return is valid until its owner is freed. They
 *   take NULL for an owner and then speak of "out of memory".
 * - Arguments are copied, nothing passed in must outlive the call. A NULL
 *   `options` means all defaults, as does 0 or NULL in a field of options.
 * - One client may be used by any number of threads at once. A result is one
 *   thread's at a time.
 * - There is no global state and nothing to initialise. After fork() the child
 *   can't use a client of its parent: calls are refused with
 *   MXADM_FAILED_PRECONDITION, closing does nothing. Open a new one after exec.
 * - C99, nothing else needed of the includer; usable from C++.
 *
 * What a timeout means. Every call has a deadline. When it passes, the result
 * is MXADM_DEADLINE_EXCEEDED: a read has no answer, a change *may have
 * happened*. Within the deadline the library repeats by itself what is safe to
 * repeat: each call carries a request id (16 bytes, random unless given), so
 * that the daemon does a change once however often it is sent. To go on after a
 * timeout, call again with the same request id: mxadm_result_request_id().
 */
#ifndef MXADM_MXADM_H
#define MXADM_MXADM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <mxadm/version.h>

/* protoc-c writes a oneof as an anonymous union, which C99 compilers take, though not in silence.
 */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#endif
#include <grpc/health/v1/health.pb-c.h>
#include <mxadm/v1/admin.pb-c.h>
#include <mxadm/v1/model.pb-c.h>
#include <mxadm/v1/rpc.pb-c.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MXADM_API __attribute__((visibility("default")))
#else
#define MXADM_API
#endif

/* ------------------------------------------------------------------ Codes */

/*
 * How a call ended: the codes of gRPC by number, explained at `Code` in
 * mxadm/v1/rpc.proto. Programs branch on the code and the reason, people read
 * the message.
 */
typedef enum mxadm_code {
    MXADM_OK = 0,
    MXADM_CANCELLED = 1, /* the client was closed meanwhile */
    MXADM_UNKNOWN = 2,
    MXADM_INVALID_ARGUMENT = 3,
    MXADM_DEADLINE_EXCEEDED = 4, /* a change may have happened */
    MXADM_NOT_FOUND = 5,
    MXADM_ALREADY_EXISTS = 6,
    MXADM_PERMISSION_DENIED = 7,
    MXADM_RESOURCE_EXHAUSTED = 8,
    MXADM_FAILED_PRECONDITION = 9,
    MXADM_ABORTED = 10,
    MXADM_OUT_OF_RANGE = 11,
    MXADM_UNIMPLEMENTED = 12,
    MXADM_INTERNAL = 13,
    MXADM_UNAVAILABLE = 14, /* no server, or it can't answer now; a change may have happened */
    MXADM_DATA_LOSS = 15,
    MXADM_UNAUTHENTICATED = 16
} mxadm_code;

/* "NOT_FOUND", for any number; "UNKNOWN" for one that is none of ours. Static. */
MXADM_API const char *mxadm_code_name(mxadm_code code);

/* ----------------------------------------------------------------- Client */

/* A channel to one daemon, or to several that serve the same configuration. */
typedef struct mxadm_client mxadm_client;

/* Where a client connects to when nothing else is said. */
#define MXADM_DEFAULT_URL "ipc:///run/mxadm/mxadmd.sock"

/* Length of a request id, in bytes. */
#define MXADM_REQUEST_ID_SIZE 16

/*
 * Start from MXADM_CLIENT_OPTIONS_INIT, which fills in `size`; a struct without
 * it is refused. Later versions add fields at the end: a program built against
 * an older version goes on working, and a field that this library does not know
 * is refused with MXADM_INVALID_ARGUMENT if it is set.
 */
typedef struct mxadm_client_options {
    size_t size;
    /* Where to connect, the preferred first: "ipc:///path", "tcp://host:port", "abstract://name".
     * A connection that fails, or is told UNAVAILABLE, moves on to the next, after the last to the
     * first. Default: MXADM_DEFAULT_URL alone. */
    const char *const *urls;
    size_t url_count;
    /* Of a call that does not say otherwise. Default: 30,000. At most 3,600,000. */
    uint32_t timeout_ms;
    /* How long connecting may take. Default: 2,000. */
    uint32_t connect_timeout_ms;
    /* How long one attempt of a call waits for its answer, before it is made again on a new
     * connection. Set it where a server may vanish without a word. Default: as long as the call. */
    uint32_t attempt_timeout_ms;
    /* How many calls may be under way at once, each on a connection of its own, made when first
     * needed; further calls wait in order. Default: 4. At most 1,024. */
    uint32_t connections;
    /* How often a call is tried in all. Default: as often as its time allows. */
    uint32_t max_attempts;
    /* Pause before the second attempt; it doubles with each further one, and a random part of up to
     * half is taken off. Defaults: 50 and 2,000. */
    uint32_t backoff_initial_ms;
    uint32_t backoff_max_ms;
    /* Largest answer that is accepted, in bytes; a larger one loses the connection. Default:
     * 67,108,864. */
    uint32_t answer_bytes_limit;
} mxadm_client_options;

#define MXADM_CLIENT_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(mxadm_client_options), NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0                              \
    }

/*
 * Makes a client. Connects to nothing yet: a server that is not there shows in
 * the first call.
 *
 * Returns MXADM_INVALID_ARGUMENT for options that can't be, and
 * MXADM_RESOURCE_EXHAUSTED when there is no memory or no thread.
 */
MXADM_API mxadm_code mxadm_client_open(const mxadm_client_options *options,
                                       mxadm_client **client_out);

/*
 * Ends a client. Calls that are under way end with MXADM_CANCELLED, also in
 * other threads; all callbacks have returned when this returns. Not to be
 * called from a callback, nor while another thread may begin a call.
 *
 * Does not wait for the transport longer than a second: should nng not let go
 * of a connection (a defect of some versions), a detached thread waits on and
 * what it needs stays allocated.
 */
MXADM_API void mxadm_client_close(mxadm_client *client);

/* ------------------------------------------------------------------ Calls */

/* A fact about a call that is not the operation's business: `Metadata` in rpc.proto. */
typedef struct mxadm_metadata {
    const char *key;
    const char *value;
} mxadm_metadata;

/* As mxadm_client_options: start from MXADM_CALL_OPTIONS_INIT. */
typedef struct mxadm_call_options {
    size_t size;
    /* MXADM_REQUEST_ID_SIZE bytes that name the change. Default: made for this call. */
    const uint8_t *request_id;
    const mxadm_metadata *metadata;
    size_t metadata_count;
    /* Changes only: refuse with MXADM_ABORTED if a record that would be written is newer. */
    uint64_t if_revision;
    /* Reads only: wait until the configuration is at least this new. */
    uint64_t min_revision;
    /* From now until the result is there, all attempts together. Default: the client's. */
    uint32_t timeout_ms;
    /* Changes only, not 0: check everything, change nothing, tell what would be changed:
     * mxadm_result_change(). */
    uint32_t validate_only;
} mxadm_call_options;

#define MXADM_CALL_OPTIONS_INIT                                                                    \
    {                                                                                              \
        sizeof(mxadm_call_options), NULL, NULL, 0, 0, 0, 0, 0                                      \
    }

/* How a call ended, and its response. */
typedef struct mxadm_result mxadm_result;

/*
 * Calls an operation and waits for its result. `method` is the operation's full
 * name, "mxadm.v1.Admin/DomainAdd", or for those of Admin the last part alone;
 * `request` is its request message.
 *
 * Tried again with the same request id, after a growing, jittered pause and
 * while the deadline allows: a connection that can't be made or is lost, an
 * attempt without answer, MXADM_UNAVAILABLE, and MXADM_RESOURCE_EXHAUSTED that
 * says when to come again. When no further attempt fits, the result is that of
 * the last one.
 *
 * Returns the result's code. `result_out` may be NULL if only that is wanted;
 * `*result_out` is NULL only when there was no memory for it
 * (MXADM_RESOURCE_EXHAUSTED). Not to be called from a callback: refused with
 * MXADM_FAILED_PRECONDITION.
 */
MXADM_API mxadm_code mxadm_call(mxadm_client *client, const char *method,
                                const ProtobufCMessage *request, const mxadm_call_options *options,
                                mxadm_result **result_out);

/* Receives the result of a call, which becomes yours: mxadm_result_free(). Runs on a thread of the
 * library, several may run at once. It must not wait: other calls' answers come on that thread
 * too. It may begin calls with mxadm_call_async(). */
typedef void (*mxadm_callback)(mxadm_result *result, void *payload);

/*
 * Begins a call as mxadm_call() does and returns at once. If it returns
 * MXADM_OK, `callback` is called exactly once, perhaps before this returns;
 * else it is never called.
 */
MXADM_API mxadm_code mxadm_call_async(mxadm_client *client, const char *method,
                                      const ProtobufCMessage *request,
                                      const mxadm_call_options *options, mxadm_callback callback,
                                      void *payload);

/* ---------------------------------------------------------------- Results */

MXADM_API mxadm_code mxadm_result_code(const mxadm_result *result);

/* One or two sentences in English. "" when OK. */
MXADM_API const char *mxadm_result_message(const mxadm_result *result);

/* UPPER_SNAKE_CASE, for programs: "DOMAIN_EXISTS". "" when OK. Made by the library itself:
 * "BAD_CALL", "CONNECTION_FAILED", "CONNECTION_LOST", "TIMED_OUT", "BAD_ANSWER", "CLIENT_CLOSED",
 * "OUT_OF_MEMORY". */
MXADM_API const char *mxadm_result_reason(const mxadm_result *result);

/* The whole status with its details: wrong fields, what stands in the way. NULL when OK. */
MXADM_API const Mxadm__V1__Status *mxadm_result_status(const mxadm_result *result);

/* The response message, of the operation's response type. NULL unless OK. */
MXADM_API const ProtobufCMessage *mxadm_result_response(const mxadm_result *result);

/* Revision of the configuration that the answer speaks of; 0 if no server answered. Pass it as
 * `min_revision` to read at least what this call saw. */
MXADM_API uint64_t mxadm_result_revision(const mxadm_result *result);

/* With `validate_only`: how many records would change, and how the one at `index` would. NULL
 * beyond the last. */
MXADM_API size_t mxadm_result_change_count(const mxadm_result *result);
MXADM_API const Mxadm__V1__PlannedChange *mxadm_result_change(const mxadm_result *result,
                                                              size_t index);

/* The MXADM_REQUEST_ID_SIZE bytes that the call went under. NULL without a result. */
MXADM_API const uint8_t *mxadm_result_request_id(const mxadm_result *result);

/* How often the call was tried. */
MXADM_API unsigned mxadm_result_attempts(const mxadm_result *result);

/* The call failed after at least one attempt was sent of which nobody knows the end: a change may
 * have happened. Calling again with the same request id is safe and tells. */
MXADM_API bool mxadm_result_may_have_happened(const mxadm_result *result);

MXADM_API void mxadm_result_free(mxadm_result *result);

/* ---------------------------------------------------------------- Watching */

/*
 * A watch follows the changes of the configuration: it calls back for each, in
 * order, and goes on by itself when the connection is lost, when the daemon
 * restarts, and, over several URLs, with the next daemon. As long as the watch
 * lives each revision is delivered exactly once. A program that wants to go on
 * after its own restart keeps the last revision that it has dealt with and
 * gives it as `after_revision`.
 *
 * The daemon keeps history for a while only. When what the watch needs is gone,
 * or the daemon is at an older revision than the watch (a backup was restored),
 * it *lists then follows*: MXADM_WATCH_RESET, then each record that there is as
 * MXADM_WATCH_RECORD, then the changes after the revision at which the listing
 * began. A record is listed as it is at `revision` of its event, and changes up
 * to that one come once more: who takes each as "this is how the record is now"
 * ends up right, and who counts them skips those not after `revision`.
 *
 * A watch does not notice when a daemon has another history of at least the
 * same length.
 */
typedef struct mxadm_watch mxadm_watch;

typedef enum mxadm_watch_kind {
    /* One revision: `change`. Of one with more records than fit an answer, a part: it is the last
     * unless `more` is set, and `change->record_offset` says how many records came before. */
    MXADM_WATCH_CHANGE = 1,
    /* All that was known is void; a listing follows. If it comes again before the listing has
     * ended, the listing begins anew. */
    MXADM_WATCH_RESET = 2,
    /* A record of the listing: `record`, as it is at `revision`. */
    MXADM_WATCH_RECORD = 3,
    /* Everything up to `revision`, the newest, has been delivered; a listing is complete. Comes
     * at the beginning and whenever the watch had fallen behind, not after each change. */
    MXADM_WATCH_CAUGHT_UP = 4,
    /* No daemon answers, or none can: `result` says why. Being tried again, after a growing pause.
     * Once each time. */
    MXADM_WATCH_LOST = 5,
    /* A daemon answers again. */
    MXADM_WATCH_RESUMED = 6,
    /* The watch is over, because of what trying again won't mend: `result`, such as
     * MXADM_PERMISSION_DENIED. The last event; the watch must still be closed. */
    MXADM_WATCH_ENDED = 7
} mxadm_watch_kind;

/* What happened; borrowed until the callback returns. Later versions add fields at the end. */
typedef struct mxadm_watch_event {
    mxadm_watch_kind kind;
    uint32_t more; /* CHANGE: not 0: further parts of this revision follow */
    /* CHANGE: the revision made. RECORD: the one it speaks of. Else the last one delivered. */
    uint64_t revision;
    const Mxadm__V1__Change *change; /* CHANGE, else NULL */
    const Mxadm__V1__Record *record; /* RECORD, else NULL */
    const mxadm_result *result;      /* LOST and ENDED, else NULL */
} mxadm_watch_event;

/* As mxadm_client_options: start from MXADM_WATCH_OPTIONS_INIT. */
typedef struct mxadm_watch_options {
    size_t size;
    /* Deliver what came after this revision. 0, without the flags below: from the oldest that the
     * daemon keeps. */
    uint64_t after_revision;
    /* Only what concerns this domain, this account; both: both. Default: everything. */
    const char *domain;
    const char *account;
    /* Not 0: deliver what comes from now on. Not together with `after_revision`. */
    uint32_t from_now;
    /* Not 0: begin with a listing, MXADM_WATCH_RESET first. Not together with the others. */
    uint32_t snapshot;
} mxadm_watch_options;

#define MXADM_WATCH_OPTIONS_INIT                                                                   \
    {                                                                                              \
        sizeof(mxadm_watch_options), 0, NULL, NULL, 0, 0                                           \
    }

/* Runs on a thread of the watch, never two at once for one watch. It may take its time and may
 * call mxadm_call(); what comes meanwhile waits at the daemon. */
typedef void (*mxadm_watch_callback)(const mxadm_watch_event *event, void *payload);

/*
 * Begins a watch. It has a connection of its own, made as those of `client`,
 * whose options it takes over: the client stays free for calls, and may be
 * closed before the watch. A server that is not there shows as
 * MXADM_WATCH_LOST.
 *
 * Returns MXADM_INVALID_ARGUMENT for options that can't be,
 * MXADM_FAILED_PRECONDITION in a child process of the one that opened the
 * client, and MXADM_RESOURCE_EXHAUSTED when there is no memory or no thread.
 */
MXADM_API mxadm_code mxadm_watch_open(const mxadm_client *client,
                                      const mxadm_watch_options *options,
                                      mxadm_watch_callback callback, void *payload,
                                      mxadm_watch **watch_out);

/* Ends a watch. Waits for a callback that runs; none comes afterwards. Not to be called from a
 * callback. */
MXADM_API void mxadm_watch_close(mxadm_watch *watch);

/* --------------------------------------------------------------- Services */

/* The services that the daemon has: Admin first, then Health. Static. */
MXADM_API const ProtobufCServiceDescriptor *const *mxadm_services(size_t *count_out);

/* The operation with this name, as mxadm_call() takes it. NULL: there is none. Static. */
MXADM_API const ProtobufCMethodDescriptor *mxadm_method_find(const char *method);

/*
 * Makes a service object for the generated functions: with it,
 *
 *     mxadm__v1__admin__domain_add(service, &request, closure, data);
 *
 * is mxadm_call() of DomainAdd with `options`. The closure gets the response,
 * or NULL on failure, before the function returns; mxadm_service_result() has
 * the status. `descriptor` is one of mxadm_services(), NULL means Admin. One
 * service object is one thread's. It borrows the client, and what `options`
 * points to: free it with protobuf_c_service_destroy() before them.
 */
MXADM_API mxadm_code mxadm_service_open(mxadm_client *client,
                                        const ProtobufCServiceDescriptor *descriptor,
                                        const mxadm_call_options *options,
                                        ProtobufCService **service_out);

/* The result of the last call through this service, valid until the next. NULL: none yet. */
MXADM_API const mxadm_result *mxadm_service_result(const ProtobufCService *service);

#ifdef __cplusplus
}
#endif

#endif
