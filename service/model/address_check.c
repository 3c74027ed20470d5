/*
 * Saving an address: values, as model.proto states them (mox-behaviour
 * 2.11, 2.12, 3.6).
 */
#include "model/address.h"
#include "model/check.h"
#include "model/regexp.h"

#include <string.h>

#define RULESETS_MAX       1000
#define HEADER_REGEXPS_MAX 100
#define SMTP_ERROR_MAX     256
/* A tenth of a second of compiling, that is: the writer does it. */
#define EXPRESSIONS_WEIGHT_MAX 100000

const char *const address_fixed[] = {
    "address",       "canonical_address", "domain",      "account",     "kind",
    "report_domain", "revision",          "create_time", "update_time", NULL
};

/* ---------------------------------------------------------------- rulesets */

static void check_headers(struct model *model, const char *path, const Mxadm__V1__Ruleset *ruleset)
{
    if (!check_count(model, path, ruleset->n_headers_regexp, HEADER_REGEXPS_MAX)) {
        return;
    }
    for (size_t i = 0; i < ruleset->n_headers_regexp; i++) {
        const Mxadm__V1__HeaderRegexp *header = ruleset->headers_regexp[i];
        const char *name = check_path(model, "%s[%zu].name", path, i);
        const char *value = check_path(model, "%s[%zu].value", path, i);

        if (check_required(model, name, header->name)) {
            (void) check_lower_regexp(model, name, header->name);
        }
        if (check_required(model, value, header->value)) {
            (void) check_lower_regexp(model, value, header->value);
        }
    }
}

static bool has_condition(const Mxadm__V1__Ruleset *ruleset)
{
    return ruleset->smtp_mail_from_regexp[0] != '\0' || ruleset->msg_from_regexp[0] != '\0' ||
           ruleset->verified_domain[0] != '\0' || ruleset->n_headers_regexp > 0;
}

static void check_conditions(struct model *model, const char *path,
                             const Mxadm__V1__Ruleset *ruleset)
{
    (void) check_regexp(model, check_field(model, path, "smtp_mail_from_regexp"),
                        ruleset->smtp_mail_from_regexp);
    (void) check_regexp(model, check_field(model, path, "msg_from_regexp"),
                        ruleset->msg_from_regexp);
    (void) check_domain(model, check_field(model, path, "verified_domain"),
                        ruleset->verified_domain, NULL);
    check_headers(model, check_field(model, path, "headers_regexp"), ruleset);
    if (!has_condition(ruleset)) {
        status_field(model->status, path,
                     "has no condition: set smtp_mail_from_regexp, msg_from_regexp, "
                     "verified_domain or headers_regexp");
    }
}

/* Forwarded mail and mailing lists (3.6-06). */
static void check_trust(struct model *model, const char *path, const Mxadm__V1__Ruleset *ruleset)
{
    const char *is_forward = check_field(model, path, "is_forward");

    (void) check_domain(model, check_field(model, path, "list_allow_domain"),
                        ruleset->list_allow_domain, NULL);
    if (!ruleset->is_forward) {
        return;
    }
    if (ruleset->list_allow_domain[0] != '\0') {
        status_field(model->status, is_forward, "can't be together with list_allow_domain");
    }
    if (ruleset->smtp_mail_from_regexp[0] == '\0') {
        status_field(model->status, check_field(model, path, "smtp_mail_from_regexp"),
                     "is required with is_forward");
    }
    if (ruleset->verified_domain[0] == '\0') {
        status_field(model->status, check_field(model, path, "verified_domain"),
                     "is required with is_forward");
    }
}

static void check_ruleset(struct model *model, const char *path, const Mxadm__V1__Ruleset *ruleset)
{
    const char *mailbox = check_field(model, path, "mailbox");

    check_conditions(model, path, ruleset);
    check_trust(model, path, ruleset);
    (void) check_mailbox(model, check_field(model, path, "accept_rejects_to_mailbox"),
                         ruleset->accept_rejects_to_mailbox, true);
    if (check_required(model, mailbox, ruleset->mailbox)) {
        (void) check_mailbox(model, mailbox, ruleset->mailbox, false);
    }
    (void) check_line(model, check_field(model, path, "comment"), ruleset->comment);
}

static size_t expressions_weight(const Mxadm__V1__Ruleset *ruleset)
{
    size_t weight =
        regexp_weight(ruleset->smtp_mail_from_regexp) + regexp_weight(ruleset->msg_from_regexp);

    for (size_t i = 0; i < ruleset->n_headers_regexp; i++) {
        weight += regexp_weight(ruleset->headers_regexp[i]->name);
        weight += regexp_weight(ruleset->headers_regexp[i]->value);
    }
    return weight;
}

