/*
 * AliasAdd, AliasUpdate, AliasRemove, AliasAddressesAdd, AliasAddressesRemove, AliasGet, AliasList,
 * and what they are to addresses, accounts and domains. Rule numbers are those of mox-behaviour.
 */
#include "rpc_cases.h"

#include <string.h>

static struct fixture *fx;

static int setup_group(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "own.example", "olaf");
    add_domain(fx, "other.example", "otto");
    add_domain(fx, "mail.example.com", "hugo");
    return 0;
}

static int teardown_group(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

/* Each test begins with one account more, and one alias. */
static int setup(void **state)
{
    (void) state;
    OK(ask(fx, &root, "AccountAdd", "account", "bob", "address", "bob@example.org", NULL));
    OK(ask(fx, &root, "AliasAdd", "address", "Team@Example.ORG", "members", "alice@example.org",
           "members", "Bob+tag@EXAMPLE.org", "list_members", "1", NULL));
    return 0;
}

static int teardown(void **state)
{
    const Mxadm__V1__AliasListResponse *all = OK(ask(fx, &root, "AliasList", NULL))->message;

    (void) state;
    for (size_t i = 0; i < all->n_aliases; i++) {
        OK(ask(fx, &root, "AliasRemove", "address", all->aliases[i]->address, NULL));
    }
    (void) ask(fx, &root, "AccountRemove", "account", "bob", NULL);
    return 0;
}

static const struct reply *alias_add(const char *address, const char *member)
{
    return ask(fx, &root, "AliasAdd", "address", address, "members", member, NULL);
}

static const struct reply *members_add(const char *alias, const char *member)
{
    return ask(fx, &root, "AliasAddressesAdd", "address", alias, "members", member, NULL);
}

static const struct reply *members_remove(const char *alias, const char *member)
{
    return ask(fx, &root, "AliasAddressesRemove", "address", alias, "members", member, NULL);
}

static const Mxadm__V1__AliasGetResponse *alias_get(const char *address)
{
    return OK(ask(fx, &viewer, "AliasGet", "address", address, NULL))->message;
}

static const Mxadm__V1__AliasListResponse *list(const char *filter, const char *value)
{
    return OK(ask(fx, &viewer, "AliasList", filter, value, NULL))->message;
}

static bool has_member(const char *alias, const char *member, const char *account)
{
    const Mxadm__V1__AliasListResponse *all = list("members_of", alias);

    for (size_t i = 0; i < all->n_members; i++) {
        if (strcmp(all->members[i]->address, member) == 0) {
            assert_string_equal(all->members[i]->account, account);
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ adding */

static void rule_1_17_03_an_alias_is_stored_as_given_and_found_by_its_canonical_form(void **state)
{
    const Mxadm__V1__AliasGetResponse *got = alias_get("\"TEAM+x\"@example.org");

    (void) state;
    assert_string_equal(got->alias->address, "Team@example.org");
    assert_string_equal(got->alias->canonical_address, "team@example.org");
    assert_string_equal(got->alias->domain, "example.org");
    assert_false(got->alias->post_public);
    assert_true(got->alias->list_members);
    assert_false(got->alias->allow_msg_from);
    assert_non_null(got->alias->create_time);
    assert_int_equal(got->member_count, 2);
}

static void rule_1_17_02_an_alias_may_not_take_an_address(void **state)
{
    static const char *const taken[] = {
        "alice@example.org",
        "ALICE@example.org",
        "\"bob\"@example.org",
        "team@example.org",
        "TEAM@example.org",
        "dmarcreports@example.org",
        "TlsReports@example.org",
        "tls-reports@mail.example.com",
        "PostMaster@mail.example.com",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE", alias_add(taken[i], "bob@example.org"));
    }
}

static void rule_1_15_04_an_address_may_not_take_an_alias(void **state)
{
    const struct reply *reply =
        REFUSED(ask(fx, &root, "AddressAdd", "account", "bob", "address", "TEAM@example.org", NULL),
                ALREADY_EXISTS, "ADDRESS_IN_USE");

    (void) state;
    assert_non_null(strstr(reply->words, "an alias"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            ask(fx, &root, "AccountAdd", "account", "tim", "address", "team@example.org", NULL));
}

static void rule_1_17_01_the_domain_must_exist(void **state)
{
    (void) state;
    REFUSES(fx, NOT_FOUND, "DOMAIN_NOT_FOUND", alias_add("x@none.example", "bob@example.org"));
    REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND", members_add("x@none.example", "bob@example.org"));
    REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND", members_add("none@example.org", "bob@example.org"));
    REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND", members_remove("bob@example.org", "x@example.org"));
    REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND",
            ask(fx, &root, "AliasRemove", "address", "alice@example.org", NULL));
    REFUSED(ask(fx, &viewer, "AliasGet", "address", "alice@example.org", NULL), NOT_FOUND,
            "ALIAS_NOT_FOUND");
}

static void rule_3_8_02_a_separator_is_refused(void **state)
{
    (void) state;
    assert_true(has_violation(REFUSED(alias_add("te+am@example.org", "bob@example.org"),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "address"));
}

static void rule_3_8_04_an_alias_has_a_member(void **state)
{
    const struct reply *reply;

    (void) state;
    reply = REFUSED(ask(fx, &root, "AliasAdd", "address", "@example.org", NULL), INVALID_ARGUMENT,
                    "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "address"));
    assert_true(has_violation(reply, "members"));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &root, "AliasAdd", "address", "x@example.org", NULL));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &root, "AliasAddressesAdd", "address", "team@example.org", NULL));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &root, "AliasAddressesRemove", "address", "team@example.org", NULL));
}

