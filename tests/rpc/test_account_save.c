/*
 * AccountSave, and who reads what of the secret within an account. Rule numbers are those of
 * mox-behaviour.
 */
#include "rpc_cases.h"
#include "save_cases.h"

#include <string.h>

static struct fixture *fx;

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    add_domain(fx, "example.org", "alice");
    add_domain(fx, "other.example", "bob");
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const Mxadm__V1__Account *saved(const struct reply *reply)
{
    return ((const Mxadm__V1__AccountSaveResponse *) OK(reply)->message)->account;
}

static const Mxadm__V1__Account *get(const struct rpc_peer *peer, const char *name)
{
    const Mxadm__V1__AccountGetResponse *got =
        OK(ask(fx, peer, "AccountGet", "account", name, NULL))->message;

    return got->account;
}

/* -------------------------------------------------------------------- values */

static const struct save_form all = { "AccountSave",
                                      "account { name: 'alice' %s } update_mask { paths: '*' }" };

static void values_are_held_against_the_contract(void **state)
{
    static const struct save_case cases[] = {
        { "2.8-01 negative", "keep_retired_message_period { seconds: -1 }",
          "account.keep_retired_message_period" },
        { "2.8-01 negative", "keep_retired_webhook_period { nanos: -1 }",
          "account.keep_retired_webhook_period" },
        { "2.8-01 negative", "subject_pass_period { seconds: -1 }", "account.subject_pass_period" },
        { "2.8-01 over 100 years", "subject_pass_period { seconds: 3162240001 }",
          "account.subject_pass_period" },
        { "2.8-01 a fraction", "subject_pass_period { seconds: 1 nanos: 5 }", NULL },
        { "2.8-01 signs differ", "subject_pass_period { seconds: 1 nanos: -5 }",
          "account.subject_pass_period" },
        { "2.8-01 no limit", "quota_message_size: -1", NULL },
        { "2.8-01 negative", "quota_message_size: -2", "account.quota_message_size" },
        { "2.8-01 negative", "max_outgoing_messages_per_day: -1",
          "account.max_outgoing_messages_per_day" },
        { "2.8-01 negative", "max_first_time_recipients_per_day: -1",
          "account.max_first_time_recipients_per_day" },
        { "2.8-03",
          "outgoing_webhook { url: 'http://h' events: 'delivered' events: 'suppressed'"
          " events: 'delayed' events: 'failed' events: 'relayed' events: 'expanded'"
          " events: 'canceled' events: 'unrecognized' }",
          NULL },
        { "2.8-03 case", "outgoing_webhook { url: 'http://h' events: 'Failed' }",
          "account.outgoing_webhook.events[0]" },
        { "2.8-03 twice", "outgoing_webhook { url: 'http://h' events: 'failed' events: 'failed' }",
          "account.outgoing_webhook.events[1]" },
        { "2.9-02 look-around", "automatic_junk_flags { junk_mailbox_regexp: '(?=a)' }",
          "account.automatic_junk_flags.junk_mailbox_regexp" },
        { "2.9-02 back-reference", "automatic_junk_flags { neutral_mailbox_regexp: '(a)\\1' }",
          "account.automatic_junk_flags.neutral_mailbox_regexp" },
        { "2.10-03", "junk_filter { }", "account.junk_filter.threshold" },
        { "3.4-01 not configured", "domain: 'elsewhere.example'", NULL },
        { "3.4-01 absent", "", NULL },
        { "3.4-01", "domain: 'no domain'", "account.domain" },
        { "3.4-02", "rejects_mailbox: 'iNBOX'", "account.rejects_mailbox" },
        { "3.4-02 NFC", "rejects_mailbox: 'e\xcc\x81'", "account.rejects_mailbox" },
        { "3.4-03 not enabled", "automatic_junk_flags { not_junk_mailbox_regexp: '(' }",
          "account.automatic_junk_flags.not_junk_mailbox_regexp" },
        { "3.4-04", "junk_filter { threshold: 1 max_power: 0.5 ignore_words: 0.5 }", NULL },
        { "3.4-04 above 1", "junk_filter { threshold: 1.01 }", "account.junk_filter.threshold" },
        { "3.4-04 negative", "junk_filter { threshold: -0.5 }", "account.junk_filter.threshold" },
        { "3.4-04 NaN", "junk_filter { threshold: nan }", "account.junk_filter.threshold" },
        { "3.4-04 NaN", "junk_filter { threshold: 0.9 max_power: nan }",
          "account.junk_filter.max_power" },
        { "3.4-04", "junk_filter { threshold: 0.9 max_power: 0.51 }",
          "account.junk_filter.max_power" },
        { "3.4-04", "junk_filter { threshold: 0.9 top_words: -1 }",
          "account.junk_filter.top_words" },
        { "3.4-04", "junk_filter { threshold: 0.9 ignore_words: -0.1 }",
          "account.junk_filter.ignore_words" },
        { "3.4-04", "junk_filter { threshold: 0.9 rare_words: -1 }",
          "account.junk_filter.rare_words" },
        { "3.4-05 Inbox", "introbox: 'inbox'", "account.introbox" },
        { "3.4-05 NFC", "introbox: 'e\xcc\x81'", "account.introbox" },
        { "3.4-05 part", "introbox: 'a//b'", "account.introbox" },
        { "3.4-05 part", "introbox: 'a/../b'", "account.introbox" },
        { "3.4-05 part", "introbox: './b'", "account.introbox" },
        { "3.4-05 slash", "introbox: '/b'", "account.introbox" },
        { "3.4-05 slash", "introbox: 'b/'", "account.introbox" },
        { "3.4-05", "introbox: '#b'", "account.introbox" },
        { "3.4-05 control", "introbox: 'a\x1f'", "account.introbox" },
        { "3.4-05 control", "introbox: 'a\xc2\x80'", "account.introbox" },
        { "3.4-05 line end", "introbox: 'a\xe2\x80\xa8'", "account.introbox" },
        { "3.4-05 rejects", "introbox: 'A' rejects_mailbox: 'A'", "account.introbox" },
        { "3.4-05 rejects", "introbox: 'INBOX/A' rejects_mailbox: 'inbox/A'", "account.introbox" },
        { "3.4-06", "login_disabled: 'moved ~'", NULL },
        { "3.4-06", "login_disabled: 'mov\xc3\xa9'", "account.login_disabled" },
        { "3.4-06", "login_disabled: 'a\x7f'", "account.login_disabled" },
        { "3.4-07", "from_id_login_addresses: 'no address'", "account.from_id_login_addresses[0]" },
        { "3.4-07 catchall", "from_id_login_addresses: '@example.org'",
          "account.from_id_login_addresses[0]" },
        { "3.4-07 twice",
          "from_id_login_addresses: 'alice@example.org'"
          " from_id_login_addresses: 'ALICE+x@EXAMPLE.org'",
          "account.from_id_login_addresses[1]" },
        { "3.4-08", "outgoing_webhook { url: 'HTTPS://hook.example:8443/x?y' }", NULL },
        { "3.4-08", "outgoing_webhook { url: 'ftp://hook.example' }",
          "account.outgoing_webhook.url" },
        { "3.4-08 no host", "outgoing_webhook { url: 'http:' }", "account.outgoing_webhook.url" },
        { "3.4-08 no host", "incoming_webhook { url: 'https:///x' }",
          "account.incoming_webhook.url" },
        { "3.4-08 absent", "incoming_webhook { }", "account.incoming_webhook.url" },
        { "3.4-08 newline", "incoming_webhook { url: 'http://h' authorization: 'a\nb' }",
          "account.incoming_webhook.authorization" },
        { "3.4-09", "routes { transport: 'smarthost' from_domain: '.example.org' }", NULL },
        { "3.4-09", "routes { transport: 'none' }", "account.routes[0].transport" },
        { "3.2-02 empty", "routes { }", "account.routes[0].transport" },
        { "3.2-02 attempts", "routes { transport: 'direct' minimum_attempts: -1 }",
          "account.routes[0].minimum_attempts" },
        { "3.2-01", "routes { transport: 'direct' to_domain: '..' }",
          "account.routes[0].to_domain[0]" },
        { "2.7-02", "routes { transport: 'direct' to_domain: '.' }",
          "account.routes[0].to_domain[0]" },
        { "3.4-10 newline", "description: 'a\nb'", "account.description" },
        { "3.4-10 line end", "full_name: 'a\xe2\x80\xa9'", "account.full_name" },
        { "contract", "imap_capabilities_disabled: 'IDLE' imap_capabilities_disabled: 'IMAP4REV2'",
          NULL },
        { "contract: case", "imap_capabilities_disabled: 'idle'",
          "account.imap_capabilities_disabled[0]" },
        { "contract: blank", "imap_capabilities_disabled: 'A B'",
          "account.imap_capabilities_disabled[0]" },
        { "contract: twice", "imap_capabilities_disabled: 'A' imap_capabilities_disabled: 'A'",
          "account.imap_capabilities_disabled[1]" },
    };

    (void) state;
    TRY(fx, &all, cases);
}

