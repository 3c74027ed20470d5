/*
 * Saving a DKIM selector: values, as model.proto states them (mox-behaviour
 * 1.8, 3.3-06), and its life.
 */
#include "model/check.h"
#include "model/dkim.h"

#include <string.h>
#include <strings.h>

const char *const dkim_fixed[] = { "domain",      "name",       "ascii_name",
                                   "algorithm",   "public_key", "public_key_sha256",
                                   "key_file",    "revision",   "create_time",
                                   "update_time", NULL };

/* -------------------------------------------------------------------- life */

#define TO(state) (1U << MXADM__V1__DKIM_SELECTOR__STATE__STATE_##state)

/* Drawn in dkim.h. */
static const struct {
    const char *name;
    unsigned to;
} states[] = {
    [MXADM__V1__DKIM_SELECTOR__STATE__STATE_UNSPECIFIED] = { "not said", 0 },
    [MXADM__V1__DKIM_SELECTOR__STATE__STATE_PENDING] = { "pending",
                                                         TO(ACTIVE) | TO(RETIRING) | TO(RETIRED) },
    [MXADM__V1__DKIM_SELECTOR__STATE__STATE_ACTIVE] = { "active", TO(RETIRING) | TO(RETIRED) },
    [MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRING] = { "retiring", TO(ACTIVE) | TO(RETIRED) },
    [MXADM__V1__DKIM_SELECTOR__STATE__STATE_RETIRED] = { "retired", 0 },
};

#undef TO

#define STATE_COUNT (sizeof(states) / sizeof(states[0]))

bool dkim_may_move(Mxadm__V1__DkimSelector__State from, Mxadm__V1__DkimSelector__State to)
{
    return from == to || ((size_t) from < STATE_COUNT && (size_t) to < STATE_COUNT &&
                          (states[from].to & (1U << to)) != 0);
}

const char *dkim_state_name(Mxadm__V1__DkimSelector__State state)
{
    return (size_t) state < STATE_COUNT ? states[state].name : "unknown";
}

/* ------------------------------------------------------------------- values */

/* RFC 5322 section 2.2: printable ASCII but the colon. */
static bool is_header_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        if (name[i] <= 0x20 || name[i] >= 0x7f || name[i] == ':') {
            return false;
        }
    }
    return len >= 1 && len <= 76;
}

static bool is_repeated(char *const *names, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcasecmp(names[i], names[index]) == 0) {
            return true;
        }
    }
    return false;
}

static void check_headers(struct model *model, const Mxadm__V1__DkimSelector *selector,
                          const char *path)
{
    bool has_from = false;

    if (!check_count(model, path, selector->n_headers, DKIM_HEADERS_MAX)) {
        return;
    }
    for (size_t i = 0; i < selector->n_headers; i++) {
        const char *field = check_path(model, "%s[%zu]", path, i);
        const char *name = selector->headers[i];

        has_from = has_from || strcasecmp(name, "From") == 0;
        if (!is_header_name(name)) {
            status_field(model->status, field, "%s is not the name of a header field",
                         name_show(model->arena, name));
        } else if (is_repeated(selector->headers, i)) {
            status_field(model->status, field, "'%s' is there twice", name);
        }
    }
    if (selector->n_headers > 0 && !has_from) {
        status_field(model->status, path, "lacks From, which must be signed");
    }
}

void dkim_check_settings(struct model *model, const Mxadm__V1__DkimSelector *selector,
                         const char *path)
{
    const char *hash = check_field(model, path, "hash");

    if (selector->hash == MXADM__V1__DKIM_SELECTOR__HASH__HASH_SHA1) {
        status_field(model->status, hash,
                     "sha1 must not be used for signing (RFC 8301 section 3.1); use sha256");
    } else if (selector->hash != MXADM__V1__DKIM_SELECTOR__HASH__HASH_SHA256) {
        status_field(model->status, hash, "%d is no hash", (int) selector->hash);
    }
    check_headers(model, selector, check_field(model, path, "headers"));
    (void) check_duration(model, check_field(model, path, "expiration"), selector->expiration, 1,
                          DKIM_EXPIRATION_MAX_S, true);
}

static void check_identity(struct model *model, const Mxadm__V1__DkimSelector *selector,
                           const char *path)
{
    const char *field = check_field(model, path, "name");
    struct name_domain name;
    const char *wrong = name_parse_selector(model->arena, selector->name, &name);

    if (wrong == NULL && strcmp(name.name, selector->name) != 0) {
        wrong = "is not the name's form";
    }
    if (wrong != NULL) {
        status_field(model->status, field, "%s %s", name_show(model->arena, selector->name), wrong);
    }
    (void) check_domain(model, check_field(model, path, "domain"), selector->domain, NULL);
}

bool dkim_check(struct model *model, const Mxadm__V1__DkimSelector *selector, const char *path)
{
    size_t violations = model->status->violation_count;

    check_identity(model, selector, path);
    if (selector->state == MXADM__V1__DKIM_SELECTOR__STATE__STATE_UNSPECIFIED ||
        (size_t) selector->state >= STATE_COUNT) {
        status_field(model->status, check_field(model, path, "state"), "%d is no state",
                     (int) selector->state);
    }
    if (selector->algorithm < MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_RSA2048 ||
        selector->algorithm > MXADM__V1__DKIM_SELECTOR__ALGORITHM__ALGORITHM_ED25519) {
        status_field(model->status, check_field(model, path, "algorithm"), "%d is no kind of key",
                     (int) selector->algorithm);
    }
    dkim_check_settings(model, selector, path);
    return model->status->violation_count == violations;
}

struct slice dkim_save(struct model *model, const Mxadm__V1__DkimSelector *before,
                       Mxadm__V1__DkimSelector *after, const char *path)
{
    struct record_key key = record_key(RECORD_DKIM_SELECTOR, before->domain, before->name);
    const char *name = arena_printf(model->arena, "%s._domainkey.%s", before->name, before->domain);

    if (after->hash == MXADM__V1__DKIM_SELECTOR__HASH__HASH_UNSPECIFIED) {
        after->hash = MXADM__V1__DKIM_SELECTOR__HASH__HASH_SHA256;
    }
    if (dkim_check(model, after, path) && !dkim_may_move(before->state, after->state)) {
        status_blocker(model->status, "STATE_TRANSITION", "dkim selector", name,
                       "selector '%s' is %s and can't become %s", name,
                       dkim_state_name(before->state), dkim_state_name(after->state));
    }
    return status_ok(model->status) ? record_put(model, RECORD_DKIM_SELECTOR, &key, &after->base)
                                    : slice_of(NULL, 0);
}
