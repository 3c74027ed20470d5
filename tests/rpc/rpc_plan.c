#include "rpc_plan.h"

#include <stdlib.h>
#include <string.h>

#define LINES_MAX 4096

/* -------------------------------------------------------------------- plan */

/* "selector._domainkey.domain" or "localpart@domain" as "domain\x00first". */
static const char *turned(struct fixture *fixture, const char *name, const char *between)
{
    const char *at = strstr(name, between);

    assert_non_null(at);
    return fixture_text(fixture, "%s\\x00%.*s", at + strlen(between), (int) (at - name), name);
}

static const char *key_of(struct fixture *fixture, const Mxadm__V1__PlannedChange *change)
{
    const char *kind = change->kind;

    assert_string_not_equal(change->name, "");
    if (strcmp(kind, "domain") == 0) {
        return fixture_text(fixture, "d%s", change->name);
    }
    if (strcmp(kind, "account") == 0) {
        return fixture_text(fixture, "a%s", change->name);
    }
    if (strcmp(kind, "address") == 0) {
        return change->name[0] == '@'
                   ? fixture_text(fixture, "e%s\\x00\\x01", change->name + 1)
                   : fixture_text(fixture, "e%s", turned(fixture, change->name, "@"));
    }
    if (strcmp(kind, "dkim selector") == 0) {
        return fixture_text(fixture, "k%s", turned(fixture, change->name, "._domainkey."));
    }
    if (strcmp(kind, "private key") == 0) {
        return fixture_text(fixture, "s%s", turned(fixture, change->name, "._domainkey."));
    }
    if (strcmp(kind, "used selector") == 0) {
        return fixture_text(fixture, "u%s", turned(fixture, change->name, "._domainkey."));
    }
    assert_string_equal(kind, "vault key");
    return "v";
}

const char *plan_text(struct fixture *fixture, const struct reply *reply)
{
    static const char signs[] = "?+~-";
    const char *text = "";

    for (size_t i = 0; i < reply->envelope->n_changes; i++) {
        const Mxadm__V1__PlannedChange *change = reply->envelope->changes[i];

        assert_in_range(change->action, 1, 3);
        text =
            fixture_text(fixture, "%s%c%s\n", text, signs[change->action], key_of(fixture, change));
    }
    return text;
}

/* ------------------------------------------------------------------- dumps */

struct entry {
    const char *key;
    const char *rest;
};

static size_t read_entries(struct fixture *fixture, const char *dump, struct entry *entries)
{
    char *copy = fixture_text(fixture, "%s", dump);
    size_t count = 0;

    for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *middle = strstr(line, " = ");

        if (middle == NULL || strstr(middle, " derived") != NULL) {
            continue;
        }
        *middle = '\0';
        assert_true(count < LINES_MAX);
        entries[count++] = (struct entry){ line, middle + 3 };
    }
    return count;
}

const char *plan_of_dumps(struct fixture *fixture, const char *before, const char *after)
{
    static struct entry old[LINES_MAX];
    static struct entry new[LINES_MAX];
    size_t old_count = read_entries(fixture, before, old);
    size_t new_count = read_entries(fixture, after, new);
    const char *text = "";
    size_t i = 0;
    size_t k = 0;

    while (i < old_count || k < new_count) {
        int order = i == old_count ? 1 : k == new_count ? -1 : strcmp(old[i].key, new[k].key);

        if (order < 0) {
            text = fixture_text(fixture, "%s-%s\n", text, old[i++].key);
        } else if (order > 0) {
            text = fixture_text(fixture, "%s+%s\n", text, new[k++].key);
        } else {
            if (strcmp(old[i].rest, new[k].rest) != 0) {
                text = fixture_text(fixture, "%s~%s\n", text, old[i].key);
            }
            i++;
            k++;
        }
    }
    return text;
}
