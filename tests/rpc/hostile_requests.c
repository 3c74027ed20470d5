#include "hostile_requests.h"

#include "support/message_text.h"

#define B(value) (1u << BAD_##value)

/* Two certificates with keys of Ed25519; of the first the fingerprint. */
#define CERTIFICATE                                                                                \
    "308201383081eba00302010202145785809a662de015470baf6007f9bb3e581f69b1300506032b65703011310f30" \
    "0d06035504030c06636c69656e743020170d3236313132353034303530335a180f32313236313130313034303530" \
    "335a3011310f300d06035504030c06636c69656e74302a300506032b65700321001bfa934128d84d92456d1897ef" \
    "68bbe85be22213930f8b64b94e2567de13689ca3533051301d0603551d0e04160414eb3a8387f63d6acee12d326b" \
    "62e8c3ef25efdd7a301f0603551d23041830168014eb3a8387f63d6acee12d326b62e8c3ef25efdd7a300f060355" \
    "1d130101ff040530030101ff300506032b65700341001bd40813e2261c56d30d2967cfc435d3c92cc76b9f0c9bc3" \
    "c1e796a61513c832a2fcf8493559d33e305aefddda7ef2da0d9e598f55ee319d10f694f7d7dea10e"
#define FINGERPRINT "U01QDcDmhtUBOHtXuRRFCSLy6S90bKl-G6dFdCll-M4"
#define CERTIFICATE_OTHER                                                                          \
    "308201363081e9a003020102021464cae319e6b56dbd8d35db7ea070958b89c61e1a300506032b65703010310e30" \
    "0c06035504030c056f746865723020170d3236313132353034303530335a180f3231323631313031303430353033" \
    "5a3010310e300c06035504030c056f74686572302a300506032b65700321007b7d483dde79ed1d0f24cbc95279ba" \
    "475921b18ffc306300d7d061e8ff8a8685a3533051301d0603551d0e04160414a5234876f51995d2edcdf3c9e41a" \
    "d4dba333a443301f0603551d23041830168014a5234876f51995d2edcdf3c9e41ad4dba333a443300f0603551d13" \
    "0101ff040530030101ff300506032b6570034100e264f41042d20a4eefdaa39f0440a25adcd60012b10e20a8c233" \
    "c6651ea122840f6852552bda9c2d3f5f67d58c2099ed787d3b877c2f4127cf28434159a1de02"

#define ROUTE                                                                                      \
    "routes { from_domain: 'example.org' to_domain: '.example.net' minimum_attempts: 2"            \
    " transport: 'smarthost' }"

static const char domain_save[] =
    "domain { name: 'example.org' description: 'first' client_settings_domain: 'mail.example.org'"
    " localpart_separators: '+'"
    " dmarc { localpart: 'dmarcreports' domain: 'example.org' account: 'owner' mailbox: 'DMARC' }"
    " tlsrpt { localpart: 'tlsreports' domain: 'example.org' account: 'owner' mailbox: 'TLSRPT' }"
    " mta_sts { policy_id: '20260101T000000' mode: MODE_TESTING max_age { seconds: 86400 }"
    " mx: 'mail.example.com' } " ROUTE " } update_mask { paths: '*' }";

static const char dkim_save[] =
    "dkim_selector { domain: 'example.org' name: 'sel1' state: STATE_ACTIVE"
    " algorithm: ALGORITHM_RSA2048 hash: HASH_SHA256 headers: 'From' headers: 'Subject'"
    " expiration { seconds: 3600 } } update_mask { paths: '*' }";

static const char account_save[] =
    "account { name: 'owner' domain: 'example.org' description: 'someone' full_name: 'Some One'"
    " outgoing_webhook { url: 'https://example.org/hook' authorization: 'Basic x' events: 'failed'"
    " } incoming_webhook { url: 'https://example.org/hook' authorization: 'Basic x' }"
    " from_id_login_addresses: 'owner@example.org'"
    " keep_retired_message_period { seconds: 60 } keep_retired_webhook_period { seconds: 60 }"
    " subject_pass_period { seconds: 60 } quota_message_size: 1000 rejects_mailbox: 'Rejects'"
    " introbox: 'Intro' automatic_junk_flags { enabled: true junk_mailbox_regexp: '^junk'"
    " neutral_mailbox_regexp: '^inbox' not_junk_mailbox_regexp: 'x' }"
    " junk_filter { threshold: 0.9 onegrams: true max_power: 0.1 top_words: 10 ignore_words: 0.1"
    " rare_words: 2 } max_outgoing_messages_per_day: 10 max_first_time_recipients_per_day: 10"
    " imap_capabilities_disabled: 'IDLE' " ROUTE " } update_mask { paths: '*' }";

