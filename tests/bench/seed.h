/*
 * A configuration of any size, made without calling a daemon for each account:
 * the model makes the records, the store the changes, the daemon's own backend
 * writes them. What comes out is what batches of calls would have left.
 *
 * Words:
 *   block   what one change adds: a domain, its accounts (SEED_BLOCK, the last
 *           block may have less) with an address each, its aliases
 *   sweep   a pass over the space of names in ascending order. There are
 *           SEED_SWEEPS, each between the names of the ones before, so that the
 *           pages of the database are as full as after a life of inserts, while
 *           each page is written a few times and not once a row.
 *
 * Names are spread evenly over the space of names, at random within their part
 * of it, and can be told from their number.
 */
#pragma once

#include <stdint.h>

/* Names are numbers below it, ten digits of base 16. */
#define SEED_SPACE (UINT64_C(1) << 40)
#define SEED_BLOCK 1000
/* Aliases of a block, and the members that each has: one account in 20 is a member of one. */
#define SEED_ALIASES 10
#define SEED_MEMBERS 5
#define SEED_SWEEPS  3
/* Room for the longest of the names below. */
#define SEED_NAME_MAX 64

/* Account `number` of `accounts`, its domain, its address. */
void seed_account(uint64_t accounts, uint64_t number, char name_out[SEED_NAME_MAX]);
void seed_domain(uint64_t accounts, uint64_t number, char name_out[SEED_NAME_MAX]);
void seed_address(uint64_t accounts, uint64_t number, char text_out[SEED_NAME_MAX]);
/* An alias of the domain of account `number`, other ones with other numbers. */
void seed_alias(uint64_t accounts, uint64_t number, char text_out[SEED_NAME_MAX]);

/* Makes `directory`/mxadm.db, which must not be there, for a daemon to start on. */
void seed_make(const char *directory, uint64_t accounts);

/* Loads it as the daemon does and checks all of it: consistency_check_all(). */
void seed_check(const char *directory, uint64_t accounts);
