#include "model/dns.h"

#include "model/dns_builder.h"
#include "model/dns_text.h"
#include "model/names.h"
#include "settings/settings.h"

#include <string.h>

static bool is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

static const char *under(struct dns_builder *builder, const char *prefix)
{
    return dns_format(builder, "%s.%s", prefix, builder->domain);
}

/* ---------------------------------------------------------------- The host */

static bool is_known_digest(const struct dns_builder *builder, const char *data)
{
    for (size_t i = 0; i < builder->count; i++) {
        if (strcmp(builder->records[i]->data, data) == 0) {
            return true;
        }
    }
    return false;
}

static void add_tlsa(struct dns_builder *builder, const char *digest)
{
    const char *name = dns_format(builder, "_25._tcp.%s", builder->host);
    char *data = (char *) dns_format(builder, "3 1 1 %s", digest);

    for (char *at = data; *at != '\0'; at++) {
        *at |= *at >= 'A' && *at <= 'F' ? 0x20 : 0;
    }
    if (is_known_digest(builder, data)) {
        return;
    }
    if (builder->input->dnssec) {
        dns_add(builder, "TLSA", name, data,
                "DANE: pins the TLS key of the mail host. Needed once, not for each domain.");
    } else {
        dns_add_optional(
            builder, "TLSA", name, data,
            "DANE: pins the TLS key of the mail host. Needed once, not for each domain. "
            "Commented out, because without DNSSEC it has no effect.");
    }
}

static bool is_host(struct dns_builder *builder, const char *name)
{
    struct name_domain domain;

    return name == NULL || (name_parse_domain(builder->arena, name, &domain) == NULL &&
                            strcmp(domain.ascii, builder->host) == 0);
}

/* Of listeners that answer under the host's name: the MX record leads nowhere else. */
static void add_host_tlsa(struct dns_builder *builder)
{
    const struct settings *settings = builder->input->settings;

    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct settings_listener *listener = &settings->listeners[i];

        if (!listener->smtp || !is_host(builder, listener->host_name)) {
            continue;
        }
        for (size_t k = 0; k < listener->tlsa_count; k++) {
            add_tlsa(builder, listener->tlsa_sha256[k]);
        }
    }
}

static const char *mailto(struct dns_builder *builder, const char *localpart, const char *domain)
{
    const char *encoded = dns_mailto_encode(builder->arena, localpart);

    if (encoded == NULL) {
        builder->failed = true;
        return "";
    }
    return dns_format(builder, "mailto:%s@%s", encoded, domain);
}

static void add_host(struct dns_builder *builder)
{
    const char *localpart = builder->input->settings->host_tls_reports.localpart;

    add_host_tlsa(builder);
    if (strcmp(builder->domain, builder->host) == 0) {
        return;
    }
    dns_add(builder, "TXT", builder->host, "v=spf1 a -all",
            "SPF: the mail host sends mail under its own name from its own addresses only. Needed "
            "once, not for each domain.");
    if (is_set(localpart)) {
        dns_add(
            builder, "TXT", dns_format(builder, "_smtp._tls.%s", builder->host),
            dns_format(builder, "v=TLSRPTv1; rua=%s", mailto(builder, localpart, builder->host)),
            "TLS reports about the mail host. Needed once, not for each domain.");
    }
}

/* ---------------------------------------------------------------- Mail of the domain */

static const char *selector_comment(const Mxadm__V1__DkimSelector *selector)
{
    switch (selector->state) {
    case MXADM__V1__DKIM_SELECTOR__STATE__STATE_PENDING:
        return "does not sign yet. Published in advance, to be able to switch quickly";
    case MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE:
        return "signs";
    case MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRING:
        return "signs no longer. Published while mail signed with it is on its way";
    case MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRED:
        return "is revoked: what was signed with it is no longer valid";
    case MXADM__V1__DKIM_SELECTOR__STATE__STATE_UNSPECIFIED:
    case _MXADM__V1__DKIM_SELECTOR__STATE_IS_INT_SIZE:
        break;
    }
    return "does not sign";
}