static const char address_save[] =
    "address { address: 'owner@example.org' account: 'owner' mailbox: 'Inbox/x'"
    " rulesets { smtp_mail_from_regexp: 'a' msg_from_regexp: 'b' verified_domain: 'example.net'"
    " headers_regexp { name: '^subject' value: 'x' } is_forward: true mailbox: 'Forwarded'"
    " comment: 'forwarded' } rulesets { verified_domain: 'example.net'"
    " headers_regexp { name: '^list-id' value: 'x' }"
    " list_allow_domain: 'lists.example.net' accept_rejects_to_mailbox: 'Lists' mailbox: 'Lists' }"
    " message_auth_required_smtp_error: 'sign it' full_name: 'Some One' }"
    " update_mask { paths: '*' }";

static const char config_save[] =
    "config { " ROUTE " web_domain_redirects { from: 'old.example.org' to: 'www.example.org' }"
    " web_handlers { log_name: 'files' domain: 'www.example.org' path_regexp: '^/' web_static {"
    " strip_prefix: '/x' root: 'web' response_headers { name: 'X-A' value: 'b' } } }"
    " web_handlers { domain: 'www.example.org' path_regexp: '^/r' web_redirect {"
    " base_url: 'https://example.net' orig_path_regexp: '^/(.*)' replace_path: '/$1'"
    " status_code: 301 } } web_handlers { domain: 'www.example.org' path_regexp: '^/f'"
    " web_forward { url: 'http://127.0.0.1:8080' response_headers { name: 'X-A' value: 'b' } } }"
    " web_handlers { domain: 'www.example.org' path_regexp: '^/i' web_internal {"
    " base_path: '/i/' service: 'webmail' } } monitor_dnsbls: 'bl.example.net' }"
    " update_mask { paths: '*' }";

/* By noun, as in admin.proto. */
const struct request_text good_requests[] = {
    { "DomainAdd", "domain: 'new.example' account: 'new' localpart: 'new'" },
    { "DomainRemove", "domain: 'empty.example'" },
    { "DomainSave", domain_save },
    { "DomainGet", "domain: 'example.org'" },
    { "DomainList", "prefix: 'e'" },
    { "DomainRecords", "domain: 'example.org' acme_account_uri: 'https://acme.example/1'" },
    { "DomainTemplate", "domain: 'new.example' account: 'new'" },
    { "DKIMAdd", "domain: 'example.org' selector: 'sel2' algorithm: ALGORITHM_ED25519"
                 " hash: HASH_SHA256 headers: 'From' headers: 'To' expiration { seconds: 3600 }" },
    { "DKIMRemove", "domain: 'example.org' selector: 'sel1'" },
    { "DKIMSave", dkim_save },
    { "DKIMList", "domain: 'example.org'" },
    { "DKIMKeyMake", "algorithm: ALGORITHM_ED25519 domain: 'example.org' selector: 'sel3'" },
    { "DKIMKeyExport", "domain: 'example.org' selector: 'sel1'" },
    { "AccountAdd", "account: 'new' address: 'new@example.org'" },
    { "AccountRemove", "account: 'bob'" },
    { "AccountSave", account_save },
    { "AccountGet", "account: 'owner'" },
    { "AccountList", "prefix: 'o' domain: 'example.org'" },
    { "AccountTemplate", "account: 'new' address: 'new@example.org'" },
    { "AddressAdd", "address: 'new@example.org' account: 'owner'" },
    { "AddressRemove", "address: 'bob@example.org'" },
    { "AddressSave", address_save },
    { "AddressGet", "address: 'owner@example.org'" },
    { "AddressList", "account: 'owner' domain: 'example.org' prefix: 'o'" },
    { "AddressLookup", "address: 'owner@example.org'" },
    { "AliasAdd", "address: 'new@example.org' members: 'owner@example.org'" },
    { "AliasUpdate", "alias { address: 'team@example.org' post_public: true }"
                     " update_mask { paths: '*' }" },
    { "AliasRemove", "address: 'team@example.org'" },
    { "AliasAddressesAdd", "address: 'team@example.org' members: 'bob@example.org'" },
    { "AliasAddressesRemove", "address: 'team@example.org' members: 'owner2@example.org'" },
    { "AliasGet", "address: 'team@example.org'" },
    { "AliasList", "domain: 'example.org'" },
    { "TLSPublicKeyAdd",
      "certificate: " CERTIFICATE_OTHER " login_address: 'owner@example.org' name: 'other'" },
    { "TLSPublicKeyUpdate", "tls_public_key { fingerprint: '" FINGERPRINT "' name: 'renamed'"
                            " certificate: " CERTIFICATE " account: 'owner'"
                            " login_address: 'owner@example.org' } update_mask { paths: '*' }" },
    { "TLSPublicKeyRemove", "fingerprint: '" FINGERPRINT "'" },
    { "TLSPublicKeyGet", "fingerprint: '" FINGERPRINT "'" },
    { "TLSPublicKeyList", "account: 'owner'" },
    { "ConfigSave", config_save },
    { "ConfigGet", "" },
    { "ConfigApply", "yaml: 'format: mxadm.v1\nscope: all\n'" },
    { "ConfigRollback", "revision: 3" },
    { "ConfigExport", "domain: 'example.org'" },
    { "ConfigDiff", "from_revision: 1 to_revision: 2" },
    { "Batch", "calls { method: 'mxadm.v1.Admin/AccountAdd'"
               " message: <AccountAdd account: 'new' address: 'new@example.org'> } atomic: true" },
    { "ChangeList", "page_size: 10 domain: 'example.org' account: 'owner' principal: 'uid:0'"
                    " from_time { seconds: 1 } to_time { seconds: 4000000000 }" },
    { "ServerInfo", "" },
};
const size_t good_requests_count = sizeof(good_requests) / sizeof(good_requests[0]);

