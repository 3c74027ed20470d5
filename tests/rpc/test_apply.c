/*
 * ConfigApply: a document becomes the configuration, or is refused with the
 * places of all that is wrong with it.
 */
#include "rpc_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASS           "correct horse battery"

#define HEAD           "format: mxadm.v1\nscope: all\n"
#define SCOPED(domain) "format: mxadm.v1\nscope: [" domain "]\n"

static struct fixture *fx;

static int setup(void **state)
{
    static const struct fixture_options options = { .sqlite = true, .key_directory = true };

    (void) state;
    fx = fixture_create(&options);
    add_domain(fx, "example.org", "alice");
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

/* All parts joined. */
static const char *export(struct fixture *fixture, const char *passphrase)
{
    const char *text = "";
    const char *token = "";

    do {
        const Mxadm__V1__ConfigExportResponse *answer =
            OK(ask(fixture, &root, "ConfigExport", "passphrase", passphrase, "page_token", token,
                   NULL))
                ->message;

        text = fixture_text(fixture, "%s%s", text, answer->yaml);
        token = answer->next_page_token;
    } while (token[0] != '\0');
    return text;
}

static const struct reply *try_apply(const char *yaml, const char *prune)
{
    return ask(fx, &root, "ConfigApply", "yaml", yaml, "prune", prune, NULL);
}

static const Mxadm__V1__ConfigApplyResponse *apply(const char *yaml)
{
    return OK(try_apply(yaml, "0"))->message;
}

static const Mxadm__V1__ConfigApplyResponse *apply_pruning(const char *yaml)
{
    return OK(try_apply(yaml, "1"))->message;
}

static const Mxadm__V1__ConfigApplyResponse *plan(const char *yaml, const char *prune)
{
    struct options options = { .validate_only = true };

    return OK(ask_with(fx, &root, &options, "ConfigApply", "yaml", yaml, "prune", prune, NULL))
        ->message;
}

static bool has_change(const Mxadm__V1__ConfigApplyResponse *answer, int action, const char *kind,
                       const char *name)
{
    for (size_t i = 0; i < answer->n_changes; i++) {
        const Mxadm__V1__PlannedChange *change = answer->changes[i];

        if ((int) change->action == action && strcmp(change->kind, kind) == 0 &&
            strcmp(change->name, name) == 0) {
            return true;
        }
    }
    return false;
}

#define ADDS(answer, kind, name)    has_change(answer, 1, kind, name)
#define UPDATES(answer, kind, name) has_change(answer, 2, kind, name)
#define REMOVES(answer, kind, name) has_change(answer, 3, kind, name)

/* The text with one passage exchanged for another. */
static const char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    assert_non_null(at);
    return fixture_text(fx, "%.*s%s%s", (int) (at - text), text, to, at + strlen(from));
}

/* What is behind the comment on top. */
static const char *without_comment(const char *text)
{
    return strstr(text, "format: ");
}

static const char *metadata(const struct reply *reply, const char *key)
{
    const Mxadm__V1__ErrorInfo *info = reply->envelope->status->error_info;

    for (size_t i = 0; info != NULL && i < info->n_metadata; i++) {
        if (strcmp(info->metadata[i]->key, key) == 0) {
            return info->metadata[i]->value;
        }
    }
    return "";
}

/* --------------------------------------------------------------- unchanged */

static void an_export_that_is_applied_again_makes_no_revision(void **state)
{
    uint64_t revision = fixture_revision(fx);
    const Mxadm__V1__ConfigApplyResponse *answer = apply_pruning(export(fx, ""));

    (void) state;
    assert_int_equal(answer->added + answer->updated + answer->removed, 0);
    assert_int_equal(answer->n_changes, 0);
    assert_true(answer->unchanged >= 5);
    assert_int_equal(fixture_revision(fx), revision);
}

static void a_plan_says_what_apply_does_and_does_nothing(void **state)
{
    const char *yaml = edited(export(fx, ""), "accounts:\n", "accounts:\n  zoe: {}\n");
    const char *before = fixture_dump(fx);
    const Mxadm__V1__ConfigApplyResponse *answer = plan(yaml, "0");

    (void) state;
    assert_int_equal(answer->added, 1);
    assert_true(ADDS(answer, "account", "zoe"));
    assert_string_equal(fixture_dump(fx), before);
    answer = apply(yaml);
    assert_int_equal(answer->added, 1);
    assert_true(ADDS(answer, "account", "zoe"));
    assert_non_null(strstr(export(fx, ""), "\n  zoe: {}\n"));
}

/* ------------------------------------------------------------------ errors */

