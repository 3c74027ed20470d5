#include "model/alias.h"

#include "model/address.h"
#include "model/check.h"
#include "model/domain.h"
#include "model/fields.h"

#include <stdlib.h>
#include <string.h>

const char *const alias_fixed[] = {
    "address", "canonical_address", "domain", "revision", "create_time", "update_time", NULL,
};

bool alias_check(struct model *model, const Mxadm__V1__Alias *alias, const char *path)
{
    struct name_address address;

    return field_address(model, check_path(model, "%s.address", path), alias->address, false,
                         &address);
}

/* -------------------------------------------------------------------- keys */

struct record_key alias_key(struct model *model, const Mxadm__V1__Domain *domain,
                            const struct name_address *address)
{
    return record_key(RECORD_ALIAS, domain->name, address_localpart(model, domain, address));
}

struct record_key alias_members(struct model *model, const struct record_key *alias)
{
    const char *parts[RECORD_PARTS_MAX];

    record_key_parts(model->arena, record_slice(alias), parts);
    return record_members(parts[0], parts[1]);
}

static struct record_key member_key(struct model *model, const struct record_key *alias,
                                    const struct alias_member *member)
{
    const char *parts[RECORD_PARTS_MAX];

    record_key_parts(model->arena, record_slice(alias), parts);
    return record_member_key(parts[0], parts[1], member->address.domain.name, member->localpart);
}

/* ----------------------------------------------------------------- aliases */

Mxadm__V1__Alias *alias_require(struct model *model, const struct name_address *address,
                                struct record_key *key_out, struct slice *packed_out)
{
    Mxadm__V1__Domain *domain = domain_find(model, address->domain.name);
    const char *name = name_address_text(model->arena, address);

    if (domain != NULL) {
        *key_out = alias_key(model, domain, address);
        if (record_get(model, key_out, packed_out)) {
            return record_unpack(model, RECORD_ALIAS, *packed_out);
        }
    }
    status_resource(model->status, MX_NOT_FOUND, "ALIAS_NOT_FOUND", "alias", name,
                    domain == NULL ? "there is no alias '%s': its domain is not configured"
                                   : "there is no alias '%s'",
                    name);
    return NULL;
}

Mxadm__V1__Alias *alias_new(struct model *model, const Mxadm__V1__Domain *domain,
                            const struct name_address *address)
{
    Mxadm__V1__Alias *alias = arena_alloc(model->arena, sizeof(*alias));

    mxadm__v1__alias__init(alias);
    alias->address = (char *) name_address_text(model->arena, address);
    alias->canonical_address = (char *) address_canonical(model, domain, address);
    alias->domain = domain->name;
    return alias;
}

uint64_t alias_remove(struct model *model, const struct record_key *key)
{
    struct record_key members = alias_members(model, key);
    uint64_t removed = record_delete_range(model, &members);

    record_delete(model, key);
    return removed;
}

/* --------------------------------------------------------- reading members */

static int by_text(const void *a, const void *b)
{
    const struct alias_member *left = a;
    const struct alias_member *right = b;
    int order = strcmp(left->text, right->text);

    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

/* Members of one alias are mostly at one domain: `before` had it maybe. */
static void resolve_member(struct model *model, struct alias_member *member,
                           const struct alias_member *before)
{
    const char *name = member->address.domain.name;

    member->domain = before != NULL && strcmp(before->address.domain.name, name) == 0
                         ? before->domain
                         : domain_find(model, name);
    member->localpart = member->domain == NULL
                            ? name_localpart_text(model->arena, member->address.localpart)
                            : address_localpart(model, member->domain, &member->address);
    member->text = arena_printf(model->arena, "%s@%s", member->localpart, name);
}

/* Drops those that are there twice, or reports them. */
static void join_equal(struct model *model, const char *field, bool merge,
                       struct alias_member_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct alias_member *first = kept == 0 ? NULL : &list->members[kept - 1];

        if (first == NULL || strcmp(first->text, list->members[i].text) != 0) {
            list->members[kept++] = list->members[i];
        } else if (!merge) {
            status_field(model->status, check_path(model, "%s[%zu]", field, list->members[i].index),
                         "'%s' is the address of %s[%zu]", first->text, field, first->index);
        }
    }
    list->count = kept;
}

bool alias_read_members(struct model *model, const char *field, char *const *texts, size_t count,
                        bool merge, struct alias_member_list *out)
{
    if (count == 0) {
        status_field(model->status, field, "is required");
        return false;
    }
    if (!check_count(model, field, count, ALIAS_MEMBERS_MAX)) {
        return false;
    }
    *out =
        (struct alias_member_list){ arena_alloc(model->arena, count * sizeof(*out->members)), 0 };
    for (size_t i = 0; i < count; i++) {
        struct alias_member *member = &out->members[out->count];

        if (field_address(model, check_path(model, "%s[%zu]", field, i), texts[i], false,
                          &member->address)) {
            member->index = i;
            resolve_member(model, member, out->count == 0 ? NULL : member - 1);
            out->count++;
        }
    }
    qsort(out->members, out->count, sizeof(*out->members), by_text);
    join_equal(model, field, merge, out);
    return status_ok(model->status);
}

