/*
 * Values of records, as the comments of model.proto state them: each function
 * reports what is wrong as a violation of the field at `path` that shows the
 * value, and says whether it is good. An absent (empty) value is good, unless
 * the function's comment says otherwise.
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

/* "account.routes[3].transport" and the like, in the arena. */
const char *check_path(struct model *model, const char *format, ...) MX_PRINTF(2, 3);
/* "account.routes"; "routes" if `path` is "". */
const char *check_field(struct model *model, const char *path, const char *name);

/* Reports an empty value as "is required". */
bool check_required(struct model *model, const char *path, const char *text);
/* Elements of a list. */
bool check_count(struct model *model, const char *path, size_t count, size_t max);
/* Free text in a single line. */
bool check_line(struct model *model, const char *path, const char *text);
/* At most `max` bytes of printable ASCII. */
bool check_ascii(struct model *model, const char *path, const char *text, size_t max);
/* A mailbox name; `not_inbox`: other than "Inbox", in any letter case. */
bool check_mailbox(struct model *model, const char *path, const char *text, bool not_inbox);
/* Compiles in RE2, is a single line and has at most REGEXP_MAX bytes. */
bool check_regexp(struct model *model, const char *path, const char *text);
/* The same of an expression that is matched with text in lower case: it has no upper-case letter
 * that stands for itself. Escapes, flags and names of groups may have them. */
bool check_lower_regexp(struct model *model, const char *path, const char *text);
/* What all expressions of a record weigh (regexp_weight()), to be asked before they are compiled.
 */
bool check_weight(struct model *model, const char *path, size_t weight, size_t max);
/* http or https with a host, at most 2,048 bytes (RFC 3986). */
bool check_web_url(struct model *model, const char *path, const char *text);
/* A domain name; `name_out` (may be NULL) gets the name. */
bool check_domain(struct model *model, const char *path, const char *text, const char **name_out);
/* Nanoseconds in range and of the seconds' sign, and from `min_s` to `max_s`; `whole`: no
 * fraction. NULL is good. */
bool check_duration(struct model *model, const char *path,
                    const Google__Protobuf__Duration *duration, int64_t min_s, int64_t max_s,
                    bool whole);
bool check_range(struct model *model, const char *path, int64_t value, int64_t min, int64_t max);
/* Finite and from `min` to `max`. */
bool check_fraction(struct model *model, const char *path, double value, double min, double max);
/* Routes (mox-behaviour 3.2); at most `max`. */
bool check_routes(struct model *model, const char *path, Mxadm__V1__Route *const *routes,
                  size_t count, size_t max);

/* No two of the names are equal; NULL ones do not count. The later one is reported, as the field
 * `path`[index]`suffix`. */
bool check_distinct(struct model *model, const char *path, const char *suffix,
                    const char *const *names, size_t count);

/*
 * Domains as records hold them, by name: of what parses, within limits; the rest is left to the
 * checks. To be done before these, to records that are about to be stored.
 */
const char *check_normal_domain(struct model *model, const char *text);
void check_normal_routes(struct model *model, Mxadm__V1__Route *const *routes, size_t count);

/* Longest period that is taken for meant: 100 years. */
#define CHECK_PERIOD_MAX_S ((int64_t) 100 * 366 * 24 * 3600)