static void every_problem_is_told_by_line_and_column(void **state)
{
    static const struct {
        const char *yaml;
        const char *field;
        unsigned line, column;
        const char *words;
    } cases[] = {
        { "format: [", "format", 1, 9, "must be a text" },
        { HEAD "accounts:\n  a: [\n", "accounts.a", 5, 1, "not YAML" },
        { "[]", "", 1, 1, "must be a map" },
        { "format: mxadm.v2\nscope: all\n", "format", 1, 9, "mxadm.v1" },
        { "scope: all\nformat: mxadm.v1\naccounts: []", "accounts", 3, 11, "must be a map" },
        { "accounts: {}\n", "accounts", 1, 1, "has to begin with" },
        { HEAD "what: {}\n", "what", 3, 1, "unknown key" },
        { HEAD "accounts:\n  a: {nmae: x}\n", "accounts.a.nmae", 4, 7, "unknown key" },
        { HEAD "accounts:\n  a: {name: x}\n", "accounts.a.name", 4, 7, "unknown key" },
        { HEAD "accounts:\n  a: {}\n  a: {}\n", "accounts.a", 5, 3, "twice" },
        { HEAD "accounts:\n  a: {domain: x, domain: y}\n", "accounts.a.domain", 4, 18, "twice" },
        { HEAD "accounts:\n  a: {quota_message_size: many}\n", "accounts.a.quota_message_size", 4,
          27, "whole number" },
        { HEAD "accounts:\n  a: {keep_rejects: yes}\n", "accounts.a.keep_rejects", 4, 21,
          "true or false" },
        { HEAD "accounts:\n  a: {subject_pass_period: 1x}\n", "accounts.a.subject_pass_period", 4,
          28, "duration" },
        { HEAD "accounts:\n  a: {junk_filter: {threshold: nan}}\n",
          "accounts.a.junk_filter.threshold", 4, 32, "number" },
        { HEAD "accounts:\n  a: {routes: {}}\n", "accounts.a.routes", 4, 15, "list" },
        { HEAD "accounts:\n  a: {full_name: &x b}\n", "accounts.a.full_name", 4, 18, "anchors" },
        { HEAD "accounts:\n  a: {full_name: *x}\n", "accounts.a.full_name", 4, 18, "aliases" },
        { HEAD "accounts:\n  a: {full_name: !!str b}\n", "accounts.a.full_name", 4, 18, "tags" },
        { HEAD "accounts:\n  a: {full_name: \"a\\0b\"}\n", "accounts.a.full_name", 4, 18, "NUL" },
        { HEAD "accounts: {}\ndomains: {}\n", "domains", 4, 1, "belongs before" },
        { HEAD "accounts:\n  -a: {}\n", "accounts.-a", 4, 3, "" },
        { HEAD "addresses:\n  a@gone.example: {}\n", "addresses.a@gone.example", 4, 3,
          "not configured" },
        { HEAD "addresses:\n  a@example.org: {account: nobody}\n",
          "addresses.a@example.org.account", 4, 3, "no account" },
        { HEAD "addresses:\n  a+b@example.org: {account: alice}\n",
          "addresses.a@example.org.address", 4, 3, "separates" },
        { HEAD "addresses:\n  dmarcreports@example.org: {account: alice}\n",
          "addresses.dmarcreports@example.org", 4, 3, "DMARC report address" },
        { HEAD "aliases:\n  all@example.org: {}\n", "aliases.all@example.org", 4, 3,
          "has no member" },
        { HEAD "aliases:\n  all@example.org: {members: [x@example.org]}\n",
          "aliases.all@example.org.members[0]", 4, 31, "no address" },
        { HEAD "aliases:\n  alice@example.org: {members: [alice@example.org]}\n",
          "aliases.alice@example.org.address", 4, 3, "address of an account" },
        { HEAD "tls_public_keys:\n  x: {certificate: AAAA}\n", "tls_public_keys.x.certificate", 4,
          3, "" },
        { HEAD "config:\n  routes: [{transport: none}]\n", "config.routes[0].transport", 3, 1,
          "none" },
        { HEAD "domains:\n  a..b: {}\n", "domains.a..b", 4, 3, "" },
        { HEAD "domains:\n  new.example: {dmarc: {localpart: d, account: no, mailbox: M}}\n",
          "domains.new.example.dmarc.account", 4, 3, "no account" },
        { HEAD "domains:\n  example.org:\n    dkim_selectors:\n      2026a: {algorithm: ed25519}\n",
          "domains.example.org.dkim_selectors.2026a", 6, 7, "keys stay" },
        { SCOPED("other.example") "domains:\n  example.org: {}\n", "domains.example.org", 4, 3,
          "scope" },
        { SCOPED("other.example") "addresses:\n  b@example.org: {account: alice}\n",
          "addresses.b@example.org", 4, 3, "scope" },
        { SCOPED("other.example") "config: {}\n", "config", 3, 1, "scope" },
        { HEAD "---\n" HEAD, "", 3, 1, "second document" },
        { HEAD "accounts:\n  a: {outgoing_webhook: {url: 'http://x/', authorization: (hidden)}}\n",
          "accounts.a.outgoing_webhook.authorization", 4, 3, "nothing is stored" },
        { HEAD
          "accounts:\n  a: {outgoing_webhook: {url: 'http://x/', sealed_authorization: AA==}}\n",
          "accounts.a.outgoing_webhook.sealed_authorization", 4, 66, "passphrase" },
    };

    const char *before = fixture_dump(fx);

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct reply *reply = try_apply(cases[i].yaml, "0");
        char where[64];

        (void) snprintf(where, sizeof(where), "line %u, column %u: ", cases[i].line,
                        cases[i].column);
        if (reply->code != MX_INVALID_ARGUMENT || !has_violation(reply, cases[i].field) ||
            strstr(reply->words, where) == NULL || strstr(reply->words, cases[i].words) == NULL) {
            fail_msg("%s\nwanted %s: %s%s, got: %s", cases[i].yaml, cases[i].field, where,
                     cases[i].words, reply->words);
        }
        assert_string_equal(fixture_dump(fx), before);
    }
}

