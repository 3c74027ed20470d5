/*
 * Records of a domain, rule by rule of mox-behaviour section 6; and a real
 * server's parser reads the zone: nsd-checkzone, whose path is the argument.
 */
#include "names_fixture.h"

#include "model/dns.h"
#include "model/names.h"
#include "settings/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *nsd_checkzone;

#define DIGEST_1 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"
#define DIGEST_2 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define ED25519  "v=DKIM1;h=sha256;k=ed25519;p=MCowBQYDK2VwAyEA"
#define ACTIVE   MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE
#define PENDING  MXADM__V1__DKIM_SELECTOR__STATE__STATE_PENDING
#define RETIRING MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRING
#define RETIRED  MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRED

/* A domain with everything, at a host with everything; tests take away and change. */
struct fixture {
    struct arena *arena;
    Mxadm__V1__Domain domain;
    Mxadm__V1__ReportAddress dmarc;
    Mxadm__V1__ReportAddress tlsrpt;
    Mxadm__V1__MtaSts mta_sts;
    Mxadm__V1__DkimSelector records[4];
    struct dns_selector selectors[4];
    struct settings settings;
    struct settings_listener listeners[2];
    const char *ips[8];
    const char *tlsa[2];
    struct dns_input input;
    struct dns_records out;
    struct mx_error err;
};

static void set_selector(struct fixture *f, size_t i, char *name, char *ascii, int state)
{
    mxadm__v1__dkim_selector__init(&f->records[i]);
    f->records[i].name = name;
    f->records[i].ascii_name = ascii;
    f->records[i].state = (Mxadm__V1__DkimSelector__State) state;
    f->selectors[i].record = &f->records[i];
    f->selectors[i].text = state == RETIRED ? "v=DKIM1;h=sha256;k=ed25519;p=" : ED25519;
}

static void set_domain(struct fixture *f)
{
    mxadm__v1__domain__init(&f->domain);
    mxadm__v1__report_address__init(&f->dmarc);
    mxadm__v1__report_address__init(&f->tlsrpt);
    mxadm__v1__mta_sts__init(&f->mta_sts);
    f->domain.name = f->domain.ascii_name = (char *) "d.example";
    f->domain.client_settings_domain = (char *) "mail.d.example";
    f->dmarc.localpart = (char *) "dmarcreports";
    f->tlsrpt.localpart = (char *) "tlsreports";
    f->mta_sts.policy_id = (char *) "20240102T030405";
    f->mta_sts.mode = MXADM__V1__MTA_STS__MODE__MODE_ENFORCE;
    f->domain.dmarc = &f->dmarc;
    f->domain.tlsrpt = &f->tlsrpt;
    f->domain.mta_sts = &f->mta_sts;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->arena = arena_create(ARENA_LIMIT);
    set_domain(f);
    set_selector(f, 0, (char *) "2024a", (char *) "2024a", ACTIVE);
    set_selector(f, 1, (char *) "2024b", (char *) "2024b", PENDING);
    f->ips[0] = "192.0.2.1";
    f->ips[1] = "2001:db8::1";
    f->tlsa[0] = DIGEST_1;
    f->tlsa[1] = DIGEST_2;
    f->listeners[0] = (struct settings_listener){
        .name = "public",
        .smtp = true,
        .ips = f->ips,
        .ip_count = 2,
        .tlsa_sha256 = f->tlsa,
        .tlsa_count = 2,
    };
    f->settings.host_name = "host.example";
    f->settings.listeners = f->listeners;
    f->settings.listener_count = 1;
    f->settings.host_tls_reports.localpart = "tls-reports";
    f->settings.acme_issuer = "letsencrypt.org";
    f->input = (struct dns_input){
        .domain = &f->domain,
        .selectors = f->selectors,
        .selector_count = 2,
        .settings = &f->settings,
        .dnssec = true,
        .acme_account_uri = "https://ca.example/acct/1",
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    arena_destroy(f->arena);
    free(f);
    return 0;
}

static void make(struct fixture *f)
{
    if (dns_records(f->arena, &f->input, &f->out, &f->err) != MX_OK) {
        fail_msg("%s", f->err.message);
    }
}

/* The `nth` record (from 0) of this name and type; NULL: there is none. */
static const Mxadm__V1__DnsRecord *find_nth(struct fixture *f, const char *name, const char *type,
                                            size_t nth)
{
    for (size_t i = 0; i < f->out.count; i++) {
        const Mxadm__V1__DnsRecord *record = f->out.records[i];

        if (strcmp(record->name, name) == 0 && strcmp(record->type, type) == 0 && nth-- == 0) {
            return record;
        }
    }
    return NULL;
}

static void assert_record(struct fixture *f, const char *name, const char *type, const char *data)
{
    const Mxadm__V1__DnsRecord *record = find_nth(f, name, type, 0);

    if (record == NULL) {
        fail_msg("there is no %s %s in\n%s", name, type, f->out.zone);
    }
    assert_string_equal(record->data, data);
    assert_int_equal(record->ttl, 300);
    assert_false(record->optional);
    assert_true(record->comment[0] != '\0');
    assert_null(find_nth(f, name, type, 1));
}

static void assert_no_record(struct fixture *f, const char *name, const char *type)
{
    const Mxadm__V1__DnsRecord *record = find_nth(f, name, type, 0);

    if (record != NULL) {
        fail_msg("%s %s is there: %s", name, type, record->data);
    }
}

/* ---------------------------------------------------------------- nsd */

/* Writes the zone of the root, so that no record is out of it, with what a zone needs. */
static void write_zone(const char *path, const char *zone, bool optional_too)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fprintf(file, ". 300 IN SOA ns.test. hostmaster.test. 1 2 3 4 5\n. 300 IN NS ns.test.\n");
    while (*zone != '\0') {
        size_t len = strcspn(zone, "\n") + 1;
        size_t skip = optional_too && strncmp(zone, ";; ", 3) == 0 ? 3 : 0;

        fwrite(zone + skip, 1, len - skip, file);
        zone += len;
    }
    assert_int_equal(fclose(file), 0);
}

