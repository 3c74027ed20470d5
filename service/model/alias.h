/*
 * Aliases: addresses whose mail goes to several members, which are addresses of
 * accounts of this configuration (mox-behaviour 1.17, 1.18, 3.8).
 *
 * An alias and each of its members are records of their own: members come and
 * go without the alias's record, and however many there are, a change writes
 * what it changes. There is always one at least.
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

/* Members that one call names. */
#define ALIAS_MEMBERS_MAX 1000

/* Reports values that an alias may not have, below `path`. */
bool alias_check(struct model *model, const Mxadm__V1__Alias *alias, const char *path);
/* Fields that name an alias or that the server makes, for masks; ended by NULL. */
extern const char *const alias_fixed[];

struct record_key alias_key(struct model *model, const Mxadm__V1__Domain *domain,
                            const struct name_address *address);
/* The range of an alias's members. */
struct record_key alias_members(struct model *model, const struct record_key *alias);

/* The alias of an address in whatever spelling, or NULL and NOT_FOUND reported. */
Mxadm__V1__Alias *alias_require(struct model *model, const struct name_address *address,
                                struct record_key *key_out, struct slice *packed_out);
/* A new record for it, not stored. */
Mxadm__V1__Alias *alias_new(struct model *model, const Mxadm__V1__Domain *domain,
                            const struct name_address *address);
/* Removes it with its members; returns how many of those. */
uint64_t alias_remove(struct model *model, const struct record_key *key);

/* ----------------------------------------------------------------- members */

/* An address that a request names. */
struct alias_member {
    struct name_address address; /* as given */
    Mxadm__V1__Domain *domain;   /* NULL: not configured */
    const char *localpart;       /* canonical, in text form; as given if the domain is not there */
    const char *text;            /* the same of the whole address */
    size_t index;                /* in the request */
};

struct alias_member_list {
    struct alias_member *members; /* ordered by text */
    size_t count;
};

/* Reads the field `field` of a request. One that is there twice is reported, or, with `merge`, read
 * once. False: reported. */
bool alias_read_members(struct model *model, const char *field, char *const *texts, size_t count,
                        bool merge, struct alias_member_list *out);

/* Whether all of them are addresses of accounts; reports those that are not. */
bool alias_check_addresses(struct model *model, const struct alias_member_list *list);
/* Whether all (`wanted`) or none of them are members of the alias; reports those that are not, or
 * are. */
bool alias_check_members(struct model *model, const Mxadm__V1__Alias *alias,
                         const struct record_key *key, const struct alias_member_list *list,
                         bool wanted);

/* After these checks. */
void alias_put_members(struct model *model, const Mxadm__V1__Alias *alias,
                       const struct record_key *key, const struct alias_member_list *list);
void alias_delete_members(struct model *model, const struct record_key *key,
                          const struct alias_member_list *list);

/* An address has got another account: the records that say it is a member somewhere follow. */
void alias_members_follow(struct model *model, const Mxadm__V1__Address *address,
                          const struct record_key *key);