/* What a single line of any text may be. */
#define LINE   (B(UP) | B(ROOT) | B(SLASH) | B(PATTERN) | B(REPEAT) | B(EXPONENT))
#define ABSENT B(EMPTY)
/* What a filter may be: it lets nothing through. */
#define FILTER (LINE | ABSENT | B(CONTROL) | B(NEWLINE))
/* What compiles in RE2. */
#define EXPRESSION (B(UP) | B(ROOT) | B(SLASH) | B(EXPONENT))
/* What the server makes itself and ignores. */
#define NUMBERS (B(MINUS_ONE) | B(LARGEST) | B(SMALLEST))
#define IGNORED (FILTER | B(LONG) | NUMBERS | B(MISSING) | B(NO_BYTES) | B(MANY_BYTES))

const struct legal_value legal_values[] = {
    /* True of every list: 0 is the default, too much is the maximum; no token is the first page. */
    { "*.page_size", NUMBERS },
    { "*.page_token", ABSENT },
    { "*List.prefix", FILTER },
    { "*List.domain", ABSENT },
    { "*List.account", ABSENT },
    { "ChangeList.principal", FILTER },
    { "ChangeList.record_offset", NUMBERS },
    { "ChangeList.*_time", B(MISSING) },
    { "ChangeList.*_time.seconds", B(MINUS_ONE) },
    { "DomainRecords.acme_account_uri", LINE | ABSENT },
    /* Localparts may have "/", names of header fields all that is printable. */
    { "DomainAdd.localpart", B(ROOT) | B(SLASH) },
    { "DKIM*.headers[[]?]", LINE },
    { "DKIM*.expiration", B(MISSING) },
    { "DKIM*.algorithm", B(ENUM_ZERO) },
    { "DKIM*.hash", B(ENUM_ZERO) },
    { "DKIMKeyMake.domain", ABSENT },
    { "DKIMKeyMake.selector", ABSENT },
    /* Made by the server, or what names the record. */
    { "*Save.*.revision", IGNORED },
    { "*Save.*.create_time*", IGNORED },
    { "*Save.*.update_time*", IGNORED },
    { "*Save.*.ascii_name", IGNORED },
    { "DKIMSave.*.algorithm", B(ENUM_ZERO) },
    { "DKIMSave.*.public_key*", IGNORED },
    { "DKIMSave.*.key_file", IGNORED },
    { "AddressSave.address.canonical_address", IGNORED },
    { "AddressSave.address.domain", IGNORED },
    { "AddressSave.address.account", IGNORED },
    { "AddressSave.address.report_domain", IGNORED },
    { "AddressSave.address.kind", B(ENUM_ZERO) },
    /* Free text, and what may be absent. */
    { "*Save.update_mask.paths", B(TWICE) },
    { "*Save.*description", LINE | ABSENT },
    { "*Save.*full_name", LINE | ABSENT },
    { "*Save.*comment", LINE | ABSENT },
    { "*Save.*log_name", LINE | ABSENT },
    { "*Save.*_domain", B(TWICE) | ABSENT },
    { "*Save.*routes", B(TWICE) },
    { "AccountSave.account.domain", ABSENT },
    { "AccountSave.account.login_disabled", LINE | ABSENT },
    { "AccountSave.*_webhook", B(MISSING) },
    { "AccountSave.*.authorization", LINE | ABSENT },
    { "AccountSave.*_period", B(MISSING) },
    { "AccountSave.account.quota_message_size", B(MINUS_ONE) | B(LARGEST) },
    { "AccountSave.account.max_*_per_day", B(LARGEST) },
    { "AccountSave.*_words", B(LARGEST) },
    { "AccountSave.account.junk_filter", B(MISSING) },
    { "AccountSave.account.automatic_junk_flags", B(MISSING) },
    { "AccountSave.account.imap_capabilities_disabled[[]?]", B(PATTERN) },
    { "AddressSave.*_smtp_error", LINE | ABSENT },
    { "AddressSave.address.smtp_error", ABSENT },
    { "AddressSave.*rulesets", B(TWICE) },
    { "AddressSave.*headers_regexp", B(TWICE) },
    /* A mailbox may be called nearly anything, and an expression is what compiles. */
    { "*Save.*mailbox", LINE & ~(B(UP) | B(ROOT)) },
    { "*Save.address.mailbox", ABSENT },
    { "*Save.*rejects*mailbox", ABSENT },
    { "AccountSave.account.introbox", (LINE & ~(B(UP) | B(ROOT))) | ABSENT },
    { "*Save.*_regexp", EXPRESSION },
    { "AccountSave.*_regexp", ABSENT },
    { "AddressSave.*msg_from_regexp", ABSENT },
    { "AddressSave.*headers_regexp*", EXPRESSION },
    { "AddressSave.address.rulesets[[]1].smtp_mail_from_regexp", ABSENT },
    { "ConfigSave.config.web_handlers", B(TWICE) | B(MANY) },
    { "ConfigSave.*.strip_prefix", B(ROOT) | ABSENT },
    { "ConfigSave.*.root", LINE },
    { "ConfigSave.*.response_headers[[]0].value", LINE | ABSENT },
    { "ConfigSave.*.base_url", ABSENT },
    { "ConfigSave.*.replace_path", LINE },
    /* Parts of a domain that may be absent; localparts may have "/". */
    { "DomainSave.domain.dmarc", B(MISSING) },
    { "DomainSave.domain.tlsrpt", B(MISSING) },
    { "DomainSave.domain.mta_sts", B(MISSING) },
    { "DomainSave.domain.mta_sts.mx", B(TWICE) },
    { "DomainSave.*.domain", ABSENT },
    { "DomainSave.*.localpart", B(ROOT) | B(SLASH) },
    /* Aliases and TLS public keys. */
    { "*Update.*.revision", IGNORED },
    { "*Update.*.create_time*", IGNORED },
    { "*Update.*.update_time*", IGNORED },
    { "*Update.update_mask.paths", B(TWICE) },
    { "AliasUpdate.alias.canonical_address", IGNORED },
    { "AliasUpdate.alias.domain", IGNORED },
    { "AliasAddressesRemove.members", B(TWICE) },
    { "AliasList.member*", ABSENT },
    { "TLSPublicKey*.name", LINE | ABSENT },
    { "TLSPublicKeyUpdate.tls_public_key.type", IGNORED },
    { "ConfigExport.domain", ABSENT },
    { "ConfigApply.passphrase", LINE | ABSENT },
    { "ConfigApply.stage*", ABSENT },
    { "ConfigExport.passphrase", LINE | ABSENT },
};
const size_t legal_values_count = sizeof(legal_values) / sizeof(legal_values[0]);

