/*
 * A domain is stored: its report addresses, which are address records, follow
 * its settings, and what depends on these and on its rules for localparts
 * follows too, or stands in the way (mox-behaviour 3.3, 3.5-07, 3.7).
 */
#include "model/account.h"
#include "model/address.h"
#include "model/check.h"
#include "model/domain.h"
#include "model/login.h"
#include "model/respell.h"

#include <string.h>

#define IN_USE "ADDRESS_IN_USE"

/* Both report addresses of a domain go through the same steps. */
struct report {
    Mxadm__V1__Address__Kind kind;
    const char *field;                      /* "domain.dmarc" */
    const Mxadm__V1__ReportAddress *before; /* NULL: none */
    const Mxadm__V1__ReportAddress *after;  /* NULL: none */
    const Mxadm__V1__Domain *before_domain; /* that it is at */
    const Mxadm__V1__Domain *after_domain;  /* by the rules that will be */
    const char *vacated;                    /* canonical localpart that it left; NULL: it stays */
    struct name_address before_address;
    struct name_address after_address;
};

#define REPORTS 2

struct save {
    struct model *model;
    const Mxadm__V1__Domain *before; /* NULL: a new domain */
    Mxadm__V1__Domain *after;
    struct report reports[REPORTS];
};

/* ------------------------------------------------------------------ reading */

/* The domain that a report address is at; NULL: reported. `own`: by the rules of which state. */
static const Mxadm__V1__Domain *domain_of(struct save *save, const Mxadm__V1__ReportAddress *report,
                                          const Mxadm__V1__Domain *own)
{
    return report->domain[0] == '\0' || strcmp(report->domain, own->name) == 0
               ? own
               : domain_require(save->model, report->domain);
}

static void read_address(struct save *save, const Mxadm__V1__ReportAddress *report,
                         const Mxadm__V1__Domain *domain, struct name_address *out)
{
    *out = (struct name_address){ .localpart = "", .domain = { domain->name, domain->ascii_name } };
    (void) name_parse_localpart(save->model->arena, report->localpart, &out->localpart);
}

static void read_before(struct save *save, struct report *report)
{
    report->before_domain = domain_of(save, report->before, save->before);
    if (report->before_domain != NULL) {
        read_address(save, report->before, report->before_domain, &report->before_address);
    }
}

static void read_after(struct save *save, struct report *report)
{
    struct slice packed;

    (void) account_require(save->model, report->after->account, &packed);
    report->after_domain = domain_of(save, report->after, save->after);
    if (report->after_domain != NULL) {
        read_address(save, report->after, report->after_domain, &report->after_address);
    }
}

static bool read_reports(struct save *save, const char *path)
{
    struct report *dmarc = &save->reports[0];
    struct report *tlsrpt = &save->reports[1];

    *dmarc = (struct report){ .kind = MXADM__V1__ADDRESS__KIND__KIND_DMARC_REPORT,
                              .field = check_field(save->model, path, "dmarc"),
                              .before = save->before == NULL ? NULL : save->before->dmarc,
                              .after = save->after->dmarc };
    *tlsrpt = (struct report){ .kind = MXADM__V1__ADDRESS__KIND__KIND_TLS_REPORT,
                               .field = check_field(save->model, path, "tlsrpt"),
                               .before = save->before == NULL ? NULL : save->before->tlsrpt,
                               .after = save->after->tlsrpt };
    for (int i = 0; i < REPORTS; i++) {
        if (save->reports[i].before != NULL) {
            read_before(save, &save->reports[i]);
        }
        if (save->reports[i].after != NULL) {
            read_after(save, &save->reports[i]);
        }
    }
    return status_ok(save->model->status);
}

/* ------------------------------------------------------------------- leaving */

/* Whether the address is the same by the rules that will be; its record is kept then. */
static bool stays(struct save *save, const struct report *report)
{
    return report->before != NULL && report->after != NULL &&
           strcmp(report->before_domain->name, report->after_domain->name) == 0 &&
           strcmp(address_localpart(save->model, report->after_domain, &report->before_address),
                  address_localpart(save->model, report->after_domain, &report->after_address)) ==
               0;
}

