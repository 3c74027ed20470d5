/*
 * Aliases: addresses whose mail goes to several members, which are addresses of
 * accounts of this configuration (mox-behaviour 1.17, 1.18, 3.8).
 *
 * An alias and each of its members are records of their own: members come and
 * go without the alias's record, and however many there are, a change writes
 * what it changes. There is always one at least.
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

/* Reports values that an alias may not have, below `path`. */
bool alias_check(struct model *model, const Mxadm__V1__Alias *alias, const char *path);
/* Fields that name an alias or that the server makes, for masks; ended by NULL. */
extern const char *const alias_fixed[];

struct record_key alias_key(struct model *model, const Mxadm__V1__Domain *domain,
                            const struct name_address *address);
