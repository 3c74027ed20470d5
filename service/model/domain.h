/*
 * Domains: what a new one has (mox-behaviour 1.7, HEAD), what stands in the way
 * of removing one.
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

/* Longest name in front of a domain in its DNS records: its selectors' ("2026aa._domainkey.") and
 * "_submissions._tcp.". A longer domain could not publish what it needs. */
#define DOMAIN_ASCII_MAX (NAME_DOMAIN_MAX - 18)

/* The record, or NULL and NOT_FOUND reported. `name` as parsed. */
Mxadm__V1__Domain *domain_require(struct model *model, const char *name);
/* Whether it is configured; nothing is reported. */
Mxadm__V1__Domain *domain_find(const struct model *model, const char *name);

/* The settings of a new domain, report addresses to `account`. Not stored. */
Mxadm__V1__Domain *domain_template(struct model *model, const struct name_domain *domain,
                                   const char *account);

/* How its localparts are compared; borrowed from the record. */
struct name_policy domain_policy(const Mxadm__V1__Domain *domain);

/* Whether some listener of the settings serves MTA-STS policies. */
bool domain_may_have_mta_sts(const struct settings *settings);

/* Fields that name a domain or that the server makes, for masks; ended by NULL. */
extern const char *const domain_fixed[];

/* Puts names within the record into the form that is stored: domains as names, MX hosts in ASCII,
 * localparts quoted where needed. What is no name is left as it is. domain_check.c. */
void domain_normalise(struct model *model, Mxadm__V1__Domain *domain);

/* The record's own values, names in stored form, and what it needs of the settings; violations
 * below `path` ("domain"). What it refers to is not looked at. domain_check.c. */
bool domain_check(struct model *model, const Mxadm__V1__Domain *domain, const char *path);

/*
 * Stores a domain (`before` NULL: a new one) after all checks, with its report addresses, and makes
 * follow what depends on it; reports all that is wrong or stands in the way. `after` is put into
 * the form that is stored. Returns it packed; absent: reported. domain_save.c.
 */
struct slice domain_save(struct model *model, const Mxadm__V1__Domain *before,
                         Mxadm__V1__Domain *after, const char *path);

/* Reports all that needs the domain and does not go with it: addresses of accounts, report
 * addresses of other domains, logins (1.11-02, 1.11-04). */
bool domain_check_removable(struct model *model, const Mxadm__V1__Domain *domain);

/*
 * Removes domain, selectors, private keys, report addresses and aliases, after the check. Returns
 * how many records that were, without the domain's own and those that only the daemon sees. What
 * needs one of its report addresses (an alias of another domain, a login with one that is at
 * another domain) is reported.
 */
uint64_t domain_remove(struct model *model, const Mxadm__V1__Domain *domain,
                       void (*key_file)(void *context, const char *name), void *context);

/* Whether it is a host name of the settings: the daemon's, or that of a listener with SMTP
 * (5.5-02). */
bool domain_is_host(const struct model *model, const char *name);

/* Where a report address of `owner` is: the record of its domain and its key. NULL: that domain is
 * not configured, or the localpart is none; nothing is reported. */
Mxadm__V1__Domain *domain_report_place(struct model *model, const Mxadm__V1__Domain *owner,
                                       const Mxadm__V1__ReportAddress *report,
                                       struct name_address *address_out,
                                       struct record_key *key_out);
