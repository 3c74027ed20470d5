#include "model/dns.h"

#include "model/dns_text.h"
#include "model/names.h"
#include "settings/settings.h"

#include <assert.h>
#include <string.h>

/* Records that any domain has at most, besides those for each TLS key and selector. */
#define FIXED_RECORDS 24
#define REMARKS_MAX   4

/* What is being made, and the names that records are made of, all ASCII. */
struct builder {
    struct arena *arena;
    const struct dns_input *input;
    const char *domain;
    const char *host;
    const char *client;        /* client settings domain; NULL: the host serves as it */
    const char *dmarc_domain;  /* where reports go; NULL: none are asked for */
    const char *tlsrpt_domain; /* likewise */
    const char *spf;
    const char *issuer; /* NULL: none */
    Mxadm__V1__DnsRecord **records;
    size_t count;
    size_t capacity;
    const char *remarks[REMARKS_MAX];
    size_t remark_count;
    size_t left_out; /* records whose name would be too long */
    bool failed;     /* the arena is at its limit */
};

static bool is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

/* Text in the arena; never NULL. */
static const char *format(struct builder *builder, const char *pattern, ...) MX_PRINTF(2, 3);
static const char *format(struct builder *builder, const char *pattern, ...)
{
    va_list args;
    const char *text;

    va_start(args, pattern);
    text = arena_vprintf(builder->arena, pattern, args);
    va_end(args);
    if (text == NULL) {
        builder->failed = true;
        return "";
    }
    return text;
}

static const char *under(struct builder *builder, const char *prefix)
{
    return format(builder, "%s.%s", prefix, builder->domain);
}

static void remark(struct builder *builder, const char *sentence)
{
    assert(builder->remark_count < REMARKS_MAX);
    builder->remarks[builder->remark_count++] = sentence;
}

/* ---------------------------------------------------------------- Adding records */

static Mxadm__V1__DnsRecord *make_record(struct arena *arena, const char *type, const char *name,
                                         const char *data, const char *comment)
{
    Mxadm__V1__DnsRecord *record = arena_alloc(arena, sizeof(*record));
    const char *zone_data = strcmp(type, "TXT") == 0 ? dns_quote(arena, data, " ") : data;

    if (record == NULL || zone_data == NULL) {
        return NULL;
    }
    mxadm__v1__dns_record__init(record);
    /* protobuf-c's fields are not const; nobody writes through them. */
    record->name = (char *) name;
    record->ttl = DNS_TTL;
    record->type = (char *) type;
    record->data = (char *) data;
    record->zone_data = (char *) zone_data;
    record->comment = (char *) comment;
    return record;
}

static void add_record(struct builder *builder, Mxadm__V1__DnsRecord *record)
{
    if (record == NULL) {
        builder->failed = true;
    } else if (strlen(record->name) > NAME_DOMAIN_MAX) {
        builder->left_out++;
    } else {
        assert(builder->count < builder->capacity);
        builder->records[builder->count++] = record;
    }
}

static void add(struct builder *builder, const char *type, const char *name, const char *data,
                const char *comment)
{
    add_record(builder, make_record(builder->arena, type, name, data, comment));
}

static void add_optional(struct builder *builder, const char *type, const char *name,
                         const char *data, const char *comment)
{
    Mxadm__V1__DnsRecord *record = make_record(builder->arena, type, name, data, comment);

    if (record != NULL) {
        record->optional = true;
    }
    add_record(builder, record);
}

/* A CNAME of the host, where there can be one: other records may not stand beside it (RFC 1034
 * section 3.6.2), it is there once, and the host is no alias of itself. */
static void add_alias(struct builder *builder, const char *name, const char *comment)
{
    if (strcmp(name, builder->host) == 0 || strcmp(name, builder->domain) == 0) {
        return;
    }
    for (size_t i = 0; i < builder->count; i++) {
        if (strcmp(builder->records[i]->type, "CNAME") == 0 &&
            strcmp(builder->records[i]->name, name) == 0) {
            return;
        }
    }
    add(builder, "CNAME", name, format(builder, "%s.", builder->host), comment);
}

/* ---------------------------------------------------------------- The host */

static bool is_known_digest(const struct builder *builder, const char *data)
{
    for (size_t i = 0; i < builder->count; i++) {
        if (strcmp(builder->records[i]->data, data) == 0) {
            return true;
        }
    }
    return false;
}