/* Those that go or move make room first: the other one may come there. */
static void leave(struct save *save, struct report *report)
{
    struct record_key key;

    if (report->before == NULL || stays(save, report)) {
        return;
    }
    key = address_key(save->model, report->before_domain, &report->before_address);
    report->vacated =
        address_localpart(save->model, report->before_domain, &report->before_address);
    record_delete(save->model, &key);
}

static bool has_vacated(const struct save *save)
{
    for (int i = 0; i < REPORTS; i++) {
        const struct report *report = &save->reports[i];

        if (report->vacated != NULL && report->before_domain == save->before) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ arriving */

static void put(struct save *save, const struct report *report, Mxadm__V1__Address *record)
{
    record->mailbox = report->after->mailbox;
    record->report_domain = save->after->name;
    (void) address_put(save->model, report->after_domain, &report->after_address, record);
}

/* What the record has beside the settings of the report address stays: rulesets, ... */
static void change(struct save *save, const struct report *report)
{
    struct model *model = save->model;
    const Mxadm__V1__Domain *domain = report->after_domain;
    const char *account = report->after->account;
    struct record_key key = address_key(model, domain, &report->after_address);
    Mxadm__V1__Address *record = record_load(model, RECORD_ADDRESS, &key);

    if (record == NULL) {
        status_fail(model->status, MX_DATA_LOSS, "RECORD_DAMAGED",
                    "the %s of domain '%s' is not among the addresses",
                    address_kind_words(report->kind), save->after->name);
        return;
    }
    if (strcmp(record->account, account) != 0 &&
        !login_check_owner(model, IN_USE, domain->name,
                           address_localpart(model, domain, &report->after_address), account)) {
        return;
    }
    record->account = (char *) account;
    record->address = (char *) name_address_text(model->arena, &report->after_address);
    put(save, report, record);
}

static void arrive(struct save *save, const struct report *report)
{
    struct model *model = save->model;
    const char *field = check_field(model, report->field, "localpart");

    if (report->after == NULL) {
        return;
    }
    if (stays(save, report)) {
        change(save, report);
    } else if (address_check_free(model, field, report->after_domain, &report->after_address,
                                  report->after->account)) {
        put(save, report,
            address_new(model, report->after_domain, &report->after_address, report->after->account,
                        report->kind));
    }
}

/* What an address that is gone leaves behind; the other report address may have come to its
 * place, and then it has checked that itself. */
static void check_left(struct save *save, const struct report *report)
{
    const Mxadm__V1__Domain *domain = report->before_domain;
    struct record_key key;

    if (report->vacated == NULL) {
        return;
    }
    key = record_key(RECORD_ADDRESS, domain->name, report->vacated);
    if (!record_exists(save->model, &key)) {
        (void) address_check_unneeded(
            save->model, IN_USE, domain == save->before ? save->after : domain, report->vacated);
    }
}

/* ------------------------------------------------------------------- all of it */

struct slice domain_save(struct model *model, const Mxadm__V1__Domain *before,
                         Mxadm__V1__Domain *after, const char *path)
{
    struct save save = { .model = model, .before = before, .after = after };
    struct record_key key = record_key(RECORD_DOMAIN, after->name, NULL);
    struct slice none = { NULL, 0 };

    domain_normalise(model, after);
    if (!domain_check(model, after, path) || !read_reports(&save, path)) {
        return none;
    }
    for (int i = 0; i < REPORTS; i++) {
        leave(&save, &save.reports[i]);
    }
    if (before != NULL && !respell_domain(model, before, after, has_vacated(&save))) {
        return none;
    }
    for (int i = 0; i < REPORTS; i++) {
        arrive(&save, &save.reports[i]);
    }
    for (int i = 0; i < REPORTS && status_ok(model->status); i++) {
        check_left(&save, &save.reports[i]);
    }
    return status_ok(model->status) ? record_put(model, RECORD_DOMAIN, &key, &after->base) : none;
}
