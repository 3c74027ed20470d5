/* What a settings file means, and what is said about one that is wrong. */
#include "settings/settings.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Parses what must be good. */
static struct settings *parsed(const char *text)
{
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;

    if (settings_parse(text, strlen(text), "f.yaml", &settings, &problems, &err) != MX_OK) {
        fail_msg("refused:\n%s", problems.text == NULL ? err.message : problems.text);
    }
    assert_null(problems.text);
    assert_int_equal(problems.count, 0);
    return settings;
}

/* Parses what must be refused with exactly these lines; NULL behind the last. */
static void refused_len(const char *text, size_t len, const char *const *lines)
{
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;
    const char *rest;
    size_t count = 0;

    assert_int_equal(settings_parse(text, len, "f.yaml", &settings, &problems, &err),
                     MX_INVALID_ARGUMENT);
    assert_null(settings);
    assert_non_null(problems.text);
    rest = problems.text;
    for (; lines[count] != NULL; count++) {
        size_t line_len = strlen(lines[count]);

        if (strncmp(rest, lines[count], line_len) != 0 || rest[line_len] != '\n') {
            fail_msg("expected line %zu to be\n%s\nbut all is\n%s", count + 1, lines[count],
                     problems.text);
        }
        rest += line_len + 1;
    }
    assert_string_equal(rest, "");
    assert_int_equal(problems.count, count);
    assert_string_equal(err.message, lines[0]);
    assert_int_equal(err.code, MX_INVALID_ARGUMENT);
    settings_problems_fini(&problems);
}

static void refused(const char *text, const char *line)
{
    const char *const lines[] = { line, NULL };

    refused_len(text, strlen(text), lines);
}

static void an_empty_file_is_all_defaults(void **state)
{
    static const char *const empty[] = {
        "", "# nothing\n", "---\n", "{}", "limits:\nkeys:\n", "listeners:\naccess:\n  principals:\n"
    };

    (void) state;
    for (size_t i = 0; i < COUNT(empty); i++) {
        struct settings *settings = parsed(empty[i]);

        assert_int_equal(settings->url_count, 1);
        assert_string_equal(settings->urls[0], "ipc:///run/mxadm/mxadmd.sock");
        assert_string_equal(settings->state_directory, "/var/lib/mxadm");
        assert_false(settings->allow_remote_tcp);
        assert_int_equal(settings->limits.message_bytes, 4 * 1024 * 1024);
        assert_int_equal(settings->limits.default_timeout_ms, 30000);
        assert_int_equal(settings->limits.send_timeout_ms, 2000);
        assert_int_equal(settings->limits.idle_timeout_ms, 600000);
        assert_int_equal(settings->history.request_id_keep_ms, 24 * 3600 * 1000);
        assert_int_equal(settings->history.changes_keep, 1000000);
        assert_int_equal(settings->history.changes_keep_ms, 0);
        assert_int_equal(settings->keys.rsa2048.low, 32);
        assert_int_equal(settings->keys.rsa2048.high, 64);
        assert_int_equal(settings->access.loopback_role, SETTINGS_ROLE_VIEWER);
        assert_int_equal(settings->log.level, LOG_INFO);
        assert_false(settings->log.json);
        assert_int_equal(settings->listener_count, 0);
        assert_int_equal(settings->access.principal_count, 0);
        assert_null(settings->postmaster.account);
        settings_free(settings);
    }
}

static void what_the_machine_decides_is_its_name_and_its_cores(void **state)
{
    struct settings *settings = parsed("");
    char name[256] = "";

    (void) state;
    assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
    assert_int_equal(strcasecmp(settings->host_name, name), 0);
    assert_int_equal(settings->keys.threads, sysconf(_SC_NPROCESSORS_ONLN));
    settings_free(settings);
}

static void no_file_is_all_defaults(void **state)
{
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;

    (void) state;
    assert_int_equal(settings_load(NULL, &settings, &problems, &err), MX_OK);
    assert_string_equal(settings->state_directory, "/var/lib/mxadm");
    settings_free(settings);
}

static void a_default_leaves_in_flight_calls_to_others(void **state)
{
    struct settings *settings = parsed("");

    (void) state;
    assert_true(settings->limits.in_flight_per_principal < settings->limits.contexts);
    settings_free(settings);
}

