#include "support/rpc_fixture.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "db/backend_sqlite.h"
#include "grpc/health/v1/health.pb-c.h"
#include "mxadm/version.h"
#include "rpc/rpc.h"
#include "settings/settings.h"
#include "support/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Longer than any call here takes, under the slowest sanitizer. */
#define ANSWER_WAIT_MS ((int64_t) 120 * 1000)
#define DRAIN_MS       ((int64_t) 60 * 1000)
#define MEMORY_MAX     ((size_t) 1024 * 1024 * 1024)
#define REQUEST_ID_LEN 16

const struct rpc_peer root = { .kind = RPC_PEER_UNIX, .uid = 0 };
const struct rpc_peer admin = { .kind = RPC_PEER_UNIX, .uid = 70001 };
const struct rpc_peer viewer = { .kind = RPC_PEER_UNIX, .uid = 70002 };
const struct rpc_peer key_reader = { .kind = RPC_PEER_UNIX, .uid = 70003 };
const struct rpc_peer scoped = { .kind = RPC_PEER_UNIX, .uid = 70004 };
const struct rpc_peer stranger = { .kind = RPC_PEER_UNIX, .uid = 70005 };
const struct rpc_peer loopback = { .kind = RPC_PEER_LOOPBACK };

struct fixture {
    struct scratch scratch;
    struct arena *arena; /* replies and texts; under lock */
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool sqlite;
    struct settings *settings;
    struct backend_sim_disk *disk; /* NULL with SQLite */
    struct backend *sim;
    struct backend_gate *gate;
    struct daemon *daemon;
};

struct pending {
    struct rpc_exchange exchange; /* first: the dispatcher knows no more */
    struct fixture *fixture;
    const ProtobufCMessageDescriptor *output; /* NULL: not to be unpacked */
    uint8_t *bytes;
    size_t len;
    bool answered; /* protected by the fixture's lock */
    struct reply reply;
};

static void *must(void *memory)
{
    if (memory == NULL) {
        fail_msg("out of memory");
    }
    return memory;
}

static void *fixture_alloc(struct fixture *fixture, size_t size)
{
    void *memory;

    (void) pthread_mutex_lock(&fixture->lock);
    memory = arena_alloc(fixture->arena, size);
    (void) pthread_mutex_unlock(&fixture->lock);
    return must(memory);
}

char *fixture_text(struct fixture *fixture, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    (void) pthread_mutex_lock(&fixture->lock);
    text = arena_vprintf(fixture->arena, format, args);
    (void) pthread_mutex_unlock(&fixture->lock);
    va_end(args);
    return must(text);
}

/* -------------------------------------------------------------------- life */

static const char settings_form[] =
    "state_directory: %s/state\n"
    "host_name: mail.example.com\n"
    "listeners:\n"
    "  public: { smtp: true, mta_sts: %s, ips: [192.0.2.10] }\n"
    "  other: { smtp: true, host_name: mx2.example.com }\n"
    "  inside: { web: true }\n"
    "transports: [smarthost, direct]\n"
    "postmaster: { account: postmaster, mailbox: Postmaster }\n"
    "host_tls_reports: { localpart: tls-reports, account: postmaster, mailbox: TLSRPT }\n"
    "acme_issuer: letsencrypt.org\n"
    "access:\n"
    "  principals:\n"
    "    '0': { role: administrator, key_reader: true }\n"
    "    '70001': { role: administrator }\n"
    "    '70002': { role: viewer }\n"
    "    '70003': { role: viewer, key_reader: true }\n"
    "    '70004': { role: domain_administrator, domains: [example.org, own.example] }\n"
    "keys:\n"
    "  threads: 2\n"
    "%s%s%s";

/* A kind of key that the test does not speak of is made on demand. */
static const char *key_kinds(struct fixture *fixture, const char *keys)
{
    return fixture_text(fixture, "%s%s%s", keys,
                        strstr(keys, "rsa2048:") == NULL ? "  rsa2048: { low: 0, high: 0 }\n" : "",
                        strstr(keys, "ed25519:") == NULL ? "  ed25519: { low: 0, high: 0 }\n" : "");
}