static int run_checkzone(const char *path, const char *output)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (freopen(output, "w", stdout) == NULL || dup2(1, 2) < 0) {
            _exit(126);
        }
        execl(nsd_checkzone, nsd_checkzone, "-p", ".", path, (char *) NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static char *slurp(struct arena *arena, const char *path)
{
    enum { SIZE = 65536 };
    char *text = arena_alloc(arena, SIZE);
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, SIZE - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

/* What nsd prints of the zone that it has read; the test fails if it does not like it. */
static char *checked(struct fixture *f, bool optional_too)
{
    char directory[] = "/tmp/mxadm-dns-XXXXXX";
    const char *path, *output;
    char *printed;
    int status;

    assert_non_null(mkdtemp(directory));
    path = arena_printf(f->arena, "%s/zone", directory);
    output = arena_printf(f->arena, "%s/out", directory);
    write_zone(path, f->out.zone, optional_too);
    status = run_checkzone(path, output);
    printed = slurp(f->arena, output);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(output), 0);
    assert_int_equal(rmdir(directory), 0);
    if (status != 0 || strstr(printed, "error") != NULL || strstr(printed, "warning") != NULL) {
        fail_msg("nsd-checkzone says %d: %s\nof\n%s", status, printed, f->out.zone);
    }
    return printed;
}

static void assert_printed(const char *printed, const char *what)
{
    if (strstr(printed, what) == NULL) {
        fail_msg("nsd has not read \"%s\" but\n%s", what, printed);
    }
}

/* ---------------------------------------------------------------- Rules */

static void rule_6_1_01_the_zone_starts_with_comments_and_a_short_ttl(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_int_equal(strncmp(f->out.zone, "; ", 2), 0);
    assert_non_null(strstr(f->out.zone, "\n$TTL 300\n\n"));
}

static void rule_6_2_01_tlsa_of_the_host_is_a_suggestion_without_dnssec(void **state)
{
    struct fixture *f = *state;
    const Mxadm__V1__DnsRecord *record;

    make(f);
    record = find_nth(f, "_25._tcp.host.example", "TLSA", 0);
    assert_non_null(record);
    assert_false(record->optional);
    assert_string_equal(record->data,
                        "3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    record = find_nth(f, "_25._tcp.host.example", "TLSA", 1);
    assert_string_equal(record->data, "3 1 1 " DIGEST_2);

    f->input.dnssec = false;
    make(f);
    record = find_nth(f, "_25._tcp.host.example", "TLSA", 0);
    assert_true(record->optional);
    assert_non_null(strstr(f->out.zone, "\n;; _25._tcp.host.example. TLSA 3 1 1 0123"));
    assert_null(strstr(f->out.zone, "\n_25._tcp"));
    assert_null(strstr(checked(f, false), "TLSA"));
}

static void a_tls_key_is_pinned_once_and_only_under_the_name_that_mx_leads_to(void **state)
{
    struct fixture *f = *state;

    f->settings.listener_count = 2;
    f->listeners[1] = f->listeners[0];
    f->listeners[1].host_name = "HOST.example";
    make(f);
    assert_null(find_nth(f, "_25._tcp.host.example", "TLSA", 2));

    f->listeners[0].host_name = f->listeners[1].host_name = "other.example";
    make(f);
    assert_no_record(f, "_25._tcp.host.example", "TLSA");
    assert_no_record(f, "_25._tcp.other.example", "TLSA");

    f->listeners[0].host_name = NULL;
    f->listeners[0].smtp = false;
    make(f);
    assert_no_record(f, "_25._tcp.host.example", "TLSA");
}

static void rule_6_3_01_spf_of_the_host_unless_it_is_the_domain(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "host.example", "TXT", "v=spf1 a -all");
    f->settings.host_name = "d.example";
    make(f);
    assert_record(f, "d.example", "TXT", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 mx ~all");
    checked(f, true);
}

static void rule_6_3_02_tls_reports_of_the_host_if_they_have_an_address(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "_smtp._tls.host.example", "TXT",
                  "v=TLSRPTv1; rua=mailto:tls-reports@host.example");
    f->settings.host_tls_reports.localpart = NULL;
    make(f);
    assert_no_record(f, "_smtp._tls.host.example", "TXT");
}

static void rule_6_4_01_mail_goes_to_the_host(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "d.example", "MX", "10 host.example.");
    f->domain.disabled = true;
    make(f);
    assert_record(f, "d.example", "MX", "10 host.example.");
}