Mxadm__V1__DnsRecord *dns_dkim_record(struct arena *arena, const char *ascii_domain,
                                      const struct dns_selector *selector)
{
    const char *ascii = selector->record->ascii_name;
    bool is_long = strlen(selector->text) > DNS_STRING_MAX;
    const char *name = arena_printf(arena, "%s._domainkey.%s", ascii, ascii_domain);
    const char *comment =
        arena_printf(arena, "DKIM: selector %s %s.%s", ascii, selector_comment(selector->record),
                     is_long ? " The strings form one text." : "");

    if (name == NULL || comment == NULL) {
        return NULL;
    }
    return dns_make_record(arena, "TXT", name, selector->text, comment);
}

static void add_dkim(struct dns_builder *builder)
{
    const struct dns_input *input = builder->input;

    for (size_t i = 0; i < input->selector_count; i++) {
        dns_add_record(builder,
                       dns_dkim_record(builder->arena, builder->domain, &input->selectors[i]));
    }
}

static void add_dmarc(struct dns_builder *builder)
{
    const char *policy = "v=DMARC1;p=reject";

    if (builder->dmarc_domain != NULL) {
        const char *localpart = builder->input->domain->dmarc->localpart;

        policy = dns_format(builder, "%s;rua=%s!10m", policy,
                            mailto(builder, localpart, builder->dmarc_domain));
    }
    dns_add(builder, "TXT", under(builder, "_dmarc"), policy,
            "DMARC: mail that neither SPF nor DKIM proves to be from the domain is refused.");
}

static void add_mta_sts(struct dns_builder *builder)
{
    const Mxadm__V1__MtaSts *mta_sts = builder->input->domain->mta_sts;
    const char *comment = "MTA-STS: other mail servers learn that TLS is required, from a policy "
                          "that the mail host serves over https. The id changes with the policy.";

    if (mta_sts == NULL) {
        dns_remark(builder, "There are no records for MTA-STS, because the domain has no policy.");
        return;
    }
    dns_add_alias(builder, under(builder, "mta-sts"), comment);
    dns_add(builder, "TXT", under(builder, "_mta-sts"),
            dns_format(builder, "v=STSv1; id=%s", mta_sts->policy_id), comment);
}

static void add_tlsrpt(struct dns_builder *builder)
{
    if (builder->tlsrpt_domain != NULL) {
        const char *localpart = builder->input->domain->tlsrpt->localpart;

        dns_add(builder, "TXT", under(builder, "_smtp._tls"),
                dns_format(builder, "v=TLSRPTv1; rua=%s",
                           mailto(builder, localpart, builder->tlsrpt_domain)),
                "TLS reports: other mail servers tell of failed TLS connections.");
    }
}

static void add_mail(struct dns_builder *builder)
{
    dns_add(builder, "MX", builder->domain, dns_format(builder, "10 %s.", builder->host),
            "Mail for the domain goes to the mail host.");
    add_dkim(builder);
    dns_add(builder, "TXT", builder->domain, builder->spf,
            "SPF: mail of the domain comes from the mail host; from elsewhere it is suspicious.");
    add_dmarc(builder);
    add_mta_sts(builder);
    add_tlsrpt(builder);
}

/* ---------------------------------------------------------------- Clients */

static void add_services(struct dns_builder *builder)
{
    const char *target = builder->client != NULL ? builder->client : builder->host;
    const char *offered = "Mail clients find IMAP and submission, both with TLS from the start.";
    const char *not_offered = "Services that are not offered: without TLS from the start, POP3.";

    dns_add(builder, "SRV", under(builder, "_imaps._tcp"),
            dns_format(builder, "0 1 993 %s.", target), offered);
    dns_add(builder, "SRV", under(builder, "_submissions._tcp"),
            dns_format(builder, "0 1 465 %s.", target), offered);
    dns_add(builder, "SRV", under(builder, "_imap._tcp"), "0 0 0 .", not_offered);
    dns_add(builder, "SRV", under(builder, "_submission._tcp"), "0 0 0 .", not_offered);
    dns_add(builder, "SRV", under(builder, "_pop3._tcp"), "0 0 0 .", not_offered);
    dns_add(builder, "SRV", under(builder, "_pop3s._tcp"), "0 0 0 .", not_offered);
}

