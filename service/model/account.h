/*
 * Accounts: what a new one has (mox-behaviour 1.5, HEAD), what stands in the
 * way of removing one (1.19-02).
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

/* Whether it exists; else NOT_FOUND is reported. */
bool account_require(struct model *model, const char *name, struct slice *packed_out);

/* From login addresses of one account. */
#define ACCOUNT_FROM_IDS_MAX 1000

/* Fields that a Save leaves alone; ended by NULL. */
extern const char *const account_fixed[];

/* Whether the account's own values are good, and what they name of the settings: what is wrong is
 * reported below `path`. What must exist elsewhere is account_save()'s. */
bool account_check(struct model *model, const Mxadm__V1__Account *account, const char *path);

/* Makes names in it what records hold: to be done before the check and before storing. */
void account_normalise(struct model *model, Mxadm__V1__Account *account);

/* Whether each of its login addresses (canonical) is of a configured domain with a separator and
 * reaches the account: what does not is reported as a blocker. */
bool account_check_reach(struct model *model, const Mxadm__V1__Account *account);

/*
 * Stores the account as `after` after all checks; what is wrong is reported, below `path` if it is
 * a value. `before` is what is stored, NULL: nothing. `after` is put into the form that records
 * have; an authorization of ACCOUNT_HIDDEN becomes that of `before`. Returns what is stored then.
 */
struct slice account_save(struct model *model, const Mxadm__V1__Account *before,
                          Mxadm__V1__Account *after, const char *path);

/* What those read who may not see the authorization of a webhook. */
#define ACCOUNT_HIDDEN "(hidden)"
/* Puts what `before` has (NULL: nothing) in the place of ACCOUNT_HIDDEN in `after`. Where it can't,
 * or the URL is of another server, that is reported below `path`. */
void account_reveal(struct model *model, const Mxadm__V1__Account *before,
                    Mxadm__V1__Account *after, const char *path);

/* A packed account with that instead; `packed` itself if it has none. */
struct slice account_redact(const struct model *model, struct slice packed);

/* The settings of a new account whose first address is at `domain` (a name). Not stored. */
Mxadm__V1__Account *account_template(struct model *model, const char *name, const char *domain);

/* Reports ALREADY_EXISTS. */
bool account_check_free(struct model *model, const char *name);

bool account_check_removable(struct model *model, const char *name);

/* Removes it with its addresses and TLS public keys, after the check; returns how many addresses.
 */
uint64_t account_remove(struct model *model, const char *name);

/* Whether the settings name it as postmaster account. */
bool account_is_postmaster(const struct model *model, const char *name);