static void every_kind_of_value_arrives(void **state)
{
    struct settings *settings =
        parsed("urls: [ipc:///tmp/a.sock, 'tcp://127.0.0.1:5000']\n"
               "state_directory: \"/tmp/state\"\n"
               "host_name: mail.example.org\n"
               "transports: [relay, smart]\n"
               "keys: {threads: 3, ed25519: {low: 1, high: 2}, group: mail, directory: /tmp/k}\n"
               "limits:\n  message_bytes: 512KiB\n  contexts: 300\n  send_timeout: 250ms\n"
               "history: {changes_keep: 0, changes_keep_age: 720h}\n"
               "access:\n  loopback_role: administrator\n  loopback_key_reader: true\n"
               "log: {level: debug, form: json}\n");

    (void) state;
    assert_int_equal(settings->url_count, 2);
    assert_string_equal(settings->urls[0], "ipc:///tmp/a.sock");
    assert_string_equal(settings->urls[1], "tcp://127.0.0.1:5000");
    assert_string_equal(settings->state_directory, "/tmp/state");
    assert_string_equal(settings->host_name, "mail.example.org");
    assert_int_equal(settings->transport_count, 2);
    assert_string_equal(settings->transports[1], "smart");
    assert_int_equal(settings->keys.threads, 3);
    assert_int_equal(settings->keys.ed25519.low, 1);
    assert_int_equal(settings->keys.ed25519.high, 2);
    assert_string_equal(settings->keys.group, "mail");
    assert_int_equal(settings->limits.message_bytes, 512 * 1024);
    assert_int_equal(settings->limits.contexts, 300);
    assert_int_equal(settings->limits.send_timeout_ms, 250);
    assert_int_equal(settings->history.changes_keep, 0);
    assert_int_equal(settings->history.changes_keep_ms, (int64_t) 720 * 3600 * 1000);
    assert_int_equal(settings->access.loopback_role, SETTINGS_ROLE_ADMINISTRATOR);
    assert_true(settings->access.loopback_key_reader);
    assert_int_equal(settings->log.level, LOG_DEBUG);
    assert_true(settings->log.json);
    /* What the file does not say stays. */
    assert_int_equal(settings->limits.in_flight_per_principal, 192);
    settings_free(settings);
}

static void listeners_are_named_and_keep_the_order_of_the_file(void **state)
{
    struct settings *settings =
        parsed("listeners:\n"
               "  public:\n    smtp: true\n    mta_sts: true\n    host_name: mx.example.org\n"
               "    ips: [192.0.2.10, '2001:db8::10']\n    nat_ips: [198.51.100.1]\n"
               "    tlsa_sha256: "
               "[0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef]\n"
               "  inside:\n    web: true\n    ips_nated: true\n");
    const struct settings_listener *listener = settings->listeners;

    (void) state;
    assert_int_equal(settings->listener_count, 2);
    assert_string_equal(listener[0].name, "public");
    assert_string_equal(listener[0].host_name, "mx.example.org");
    assert_true(listener[0].smtp);
    assert_true(listener[0].mta_sts);
    assert_false(listener[0].web);
    assert_int_equal(listener[0].ip_count, 2);
    assert_string_equal(listener[0].ips[1], "2001:db8::10");
    assert_int_equal(listener[0].nat_ip_count, 1);
    assert_string_equal(listener[0].nat_ips[0], "198.51.100.1");
    assert_int_equal(listener[0].tlsa_count, 1);
    assert_string_equal(listener[1].name, "inside");
    assert_null(listener[1].host_name);
    assert_true(listener[1].web);
    assert_true(listener[1].ips_nated);
    assert_false(listener[1].smtp);
    settings_free(settings);
}

static void principals_are_users_by_name_or_uid(void **state)
{
    struct settings *settings =
        parsed("access:\n  principals:\n"
               "    root: {role: none}\n"
               "    \"4000000000\": {role: domain_administrator, domains: [example.org]}\n"
               "    1001: {role: administrator, key_reader: true}\n");
    const struct settings_principal *principal = settings->access.principals;

    (void) state;
    assert_int_equal(settings->access.principal_count, 3);
    assert_int_equal(principal[0].uid, 0);
    assert_int_equal(principal[0].role, SETTINGS_ROLE_NONE);
    assert_int_equal(principal[1].uid, 4000000000);
    assert_int_equal(principal[1].role, SETTINGS_ROLE_DOMAIN_ADMINISTRATOR);
    assert_int_equal(principal[1].domain_count, 1);
    assert_string_equal(principal[1].domains[0], "example.org");
    assert_false(principal[1].key_reader);
    assert_true(principal[2].key_reader);
    settings_free(settings);
}

