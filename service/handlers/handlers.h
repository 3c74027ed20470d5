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
extern const struct rpc_row config_rows[];
extern const struct rpc_row alias_rows[];
extern const struct rpc_row tls_public_key_rows[];
extern const struct rpc_row change_rows[];
extern const struct rpc_row config_history_rows[];
extern const struct rpc_row config_yaml_rows[];
extern const struct rpc_row server_rows[];
extern const struct rpc_row health_rows[];

/* Whether the caller may see the account, and give it addresses: of a domain administrator, whether
 * it has an address in an own domain; reported if not. account.c. */
bool account_check_covered(struct rpc_call *call, const char *account);

/* All of them, for rpc_create(). */
extern const struct rpc_table handlers[];
extern const size_t handlers_count;
