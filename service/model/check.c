#include "model/check.h"

#include "model/regexp.h"
#include "model/unicode.h"
#include "settings/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define URL_MAX                    2048
#define ROUTE_DOMAINS_MAX          100
#define ROUTES_MAX                 1000 /* of any record */
#define ROUTE_MINIMUM_ATTEMPTS_MAX 1000

const char *check_path(struct model *model, const char *format, ...)
{
    va_list args;
    const char *path;

    va_start(args, format);
    path = arena_vprintf(model->arena, format, args);
    va_end(args);
    return path;
}

const char *check_field(struct model *model, const char *path, const char *name)
{
    return path[0] == '\0' ? name : arena_printf(model->arena, "%s.%s", path, name);
}

/* Reports a clause about a value; NULL: there is nothing to report. */
static bool report(struct model *model, const char *path, const char *text, const char *wrong)
{
    if (wrong != NULL) {
        status_field(model->status, path, "%s %s", name_show(model->arena, text), wrong);
    }
    return wrong == NULL;
}

bool check_required(struct model *model, const char *path, const char *text)
{
    if (text[0] == '\0') {
        status_field(model->status, path, "is required");
    }
    return text[0] != '\0';
}

bool check_count(struct model *model, const char *path, size_t count, size_t max)
{
    if (count > max) {
        status_field(model->status, path, "has %zu elements, at most %zu are allowed", count, max);
    }
    return count <= max;
}

bool check_line(struct model *model, const char *path, const char *text)
{
    return report(model, path, text, name_check_line(text));
}

bool check_ascii(struct model *model, const char *path, const char *text, size_t max)
{
    const char *wrong = NULL;

    if (strnlen(text, max + 1) > max) {
        wrong = arena_printf(model->arena, "is longer than %zu bytes", max);
    }
    for (const char *c = text; *c != '\0' && wrong == NULL; c++) {
        if (*c < 0x20 || *c > 0x7e) {
            wrong = "is not printable ASCII";
        }
    }
    return report(model, path, text, wrong);
}

bool check_mailbox(struct model *model, const char *path, const char *text, bool not_inbox)
{
    const char *wrong = NULL;

    if (text[0] == '\0') {
        return true;
    }
    wrong = name_check_mailbox(model->arena, text);
    if (wrong == NULL && not_inbox && strcasecmp(text, "inbox") == 0) {
        wrong = "is the inbox";
    }
    return report(model, path, text, wrong);
}

bool check_regexp(struct model *model, const char *path, const char *text)
{
    char why[256];
    const char *wrong = NULL;

    if (text[0] == '\0') {
        return true;
    }
    if (strnlen(text, REGEXP_MAX + 1) > REGEXP_MAX) {
        wrong = "is longer than 1024 bytes";
    } else if (name_check_line(text) != NULL) {
        wrong = name_check_line(text);
    } else if (!regexp_compiles(text, why, sizeof(why))) {
        wrong = arena_printf(model->arena, "does not compile as a regular expression of RE2: %s",
                             name_show(model->arena, why));
    }
    return report(model, path, text, wrong);
}

bool check_weight(struct model *model, const char *path, size_t weight, size_t max)
{
    if (weight > max) {
        status_field(model->status, path,
                     "its regular expressions are too large together: they weigh %zu, at most %zu "
                     "is allowed (a byte 1, a Unicode class 1200 for each time it is repeated)",
                     weight, max);
    }
    return weight <= max;
}

/* How much of the text, which begins with a backslash, is an escape that stands for more than the
 * letters it is written with: "\\S", "\\pL", "\\p{Greek}", "\\x{10FFFF}". */
static size_t escape_length(const char *text)
{
    size_t close;

    if (text[1] == '\0') {
        return 1;
    }
    if (strchr("pPx", text[1]) == NULL || text[2] == '\0') {
        return 2;
    }
    close = strcspn(text, "}");
    if (text[2] == '{') {
        return close + (text[close] == '}');
    }
    return text[1] == 'x' && text[3] != '\0' ? 4 : 3;
}

/* Flags and names of a group: "(?i:", "(?U)", "(?P<Name>". */
static size_t group_length(const char *text)
{
    size_t end = strcspn(text, ":)>");

    return end + (text[end] != '\0');
}

