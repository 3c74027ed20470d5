#include "model/respell.h"

#include "model/address.h"
#include "model/domain.h"
#include "model/login.h"

#include <string.h>

struct respell {
    struct model *model;
    const Mxadm__V1__Domain *domain; /* as it will be */
};

static bool first_of(const struct model *model, const struct record_key *range,
                     struct store_entry *entry_out)
{
    struct store_cursor cursor;

    store_cursor_init(&cursor, model->view, record_slice(range), slice_of(NULL, 0), false);
    return store_cursor_next(&cursor, entry_out);
}

static char *address_at(struct model *model, const char *localpart, const char *domain)
{
    return arena_printf(model->arena, "%s@%s", localpart, domain);
}

/* --------------------------------------------------------------- separators */

static bool has_separator(const Mxadm__V1__Domain *domain, const char *separator)
{
    for (size_t i = 0; i < domain->n_localpart_separators; i++) {
        if (strcmp(domain->localpart_separators[i], separator) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_alias(const struct record_key *key)
{
    return record_kind_of(record_slice(key)) == RECORD_ALIAS;
}

/* An address or alias, as given; Address and Alias begin alike but for their type. */
static const char *given_address(struct model *model, const struct record_key *key)
{
    if (is_alias(key)) {
        Mxadm__V1__Alias *alias = record_load(model, RECORD_ALIAS, key);

        return alias == NULL ? "" : alias->address;
    } else {
        Mxadm__V1__Address *address = record_load(model, RECORD_ADDRESS, key);

        return address == NULL ? "" : address->address;
    }
}

static void report_separator(struct respell *respell, const struct record_key *key,
                             const char *separator)
{
    const char *given = given_address(respell->model, key);

    status_blocker(respell->model->status, "ADDRESS_CONFLICT",
                   record_kind_name(record_kind_of(record_slice(key))), given,
                   "'%s' contains '%s', which would separate localparts", given, separator);
}

/* Whether the address that an entry of the index stands for has all of the separator. */
static bool contains(struct respell *respell, const struct record_key *key, const char *separator)
{
    struct name_address address;

    return name_parse_address(respell->model->arena, given_address(respell->model, key), true,
                              &address) == NULL &&
           !address.catchall && strstr(address.localpart, separator) != NULL;
}

/* One character: the index has them all and knows how many. */
static void check_new_character(struct respell *respell, const char *separator)
{
    struct model *model = respell->model;
    struct record_key range = record_with_separator(respell->domain->name, separator[0]);
    uint64_t left = record_count(model, &range);
    struct store_cursor cursor;
    struct store_entry entry;
    struct record_key key;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (model->status->blocker_count < STATUS_BLOCKERS_MAX &&
           store_cursor_next(&cursor, &entry) && record_origin(entry.key, &key)) {
        report_separator(respell, &key, separator);
        left--;
    }
    model->status->blocker_count += left;
}

/* Several: the index has those with the first one. */
static void check_new_text(struct respell *respell, const char *separator)
{
    struct model *model = respell->model;
    struct record_key range = record_with_separator(respell->domain->name, separator[0]);
    struct store_cursor cursor;
    struct store_entry entry;
    struct record_key key;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (store_cursor_next(&cursor, &entry)) {
        struct arena_mark mark = arena_mark(model->arena);

        if (!record_origin(entry.key, &key) || !contains(respell, &key, separator)) {
            arena_rewind(model->arena, &mark);
        } else if (model->status->blocker_count < STATUS_BLOCKERS_MAX) {
            report_separator(respell, &key, separator);
        } else {
            model->status->blocker_count++;
            arena_rewind(model->arena, &mark);
        }
    }
}

/* Accounts' from-id login addresses need a separator of their domain (3.4-07). */
static void check_last_separator(struct respell *respell)
{
    struct model *model = respell->model;
    struct record_key range = record_from_ids(respell->domain->name, NULL);
    uint64_t left = record_count(model, &range);
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (model->status->blocker_count < STATUS_BLOCKERS_MAX &&
           store_cursor_next(&cursor, &entry)) {
        const char *parts[RECORD_PARTS_MAX];

        record_key_parts(model->arena, entry.key, parts);
        status_blocker(model->status, "SEPARATOR_IN_USE", "account", parts[2],
                       "account '%s' has the from-id login address '%s@%s', which needs a "
                       "separator of localparts",
                       parts[2], parts[1], parts[0]);
        left--;
    }
    model->status->blocker_count += left;
}

/* True in `*added_out`: there are new ones. */
static bool check_separators(struct respell *respell, const Mxadm__V1__Domain *before,
                             bool *added_out)
{
    const Mxadm__V1__Domain *after = respell->domain;

    *added_out = false;
    for (size_t i = 0; i < after->n_localpart_separators; i++) {
        const char *separator = after->localpart_separators[i];

        if (has_separator(before, separator)) {
            continue;
        }
        *added_out = true;
        if (separator[1] == '\0') {
            check_new_character(respell, separator);
        } else {
            check_new_text(respell, separator);
        }
    }
    if (before->n_localpart_separators > 0 && after->n_localpart_separators == 0) {
        check_last_separator(respell);
    }
    return status_ok(respell->model->status);
}

/* -------------------------------------------------------------- login addresses */

/* Replaces one of an account's login addresses; none is there twice afterwards. */
static void replace_from_id(Mxadm__V1__Account *account, const char *from, char *to)
{
    size_t n = 0;
    bool there = false;

    for (size_t i = 0; i < account->n_from_id_login_addresses; i++) {
        char *text = account->from_id_login_addresses[i];

        if (strcmp(text, from) == 0) {
            text = to;
        }
        if (strcmp(text, to) != 0 || !there) {
            account->from_id_login_addresses[n++] = text;
        }
        there = there || strcmp(text, to) == 0;
    }
    account->n_from_id_login_addresses = n;
}

static void move_tls_key(struct respell *respell, const char *fingerprint, const char *to)
{
    struct record_key key = record_key(RECORD_TLS_PUBLIC_KEY, fingerprint, NULL);
    Mxadm__V1__TlsPublicKey *record = record_load(respell->model, RECORD_TLS_PUBLIC_KEY, &key);

    if (record != NULL) {
        record->login_address = address_at(respell->model, to, respell->domain->name);
        (void) record_put(respell->model, RECORD_TLS_PUBLIC_KEY, &key, &record->base);
    }
}

static void move_from_id(struct respell *respell, const char *name, const char *from,
                         const char *to)
{
    struct model *model = respell->model;
    struct record_key key = record_key(RECORD_ACCOUNT, name, NULL);
    Mxadm__V1__Account *account = record_load(model, RECORD_ACCOUNT, &key);

    if (account != NULL) {
        replace_from_id(account, address_at(model, from, respell->domain->name),
                        address_at(model, to, respell->domain->name));
        (void) record_put(model, RECORD_ACCOUNT, &key, &account->base);
    }
}

/* All login addresses of one canonical form get another. Each that was moved leaves the range. */
static void move_logins(struct respell *respell, const char *from, const char *to)
{
    struct model *model = respell->model;
    struct record_key tls_keys = record_login_tls_keys(respell->domain->name, from);
    struct record_key from_ids = record_from_ids(respell->domain->name, from);
    const char *parts[RECORD_PARTS_MAX];
    struct store_entry entry;

    while (status_ok(model->status) && first_of(model, &tls_keys, &entry)) {
        record_key_parts(model->arena, entry.key, parts);
        move_tls_key(respell, parts[2], to);
    }
    while (status_ok(model->status) && first_of(model, &from_ids, &entry)) {
        record_key_parts(model->arena, entry.key, parts);
        move_from_id(respell, parts[2], from, to);
    }
}

/* The canonical form that a login address gets; NULL: it keeps its own. */
static const char *new_login(struct respell *respell, const char *localpart)
{
    struct model *model = respell->model;
    struct name_address address = { .domain = { respell->domain->name,
                                                respell->domain->ascii_name } };
    const char *canonical;

    if (name_parse_localpart(model->arena, localpart, &address.localpart) != NULL) {
        return NULL;
    }
    canonical = address_localpart(model, respell->domain, &address);
    return strcmp(canonical, localpart) == 0 ? NULL : canonical;
}

/* Where a login arrives now; NULL: nowhere. */
static const char *login_account(struct respell *respell, const char *localpart)
{
    struct name_address address = { .domain = { respell->domain->name,
                                                respell->domain->ascii_name } };
    const Mxadm__V1__Address *record = NULL;

    if (name_parse_localpart(respell->model->arena, localpart, &address.localpart) == NULL) {
        record = address_resolve(respell->model, respell->domain, &address);
    }
    return record == NULL ? NULL : record->account;
}

/* The next localpart of an index of login addresses, behind all entries of the last one. */
static const char *next_login(struct respell *respell, const struct record_key *range,
                              struct record_key *behind)
{
    const char *parts[RECORD_PARTS_MAX];
    struct store_cursor cursor;
    struct store_entry entry;

    store_cursor_init(&cursor, respell->model->view, record_slice(range), record_slice(behind),
                      false);
    if (!store_cursor_next(&cursor, &entry)) {
        return NULL;
    }
    record_key_parts(respell->model->arena, entry.key, parts);
    return parts[1];
}

/* Logins that live by the catchall have no address that would take them along. Reads an index of
 * them into `moves`; returns how many have another form now. */
static size_t collect_logins(struct respell *respell, const struct record_key *range,
                             struct record_key (*range_of)(const char *domain,
                                                           const char *localpart),
                             const char **moves)
{
    struct record_key behind = *range;
    const char *localpart;
    size_t count = 0;

    while ((localpart = next_login(respell, range, &behind)) != NULL) {
        behind = range_of(respell->domain->name, localpart);
        behind.data[behind.len++] = 0xff; /* starts neither a fingerprint nor an account's name */
        if (new_login(respell, localpart) != NULL) {
            moves[count++] = localpart;
        }
    }
    return count;
}

static void move_collected(struct respell *respell, const char *const *moves, size_t count)
{
    for (size_t i = 0; i < count && status_ok(respell->model->status); i++) {
        const char *to = new_login(respell, moves[i]);

        /* Whoever has it must reach the same account as before; what waits at the new form does
         * already. */
        if (login_check_owner(respell->model, "ADDRESS_IN_USE", respell->domain->name, moves[i],
                              login_account(respell, to))) {
            move_logins(respell, moves[i], to);
        }
    }
}

static void fold_logins(struct respell *respell)
{
    struct model *model = respell->model;
    const char *name = respell->domain->name;
    struct record_key tls_keys = record_login_tls_keys(name, NULL);
    struct record_key from_ids = record_from_ids(name, NULL);
    uint64_t count = record_count(model, &tls_keys) + record_count(model, &from_ids);
    const char **moves = arena_alloc(model->arena, (count + 1) * sizeof(*moves));
    size_t n = collect_logins(respell, &tls_keys, record_login_tls_keys, moves);

    n += collect_logins(respell, &from_ids, record_from_ids, moves + n);
    move_collected(respell, moves, n);
}

/* ---------------------------------------------------------------------- case */

/* An address or alias that gets another canonical form. */
struct move {
    bool alias;
    const char *from; /* canonical localparts in text form */
    const char *to;
    Mxadm__V1__Address *address; /* the one or the other */
    Mxadm__V1__Alias *record;
};

static const char *move_given(const struct move *move)
{
    return move->alias ? move->record->address : move->address->address;
}

/* False: it keeps its form. */
static bool read_move(struct respell *respell, const struct record_key *key, struct move *move_out)
{
    struct model *model = respell->model;
    struct move move = { .alias = is_alias(key) };
    const char *parts[RECORD_PARTS_MAX];
    struct name_address address;

    if (move.alias) {
        move.record = record_load(model, RECORD_ALIAS, key);
    } else {
        move.address = record_load(model, RECORD_ADDRESS, key);
    }
    if ((move.alias ? (void *) move.record : (void *) move.address) == NULL ||
        name_parse_address(model->arena, move_given(&move), true, &address) != NULL ||
        address.catchall) {
        return false;
    }
    record_key_parts(model->arena, record_slice(key), parts);
    move.from = parts[1];
    move.to = address_localpart(model, respell->domain, &address);
    *move_out = move;
    return strcmp(move.from, move.to) != 0;
}

static struct move *collect_moves(struct respell *respell, size_t *count_out)
{
    struct model *model = respell->model;
    struct record_key range = record_with_case(respell->domain->name);
    uint64_t count = record_count(model, &range);
    struct move *moves = arena_alloc(model->arena, (count + 1) * sizeof(*moves));
    struct store_cursor cursor;
    struct store_entry entry;
    struct record_key key;
    size_t n = 0;

    store_cursor_init(&cursor, model->view, record_slice(&range), slice_of(NULL, 0), false);
    while (n < count && store_cursor_next(&cursor, &entry)) {
        n += record_origin(entry.key, &key) && read_move(respell, &key, &moves[n]);
    }
    *count_out = n;
    return moves;
}

static struct record_key move_key(struct respell *respell, const struct move *move,
                                  const char *localpart)
{
    return record_key(move->alias ? RECORD_ALIAS : RECORD_ADDRESS, respell->domain->name,
                      localpart);
}

/* Reports who has the new form already: one that keeps it, or that got it just now. */
static bool check_place(struct respell *respell, const struct move *move)
{
    static const enum record_kind kinds[] = { RECORD_ADDRESS, RECORD_ALIAS };
    struct model *model = respell->model;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct record_key key = record_key(kinds[i], respell->domain->name, move->to);

        if (record_exists(model, &key)) {
            status_blocker(
                model->status, "ADDRESS_CONFLICT",
                move->alias ? record_kind_name(RECORD_ALIAS) : record_kind_name(RECORD_ADDRESS),
                move_given(move), "'%s' and '%s' would both be '%s@%s'", move_given(move),
                given_address(model, &key), move->to, respell->domain->name);
            return false;
        }
    }
    return true;
}

static void put_moved(struct respell *respell, const struct move *move)
{
    struct model *model = respell->model;
    struct record_key key = move_key(respell, move, move->to);
    char *canonical = address_at(model, move->to, respell->domain->name);

    if (!check_place(respell, move)) {
        return;
    }
    if (move->alias) {
        move->record->canonical_address = canonical;
        (void) record_put(model, RECORD_ALIAS, &key, &move->record->base);
    } else {
        move->address->canonical_address = canonical;
        (void) record_put(model, RECORD_ADDRESS, &key, &move->address->base);
    }
}

/* A member record gets another key, for its alias or its address has another form. */
static void move_member(struct respell *respell, const struct record_key *from,
                        const struct record_key *to, bool alias, const char *localpart)
{
    struct model *model = respell->model;
    Mxadm__V1__AliasMember *member = record_load(model, RECORD_ALIAS_MEMBER, from);
    char *canonical = address_at(model, localpart, respell->domain->name);

    if (member == NULL) {
        return;
    }
    if (alias) {
        member->alias = canonical;
    } else {
        member->address = canonical;
    }
    record_delete(model, from);
    (void) record_put(model, RECORD_ALIAS_MEMBER, to, &member->base);
}

/* Each member that was moved leaves the range. */
static void move_members(struct respell *respell, const struct move *move)
{
    struct model *model = respell->model;
    const char *domain = respell->domain->name;
    struct record_key range =
        move->alias ? record_members(domain, move->from) : record_memberships(domain, move->from);
    const char *parts[RECORD_PARTS_MAX];
    struct store_entry entry;

    while (status_ok(model->status) && first_of(model, &range, &entry)) {
        struct record_key from;
        struct record_key to;

        record_key_parts(model->arena, entry.key, parts);
        if (move->alias) {
            from = record_member_key(domain, move->from, parts[2], parts[3]);
            to = record_member_key(domain, move->to, parts[2], parts[3]);
        } else {
            from = record_member_key(parts[2], parts[3], domain, move->from);
            to = record_member_key(parts[2], parts[3], domain, move->to);
        }
        move_member(respell, &from, &to, move->alias, move->to);
    }
}

/* What waits at the new form lived by the catchall so far, and must not be cut off. */
static void move_references(struct respell *respell, const struct move *move)
{
    if (!login_check_owner(respell->model, "ADDRESS_IN_USE", respell->domain->name, move->to,
                           move->alias ? NULL : move->address->account)) {
        return;
    }
    move_members(respell, move);
    if (!move->alias) {
        move_logins(respell, move->from, move->to);
    }
}

/* What is in lower case stays so: no move ends where another begins, and references may be moved
 * one after the other. */
static void respell_addresses(struct respell *respell)
{
    size_t count;
    const struct move *moves = collect_moves(respell, &count);

    for (size_t i = 0; i < count; i++) {
        struct record_key key = move_key(respell, &moves[i], moves[i].from);

        record_delete(respell->model, &key);
    }
    for (size_t i = 0; i < count; i++) {
        put_moved(respell, &moves[i]);
    }
    for (size_t i = 0; i < count && status_ok(respell->model->status); i++) {
        move_references(respell, &moves[i]);
    }
}

bool respell_domain(struct model *model, const Mxadm__V1__Domain *before,
                    const Mxadm__V1__Domain *after, bool vacated)
{
    struct respell respell = { model, after };
    struct record_key catchall = record_key(RECORD_ADDRESS, after->name, RECORD_CATCHALL);
    bool other_case = before->localpart_case_sensitive != after->localpart_case_sensitive;
    bool added;

    if (!check_separators(&respell, before, &added)) {
        return false;
    }
    if (other_case) {
        respell_addresses(&respell);
    }
    if ((other_case || added) && status_ok(model->status) &&
        (vacated || record_exists(model, &catchall))) {
        fold_logins(&respell);
    }
    return status_ok(model->status);
}