static void add_clients(struct dns_builder *builder)
{
    const char *automatic = "Mail clients find their settings by themselves.";

    if (builder->client != NULL) {
        dns_add_alias(builder, builder->client,
                      "Mail clients connect to this name, so that the mail host can change.");
        if (strcmp(builder->client, builder->domain) == 0) {
            dns_remark(builder, "Mail clients connect to the domain's own name, which can't be an "
                                "alias: give it the addresses of the mail host.");
        }
    }
    dns_add_alias(builder, under(builder, "autoconfig"), automatic);
    dns_add(builder, "SRV", under(builder, "_autodiscover._tcp"),
            dns_format(builder, "0 1 443 %s.", builder->host), automatic);
    add_services(builder);
}

/* ---------------------------------------------------------------- Certificates */

static bool is_below(const char *name, const char *domain)
{
    size_t name_len = strlen(name);
    size_t domain_len = strlen(domain);

    return name_len > domain_len + 1 && name[name_len - domain_len - 1] == '.' &&
           strcmp(name + name_len - domain_len, domain) == 0;
}

/* Upstream suggests the strict form for "autoconfig", "mta-sts" and the client settings domain
 * too; but those are aliases, which have no records beside them, and for which the records of the
 * host or of the domain hold (RFC 8659 section 3). */
static void add_caa(struct dns_builder *builder)
{
    const char *uri = builder->input->acme_account_uri;
    const char *comment =
        "CAA, stricter: only this account at the certificate authority. Use these instead of the "
        "CAA record above.";
    const char *strict;

    if (builder->issuer == NULL) {
        return;
    }
    dns_add(builder, "CAA", builder->domain, dns_format(builder, "0 issue \"%s\"", builder->issuer),
            "CAA: only this certificate authority may issue certificates for the domain.");
    if (!is_set(uri)) {
        dns_remark(builder, "A stricter CAA record is suggested once the URI of the account at the "
                            "certificate authority is known.");
        return;
    }
    strict =
        dns_quote(builder->arena,
                  dns_format(builder, "%s; accounturi=%s; validationmethods=tls-alpn-01,http-01",
                             builder->issuer, uri),
                  NULL);
    if (strict == NULL) {
        builder->failed = true;
        return;
    }
    strict = dns_format(builder, "0 issue %s", strict);
    dns_add_optional(builder, "CAA", builder->domain, strict, comment);
    if (is_below(builder->host, builder->domain)) {
        dns_add_optional(builder, "CAA", builder->host, strict, comment);
    }
}

/* RFC 8657 section 3, RFC 8659 section 4.2: visible ASCII without ";". */
static enum mx_code check_account_uri(struct arena *arena, const char *uri, struct mx_error *err)
{
    if (!is_set(uri)) {
        return MX_OK;
    }
    if (strnlen(uri, DNS_ACME_URI_MAX + 1) > DNS_ACME_URI_MAX) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "acme_account_uri %s is longer than %d bytes",
                       name_show(arena, uri), DNS_ACME_URI_MAX);
    }
    for (const char *at = uri; *at != '\0'; at++) {
        if (*at <= 0x20 || *at >= 0x7f || *at == ';') {
            return mx_fail(err, MX_INVALID_ARGUMENT,
                           "acme_account_uri %s has a character that a URI in a CAA record may "
                           "not have",
                           name_show(arena, uri));
        }
    }
    return MX_OK;
}

/* ---------------------------------------------------------------- All of it */