static void rule_3_4_06_a_text_of_256_bytes_is_the_longest(void **state)
{
    (void) state;
    OK(ask(fx, &root, "AccountSave", "account.name", "alice", "account.login_disabled",
           repeated(fx, "x", 256), "update_mask.paths", "login_disabled", NULL));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &root, "AccountSave", "account.name", "alice", "account.login_disabled",
                repeated(fx, "x", 257), "update_mask.paths", "login_disabled", NULL));
}

static void rule_3_6_08_all_that_is_wrong_is_said_at_once(void **state)
{
    const struct reply *reply;

    (void) state;
    reply = REFUSED(ask(fx, &root, "AccountSave", "account.name", "alice", "account.description",
                        "a\nb", "account.introbox", "inbox", "account.quota_message_size", "-3",
                        "update_mask.paths", "*", NULL),
                    INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "account.description"));
    assert_true(has_violation(reply, "account.introbox"));
    assert_true(has_violation(reply, "account.quota_message_size"));
}

static void names_are_kept_as_records_hold_them(void **state)
{
    const Mxadm__V1__Account *account = saved(ask(
        fx, &root, "AccountSave", "account.name", "alice", "account.domain",
        "XN--BCHER-KVA.example", "account.introbox", "INBOX/new", "account.rejects_mailbox",
        "inbox/No", "account.routes[0].transport", "direct", "account.routes[0].to_domain",
        ".XN--BCHER-KVA.example", "update_mask.paths", "domain", "update_mask.paths", "introbox",
        "update_mask.paths", "rejects_mailbox", "update_mask.paths", "routes", NULL));

    (void) state;
    assert_string_equal(account->domain, "b\xc3\xbc"
                                         "cher.example");
    assert_string_equal(account->introbox, "Inbox/new"); /* rule 3.4-05 */
    assert_string_equal(account->rejects_mailbox, "Inbox/No");
    assert_string_equal(account->routes[0]->to_domain[0], ".b\xc3\xbc"
                                                          "cher.example");
}