static void read_settings(struct fixture *fixture, const struct fixture_options *options)
{
    const char *directory =
        options->key_directory
            ? fixture_text(fixture, "  directory: %s\n", scratch_path(&fixture->scratch, "keys"))
            : "";
    const char *limits =
        options->limits == NULL ? "" : fixture_text(fixture, "limits:\n%s", options->limits);
    const char *keys = key_kinds(fixture, options->keys == NULL ? "" : options->keys);
    const char *text =
        fixture_text(fixture, settings_form, fixture->scratch.directory,
                     options->no_mta_sts ? "false" : "true", keys, directory, limits);
    struct settings_problems problems = { 0 };
    struct mx_error err;

    if (settings_parse(text, strlen(text), "test", &fixture->settings, &problems, &err) != MX_OK) {
        fail_msg("settings: %s", problems.text == NULL ? err.message : problems.text);
    }
    settings_problems_fini(&problems);
}

static struct backend *open_backend(struct fixture *fixture)
{
    struct backend *backend = NULL;
    struct mx_error err;

    if (fixture->sqlite) {
        const char *path = fixture_text(fixture, "%s/mxadm.db", fixture->settings->state_directory);

        if (backend_sqlite_open(path, &backend, &err) != MX_OK) {
            fail_msg("%s", err.message);
        }
    } else {
        backend = backend_sim_open(fixture->disk, 1);
        fixture->sim = backend;
    }
    return backend_gate_create(backend, &fixture->gate);
}

static void start(struct fixture *fixture)
{
    static const uint8_t description[] = { 0x0a, 0x00 };
    struct daemon_config config = { .settings = fixture->settings,
                                    .backend = open_backend(fixture),
                                    .version = MXADM_VERSION_STRING,
                                    .descriptor_set = slice_of(description, sizeof(description)) };
    struct mx_error err;

    if (daemon_start(&config, &fixture->daemon, &err) != MX_OK) {
        fail_msg("start: %s", err.message);
    }
}

static void stop(struct fixture *fixture)
{
    if (fixture->daemon == NULL) {
        return;
    }
    backend_gate_open(fixture->gate);
    if (!rpc_drain(daemon_rpc(fixture->daemon), clock_mono_ms() + DRAIN_MS)) {
        fail_msg("the drain left calls behind");
    }
    daemon_stop(fixture->daemon);
    fixture->daemon = NULL;
}

static void copy_state(struct fixture *fixture, const struct fixture *from)
{
    const char *command =
        fixture_text(fixture, "cp -a '%s/.' '%s'", from->settings->state_directory,
                     fixture->settings->state_directory);

    assert_null(from->daemon);
    /* NOLINTNEXTLINE(cert-env33-c): names of our own scratch directories */
    if (system(command) != 0) {
        fail_msg("failed: %s", command);
    }
}

struct fixture *fixture_create(const struct fixture_options *options)
{
    static const struct fixture_options defaults = { 0 };
    struct fixture *fixture = must(calloc(1, sizeof(*fixture)));

    options = options == NULL ? &defaults : options;
    log_configure(getenv("MXADM_TEST_LOG") == NULL ? LOG_ERROR : LOG_DEBUG, false);
    (void) pthread_mutex_init(&fixture->lock, NULL);
    (void) pthread_cond_init(&fixture->answered, NULL);
    fixture->arena = must(arena_create(MEMORY_MAX));
    scratch_init(&fixture->scratch);
    read_settings(fixture, options);
    if (mkdir(fixture->settings->state_directory, 0700) != 0) {
        fail_msg("%s: %s", fixture->settings->state_directory, strerror(errno));
    }
    if (options->copy_of != NULL) {
        copy_state(fixture, options->copy_of);
    }
    fixture->sqlite = options->sqlite;
    if (!fixture->sqlite) {
        fixture->disk = backend_sim_disk_create();
    }
    start(fixture);
    return fixture;
}

void fixture_stop(struct fixture *fixture)
{
    stop(fixture);
}

void fixture_destroy(struct fixture *fixture)
{
    stop(fixture);
    if (fixture->disk != NULL) {
        backend_sim_disk_destroy(fixture->disk);
    }
    settings_free(fixture->settings);
    scratch_fini(&fixture->scratch);
    arena_destroy(fixture->arena);
    (void) pthread_mutex_destroy(&fixture->lock);
    (void) pthread_cond_destroy(&fixture->answered);
    free(fixture);
}

