/*
 * ConfigSave, ConfigGet. Rule numbers are those of mox-behaviour.
 */
#include "rpc_cases.h"
#include "save_cases.h"

static struct fixture *fx;

static int setup(void **state)
{
    (void) state;
    fx = fixture_create(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    fixture_destroy(fx);
    return 0;
}

static const Mxadm__V1__Config *get(const struct rpc_peer *peer)
{
    const Mxadm__V1__ConfigGetResponse *got = OK(ask(fx, peer, "ConfigGet", NULL))->message;

    assert_non_null(got->config);
    return got->config;
}

static const Mxadm__V1__Config *saved(const struct reply *reply)
{
    const Mxadm__V1__ConfigSaveResponse *response = OK(reply)->message;

    assert_non_null(response->config);
    return response->config;
}

static void what_was_never_saved_is_empty(void **state)
{
    uint64_t revision = fixture_revision(fx);

    (void) state;
    assert_int_equal(get(&viewer)->n_web_handlers, 0);
    OK(ask(fx, &root, "ConfigSave", "config", "", "update_mask.paths", "*", NULL));
    assert_true(fixture_revision(fx) == revision);
    assert_true(get(&viewer)->revision == 0);
}

/* -------------------------------------------------------------------- values */

static const struct save_form all = { "ConfigSave", "config { %s } update_mask { paths: '*' }" };
/* A handler of "^/" for a.example. */
static const struct save_form handler = {
    "ConfigSave", "config { web_handlers { domain: 'a.example' path_regexp: '^/' %s } }"
                  " update_mask { paths: 'web_handlers' }"
};

static void values_are_held_against_the_contract(void **state)
{
    static const struct save_case cases[] = {
        { "3.2-02", "routes { transport: 'direct' }", NULL },
        { "3.2-02", "routes { transport: 'Direct' }", "config.routes[0].transport" },
        { "3.2-01", "routes { transport: 'direct' from_domain: 'a b' }",
          "config.routes[0].from_domain[0]" },
        { "3.9-02", "web_domain_redirects { from: 'a.example' to: 'b.example' }", NULL },
        { "3.9-02", "web_domain_redirects { to: 'b.example' }",
          "config.web_domain_redirects[0].from" },
        { "3.9-02", "web_domain_redirects { from: 'a.example' to: 'b b' }",
          "config.web_domain_redirects[0].to" },
        { "3.9-02 the same",
          "web_domain_redirects { from: 'b\xc3\xbc"
          "cher.example' to: 'XN--BCHER-KVA.example' }",
          "config.web_domain_redirects[0].to" },
        { "3.9-02 twice",
          "web_domain_redirects { from: 'b\xc3\xbc"
          "cher.example' to: 'a.example' }"
          " web_domain_redirects { from: 'XN--BCHER-KVA.example' to: 'b.example' }",
          "config.web_domain_redirects[1].from" },
        { "3.9-03 no domain", "web_handlers { path_regexp: '^/' web_static { root: 'r' } }",
          "config.web_handlers[0].domain" },
        { "3.9-03 no path", "web_handlers { domain: 'a.example' web_static { root: 'r' } }",
          "config.web_handlers[0].path_regexp" },
        { "3.9-03 unanchored",
          "web_handlers { domain: 'a.example' path_regexp: '/' web_static { root: 'r' } }",
          "config.web_handlers[0].path_regexp" },
        { "3.9-03",
          "web_handlers { domain: 'a.example' path_regexp: '^(' web_static { root: 'r' } }",
          "config.web_handlers[0].path_regexp" },
        { "3.10-01", "monitor_dnsbls: 'bl.example' monitor_dnsbls: 'bl2.example'", NULL },
        { "3.10-01", "monitor_dnsbls: 'a b'", "config.monitor_dnsbls[0]" },
        { "3.10-01 empty", "monitor_dnsbls: ''", "config.monitor_dnsbls[0]" },
        { "3.10-01 twice", "monitor_dnsbls: 'bl.example' monitor_dnsbls: 'BL.example'",
          "config.monitor_dnsbls[1]" },
    };

    (void) state;
    TRY(fx, &all, cases);
}

#define HEADER(text) "web_static { root: 'r' response_headers { " text " } }"

static void targets_are_held_against_the_contract(void **state)
{
    static const struct save_case cases[] = {
        { "3.9-03 no target", "", "config.web_handlers[0]" },
        { "3.9-08 all zeros", "web_static { }", "config.web_handlers[0].web_static.root" },
        { "3.9-08 all zeros", "web_redirect { }", "config.web_handlers[0].web_redirect" },
        { "3.9-08 all zeros", "web_forward { }", "config.web_handlers[0].web_forward.url" },
        { "3.9-08 all zeros", "web_internal { }", "config.web_handlers[0].web_internal.base_path" },
        { "3.9-04", "web_static { strip_prefix: '/a' root: 'r' }", NULL },
        { "3.9-04", "web_static { strip_prefix: 'a' root: 'r' }",
          "config.web_handlers[0].web_static.strip_prefix" },
        { "3.9-04", HEADER("name: 'X-A' value: 'b c'"), NULL },
        { "3.9-04 empty", HEADER("name: '' value: 'b'"),
          "config.web_handlers[0].web_static.response_headers[0].name" },
        { "3.9-04 blank", HEADER("name: ' X' value: 'b'"),
          "config.web_handlers[0].web_static.response_headers[0].name" },
        { "3.9-04 colon", HEADER("name: 'X:' value: 'b'"),
          "config.web_handlers[0].web_static.response_headers[0].name" },
        { "3.4-10 newline", HEADER("name: 'X' value: 'b\r\nY: c'"),
          "config.web_handlers[0].web_static.response_headers[0].value" },
        { "3.9-04 twice", HEADER("name: 'X-A' } response_headers { name: 'x-a'"),
          "config.web_handlers[0].web_static.response_headers[1].name" },
        { "3.9-05", "web_redirect { base_url: 'https://b.example' }", NULL },
        { "3.9-05", "web_redirect { base_url: 'https://b.example/?q=1' }", NULL },
        { "3.9-05 path", "web_redirect { base_url: 'https://b.example/x' }",
          "config.web_handlers[0].web_redirect.base_url" },
        { "3.9-05 unparsable", "web_redirect { base_url: ':' }",
          "config.web_handlers[0].web_redirect.base_url" },
        { "3.9-05 unparsable", "web_redirect { base_url: '%zz' }",
          "config.web_handlers[0].web_redirect.base_url" },
        { "3.9-05 scheme alone", "web_redirect { base_url: 'https:' }",
          "config.web_handlers[0].web_redirect.base_url" },
        { "3.9-05", "web_redirect { orig_path_regexp: '^/(.*)' replace_path: '/$1' }", NULL },
        { "3.9-05", "web_redirect { orig_path_regexp: '^/(' replace_path: '/$1' }",
          "config.web_handlers[0].web_redirect.orig_path_regexp" },
        { "3.9-05 half", "web_redirect { orig_path_regexp: '^/' }",
          "config.web_handlers[0].web_redirect.replace_path" },
        { "3.9-05 half", "web_redirect { base_url: 'https://b.example' replace_path: '/' }",
          "config.web_handlers[0].web_redirect.orig_path_regexp" },
        { "3.9-05", "web_redirect { base_url: 'https://b.example' status_code: 399 }", NULL },
        { "3.9-05", "web_redirect { base_url: 'https://b.example' status_code: 299 }",
          "config.web_handlers[0].web_redirect.status_code" },
        { "3.9-05", "web_redirect { base_url: 'https://b.example' status_code: 400 }",
          "config.web_handlers[0].web_redirect.status_code" },
        { "3.9-05", "web_redirect { base_url: 'https://b.example' status_code: -1 }",
          "config.web_handlers[0].web_redirect.status_code" },
        { "3.9-06", "web_forward { strip_path: true url: 'http://127.0.0.1:8080/x' }", NULL },
        { "3.9-06 empty", "web_forward { strip_path: true }",
          "config.web_handlers[0].web_forward.url" },
        { "3.9-06", "web_forward { url: 'http://a b' }", "config.web_handlers[0].web_forward.url" },
        { "3.9-06 user", "web_forward { url: 'http://user:pw@h' }",
          "config.web_handlers[0].web_forward.url" },
        { "3.9-06", "web_forward { url: 'http://h' response_headers { name: 'a b' } }",
          "config.web_handlers[0].web_forward.response_headers[0].name" },
        { "3.9-07", "web_internal { base_path: '/' service: 'webmail' }", NULL },
        { "3.9-07", "web_internal { base_path: '/a/' service: 'admin' }", NULL },
        { "3.9-07 empty", "web_internal { service: 'admin' }",
          "config.web_handlers[0].web_internal.base_path" },
        { "3.9-07", "web_internal { base_path: '/a' service: 'admin' }",
          "config.web_handlers[0].web_internal.base_path" },
        { "3.9-07", "web_internal { base_path: 'a/' service: 'admin' }",
          "config.web_handlers[0].web_internal.base_path" },
        { "3.9-07", "web_internal { base_path: '/' service: 'Admin' }",
          "config.web_handlers[0].web_internal.service" },
        { "3.9-07", "web_internal { base_path: '/' }",
          "config.web_handlers[0].web_internal.service" },
        { "3.4-10", "log_name: 'a\nb' web_static { root: 'r' }",
          "config.web_handlers[0].log_name" },
    };

    (void) state;
    TRY(fx, &handler, cases);
}

static void rule_b20_what_crashed_upstream_is_said(void **state)
{
    static const struct save_case cases[] = {
        { "B20", "web_redirect { base_url: 'http://[::1' }",
          "config.web_handlers[0].web_redirect.base_url" },
        { "B20", "web_internal { base_path: '' service: 'admin' }",
          "config.web_handlers[0].web_internal.base_path" },
    };

    (void) state;
    TRY(fx, &handler, cases);
}

static void lists_have_limits(void **state)
{
    const char *zones = repeated(fx, "monitor_dnsbls: 'a' ", 101);
    const struct reply *reply =
        ask_text(fx, &root, "ConfigSave",
                 fixture_text(fx, "config { %s } update_mask { paths: 'monitor_dnsbls' }", zones));

    (void) state;
    assert_true(has_violation(REFUSED(reply, INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "config.monitor_dnsbls"));
    reply = ask_text(fx, &root, "ConfigSave",
                     fixture_text(fx, "config { %s } update_mask { paths: 'routes' }",
                                  repeated(fx, "routes { transport: 'direct' } ", 1001)));
    assert_true(
        has_violation(REFUSED(reply, INVALID_ARGUMENT, "INVALID_ARGUMENT"), "config.routes"));
}

static void names_are_kept_as_records_hold_them(void **state)
{
    const Mxadm__V1__Config *config = saved(ask_text(
        fx, &root, "ConfigSave",
        "config { routes { transport: 'direct' from_domain: '.XN--BCHER-KVA.example' }"
        " web_domain_redirects { from: 'Old.Example' to: 'NEW.example' }"
        " web_handlers { domain: 'WWW.Example' path_regexp: '^/' web_static { root: 'r' } }"
        " monitor_dnsbls: 'BL.example' } update_mask { paths: '*' }"));

    (void) state;
    assert_string_equal(config->routes[0]->from_domain[0], ".b\xc3\xbc"
                                                           "cher.example");
    assert_string_equal(config->web_domain_redirects[0]->from, "old.example");
    assert_string_equal(config->web_domain_redirects[0]->to, "new.example");
    assert_string_equal(config->web_handlers[0]->domain, "www.example");
    assert_string_equal(config->monitor_dnsbls[0], "bl.example");
    assert_same_message(&config->base, &get(&viewer)->base);
}

/* ------------------------------------------------------------------- saving */

static const struct reply *save_zone(const struct rpc_peer *peer, const struct options *options,
                                     const char *zone)
{
    return ask_with(fx, peer, options, "ConfigSave", "config.monitor_dnsbls", zone,
                    "update_mask.paths", "monitor_dnsbls", NULL);
}

static void rule_1_13_02_only_what_the_mask_names_changes(void **state)
{
    const Mxadm__V1__Config *config;

    (void) state;
    OK(ask(fx, &root, "ConfigSave", "config.routes[0].transport", "direct", "config.monitor_dnsbls",
           "one.example", "update_mask.paths", "*", NULL));
    config = saved(save_zone(&root, NULL, "two.example"));
    assert_string_equal(config->monitor_dnsbls[0], "two.example");
    assert_string_equal(config->routes[0]->transport, "direct");
    assert_true(config->revision == fixture_revision(fx));
    /* All may go again. */
    config = saved(ask(fx, &root, "ConfigSave", "config", "", "update_mask.paths", "*", NULL));
    assert_int_equal(config->n_routes, 0);
    assert_int_equal(get(&viewer)->n_monitor_dnsbls, 0);
}

static void what_is_missing_is_named(void **state)
{
    (void) state;
    assert_true(has_violation(REFUSED(ask(fx, &root, "ConfigSave", "update_mask.paths", "*", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "config"));
    assert_true(has_violation(REFUSED(ask(fx, &root, "ConfigSave", "config", "", NULL),
                                      INVALID_ARGUMENT, "INVALID_ARGUMENT"),
                              "update_mask"));
}

static void who_may_not_change_settings_changes_none(void **state)
{
    static const struct rpc_peer *const peers[] = { &viewer, &key_reader, &scoped, &loopback };

    (void) state;
    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        REFUSES(fx, PERMISSION_DENIED, "ROLE_MISSING", save_zone(peers[i], NULL, "x.example"));
        (void) get(peers[i]);
    }
}

static void what_is_saved_again_or_only_tried_is_no_revision(void **state)
{
    struct options tried = { .validate_only = true };
    struct options old;
    const char *before;
    uint64_t revision;

    (void) state;
    old.validate_only = false;
    OK(save_zone(&admin, NULL, "three.example"));
    revision = fixture_revision(fx);
    OK(save_zone(&admin, NULL, "THREE.example"));
    assert_true(fixture_revision(fx) == revision);
    before = fixture_dump(fx);
    OK(save_zone(&admin, &tried, "four.example"));
    assert_string_equal(fixture_dump(fx), before);
    old = (struct options){ .if_revision = revision - 1 };
    REFUSES(fx, ABORTED, "REVISION_CHANGED", save_zone(&admin, &old, "five.example"));
}

static void settings_survive_a_restart(void **state)
{
    const Mxadm__V1__Config *before = get(&viewer);

    (void) state;
    fixture_restart(fx);
    assert_same_message(&before->base, &get(&viewer)->base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_saved_is_empty),
        cmocka_unit_test(values_are_held_against_the_contract),
        cmocka_unit_test(targets_are_held_against_the_contract),
        cmocka_unit_test(rule_b20_what_crashed_upstream_is_said),
        cmocka_unit_test(lists_have_limits),
        cmocka_unit_test(names_are_kept_as_records_hold_them),
        cmocka_unit_test(rule_1_13_02_only_what_the_mask_names_changes),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(who_may_not_change_settings_changes_none),
        cmocka_unit_test(what_is_saved_again_or_only_tried_is_no_revision),
        cmocka_unit_test(settings_survive_a_restart),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