static void rule_2_10_02_numbers_keep_their_value(void **state)
{
    const Mxadm__V1__Account *account = saved(
        ask(fx, &root, "AccountSave", "account.name", "alice", "account.junk_filter.threshold",
            "0.30000000000000004", "account.junk_filter.max_power", "1e-9",
            "account.junk_filter.rare_words", "1", "update_mask.paths", "junk_filter", NULL));

    (void) state;
    assert_true(account->junk_filter->threshold == 0.30000000000000004);
    assert_true(account->junk_filter->max_power == 1e-9);
}

static void rule_1_13_04_a_save_checks_all_before_it_writes(void **state)
{
    (void) state;
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &root, "AccountSave", "account.name", "alice", "account.description", "good",
                "account.introbox", "inbox", "update_mask.paths", "description",
                "update_mask.paths", "introbox", NULL));
}

/* ------------------------------------------------------------------- masks */

static void only_what_the_mask_names_changes(void **state)
{
    const Mxadm__V1__Account *account;

    (void) state;
    OK(ask(fx, &root, "AccountSave", "account.name", "alice", "account.description", "first",
           "account.full_name", "Alice", "account.junk_filter.threshold", "0.9",
           "account.junk_filter.twograms", "1", "update_mask.paths", "*", NULL));
    account = saved(ask(fx, &root, "AccountSave", "account.name", "alice", "account.description",
                        "second", "account.full_name", "not asked for",
                        "account.junk_filter.threshold", "0.8", "update_mask.paths", "description",
                        "update_mask.paths", "junk_filter.threshold", NULL));
    assert_string_equal(account->description, "second");
    assert_string_equal(account->full_name, "Alice");
    assert_true(account->junk_filter->threshold == 0.8);
    assert_true(account->junk_filter->twograms);
    assert_same_message(&account->base, &get(&root, "alice")->base);
}

