#include "model/config.h"

#include "model/check.h"
#include "model/regexp.h"
#include "settings/settings.h"

#include <string.h>
#include <strings.h>

#define ROUTES_MAX    1000
#define REDIRECTS_MAX 10000
#define HANDLERS_MAX  10000
#define DNSBLS_MAX    100
#define HEADERS_MAX   100
/* A second of compiling at most; what 10,000 plain handlers have is far below. */
#define EXPRESSIONS_WEIGHT_MAX 1000000

const char *const config_fixed[] = { "revision", "update_time", NULL };

/* --------------------------------------------------------------- redirects */

static bool serves_web(const struct settings *settings)
{
    for (size_t i = 0; i < settings->listener_count; i++) {
        if (settings->listeners[i].web) {
            return true;
        }
    }
    return false;
}

static void check_listener(struct model *model, const char *path, size_t count)
{
    if (count > 0 && !serves_web(model->settings)) {
        status_field(model->status, path, "no listener of the settings has \"web\"");
    }
}

/* A required domain; NULL: reported. */
static const char *check_name(struct model *model, const char *path, const char *text)
{
    const char *name = NULL;

    if (check_required(model, path, text)) {
        (void) check_domain(model, path, text, &name);
    }
    return name;
}

static void check_redirects(struct model *model, const char *path,
                            Mxadm__V1__WebDomainRedirect *const *redirects, size_t count)
{
    const char **from = arena_alloc(model->arena, (count + 1) * sizeof(*from));

    if (!check_count(model, path, count, REDIRECTS_MAX)) {
        return;
    }
    check_listener(model, path, count);
    for (size_t i = 0; i < count; i++) {
        const char *field = check_path(model, "%s[%zu].to", path, i);
        const char *to = check_name(model, field, redirects[i]->to);

        from[i] = check_name(model, check_path(model, "%s[%zu].from", path, i), redirects[i]->from);
        if (from[i] != NULL && to != NULL && strcmp(from[i], to) == 0) {
            status_field(model->status, field, "%s is the domain itself",
                         name_show(model->arena, redirects[i]->to));
        }
    }
    (void) check_distinct(model, path, ".from", from, count);
}

/* ----------------------------------------------------------------- targets */

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text)
{
    size_t len = strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    return len > 0 && text[len] == '\0';
}

static char *lower_ascii(struct model *model, const char *text)
{
    char *lower = arena_strdup(model->arena, text);

    for (char *c = lower; *c != '\0'; c++) {
        if (*c >= 'A' && *c <= 'Z') {
            *c = (char) (*c - 'A' + 'a');
        }
    }
    return lower;
}

static void check_headers(struct model *model, const char *path,
                          Mxadm__V1__HttpHeader *const *headers, size_t count)
{
    const char **names = arena_alloc(model->arena, (count + 1) * sizeof(*names));

    if (!check_count(model, path, count, HEADERS_MAX)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *field = check_path(model, "%s[%zu].name", path, i);

        (void) check_line(model, check_path(model, "%s[%zu].value", path, i), headers[i]->value);
        if (!check_required(model, field, headers[i]->name) ||
            !check_line(model, field, headers[i]->name)) {
            continue;
        }
        if (!is_token(headers[i]->name)) {
            status_field(model->status, field, "%s is not the name of a header",
                         name_show(model->arena, headers[i]->name));
            continue;
        }
        names[i] = lower_ascii(model, headers[i]->name);
    }
    (void) check_distinct(model, path, ".name", names, count);
}

static void check_static(struct model *model, const char *path, const Mxadm__V1__WebStatic *target)
{
    const char *strip = check_field(model, path, "strip_prefix");
    const char *root = check_field(model, path, "root");

    if (check_line(model, strip, target->strip_prefix) && target->strip_prefix[0] != '\0' &&
        target->strip_prefix[0] != '/') {
        status_field(model->status, strip, "%s does not start with \"/\"",
                     name_show(model->arena, target->strip_prefix));
    }
    if (check_required(model, root, target->root)) {
        (void) check_line(model, root, target->root);
    }
    check_headers(model, check_field(model, path, "response_headers"), target->response_headers,
                  target->n_response_headers);
}