const struct other_field other_fields[] = {
    { "AddressList.domain", "prefix" }, /* needs it */
    { "Batch.calls[[]0].message", "calls[0]" },
    { "ConfigApply.yaml", NULL }, /* violations have the paths of the document */
};
const size_t other_fields_count = sizeof(other_fields) / sizeof(other_fields[0]);

static void add(struct fixture *fixture, const char *method, const char *text)
{
    const ProtobufCServiceDescriptor *service = &mxadm__v1__admin__descriptor;
    struct arena *arena = arena_create((size_t) 1024 * 1024);
    ProtobufCMessage *request;
    uint8_t packed[4096];

    assert_non_null(arena);
    request = message_parse(
        arena, service, protobuf_c_service_descriptor_get_method_by_name(service, method)->input,
        text);
    assert_true(protobuf_c_message_get_packed_size(request) <= sizeof(packed));
    OK(ask_message(fixture, &root, method, packed, protobuf_c_message_pack(request, packed)));
    arena_destroy(arena);
}

void add_what_requests_name(struct fixture *fixture)
{
    add_domain(fixture, "example.org", "owner");
    add(fixture, "AddressAdd", "address: 'owner2@example.org' account: 'owner'");
    add(fixture, "AccountAdd", "account: 'bob' address: 'bob@example.org'");
    add(fixture, "DKIMAdd", "domain: 'example.org' selector: 'sel1'");
    add(fixture, "DomainAdd", "domain: 'empty.example' account: 'owner'");
    add(fixture, "AddressRemove", "address: 'postmaster@empty.example'");
    add(fixture, "AliasAdd",
        "address: 'team@example.org' members: 'owner@example.org' members: "
        "'owner2@example.org'");
    add(fixture, "TLSPublicKeyAdd",
        "certificate: " CERTIFICATE " login_address: 'owner@example.org' name: 'client'");
}