static void add_tlsa(struct builder *builder, const char *digest)
{
    const char *name = format(builder, "_25._tcp.%s", builder->host);
    char *data = (char *) format(builder, "3 1 1 %s", digest);

    for (char *at = data; *at != '\0'; at++) {
        *at |= *at >= 'A' && *at <= 'F' ? 0x20 : 0;
    }
    if (is_known_digest(builder, data)) {
        return;
    }
    if (builder->input->dnssec) {
        add(builder, "TLSA", name, data,
            "DANE: pins the TLS key of the mail host. Needed once, not for each domain.");
    } else {
        add_optional(builder, "TLSA", name, data,
                     "DANE: pins the TLS key of the mail host. Needed once, not for each domain. "
                     "Commented out, because without DNSSEC it has no effect.");
    }
}

static bool is_host(struct builder *builder, const char *name)
{
    struct name_domain domain;

    return name == NULL || (name_parse_domain(builder->arena, name, &domain) == NULL &&
                            strcmp(domain.ascii, builder->host) == 0);
}

/* Of listeners that answer under the host's name: the MX record leads nowhere else. */
static void add_host_tlsa(struct builder *builder)
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

static const char *mailto(struct builder *builder, const char *localpart, const char *domain)
{
    const char *encoded = dns_mailto_encode(builder->arena, localpart);

    if (encoded == NULL) {
        builder->failed = true;
        return "";
    }
    return format(builder, "mailto:%s@%s", encoded, domain);
}