static void the_first_place_is_told_to_programs_and_all_problems_to_people(void **state)
{
    const struct reply *reply = try_apply(
        HEAD "accounts:\n  a: {nmae: x}\n  b: {quota_message_size: x, keep_rejects: 7}\n", "0");

    (void) state;
    REFUSED(reply, INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "accounts.a.nmae"));
    assert_true(has_violation(reply, "accounts.b.quota_message_size"));
    assert_true(has_violation(reply, "accounts.b.keep_rejects"));
    assert_string_equal(metadata(reply, "line"), "4");
    assert_string_equal(metadata(reply, "column"), "7");
}

static void problems_beyond_a_hundred_are_not_looked_for(void **state)
{
    char *yaml = fixture_text(fx, "%s", HEAD "accounts:\n");
    const struct reply *reply;

    (void) state;
    for (int i = 0; i < 300; i++) {
        yaml = fixture_text(fx, "%s  a%d: {x: 1}\n", yaml, i);
    }
    reply = REFUSED(try_apply(yaml, "0"), INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "accounts.a99.x"));
    assert_false(has_violation(reply, "accounts.a100.x"));
}

/* ----------------------------------------------------------------- hostile */

static void hostile_documents_are_refused_in_words(void **state)
{
    const char *const texts[] = {
        HEAD "accounts: &a\n  b: {}\n",
        HEAD "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n",
        fixture_text(fx, "%s%s", HEAD "accounts:\n  a: ", repeated(fx, "[", 100000)),
        fixture_text(fx, "%s%s", HEAD "accounts:\n  a: ", repeated(fx, "{a: ", 100000)),
        fixture_text(fx, "%s%s}\n",
                     HEAD "accounts:\n  a: {full_name: ", repeated(fx, "x", 9000000 / 4)),
        HEAD "accounts:\n\ta: {}\n",
        HEAD "accounts:\n  a: {}\n...\n---\n" HEAD,
        HEAD "accounts:\n  ? [a]\n  : {}\n",
        HEAD "accounts:\n  <<: {a: {}}\n",
        "%YAML 1.1\n%TAG ! tag:x,2000:\n---\n!x a",
        "--- |\n format: mxadm.v1\n",
        "\xef\xbb\xbf\xef\xbb\xbf" HEAD,
        "...",
        "# nothing\n",
        "\"",
    };
    const char *before = fixture_dump(fx);

    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct reply *reply = try_apply(texts[i], "1");

        if (reply->code != MX_INVALID_ARGUMENT) {
            fail_msg("%.60s: %d %s", texts[i], (int) reply->code, reply->words);
        }
        assert_string_equal(fixture_dump(fx), before);
    }
}

/* They make libyaml work for a time that grows with the square of their number, in one call. */
static void directives_are_refused_before_they_are_read(void **state)
{
    const char *const texts[] = {
        fixture_text(fx, "%s---\n" HEAD, repeated(fx, "%TAG !a! t\n", 100000)),
        fixture_text(fx, HEAD "accounts:\n  a: {}\n%s", repeated(fx, "%TAG !a! t\n", 100000)),
        "# NEL\xc2\x85%TAG !a! t\n---\n" HEAD,
        "# LS\xe2\x80\xa8%TAG !a! t\n---\n" HEAD,
        "\xef\xbb\xbf%YAML 1.1\n---\n" HEAD,
    };

    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct reply *reply = try_apply(texts[i], "1");

        REFUSED(reply, INVALID_ARGUMENT, "INVALID_ARGUMENT");
        assert_non_null(strstr(reply->words, "directives are not accepted"));
    }
    (void) apply(HEAD "accounts:\n  percent:\n    full_name: |-\n      % of \xc3\xa8%\n");
}

static void reading_ends_when_the_time_of_the_call_is_over(void **state)
{
    struct options options = { .timeout_ms = 1 };
    const char *text = fixture_text(fx, HEAD "accounts:\n  a:\n    routes:\n%s",
                                    repeated(fx, "    - {transport: smarthost}\n", 100000));

    (void) state;
    REFUSES(fx, DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",
            ask_with(fx, &root, &options, "ConfigApply", "yaml", text, NULL));
}

static void a_byte_order_mark_and_windows_line_ends_are_read(void **state)
{
    (void) state;
    assert_int_equal(plan("\xef\xbb\xbf"
                          "format: mxadm.v1\r\nscope: all\r\naccounts:\r\n  bom: {}\r\n",
                          "0")
                         ->added,
                     1);
}

/* ------------------------------------------------------------------- edits */

static void fields_that_a_named_record_does_not_have_get_their_defaults(void **state)
{
    const Mxadm__V1__AccountGetResponse *got;

    (void) state;
    (void) apply(HEAD "accounts:\n  bob: {full_name: Bob, quota_message_size: 5}\n"
                      "addresses:\n  bob@example.org: {account: bob, mailbox: X}\n");
    assert_true(
        UPDATES(apply(HEAD "accounts:\n  bob: {quota_message_size: 7}\n"), "account", "bob"));
    got = OK(ask(fx, &root, "AccountGet", "account", "bob", NULL))->message;
    assert_string_equal(got->account->full_name, "");
    assert_int_equal(got->account->quota_message_size, 7);
    assert_non_null(
        strstr(export(fx, ""), "  bob@example.org:\n    account: bob\n    mailbox: X\n"));
}

static void settings_of_a_domain_move_its_report_addresses(void **state)
{
    const char *text = export(fx, "");
    const char *yaml = edited(text, "localpart: dmarcreports", "localpart: d-reports");
    const Mxadm__V1__ConfigApplyResponse *answer;

    (void) state;
    answer = apply(yaml);
    assert_true(UPDATES(answer, "domain", "example.org"));
    assert_true(ADDS(answer, "address", "d-reports@example.org"));
    assert_true(REMOVES(answer, "address", "dmarcreports@example.org"));
    (void) apply(text);
    assert_string_equal(without_comment(export(fx, "")), without_comment(text));
}