static void rule_3_8_05_members_are_addresses_of_accounts_in_whatever_spelling(void **state)
{
    (void) state;
    assert_true(has_member("team@example.org", "alice@example.org", "alice"));
    assert_true(has_member("team@example.org", "bob@example.org", "bob"));
    OK(members_add("team@example.org", "DMARCreports@example.org")); /* report addresses too */
    assert_true(has_member("team@example.org", "dmarcreports@example.org", "alice"));
}

static void rule_3_8_05_all_members_that_no_account_has_are_named(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(ask(fx, &root, "AddressAdd", "account", "bob", "address", "@example.org", NULL));
    reply = REFUSED(ask(fx, &root, "AliasAddressesAdd", "address", "team@example.org", "members",
                        "nobody@example.org", "members", "dmarcreports@example.org", "members",
                        "TEAM@example.org", "members", "x@elsewhere.example", NULL),
                    NOT_FOUND, "ADDRESS_NOT_FOUND");
    assert_non_null(strstr(reply->words, "'nobody@example.org'")); /* not through the catchall */
    assert_non_null(strstr(reply->words, "'team@example.org' (an alias)"));
    assert_non_null(strstr(reply->words, "'x@elsewhere.example' (its domain is not configured)"));
    assert_null(strstr(reply->words, "dmarcreports"));
    REFUSES(fx, NOT_FOUND, "ADDRESS_NOT_FOUND", alias_add("new@example.org", "new@example.org"));
}

static void rule_3_8_05_wrong_and_repeated_members_are_named_by_their_place(void **state)
{
    const struct reply *reply = REFUSED(
        ask(fx, &root, "AliasAdd", "address", "x@example.org", "members", "@example.org", "members",
            "bob@example.org", "members", "B\xc3\xb6", "members", "BOB+x@example.org", NULL),
        INVALID_ARGUMENT, "INVALID_ARGUMENT");

    (void) state;
    assert_true(has_violation(reply, "members[0]"));
    assert_false(has_violation(reply, "members[1]"));
    assert_true(has_violation(reply, "members[2]"));
    assert_true(has_violation(reply, "members[3]"));
}

static const struct reply *ask_with_members(const char *method, const char *alias, size_t count,
                                            const char *domain)
{
    Mxadm__V1__AliasAddressesAddRequest request = MXADM__V1__ALIAS_ADDRESSES_ADD_REQUEST__INIT;
    char *members[1001];
    uint8_t *packed;

    for (size_t i = 0; i < count; i++) {
        members[i] = fixture_text(fx, "m%zu@%s", i, domain);
    }
    request.address = (char *) alias;
    request.members = members;
    request.n_members = count;
    packed = (uint8_t *) fixture_text(
        fx, "%*s", (int) mxadm__v1__alias_addresses_add_request__get_packed_size(&request), "");
    return ask_message(fx, &root, method, packed,
                       mxadm__v1__alias_addresses_add_request__pack(&request, packed));
}

static void a_call_names_a_thousand_members_at_most(void **state)
{
    const struct reply *reply;

    (void) state;
    reply = REFUSED(ask_with_members("AliasAddressesAdd", "team@example.org", 1001, "a.example"),
                    INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "members"));
    reply = REFUSED(ask_with_members("AliasAddressesAdd", "team@example.org", 1000, "a.example"),
                    NOT_FOUND, "ADDRESS_NOT_FOUND");
    assert_non_null(strstr(reply->words, "'m0@a.example'"));
    assert_non_null(strstr(reply->words, "'m999@a.example'"));
}