/* Before any is compiled. */
static bool check_expressions(struct model *model, const char *path,
                              const Mxadm__V1__Address *address)
{
    size_t weight = 0;

    for (size_t i = 0; i < address->n_rulesets; i++) {
        weight += expressions_weight(address->rulesets[i]);
    }
    return check_weight(model, path, weight, EXPRESSIONS_WEIGHT_MAX);
}

static void check_rulesets(struct model *model, const char *path, const Mxadm__V1__Address *address)
{
    if (!check_count(model, path, address->n_rulesets, RULESETS_MAX) ||
        !check_expressions(model, path, address)) {
        return;
    }
    for (size_t i = 0; i < address->n_rulesets; i++) {
        check_ruleset(model, check_path(model, "%s[%zu]", path, i), address->rulesets[i]);
    }
}

/* ---------------------------------------------------------------- refusals */

static bool is_refusal(const char *text)
{
    return (strncmp(text, "550", 3) == 0 || strncmp(text, "421", 3) == 0) &&
           (text[3] == '\0' || text[3] == ' ');
}

static void check_smtp_error(struct model *model, const char *path,
                             const Mxadm__V1__Address *address)
{
    const char *text = address->smtp_error;

    if (text[0] == '\0' || !check_ascii(model, path, text, SMTP_ERROR_MAX)) {
        return;
    }
    if (!is_refusal(text)) {
        status_field(model->status, path,
                     "%s is not \"550\" or \"421\", alone or followed by a blank and a text",
                     name_show(model->arena, text));
    }
    if (address->mailbox[0] != '\0' || address->n_rulesets > 0) {
        status_field(model->status, path, "can't be together with a mailbox or rulesets");
    }
}

/* --------------------------------------------------------------------- all */

static void check_identity(struct model *model, const Mxadm__V1__Address *address, const char *path)
{
    const char *field = check_field(model, path, "address");
    struct name_address parsed;
    const char *wrong = name_parse_address(model->arena, address->address, true, &parsed);
    bool catchall = address->kind == MXADM__V1__ADDRESS__KIND__KIND_CATCHALL;

    if (wrong != NULL) {
        status_field(model->status, field, "%s %s", name_show(model->arena, address->address),
                     wrong);
    } else if (address->kind == MXADM__V1__ADDRESS__KIND__KIND_UNSPECIFIED ||
               parsed.catchall != catchall) {
        status_field(model->status, check_field(model, path, "kind"), "does not fit the address %s",
                     name_show(model->arena, address->address));
    }
    if (address_is_report(address->kind) != (address->report_domain[0] != '\0')) {
        status_field(model->status, check_field(model, path, "report_domain"),
                     "does not fit the kind of address");
    }
}

bool address_check(struct model *model, const Mxadm__V1__Address *address, const char *path)
{
    size_t violations = model->status->violation_count;

    check_identity(model, address, path);
    (void) check_mailbox(model, check_field(model, path, "mailbox"), address->mailbox, false);
    check_rulesets(model, check_field(model, path, "rulesets"), address);
    check_smtp_error(model, check_field(model, path, "smtp_error"), address);
    (void) check_ascii(model, check_field(model, path, "message_auth_required_smtp_error"),
                       address->message_auth_required_smtp_error, SMTP_ERROR_MAX);
    (void) check_line(model, check_field(model, path, "full_name"), address->full_name);
    return model->status->violation_count == violations;
}

void address_normalise(struct model *model, Mxadm__V1__Address *address)
{
    for (size_t i = 0; i < address->n_rulesets && i < RULESETS_MAX; i++) {
        Mxadm__V1__Ruleset *ruleset = address->rulesets[i];

        ruleset->verified_domain = (char *) check_normal_domain(model, ruleset->verified_domain);
        ruleset->list_allow_domain =
            (char *) check_normal_domain(model, ruleset->list_allow_domain);
    }
}

/* The key by the record's own names. */
static struct record_key key_of(struct model *model, const Mxadm__V1__Address *address)
{
    const char *at = strrchr(address->canonical_address, '@');
    size_t len = (size_t) (at - address->canonical_address);

    return record_key(RECORD_ADDRESS, address->domain,
                      address->kind == MXADM__V1__ADDRESS__KIND__KIND_CATCHALL
                          ? RECORD_CATCHALL
                          : arena_strndup(model->arena, address->canonical_address, len));
}

struct slice address_save(struct model *model, const Mxadm__V1__Address *before,
                          Mxadm__V1__Address *after, const char *path)
{
    struct record_key key;

    if (address_is_report(before->kind)) {
        status_blocker(model->status, "REPORT_ADDRESS", "domain", before->report_domain,
                       "'%s' is the %s of domain '%s': change it with that domain's settings",
                       before->address, address_kind_words(before->kind), before->report_domain);
        return slice_of(NULL, 0);
    }
    address_normalise(model, after);
    if (!address_check(model, after, path) || !status_ok(model->status)) {
        return slice_of(NULL, 0);
    }
    key = key_of(model, before);
    return record_put(model, RECORD_ADDRESS, &key, &after->base);
}