void fixture_restart(struct fixture *fixture)
{
    stop(fixture);
    start(fixture);
}

void fixture_forget(struct fixture *fixture)
{
    (void) pthread_mutex_lock(&fixture->lock);
    arena_reset(fixture->arena);
    (void) pthread_mutex_unlock(&fixture->lock);
}

const struct settings *fixture_settings(struct fixture *fixture)
{
    return fixture->settings;
}

struct rpc *fixture_rpc(struct fixture *fixture)
{
    return daemon_rpc(fixture->daemon);
}

struct store *fixture_store(struct fixture *fixture)
{
    return daemon_store(fixture->daemon);
}

struct backend_gate *fixture_gate(struct fixture *fixture)
{
    return fixture->gate;
}

struct backend *fixture_sim(struct fixture *fixture)
{
    return fixture->sim;
}

struct backend_sim_disk *fixture_disk(struct fixture *fixture)
{
    return fixture->disk;
}

/* --------------------------------------------------------------- transport */

static uint8_t *reserve(struct rpc_exchange *exchange, size_t len)
{
    struct pending *pending = (struct pending *) exchange;

    assert_null(pending->bytes);
    pending->bytes = fixture_alloc(pending->fixture, len + 1);
    pending->len = len;
    return pending->bytes;
}

static void answer(struct rpc_exchange *exchange)
{
    struct pending *pending = (struct pending *) exchange;

    (void) pthread_mutex_lock(&pending->fixture->lock);
    if (pending->answered) {
        (void) fprintf(stderr, "a call was answered twice\n");
        abort();
    }
    pending->answered = true;
    (void) pthread_cond_broadcast(&pending->fixture->answered);
    (void) pthread_mutex_unlock(&pending->fixture->lock);
}

void hang_up(struct pending *pending)
{
    atomic_store(&pending->exchange.gone, true);
    rpc_hung_up(fixture_rpc(pending->fixture));
}

static const ProtobufCMethodDescriptor *find_method(const char *method)
{
    const char *slash = strrchr(method, '/');
    const ProtobufCServiceDescriptor *service = &mxadm__v1__admin__descriptor;

    if (slash != NULL && strncmp(method, "grpc.", 5) == 0) {
        service = &grpc__health__v1__health__descriptor;
    }
    return protobuf_c_service_descriptor_get_method_by_name(service,
                                                            slash == NULL ? method : slash + 1);
}

static struct pending *send_bytes(struct fixture *fixture, const struct rpc_peer *peer,
                                  const char *method, const void *bytes, size_t len)
{
    struct pending *pending = fixture_alloc(fixture, sizeof(*pending));
    const ProtobufCMethodDescriptor *found = method == NULL ? NULL : find_method(method);
    /* On the heap and of its exact size, so that a sanitizer sees whoever reads on or keeps it. */
    uint8_t *copy = must(malloc(len + (len == 0)));

    memcpy(copy, bytes == NULL ? (const void *) "" : bytes, len);
    pending->fixture = fixture;
    pending->output = found == NULL ? NULL : found->output;
    pending->exchange.peer = *peer;
    pending->exchange.reserve = reserve;
    pending->exchange.answer = answer;
    rpc_receive(daemon_rpc(fixture->daemon), &pending->exchange, copy, len);
    memset(copy, 0xa5, len);
    free(copy);
    return pending;
}

bool is_answered(struct pending *pending)
{
    bool answered;

    (void) pthread_mutex_lock(&pending->fixture->lock);
    answered = pending->answered;
    (void) pthread_mutex_unlock(&pending->fixture->lock);
    return answered;
}

/* --------------------------------------------------------------- each answer */