static void a_report_address_that_is_wrong_is_told_at_its_domain(void **state)
{
    const struct reply *reply;

    (void) state;
    reply = REFUSED(
        try_apply(edited(export(fx, ""), "      account: alice\n", "      account: nobody\n"), "0"),
        INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_true(has_violation(reply, "domains.example.org.dmarc.account"));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            try_apply(edited(export(fx, ""), "localpart: dmarcreports", "localpart: alice"), "0"));
}

static void a_list_of_members_is_the_whole_of_them(void **state)
{
    const Mxadm__V1__ConfigApplyResponse *answer;

    (void) state;
    (void) apply(HEAD "accounts: {carl: {}}\n"
                      "addresses: {carl@example.org: {account: carl}}\n"
                      "aliases:\n  team@example.org: {members: [carl@example.org]}\n");
    answer = apply(HEAD "aliases:\n  team@example.org: {members: [alice@example.org]}\n");
    assert_true(REMOVES(answer, "alias member", "carl@example.org in team@example.org"));
    assert_true(ADDS(answer, "alias member", "alice@example.org in team@example.org"));
    answer = apply(HEAD "aliases:\n  team@example.org: {post_public: true}\n");
    assert_true(UPDATES(answer, "alias", "team@example.org"));
    assert_int_equal(answer->removed, 0);
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            try_apply(HEAD "aliases:\n  team@example.org: {members: []}\n", "0"));
}

static void an_address_may_move_to_another_account_though_it_is_a_member(void **state)
{
    (void) state;
    (void) apply(HEAD "accounts: {dan: {}, dave: {}}\n"
                      "addresses: {dan@example.org: {account: dan}}\n"
                      "aliases:\n  d@example.org: {members: [dan@example.org]}\n");
    assert_true(UPDATES(apply(HEAD "addresses: {dan@example.org: {account: dave}}\n"),
                        "alias member", "dan@example.org in d@example.org"));
}

static void another_case_rule_moves_what_the_document_does_not_name(void **state)
{
    const char *text;

    (void) state;
    (void) apply(HEAD "domains: {case.example: {}}\naccounts: {cas: {}}\n"
                      "addresses: {Cas@case.example: {account: cas}, Two@case.example: {account: "
                      "cas}}\n"
                      "aliases: {All@case.example: {members: [cas@case.example]}}\n");
    text = export(fx, "");
    OK(ask(fx, &root, "AddressGet", "address", "cas@case.example", NULL));
    (void) apply(HEAD "domains: {case.example: {localpart_case_sensitive: true}}\n"
                      "addresses: {Two@case.example: {account: cas}}\n");
    OK(ask(fx, &root, "AddressGet", "address", "Cas@case.example", NULL));
    REFUSED(ask(fx, &root, "AddressGet", "address", "cas@case.example", NULL), NOT_FOUND,
            "ADDRESS_NOT_FOUND");
    assert_non_null(strstr(export(fx, ""), "- Cas@case.example\n"));
    (void) apply_pruning(text);
    assert_string_equal(without_comment(export(fx, "")), without_comment(text));
}

/* ----------------------------------------------------------------- pruning */

static void what_is_not_named_stays_unless_pruned(void **state)
{
    const char *text = export(fx, "");
    const Mxadm__V1__ConfigApplyResponse *answer;

    (void) state;
    (void) apply(HEAD "config: {monitor_dnsbls: [bl.example.net]}\naccounts: {tmp: {}}\n"
                      "addresses: {tmp@example.org: {account: tmp}}\n");
    answer = apply(text);
    assert_int_equal(answer->removed, 0);
    answer = apply_pruning(text);
    assert_true(REMOVES(answer, "account", "tmp"));
    assert_true(REMOVES(answer, "address", "tmp@example.org"));
    assert_true(REMOVES(answer, "config", "config"));
    assert_string_equal(without_comment(export(fx, "")), without_comment(text));
}

static void pruning_keeps_to_the_scope(void **state)
{
    const char *mine;
    const Mxadm__V1__ConfigApplyResponse *answer;

    (void) state;
    add_domain(fx, "scope.example", "sally");
    OK(ask(fx, &root, "AddressAdd", "account", "alice", "address", "x@scope.example", NULL));
    mine = ((const Mxadm__V1__ConfigExportResponse *) OK(
                ask(fx, &root, "ConfigExport", "domain", "scope.example", NULL))
                ->message)
               ->yaml;
    answer = plan(edited(mine, "  x@scope.example:\n    account: alice\n", ""), "1");
    assert_int_equal(answer->removed, 1);
    assert_true(REMOVES(answer, "address", "x@scope.example"));
    answer = plan(SCOPED("scope.example") "domains: {}\n", "0");
    assert_int_equal(answer->removed, 0);
    answer = apply_pruning(SCOPED("scope.example") "domains: {}\n");
    assert_true(REMOVES(answer, "domain", "scope.example"));
    assert_true(REMOVES(answer, "account", "sally"));
    assert_true(REMOVES(answer, "dkim selector", "2026a._domainkey.scope.example"));
    assert_true(REMOVES(answer, "address", "dmarcreports@scope.example"));
    assert_false(REMOVES(answer, "account", "alice"));
    assert_null(strstr(fixture_key_files(fx), "scope.example__dkim"));
}