static void add_host(struct builder *builder)
{
    const char *localpart = builder->input->settings->host_tls_reports.localpart;

    add_host_tlsa(builder);
    if (strcmp(builder->domain, builder->host) == 0) {
        return;
    }
    add(builder, "TXT", builder->host, "v=spf1 a -all",
        "SPF: the mail host sends mail under its own name from its own addresses only. Needed "
        "once, not for each domain.");
    if (is_set(localpart)) {
        add(builder, "TXT", format(builder, "_smtp._tls.%s", builder->host),
            format(builder, "v=TLSRPTv1; rua=%s", mailto(builder, localpart, builder->host)),
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
    return make_record(arena, "TXT", name, selector->text, comment);
}

static void add_dkim(struct builder *builder)
{
    const struct dns_input *input = builder->input;

    for (size_t i = 0; i < input->selector_count; i++) {
        add_record(builder, dns_dkim_record(builder->arena, builder->domain, &input->selectors[i]));
    }
}

static void add_dmarc(struct builder *builder)
{
    const char *policy = "v=DMARC1;p=reject";

    if (builder->dmarc_domain != NULL) {
        const char *localpart = builder->input->domain->dmarc->localpart;

        policy = format(builder, "%s;rua=%s!10m", policy,
                        mailto(builder, localpart, builder->dmarc_domain));
    }
    add(builder, "TXT", under(builder, "_dmarc"), policy,
        "DMARC: mail that neither SPF nor DKIM proves to be from the domain is refused.");
}

static void add_mta_sts(struct builder *builder)
{
    const Mxadm__V1__MtaSts *mta_sts = builder->input->domain->mta_sts;
    const char *comment = "MTA-STS: other mail servers learn that TLS is required, from a policy "
                          "that the mail host serves over https. The id changes with the policy.";

    if (mta_sts == NULL) {
        remark(builder, "There are no records for MTA-STS, because the domain has no policy.");
        return;
    }
    add_alias(builder, under(builder, "mta-sts"), comment);
    add(builder, "TXT", under(builder, "_mta-sts"),
        format(builder, "v=STSv1; id=%s", mta_sts->policy_id), comment);
}

static void add_tlsrpt(struct builder *builder)
{
    if (builder->tlsrpt_domain != NULL) {
        const char *localpart = builder->input->domain->tlsrpt->localpart;

        add(builder, "TXT", under(builder, "_smtp._tls"),
            format(builder, "v=TLSRPTv1; rua=%s",
                   mailto(builder, localpart, builder->tlsrpt_domain)),
            "TLS reports: other mail servers tell of failed TLS connections.");
    }
}

static void add_mail(struct builder *builder)
{
    add(builder, "MX", builder->domain, format(builder, "10 %s.", builder->host),
        "Mail for the domain goes to the mail host.");
    add_dkim(builder);
    add(builder, "TXT", builder->domain, builder->spf,
        "SPF: mail of the domain comes from the mail host; from elsewhere it is suspicious.");
    add_dmarc(builder);
    add_mta_sts(builder);
    add_tlsrpt(builder);
}

/* ---------------------------------------------------------------- Clients */

static void add_services(struct builder *builder)
{
    const char *target = builder->client != NULL ? builder->client : builder->host;
    const char *offered = "Mail clients find IMAP and submission, both with TLS from the start.";
    const char *not_offered = "Services that are not offered: without TLS from the start, POP3.";

    add(builder, "SRV", under(builder, "_imaps._tcp"), format(builder, "0 1 993 %s.", target),
        offered);
    add(builder, "SRV", under(builder, "_submissions._tcp"), format(builder, "0 1 465 %s.", target),
        offered);
    add(builder, "SRV", under(builder, "_imap._tcp"), "0 0 0 .", not_offered);
    add(builder, "SRV", under(builder, "_submission._tcp"), "0 0 0 .", not_offered);
    add(builder, "SRV", under(builder, "_pop3._tcp"), "0 0 0 .", not_offered);
    add(builder, "SRV", under(builder, "_pop3s._tcp"), "0 0 0 .", not_offered);
}

static void add_clients(struct builder *builder)
{
    const char *automatic = "Mail clients find their settings by themselves.";

    if (builder->client != NULL) {
        add_alias(builder, builder->client,
                  "Mail clients connect to this name, so that the mail host can change.");
        if (strcmp(builder->client, builder->domain) == 0) {
            remark(builder, "Mail clients connect to the domain's own name, which can't be an "
                            "alias: give it the addresses of the mail host.");
        }
    }
    add_alias(builder, under(builder, "autoconfig"), automatic);
    add(builder, "SRV", under(builder, "_autodiscover._tcp"),
        format(builder, "0 1 443 %s.", builder->host), automatic);
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
static void add_caa(struct builder *builder)
{
    const char *uri = builder->input->acme_account_uri;
    const char *comment =
        "CAA, stricter: only this account at the certificate authority. Use these instead of the "
        "CAA record above.";
    const char *strict;

    if (builder->issuer == NULL) {
        return;
    }
    add(builder, "CAA", builder->domain, format(builder, "0 issue \"%s\"", builder->issuer),
        "CAA: only this certificate authority may issue certificates for the domain.");
    if (!is_set(uri)) {
        remark(builder, "A stricter CAA record is suggested once the URI of the account at the "
                        "certificate authority is known.");
        return;
    }
    strict = dns_quote(builder->arena,
                       format(builder, "%s; accounturi=%s; validationmethods=tls-alpn-01,http-01",
                              builder->issuer, uri),
                       NULL);
    if (strict == NULL) {
        builder->failed = true;
        return;
    }
    strict = format(builder, "0 issue %s", strict);
    add_optional(builder, "CAA", builder->domain, strict, comment);
    if (is_below(builder->host, builder->domain)) {
        add_optional(builder, "CAA", builder->host, strict, comment);
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

static enum mx_code resolve(struct builder *builder, const char *what, const char *name,
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
static enum mx_code resolve_reports(struct builder *builder,
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

static enum mx_code resolve_client(struct builder *builder, struct mx_error *err)
{
    const char *name = builder->input->domain->client_settings_domain;
    const char *ascii;
    enum mx_code code;

    if (!is_set(name)) {
        return MX_OK;
    }
    code = resolve(builder, "client_settings_domain", name, &ascii, err);
    if (code == MX_OK && strcmp(ascii, builder->host) != 0) {
        builder->client = ascii;
    }
    return code;
}

/* Everything that can be wrong is found here, before the first record. */
static enum mx_code resolve_all(struct builder *builder, struct mx_error *err)
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

static bool reserve_records(struct builder *builder)
{
    const struct settings *settings = builder->input->settings;

    builder->capacity = FIXED_RECORDS + builder->input->selector_count;
    for (size_t i = 0; i < settings->listener_count; i++) {
        builder->capacity += settings->listeners[i].tlsa_count;
    }
    builder->records = arena_alloc(builder->arena, builder->capacity * sizeof(*builder->records));
    return builder->records != NULL;
}

static void add_all(struct builder *builder)
{
    add_host(builder);
    add_mail(builder);
    add_clients(builder);
    add_caa(builder);
    if (builder->left_out > 0) {
        remark(builder, format(builder,
                               "%zu records are left out, because their names would be longer "
                               "than the %d bytes that DNS allows.",
                               builder->left_out, NAME_DOMAIN_MAX));
    }
}

enum mx_code dns_records(struct arena *arena, const struct dns_input *input,
                         struct dns_records *out, struct mx_error *err)
{
    struct builder builder = { .arena = arena, .input = input };
    char *zone = NULL;
    enum mx_code code;

    builder.domain = input->domain->ascii_name;
    code = resolve_all(&builder, err);
    if (code != MX_OK) {
        return code;
    }
    if (reserve_records(&builder)) {
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