static void all_problems_are_told_at_once_in_the_order_of_the_file(void **state)
{
    static const char text[] = "limits:\n"
                               "  in_flight_per_principal: 256\n"
                               "  contexts: 0\n"
                               "urls: [ipc:///a, http://b]\n"
                               "nonsense: 1\n"
                               "log: {level: loud}\n";
    static const char *const lines[] = {
        "f.yaml:2:28: limits.in_flight_per_principal: in_flight_per_principal (256) is not lower "
        "than contexts (256): one user could keep all others out",
        "f.yaml:3:13: limits.contexts: '0' is not a whole number from 2 to 4096 (calls served at "
        "once)",
        "f.yaml:4:18: urls[1]: 'http://b' begins with none of ipc://, tcp://, abstract://, "
        "inproc://",
        "f.yaml:5:1: nonsense: there is no such key",
        "f.yaml:6:14: log.level: 'loud' is not one of 'debug', 'info', 'warning', 'error' (least "
        "level logged)",
        NULL,
    };

    (void) state;
    refused_len(text, strlen(text), lines);
}

static void an_unknown_key_suggests_what_was_meant(void **state)
{
    (void) state;
    refused("limits:\n  contxets: 5\n",
            "f.yaml:2:3: limits.contxets: there is no such key; did you mean 'limits.contexts'?");
    refused("contexts: 5\n",
            "f.yaml:1:1: contexts: there is no such key; did you mean 'limits.contexts'?");
    refused("listeners: {public: {smpt: true}}\n",
            "f.yaml:1:22: listeners.public.smpt: there is no such key; did you mean 'smtp'?");
    refused("a: 5\n", "f.yaml:1:1: a: there is no such key");
    refused("limits.contexts: 5\n", "f.yaml:1:1: limits.contexts: there is no such key");
    refused("<<: {}\n", "f.yaml:1:1: <<: there is no such key");
}

static void a_key_given_twice_is_refused(void **state)
{
    (void) state;
    refused("host_name: a.example\nhost_name: b.example\n",
            "f.yaml:2:1: host_name: is given twice, first in line 1");
    refused("log: {level: info}\n\nlog: {form: text}\n",
            "f.yaml:3:1: log: is given twice, first in line 1");
    refused("listeners:\n  public: {smtp: true}\n  public: {smtp: false}\n",
            "f.yaml:3:3: listeners.public: is given twice");
    refused("access: {principals: {root: {role: none}, 0: {role: viewer}}}\n",
            "f.yaml:1:43: access.principals: '0' is uid 0, which is given already");
    refused("transports: [a, b, a]\n", "f.yaml:1:20: transports[2]: 'a' is given twice");
}

static void a_value_of_the_wrong_type_is_refused(void **state)
{
    (void) state;
    refused("limits: 5\n", "f.yaml:1:9: limits: is a text, not a section (a map of keys) (what "
                           "clients may use up)");
    refused("urls: ipc:///a\n",
            "f.yaml:1:7: urls: is a text, not a list (where the daemon listens)");
    refused("urls: [[ipc:///a]]\n",
            "f.yaml:1:8: urls[0]: is not a text (where the daemon listens)");
    refused("host_name: [a]\n", "f.yaml:1:12: host_name: is a list, not a text (name of the mail "
                                "host, in MX records and default client settings)");
    refused("limits: {group: \"5\"}\n", "f.yaml:1:17: limits.group: is a text in quotes, not a "
                                        "whole number from 1 to 4096 (changes in one commit)");
    refused("listeners: [public]\n", "f.yaml:1:12: listeners: is a list, not a map of names, each "
                                     "with its keys (the mail hosts' listeners, by name)");
    refused("listeners: {public: 25}\n", "f.yaml:1:21: listeners.public: is not a map of keys");
    refused("listeners: {public: {smtp: yes}}\n",
            "f.yaml:1:28: listeners.public.smtp: 'yes' is not true or false (receives and sends "
            "mail; its addresses are in SPF records)");
    refused("state_directory:\n", "f.yaml:1:17: state_directory: has no value; leave the key out "
                                  "for its default");
    refused("- a\n", "f.yaml:1:1: is not a map of keys");
    refused("{[a]: b}\n", "f.yaml:1:2: a key must be a text");
}

