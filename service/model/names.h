/*
 * Names: domains, localparts, addresses, account names, selectors. Parsing,
 * canonical forms, text forms (mox-behaviour section 4, the "better" column
 * binding). Pure functions; results are in the arena given.
 *
 * A parsing function returns NULL when the text is good, else one clause that
 * says what is wrong with it ("has an empty label"), fit to follow the quoted
 * value in a sentence; static or in the arena. Input is valid UTF-8 without NUL
 * when it comes from the dispatcher, but nothing here relies on it: invalid
 * UTF-8 is refused. Texts of any length are fine: what is longer than its limit
 * is refused before it is worked on.
 *
 * An arena at its limit that does not jump (base/arena.h) makes a parsing
 * function return NAME_OUT_OF_MEMORY and the others NULL.
 */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

#define NAME_OUT_OF_MEMORY "needs more memory than the call may have"

/* RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters. */
#define NAME_DOMAIN_MAX 253
#define NAME_LABEL_MAX  63
/* Of the value as given, normalised, and in lower case. RFC 5321 section 4.5.3.1.1 says 64; mox
 * accepts 128 bytes, and real configurations use it. */
#define NAME_LOCALPART_MAX          128
#define NAME_ACCOUNT_CHARACTERS_MAX 64
#define NAME_ACCOUNT_BYTES_MAX      128
#define NAME_SEPARATORS_MAX         8
#define NAME_SEPARATOR_BYTES_MAX    4

struct name_domain {
    const char *name;  /* Unicode form if it has one, else as ascii */
    const char *ascii; /* A-labels */
};

/* How the localparts of a domain are compared. */
struct name_policy {
    const char *const *separators;
    size_t separator_count;
    bool case_sensitive;
};

struct name_address {
    bool catchall;         /* "@domain" */
    const char *localpart; /* decoded, NFC; "" is legal; NULL for a catchall */
    struct name_domain domain;
};

/* UTS #46 non-transitional, STD3, hyphens, ContextJ, Bidi, and DNS lengths; no trailing dot, no
 * empty label; does not end in a number ("1", "10.0.0.1", "127.1", "0x7f"), so is no IP address. */
const char *name_parse_domain(struct arena *arena, const char *text, struct name_domain *out);

/* A selector: by the grammar of domains, but may end in a number ("2024"); dots are fine. Together
 * with "._domainkey." and the domain it must fit NAME_DOMAIN_MAX, which the caller checks. */
const char *name_parse_selector(struct arena *arena, const char *text, struct name_domain *out);

/* A bare localpart in text form (maybe quoted). The value is decoded and NFC. It never has control
 * characters, U+2028, U+2029, direction marks or noncharacters. */
const char *name_parse_localpart(struct arena *arena, const char *text, const char **value_out);

/* "localpart@domain". A catchall "@domain" only if `catchall`. */
const char *name_parse_address(struct arena *arena, const char *text, bool catchall,
                               struct name_address *out);

/* Account names: see proto/mxadm/v1/model.proto, Account.name. The result is NFC. */
const char *name_parse_account(struct arena *arena, const char *text, const char **name_out);

/* Separator of localparts: 1 to 4 characters of "+-_=.". */
const char *name_check_separator(const char *text);

/* A mailbox name; NFC is demanded, not made. See model.proto. */
const char *name_check_mailbox(struct arena *arena, const char *text);

/* Free text in one line: UTF-8, no control characters, at most 1,024 bytes. */
const char *name_check_line(const char *text);

/* Text form of a localpart: quoted where needed (4.3-01). */
const char *name_localpart_text(struct arena *arena, const char *value);

/* Text form of an address, "@domain" for a catchall; the domain as its name. */
const char *name_address_text(struct arena *arena, const struct name_address *address);

/* Lower case unless case-sensitive, then cut where the first separator begins (4.5, order of HEAD);
 * NFC. May be "". For values that name_parse_...() gave. */
const char *name_canonical_localpart(struct arena *arena, const char *value,
                                     const struct name_policy *policy);

/* The separator of the policy that the localpart contains, the leftmost; NULL: none. */
const char *name_find_separator(const char *value, const struct name_policy *policy);

/* Whether all of it is ASCII. */
bool name_is_ascii(const char *text);

/* A value as it may stand in an error text: in quotes, those within behind a backslash; controls,
 * line ends, direction marks and invalid UTF-8 as \xNN; cut with "..." after 80 bytes. Never NULL.
 */
const char *name_show(struct arena *arena, const char *text);