static void rule_6_5_01_spf_names_public_addresses_once_in_the_order_of_the_settings(void **state)
{
    struct fixture *f = *state;
    static const char *const skipped[] = {
        "0.0.0.0",
        "127.0.0.1",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.1.1",
        "100.127.255.255",
        "255.255.255.255",
        "::",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:127.0.0.1",
        "ff02::1",
    };
    static const char *const kept[] = { "172.15.255.255", "172.32.0.1", "100.128.0.1", "11.0.0.0",
                                        "192.169.0.1" };
    const char *nat[] = { "198.51.100.7" };

    f->listeners[0].ip_count = 1;
    for (size_t i = 0; i < COUNT(skipped); i++) {
        f->ips[0] = skipped[i];
        make(f);
        assert_record(f, "d.example", "TXT", "v=spf1 mx ~all");
    }
    for (size_t i = 0; i < COUNT(kept); i++) {
        f->ips[0] = kept[i];
        make(f);
        assert_record(f, "d.example", "TXT",
                      arena_printf(f->arena, "v=spf1 ip4:%s mx ~all", kept[i]));
    }

    f->ips[0] = "203.0.113.10";
    f->ips[1] = "203.0.113.1";
    f->ips[2] = "2001:DB8:0::1";
    f->ips[3] = "::ffff:203.0.113.1";
    f->ips[4] = "2001:db8::1";
    f->listeners[0].ip_count = 5;
    f->listeners[1] = (struct settings_listener){
        .name = "z", .smtp = true, .ips = f->ips, .ip_count = 5, .nat_ips = nat, .nat_ip_count = 1
    };
    f->settings.listener_count = 2;
    make(f);
    assert_record(f, "d.example", "TXT",
                  "v=spf1 ip4:203.0.113.10 ip4:203.0.113.1 ip6:2001:db8::1 ip4:198.51.100.7 mx "
                  "~all");

    f->listeners[0].ips_nated = true;
    f->listeners[1].smtp = false;
    make(f);
    assert_record(f, "d.example", "TXT", "v=spf1 mx ~all");
}