static void what_others_need_is_not_pruned(void **state)
{
    const struct reply *reply;

    (void) state;
    add_domain(fx, "needed.example", "nina");
    OK(ask(fx, &root, "AddressAdd", "account", "nina", "address", "nina@example.org", NULL));
    reply = REFUSED(try_apply(SCOPED("needed.example") "domains: {}\n", "1"), FAILED_PRECONDITION,
                    "CONFIG_CONFLICT");
    assert_true(has_blocker(reply, "address", "nina@example.org"));
    OK(ask(fx, &root, "AddressRemove", "address", "nina@example.org", NULL));
    (void) apply_pruning(SCOPED("needed.example") "domains: {}\n");
}

/* -------------------------------------------------------------------- keys */

static void a_new_selector_gets_a_new_key(void **state)
{
    const Mxadm__V1__ConfigApplyResponse *answer;
    const char *text = edited(export(fx, ""), "    dkim_selectors:\n",
                              "    dkim_selectors:\n      e1: {algorithm: ed25519}\n"
                              "      r1: {state: active}\n");

    (void) state;
    assert_int_equal(plan(text, "0")->added, 2);
    answer = apply(text);
    assert_true(ADDS(answer, "dkim selector", "e1._domainkey.example.org"));
    assert_true(ADDS(answer, "dkim selector", "r1._domainkey.example.org"));
    OK(ask(fx, &root, "DKIMKeyExport", "domain", "example.org", "selector", "e1", NULL));
    assert_non_null(strstr(fixture_key_files(fx), "e1"));
    assert_int_equal(apply(text)->unchanged > 0, 1);
    OK(ask(fx, &root, "DKIMRemove", "domain", "example.org", "selector", "e1", NULL));
    REFUSES(fx, INVALID_ARGUMENT, "INVALID_ARGUMENT", try_apply(text, "0"));
}

/* --------------------------------------------------------------- round trip */

#define CERTIFICATE                                                                                \
    "MIIBNjCB6aADAgECAhQbOGnN5IfiJOVaYwpmCEkySj8nCzAFBgMrZXAwETEPMA0GA1UEAwwGbGFwdG9w"             \
    "MB4XDTI2MTEyNTA0MjMxMFoXDTM2MTEyMjA0MjMxMFowETEPMA0GA1UEAwwGbGFwdG9wMCowBQYDK2Vw"             \
    "AyEAPVDuSLG3cnKYPlRtIwk2rcJvnFi49F7/+OYHkJfMxKujUzBRMB0GA1UdDgQWBBSo6szwxVciWeUe"             \
    "lCIWZHx4+afAljAfBgNVHSMEGDAWgBSo6szwxVciWeUelCIWZHx4+afAljAPBgNVHRMBAf8EBTADAQH/"             \
    "MAUGAytlcANBAK+y3ro0ZnoIBFtcKhQ8J5u5ZvO/1cO7nH5i0t5RLk1ISxF8XZxgpV0+CIKWys5SkgSA"             \
    "RJslZZaLx1EE7iY9ww4="
#define FINGERPRINT "gazjrFAHAODaHDlhJUWuLuhJHfaQlCeh-3sAk5oKJX0"

static const char rich[] = HEAD
    "config:\n"
    "  routes: [{from_domain: [.example.org], minimum_attempts: 3, transport: smarthost}]\n"
    "  web_domain_redirects: [{from: old.example, to: new.example}]\n"
    "  web_handlers:\n"
    "  - {domain: w.example, path_regexp: '^/', web_static: {root: web, response_headers: [{name: "
    "X, "
    "value: ' '}]}}\n"
    "  - {log_name: r, domain: w.example, path_regexp: ^/r, web_redirect: {status_code: 307, "
    "base_url: 'https://x.example'}}\n"
    "  - {domain: w.example, path_regexp: ^/i/, web_internal: {base_path: /i/, service: admin}}\n"
    "  monitor_dnsbls: [bl.example.net]\n"
    "domains:\n"
    "  rich.example:\n"
    "    disabled: true\n"
    "    description: \"12 'quoted' \\\"text\\\": #no {comment} [x] & * ! | > % @ ` \\U0001F600 "
    "é\"\n"
    "    localpart_separators: [+, --]\n"
    "    localpart_case_sensitive: true\n"
    "    mta_sts: {policy_id: '0123', mode: testing, max_age: 1h1m1s, mx: ['*.rich.example']}\n"
    "    routes: [{to_domain: [x.example], transport: direct}]\n"
    "    dkim_selectors:\n"
    "      '2024': {state: active, algorithm: ed25519, headers: [From, To], expiration: 90s}\n"
    "      a.b: {state: retired, algorithm: rsa2048, header_relaxed: true, body_relaxed: true}\n"
    "  münchen.example: {}\n"
    "accounts:\n"
    "  '1e3':\n"
    "    description: \"yes\"\n"
    "    full_name: ' null '\n"
    "    login_disabled: 'no: way'\n"
    "    outgoing_webhook: {url: 'https://h.example/x?a=b', authorization: 'Basic: \"x\"', events: "
    "[delivered, failed]}\n"
    "    incoming_webhook: {url: 'https://h.example/in', authorization: s3cret}\n"
    "    from_id_login_addresses: [Rich+tag@RICH.example]\n"
    "    keep_retired_message_period: 24h\n"
    "    subject_pass_period: 1m\n"
    "    quota_message_size: -1\n"
    "    junk_filter: {threshold: 0.1, twograms: true, max_power: 0.3, top_words: 1, ignore_words: "
    "0.333333333333333314829616256247390992939472198486328125}\n"
    "    imap_capabilities_disabled: [IDLE]\n"
    "    routes: [{transport: direct}]\n"
    "  emoji\\U0001F600x: {domain: rich.example}\n"
    "addresses:\n"
    "  Rich@rich.example:\n"
    "    account: '1e3'\n"
    "    full_name: '~'\n"
    "    rulesets:\n"
    "    - {smtp_mail_from_regexp: '^a\\.b$', verified_domain: x.example, is_forward: true, "
    "mailbox: "
    "Lists/A b, comment: '# c'}\n"
    "    - {headers_regexp: [{name: ^x-y$, value: '^\\s+$'}], mailbox: '123'}\n"
    "  '\"a b\"@rich.example': {account: '1e3', smtp_error: 550 no}\n"
    "  '@münchen.example': {account: '1e3', message_auth_required_smtp_error: auth}\n"
    "  m@xn--mnchen-3ya.example: {account: '1e3', mailbox: 'off'}\n"
    "aliases:\n"
    "  all@rich.example: {post_public: true, list_members: true, allow_msg_from: true, members: "
    "[Rich@rich.example, m@münchen.example]}\n"
    "tls_public_keys:\n"
    "  " FINGERPRINT ": {name: '42', no_imap_preauth: true, account: '1e3', login_address: "
    "Rich+x@rich.example, certificate: " CERTIFICATE "}\n";