static void rule_1_17_07_postmaster_may_be_an_alias_but_of_a_host(void **state)
{
    (void) state;
    OK(alias_add("Postmaster@example.org", "bob@example.org"));
    REFUSES(fx, ALREADY_EXISTS, "ADDRESS_IN_USE",
            alias_add("postmaster@mail.example.com", "bob@example.org"));
}

static void rule_1_17_08_localparts_that_need_quotes_are_kept(void **state)
{
    (void) state;
    OK(alias_add("\"a:b\"@example.org", "bob@example.org"));
    OK(alias_add("#c@example.org", "bob@example.org"));
    fixture_restart(fx);
    assert_string_equal(alias_get("\"A:b\"@example.org")->alias->address, "\"a:b\"@example.org");
    assert_int_equal(alias_get("#c@example.org")->member_count, 1);
    assert_true(has_member("\"a:b\"@example.org", "bob@example.org", "bob"));
}

/* ----------------------------------------------------------------- members */

static void rule_1_18_02_members_are_added_once(void **state)
{
    const Mxadm__V1__AliasAddressesAddResponse *added =
        OK(members_add("TEAM@example.org", "Olaf@own.example"))->message;
    const struct reply *reply;

    (void) state;
    assert_int_equal(added->member_count, 3);
    reply = REFUSED(ask(fx, &root, "AliasAddressesAdd", "address", "team@example.org", "members",
                        "otto@other.example", "members", "BOB@example.org", "members",
                        "olaf@own.example", NULL),
                    ALREADY_EXISTS, "MEMBER_EXISTS");
    assert_non_null(strstr(reply->words, "'bob@example.org'"));
    assert_non_null(strstr(reply->words, "'olaf@own.example'"));
    assert_null(strstr(reply->words, "otto"));
    REFUSES(fx, ALREADY_EXISTS, "MEMBER_EXISTS",
            members_add("team@example.org", "bob@example.org"));
    assert_false(has_member("team@example.org", "otto@other.example", ""));
}

