/* Who is calling, by the settings. */
#include "auth/principal.h"
#include "support/cmocka.h"

#include <string.h>
#include <unistd.h>

struct who {
    struct settings *settings;
    struct auth *auth;
};

/* The principals of a settings text; `who->auth` stays NULL if they can't be. */
static enum mx_code make(struct who *who, const char *text, struct mx_error *err)
{
    struct settings_problems problems;
    enum mx_code code;

    memset(who, 0, sizeof(*who));
    code = settings_parse(text, strlen(text), "test", &who->settings, &problems, err);
    settings_problems_fini(&problems);
    return code == MX_OK ? auth_create(who->settings, &who->auth, err) : code;
}

static void must_make(struct who *who, const char *text)
{
    struct mx_error err;

    if (make(who, text, &err) != MX_OK) {
        fail_msg("%s", err.message);
    }
}

static void end(struct who *who)
{
    auth_destroy(who->auth);
    settings_free(who->settings);
}

static struct principal *by_uid(struct who *who, uid_t uid)
{
    return auth_identify(who->auth, &(struct rpc_peer){ .kind = RPC_PEER_UNIX, .uid = uid });
}

static void root_and_the_daemons_user_are_administrators_unless_listed(void **state)
{
    struct who who;

    (void) state;
    must_make(&who, "");
    assert_int_equal(by_uid(&who, 0)->role, ROLE_ADMINISTRATOR);
    assert_true(by_uid(&who, 0)->key_reader);
    assert_int_equal(by_uid(&who, geteuid())->role, ROLE_ADMINISTRATOR);
    end(&who);

    must_make(&who, "access: { principals: { 0: { role: viewer } } }\n");
    assert_int_equal(by_uid(&who, 0)->role, ROLE_VIEWER);
    assert_false(by_uid(&who, 0)->key_reader);
    end(&who);
}

static void a_user_that_is_not_listed_has_no_role(void **state)
{
    struct who who;

    (void) state;
    must_make(&who, "");
    assert_int_equal(by_uid(&who, 4711)->role, ROLE_NONE);
    end(&who);
}

static void a_listed_user_has_the_role_and_a_name_by_uid(void **state)
{
    struct who who;
    struct principal *user;

    (void) state;
    must_make(&who, "access: { principals: { 4711: { role: administrator } } }\n");
    user = by_uid(&who, 4711);
    assert_int_equal(user->role, ROLE_ADMINISTRATOR);
    assert_false(user->key_reader);
    assert_string_equal(user->name, "uid:4711");
    end(&who);
}

static void loopback_is_a_viewer_by_default(void **state)
{
    const struct rpc_peer peer = { .kind = RPC_PEER_LOOPBACK, .uid = 0 };
    struct who who;

    (void) state;
    must_make(&who, "");
    assert_int_equal(auth_identify(who.auth, &peer)->role, ROLE_VIEWER);
    assert_false(auth_identify(who.auth, &peer)->key_reader);
    end(&who);

    must_make(&who, "access: { loopback_role: administrator, loopback_key_reader: true }\n");
    assert_int_equal(auth_identify(who.auth, &peer)->role, ROLE_ADMINISTRATOR);
    assert_true(auth_identify(who.auth, &peer)->key_reader);
    end(&who);
}

static void a_domain_administrator_covers_the_listed_domains_in_any_spelling(void **state)
{
    struct who who;
    struct principal *user;

    (void) state;
    must_make(&who, "access:\n  principals:\n    4711:\n      role: domain_administrator\n"
                    "      domains: [example.org, xn--bcher-kva.example]\n");
    user = by_uid(&who, 4711);
    assert_true(principal_covers(user, "example.org"));
    assert_true(principal_covers(user, "bücher.example"));
    assert_false(principal_covers(user, "sub.example.org"));
    assert_false(principal_covers(user, "example.com"));
    assert_true(principal_covers(by_uid(&who, 0), "example.com"));
    end(&who);
}

static void a_domain_that_is_none_is_refused_by_name(void **state)
{
    struct who who;
    struct mx_error err;

    (void) state;
    assert_int_equal(make(&who,
                          "access:\n  principals:\n    4711:\n      role: domain_administrator\n"
                          "      domains: [\"a..b\"]\n",
                          &err),
                     MX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "a..b"));
    assert_null(who.auth);
    end(&who);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_and_the_daemons_user_are_administrators_unless_listed),
        cmocka_unit_test(a_user_that_is_not_listed_has_no_role),
        cmocka_unit_test(a_listed_user_has_the_role_and_a_name_by_uid),
        cmocka_unit_test(loopback_is_a_viewer_by_default),
        cmocka_unit_test(a_domain_administrator_covers_the_listed_domains_in_any_spelling),
        cmocka_unit_test(a_domain_that_is_none_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