/* -------------------------------------------------------- checking members */

/* Names that belong into one sentence, all of them, however many. */
struct name_list {
    struct model *model;
    const char **names;
    size_t count;
};

static struct name_list name_list(struct model *model, const struct alias_member_list *list)
{
    return (struct name_list){ model, arena_alloc(model->arena, list->count * sizeof(char *)), 0 };
}

static const char *joined(const struct name_list *list)
{
    size_t len = 0;
    char *text;
    char *at;

    for (size_t i = 0; i < list->count; i++) {
        len += strlen(list->names[i]) + 2;
    }
    text = arena_alloc(list->model->arena, len + 1);
    at = text;
    for (size_t i = 0; i < list->count; i++) {
        at = stpcpy(stpcpy(at, i == 0 ? "" : ", "), list->names[i]);
    }
    return text;
}

/* Why an address that is nobody's is none; "" if there is nothing to say. */
static const char *why_missing(struct model *model, const struct alias_member *member)
{
    struct record_key alias;

    if (member->domain == NULL) {
        return " (its domain is not configured)";
    }
    alias = alias_key(model, member->domain, &member->address);
    return record_exists(model, &alias) ? " (an alias)" : "";
}

bool alias_check_addresses(struct model *model, const struct alias_member_list *list)
{
    struct name_list missing = name_list(model, list);
    const char *first = NULL;

    for (size_t i = 0; i < list->count; i++) {
        const struct alias_member *member = &list->members[i];
        struct record_key key =
            record_key(RECORD_ADDRESS, member->address.domain.name, member->localpart);

        if (!record_exists(model, &key)) {
            first = first == NULL ? member->text : first;
            missing.names[missing.count++] =
                arena_printf(model->arena, "'%s'%s", member->text, why_missing(model, member));
        }
    }
    if (first == NULL) {
        return true;
    }
    status_resource(model->status, MX_NOT_FOUND, "ADDRESS_NOT_FOUND", "address", first,
                    "no account has %s", joined(&missing));
    return false;
}

bool alias_check_members(struct model *model, const Mxadm__V1__Alias *alias,
                         const struct record_key *key, const struct alias_member_list *list,
                         bool wanted)
{
    struct name_list wrong = name_list(model, list);
    const char *first = NULL;

    for (size_t i = 0; i < list->count; i++) {
        struct record_key member = member_key(model, key, &list->members[i]);

        if (record_exists(model, &member) != wanted) {
            first = first == NULL ? list->members[i].text : first;
            wrong.names[wrong.count++] = arena_printf(model->arena, "'%s'", list->members[i].text);
        }
    }
    if (first == NULL) {
        return true;
    }
    status_resource(model->status, wanted ? MX_NOT_FOUND : MX_ALREADY_EXISTS,
                    wanted ? "MEMBER_NOT_FOUND" : "MEMBER_EXISTS", "alias member", first,
                    wanted ? "alias '%s' has no member %s" : "alias '%s' has %s already",
                    alias->canonical_address, joined(&wrong));
    return false;
}

/* --------------------------------------------------------- changing members */

void alias_put_members(struct model *model, const Mxadm__V1__Alias *alias,
                       const struct record_key *key, const struct alias_member_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct alias_member *member = &list->members[i];
        struct record_key at = member_key(model, key, member);
        struct record_key address =
            record_key(RECORD_ADDRESS, member->address.domain.name, member->localpart);
        Mxadm__V1__Address *record = record_load(model, RECORD_ADDRESS, &address);
        Mxadm__V1__AliasMember put = MXADM__V1__ALIAS_MEMBER__INIT;

        put.alias = alias->canonical_address;
        put.address = (char *) member->text;
        put.account = record->account;
        (void) record_put(model, RECORD_ALIAS_MEMBER, &at, &put.base);
    }
}

void alias_delete_members(struct model *model, const struct record_key *key,
                          const struct alias_member_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct record_key member = member_key(model, key, &list->members[i]);

        record_delete(model, &member);
    }
}

void alias_members_follow(struct model *model, const Mxadm__V1__Address *address,
                          const struct record_key *key)
{
    const char *parts[RECORD_PARTS_MAX];
    struct record_key range;
    struct store_cursor cursor;
    struct store_entry entry;

    record_key_parts(model->arena, record_slice(key), parts);
    range = record_memberships(parts[0], parts[1]);
    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        const char *alias[RECORD_PARTS_MAX];
        Mxadm__V1__AliasMember *member;
        struct record_key at;

        record_key_parts(model->arena, entry.key, alias);
        at = record_member_key(alias[2], alias[3], parts[0], parts[1]);
        member = record_load(model, RECORD_ALIAS_MEMBER, &at);
        if (member != NULL) {
            member->account = address->account;
            (void) record_put(model, RECORD_ALIAS_MEMBER, &at, &member->base);
        }
    }
}