static void rule_1_18_03_only_members_are_removed_and_one_stays(void **state)
{
    const Mxadm__V1__AliasAddressesRemoveResponse *removed;
    const struct reply *reply;

    (void) state;
    reply = REFUSED(ask(fx, &root, "AliasAddressesRemove", "address", "team@example.org", "members",
                        "bob@example.org", "members", "otto@other.example", "members",
                        "x@none.example", NULL),
                    NOT_FOUND, "MEMBER_NOT_FOUND");
    assert_non_null(strstr(reply->words, "'otto@other.example'"));
    assert_non_null(strstr(reply->words, "'x@none.example'"));
    reply = REFUSED(ask(fx, &root, "AliasAddressesRemove", "address", "team@example.org", "members",
                        "bob@example.org", "members", "alice@example.org", NULL),
                    FAILED_PRECONDITION, "LAST_MEMBER");
    assert_true(has_blocker(reply, "alias", "team@example.org"));
    /* One that is named twice is removed once, 1.18-04 in whatever spelling. */
    removed = OK(ask(fx, &root, "AliasAddressesRemove", "address", "team@example.org", "members",
                     "BOB@EXAMPLE.org", "members", "bob+x@example.org", NULL))
                  ->message;
    assert_int_equal(removed->member_count, 1);
    REFUSES(fx, NOT_FOUND, "MEMBER_NOT_FOUND",
            members_remove("team@example.org", "bob@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "LAST_MEMBER",
            members_remove("team@example.org", "alice@example.org"));
}

static size_t planned(const struct reply *reply)
{
    return OK(reply)->envelope->n_changes;
}

/* What a change writes is what it changes: the alias and the other members are not in it. */
static void a_member_comes_and_goes_alone_however_many_there_are(void **state)
{
    static const struct options plan = { .validate_only = true };
    size_t first;

    (void) state;
    first = planned(ask_with(fx, &root, &plan, "AliasAddressesAdd", "address", "team@example.org",
                             "members", "otto@other.example", NULL));
    for (size_t i = 0; i < 300; i++) {
        OK(ask(fx, &root, "AddressAdd", "account", "olaf", "address",
               fixture_text(fx, "m%zu@own.example", i), NULL));
    }
    OK(ask_with_members("AliasAddressesAdd", "team@example.org", 300, "own.example"));
    assert_int_equal(first, 1);
    assert_int_equal(planned(ask_with(fx, &root, &plan, "AliasAddressesAdd", "address",
                                      "team@example.org", "members", "otto@other.example", NULL)),
                     1);
    assert_int_equal(planned(ask_with(fx, &root, &plan, "AliasAddressesRemove", "address",
                                      "team@example.org", "members", "m7@own.example", NULL)),
                     1);
    assert_int_equal(
        planned(ask_with(fx, &root, &plan, "AliasUpdate", "alias.address", "team@example.org",
                         "alias.post_public", "1", "update_mask.paths", "post_public", NULL)),
        1);
}

/* ----------------------------------------------------- updating, removing */

static void rule_1_17_05_an_update_changes_the_flags_that_the_mask_names(void **state)
{
    const Mxadm__V1__AliasUpdateResponse *updated;
    uint64_t revision;

    (void) state;
    updated = OK(ask(fx, &root, "AliasUpdate", "alias.address", "TEAM@example.org",
                     "alias.allow_msg_from", "1", "alias.domain", "own.example",
                     "update_mask.paths", "allow_msg_from", "update_mask.paths", "domain", NULL))
                  ->message;
    assert_true(updated->alias->allow_msg_from);
    assert_true(updated->alias->list_members);
    assert_string_equal(updated->alias->domain, "example.org");
    assert_string_equal(updated->alias->address, "Team@example.org");
    assert_int_equal(alias_get("team@example.org")->member_count, 2);
    revision = fixture_revision(fx);
    OK(ask(fx, &root, "AliasUpdate", "alias.address", "team@example.org", "alias.allow_msg_from",
           "1", "update_mask.paths", "allow_msg_from", NULL));
    assert_int_equal(fixture_revision(fx), revision); /* nothing changed */
    updated = OK(ask(fx, &root, "AliasUpdate", "alias.address", "team@example.org",
                     "alias.post_public", "1", "update_mask.paths", "*", NULL))
                  ->message;
    assert_true(updated->alias->post_public);
    assert_false(updated->alias->list_members);
    assert_false(updated->alias->allow_msg_from);
}

static void an_update_needs_an_alias_and_a_mask(void **state)
{
    (void) state;
    assert_true(has_violation(REFUSED(ask(fx, &root, "AliasUpdate", NULL), INVALID_ARGUMENT, NULL),
                              "alias"));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &root, "AliasUpdate", "alias.address", "team@example.org", NULL));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &root, "AliasUpdate", "alias.address", "team@example.org", "update_mask.paths",
                "members", NULL));
    REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND",
            ask(fx, &root, "AliasUpdate", "alias.address", "bob@example.org", "update_mask.paths",
                "*", NULL));
}

static void rule_1_17_06_a_removed_alias_is_gone_with_its_members_alone(void **state)
{
    const Mxadm__V1__AliasRemoveResponse *removed;

    (void) state;
    removed = OK(ask(fx, &root, "AliasRemove", "address", "TEAM@example.org", NULL))->message;
    assert_int_equal(removed->removed_members, 2);
    REFUSES(fx, NOT_FOUND, "ALIAS_NOT_FOUND",
            ask(fx, &root, "AliasRemove", "address", "team@example.org", NULL));
    OK(ask(fx, &viewer, "AddressGet", "address", "bob@example.org", NULL));
    assert_int_equal(list("member", "bob@example.org")->total, 0);
    OK(ask(fx, &root, "AddressAdd", "account", "bob", "address", "team@example.org", NULL));
    OK(ask(fx, &root, "AddressRemove", "address", "bob@example.org", NULL));
}

/* ----------------------------------------------------------- looking it up */

static void rule_5_5_07_an_alias_is_found_and_hides_the_catchall(void **state)
{
    const Mxadm__V1__AddressLookupResponse *found;

    (void) state;
    OK(ask(fx, &root, "AddressAdd", "account", "bob", "address", "@example.org", NULL));
    found = OK(ask(fx, &viewer, "AddressLookup", "address", "TEAM+x@example.org", NULL))->message;
    assert_int_equal(found->via, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_ALIAS);
    assert_string_equal(found->canonical_address, "team@example.org");
    assert_string_equal(found->account, "");
    assert_null(found->address);
    assert_string_equal(found->alias->address, "Team@example.org");
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "team@example.org", "exclude_aliases", "1",
                NULL),
            NOT_FOUND, "ADDRESS_NOT_FOUND");
    found = OK(ask(fx, &viewer, "AddressLookup", "address", "teams@example.org", "exclude_aliases",
                   "1", NULL))
                ->message;
    assert_int_equal(found->via, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_CATCHALL);
}