static void check_base_url(struct model *model, const char *path, const char *url)
{
    const char *rest;

    if (url[0] == '\0' || !check_web_url(model, path, url)) {
        return;
    }
    rest = strstr(url, "//") + 2;
    rest += strcspn(rest, "/?#");
    rest += rest[0] == '/';
    if (rest[0] != '\0' && rest[0] != '?' && rest[0] != '#') {
        status_field(model->status, path, "%s has a path other than \"/\"",
                     name_show(model->arena, url));
    }
}

static void check_redirect(struct model *model, const char *path,
                           const Mxadm__V1__WebRedirect *target)
{
    const char *regexp = check_field(model, path, "orig_path_regexp");
    const char *replace = check_field(model, path, "replace_path");
    bool has_regexp = target->orig_path_regexp[0] != '\0';
    bool has_replace = target->replace_path[0] != '\0';

    check_base_url(model, check_field(model, path, "base_url"), target->base_url);
    (void) check_regexp(model, regexp, target->orig_path_regexp);
    (void) check_line(model, replace, target->replace_path);
    if (has_regexp != has_replace) {
        status_field(model->status, has_regexp ? replace : regexp,
                     "is required: orig_path_regexp and replace_path go together");
    } else if (!has_regexp && target->base_url[0] == '\0') {
        status_field(model->status, path,
                     "has neither base_url nor orig_path_regexp and replace_path");
    }
    if (target->status_code != 0) {
        (void) check_range(model, check_field(model, path, "status_code"), target->status_code, 300,
                           399);
    }
}

static void check_forward(struct model *model, const char *path,
                          const Mxadm__V1__WebForward *target)
{
    const char *url = check_field(model, path, "url");

    if (check_required(model, url, target->url)) {
        (void) check_web_url(model, url, target->url);
    }
    check_headers(model, check_field(model, path, "response_headers"), target->response_headers,
                  target->n_response_headers);
}

