/*
 * The operations: one file a noun, its table of rows at the bottom. A new noun
 * adds a file and a line in handlers.c.
 */
#pragma once

#include "rpc/call.h"

extern const struct rpc_row domain_rows[];
extern const struct rpc_row dkim_rows[];
extern const struct rpc_row account_rows[];
extern const struct rpc_row address_rows[];
extern const struct rpc_row server_rows[];
extern const struct rpc_row health_rows[];

/* All of them, for rpc_create(). */
extern const struct rpc_table handlers[];
extern const size_t handlers_count;