static void check_details(const Mxadm__V1__Status *status)
{
    bool invalid = status->code == MXADM__V1__CODE__INVALID_ARGUMENT;
    bool blocked = status->code == MXADM__V1__CODE__FAILED_PRECONDITION;

    assert_non_null(status->error_info);
    assert_string_not_equal(status->error_info->reason, "");
    assert_string_equal(status->error_info->domain, "mxadm");
    assert_string_not_equal(status->message, "");
    if (invalid != (status->bad_request != NULL)) {
        fail_msg("%s: field violations don't fit the code", status->message);
    }
    if (invalid) {
        assert_true(status->bad_request->n_field_violations >= 1);
        assert_true(status->bad_request->n_field_violations <= 100);
    }
    if (status->precondition_failure != NULL) {
        assert_true(blocked);
        assert_true(status->precondition_failure->n_violations >= 1);
        assert_true(status->precondition_failure->n_violations <= 20);
        assert_true(status->precondition_failure->total >=
                    status->precondition_failure->n_violations);
    }
    if (status->code == MXADM__V1__CODE__NOT_FOUND) {
        assert_non_null(status->resource_info);
        assert_string_not_equal(status->resource_info->resource_type, "");
    }
    if (status->retry_info != NULL) {
        assert_true(status->retry_info->retry_delay->seconds > 0 ||
                    status->retry_info->retry_delay->nanos > 0);
    }
}

static ProtobufCAllocator allocator_of(struct fixture *fixture);

static void read_reply(struct pending *pending)
{
    ProtobufCAllocator allocator = allocator_of(pending->fixture);
    struct reply *reply = &pending->reply;
    const Mxadm__V1__Response *envelope;

    assert_true(pending->bytes != NULL || pending->len == 0);
    envelope = mxadm__v1__response__unpack(&allocator, pending->len, pending->bytes);
    assert_non_null(envelope);
    reply->envelope = envelope;
    reply->bytes = pending->bytes;
    reply->len = pending->len;
    reply->revision = envelope->revision;
    reply->reason = "";
    reply->words = "";
    if (envelope->status != NULL) {
        assert_int_not_equal(envelope->status->code, MXADM__V1__CODE__OK);
        assert_int_equal(envelope->message.len, 0);
        assert_int_equal(envelope->n_changes, 0);
        check_details(envelope->status);
        reply->code = (enum mx_code) envelope->status->code;
        reply->reason = envelope->status->error_info->reason;
        reply->words = envelope->status->message;
    } else if (pending->output != NULL) {
        reply->message = protobuf_c_message_unpack(pending->output, &allocator,
                                                   envelope->message.len, envelope->message.data);
        assert_non_null(reply->message);
    }
}

static void *unpack_alloc(void *fixture, size_t size)
{
    return fixture_alloc(fixture, size);
}

static void unpack_free(void *fixture, void *memory)
{
    (void) fixture;
    (void) memory;
}

static ProtobufCAllocator allocator_of(struct fixture *fixture)
{
    return (ProtobufCAllocator){ unpack_alloc, unpack_free, fixture };
}

const struct reply *await(struct pending *pending)
{
    struct fixture *fixture = pending->fixture;
    int64_t until_us = clock_wall_us() + ANSWER_WAIT_MS * 1000;
    struct timespec until = { .tv_sec = (time_t) (until_us / 1000000),
                              .tv_nsec = (long) (until_us % 1000000) * 1000 };
    int failed = 0;
    bool answered;

    (void) pthread_mutex_lock(&fixture->lock);
    while (!pending->answered && failed == 0) {
        failed = pthread_cond_timedwait(&fixture->answered, &fixture->lock, &until);
    }
    answered = pending->answered;
    (void) pthread_mutex_unlock(&fixture->lock);
    if (!answered) {
        fail_msg("a call was not answered within %lld ms", (long long) ANSWER_WAIT_MS);
    }
    if (pending->reply.envelope == NULL) {
        read_reply(pending);
    }
    return &pending->reply;
}

/* ----------------------------------------------------------------- requests */

static void *field_at(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *) message + field->offset;
}

static void set_text(struct fixture *fixture, ProtobufCMessage *message,
                     const ProtobufCFieldDescriptor *field, const char *value)
{
    char *copy = fixture_text(fixture, "%s", value);
    char ***list = field_at(message, field);
    size_t *count;
    char **longer;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        *(char **) field_at(message, field) = copy;
        return;
    }
    count = (size_t *) (void *) ((char *) message + field->quantifier_offset);
    longer = fixture_alloc(fixture, (*count + 1) * sizeof(*longer));
    if (*count > 0) {
        memcpy(longer, *list, *count * sizeof(*longer));
    }
    longer[(*count)++] = copy;
    *list = longer;
}

