/*
 * What logs in by an address, or takes mail apart by it, and so needs it to
 * reach its account: TLS public keys (TlsPublicKey.login_address) and accounts'
 * from_id_login_addresses. Both are found by the address, through indexes, and
 * all that use one address are of the account that it reaches.
 */
#pragma once

#include "model/record.h"

/* Reports as blockers what uses the address (canonical; localpart in text form, NULL: of any
 * address of the domain) and is not `account`'s (NULL: whosever it is; so if `localpart` is).
 * True: nothing. */
bool login_check_owner(struct model *model, const char *reason, const char *domain,
                       const char *localpart, const char *account);