/* A domain without report addresses and without the address that DomainAdd gives it. */
static void add_bare_domain(const char *domain)
{
    OK(ask(fx, &root, "DomainAdd", "domain", domain, "account", "alice", NULL));
    OK(ask(fx, &root, "AddressRemove", "address", fixture_text(fx, "postmaster@%s", domain), NULL));
    OK(ask(fx, &root, "DomainSave", "domain.name", domain, "update_mask.paths", "dmarc",
           "update_mask.paths", "tlsrpt", NULL));
}

static void rule_5_6_02_a_domain_without_anything_takes_no_mail(void **state)
{
    static const char *const addresses[] = { "x@gone.example", "postmaster@gone.example" };

    (void) state;
    add_bare_domain("gone.example");
    for (size_t i = 0; i < 2; i++) {
        const struct reply *reply =
            REFUSED(ask(fx, &viewer, "AddressLookup", "address", addresses[i], NULL), NOT_FOUND,
                    "DOMAIN_NOT_FOUND");

        assert_non_null(strstr(reply->words, "neither addresses nor aliases"));
    }
    OK(ask(fx, &root, "AddressAdd", "account", "bob", "address", "b@gone.example", NULL));
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "x@gone.example", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    OK(ask(fx, &root, "AddressRemove", "address", "b@gone.example", NULL));
    OK(ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL));
}

static void rule_5_6_03_a_domain_of_aliases_alone_takes_mail(void **state)
{
    const Mxadm__V1__AddressLookupResponse *found;

    (void) state;
    add_bare_domain("gone.example");
    OK(alias_add("crew@gone.example", "bob@example.org"));
    found = OK(ask(fx, &viewer, "AddressLookup", "address", "crew@gone.example", NULL))->message;
    assert_int_equal(found->via, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_ALIAS);
    REFUSED(ask(fx, &viewer, "AddressLookup", "address", "x@gone.example", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    found =
        OK(ask(fx, &viewer, "AddressLookup", "address", "postmaster@gone.example", NULL))->message;
    assert_int_equal(found->via, MXADM__V1__ADDRESS_LOOKUP_RESPONSE__VIA__VIA_POSTMASTER);
    OK(ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL));
}

/* ----------------------------------------------------- removing what it needs */

static void rule_5_4_02_an_account_may_be_a_member_through_several_addresses(void **state)
{
    (void) state;
    OK(ask(fx, &root, "AddressAdd", "account", "bob", "address", "rob@example.org", NULL));
    OK(members_add("team@example.org", "rob@example.org"));
    assert_true(has_member("team@example.org", "bob@example.org", "bob"));
    assert_true(has_member("team@example.org", "rob@example.org", "bob"));
    OK(ask(fx, &root, "AddressRemove", "address", "bob@example.org", NULL));
    assert_true(has_member("team@example.org", "rob@example.org", "bob"));
}

/* The report address of a domain gets another account: members say so. */
static void a_member_says_the_account_of_its_address_also_when_that_changes(void **state)
{
    (void) state;
    OK(members_add("team@example.org", "dmarcreports@example.org"));
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.dmarc.account", "bob",
           "update_mask.paths", "dmarc.account", NULL));
    assert_true(has_member("team@example.org", "dmarcreports@example.org", "bob"));
    OK(ask(fx, &root, "DomainSave", "domain.name", "example.org", "domain.dmarc.account", "alice",
           "update_mask.paths", "dmarc.account", NULL));
    assert_true(has_member("team@example.org", "dmarcreports@example.org", "alice"));
}

