/* The values of a domain's record (mox-behaviour 3.3, 3.7). */
#include "model/domain.h"

#include "model/check.h"

#include <stdio.h>
#include <string.h>

#define ROUTES_MAX        100
#define MX_HOSTS_MAX      100
#define POLICY_ID_MAX     32
#define MTA_STS_AGE_MAX_S 31557600

const char *const domain_fixed[] = { "name",        "ascii_name",  "revision",
                                     "create_time", "update_time", NULL };

/* ------------------------------------------------------------ stored forms */

static char *domain_form(struct model *model, char *text)
{
    struct name_domain domain;

    return name_parse_domain(model->arena, text, &domain) == NULL ? (char *) domain.name : text;
}

static void normalise_report(struct model *model, Mxadm__V1__ReportAddress **report)
{
    Mxadm__V1__ReportAddress *form;
    const char *text;

    if (*report == NULL) {
        return;
    }
    /* Another record may borrow this one. */
    form = arena_memdup(model->arena, *report, sizeof(*form));
    if (name_parse_localpart(model->arena, form->localpart, &text) == NULL) {
        form->localpart = (char *) name_localpart_text(model->arena, text);
    }
    form->domain = domain_form(model, form->domain);
    if (name_parse_account(model->arena, form->account, &text) == NULL) {
        form->account = (char *) text;
    }
    *report = form;
}

/* A policy is served in ASCII (RFC 8461 section 3.2): "*.bücher.example" is stored as it is
 * served. */
static char *mx_form(struct model *model, char *text)
{
    bool wildcard = strncmp(text, "*.", 2) == 0;
    struct name_domain host;

    if (name_parse_domain(model->arena, text + (wildcard ? 2 : 0), &host) != NULL) {
        return text;
    }
    return arena_printf(model->arena, "%s%s", wildcard ? "*." : "", host.ascii);
}

static void normalise_mta_sts(struct model *model, Mxadm__V1__MtaSts **policy)
{
    Mxadm__V1__MtaSts *form;

    if (*policy == NULL || (*policy)->n_mx > MX_HOSTS_MAX) {
        return;
    }
    form = arena_memdup(model->arena, *policy, sizeof(*form));
    form->mx = arena_alloc(model->arena, (form->n_mx + 1) * sizeof(*form->mx));
    for (size_t i = 0; i < form->n_mx; i++) {
        form->mx[i] = mx_form(model, (*policy)->mx[i]);
    }
    *policy = form;
}

void domain_normalise(struct model *model, Mxadm__V1__Domain *domain)
{
    domain->client_settings_domain = domain_form(model, domain->client_settings_domain);
    normalise_report(model, &domain->dmarc);
    normalise_report(model, &domain->tlsrpt);
    normalise_mta_sts(model, &domain->mta_sts);
    check_normal_routes(model, domain->routes, domain->n_routes);
}

/* ------------------------------------------------------------------ checks */

static void report(struct model *model, const char *path, const char *text, const char *wrong)
{
    if (wrong != NULL) {
        status_field(model->status, path, "%s %s", name_show(model->arena, text), wrong);
    }
}

/* Reports a text that is good, but not as it is stored. */
static void check_form(struct model *model, const char *path, const char *text, const char *form)
{
    if (strcmp(text, form) != 0) {
        status_field(model->status, path, "%s is not in the form that is stored, %s",
                     name_show(model->arena, text), name_show(model->arena, form));
    }
}

static void check_domain_form(struct model *model, const char *path, const char *text)
{
    const char *form = text;

    if (check_domain(model, path, text, &form)) {
        check_form(model, path, text, form);
    }
}

static void check_separators(struct model *model, const Mxadm__V1__Domain *domain, const char *path)
{
    char *const *separators = domain->localpart_separators;

    if (!check_count(model, path, domain->n_localpart_separators, NAME_SEPARATORS_MAX)) {
        return;
    }
    for (size_t i = 0; i < domain->n_localpart_separators; i++) {
        const char *element = check_path(model, "%s[%zu]", path, i);
        const char *wrong = name_check_separator(separators[i]);

        for (size_t k = 0; k < i && wrong == NULL; k++) {
            wrong = strcmp(separators[k], separators[i]) == 0 ? "is there twice" : NULL;
        }
        report(model, element, separators[i], wrong);
    }
}

static void check_report_localpart(struct model *model, const char *path, const char *text)
{
    const char *localpart;
    const char *wrong;

    if (!check_required(model, path, text)) {
        return;
    }
    wrong = name_parse_localpart(model->arena, text, &localpart);
    if (wrong == NULL && !name_is_ascii(localpart)) {
        wrong = "is not ASCII, which those who send reports may not know to write to";
    }
    report(model, path, text, wrong);
    if (wrong == NULL) {
        check_form(model, path, text, name_localpart_text(model->arena, localpart));
    }
}

