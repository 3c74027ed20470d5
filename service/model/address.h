/*
 * Addresses: whose they are, whether one is free, where mail for one goes
 * (mox-behaviour 1.15, 1.16, 4.5, 5.5).
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/admin.pb-c.h"

/* The key of an address in a domain, by its canonical form. */
struct record_key address_key(struct model *model, const Mxadm__V1__Domain *domain,
                              const struct name_address *address);

/* Text of the canonical address; "@domain" for a catchall. */
const char *address_canonical(struct model *model, const Mxadm__V1__Domain *domain,
                              const struct name_address *address);

/* Its canonical localpart in text form: what keys have. */
const char *address_localpart(struct model *model, const Mxadm__V1__Domain *domain,
                              const struct name_address *address);

/* The record that a login with the address arrives at (5.5-11): its own, else its domain's
 * catchall. NULL: none; nothing is reported. An alias is nobody's to log in as, and hides the
 * catchall (5.5-07); so do the addresses that the settings give away, postmaster at a host and the
 * host's TLS report address: who may log in does not depend on settings. */
Mxadm__V1__Address *address_resolve(struct model *model, const Mxadm__V1__Domain *domain,
                                    const struct name_address *address);

/* A new record for it, not stored. */
Mxadm__V1__Address *address_new(struct model *model, const Mxadm__V1__Domain *domain,
                                const struct name_address *address, const char *account,
                                Mxadm__V1__Address__Kind kind);
/* Stores it; where the address is a member of aliases and gets another account, that follows. */
struct slice address_put(struct model *model, const Mxadm__V1__Domain *domain,
                         const struct name_address *address, Mxadm__V1__Address *record);

/*
 * Whether the address may be added to an account, or as an alias (`account` NULL): reports a
 * separator within it (`field` of the request), who has it already (another address, an alias, the
 * settings), and what reaches another account with it now, through the domain's catchall: TLS
 * public keys and login addresses, which would be cut off.
 */
bool address_check_free(struct model *model, const char *field, const Mxadm__V1__Domain *domain,
                        const struct name_address *address, const char *account);

/* What went with an address, in the arena. */
struct address_removal {
    char **aliases; /* that it was a member of */
    size_t alias_count;
    char **login_addresses; /* Account.from_id_login_addresses that no longer reach the account */
    size_t login_address_count;
};

/* Removes an address; takes it out of aliases, and what no longer reaches its account out of the
 * account's login addresses. False: reported as blockers, that it is a report address, the last
 * member of an alias, or what a TLS public key needs. */
bool address_remove(struct model *model, const Mxadm__V1__Address *address,
                    const struct record_key *key, struct address_removal *out);

/* Reports the aliases that an address (canonical, localpart in text form) is a member of. */
void address_report_memberships(struct model *model, const char *reason, const char *domain,
                                const char *localpart);

/*
 * For an address that has just been removed from the draft, whatever for: reports as blockers what
 * can't be without it. Aliases that it is a member of, TLS public keys and accounts' login
 * addresses that no longer reach their account. Neither for a catchall; `localpart` canonical, in
 * text form.
 */
bool address_check_unneeded(struct model *model, const char *reason,
                            const Mxadm__V1__Domain *domain, const char *localpart);

/* Whose it is by the settings, which come before all that is configured: "the host's TLS report
 * address by the settings"; NULL: nobody's. */
const char *address_of_settings(const struct model *model, const struct name_address *address);

/* The record of an address, or NULL and NOT_FOUND reported. */
Mxadm__V1__Address *address_require(struct model *model, const struct name_address *address,
                                    struct record_key *key_out, struct slice *packed_out);

/* Fields that a Save leaves alone; ended by NULL. */
extern const char *const address_fixed[];

/* Whether the address's own values are good: what is wrong is reported below `path`. */
bool address_check(struct model *model, const Mxadm__V1__Address *address, const char *path);

/* Makes names in it what records hold: to be done before the check and before storing. */
void address_normalise(struct model *model, Mxadm__V1__Address *address);

/* Stores the address as `after` after all checks; what is wrong is reported, below `path` if it is
 * a value. `before` is what is stored. Returns what is stored then. */
struct slice address_save(struct model *model, const Mxadm__V1__Address *before,
                          Mxadm__V1__Address *after, const char *path);

/* "DMARC report address", ... for sentences; static. */
const char *address_kind_words(Mxadm__V1__Address__Kind kind);
bool address_is_report(Mxadm__V1__Address__Kind kind);

/* Where mail goes; reports NOT_FOUND, or a disabled domain if asked to. In the arena. */
Mxadm__V1__AddressLookupResponse *address_lookup(struct model *model,
                                                 const Mxadm__V1__AddressLookupRequest *request);