static void set_seconds(struct fixture *fixture, ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field, int64_t seconds)
{
    if (field->descriptor == &google__protobuf__duration__descriptor) {
        Google__Protobuf__Duration *duration = fixture_alloc(fixture, sizeof(*duration));

        google__protobuf__duration__init(duration);
        duration->seconds = seconds;
        *(Google__Protobuf__Duration **) field_at(message, field) = duration;
    } else if (field->descriptor == &google__protobuf__timestamp__descriptor) {
        Google__Protobuf__Timestamp *time = fixture_alloc(fixture, sizeof(*time));

        google__protobuf__timestamp__init(time);
        time->seconds = seconds;
        *(Google__Protobuf__Timestamp **) field_at(message, field) = time;
    } else {
        fail_msg("field '%s' is of a type that tests don't set", field->name);
    }
}

/* A field of its own, by what its type is written as. */
static void set_value(struct fixture *fixture, ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field, const char *value)
{
    void *at = field_at(message, field);

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        set_text(fixture, message, field, value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
        *(uint32_t *) at = (uint32_t) strtoul(value, NULL, 10);
        break;
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *) at = (int32_t) strtol(value, NULL, 10);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *) at = strtoull(value, NULL, 10);
        break;
    case PROTOBUF_C_TYPE_INT64:
        *(int64_t *) at = strtoll(value, NULL, 10);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *) at = strtod(value, NULL);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *) at = strcmp(value, "0") != 0;
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        set_seconds(fixture, message, field, strtoll(value, NULL, 10));
        break;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_BYTES:
        fail_msg("field '%s' is of a type that tests don't set", field->name);
    }
}

static ProtobufCMessage *new_message(struct fixture *fixture, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *type = field->descriptor;
    ProtobufCMessage *message = fixture_alloc(fixture, type->sizeof_message);

    protobuf_c_message_init(type, message);
    return message;
}

/* The message within a field, made where there is none; of a list element `index`, which is one
 * that is there or the next. */
static ProtobufCMessage *inner_message(struct fixture *fixture, ProtobufCMessage *message,
                                       const ProtobufCFieldDescriptor *field, size_t index)
{
    ProtobufCMessage ***list = field_at(message, field);
    ProtobufCMessage **single = field_at(message, field);
    ProtobufCMessage **longer;
    size_t *count = (size_t *) (void *) ((char *) message + field->quantifier_offset);

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 && *(uint32_t *) count != field->id) {
            *(uint32_t *) count = field->id;
            *single = NULL;
        }
        *single = *single == NULL ? new_message(fixture, field) : *single;
        return *single;
    }
    if (index >= *count) {
        longer = fixture_alloc(fixture, (*count + 1) * sizeof(*longer));
        if (*count > 0) {
            memcpy(longer, *list, *count * sizeof(*longer));
        }
        index = (*count)++;
        longer[index] = new_message(fixture, field);
        *list = longer;
    }
    return (*list)[index];
}

/* "address", "account.outgoing_webhook.url", "address.rulesets[1].mailbox". */
static void set_field(struct fixture *fixture, ProtobufCMessage *message, const char *path,
                      const char *value)
{
    size_t len = strcspn(path, ".[");
    const char *name = fixture_text(fixture, "%.*s", (int) len, path);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
    const char *rest = strchr(path, '.');
    ProtobufCMessage *inner;

    if (field == NULL) {
        fail_msg("'%s' has no field '%s'", message->descriptor->name, name);
        return;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE && (rest != NULL || value[0] == '\0')) {
        inner = inner_message(fixture, message, field,
                              path[len] == '[' ? strtoul(path + len + 1, NULL, 10) : SIZE_MAX);
        if (rest != NULL) {
            set_field(fixture, inner, rest + 1, value);
        }
        return;
    }
    set_value(fixture, message, field, value);
}

static ProtobufCBinaryData pack_request(struct fixture *fixture, const char *method, va_list pairs)
{
    const ProtobufCMethodDescriptor *found = find_method(method);
    ProtobufCMessage *message;
    ProtobufCBinaryData packed = { 0, NULL };
    const char *name;

    if (found == NULL) {
        fail_msg("there is no operation '%s'", method);
        return packed;
    }
    message = fixture_alloc(fixture, found->input->sizeof_message);
    protobuf_c_message_init(found->input, message);
    while ((name = va_arg(pairs, const char *)) != NULL) {
        set_field(fixture, message, name, va_arg(pairs, const char *));
    }
    packed.data = fixture_alloc(fixture, protobuf_c_message_get_packed_size(message) + 1);
    packed.len = protobuf_c_message_pack(message, packed.data);
    return packed;
}