static void rule_1_16_11_a_removed_address_leaves_its_aliases(void **state)
{
    const Mxadm__V1__AddressRemoveResponse *removed;
    const struct reply *reply;

    (void) state;
    OK(alias_add("all@own.example", "bob@example.org"));
    reply = REFUSED(ask(fx, &root, "AddressRemove", "address", "bob@example.org", NULL),
                    FAILED_PRECONDITION, "ADDRESS_IN_USE");
    assert_true(has_blocker(reply, "alias", "all@own.example")); /* its last member */
    assert_false(has_blocker(reply, "alias", "team@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE",
            ask(fx, &root, "AddressRemove", "address", "bob@example.org", NULL));
    OK(members_add("all@own.example", "olaf@own.example"));
    removed = OK(ask(fx, &root, "AddressRemove", "address", "BOB@example.org", NULL))->message;
    assert_int_equal(removed->n_aliases, 2);
    assert_string_equal(removed->aliases[0], "team@example.org");
    assert_string_equal(removed->aliases[1], "all@own.example");
    assert_int_equal(alias_get("team@example.org")->member_count, 1);
    assert_int_equal(alias_get("all@own.example")->member_count, 1);
}

static void rule_1_19_02_an_account_with_a_member_stays(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(ask(fx, &root, "AddressAdd", "account", "bob", "address", "rob@example.org", NULL));
    reply = REFUSED(ask(fx, &root, "AccountRemove", "account", "bob", NULL), FAILED_PRECONDITION,
                    "ACCOUNT_IN_USE");
    assert_true(has_blocker(reply, "alias", "team@example.org")); /* also as one of several */
    REFUSES(fx, FAILED_PRECONDITION, "ACCOUNT_IN_USE",
            ask(fx, &root, "AccountRemove", "account", "bob", NULL));
    OK(members_remove("team@example.org", "bob@example.org"));
    OK(ask(fx, &root, "AccountRemove", "account", "bob", NULL));
}

static void memberships_beyond_the_first_twenty_are_counted(void **state)
{
    const struct reply *reply;

    (void) state;
    for (int i = 0; i < 30; i++) {
        OK(alias_add(fixture_text(fx, "list%02d@own.example", i), "bob@example.org"));
    }
    reply = REFUSED(ask(fx, &root, "AccountRemove", "account", "bob", NULL), FAILED_PRECONDITION,
                    "ACCOUNT_IN_USE");
    assert_int_equal(reply->envelope->status->precondition_failure->n_violations, 20);
    assert_int_equal(reply->envelope->status->precondition_failure->total, 31);
}

static void rule_1_11_03_a_domain_goes_with_its_aliases(void **state)
{
    static const struct options plan = { .validate_only = true };
    const Mxadm__V1__DomainRemoveResponse *removed;
    const Mxadm__V1__DomainGetResponse *got;
    uint64_t without;

    (void) state;
    OK(ask(fx, &root, "DomainAdd", "domain", "gone.example", "account", "alice", NULL));
    OK(ask(fx, &root, "AddressRemove", "address", "postmaster@gone.example", NULL));
    removed =
        OK(ask_with(fx, &root, &plan, "DomainRemove", "domain", "gone.example", NULL))->message;
    without = removed->removed;
    OK(alias_add("crew@gone.example", "bob@example.org"));
    OK(members_add("crew@gone.example", "dmarcreports@gone.example")); /* its own: no matter */
    got = OK(ask(fx, &viewer, "DomainGet", "domain", "gone.example", NULL))->message;
    assert_int_equal(got->alias_count, 1);
    removed = OK(ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL))->message;
    assert_int_equal(removed->removed, without + 3); /* the alias and its members */
    assert_int_equal(list("member", "bob@example.org")->total, 1);
}

static void a_domain_whose_report_address_is_a_member_elsewhere_stays(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(ask(fx, &root, "DomainAdd", "domain", "gone.example", "account", "alice", NULL));
    OK(ask(fx, &root, "AddressRemove", "address", "postmaster@gone.example", NULL));
    OK(members_add("team@example.org", "tlsreports@gone.example"));
    reply = REFUSED(ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL),
                    FAILED_PRECONDITION, "DOMAIN_IN_USE");
    assert_true(has_blocker(reply, "alias", "team@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "DOMAIN_IN_USE",
            ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL));
    OK(members_remove("team@example.org", "tlsreports@gone.example"));
    OK(ask(fx, &root, "DomainRemove", "domain", "gone.example", NULL));
}

/* ------------------------------------------------------------------- lists */

static void aliases_are_listed_by_domain_member_and_page(void **state)
{
    const Mxadm__V1__AliasListResponse *page;

    (void) state;
    OK(alias_add("crew@own.example", "bob@example.org"));
    OK(alias_add("all@example.org", "olaf@own.example"));
    page = list("page_size", "2");
    assert_int_equal(page->total, 3);
    assert_int_equal(page->n_aliases, 2);
    assert_string_equal(page->aliases[0]->canonical_address, "all@example.org");
    assert_string_equal(page->aliases[1]->canonical_address, "team@example.org");
    page = OK(ask(fx, &viewer, "AliasList", "page_size", "2", "page_token", page->next_page_token,
                  NULL))
               ->message;
    assert_int_equal(page->n_aliases, 1);
    assert_string_equal(page->aliases[0]->canonical_address, "crew@own.example");
    assert_string_equal(page->next_page_token, "");
    assert_int_equal(list("domain", "example.org")->total, 2);
    page = list("member", "BOB@example.org");
    assert_int_equal(page->total, 2);
    assert_int_equal(page->n_aliases, 2);
    page = OK(ask(fx, &viewer, "AliasList", "member", "bob@example.org", "domain", "own.example",
                  NULL))
               ->message;
    assert_int_equal(page->total, 1);
    assert_string_equal(page->aliases[0]->canonical_address, "crew@own.example");
}