static void rule_6_6_01_every_selector_is_published_whether_it_signs_or_not(void **state)
{
    struct fixture *f = *state;
    static const char *const comments[] = { "DKIM: selector a signs.", "does not sign yet",
                                            "signs no longer", "is revoked" };

    set_selector(f, 0, (char *) "a", (char *) "a", ACTIVE);
    set_selector(f, 1, (char *) "b.sub", (char *) "b.sub", PENDING);
    set_selector(f, 2, (char *) "c", (char *) "c", RETIRING);
    set_selector(f, 3, (char *) "d", (char *) "d", RETIRED);
    f->input.selector_count = 4;
    make(f);
    assert_record(f, "a._domainkey.d.example", "TXT", ED25519);
    assert_record(f, "b.sub._domainkey.d.example", "TXT", ED25519);
    assert_record(f, "c._domainkey.d.example", "TXT", ED25519);
    assert_record(f, "d._domainkey.d.example", "TXT", "v=DKIM1;h=sha256;k=ed25519;p=");
    for (size_t i = 0; i < COUNT(comments); i++) {
        assert_non_null(strstr(f->out.zone, comments[i]));
    }
    f->input.selector_count = 0;
    make(f);
    assert_null(strstr(f->out.zone, "_domainkey"));
}

static void rule_6_6_04_idna_names_are_ascii_everywhere(void **state)
{
    struct fixture *f = *state;

    f->domain.name = (char *) "bücher.example";
    f->domain.ascii_name = (char *) "xn--bcher-kva.example";
    f->domain.client_settings_domain = (char *) "mail.bücher.example";
    f->dmarc.domain = (char *) "faß.de";
    f->tlsrpt.domain = (char *) "faß.de";
    f->settings.host_name = "höst.example";
    set_selector(f, 0, (char *) "ä", (char *) "xn--4ca", ACTIVE);
    make(f);
    assert_true(name_is_ascii(f->out.zone));
    assert_record(f, "xn--bcher-kva.example", "MX", "10 xn--hst-sna.example.");
    assert_record(f, "xn--4ca._domainkey.xn--bcher-kva.example", "TXT", ED25519);
    assert_record(f, "_dmarc.xn--bcher-kva.example", "TXT",
                  "v=DMARC1;p=reject;rua=mailto:dmarcreports@xn--fa-hia.de!10m");
    assert_record(f, "_smtp._tls.xn--bcher-kva.example", "TXT",
                  "v=TLSRPTv1; rua=mailto:tlsreports@xn--fa-hia.de");
    assert_record(f, "mail.xn--bcher-kva.example", "CNAME", "xn--hst-sna.example.");
    checked(f, true);
}

/* 736 characters are the base64 of an RSA-4096 public key. */
static void rule_6_6_05_a_long_key_is_split_into_strings_of_255_bytes(void **state)
{
    struct fixture *f = *state;
    const char *key = arena_printf(f->arena, "v=DKIM1;h=sha256;p=%s",
                                   repeated(f->arena, "MIICIjANBgkqhkiG", 46, ""));
    const Mxadm__V1__DnsRecord *record;
    const char *printed;

    f->selectors[0].text = key;
    make(f);
    record = find_nth(f, "2024a._domainkey.d.example", "TXT", 0);
    assert_string_equal(record->data, key);
    assert_string_equal(record->zone_data, arena_printf(f->arena, "\"%.255s\" \"%.255s\" \"%s\"",
                                                        key, key + 255, key + 510));
    assert_non_null(strstr(
        f->out.zone, arena_printf(f->arena, " TXT (\n\t\"%.255s\"\n\t\"%.255s\"\n\t\"%s\" )\n", key,
                                  key + 255, key + 510)));
    printed = checked(f, true);
    assert_printed(
        printed, arena_printf(f->arena, "\"%.255s\" \"%.255s\" \"%s\"", key, key + 255, key + 510));
}