/* What of an expression stands for itself, and some of its syntax, which is not letters. */
static const char *literal_text(struct model *model, const char *text)
{
    char *literal = arena_alloc(model->arena, strlen(text) + 1);
    size_t len = 0;
    bool quoted = false; /* between \Q and \E */

    while (*text != '\0') {
        if (strncmp(text, quoted ? "\\E" : "\\Q", 2) == 0) {
            quoted = !quoted;
            text += 2;
        } else if (!quoted && text[0] == '\\') {
            text += escape_length(text);
        } else if (!quoted && strncmp(text, "(?", 2) == 0) {
            text += group_length(text);
        } else {
            literal[len++] = *text++;
        }
    }
    return literal;
}

bool check_lower_regexp(struct model *model, const char *path, const char *text)
{
    const char *literal;
    const char *wrong = NULL;

    if (!check_regexp(model, path, text)) {
        return false;
    }
    literal = literal_text(model, text);
    if (!unicode_is_valid(literal)) {
        wrong = "is not UTF-8";
    } else if (strcmp(literal, unicode_lower(model->arena, literal)) != 0) {
        wrong = "has an upper-case letter, but is matched with text in lower case";
    }
    return report(model, path, text, wrong);
}

/* RFC 3986 section 3.2: what stands between "//" and the path. Userinfo would be a secret. */
static const char *check_authority(const char *authority, size_t len)
{
    size_t host = 0;
    size_t port;

    if (memchr(authority, '@', len) != NULL) {
        return "has a user before the host; use the authorization header";
    }
    if (len > 0 && authority[0] == '[') {
        host = 1 + strspn(authority + 1, "0123456789abcdefABCDEF:.");
        if (host < 4 || authority[host++] != ']') {
            return "has no host";
        }
    } else {
        while (host < len && authority[host] != ':') {
            host++;
        }
    }
    if (host == 0) {
        return "has no host";
    }
    if (host == len) {
        return NULL;
    }
    port = strspn(authority + host + 1, "0123456789");
    return authority[host] == ':' && port >= 1 && port <= 5 && host + 1 + port == len
               ? NULL
               : "has a bad port";
}

static const char *wrong_url(const char *text)
{
    const char *authority;

    if (strnlen(text, URL_MAX + 1) > URL_MAX) {
        return "is longer than 2048 bytes";
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= 0x20 || *c > 0x7e || strchr("\"<>\\^`{|}", *c) != NULL) {
            return "has a character that a URL must encode (RFC 3986 section 2)";
        }
    }
    if (strncasecmp(text, "http://", 7) == 0) {
        authority = text + 7;
    } else if (strncasecmp(text, "https://", 8) == 0) {
        authority = text + 8;
    } else {
        return "is no URL of http or https";
    }
    return check_authority(authority, strcspn(authority, "/?#"));
}

bool check_web_url(struct model *model, const char *path, const char *text)
{
    return text[0] == '\0' || report(model, path, text, wrong_url(text));
}

bool check_domain(struct model *model, const char *path, const char *text, const char **name_out)
{
    struct name_domain domain;
    const char *wrong;

    if (text[0] == '\0') {
        return true;
    }
    wrong = name_parse_domain(model->arena, text, &domain);
    if (wrong == NULL && name_out != NULL) {
        *name_out = domain.name;
    }
    return report(model, path, text, wrong);
}

bool check_duration(struct model *model, const char *path,
                    const Google__Protobuf__Duration *duration, int64_t min_s, int64_t max_s,
                    bool whole)
{
    bool good;

    if (duration == NULL) {
        return true;
    }
    good = duration->nanos > -1000000000 && duration->nanos < 1000000000 &&
           (duration->seconds <= 0 || duration->nanos >= 0) &&
           (duration->seconds >= 0 || duration->nanos <= 0) && (!whole || duration->nanos == 0);
    good =
        good && duration->seconds >= min_s && (duration->seconds > min_s || duration->nanos >= 0);
    good =
        good && duration->seconds <= max_s && (duration->seconds < max_s || duration->nanos <= 0);
    if (!good) {
        status_field(model->status, path, "%lld s %d ns is not %s from %lld to %lld",
                     (long long) duration->seconds, duration->nanos,
                     whole ? "a whole number of seconds" : "a number of seconds", (long long) min_s,
                     (long long) max_s);
    }
    return good;
}