static void members_are_listed_in_pages(void **state)
{
    const Mxadm__V1__AliasListResponse *page =
        OK(ask(fx, &viewer, "AliasList", "members_of", "TEAM@example.org", "page_size", "1", NULL))
            ->message;

    (void) state;
    assert_int_equal(page->total, 2);
    assert_int_equal(page->n_members, 1);
    assert_int_equal(page->n_aliases, 0);
    assert_string_equal(page->members[0]->address, "alice@example.org");
    assert_string_equal(page->members[0]->alias, "team@example.org");
    page = OK(ask(fx, &viewer, "AliasList", "members_of", "TEAM@example.org", "page_size", "1",
                  "page_token", page->next_page_token, NULL))
               ->message;
    assert_string_equal(page->members[0]->address, "bob@example.org");
    assert_string_equal(page->next_page_token, "");
}

static void lists_say_what_they_can_t_find(void **state)
{
    (void) state;
    REFUSED(ask(fx, &viewer, "AliasList", "domain", "none.example", NULL), NOT_FOUND,
            "DOMAIN_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "AliasList", "member", "nobody@example.org", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    REFUSED(ask(fx, &viewer, "AliasList", "members_of", "bob@example.org", NULL), NOT_FOUND,
            "ALIAS_NOT_FOUND");
    assert_true(has_violation(REFUSED(ask(fx, &viewer, "AliasList", "members_of",
                                          "team@example.org", "domain", "example.org", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "members_of"));
}

/* ------------------------------------------------------------------- roles */

static void who_may_not_change_aliases_changes_none(void **state)
{
    const struct rpc_peer *const peers[] = { &viewer, &key_reader, &loopback };

    (void) state;
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, peers[i], "AliasAdd", "address", "x@example.org", "members",
                    "bob@example.org", NULL));
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, peers[i], "AliasUpdate", "alias.address", "team@example.org",
                    "alias.post_public", "1", "update_mask.paths", "*", NULL));
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, peers[i], "AliasRemove", "address", "team@example.org", NULL));
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, peers[i], "AliasAddressesAdd", "address", "team@example.org", "members",
                    "olaf@own.example", NULL));
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, peers[i], "AliasAddressesRemove", "address", "team@example.org", "members",
                    "bob@example.org", NULL));
    }
    REFUSED(ask(fx, &stranger, "AliasList", NULL), UNAUTHENTICATED, "CALLER_UNKNOWN");
}