static void a_value_out_of_its_range_is_refused(void **state)
{
    (void) state;
    refused("limits: {contexts: 4097}\n", "f.yaml:1:20: limits.contexts: '4097' is not a whole "
                                          "number from 2 to 4096 (calls served at once)");
    refused("limits: {contexts: -1}\n", "f.yaml:1:20: limits.contexts: '-1' is not a whole "
                                        "number from 2 to 4096 (calls served at once)");
    refused("limits: {message_bytes: 65MiB}\n",
            "f.yaml:1:25: limits.message_bytes: '65MiB' is not a size from 64KiB to 64MiB, such as "
            "512KiB or 4MiB (largest request)");
    refused("limits: {default_timeout: 30}\n",
            "f.yaml:1:27: limits.default_timeout: '30' is not a duration from 100ms to 1h, such as "
            "250ms, 30s, 5m or 24h (deadline of a call that names none)");
    refused("urls: []\n", "f.yaml:1:7: urls: has 0 elements; it takes from 1 to 16 (where the "
                          "daemon listens)");
}

static void a_text_of_bad_form_is_refused(void **state)
{
    (void) state;
    refused("state_directory: var\n",
            "f.yaml:1:18: state_directory: 'var' is not an absolute path");
    refused("host_name: Mail.example\n",
            "f.yaml:1:12: host_name: 'Mail.example' is not a host name in lower case");
    refused("listeners: {a: {ips: [192.0.2.1, 192.0.2]}}\n",
            "f.yaml:1:34: listeners.a.ips[1]: '192.0.2' is not an IP address");
    refused("access: {loopback_role: root}\n",
            "f.yaml:1:25: access.loopback_role: 'root' is not one of 'none', 'viewer', "
            "'domain_administrator', 'administrator' (what callers over tcp, abstract and inproc "
            "urls may do)");
    refused("access: {principals: {no-such-user-here: {role: viewer}}}\n",
            "f.yaml:1:23: access.principals: 'no-such-user-here' is not a user of this machine");
    refused("access: {principals: {4294967295: {role: viewer}}}\n",
            "f.yaml:1:23: access.principals: '4294967295' is neither a user's name nor a uid");
}

static void tcp_beyond_loopback_needs_the_sentence(void **state)
{
    struct settings *settings;

    (void) state;
    refused("urls: [ipc:///a, tcp://192.0.2.1:5000]\n",
            "f.yaml:1:18: urls[1]: 'tcp://192.0.2.1:5000' is not on loopback; tcp is neither "
            "encrypted nor authenticated, see allow_remote_tcp");
    refused("allow_remote_tcp: true\n",
            "f.yaml:1:19: allow_remote_tcp: 'true' is not 'i understand that tcp is neither "
            "encrypted nor authenticated' (lets tcp urls be on addresses that other machines "
            "reach)");
    settings = parsed("urls: [tcp://192.0.2.1:5000]\nallow_remote_tcp: i understand that tcp is "
                      "neither encrypted nor authenticated\n");
    assert_true(settings->allow_remote_tcp);
    settings_free(settings);
}

static void keys_that_need_each_other_are_checked_together(void **state)
{
    (void) state;
    refused("postmaster: {account: alice}\n", "f.yaml:1:1: postmaster.mailbox: is missing; the "
                                              "keys of 'postmaster' go together");
    refused("limits: {contexts: 192}\n",
            "f.yaml:1:20: limits.contexts: in_flight_per_principal (192) is not lower than "
            "contexts (192): one user could keep all others out");
    refused("limits: {change_queue: 255}\n",
            "f.yaml:1:24: limits.change_queue: group (256) is above change_queue (255): no group "
            "would ever be full");
    refused("keys: {rsa2048: {low: 65}}\n",
            "f.yaml:1:23: keys.rsa2048.low: low (65) is above high (64)");
    refused("keys: {rsa4096: {high: 2}}\n",
            "f.yaml:1:24: keys.rsa4096.high: low is 0 and high 2, so that no key would ever be "
            "made in advance; give both or neither");
    refused("keys: {group: mail}\n",
            "f.yaml:1:15: keys.group: is of no use without keys.directory");
    refused("listeners: {a: {ips_nated: true, nat_ips: [192.0.2.1]}}\n",
            "f.yaml:1:28: listeners.a.ips_nated: says that the outer addresses are unknown, but "
            "nat_ips has 1");
    refused("access: {loopback_role: domain_administrator}\n",
            "f.yaml:1:25: access.loopback_role: a domain_administrator has domains, which only "
            "principals can have");
    refused("access: {principals: {root: {}}}\n",
            "f.yaml:1:23: access.principals.root: 'role' is missing (what the user may do)");
    refused("access: {principals: {root: {role: domain_administrator}}}\n",
            "f.yaml:1:36: access.principals.root.role: a domain_administrator needs at least one "
            "domain");
    refused("access: {principals: {root: {role: viewer, domains: [a.example]}}}\n",
            "f.yaml:1:53: access.principals.root.domains: only a domain_administrator has domains");
}