static struct pending *send_envelope(struct fixture *fixture, const struct rpc_peer *peer,
                                     const Mxadm__V1__Request *envelope)
{
    uint8_t *bytes = fixture_alloc(fixture, mxadm__v1__request__get_packed_size(envelope) + 1);

    return send_bytes(fixture, peer, envelope->method, bytes,
                      mxadm__v1__request__pack(envelope, bytes));
}

static const char *full_name(struct fixture *fixture, const char *method)
{
    return strchr(method, '/') != NULL ? method
                                       : fixture_text(fixture, "mxadm.v1.Admin/%s", method);
}

static struct pending *send_packed(struct fixture *fixture, const struct rpc_peer *peer,
                                   const struct options *options, const char *method,
                                   ProtobufCBinaryData packed)
{
    static const struct options none = { 0 };
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
    Mxadm__V1__CallOptions call_options = MXADM__V1__CALL_OPTIONS__INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;

    options = options == NULL ? &none : options;
    envelope.method = (char *) full_name(fixture, method);
    envelope.message = packed;
    if (options->id != NULL) {
        assert_int_equal(strlen(options->id), REQUEST_ID_LEN);
        envelope.request_id.data = (uint8_t *) options->id;
        envelope.request_id.len = REQUEST_ID_LEN;
    }
    if (options->timeout_ms != 0) {
        timeout.seconds = options->timeout_ms / 1000;
        timeout.nanos = (int32_t) (options->timeout_ms % 1000) * 1000000;
        envelope.timeout = &timeout;
    }
    call_options.validate_only = options->validate_only;
    call_options.if_revision = options->if_revision;
    call_options.min_revision = options->min_revision;
    envelope.options = &call_options;
    return send_envelope(fixture, peer, &envelope);
}

static struct pending *send_request(struct fixture *fixture, const struct rpc_peer *peer,
                                    const struct options *options, const char *method,
                                    va_list pairs)
{
    return send_packed(fixture, peer, options, method, pack_request(fixture, method, pairs));
}

struct pending *ask_later(struct fixture *fixture, const struct rpc_peer *peer,
                          const struct options *options, const char *method, ...)
{
    struct pending *pending;
    va_list pairs;

    va_start(pairs, method);
    pending = send_request(fixture, peer, options, method, pairs);
    va_end(pairs);
    return pending;
}

const struct reply *ask_with(struct fixture *fixture, const struct rpc_peer *peer,
                             const struct options *options, const char *method, ...)
{
    struct pending *pending;
    va_list pairs;

    va_start(pairs, method);
    pending = send_request(fixture, peer, options, method, pairs);
    va_end(pairs);
    return await(pending);
}

const struct reply *ask(struct fixture *fixture, const struct rpc_peer *peer, const char *method,
                        ...)
{
    struct pending *pending;
    va_list pairs;

    va_start(pairs, method);
    pending = send_request(fixture, peer, NULL, method, pairs);
    va_end(pairs);
    return await(pending);
}

Mxadm__V1__BatchCall *batch_call(struct fixture *fixture, const char *method, ...)
{
    Mxadm__V1__BatchCall *call = fixture_alloc(fixture, sizeof(*call));
    va_list pairs;

    mxadm__v1__batch_call__init(call);
    call->method = (char *) full_name(fixture, method);
    va_start(pairs, method);
    call->message = pack_request(fixture, method, pairs);
    va_end(pairs);
    return call;
}

struct pending *ask_batch_later(struct fixture *fixture, const struct rpc_peer *peer,
                                const struct options *options, bool atomic,
                                Mxadm__V1__BatchCall **calls, size_t count)
{
    Mxadm__V1__BatchRequest request = MXADM__V1__BATCH_REQUEST__INIT;
    ProtobufCBinaryData packed;

    request.atomic = atomic;
    request.calls = calls;
    request.n_calls = count;
    packed.data = fixture_alloc(fixture, mxadm__v1__batch_request__get_packed_size(&request) + 1);
    packed.len = mxadm__v1__batch_request__pack(&request, packed.data);
    return send_packed(fixture, peer, options, "Batch", packed);
}

