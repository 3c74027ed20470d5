/*
 * What the operations that read the history share.
 */
#pragma once

#include "model/history.h"
#include "rpc/call.h"

/* Makes the filter let through what the caller may see. */
void change_scope(struct rpc_call *call, struct history_filter *filter);