static void check_report(struct model *model, const Mxadm__V1__ReportAddress *address,
                         const char *path)
{
    const char *account_path = check_field(model, path, "account");
    const char *mailbox_path = check_field(model, path, "mailbox");
    const char *account;

    if (address == NULL) {
        return;
    }
    check_report_localpart(model, check_field(model, path, "localpart"), address->localpart);
    check_domain_form(model, check_field(model, path, "domain"), address->domain);
    if (check_required(model, account_path, address->account)) {
        const char *wrong = name_parse_account(model->arena, address->account, &account);

        report(model, account_path, address->account, wrong);
        if (wrong == NULL) {
            check_form(model, account_path, address->account, account);
        }
    }
    if (check_required(model, mailbox_path, address->mailbox)) {
        (void) check_mailbox(model, mailbox_path, address->mailbox, false);
    }
}

/* RFC 8461 section 3.1 */
static void check_policy_id(struct model *model, const char *path, const char *text)
{
    size_t len = strnlen(text, POLICY_ID_MAX + 1);
    size_t good = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    if (check_required(model, path, text)) {
        report(model, path, text,
               len > POLICY_ID_MAX ? "is longer than 32 characters"
               : good != len       ? "is not letters and digits only"
                                   : NULL);
    }
}

static void check_mx(struct model *model, const char *path, const char *text)
{
    struct name_domain host;
    const char *wrong;

    if (!check_required(model, path, text)) {
        return;
    }
    wrong = name_parse_domain(model->arena, text + (strncmp(text, "*.", 2) == 0 ? 2 : 0), &host);
    report(model, path, text, wrong);
    if (wrong == NULL) {
        check_form(model, path, text, mx_form(model, (char *) text));
    }
}

static void check_mta_sts(struct model *model, const Mxadm__V1__MtaSts *policy, const char *path)
{
    const char *age = check_field(model, path, "max_age");
    const char *mx = check_field(model, path, "mx");

    if (policy == NULL) {
        return;
    }
    if (!domain_may_have_mta_sts(model->settings)) {
        status_field(model->status, path,
                     "no listener of the settings serves MTA-STS policies (mta_sts)");
    }
    check_policy_id(model, check_field(model, path, "policy_id"), policy->policy_id);
    if (policy->mode < MXADM__V1__MTA_STS__MODE__MODE_ENFORCE ||
        policy->mode > MXADM__V1__MTA_STS__MODE__MODE_NONE) {
        status_field(model->status, check_field(model, path, "mode"),
                     "%d is not one of MODE_ENFORCE, MODE_TESTING, MODE_NONE", (int) policy->mode);
    }
    if (policy->max_age == NULL) {
        status_field(model->status, age, "is required");
    }
    (void) check_duration(model, age, policy->max_age, 0, MTA_STS_AGE_MAX_S, true);
    if (check_count(model, mx, policy->n_mx, MX_HOSTS_MAX)) {
        for (size_t i = 0; i < policy->n_mx; i++) {
            check_mx(model, check_path(model, "%s[%zu]", mx, i), policy->mx[i]);
        }
    }
}

/* 3.3-01 */
static void check_name(struct model *model, const Mxadm__V1__Domain *domain, const char *path)
{
    const char *name_path = check_field(model, path, "name");
    struct name_domain name;
    const char *wrong = name_parse_domain(model->arena, domain->name, &name);

    if (wrong == NULL && strlen(name.ascii) > DOMAIN_ASCII_MAX) {
        wrong = arena_printf(model->arena,
                             "is longer than %d bytes in ASCII form: its DNS records would not fit",
                             DOMAIN_ASCII_MAX);
    }
    report(model, name_path, domain->name, wrong);
    if (wrong == NULL) {
        check_form(model, name_path, domain->name, name.name);
        check_form(model, check_field(model, path, "ascii_name"), domain->ascii_name, name.ascii);
    }
}

bool domain_check(struct model *model, const Mxadm__V1__Domain *domain, const char *path)
{
    size_t violations = model->status->violation_count;

    check_name(model, domain, path);
    (void) check_line(model, check_field(model, path, "description"), domain->description);
    check_domain_form(model, check_field(model, path, "client_settings_domain"),
                      domain->client_settings_domain);
    check_separators(model, domain, check_field(model, path, "localpart_separators"));
    check_report(model, domain->dmarc, check_field(model, path, "dmarc"));
    check_report(model, domain->tlsrpt, check_field(model, path, "tlsrpt"));
    check_mta_sts(model, domain->mta_sts, check_field(model, path, "mta_sts"));
    (void) check_routes(model, check_field(model, path, "routes"), domain->routes, domain->n_routes,
                        ROUTES_MAX);
    return model->status->violation_count == violations;
}
