/*
 * A domain gets another rule for comparing localparts: what that does to its
 * addresses and aliases, and to all that names them (mox-behaviour 3.5-07, 4.5).
 *
 * Case: canonical forms change of those whose localpart has letters of two
 * cases. They get new keys, and alias members, login addresses and TLS public
 * keys follow. Separators: canonical forms of addresses stay, since none may
 * contain a separator; login addresses that live by the catchall may be cut.
 *
 * What it costs is proportional to what has such letters or separators, and
 * with a catchall to the domain's login addresses; never to the domain's size.
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

/*
 * `before` and `after` are the domain as it is stored and as it will be. `vacated`: an address of
 * it has just been removed, which logins may have needed. Reports as blockers: addresses that
 * contain a new separator or become equal (ADDRESS_CONFLICT), from-id login addresses that need a
 * separator (SEPARATOR_IN_USE), what can no longer log in (ADDRESS_IN_USE).
 */
bool respell_domain(struct model *model, const Mxadm__V1__Domain *before,
                    const Mxadm__V1__Domain *after, bool vacated);