static void a_domain_administrator_keeps_to_the_own_domains(void **state)
{
    const Mxadm__V1__AliasListResponse *seen;

    (void) state;
    OK(alias_add("crew@other.example", "bob@example.org"));
    OK(ask(fx, &scoped, "AliasAdd", "address", "both@own.example", "members", "bob@example.org",
           "members", "olaf@own.example", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AliasAdd", "address", "x@other.example", "members", "bob@example.org",
                NULL));
    /* A member's mail would be got at. */
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AliasAddressesAdd", "address", "both@own.example", "members",
                "otto@other.example", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AliasAddressesRemove", "address", "crew@other.example", "members",
                "bob@example.org", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AliasUpdate", "alias.address", "crew@other.example",
                "update_mask.paths", "*", NULL));
    REFUSES(fx, PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE",
            ask(fx, &scoped, "AliasRemove", "address", "crew@other.example", NULL));
    REFUSED(ask(fx, &scoped, "AliasGet", "address", "crew@other.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
    OK(members_add("both@own.example", "otto@other.example"));
    OK(ask(fx, &scoped, "AliasAddressesRemove", "address", "both@own.example", "members",
           "otto@other.example", NULL));
    seen = OK(ask(fx, &scoped, "AliasList", NULL))->message;
    assert_int_equal(seen->total, 2);
    assert_int_equal(seen->n_aliases, 2);
    seen = OK(ask(fx, &scoped, "AliasList", "member", "bob@example.org", NULL))->message;
    assert_int_equal(seen->total, 2); /* not the one at other.example */
    assert_int_equal(seen->n_aliases, 2);
    REFUSED(ask(fx, &scoped, "AliasList", "member", "otto@other.example", NULL), PERMISSION_DENIED,
            "DOMAIN_OUT_OF_SCOPE");
    REFUSED(ask(fx, &scoped, "AliasList", "members_of", "crew@other.example", NULL),
            PERMISSION_DENIED, "DOMAIN_OUT_OF_SCOPE");
}

/* ------------------------------------------------------------------ others */

static void validate_only_changes_nothing(void **state)
{
    static const struct options plan = { .validate_only = true };
    const char *before = fixture_dump(fx);
    const struct reply *reply = OK(ask_with(fx, &root, &plan, "AliasAdd", "address",
                                            "new@example.org", "members", "bob@example.org", NULL));

    (void) state;
    assert_int_equal(reply->envelope->n_changes, 2);
    OK(ask_with(fx, &root, &plan, "AliasRemove", "address", "team@example.org", NULL));
    assert_string_equal(fixture_dump(fx), before);
}

static void a_restart_finds_aliases_and_members_as_they_were(void **state)
{
    (void) state;
    fixture_restart(fx);
    assert_true(has_member("team@example.org", "bob@example.org", "bob"));
    assert_int_equal(list("member", "alice@example.org")->total, 1); /* the index, too */
    OK(members_remove("team@example.org", "alice@example.org"));
    REFUSES(fx, FAILED_PRECONDITION, "ADDRESS_IN_USE",
            ask(fx, &root, "AddressRemove", "address", "bob@example.org", NULL));
}

static void hostile_bytes_are_refused_and_change_nothing(void **state)
{
    (void) state;
    refuses_hostile_bytes(fx, "AliasAdd", "members");
    refuses_hostile_bytes(fx, "AliasAddressesAdd", "address");
    refuses_hostile_bytes(fx, "AliasAddressesRemove", "members");
    refuses_hostile_bytes(fx, "AliasRemove", "address");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rule_1_17_03_an_alias_is_stored_as_given_and_found_by_its_canonical_form),
        TEST(rule_1_17_02_an_alias_may_not_take_an_address),
        TEST(rule_1_15_04_an_address_may_not_take_an_alias),
        TEST(rule_1_17_01_the_domain_must_exist),
        TEST(rule_3_8_02_a_separator_is_refused),
        TEST(rule_3_8_04_an_alias_has_a_member),
        TEST(rule_3_8_05_members_are_addresses_of_accounts_in_whatever_spelling),
        TEST(rule_3_8_05_all_members_that_no_account_has_are_named),
        TEST(rule_3_8_05_wrong_and_repeated_members_are_named_by_their_place),
        TEST(a_call_names_a_thousand_members_at_most),
        TEST(rule_1_17_07_postmaster_may_be_an_alias_but_of_a_host),
        TEST(rule_1_17_08_localparts_that_need_quotes_are_kept),
        TEST(rule_1_18_02_members_are_added_once),
        TEST(rule_1_18_03_only_members_are_removed_and_one_stays),
        TEST(a_member_comes_and_goes_alone_however_many_there_are),
        TEST(rule_1_17_05_an_update_changes_the_flags_that_the_mask_names),
        TEST(an_update_needs_an_alias_and_a_mask),
        TEST(rule_1_17_06_a_removed_alias_is_gone_with_its_members_alone),
        TEST(rule_5_5_07_an_alias_is_found_and_hides_the_catchall),
        TEST(rule_5_6_02_a_domain_without_anything_takes_no_mail),
        TEST(rule_5_6_03_a_domain_of_aliases_alone_takes_mail),
        TEST(rule_5_4_02_an_account_may_be_a_member_through_several_addresses),
        TEST(a_member_says_the_account_of_its_address_also_when_that_changes),
        TEST(rule_1_16_11_a_removed_address_leaves_its_aliases),
        TEST(rule_1_19_02_an_account_with_a_member_stays),
        TEST(memberships_beyond_the_first_twenty_are_counted),
        TEST(rule_1_11_03_a_domain_goes_with_its_aliases),
        TEST(a_domain_whose_report_address_is_a_member_elsewhere_stays),
        TEST(aliases_are_listed_by_domain_member_and_page),
        TEST(members_are_listed_in_pages),
        TEST(lists_say_what_they_can_t_find),
        TEST(who_may_not_change_aliases_changes_none),
        TEST(a_domain_administrator_keeps_to_the_own_domains),
        TEST(validate_only_changes_nothing),
        TEST(a_restart_finds_aliases_and_members_as_they_were),
        TEST(hostile_bytes_are_refused_and_change_nothing),
    };

    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
