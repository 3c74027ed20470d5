/*
 * The DNS records to publish for a domain (mox-behaviour section 6), as records
 * and as the text of a zone file. Pure functions: what they need is given to
 * them, what they make is in the arena.
 *
 * A *host* is the mail host of the settings; records of the host are needed
 * once, however many domains there are. An *optional* record is a suggestion,
 * commented out in the zone. All names are in ASCII form.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "mxadm/v1/admin.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

struct settings;

/* Seconds: low, so that a mistake while setting up a domain is soon forgotten. */
#define DNS_TTL 300

/* One character-string (RFC 1035 section 3.3). */
#define DNS_STRING_MAX 255

/* Keeps a CAA value with its issuer and parameters within what parsers take. */
#define DNS_ACME_URI_MAX 512

struct dns_selector {
    const Mxadm__V1__DkimSelector *record;
    const char *text; /* of the TXT record: key_dkim_record() */
};

struct dns_input {
    const Mxadm__V1__Domain *domain;
    const struct dns_selector *selectors; /* sorted by name */
    size_t selector_count;
    const struct settings *settings;
    bool dnssec;                  /* the zone is signed, so that TLSA records make sense */
    const char *acme_account_uri; /* NULL or "": not known */
};

struct dns_records {
    Mxadm__V1__DnsRecord **records; /* in the order to read them */
    size_t count;
    char *zone; /* all of it as text of a zone file, with comments */
};

/*
 * INVALID_ARGUMENT: the account URI is not one (RFC 8657 section 3). INTERNAL: a name in the
 * settings or in the record is not valid, which should have been found earlier.
 * RESOURCE_EXHAUSTED: the arena is at its limit.
 */
MX_MUST_USE enum mx_code dns_records(struct arena *arena, const struct dns_input *input,
                                     struct dns_records *out, struct mx_error *err);

/* The one record of a selector of a domain, for the answer to DKIMAdd. NULL: the arena is at its
 * limit. */
Mxadm__V1__DnsRecord *dns_dkim_record(struct arena *arena, const char *ascii_domain,
                                      const struct dns_selector *selector);
