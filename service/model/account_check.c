/*
 * Values of an account, as model.proto states them (mox-behaviour 2.8 to 2.10,
 * 3.4).
 */
#include "model/account.h"
#include "model/check.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define LOGIN_DISABLED_MAX 256
#define CAPABILITIES_MAX   100
#define CAPABILITY_MAX     64
#define ROUTES_MAX         100

const char *const account_fixed[] = { "name", "revision", "create_time", "update_time", NULL };

/* ---------------------------------------------------------------- webhooks */

static const char *const events[] = { "delivered", "suppressed", "delayed",  "failed",
                                      "relayed",   "expanded",   "canceled", "unrecognized" };

#define EVENT_COUNT (sizeof(events) / sizeof(events[0]))

static bool is_event(const char *name)
{
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        if (strcmp(events[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The value of the header is a secret: it is not shown. */
static void check_webhook(struct model *model, const char *path, const char *url,
                          const char *authorization)
{
    const char *url_path = check_field(model, path, "url");
    const char *wrong = name_check_line(authorization);

    if (check_required(model, url_path, url)) {
        (void) check_web_url(model, url_path, url);
    }
    if (wrong != NULL) {
        status_field(model->status, check_field(model, path, "authorization"), "the value %s",
                     wrong);
    }
}

static void check_events(struct model *model, const char *path,
                         const Mxadm__V1__OutgoingWebhook *webhook)
{
    if (!check_count(model, path, webhook->n_events, EVENT_COUNT)) {
        return;
    }
    for (size_t i = 0; i < webhook->n_events; i++) {
        if (!is_event(webhook->events[i])) {
            status_field(model->status, check_path(model, "%s[%zu]", path, i),
                         "%s is no event of outgoing mail",
                         name_show(model->arena, webhook->events[i]));
        }
    }
    (void) check_distinct(model, path, "", (const char *const *) webhook->events,
                          webhook->n_events);
}

static void check_webhooks(struct model *model, const Mxadm__V1__Account *account, const char *path)
{
    const Mxadm__V1__OutgoingWebhook *outgoing = account->outgoing_webhook;
    const Mxadm__V1__IncomingWebhook *incoming = account->incoming_webhook;
    const char *field;

    if (outgoing != NULL) {
        field = check_field(model, path, "outgoing_webhook");
        check_webhook(model, field, outgoing->url, outgoing->authorization);
        check_events(model, check_field(model, field, "events"), outgoing);
    }
    if (incoming != NULL) {
        field = check_field(model, path, "incoming_webhook");
        check_webhook(model, field, incoming->url, incoming->authorization);
    }
}

/* ---------------------------------------------------------- mailboxes, junk */

static void check_mailboxes(struct model *model, const Mxadm__V1__Account *account,
                            const char *path)
{
    const char *introbox = check_field(model, path, "introbox");

    (void) check_mailbox(model, check_field(model, path, "rejects_mailbox"),
                         account->rejects_mailbox, true);
    if (check_mailbox(model, introbox, account->introbox, true) && account->introbox[0] != '\0' &&
        strcmp(account->introbox, account->rejects_mailbox) == 0) {
        status_field(model->status, introbox, "%s is the rejects mailbox",
                     name_show(model->arena, account->introbox));
    }
}

static void check_junk_flags(struct model *model, const Mxadm__V1__AutomaticJunkFlags *flags,
                             const char *path)
{
    if (flags == NULL) {
        return;
    }
    (void) check_regexp(model, check_field(model, path, "junk_mailbox_regexp"),
                        flags->junk_mailbox_regexp);
    (void) check_regexp(model, check_field(model, path, "neutral_mailbox_regexp"),
                        flags->neutral_mailbox_regexp);
    (void) check_regexp(model, check_field(model, path, "not_junk_mailbox_regexp"),
                        flags->not_junk_mailbox_regexp);
}

static void check_junk_filter(struct model *model, const Mxadm__V1__JunkFilter *filter,
                              const char *path)
{
    const char *threshold = check_field(model, path, "threshold");

    if (filter == NULL) {
        return;
    }
    if (check_fraction(model, threshold, filter->threshold, 0, 1) && filter->threshold == 0) {
        status_field(model->status, threshold, "0 makes every message junk: it must be above 0");
    }
    (void) check_fraction(model, check_field(model, path, "max_power"), filter->max_power, 0, 0.5);
    (void) check_range(model, check_field(model, path, "top_words"), filter->top_words, 0, INT_MAX);
    (void) check_fraction(model, check_field(model, path, "ignore_words"), filter->ignore_words, 0,
                          0.5);
    (void) check_range(model, check_field(model, path, "rare_words"), filter->rare_words, 0,
                       INT_MAX);
}

/* ------------------------------------------------------------------- logins */

static const char *wrong_capability(const char *name)
{
    size_t len = strnlen(name, CAPABILITY_MAX + 1);

    if (len == 0 || len > CAPABILITY_MAX) {
        return "is not 1 to 64 bytes long";
    }
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= 0x20 || name[i] > 0x7e || (name[i] >= 'a' && name[i] <= 'z')) {
            return "is not upper case, printable ASCII without blanks";
        }
    }
    return NULL;
}

static void check_capabilities(struct model *model, const Mxadm__V1__Account *account,
                               const char *path)
{
    size_t count = account->n_imap_capabilities_disabled;

    if (!check_count(model, path, count, CAPABILITIES_MAX)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = account->imap_capabilities_disabled[i];
        const char *wrong = wrong_capability(name);

        if (wrong != NULL) {
            status_field(model->status, check_path(model, "%s[%zu]", path, i), "%s %s",
                         name_show(model->arena, name), wrong);
        }
    }
    (void) check_distinct(model, path, "",
                          (const char *const *) account->imap_capabilities_disabled, count);
}

static void check_logins(struct model *model, const Mxadm__V1__Account *account, const char *path)
{
    size_t count = account->n_from_id_login_addresses;
    struct name_address address;

    if (!check_count(model, path, count, ACCOUNT_FROM_IDS_MAX)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *text = account->from_id_login_addresses[i];
        const char *wrong = name_parse_address(model->arena, text, false, &address);

        if (wrong != NULL) {
            status_field(model->status, check_path(model, "%s[%zu]", path, i), "%s %s",
                         name_show(model->arena, text), wrong);
        }
    }
    (void) check_distinct(model, path, "", (const char *const *) account->from_id_login_addresses,
                          count);
}

/* ------------------------------------------------------------------ numbers */

static void check_periods(struct model *model, const Mxadm__V1__Account *account, const char *path)
{
    (void) check_duration(model, check_field(model, path, "keep_retired_message_period"),
                          account->keep_retired_message_period, 0, CHECK_PERIOD_MAX_S, false);
    (void) check_duration(model, check_field(model, path, "keep_retired_webhook_period"),
                          account->keep_retired_webhook_period, 0, CHECK_PERIOD_MAX_S, false);
    (void) check_duration(model, check_field(model, path, "subject_pass_period"),
                          account->subject_pass_period, 0, CHECK_PERIOD_MAX_S, false);
}

static void check_limits(struct model *model, const Mxadm__V1__Account *account, const char *path)
{
    (void) check_range(model, check_field(model, path, "quota_message_size"),
                       account->quota_message_size, -1, INT64_MAX);
    (void) check_range(model, check_field(model, path, "max_outgoing_messages_per_day"),
                       account->max_outgoing_messages_per_day, 0, INT_MAX);
    (void) check_range(model, check_field(model, path, "max_first_time_recipients_per_day"),
                       account->max_first_time_recipients_per_day, 0, INT_MAX);
}

/* --------------------------------------------------------------------- all */

static void check_identity(struct model *model, const Mxadm__V1__Account *account, const char *path)
{
    const char *field = check_field(model, path, "name");
    const char *name;
    const char *wrong = name_parse_account(model->arena, account->name, &name);

    if (wrong == NULL && strcmp(name, account->name) != 0) {
        wrong = "is not in Unicode normalisation form C";
    }
    if (wrong != NULL) {
        status_field(model->status, field, "%s %s", name_show(model->arena, account->name), wrong);
    }
    (void) check_domain(model, check_field(model, path, "domain"), account->domain, NULL);
}

bool account_check(struct model *model, const Mxadm__V1__Account *account, const char *path)
{
    size_t violations = model->status->violation_count;

    check_identity(model, account, path);
    (void) check_line(model, check_field(model, path, "description"), account->description);
    (void) check_line(model, check_field(model, path, "full_name"), account->full_name);
    (void) check_ascii(model, check_field(model, path, "login_disabled"), account->login_disabled,
                       LOGIN_DISABLED_MAX);
    check_webhooks(model, account, path);
    check_logins(model, account, check_field(model, path, "from_id_login_addresses"));
    check_periods(model, account, path);
    check_limits(model, account, path);
    check_mailboxes(model, account, path);
    check_junk_flags(model, account->automatic_junk_flags,
                     check_field(model, path, "automatic_junk_flags"));
    check_junk_filter(model, account->junk_filter, check_field(model, path, "junk_filter"));
    check_capabilities(model, account, check_field(model, path, "imap_capabilities_disabled"));
    (void) check_routes(model, check_field(model, path, "routes"), account->routes,
                        account->n_routes, ROUTES_MAX);
    return model->status->violation_count == violations;
}

/* ------------------------------------------------------------ normal forms */

/* IMAP's inbox has one spelling, also as a parent (3.4-05). */
static const char *normal_mailbox(struct model *model, const char *text)
{
    size_t len = strcspn(text, "/");

    if (len != strlen("inbox") || strncasecmp(text, "inbox", len) != 0) {
        return text;
    }
    return arena_printf(model->arena, "Inbox%s", text + len);
}

void account_normalise(struct model *model, Mxadm__V1__Account *account)
{
    account->domain = (char *) check_normal_domain(model, account->domain);
    account->rejects_mailbox = (char *) normal_mailbox(model, account->rejects_mailbox);
    account->introbox = (char *) normal_mailbox(model, account->introbox);
    check_normal_routes(model, account->routes, account->n_routes);
}
