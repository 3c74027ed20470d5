/*
 * The records of one domain while they are made. Out of memory marks the
 * builder as failed and goes on with empty text; dns_records() asks once, at
 * the end.
 */
#pragma once

#include "model/dns.h"

#define DNS_REMARKS_MAX 4

/* What is being made, and the names that records are made of, all ASCII. */
struct dns_builder {
    struct arena *arena;
    const struct dns_input *input;
    const char *domain;
    const char *host;
    const char *client;        /* client settings domain; NULL: the host serves as it */
    const char *dmarc_domain;  /* where reports go; NULL: none are asked for */
    const char *tlsrpt_domain; /* likewise */
    const char *spf;
    const char *issuer; /* NULL: none */
    Mxadm__V1__DnsRecord **records;
    size_t count;
    size_t capacity;
    const char *remarks[DNS_REMARKS_MAX];
    size_t remark_count;
    size_t left_out; /* records whose name would be too long */
    bool failed;     /* the arena is at its limit */
};

/* Room for all records that the input can lead to; before the first is added. */
bool dns_reserve_records(struct dns_builder *builder);

/* Text in the arena; never NULL. */
const char *dns_format(struct dns_builder *builder, const char *pattern, ...) MX_PRINTF(2, 3);

/* A sentence for the end of the zone. */
void dns_remark(struct dns_builder *builder, const char *sentence);

/* `name` without the trailing dot; `data` as a zone file has it, but a TXT's unquoted. NULL: the
 * arena is at its limit. */
Mxadm__V1__DnsRecord *dns_make_record(struct arena *arena, const char *type, const char *name,
                                      const char *data, const char *comment);

/* NULL: making it has failed. A record whose name would be too long for DNS is left out. */
void dns_add_record(struct dns_builder *builder, Mxadm__V1__DnsRecord *record);

void dns_add(struct dns_builder *builder, const char *type, const char *name, const char *data,
             const char *comment);
void dns_add_optional(struct dns_builder *builder, const char *type, const char *name,
                      const char *data, const char *comment);

/* A CNAME of the host, where there can be one: other records may not stand beside it (RFC 1034
 * section 3.6.2), it is there once, and the host is no alias of itself. */
void dns_add_alias(struct dns_builder *builder, const char *name, const char *comment);
