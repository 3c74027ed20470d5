/* The grammars of texts in the settings file: each with what it takes and what it refuses. */
#include "settings/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10

typedef const char *check_function(const char *text);

/* Each list ends with NULL. */
static void expect(check_function *check, const char *const *good, const char *const *bad)
{
    for (; *good != NULL; good++) {
        const char *wrong = check(*good);

        if (wrong != NULL) {
            fail_msg("'%s' should be good, but %s", *good, wrong);
        }
    }
    for (; *bad != NULL; bad++) {
        if (check(*bad) == NULL) {
            fail_msg("'%s' should be refused", *bad);
        }
    }
}

static void a_url_has_a_known_scheme_and_what_belongs_behind_it(void **state)
{
    static const char *const good[] = { "ipc:///run/mxadm/mxadmd.sock",
                                        "tcp://127.0.0.1:5000",
                                        "tcp://[::1]:5000",
                                        "tcp://127.0.0.1:0",
                                        "tcp://192.0.2.1:65535",
                                        "abstract://mxadm",
                                        "inproc://mxadm",
                                        "ipc:///" X60 X10 X10 X10 X10 "123456",
                                        NULL };
    static const char *const bad[] = { "",
                                       "/run/mxadm/mxadmd.sock",
                                       "http://127.0.0.1:80",
                                       "tls+tcp://127.0.0.1:5000",
                                       "IPC:///run/x",
                                       "ipc://run/x",
                                       "ipc://",
                                       "ipc:///" X60 X10 X10 X10 X10 "1234567",
                                       "tcp://",
                                       "tcp://localhost:5000",
                                       "tcp://127.0.0.1",
                                       "tcp://127.0.0.1:",
                                       "tcp://127.0.0.1:65536",
                                       "tcp://127.0.0.1:http",
                                       "tcp://127.1:5000",
                                       "tcp://::1:5000",
                                       "tcp://[::1]5000",
                                       "tcp://[127.0.0.1]:5000",
                                       "tcp://*:5000",
                                       "abstract://",
                                       "inproc://",
                                       "abstract://" X60 X60,
                                       NULL };

    (void) state;
    expect(check_url, good, bad);
}

static void only_tcp_off_loopback_is_remote(void **state)
{
    (void) state;
    assert_false(check_url_is_remote("ipc:///run/x"));
    assert_false(check_url_is_remote("tcp://127.0.0.1:1"));
    assert_false(check_url_is_remote("tcp://127.255.0.1:1"));
    assert_false(check_url_is_remote("tcp://[::1]:1"));
    assert_true(check_url_is_remote("tcp://0.0.0.0:1"));
    assert_true(check_url_is_remote("tcp://[::]:1"));
    assert_true(check_url_is_remote("tcp://192.0.2.1:1"));
    assert_true(check_url_is_remote("tcp://[::ffff:127.0.0.1]:1"));
}

static void a_host_name_is_lower_case_labels(void **state)
{
    static const char *const good[] = { "localhost",
                                        "mail.example.org",
                                        "a-b.example",
                                        "1.example",
                                        "m\xc3\xbcller.example",
                                        "xn--mller-kva.example",
                                        X60 "xxx.example",
                                        NULL };
    static const char *const bad[] = { "",
                                       ".",
                                       "mail..example",
                                       ".example",
                                       "example.",
                                       "-a.example",
                                       "a-.example",
                                       "Mail.example",
                                       "a_b.example",
                                       "a b",
                                       "192.0.2.10",
                                       "2001:db8::10",
                                       "http://example.org",
                                       X60 "xxxx.example",
                                       X60 "." X60 "." X60 "." X60 "." X10,
                                       NULL };

    (void) state;
    expect(check_host_name, good, bad);
}

static void an_ip_is_an_address_of_either_family(void **state)
{
    static const char *const good[] = { "192.0.2.10", "2001:db8::10", "::", NULL };
    static const char *const bad[] = { "",          "192.0.2",   "192.0.2.256", "192.0.2.0/24",
                                       "2001:db8:", "localhost", NULL };

    (void) state;
    expect(check_ip, good, bad);
}

static void a_digest_is_64_hexadecimal_digits(void **state)
{
    static const char *const good[] = {
        "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef", NULL
    };
    static const char *const bad[] = {
        "", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeff",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg", NULL
    };

    (void) state;
    expect(check_sha256, good, bad);
}

static void a_localpart_is_ascii_without_quotes(void **state)
{
    static const char *const good[] = { "tls-reports", "a.b", "a+b", NULL };
    static const char *const bad[] = { "",          ".a",    "a.",          "a..b",
                                       "a b",       "\"a\"", "t\xc3\xbcls", "a@example.org",
                                       X60 X60 X10, NULL };

    (void) state;
    expect(check_localpart, good, bad);
}

static void paths_are_absolute_and_names_are_not_empty_or_endless(void **state)
{
    static const char *const paths[] = { "/", "/var/lib/mxadm", NULL };
    static const char *const no_paths[] = { "", "var/lib", "./x", "~/x", NULL };
    static const char *const names[] = { "alice", "Inbox/Archive", "m\xc3\xbcller", NULL };
    static const char *const no_names[] = { "", X60 X60 X10, NULL };

    (void) state;
    expect(check_absolute_path, paths, no_paths);
    expect(check_name, names, no_names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_has_a_known_scheme_and_what_belongs_behind_it),
        cmocka_unit_test(only_tcp_off_loopback_is_remote),
        cmocka_unit_test(a_host_name_is_lower_case_labels),
        cmocka_unit_test(an_ip_is_an_address_of_either_family),
        cmocka_unit_test(a_digest_is_64_hexadecimal_digits),
        cmocka_unit_test(a_localpart_is_ascii_without_quotes),
        cmocka_unit_test(paths_are_absolute_and_names_are_not_empty_or_endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