static void a_text_of_exactly_255_bytes_is_one_string(void **state)
{
    struct fixture *f = *state;

    f->selectors[0].text = repeated(f->arena, "x", 255, "");
    f->selectors[1].text = repeated(f->arena, "x", 256, "");
    make(f);
    assert_null(strstr(find_nth(f, "2024a._domainkey.d.example", "TXT", 0)->zone_data, "\" \""));
    assert_non_null(
        strstr(find_nth(f, "2024b._domainkey.d.example", "TXT", 0)->zone_data, "x\" \"x\""));
    checked(f, true);
}

static void quotes_backslashes_and_unprintable_bytes_survive_a_zone_file(void **state)
{
    struct fixture *f = *state;

    f->selectors[0].text = "a\"b\\c\td;e\x7f\xc3\xa9";
    make(f);
    assert_string_equal(find_nth(f, "2024a._domainkey.d.example", "TXT", 0)->zone_data,
                        "\"a\\\"b\\\\c\\009d;e\\127\\195\\169\"");
    assert_printed(checked(f, true), "\"a\\\"b\\\\c\\009d;e\\127\\195\\169\"");
}

static void rule_6_7_01_dmarc_refuses_and_asks_for_reports_if_they_have_an_address(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "_dmarc.d.example", "TXT",
                  "v=DMARC1;p=reject;rua=mailto:dmarcreports@d.example!10m");
    f->dmarc.domain = (char *) "reports.example";
    make(f);
    assert_record(f, "_dmarc.d.example", "TXT",
                  "v=DMARC1;p=reject;rua=mailto:dmarcreports@reports.example!10m");
    f->domain.dmarc = NULL;
    make(f);
    assert_record(f, "_dmarc.d.example", "TXT", "v=DMARC1;p=reject");
}

static void rule_6_8_01_mta_sts_is_published_if_there_is_a_policy_also_to_withdraw_it(void **state)
{
    struct fixture *f = *state;

    f->mta_sts.mode = MXADM__V1__MTA_STS__MODE__MODE_NONE;
    make(f);
    assert_record(f, "mta-sts.d.example", "CNAME", "host.example.");
    assert_record(f, "_mta-sts.d.example", "TXT", "v=STSv1; id=20240102T030405");
    f->domain.mta_sts = NULL;
    make(f);
    assert_no_record(f, "mta-sts.d.example", "CNAME");
    assert_no_record(f, "_mta-sts.d.example", "TXT");
    assert_non_null(strstr(f->out.zone, "; There are no records for MTA-STS"));
}

static void rule_6_9_01_tls_reports_of_the_domain_if_they_have_an_address(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "_smtp._tls.d.example", "TXT", "v=TLSRPTv1; rua=mailto:tlsreports@d.example");
    f->domain.tlsrpt = NULL;
    make(f);
    assert_no_record(f, "_smtp._tls.d.example", "TXT");
}

static void rule_6_9_02_report_localparts_are_encoded_as_in_a_mailto_uri(void **state)
{
    struct fixture *f = *state;

    f->dmarc.localpart = (char *) "\"a!b,c%d\\\\e;f g\"";
    f->tlsrpt.localpart = (char *) "a!b%c+d-e_f.g~h/i?j#k&l=m{n}o|p^q`r'$*";
    make(f);
    assert_record(f, "_dmarc.d.example", "TXT",
                  "v=DMARC1;p=reject;rua=mailto:"
                  "%22a%21b%2Cc%25d%5C%5Ce%3Bf%20g%22@d.example!10m");
    assert_record(f, "_smtp._tls.d.example", "TXT",
                  "v=TLSRPTv1; rua=mailto:"
                  "a%21b%25c+d-e_f.g~h%2Fi%3Fj%23k%26l%3Dm%7Bn%7Do%7Cp%5Eq%60r'$*@d.example");
    checked(f, true);
}