/* A configuration of one document, in a daemon of its own, which the caller destroys. */
static struct fixture *with_rich(void)
{
    static const struct fixture_options options = { .sqlite = true };
    struct fixture *other = fixture_create(&options);

    OK(ask(other, &root, "ConfigApply", "yaml", edited(rich, "\\U0001F600x", "\xf0\x9f\x98\x80"),
           NULL));
    return other;
}

static void a_rich_configuration_goes_through_a_document_unharmed(void **state)
{
    struct fixture *from = with_rich();
    struct fixture *to = fixture_create(NULL);
    const char *text = export(from, PASS);
    const Mxadm__V1__ConfigApplyResponse *answer;

    (void) state;
    OK(ask(to, &root, "ConfigApply", "yaml", text, "passphrase", PASS, NULL));
    assert_string_equal(without_comment(export(to, "")), without_comment(export(from, "")));
    for (int i = 0; i < 2; i++) {
        const char *selector = i == 0 ? "2024" : "a.b";
        const Mxadm__V1__DKIMKeyExportResponse *a =
            OK(ask(from, &root, "DKIMKeyExport", "domain", "rich.example", "selector", selector,
                   NULL))
                ->message;
        const Mxadm__V1__DKIMKeyExportResponse *b =
            OK(ask(to, &root, "DKIMKeyExport", "domain", "rich.example", "selector", selector,
                   NULL))
                ->message;

        assert_string_equal(strstr(a->private_key, "-----BEGIN"),
                            strstr(b->private_key, "-----BEGIN"));
    }
    assert_non_null(strstr(export(to, ""), "authorization: (hidden)"));
    assert_null(strstr(export(to, PASS), "s3cret"));
    answer = OK(ask(to, &root, "ConfigApply", "yaml", text, "passphrase", PASS, "prune", "1", NULL))
                 ->message;
    assert_int_equal(answer->added + answer->updated + answer->removed, 0);
    answer = OK(ask(to, &root, "ConfigApply", "yaml", export(to, ""), "prune", "1", NULL))->message;
    assert_int_equal(answer->added + answer->updated + answer->removed, 0);
    fixture_destroy(to);
    fixture_destroy(from);
}

