#include "options.h"

#include <string.h>

#define DEFAULT_TIMEOUT_MS         30000
#define DEFAULT_CONNECT_TIMEOUT_MS 2000
#define DEFAULT_CONNECTIONS        4
#define DEFAULT_BACKOFF_INITIAL_MS 50
#define DEFAULT_BACKOFF_MAX_MS     2000
#define DEFAULT_ANSWER_BYTES_LIMIT ((uint32_t) 64 << 20)

/* Each is a socket of nng with its buffers and a file descriptor. */
#define CONNECTIONS_MAX 1024

/* A field added into padding would not change the size, and an older program's would be garbage. */
#define HAS_NO_TAIL_PADDING(type, last)                                                            \
    _Static_assert(offsetof(type, last) + sizeof(((type *) 0)->last) == sizeof(type),              \
                   #type " has no tail padding")
HAS_NO_TAIL_PADDING(mxadm_client_options, answer_bytes_limit);
HAS_NO_TAIL_PADDING(mxadm_call_options, validate_only);
HAS_NO_TAIL_PADDING(mxadm_watch_options, snapshot);

static const char *const default_urls[] = { MXADM_DEFAULT_URL };

/* Copies what both sides know. What only an older caller lacks stays zero; what only a newer caller
 * has must be zero. */
static bool copy_known(void *known, size_t known_size, const void *given)
{
    size_t given_size;
    memcpy(&given_size, given, sizeof(given_size));
    if (given_size < sizeof(given_size)) {
        return false; /* not initialised */
    }
    for (size_t i = known_size; i < given_size; i++) {
        if (((const unsigned char *) given)[i] != 0) {
            return false;
        }
    }
    memcpy(known, given, given_size < known_size ? given_size : known_size);
    return true;
}

static void set_default(uint32_t *field, uint32_t value)
{
    if (*field == 0) {
        *field = value;
    }
}

static bool urls_are_set(const mxadm_client_options *options)
{
    for (size_t i = 0; i < options->url_count; i++) {
        if (options->urls == NULL || options->urls[i] == NULL || options->urls[i][0] == '\0') {
            return false;
        }
    }
    return true;
}

mxadm_code options_read_client(const mxadm_client_options *given, mxadm_client_options *options_out)
{
    mxadm_client_options options = { .size = 0 };
    if (given != NULL && !copy_known(&options, sizeof(options), given)) {
        return MXADM_INVALID_ARGUMENT;
    }
    if (options.url_count == 0) {
        options.urls = default_urls;
        options.url_count = 1;
    }
    set_default(&options.timeout_ms, DEFAULT_TIMEOUT_MS);
    set_default(&options.connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT_MS);
    set_default(&options.connections, DEFAULT_CONNECTIONS);
    set_default(&options.backoff_initial_ms, DEFAULT_BACKOFF_INITIAL_MS);
    set_default(&options.backoff_max_ms, DEFAULT_BACKOFF_MAX_MS);
    set_default(&options.answer_bytes_limit, DEFAULT_ANSWER_BYTES_LIMIT);
    if (!urls_are_set(&options) || options.timeout_ms > TIMEOUT_MAX_MS ||
        options.connections > CONNECTIONS_MAX) {
        return MXADM_INVALID_ARGUMENT;
    }
    *options_out = options;
    return MXADM_OK;
}

mxadm_code options_read_call(const mxadm_call_options *given, mxadm_call_options *options_out)
{
    mxadm_call_options options = { .size = 0 };
    if (given != NULL && !copy_known(&options, sizeof(options), given)) {
        return MXADM_INVALID_ARGUMENT;
    }
    if (options.timeout_ms > TIMEOUT_MAX_MS || options.metadata_count > OPTIONS_METADATA_MAX) {
        return MXADM_INVALID_ARGUMENT;
    }
    for (size_t i = 0; i < options.metadata_count; i++) {
        if (options.metadata == NULL || options.metadata[i].key == NULL ||
            options.metadata[i].value == NULL) {
            return MXADM_INVALID_ARGUMENT;
        }
    }
    *options_out = options;
    return MXADM_OK;
}

mxadm_code options_read_watch(const mxadm_watch_options *given, mxadm_watch_options *options_out)
{
    mxadm_watch_options options = { .size = 0 };
    if (given != NULL && !copy_known(&options, sizeof(options), given)) {
        return MXADM_INVALID_ARGUMENT;
    }
    if ((options.after_revision != 0) + (options.from_now != 0) + (options.snapshot != 0) > 1) {
        return MXADM_INVALID_ARGUMENT;
    }
    *options_out = options;
    return MXADM_OK;
}