static void what_names_the_account_or_is_made_by_the_server_stays(void **state)
{
    const Mxadm__V1__Account *before = get(&root, "alice");
    const Mxadm__V1__Account *after =
        saved(ask(fx, &root, "AccountSave", "account.name", "alice", "account.revision", "77",
                  "account.create_time", "5", "account.update_time", "6", "account.description",
                  "third", "update_mask.paths", "*", NULL));

    (void) state;
    assert_string_equal(after->name, "alice");
    assert_true(after->revision == fixture_revision(fx));
    assert_true(after->create_time->seconds == before->create_time->seconds);
    assert_true(after->update_time->seconds >= before->update_time->seconds);
}

static void a_bad_mask_and_a_missing_account_are_named(void **state)
{
    (void) state;
    assert_true(has_violation(REFUSED(ask(fx, &root, "AccountSave", "account.name", "alice", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "update_mask"));
    assert_true(has_violation(REFUSED(ask(fx, &root, "AccountSave", "account.name", "alice",
                                          "update_mask.paths", "junk_filter.treshold", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "update_mask.paths[0]"));
    assert_true(has_violation(REFUSED(ask(fx, &root, "AccountSave", "update_mask.paths", "*", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "account"));
    assert_true(has_violation(
        REFUSED(ask(fx, &root, "AccountSave", "account.name", "", "update_mask.paths", "*", NULL),
                INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        "account.name"));
}

static void what_is_saved_again_is_no_revision(void **state)
{
    uint64_t revision;

    (void) state;
    OK(ask(fx, &root, "AccountSave", "account.name", "bob", "account.description", "same",
           "account.from_id_login_addresses", "BOB@other.example", "update_mask.paths", "*", NULL));
    revision = fixture_revision(fx);
    OK(ask(fx, &root, "AccountSave", "account.name", "bob", "account.description", "same",
           "account.from_id_login_addresses", "bob+x@OTHER.example", "update_mask.paths", "*",
           NULL));
    assert_true(fixture_revision(fx) == revision);
}

static void rule_1_13_05_a_save_may_be_bound_to_a_revision(void **state)
{
    struct options options = { .if_revision = get(&root, "bob")->revision };

    (void) state;
    OK(ask_with(fx, &root, &options, "AccountSave", "account.name", "bob", "account.description",
                "one", "update_mask.paths", "description", NULL));
    REFUSES(fx, ABORTED, "REVISION_CHANGED",
            ask_with(fx, &root, &options, "AccountSave", "account.name", "bob",
                     "account.description", "two", "update_mask.paths", "description", NULL));
}

static void validate_only_changes_nothing(void **state)
{
    const char *before = fixture_dump(fx);
    struct options options = { .validate_only = true };
    const Mxadm__V1__Account *account =
        saved(ask_with(fx, &root, &options, "AccountSave", "account.name", "bob",
                       "account.description", "tried", "update_mask.paths", "description", NULL));

    (void) state;
    assert_string_equal(account->description, "tried");
    assert_string_equal(fixture_dump(fx), before);
}

static void rule_1_13_03_the_account_must_exist(void **state)
{
    (void) state;
    REFUSES(
        fx, NOT_FOUND, "ACCOUNT_NOT_FOUND",
        ask(fx, &root, "AccountSave", "account.name", "nobody", "update_mask.paths", "*", NULL));
}

static void who_may_not_change_accounts_changes_none(void **state)
{
    static const struct rpc_peer *const peers[] = { &viewer, &key_reader, &scoped, &loopback };

    (void) state;
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING",
                ask(fx, peers[i], "AccountSave", "account.name", "alice", "update_mask.paths", "*",
                    NULL));
    }
}

/* --------------------------------------------------------- login addresses */

static const struct reply *save_login(const char *account, const char *login)
{
    return ask(fx, &root, "AccountSave", "account.name", account, "account.from_id_login_addresses",
               login, "update_mask.paths", "from_id_login_addresses", NULL);
}

static void rule_3_4_07_login_addresses_are_kept_in_canonical_form(void **state)
{
    const Mxadm__V1__Account *account = saved(save_login("alice", "Alice+Tag@EXAMPLE.org"));

    (void) state;
    assert_string_equal(account->from_id_login_addresses[0], "alice@example.org");
}

static void rule_3_4_07_the_domain_of_a_login_address_must_be_configured(void **state)
{
    const char *before = fixture_dump(fx);
    const struct reply *reply = REFUSED(save_login("alice", "alice@elsewhere.example"),
                                        FAILED_PRECONDITION, "LOGIN_ADDRESS_UNREACHABLE");

    (void) state;
    assert_true(has_blocker(reply, "address", "alice@elsewhere.example"));
    assert_string_equal(fixture_dump(fx), before);
}

static void rule_3_6_18_a_login_address_must_reach_this_account(void **state)
{
    const char *before = fixture_dump(fx);
    const struct reply *reply;

    (void) state;
    reply = REFUSED(save_login("alice", "bob@other.example"), FAILED_PRECONDITION,
                    "LOGIN_ADDRESS_UNREACHABLE");
    assert_true(has_blocker(reply, "address", "bob@other.example"));
    REFUSED(save_login("alice", "nobody@other.example"), FAILED_PRECONDITION,
            "LOGIN_ADDRESS_UNREACHABLE");
    assert_string_equal(fixture_dump(fx), before);
    /* By the catchall. */
    OK(ask(fx, &root, "AddressAdd", "account", "alice", "address", "@other.example", NULL));
    OK(save_login("alice", "anything@other.example"));
    REFUSED(save_login("alice", "bob@other.example"), FAILED_PRECONDITION,
            "LOGIN_ADDRESS_UNREACHABLE");
    OK(save_login("alice", "alice@example.org"));
    OK(ask(fx, &root, "AddressRemove", "address", "@other.example", NULL));
}

/* ----------------------------------------------------------------- secrets */

#define SECRET "Bearer swordfish-2718"

static const struct reply *save_hook(const struct rpc_peer *peer, const char *url,
                                     const char *authorization)
{
    return ask(fx, peer, "AccountSave", "account.name", "alice", "account.outgoing_webhook.url",
               url, "account.outgoing_webhook.authorization", authorization, "update_mask.paths",
               "outgoing_webhook", NULL);
}

static const char *authorization_for(const struct rpc_peer *peer)
{
    return get(peer, "alice")->outgoing_webhook->authorization;
}

static void only_a_key_reader_reads_the_authorization_of_a_webhook(void **state)
{
    static const struct rpc_peer *const others[] = { &admin, &viewer, &scoped, &loopback };
    const Mxadm__V1__AccountListResponse *list;

    (void) state;
    assert_string_equal(
        saved(save_hook(&admin, "https://hook.example/a", SECRET))->outgoing_webhook->authorization,
        "(hidden)");
    assert_string_equal(authorization_for(&root), SECRET);
    assert_string_equal(authorization_for(&key_reader), SECRET);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_string_equal(authorization_for(others[i]), "(hidden)");
        list = OK(ask(fx, others[i], "AccountList", NULL))->message;
        assert_string_equal(list->accounts[0]->outgoing_webhook->authorization, "(hidden)");
    }
    list = OK(ask(fx, &viewer, "AccountList", "domain", "example.org", NULL))->message;
    assert_string_equal(list->accounts[0]->outgoing_webhook->authorization, "(hidden)");
    list = OK(ask(fx, &key_reader, "AccountList", NULL))->message;
    assert_string_equal(list->accounts[0]->outgoing_webhook->authorization, SECRET);
}

static void who_brings_hidden_keeps_what_is_stored(void **state)
{
    uint64_t revision;

    (void) state;
    OK(save_hook(&admin, "https://hook.example/a", SECRET));
    revision = fixture_revision(fx);
    OK(save_hook(&admin, "https://hook.example/a", "(hidden)"));
    assert_true(fixture_revision(fx) == revision);
    OK(save_hook(&admin, "HTTPS://Hook.example/b", "(hidden)"));
    assert_string_equal(authorization_for(&root), SECRET);
    /* A change of something else leaves it alone, too. */
    OK(ask(fx, &admin, "AccountSave", "account.name", "alice", "account.description", "x",
           "update_mask.paths", "description", NULL));
    assert_string_equal(authorization_for(&root), SECRET);
    OK(save_hook(&admin, "https://hook.example/b", ""));
    assert_string_equal(authorization_for(&root), "");
}

static void hidden_stands_for_nothing_where_nothing_is_stored(void **state)
{
    (void) state;
    OK(save_hook(&admin, "https://hook.example/a", ""));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            save_hook(&root, "https://hook.example/a", "(hidden)"));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &root, "AccountSave", "account.name", "bob", "account.incoming_webhook.url",
                "https://hook.example/a", "account.incoming_webhook.authorization", "(hidden)",
                "update_mask.paths", "incoming_webhook", NULL));
}

static void who_may_not_read_the_secret_can_not_have_it_sent_elsewhere(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(save_hook(&root, "https://hook.example/a", SECRET));
    reply = REFUSED(save_hook(&admin, "https://thief.example/a", "(hidden)"), INVALID_ARGUMENT,
                    "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "account.outgoing_webhook.authorization"));
    assert_null(strstr(reply->words, "swordfish"));
    /* Nor by a mask that names the URL alone. */
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &admin, "AccountSave", "account.name", "alice", "account.outgoing_webhook.url",
                "https://thief.example/a", "update_mask.paths", "outgoing_webhook.url", NULL));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(fx, &admin, "AccountSave", "account.name", "alice", "account.outgoing_webhook.url",
                "http://hook.example/a", "update_mask.paths", "outgoing_webhook.url", NULL));
    OK(ask(fx, &root, "AccountSave", "account.name", "alice", "account.outgoing_webhook.url",
           "https://moved.example/a", "update_mask.paths", "outgoing_webhook.url", NULL));
    assert_string_equal(authorization_for(&root), SECRET);
}