const struct reply *ask_batch(struct fixture *fixture, const struct rpc_peer *peer,
                              const struct options *options, bool atomic,
                              Mxadm__V1__BatchCall **calls, size_t count)
{
    return await(ask_batch_later(fixture, peer, options, atomic, calls, count));
}

const void *batch_message(struct fixture *fixture, const char *method,
                          const Mxadm__V1__BatchResult *result)
{
    ProtobufCAllocator allocator = allocator_of(fixture);
    const void *message = protobuf_c_message_unpack(find_method(method)->output, &allocator,
                                                    result->message.len, result->message.data);

    assert_non_null(message);
    return message;
}

const struct reply *ask_bytes(struct fixture *fixture, const struct rpc_peer *peer,
                              const char *method, const void *bytes, size_t len)
{
    return await(send_bytes(fixture, peer, method, bytes, len));
}

const struct reply *ask_envelope(struct fixture *fixture, const struct rpc_peer *peer,
                                 const Mxadm__V1__Request *envelope)
{
    return await(send_envelope(fixture, peer, envelope));
}

const struct reply *ask_message(struct fixture *fixture, const struct rpc_peer *peer,
                                const char *method, const void *message, size_t len)
{
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;

    envelope.method = fixture_text(fixture, "mxadm.v1.Admin/%s", method);
    envelope.message.data = (uint8_t *) message;
    envelope.message.len = len;
    return ask_envelope(fixture, peer, &envelope);
}

/* ------------------------------------------------------------------- checks */

const struct reply *check_ok(const struct reply *reply, const char *file, int line)
{
    if (reply->code != MX_OK) {
        print_error("%s:%d: refused: %s %s: %s\n", file, line, mx_code_name(reply->code),
                    reply->reason, reply->words);
        fail();
    }
    return reply;
}

const struct reply *check_refused(const struct reply *reply, enum mx_code code, const char *reason,
                                  const char *file, int line)
{
    if (reply->code != code || (reason != NULL && strcmp(reply->reason, reason) != 0)) {
        print_error("%s:%d: expected %s %s, got %s %s: %s\n", file, line, mx_code_name(code),
                    reason == NULL ? "" : reason, mx_code_name(reply->code), reply->reason,
                    reply->words);
        fail();
    }
    return reply;
}

bool has_violation(const struct reply *reply, const char *field)
{
    const Mxadm__V1__Status *status = reply->envelope->status;

    if (status == NULL || status->bad_request == NULL) {
        return false;
    }
    for (size_t i = 0; i < status->bad_request->n_field_violations; i++) {
        if (strcmp(status->bad_request->field_violations[i]->field, field) == 0) {
            return true;
        }
    }
    return false;
}

bool has_blocker(const struct reply *reply, const char *type, const char *subject)
{
    const Mxadm__V1__Status *status = reply->envelope->status;

    if (status == NULL || status->precondition_failure == NULL) {
        return false;
    }
    for (size_t i = 0; i < status->precondition_failure->n_violations; i++) {
        const Mxadm__V1__PreconditionViolation *violation =
            status->precondition_failure->violations[i];

        if (strcmp(violation->type, type) == 0 && strcmp(violation->subject, subject) == 0) {
            return true;
        }
    }
    return false;
}

/* --------------------------------------------------------------------- dump */

struct text {
    char *data;
    size_t len;
};

static void text_add(struct text *text, const char *format, ...) MX_PRINTF(2, 3);

static void text_add(struct text *text, const char *format, ...)
{
    va_list args;
    char *piece = NULL;
    int len;

    va_start(args, format);
    len = vasprintf(&piece, format, args);
    va_end(args);
    assert_true(len >= 0);
    text->data = must(realloc(text->data, text->len + (size_t) len + 1));
    memcpy(text->data + text->len, piece, (size_t) len + 1);
    text->len += (size_t) len;
    free(piece);
}

static void text_add_bytes(struct text *text, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool plain = bytes[i] > 0x20 && bytes[i] < 0x7f;

        text_add(text, plain ? "%c" : "\\x%02x", bytes[i]);
    }
}