bool check_range(struct model *model, const char *path, int64_t value, int64_t min, int64_t max)
{
    if (value < min || value > max) {
        status_field(model->status, path, "%lld is not from %lld to %lld", (long long) value,
                     (long long) min, (long long) max);
    }
    return value >= min && value <= max;
}

bool check_fraction(struct model *model, const char *path, double value, double min, double max)
{
    bool good = isfinite(value) && value >= min && value <= max;

    if (!good) {
        status_field(model->status, path, "%g is not a number from %g to %g", value, min, max);
    }
    return good;
}

/* ------------------------------------------------------------------- lists */

struct numbered_name {
    const char *name;
    size_t index;
};

static int compare_names(const void *a, const void *b)
{
    const struct numbered_name *left = a;
    const struct numbered_name *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : (left->index > right->index) - (left->index < right->index);
}

bool check_distinct(struct model *model, const char *path, const char *suffix,
                    const char *const *names, size_t count)
{
    struct numbered_name *ordered = arena_alloc(model->arena, (count + 1) * sizeof(*ordered));
    size_t violations = model->status->violation_count;
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL) {
            ordered[n++] = (struct numbered_name){ names[i], i };
        }
    }
    qsort(ordered, n, sizeof(*ordered), compare_names);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(ordered[i].name, ordered[i - 1].name) == 0) {
            status_field(model->status,
                         check_path(model, "%s[%zu]%s", path, ordered[i].index, suffix),
                         "%s is there twice", name_show(model->arena, ordered[i].name));
        }
    }
    return model->status->violation_count == violations;
}

/* ----------------------------------------------------------------- domains */

const char *check_normal_domain(struct model *model, const char *text)
{
    struct name_domain domain;

    return text[0] != '\0' && name_parse_domain(model->arena, text, &domain) == NULL ? domain.name
                                                                                     : text;
}

/* A leading dot stays. */
static void normal_route_domains(struct model *model, char **domains, size_t count)
{
    if (count > ROUTE_DOMAINS_MAX) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        bool dot = domains[i][0] == '.';
        const char *name = check_normal_domain(model, domains[i] + dot);

        domains[i] = (char *) (dot ? arena_printf(model->arena, ".%s", name) : name);
    }
}

void check_normal_routes(struct model *model, Mxadm__V1__Route *const *routes, size_t count)
{
    if (count > ROUTES_MAX) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        normal_route_domains(model, routes[i]->from_domain, routes[i]->n_from_domain);
        normal_route_domains(model, routes[i]->to_domain, routes[i]->n_to_domain);
    }
}

/* ------------------------------------------------------------------ routes */

static void check_route_domains(struct model *model, const char *path, char *const *domains,
                                size_t count)
{
    if (!check_count(model, path, count, ROUTE_DOMAINS_MAX)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *element = check_path(model, "%s[%zu]", path, i);

        if (check_required(model, element, domains[i])) {
            struct name_domain domain;

            (void) report(
                model, element, domains[i],
                name_parse_domain(model->arena, domains[i] + (domains[i][0] == '.'), &domain));
        }
    }
}

static void check_transport(struct model *model, const char *path, const char *transport)
{
    const struct settings *settings = model->settings;

    if (!check_required(model, path, transport)) {
        return;
    }
    for (size_t i = 0; i < settings->transport_count; i++) {
        if (strcmp(settings->transports[i], transport) == 0) {
            return;
        }
    }
    status_field(model->status, path, "%s is none of the transports of the settings",
                 name_show(model->arena, transport));
}

bool check_routes(struct model *model, const char *path, Mxadm__V1__Route *const *routes,
                  size_t count, size_t max)
{
    size_t violations = model->status->violation_count;

    if (!check_count(model, path, count, max)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const Mxadm__V1__Route *route = routes[i];
        const char *element = check_path(model, "%s[%zu]", path, i);

        check_route_domains(model, check_path(model, "%s.from_domain", element), route->from_domain,
                            route->n_from_domain);
        check_route_domains(model, check_path(model, "%s.to_domain", element), route->to_domain,
                            route->n_to_domain);
        (void) check_range(model, check_path(model, "%s.minimum_attempts", element),
                           route->minimum_attempts, 0, ROUTE_MINIMUM_ATTEMPTS_MAX);
        check_transport(model, check_path(model, "%s.transport", element), route->transport);
    }
    return model->status->violation_count == violations;
}