static void rule_6_10_01_client_settings_are_an_alias_of_the_host(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "mail.d.example", "CNAME", "host.example.");
    f->domain.client_settings_domain = (char *) "HOST.example";
    make(f);
    assert_no_record(f, "host.example", "CNAME");
    f->domain.client_settings_domain = (char *) "";
    make(f);
    assert_no_record(f, "mail.d.example", "CNAME");
}

static void an_alias_never_stands_beside_other_records(void **state)
{
    struct fixture *f = *state;

    f->domain.client_settings_domain = (char *) "d.example";
    make(f);
    assert_no_record(f, "d.example", "CNAME");
    assert_record(f, "_imaps._tcp.d.example", "SRV", "0 1 993 d.example.");
    assert_non_null(strstr(f->out.zone, "; Mail clients connect to the domain's own name"));
    checked(f, true);

    f->domain.client_settings_domain = (char *) "autoconfig.d.example";
    make(f);
    assert_record(f, "autoconfig.d.example", "CNAME", "host.example.");
    checked(f, true);

    f->domain.client_settings_domain = (char *) "mail.d.example";
    f->settings.host_name = "autoconfig.d.example";
    make(f);
    assert_no_record(f, "autoconfig.d.example", "CNAME");
    checked(f, true);
}

static void rule_6_11_01_clients_find_their_settings(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "autoconfig.d.example", "CNAME", "host.example.");
    assert_record(f, "_autodiscover._tcp.d.example", "SRV", "0 1 443 host.example.");
}

static void rule_6_11_03_services_not_offered_are_named(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "_imap._tcp.d.example", "SRV", "0 0 0 .");
    assert_record(f, "_submission._tcp.d.example", "SRV", "0 0 0 .");
    assert_record(f, "_pop3._tcp.d.example", "SRV", "0 0 0 .");
    assert_record(f, "_pop3s._tcp.d.example", "SRV", "0 0 0 .");
}

static void rule_6_11_04_services_are_at_the_client_settings_domain_if_there_is_one(void **state)
{
    struct fixture *f = *state;

    make(f);
    assert_record(f, "_imaps._tcp.d.example", "SRV", "0 1 993 mail.d.example.");
    assert_record(f, "_submissions._tcp.d.example", "SRV", "0 1 465 mail.d.example.");
    f->domain.client_settings_domain = (char *) "";
    make(f);
    assert_record(f, "_imaps._tcp.d.example", "SRV", "0 1 993 host.example.");
    assert_record(f, "_submissions._tcp.d.example", "SRV", "0 1 465 host.example.");
}

static void rule_6_12_01_caa_if_there_is_an_issuer(void **state)
{
    struct fixture *f = *state;

    f->input.acme_account_uri = "";
    make(f);
    assert_record(f, "d.example", "CAA", "0 issue \"letsencrypt.org\"");
    assert_non_null(strstr(f->out.zone, "; A stricter CAA record is suggested once"));
    f->settings.acme_issuer = NULL;
    make(f);
    assert_no_record(f, "d.example", "CAA");
}

static void rule_6_12_02_stricter_caa_is_suggested_where_no_alias_is(void **state)
{
    struct fixture *f = *state;
    static const char strict[] = "0 issue \"letsencrypt.org; accounturi=https://ca.example/acct/1; "
                                 "validationmethods=tls-alpn-01,http-01\"";
    const Mxadm__V1__DnsRecord *record;

    f->settings.host_name = "host.d.example";
    make(f);
    record = find_nth(f, "d.example", "CAA", 1);
    assert_true(record->optional);
    assert_string_equal(record->data, strict);
    record = find_nth(f, "host.d.example", "CAA", 0);
    assert_true(record->optional);
    assert_string_equal(record->data, strict);
    assert_no_record(f, "autoconfig.d.example", "CAA");
    assert_no_record(f, "mta-sts.d.example", "CAA");
    assert_no_record(f, "mail.d.example", "CAA");
    checked(f, true);

    f->settings.host_name = "hostd.example";
    make(f);
    assert_no_record(f, "hostd.example", "CAA");
}

