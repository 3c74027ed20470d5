/*
 * An mxadmd on a seeded database (seed.h), and the calls that are made to it: of any kind at any
 * size, each to a place of its own somewhere in the configuration.
 */
#pragma once

#include "bench/load.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of one list. */
#define SEEDED_PAGE 100

enum seeded_call {
    /* Names that are new; of those with the same number: the address gets to be a member. */
    SEEDED_ACCOUNT_ADD,
    SEEDED_ADDRESS_ADD,
    SEEDED_ALIAS_ADD,
    SEEDED_MEMBER_ADD,
    SEEDED_ACCOUNT_SAVE,
    SEEDED_ACCOUNT_REMOVE, /* of added ones */
    SEEDED_ADDRESS_REMOVE, /* of added ones that are no members */
    SEEDED_DOMAIN_ADD,
    SEEDED_DOMAIN_SAVE,
    SEEDED_ADDRESS_LOOKUP,
    SEEDED_ACCOUNT_LIST,
    SEEDED_CHANGE_LIST,
    SEEDED_CALLS,
};

/* "AccountAdd"; static. */
const char *seeded_call_name(enum seeded_call call);
bool seeded_is_change(enum seeded_call call);

struct seeded {
    const char *program;
    uint64_t accounts;
    char state[PATH_MAX];
    char settings[PATH_MAX + 16];
    char socket[PATH_MAX + 16];
    pid_t pid;                   /* 0: does not run */
    uint64_t first;              /* revision of the seed */
    uint64_t revisions;          /* made since by calls */
    uint64_t next[SEEDED_CALLS]; /* number of the next call */
};

/* load.context. */
struct seeded_load {
    const struct seeded *seeded;
    enum seeded_call call;
};

/* load.make. */
size_t seeded_request(const struct load *load, uint64_t number, uint8_t *room);

/* Makes the database in `directory`, or copies the one in `kept`, which it makes if need be (NULL:
 * none is kept). `more`: lines of settings. */
void seeded_init(struct seeded *seeded, const char *program, const char *directory,
                 const char *kept, uint64_t accounts, const char *more);
/* Returns when it answers; how long that took, in seconds. */
double seeded_start(struct seeded *seeded);
double seeded_stop(struct seeded *seeded);

/* Calls, from a process of its own. */
struct load_result seeded_run(struct seeded *seeded, enum seeded_call call, unsigned clients,
                              uint64_t count);

/* Memory that is its own: neither files nor shared. */
uint64_t seeded_memory(const struct seeded *seeded);

/* What a scan of its records finds, and how long it takes, with the daemon stopped. */
struct seeded_scan {
    uint64_t rows;
    uint64_t key_bytes;
    uint64_t value_bytes;
    double seconds;
};
struct seeded_scan seeded_scan(const struct seeded *seeded);
