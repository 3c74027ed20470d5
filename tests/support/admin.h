/*
 * The daemon's operations as a test calls them, through libmxadm: a function for
 * each that a test uses, and the whole configuration as facts.
 *
 * Calls return their result, whatever it is, the caller's to free; the others
 * end the test, loudly, when something is not as it should be.
 */
#pragma once

#include "support/facts.h"

#include <mxadm/mxadm.h>

/* A client of one url. `connections` 0: the default. */
mxadm_client *admin_open(const char *url, unsigned connections);

mxadm_result *admin_call(mxadm_client *client, const char *method, const ProtobufCMessage *request,
                         const mxadm_call_options *options);

mxadm_result *admin_domain_add(mxadm_client *client, const char *domain, const char *account,
                               const char *localpart, const mxadm_call_options *options);
mxadm_result *admin_domain_remove(mxadm_client *client, const char *domain,
                                  const mxadm_call_options *options);
mxadm_result *admin_account_add(mxadm_client *client, const char *account, const char *address,
                                const mxadm_call_options *options);
mxadm_result *admin_account_remove(mxadm_client *client, const char *account,
                                   const mxadm_call_options *options);
mxadm_result *admin_address_add(mxadm_client *client, const char *address, const char *account,
                                const mxadm_call_options *options);
mxadm_result *admin_address_remove(mxadm_client *client, const char *address,
                                   const mxadm_call_options *options);
mxadm_result *admin_address_lookup(mxadm_client *client, const char *address);
/* Of Ed25519, which is made at once; signs. */
mxadm_result *admin_dkim_add(mxadm_client *client, const char *domain, const char *selector,
                             const mxadm_call_options *options);
mxadm_result *admin_dkim_remove(mxadm_client *client, const char *domain, const char *selector,
                                const mxadm_call_options *options);

/* Frees the result of a call that must have succeeded; returns its revision. */
uint64_t admin_done(mxadm_result *result);
/* Frees the result of a call that must have been refused for this reason. */
void admin_refused(mxadm_result *result, const char *reason);

/*
 * The whole configuration, by the lists, page by page:
 *
 *   "domain D"          "account A"            "address L@D -> A"   (canonical)
 *   "selector S of D"   "dmarc report of D"    "tls report of D"
 *
 * Selectors that DomainAdd named after the year are "selector #1 of D" and "#2". The counts of
 * ServerInfo must agree.
 */
void admin_observe(mxadm_client *client, struct facts *facts);

/* What DomainAdd with a localpart adds, in these words. Localpart in canonical form. */
void admin_domain_facts(struct facts *facts, const char *domain, const char *account,
                        const char *localpart);

/* The position of the configuration. */
struct admin_position {
    uint64_t revision;
    uint8_t chain[32];
};
struct admin_position admin_position(mxadm_client *client);

/*
 * Every selector's key can be exported and belongs to its public key; the same key is in the
 * selector's file below the key directory, and there are no other files. Returns how many there
 * are.
 */
size_t admin_check_keys(mxadm_client *client, const char *directory);