static void a_sealed_document_needs_its_own_passphrase(void **state)
{
    struct fixture *from = with_rich();
    struct fixture *to = fixture_create(NULL);
    const char *text = export(from, PASS);

    (void) state;
    assert_true(has_violation(
        REFUSED(ask(to, &root, "ConfigApply", "yaml", text, "passphrase", "another one", NULL),
                INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        "passphrase"));
    assert_true(has_violation(REFUSED(ask(to, &root, "ConfigApply", "yaml", text, NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "domains.rich.example.dkim_selectors.2024"));
    REFUSED(ask(to, &root, "ConfigApply", "yaml",
                edited(text, "      '2024':\n", "      '2025':\n"), "passphrase", PASS, NULL),
            INVALID_ARGUMENT, "INVALID_ARGUMENT");
    REFUSED(ask(to, &root, "ConfigApply", "yaml", edited(text, "n: 32768", "n: 1073741824"),
                "passphrase", PASS, NULL),
            INVALID_ARGUMENT, "INVALID_ARGUMENT");
    assert_int_equal(fixture_revision(to), 0);
    fixture_destroy(to);
    fixture_destroy(from);
}

/* A hidden secret stays with its server: who may not read it can't have it sent elsewhere. */
static void a_hidden_secret_does_not_go_to_another_server(void **state)
{
    struct fixture *other = with_rich();
    const char *text = export(other, "");

    (void) state;
    REFUSES(other, INVALID_ARGUMENT, "INVALID_ARGUMENT",
            ask(other, &admin, "ConfigApply", "yaml",
                edited(text, "url: https://h.example/in", "url: https://evil.example/in"), NULL));
    fixture_destroy(other);
}

/* -------------------------------------------------------------------- roles */

static void only_administrators_apply(void **state)
{
    const struct rpc_peer *const others[] = { &viewer, &scoped, &key_reader };

    (void) state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        REFUSED(ask(fx, others[i], "ConfigApply", "yaml", HEAD, NULL), PERMISSION_DENIED,
                "ROLE_MISSING");
    }
    assert_true(has_violation(
        REFUSED(ask(fx, &root, "ConfigApply", NULL), INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        "yaml"));
}

/* ----------------------------------------------------------------- staging */

static const struct reply *stage(const struct rpc_peer *peer, const char *offset, const char *part)
{
    return ask(fx, peer, "ConfigApply", "stage", "doc", "stage_offset", offset, "yaml", part, NULL);
}

static uint64_t staged_bytes(const struct reply *reply)
{
    return ((const Mxadm__V1__ConfigApplyResponse *) OK(reply)->message)->staged_bytes;
}

static const struct reply *apply_staged(const struct rpc_peer *peer)
{
    return ask(fx, peer, "ConfigApply", "staged", "doc", NULL);
}

#define FIRST        HEAD "accounts:\n  st"
#define SECOND       "aged: {}\n"
#define FIRST_LENGTH "42"

static void a_document_in_parts_is_applied_as_one_and_ends(void **state)
{
    uint64_t revision = fixture_revision(fx);
    struct options options = { .validate_only = true };

    (void) state;
    assert_int_equal(staged_bytes(stage(&root, "0", FIRST)), strlen(FIRST));
    assert_int_equal(staged_bytes(stage(&root, "0", FIRST)), strlen(FIRST));
    assert_int_equal(staged_bytes(stage(&root, FIRST_LENGTH, SECOND)), strlen(FIRST SECOND));
    assert_int_equal(staged_bytes(stage(&root, FIRST_LENGTH, SECOND)), strlen(FIRST SECOND));
    assert_int_equal(fixture_revision(fx), revision);
    OK(ask_with(fx, &root, &options, "ConfigApply", "staged", "doc", NULL));
    assert_true(ADDS((const Mxadm__V1__ConfigApplyResponse *) OK(apply_staged(&root))->message,
                     "account", "staged"));
    REFUSED(apply_staged(&root), NOT_FOUND, "STAGE_NOT_FOUND");
}

static void an_applied_document_is_gone_and_its_answer_is_not(void **state)
{
    struct options options = { .id = "staged-apply-001" };
    const struct reply *first;
    const struct reply *second;

    (void) state;
    (void) stage(&root, "0", HEAD "accounts: {again: {}}\n");
    first = OK(ask_with(fx, &root, &options, "ConfigApply", "staged", "doc", NULL));
    second = OK(ask_with(fx, &root, &options, "ConfigApply", "staged", "doc", NULL));
    assert_int_equal(second->revision, first->revision);
    assert_int_equal(second->len, first->len);
    assert_memory_equal(second->bytes, first->bytes, first->len);
}

static void a_refused_document_stays_staged(void **state)
{
    (void) state;
    (void) stage(&root, "0", HEAD "accounts: {a: {x: 1}}\n");
    REFUSED(apply_staged(&root), INVALID_ARGUMENT, "INVALID_ARGUMENT");
    REFUSED(apply_staged(&root), INVALID_ARGUMENT, "INVALID_ARGUMENT");
    OK(ask(fx, &root, "ConfigApply", "stage", "doc", "discard", "1", NULL));
    REFUSED(apply_staged(&root), NOT_FOUND, "STAGE_NOT_FOUND");
}

static void a_part_behind_a_gap_is_told_where_to_go_on(void **state)
{
    const struct reply *reply;

    (void) state;
    (void) stage(&root, "0", "12345");
    reply = REFUSED(stage(&root, "7", "x"), OUT_OF_RANGE, "STAGE_OFFSET");
    assert_string_equal(metadata(reply, "staged_bytes"), "5");
    REFUSED(stage(&root, "4", "x"), OUT_OF_RANGE, "STAGE_OFFSET");
}

static void a_staged_document_is_of_who_staged_it(void **state)
{
    (void) state;
    (void) stage(&root, "0", HEAD);
    REFUSED(apply_staged(&admin), NOT_FOUND, "STAGE_NOT_FOUND");
    REFUSED(stage(&scoped, "0", HEAD), PERMISSION_DENIED, "ROLE_MISSING");
}

static void a_restart_leaves_nothing_staged(void **state)
{
    (void) state;
    OK(stage(&root, "0", HEAD));
    fixture_restart(fx);
    REFUSED(apply_staged(&root), NOT_FOUND, "STAGE_NOT_FOUND");
}

static void calls_that_stage_and_apply_at_once_are_refused(void **state)
{
    static const char *const cases[][5] = {
        { "yaml", "yaml", "x", "staged", "doc" },
        { "staged", "stage", "doc", "staged", "doc" },
        { "prune", "stage", "doc", "prune", "1" },
        { "stage", "stage", "a/b", "yaml", "x" },
        { "yaml", "stage", "doc", "yaml", "" },
        { "discard", "yaml", "x", "discard", "1" },
        { "staged", "staged", "..", "yaml", "" },
        { "stage_offset", "yaml", "x", "stage_offset", "1" },
        { "passphrase", "stage", "doc", "passphrase", "12345678" },
        { "passphrase", "yaml", "x", "passphrase", "1234567" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const *c = cases[i];
        const struct reply *reply =
            REFUSED(ask(fx, &root, "ConfigApply", c[1], c[2], c[3], c[4], NULL), INVALID_ARGUMENT,
                    "INVALID_ARGUMENT");

        assert_true(has_violation(reply, c[0]));
    }
}

/* -------------------------------------------------------------- contention */

/* All are planned on the same snapshot, while the disk does not answer; each but the first finds
 * that another was faster. */
static void a_plan_that_was_overtaken_is_made_anew(void **state)
{
    struct pending *pending[8];
    const char *text;

    (void) state;
    backend_gate_shut(fixture_gate(fx));
    pending[0] = ask_later(fx, &root, NULL, "AccountAdd", "account", "gate", "address",
                           "gate@example.org", NULL);
    assert_true(backend_gate_await(fixture_gate(fx)));
    for (int i = 1; i < 8; i++) {
        pending[i] = ask_later(fx, &root, NULL, "ConfigApply", "yaml",
                               fixture_text(fx, HEAD "accounts: {overtaken%d: {}}\n", i), NULL);
    }
    backend_gate_open(fixture_gate(fx));
    for (int i = 0; i < 8; i++) {
        OK(await(pending[i]));
    }
    text = export(fx, "");
    for (int i = 1; i < 8; i++) {
        assert_non_null(strstr(text, fixture_text(fx, "\n  overtaken%d: {}\n", i)));
    }
}

/* ------------------------------------------------------------------- parts */

/* Members and accounts in number, so that the document takes several parts, one of which ends among
 * the members. */
static void a_long_document_comes_in_parts_that_fit_together(void **state)
{
    static const struct fixture_options options = { .sqlite = true };
    struct fixture *other = fixture_create(&options);
    size_t size = 8 * 1024 * 1024;
    char *yaml = fixture_text(other, "%*s", (int) size, "");
    char *at = yaml;
    size_t parts = 0;
    const char *token = "";
    const char *text;

    (void) state;
    at += sprintf(at, HEAD "domains: {long.example: {}}\naccounts: {one: {}}\naddresses:\n");
    for (int i = 0; i < 20000; i++) {
        at += sprintf(at, "  m%05d@long.example: {account: one}\n", i);
    }
    at += sprintf(at, "aliases:\n  all@long.example:\n    members:\n");
    for (int i = 0; i < 20000; i++) {
        at += sprintf(at, "    - m%05d@long.example\n", i);
    }
    (void) sprintf(at, "  last@long.example: {members: [m00000@long.example]}\n");
    OK(ask(other, &root, "ConfigApply", "yaml", yaml, NULL));
    do {
        const Mxadm__V1__ConfigExportResponse *answer =
            OK(ask(other, &viewer, "ConfigExport", "page_token", token, NULL))->message;

        parts++;
        token = answer->next_page_token;
    } while (token[0] != '\0');
    assert_true(parts > 1);
    text = export(other, "");
    assert_int_equal(((const Mxadm__V1__ConfigApplyResponse *) OK(
                          ask(other, &root, "ConfigApply", "yaml", text, "prune", "1", NULL))
                          ->message)
                         ->unchanged,
                     40005);
    fixture_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_export_that_is_applied_again_makes_no_revision),
        cmocka_unit_test(a_plan_says_what_apply_does_and_does_nothing),
        cmocka_unit_test(every_problem_is_told_by_line_and_column),
        cmocka_unit_test(the_first_place_is_told_to_programs_and_all_problems_to_people),
        cmocka_unit_test(problems_beyond_a_hundred_are_not_looked_for),
        cmocka_unit_test(hostile_documents_are_refused_in_words),
        cmocka_unit_test(directives_are_refused_before_they_are_read),
        cmocka_unit_test(reading_ends_when_the_time_of_the_call_is_over),
        cmocka_unit_test(a_byte_order_mark_and_windows_line_ends_are_read),
        cmocka_unit_test(fields_that_a_named_record_does_not_have_get_their_defaults),
        cmocka_unit_test(settings_of_a_domain_move_its_report_addresses),
        cmocka_unit_test(a_report_address_that_is_wrong_is_told_at_its_domain),
        cmocka_unit_test(a_list_of_members_is_the_whole_of_them),
        cmocka_unit_test(an_address_may_move_to_another_account_though_it_is_a_member),
        cmocka_unit_test(another_case_rule_moves_what_the_document_does_not_name),
        cmocka_unit_test(what_is_not_named_stays_unless_pruned),
        cmocka_unit_test(pruning_keeps_to_the_scope),
        cmocka_unit_test(what_others_need_is_not_pruned),
        cmocka_unit_test(a_new_selector_gets_a_new_key),
        cmocka_unit_test(a_rich_configuration_goes_through_a_document_unharmed),
        cmocka_unit_test(a_sealed_document_needs_its_own_passphrase),
        cmocka_unit_test(a_hidden_secret_does_not_go_to_another_server),
        cmocka_unit_test(only_administrators_apply),
        cmocka_unit_test(a_document_in_parts_is_applied_as_one_and_ends),
        cmocka_unit_test(an_applied_document_is_gone_and_its_answer_is_not),
        cmocka_unit_test(a_refused_document_stays_staged),
        cmocka_unit_test(a_part_behind_a_gap_is_told_where_to_go_on),
        cmocka_unit_test(a_staged_document_is_of_who_staged_it),
        cmocka_unit_test(a_restart_leaves_nothing_staged),
        cmocka_unit_test(calls_that_stage_and_apply_at_once_are_refused),
        cmocka_unit_test(a_plan_that_was_overtaken_is_made_anew),
        cmocka_unit_test(a_long_document_comes_in_parts_that_fit_together),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