static void what_two_readers_may_read_differently_is_refused(void **state)
{
    static const char *const alias[] = {
        "f.yaml:1:13: anchors (&name) are not supported",
        "f.yaml:2:14: aliases (*name) are not supported",
        NULL,
    };
    static const char text[] = "transports: &a [x]\nacme_issuer: *a\n";

    (void) state;
    refused_len(text, strlen(text), alias);
    refused("host_name: !!str mail.example\n", "f.yaml:1:12: tags (!name) are not supported");
    refused("log: {level: info}\n---\nlog: {level: debug}\n",
            "f.yaml:2:1: a second document begins; the settings are one");
}

static void what_is_not_yaml_text_is_refused_with_its_place(void **state)
{
    static const char *const nul[] = { "f.yaml:1:14: not UTF-8 text: control characters are not "
                                       "allowed",
                                       NULL };
    static const char with_nul[] = "transports: [\0]\n";

    (void) state;
    refused("log: {level: info\n", "f.yaml:2:1: not YAML: did not find expected ',' or '}' while "
                                   "parsing a flow mapping");
    refused("host_name: a\n\xff\n", "f.yaml:2:1: not UTF-8 text: invalid leading UTF-8 octet");
    refused("transports: [\"a\\0b\"]\n", "f.yaml:1:14: the text has a control character in it");
    refused("transports: [\"a\\e[31m\"]\n", "f.yaml:1:14: the text has a control character in it");
    refused_len(with_nul, sizeof(with_nul) - 1, nul);
}

static void deep_nesting_and_long_lists_end_early(void **state)
{
    char text[16384] = "transports: [";
    size_t len = strlen(text);

    (void) state;
    refused("a: [[[[[[[[[[[[\n", "f.yaml:1:11: nested deeper than 8 levels");
    while (len < sizeof(text) - 8) {
        len += (size_t) sprintf(text + len, "a, ");
    }
    memcpy(text + len, "a]\n", 4);

    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;

    assert_int_equal(settings_parse(text, strlen(text), "f.yaml", &settings, &problems, &err),
                     MX_INVALID_ARGUMENT);
    assert_non_null(strstr(problems.text, "more than 1024 entries in one collection\n"));
    settings_problems_fini(&problems);
}

static void a_long_value_is_cut_in_its_message_between_characters(void **state)
{
    char text[512] = "acme_issuer: a";
    char line[512] = "f.yaml:1:14: acme_issuer: 'a";

    (void) state;
    /* Two bytes each behind an odd one: byte 80 is in the middle of a character. */
    for (int i = 0; i < 100; i++) {
        strcat(text, "\xc3\xa4");
    }
    for (int i = 0; i < 39; i++) {
        strcat(line, "\xc3\xa4");
    }
    strcat(line, "...' is not a host name: it has a label longer than 63 bytes");
    refused(text, line);
}

static void a_flood_of_problems_is_counted_and_cut(void **state)
{
    size_t size = 400 * 1024;
    char *text = calloc(1, size);
    size_t len = (size_t) sprintf(text, "transports:\n");
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;

    (void) state;
    for (int listener = 0; listener < 10; listener++) {
        len = listener == 0 ? (size_t) sprintf(text, "listeners:\n") : len;
        len += (size_t) sprintf(text + len, "  n%d:\n", listener);
        for (int i = 0; i < 1000; i++) {
            len += (size_t) sprintf(text + len, "    unknown_key_%d: 1\n", i);
        }
    }
    assert_int_equal(settings_parse(text, len, "f.yaml", &settings, &problems, &err),
                     MX_INVALID_ARGUMENT);
    assert_int_equal(problems.count, 10000);
    assert_true(strlen(problems.text) <= (size_t) 64 * 1024);
    assert_non_null(strstr(problems.text, "f.yaml:3:5: listeners.n0.unknown_key_0: "));
    assert_non_null(strstr(problems.text, "problems more\n"));
    settings_problems_fini(&problems);
    free(text);
}

/* Files of settings_load(). */

static char directory[64];

