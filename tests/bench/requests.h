/*
 * The requests of the benchmark: packed as a client packs them, numbered. Names
 * are made from the numbers in no order, as in life.
 */
#pragma once

#include "bench/load.h"

#define BENCH_DOMAIN "bench.example"
#define BENCH_BATCH  256

enum request_kind {
    REQUEST_DOMAIN_ADD, /* the one domain; `number` matters not */
    REQUEST_ACCOUNT_ADD,
    REQUEST_ACCOUNT_ADD_BATCH, /* BENCH_BATCH of them */
    REQUEST_ACCOUNT_GET,       /* of an account anywhere in the store */
    REQUEST_ADDRESS_ADD,       /* to an account anywhere in the store */
    REQUEST_ADDRESS_REMOVE,
};

/* load.context */
struct requests {
    enum request_kind kind;
    uint64_t accounts; /* that there are, numbered from 0 */
};

/* load.make */
size_t request_make(const struct load *load, uint64_t number, uint8_t *room);