static void an_account_uri_that_could_change_the_zone_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    static const char *const uris[] = { "https://a/ b", "https://a/\n@ MX 0 evil.",
                                        "https://a/;x=y", "https://a/\xc3\xa9", "a\x7f" };

    for (size_t i = 0; i < COUNT(uris); i++) {
        f->input.acme_account_uri = uris[i];
        assert_int_equal(dns_records(f->arena, &f->input, &f->out, &f->err), MX_INVALID_ARGUMENT);
        assert_int_equal(strncmp(f->err.message, "acme_account_uri \"", 18), 0);
        assert_null(f->out.zone);
    }
    f->input.acme_account_uri = repeated(f->arena, "a", DNS_ACME_URI_MAX + 1, "");
    assert_int_equal(dns_records(f->arena, &f->input, &f->out, &f->err), MX_INVALID_ARGUMENT);
    f->input.acme_account_uri = repeated(f->arena, "a", DNS_ACME_URI_MAX, "");
    make(f);
    checked(f, true);
    f->input.acme_account_uri = "https://a/\"b\\c(d)";
    make(f);
    assert_printed(checked(f, true), "https://a/\\\"b\\\\c(d)");
}

/* ---------------------------------------------------------------- The zone as a whole */

static void nsd_reads_the_zone_record_by_record(void **state)
{
    struct fixture *f = *state;
    const char *printed;

    make(f);
    printed = checked(f, true);
    for (size_t i = 0; i < f->out.count; i++) {
        const Mxadm__V1__DnsRecord *record = f->out.records[i];

        assert_printed(printed, arena_printf(f->arena, "\t300\tIN\t%s\t%s\n", record->type,
                                             record->zone_data));
    }
}

static void no_line_of_the_zone_but_a_record_is_longer_than_80_columns(void **state)
{
    struct fixture *f = *state;

    make(f);
    for (const char *line = f->out.zone; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (strncmp(line, "; ", 2) == 0) {
            assert_true(strcspn(line, "\n") <= 80);
        }
    }
}

static void records_whose_name_would_be_too_long_are_left_out_and_said(void **state)
{
    struct fixture *f = *state;
    char *label = repeated(f->arena, "a", 63, "");

    f->domain.name = f->domain.ascii_name =
        arena_printf(f->arena, "%s.%s.%s.%s", label, label, label, repeated(f->arena, "b", 61, ""));
    make(f);
    assert_record(f, f->domain.name, "MX", "10 host.example.");
    assert_non_null(strstr(f->out.zone, "records are left out"));
    for (size_t i = 0; i < f->out.count; i++) {
        assert_true(strlen(f->out.records[i]->name) <= NAME_DOMAIN_MAX);
    }
    checked(f, true);
}

static void the_record_of_one_selector_is_that_of_the_domain(void **state)
{
    struct fixture *f = *state;
    const Mxadm__V1__DnsRecord *one = dns_dkim_record(f->arena, "d.example", &f->selectors[0]);
    const Mxadm__V1__DnsRecord *of_all;

    make(f);
    of_all = find_nth(f, "2024a._domainkey.d.example", "TXT", 0);
    assert_string_equal(one->name, of_all->name);
    assert_string_equal(one->data, of_all->data);
    assert_string_equal(one->zone_data, of_all->zone_data);
    assert_string_equal(one->comment, of_all->comment);
    assert_int_equal(one->ttl, of_all->ttl);
}