static int make_directory(void **state)
{
    (void) state;
    strcpy(directory, "/tmp/mxadm-settings-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    (void) state;
    return rmdir(directory);
}

static void a_file_is_read_and_named_in_its_problems(void **state)
{
    char path[128];
    char expected[256];
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;
    FILE *file;

    (void) state;
    (void) snprintf(path, sizeof(path), "%s/a.yaml", directory);
    file = fopen(path, "w");
    assert_non_null(file);
    (void) fputs("host_name: mail.example\nlog: {form: xml}\n", file);
    (void) fclose(file);
    assert_int_equal(settings_load(path, &settings, &problems, &err), MX_INVALID_ARGUMENT);
    (void) snprintf(expected, sizeof(expected),
                    "%s:2:13: log.form: 'xml' is not one of 'text', 'json' (form of a line)\n",
                    path);
    assert_string_equal(problems.text, expected);
    settings_problems_fini(&problems);

    file = fopen(path, "w");
    assert_non_null(file);
    (void) fputs("host_name: mail.example\n", file);
    (void) fclose(file);
    assert_int_equal(settings_load(path, &settings, &problems, &err), MX_OK);
    assert_string_equal(settings->host_name, "mail.example");
    settings_free(settings);
    assert_int_equal(unlink(path), 0);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    char path[128];
    char expected[256];
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;

    (void) state;
    (void) snprintf(path, sizeof(path), "%s/missing.yaml", directory);
    (void) snprintf(expected, sizeof(expected), "%s: cannot be read: No such file or directory",
                    path);
    assert_int_equal(settings_load(path, &settings, &problems, &err), MX_NOT_FOUND);
    assert_int_equal(err.code, MX_NOT_FOUND);
    assert_string_equal(err.message, expected);
    assert_int_equal(problems.count, 1);
    settings_problems_fini(&problems);

    assert_int_equal(settings_load(directory, &settings, &problems, &err), MX_INVALID_ARGUMENT);
    assert_non_null(strstr(problems.text, "cannot be read: Is a directory\n"));
    settings_problems_fini(&problems);
}

static void a_file_of_a_mebibyte_is_read_and_a_larger_one_refused(void **state)
{
    const size_t max = (size_t) 1024 * 1024;
    char path[128];
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;
    FILE *file;

    (void) state;
    (void) snprintf(path, sizeof(path), "%s/big.yaml", directory);
    file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < max; i++) {
        (void) fputc(i % 64 == 63 ? '\n' : '#', file);
    }
    (void) fclose(file);
    assert_int_equal(settings_load(path, &settings, &problems, &err), MX_OK);
    settings_free(settings);
    settings = NULL;

    file = fopen(path, "a");
    assert_non_null(file);
    (void) fputc('#', file);
    (void) fclose(file);
    assert_int_equal(settings_load(path, &settings, &problems, &err), MX_INVALID_ARGUMENT);
    assert_null(settings);
    assert_non_null(strstr(problems.text, "larger than 1 MiB"));
    settings_problems_fini(&problems);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_is_all_defaults),
        cmocka_unit_test(what_the_machine_decides_is_its_name_and_its_cores),
        cmocka_unit_test(no_file_is_all_defaults),
        cmocka_unit_test(a_default_leaves_in_flight_calls_to_others),
        cmocka_unit_test(every_kind_of_value_arrives),
        cmocka_unit_test(listeners_are_named_and_keep_the_order_of_the_file),
        cmocka_unit_test(principals_are_users_by_name_or_uid),
        cmocka_unit_test(all_problems_are_told_at_once_in_the_order_of_the_file),
        cmocka_unit_test(an_unknown_key_suggests_what_was_meant),
        cmocka_unit_test(a_key_given_twice_is_refused),
        cmocka_unit_test(a_value_of_the_wrong_type_is_refused),
        cmocka_unit_test(a_value_out_of_its_range_is_refused),
        cmocka_unit_test(a_text_of_bad_form_is_refused),
        cmocka_unit_test(tcp_beyond_loopback_needs_the_sentence),
        cmocka_unit_test(keys_that_need_each_other_are_checked_together),
        cmocka_unit_test(what_two_readers_may_read_differently_is_refused),
        cmocka_unit_test(what_is_not_yaml_text_is_refused_with_its_place),
        cmocka_unit_test(deep_nesting_and_long_lists_end_early),
        cmocka_unit_test(a_long_value_is_cut_in_its_message_between_characters),
        cmocka_unit_test(a_flood_of_problems_is_counted_and_cut),
        cmocka_unit_test(a_file_is_read_and_named_in_its_problems),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(a_file_of_a_mebibyte_is_read_and_a_larger_one_refused),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
