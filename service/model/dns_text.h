/*
 * Text forms of DNS data: character-strings, mailto URIs, a zone file from its
 * records. Results are in the arena; NULL: it is at its limit.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "mxadm/v1/admin.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

struct settings;

/* Text that grows in an arena. Out of memory marks it as failed; whoever takes the result asks
 * once. */
struct dns_text {
    struct arena *arena;
    char *data; /* NUL-terminated; NULL: nothing yet */
    size_t len;
    size_t capacity;
    bool failed;
};

void dns_text_put(struct dns_text *text, const char *piece);
void dns_text_put_bytes(struct dns_text *text, const char *data, size_t len);

/* The result, never NULL but when failed. */
char *dns_text_take(struct dns_text *text);

/* A value in quotes (RFC 1035 section 5.1): as strings of at most 255 bytes with `between` between
 * them, for TXT; `between` NULL: in one piece, for CAA. */
char *dns_quote(struct arena *arena, const char *value, const char *between);

/* A localpart's text form as it stands in a mailto URI (RFC 6068 section 2), with "!" and ","
 * encoded too, which separate within DMARC and TLS report addresses. */
char *dns_mailto_encode(struct arena *arena, const char *localpart);

/* "v=spf1 ..." with the public addresses that the mail host sends from: those of the listeners
 * with SMTP, in the order of the settings, each once. NULL: `err` says why. */
char *dns_spf(struct arena *arena, const struct settings *settings, struct mx_error *err);

/* `remarks` are sentences for the end: of what there is no record. */
char *dns_zone(struct arena *arena, const char *domain, Mxadm__V1__DnsRecord *const *records,
               size_t count, const char *const *remarks, size_t remark_count);
