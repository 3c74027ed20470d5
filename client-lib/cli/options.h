/* What may be said with any command. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <mxadm/mxadm.h>

#include "problem.h"

#define OPTIONS_URLS_MAX 16

struct options {
    const char *urls[OPTIONS_URLS_MAX];
    size_t url_count;
    const char *request; /* JSON, "@file" or "-"; NULL: none */
    uint64_t limit;      /* of a list; 0: none */
    uint32_t attempts;
    bool json;
    bool quiet;
    bool help;
    bool version;
    bool has_request_id;
    uint8_t request_id[MXADM_REQUEST_ID_SIZE];
    mxadm_call_options call;
    char *environment; /* what URLs of the environment point into */
};

/* Attempts unless said otherwise: a daemon that is being restarted is waited for, one that is not
 * there is told of within a second or so. */
#define OPTIONS_ATTEMPTS 5

void options_init(struct options *options);

/* Whether such an option exists, and whether it takes a value. */
bool options_has(const char *name, bool *takes_value_out);

/* `value` is NULL for an option without one. */
bool options_set(struct options *options, const char *name, const char *value,
                 struct problem *problem);

/* Adds the URLs of the environment (MXADM_URL, separated by commas) or the default, unless some
 * were given. */
bool options_complete(struct options *options, struct problem *problem);

void options_fini(struct options *options);

void options_describe(FILE *out);

/* The name of option number `index`; NULL beyond the last. */
const char *options_name(size_t index);
