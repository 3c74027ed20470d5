/*
 * What ConfigExport and ConfigApply share.
 */
#pragma once

#include "rpc/call.h"

/* What a document's `sealing.check` holds, sealed, and what it is bound to: so that a wrong
 * passphrase is told before anything is opened. */
#define CONFIG_SEAL_TEXT  "mxadm"
#define CONFIG_SEAL_BOUND "mxadm.v1 check"

void config_export(struct rpc_call *call);
void config_apply_prepare(struct rpc_call *call);
void config_apply(struct rpc_call *call);

/* What a secret of a record is bound to. */
const char *config_secret_bound(struct arena *arena, enum record_kind kind, const char *name,
                                const char *field);

/* Whether the caller may bring or ask for secrets, and the passphrase is one; reported if not. */
bool config_check_passphrase(struct rpc_call *call, const char *text);