static enum mx_code resolve(struct dns_builder *builder, const char *what, const char *name,
                            const char **ascii_out, struct mx_error *err)
{
    struct name_domain domain;
    const char *problem = name_parse_domain(builder->arena, name, &domain);

    if (problem != NULL && strcmp(problem, NAME_OUT_OF_MEMORY) == 0) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "%s %s", what, problem);
    }
    if (problem != NULL) {
        return mx_fail(err, MX_INTERNAL, "%s %s %s", what, name_show(builder->arena, name),
                       problem);
    }
    *ascii_out = domain.ascii;
    return MX_OK;
}

/* NULL: reports are not asked for. */
static enum mx_code resolve_reports(struct dns_builder *builder,
                                    const Mxadm__V1__ReportAddress *reports, const char **ascii_out,
                                    struct mx_error *err)
{
    if (reports == NULL) {
        return MX_OK;
    }
    if (!is_set(reports->domain)) {
        *ascii_out = builder->domain;
        return MX_OK;
    }
    return resolve(builder, "domain of a report address", reports->domain, ascii_out, err);
}

static enum mx_code resolve_client(struct dns_builder *builder, struct mx_error *err)
{
    const char *name = builder->input->domain->client_settings_domain;
    const char *ascii = "";
    enum mx_code code;

    if (!is_set(name)) {
        return MX_OK;
    }
    code = resolve(builder, "client_settings_domain", name, &ascii, err);
    if (code == MX_OK && builder->host != NULL && strcmp(ascii, builder->host) != 0) {
        builder->client = ascii;
    }
    return code;
}

/* Everything that can be wrong is found here, before the first record. */
static enum mx_code resolve_all(struct dns_builder *builder, struct mx_error *err)
{
    const struct dns_input *input = builder->input;
    const char *issuer = input->settings->acme_issuer;
    enum mx_code code = check_account_uri(builder->arena, input->acme_account_uri, err);

    if (code == MX_OK) {
        code = resolve(builder, "host_name", input->settings->host_name, &builder->host, err);
    }
    if (code == MX_OK && is_set(issuer)) {
        code = resolve(builder, "acme_issuer", issuer, &builder->issuer, err);
    }
    if (code == MX_OK) {
        code = resolve_client(builder, err);
    }
    if (code == MX_OK) {
        code = resolve_reports(builder, input->domain->dmarc, &builder->dmarc_domain, err);
    }
    if (code == MX_OK) {
        code = resolve_reports(builder, input->domain->tlsrpt, &builder->tlsrpt_domain, err);
    }
    if (code == MX_OK) {
        builder->spf = dns_spf(builder->arena, input->settings, err);
        code = builder->spf == NULL ? err->code : MX_OK;
    }
    return code;
}

static void add_all(struct dns_builder *builder)
{
    add_host(builder);
    add_mail(builder);
    add_clients(builder);
    add_caa(builder);
    if (builder->left_out > 0) {
        dns_remark(builder,
                   dns_format(builder,
                              "%zu records are left out, because their names would be longer "
                              "than the %d bytes that DNS allows.",
                              builder->left_out, NAME_DOMAIN_MAX));
    }
}

enum mx_code dns_records(struct arena *arena, const struct dns_input *input,
                         struct dns_records *out, struct mx_error *err)
{
    struct dns_builder builder = { .arena = arena, .input = input };
    char *zone = NULL;
    enum mx_code code;

    builder.domain = input->domain->ascii_name;
    code = resolve_all(&builder, err);
    if (code != MX_OK) {
        return code;
    }
    if (dns_reserve_records(&builder)) {
        add_all(&builder);
        if (!builder.failed) {
            zone = dns_zone(arena, builder.domain, builder.records, builder.count, builder.remarks,
                            builder.remark_count);
        }
    }
    if (zone == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED,
                       "the records need more memory than a call may "
                       "have");
    }
    out->records = builder.records;
    out->count = builder.count;
    out->zone = zone;
    return MX_OK;
}
