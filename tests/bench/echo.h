/*
 * The peer of reads: an nng REP server that answers every request with the same
 * bytes, from as many contexts as the daemon has. It does all that nng needs
 * and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct echo {
    const char *url;
    unsigned contexts;
    const uint8_t *answer;
    size_t answer_len;
    bool one_processor; /* kept to one, as the daemon keeps nng's threads */
};

/* Serves until the process ends. Argument: struct echo; for process_start(). */
void echo_serve(void *argument);
