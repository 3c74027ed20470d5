/*
 * The requests of the benchmark: packed as a client packs them, numbered. Names
 * are made from the numbers in no order, as in life.
 */
#pragma once

#include "bench/load.h"

#define BENCH_DOMAIN "bench.example"
#define BENCH_BATCH  256
/* In one request of REQUEST_MEMBERS_ADD. */
#define BENCH_MEMBERS 16
/* Aliases from this number on have names behind all others, close to each other. */
#define BENCH_CLOSE (UINT64_C(1) << 32)

enum request_kind {
    REQUEST_DOMAIN_ADD, /* the one domain; `number` matters not */
    REQUEST_ACCOUNT_ADD,
    REQUEST_ACCOUNT_ADD_BATCH, /* BENCH_BATCH of them */
    REQUEST_ACCOUNT_GET,       /* of an account anywhere in the store */
    REQUEST_ADDRESS_ADD,       /* to an account anywhere in the store */
    REQUEST_ADDRESS_REMOVE,
    /* Of the siblings: the account, alias or domain `of`, else those of the bench. */
    REQUEST_OF_DOMAIN_ADD,
    REQUEST_OF_ACCOUNT_ADD,
    REQUEST_OF_ADDRESS_ADD, /* address `number` of the account */
    REQUEST_OF_ADDRESS_REMOVE,
    REQUEST_OF_ALIAS_ADD, /* the alias of all, with the account's first address */
    REQUEST_MEMBERS_ADD,  /* BENCH_MEMBERS addresses of the account, of the alias */
    REQUEST_MEMBER_ADD,   /* address `number` of account "pool" */
    REQUEST_MEMBER_REMOVE,
    REQUEST_ALIAS_ADD, /* alias `number` in the domain */
    REQUEST_ALIAS_REMOVE,
};

/* load.context */
struct requests {
    enum request_kind kind;
    uint64_t accounts; /* that there are, numbered from 0 */
    const char *of;    /* "few", "many" or "pool", of the siblings; else NULL */
};

/* load.make */
size_t request_make(const struct load *load, uint64_t number, uint8_t *room);