static void dump_store(struct fixture *fixture, struct text *text)
{
    struct store *store = daemon_store(fixture->daemon);
    struct store_snapshot *snapshot = store_acquire(store);
    struct position position = store_snapshot_position(snapshot);
    struct store_cursor cursor;
    struct store_entry entry;
    uint8_t hash[DIGEST_SIZE];

    text_add(text, "revision %llu chain ", (unsigned long long) position.revision);
    text_add_bytes(text, position.chain, DIGEST_SIZE);
    text_add(text, "\n");
    store_cursor_init(&cursor, store_snapshot_view(snapshot), slice_of("", 0), slice_of(NULL, 0),
                      false);
    while (store_cursor_next(&cursor, &entry)) {
        digest(entry.value.data, entry.value.len, hash);
        text_add_bytes(text, entry.key.data, entry.key.len);
        text_add(text, " = %zu bytes %02x%02x%02x%02x%02x%02x%02x%02x%s\n", entry.value.len,
                 hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7],
                 entry.durable ? "" : " derived");
    }
    store_release(store, snapshot);
}

/* nftw() has no context. */
static _Thread_local struct text *files_found;
static _Thread_local size_t files_skip;

static int find_file(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void) info;
    (void) where;
    if (type == FTW_F) {
        text_add(files_found, "%s\n", path + files_skip);
    }
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Lines in order. */
static char *ordered(struct fixture *fixture, char *lines)
{
    char *all[1024];
    size_t count = 0;
    char *result = fixture_text(fixture, "%s", "");

    for (char *line = strtok(lines, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_true(count < sizeof(all) / sizeof(all[0]));
        all[count++] = line;
    }
    qsort(all, count, sizeof(all[0]), compare_lines);
    for (size_t i = 0; i < count; i++) {
        result = fixture_text(fixture, "%s%s\n", result, all[i]);
    }
    return result;
}

const char *fixture_key_path(struct fixture *fixture, const char *name)
{
    return fixture_text(fixture, "%s/%s", scratch_path(&fixture->scratch, "keys"), name);
}

const char *fixture_key_files(struct fixture *fixture)
{
    const char *directory = fixture_key_path(fixture, "");
    struct text text = { must(strdup("")), 0 };
    char *result;

    files_found = &text;
    files_skip = strlen(directory);
    (void) nftw(directory, find_file, 16, FTW_PHYS);
    result = ordered(fixture, text.data);
    free(text.data);
    return result;
}

const char *fixture_dump(struct fixture *fixture)
{
    struct text text = { NULL, 0 };
    char *copy;

    dump_store(fixture, &text);
    text_add(&text, "%s", fixture_key_files(fixture));
    copy = fixture_text(fixture, "%s", text.data);
    free(text.data);
    return copy;
}

uint64_t fixture_revision(struct fixture *fixture)
{
    struct store *store = daemon_store(fixture->daemon);
    struct store_snapshot *snapshot = store_acquire(store);
    uint64_t revision = store_snapshot_revision(snapshot);

    store_release(store, snapshot);
    return revision;
}

bool fixture_serves(struct fixture *fixture)
{
    const struct reply *reply = ask(fixture, &stranger, "grpc.health.v1.Health/Check", NULL);
    const Grpc__Health__V1__HealthCheckResponse *response = OK(reply)->message;

    return response->status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
}

unsigned fixture_spare_keys(struct fixture *fixture, Mxadm__V1__DkimSelector__Algorithm algorithm)
{
    const Mxadm__V1__ServerInfoResponse *info =
        OK(ask(fixture, &viewer, "ServerInfo", NULL))->message;

    for (size_t i = 0; i < info->n_key_pools; i++) {
        if (info->key_pools[i]->algorithm == algorithm) {
            return info->key_pools[i]->ready;
        }
    }
    fail_msg("there is no pool of algorithm %d", (int) algorithm);
    return 0;
}

void add_domain(struct fixture *fixture, const char *domain, const char *owner)
{
    OK(ask(fixture, &root, "DomainAdd", "domain", domain, "account", owner, "localpart", owner,
           NULL));
}

void fixture_pass_time(struct fixture *fixture, int64_t ms)
{
    const struct options options = { .timeout_ms = ms,
                                     .min_revision = fixture_revision(fixture) + 1000 };

    REFUSED(ask_with(fixture, &root, &options, "ServerInfo", NULL), DEADLINE_EXCEEDED,
            "DEADLINE_EXCEEDED");
}