static void the_history_does_not_show_the_secret(void **state)
{
    const struct reply *reply;

    (void) state;
    OK(save_hook(&root, "https://hook.example/h", SECRET));
    reply = OK(ask(fx, &root, "ChangeList", "account", "alice", NULL));
    assert_non_null(memmem(reply->bytes, reply->len, "hook.example/h", strlen("hook.example/h")));
    assert_null(memmem(reply->bytes, reply->len, "swordfish", strlen("swordfish")));
}

static void hostile_bytes_are_refused_and_change_nothing(void **state)
{
    (void) state;
    assert_true(
        has_violation(REFUSED(ask_message(fx, &root, "AccountSave", "\x0a\x04\x0a\x02\xff\xfe", 6),
                              INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                      "account.name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_held_against_the_contract),
        cmocka_unit_test(rule_3_4_06_a_text_of_256_bytes_is_the_longest),
        cmocka_unit_test(rule_3_6_08_all_that_is_wrong_is_said_at_once),
        cmocka_unit_test(rule_2_10_02_numbers_keep_their_value),
        cmocka_unit_test(rule_1_13_04_a_save_checks_all_before_it_writes),
        cmocka_unit_test(names_are_kept_as_records_hold_them),
        cmocka_unit_test(only_what_the_mask_names_changes),
        cmocka_unit_test(what_names_the_account_or_is_made_by_the_server_stays),
        cmocka_unit_test(a_bad_mask_and_a_missing_account_are_named),
        cmocka_unit_test(what_is_saved_again_is_no_revision),
        cmocka_unit_test(rule_1_13_05_a_save_may_be_bound_to_a_revision),
        cmocka_unit_test(validate_only_changes_nothing),
        cmocka_unit_test(rule_1_13_03_the_account_must_exist),
        cmocka_unit_test(who_may_not_change_accounts_changes_none),
        cmocka_unit_test(rule_3_4_07_login_addresses_are_kept_in_canonical_form),
        cmocka_unit_test(rule_3_4_07_the_domain_of_a_login_address_must_be_configured),
        cmocka_unit_test(rule_3_6_18_a_login_address_must_reach_this_account),
        cmocka_unit_test(only_a_key_reader_reads_the_authorization_of_a_webhook),
        cmocka_unit_test(who_brings_hidden_keeps_what_is_stored),
        cmocka_unit_test(hidden_stands_for_nothing_where_nothing_is_stored),
        cmocka_unit_test(who_may_not_read_the_secret_can_not_have_it_sent_elsewhere),
        cmocka_unit_test(the_history_does_not_show_the_secret),
        cmocka_unit_test(hostile_bytes_are_refused_and_change_nothing),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