static void bad_settings_are_an_internal_error_that_names_them(void **state)
{
    struct fixture *f = *state;

    f->settings.host_name = "a b";
    assert_int_equal(dns_records(f->arena, &f->input, &f->out, &f->err), MX_INTERNAL);
    assert_string_equal(f->err.message,
                        "host_name \"a b\" has a character that domain names may not have");
    f->settings.host_name = "host.example";
    f->ips[0] = "nonsense";
    assert_int_equal(dns_records(f->arena, &f->input, &f->out, &f->err), MX_INTERNAL);
    assert_string_equal(f->err.message,
                        "listener \"public\" has \"nonsense\", which is no IP address");
}

/* Every limit up to where there is enough, so that each allocation fails once. */
static void an_arena_at_its_limit_is_an_error_and_never_half_a_zone(void **state)
{
    struct fixture *f = *state;
    enum mx_code code = MX_RESOURCE_EXHAUSTED;
    size_t limit;

    f->selectors[0].text = repeated(f->arena, "x", 700, "");
    for (limit = 0; code != MX_OK; limit += 64) {
        struct arena *small = arena_create(limit);

        code = dns_records(small, &f->input, &f->out, &f->err);
        if (code != MX_OK) {
            assert_int_equal(code, MX_RESOURCE_EXHAUSTED);
            assert_null(f->out.zone);
        }
        arena_destroy(small);
    }
    assert_true(limit > 1024);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(rule_6_1_01_the_zone_starts_with_comments_and_a_short_ttl),
        TEST(rule_6_2_01_tlsa_of_the_host_is_a_suggestion_without_dnssec),
        TEST(a_tls_key_is_pinned_once_and_only_under_the_name_that_mx_leads_to),
        TEST(rule_6_3_01_spf_of_the_host_unless_it_is_the_domain),
        TEST(rule_6_3_02_tls_reports_of_the_host_if_they_have_an_address),
        TEST(rule_6_4_01_mail_goes_to_the_host),
        TEST(rule_6_5_01_spf_names_public_addresses_once_in_the_order_of_the_settings),
        TEST(rule_6_6_01_every_selector_is_published_whether_it_signs_or_not),
        TEST(rule_6_6_04_idna_names_are_ascii_everywhere),
        TEST(rule_6_6_05_a_long_key_is_split_into_strings_of_255_bytes),
        TEST(a_text_of_exactly_255_bytes_is_one_string),
        TEST(quotes_backslashes_and_unprintable_bytes_survive_a_zone_file),
        TEST(rule_6_7_01_dmarc_refuses_and_asks_for_reports_if_they_have_an_address),
        TEST(rule_6_8_01_mta_sts_is_published_if_there_is_a_policy_also_to_withdraw_it),
        TEST(rule_6_9_01_tls_reports_of_the_domain_if_they_have_an_address),
        TEST(rule_6_9_02_report_localparts_are_encoded_as_in_a_mailto_uri),
        TEST(rule_6_10_01_client_settings_are_an_alias_of_the_host),
        TEST(an_alias_never_stands_beside_other_records),
        TEST(rule_6_11_01_clients_find_their_settings),
        TEST(rule_6_11_03_services_not_offered_are_named),
        TEST(rule_6_11_04_services_are_at_the_client_settings_domain_if_there_is_one),
        TEST(rule_6_12_01_caa_if_there_is_an_issuer),
        TEST(rule_6_12_02_stricter_caa_is_suggested_where_no_alias_is),
        TEST(an_account_uri_that_could_change_the_zone_is_refused_by_name),
        TEST(nsd_reads_the_zone_record_by_record),
        TEST(no_line_of_the_zone_but_a_record_is_longer_than_80_columns),
        TEST(records_whose_name_would_be_too_long_are_left_out_and_said),
        TEST(the_record_of_one_selector_is_that_of_the_domain),
        TEST(bad_settings_are_an_internal_error_that_names_them),
        TEST(an_arena_at_its_limit_is_an_error_and_never_half_a_zone),
    };

    if (argc != 2) {
        fprintf(stderr, "usage: %s NSD-CHECKZONE\n", argv[0]);
        return 2;
    }
    nsd_checkzone = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
