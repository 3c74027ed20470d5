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

/* The settings of a new account whose first address is at `domain` (a name). Not stored. */
Mxadm__V1__Account *account_template(struct model *model, const char *name, const char *domain);

/* Reports ALREADY_EXISTS. */
bool account_check_free(struct model *model, const char *name);

bool account_check_removable(struct model *model, const char *name);

/* Removes it with its addresses, after the check; returns how many addresses. */
uint64_t account_remove(struct model *model, const char *name);

/* Whether the settings name it as postmaster account. */
bool account_is_postmaster(const struct model *model, const char *name);