static bool is_service(const char *name)
{
    static const char *const services[] = { "admin", "account", "webmail", "webapi" };

    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strcmp(services[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_internal(struct model *model, const char *path,
                           const Mxadm__V1__WebInternal *target)
{
    const char *field = check_field(model, path, "base_path");
    const char *base = target->base_path;

    if (check_required(model, field, base) && check_line(model, field, base) &&
        (base[0] != '/' || base[strlen(base) - 1] != '/')) {
        status_field(model->status, field, "%s does not start and end with \"/\"",
                     name_show(model->arena, base));
    }
    if (!is_service(target->service)) {
        status_field(model->status, check_field(model, path, "service"),
                     "%s is not \"admin\", \"account\", \"webmail\" or \"webapi\"",
                     name_show(model->arena, target->service));
    }
}

/* ---------------------------------------------------------------- handlers */

static void check_target(struct model *model, const char *path,
                         const Mxadm__V1__WebHandler *handler)
{
    switch (handler->target_case) {
    case MXADM__V1__WEB_HANDLER__TARGET_WEB_STATIC:
        check_static(model, check_field(model, path, "web_static"), handler->web_static);
        return;
    case MXADM__V1__WEB_HANDLER__TARGET_WEB_REDIRECT:
        check_redirect(model, check_field(model, path, "web_redirect"), handler->web_redirect);
        return;
    case MXADM__V1__WEB_HANDLER__TARGET_WEB_FORWARD:
        check_forward(model, check_field(model, path, "web_forward"), handler->web_forward);
        return;
    case MXADM__V1__WEB_HANDLER__TARGET_WEB_INTERNAL:
        check_internal(model, check_field(model, path, "web_internal"), handler->web_internal);
        return;
    case MXADM__V1__WEB_HANDLER__TARGET__NOT_SET:
    case _MXADM__V1__WEB_HANDLER__TARGET__CASE_IS_INT_SIZE:
        break;
    }
    status_field(model->status, path,
                 "has no target: set web_static, web_redirect, web_forward or web_internal");
}

static void check_handler(struct model *model, const char *path,
                          const Mxadm__V1__WebHandler *handler)
{
    const char *regexp = check_field(model, path, "path_regexp");

    (void) check_line(model, check_field(model, path, "log_name"), handler->log_name);
    (void) check_name(model, check_field(model, path, "domain"), handler->domain);
    if (check_required(model, regexp, handler->path_regexp) &&
        check_regexp(model, regexp, handler->path_regexp) && handler->path_regexp[0] != '^') {
        status_field(model->status, regexp, "%s does not start with \"^\"",
                     name_show(model->arena, handler->path_regexp));
    }
    check_target(model, path, handler);
}

/* Before any expression is compiled. */
static bool check_expressions(struct model *model, const char *path,
                              Mxadm__V1__WebHandler *const *handlers, size_t count)
{
    size_t weight = 0;

    for (size_t i = 0; i < count; i++) {
        weight += regexp_weight(handlers[i]->path_regexp);
        if (handlers[i]->target_case == MXADM__V1__WEB_HANDLER__TARGET_WEB_REDIRECT) {
            weight += regexp_weight(handlers[i]->web_redirect->orig_path_regexp);
        }
    }
    return check_weight(model, path, weight, EXPRESSIONS_WEIGHT_MAX);
}

static void check_handlers(struct model *model, const char *path,
                           Mxadm__V1__WebHandler *const *handlers, size_t count)
{
    if (!check_count(model, path, count, HANDLERS_MAX) ||
        !check_expressions(model, path, handlers, count)) {
        return;
    }
    check_listener(model, path, count);
    for (size_t i = 0; i < count; i++) {
        check_handler(model, check_path(model, "%s[%zu]", path, i), handlers[i]);
    }
}

/* -------------------------------------------------------------- block lists */

static void check_dnsbls(struct model *model, const char *path, char *const *zones, size_t count)
{
    const char **names = arena_alloc(model->arena, (count + 1) * sizeof(*names));

    if (!check_count(model, path, count, DNSBLS_MAX)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = check_name(model, check_path(model, "%s[%zu]", path, i), zones[i]);
    }
    (void) check_distinct(model, path, "", names, count);
}

/* --------------------------------------------------------------------- all */

bool config_check(struct model *model, const Mxadm__V1__Config *config, const char *path)
{
    size_t violations = model->status->violation_count;

    (void) check_routes(model, check_field(model, path, "routes"), config->routes, config->n_routes,
                        ROUTES_MAX);
    check_redirects(model, check_field(model, path, "web_domain_redirects"),
                    config->web_domain_redirects, config->n_web_domain_redirects);
    check_handlers(model, check_field(model, path, "web_handlers"), config->web_handlers,
                   config->n_web_handlers);
    check_dnsbls(model, check_field(model, path, "monitor_dnsbls"), config->monitor_dnsbls,
                 config->n_monitor_dnsbls);
    return model->status->violation_count == violations;
}

void config_normalise(struct model *model, Mxadm__V1__Config *config)
{
    check_normal_routes(model, config->routes, config->n_routes);
    for (size_t i = 0; i < config->n_web_domain_redirects && i < REDIRECTS_MAX; i++) {
        Mxadm__V1__WebDomainRedirect *redirect = config->web_domain_redirects[i];

        redirect->from = (char *) check_normal_domain(model, redirect->from);
        redirect->to = (char *) check_normal_domain(model, redirect->to);
    }
    for (size_t i = 0; i < config->n_web_handlers && i < HANDLERS_MAX; i++) {
        Mxadm__V1__WebHandler *handler = config->web_handlers[i];

        handler->domain = (char *) check_normal_domain(model, handler->domain);
    }
    for (size_t i = 0; i < config->n_monitor_dnsbls && i < DNSBLS_MAX; i++) {
        config->monitor_dnsbls[i] = (char *) check_normal_domain(model, config->monitor_dnsbls[i]);
    }
}

/* ------------------------------------------------------------------ storing */

struct slice config_get(const struct model *model)
{
    struct record_key key = record_key(RECORD_CONFIG, NULL, NULL);
    struct slice packed;

    return record_get(model, &key, &packed) ? packed : slice_of("", 0);
}

/* What was never saved and has nothing set need not be there. */
static bool is_empty(const Mxadm__V1__Config *config)
{
    return config->n_routes == 0 && config->n_web_domain_redirects == 0 &&
           config->n_web_handlers == 0 && config->n_monitor_dnsbls == 0;
}

struct slice config_save(struct model *model, const Mxadm__V1__Config *before,
                         Mxadm__V1__Config *after, const char *path)
{
    struct record_key key = record_key(RECORD_CONFIG, NULL, NULL);

    config_normalise(model, after);
    if (!config_check(model, after, path) || !status_ok(model->status)) {
        return slice_of(NULL, 0);
    }
    if (before->revision == 0 && is_empty(after)) {
        return slice_of("", 0);
    }
    return record_put(model, RECORD_CONFIG, &key, &after->base);
}
