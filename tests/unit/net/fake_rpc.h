/*
 * A dispatcher that does what the first byte of a request says:
 *
 *   'e'  echoes it
 *   'l'  echoes it later, from a thread of its own
 *   'h'  holds it until fake_rpc_release()
 *   'p'  the same, parked; one whose client has gone is answered by rpc_hung_up(). "full" if the
 *        transport can't
 *   'b'  answers a megabyte
 *   'x'  answers without having reserved anything, as if out of memory
 *   'w'  answers with the peer (struct rpc_peer)
 */
#pragma once

#include "rpc/exchange.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_RPC_BIG ((size_t) 1024 * 1024)

struct rpc *fake_rpc_create(void);

/* Nothing may be held any more. */
void fake_rpc_destroy(struct rpc *rpc);

/* Answers all that is held; how many it was. */
unsigned fake_rpc_release(struct rpc *rpc);

/* Waits until so many are held; false: not in time. */
bool fake_rpc_wait_held(struct rpc *rpc, unsigned count);

/* Waits for rpc_transport_failed(); false: not in time. */
bool fake_rpc_wait_failed(struct rpc *rpc, int64_t ms);
