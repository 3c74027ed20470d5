/* deploy/mxadmd.yaml tells the truth: every key is in it, with its default. */
#include "settings/keys.h"
#include "settings/settings.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Larger than the sample and every file of the corpus. */
#define TEXT_SIZE (256 * 1024)

static char *read_text(const char *path, size_t *len_out)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, TEXT_SIZE);

    assert_non_null(file);
    assert_non_null(text);
    *len_out = fread(text, 1, TEXT_SIZE - 1, file);
    assert_true(feof(file));
    (void) fclose(file);
    return text;
}

static struct settings *parsed(const char *text)
{
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;

    if (settings_parse(text, strlen(text), "sample", &settings, &problems, &err) != MX_OK) {
        fail_msg("refused:\n%s", problems.text == NULL ? err.message : problems.text);
    }
    return settings;
}

/*
 * Makes the commented keys of the sample real: they begin with '#' in the first column, and then
 * an even indentation of at most 6. Comments for people have one space.
 */
static void uncomment(char *text)
{
    for (char *line = text; line != NULL && *line != '\0';) {
        size_t indent = strspn(line + 1, " ");
        char *end = strchr(line, '\n');

        if (line[0] == '#' && indent % 2 == 0 && indent <= 6 && line[1 + indent] != '\n') {
            memmove(line, line + 1, strlen(line));
            end--;
        }
        line = end == NULL ? NULL : end + 1;
    }
}

static bool texts_differ(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

static bool lists_differ(const struct settings_key *key, const char *a, const char *b)
{
    size_t count = *(const size_t *) (a + key->count_offset);
    const char **a_texts = *(const char **const *) (a + key->offset);
    const char **b_texts = *(const char **const *) (b + key->offset);

    if (count != *(const size_t *) (b + key->count_offset)) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (texts_differ(a_texts[i], b_texts[i])) {
            return true;
        }
    }
    return false;
}

static bool differ(const struct settings_key *key, const char *a, const char *b)
{
    const void *left = a + key->offset;
    const void *right = b + key->offset;

    switch (key->type) {
    case SETTINGS_SECTION:
        return false;
    case SETTINGS_ENTRIES:
        return *(const size_t *) (a + key->count_offset) !=
               *(const size_t *) (b + key->count_offset);
    case SETTINGS_TEXT:
        return texts_differ(*(const char *const *) left, *(const char *const *) right);
    case SETTINGS_TEXTS:
        return lists_differ(key, a, b);
    case SETTINGS_BOOL:
    case SETTINGS_FLAG:
        return memcmp(left, right, sizeof(bool)) != 0;
    case SETTINGS_UNSIGNED:
        return memcmp(left, right, sizeof(unsigned)) != 0;
    case SETTINGS_UINT64:
    case SETTINGS_DURATION:
        return memcmp(left, right, sizeof(uint64_t)) != 0;
    case SETTINGS_SIZE:
        return memcmp(left, right, sizeof(size_t)) != 0;
    case SETTINGS_CHOICE:
        return memcmp(left, right, sizeof(int)) != 0;
    }
    return true;
}

static void the_sample_is_the_defaults(void **state)
{
    size_t len;
    char *text = read_text(SAMPLE_FILE, &len);
    struct settings *sample = parsed(text);
    struct settings *defaults = parsed("");

    (void) state;
    for (size_t i = 0; i < settings_keys.count; i++) {
        const struct settings_key *key = &settings_keys.keys[i];

        if (differ(key, (const char *) sample, (const char *) defaults)) {
            fail_msg("%s is not the default in %s", key->path, SAMPLE_FILE);
        }
    }
    settings_free(sample);
    settings_free(defaults);
    free(text);
}

static void the_commented_examples_of_the_sample_are_good(void **state)
{
    size_t len;
    char *text = read_text(SAMPLE_FILE, &len);
    struct settings *settings;

    (void) state;
    uncomment(text);
    settings = parsed(text);
    assert_int_equal(settings->listener_count, 1);
    assert_int_equal(settings->access.principal_count, 2);
    assert_true(settings->allow_remote_tcp);
    assert_string_equal(settings->postmaster.account, "postmaster");
    assert_string_equal(settings->keys.group, "mail");
    settings_free(settings);
    free(text);
}

/* A section in a section in an entry, and one more. */
#define DEPTH_MAX 4
#define PATH_SIZE 256

/* A name that the administrator chooses stands as "*" in a path. */
static void append_name(char path[PATH_SIZE], const char *name, size_t len)
{
    const struct settings_key *parent = settings_key_find(&settings_keys, path);
    size_t used = strlen(path);

    if (parent != NULL && parent->type == SETTINGS_ENTRIES) {
        name = "*";
        len = 1;
    }
    (void) snprintf(path + used, PATH_SIZE - used, "%s%.*s", used == 0 ? "" : ".", (int) len, name);
}

/* Whether a line of the text is this key, told by the indentation, 2 columns a level. */
static bool has_key(const char *text, const char *wanted)
{
    char paths[DEPTH_MAX + 1][PATH_SIZE] = { "" };

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';

        size_t depth = strspn(line, " ") / 2;
        const char *name = line + strspn(line, " \"");
        size_t len = strcspn(name, ":\" \n");

        if (len == 0 || name[0] == '#' || name[0] == '-' || depth >= DEPTH_MAX) {
            continue;
        }
        strcpy(paths[depth + 1], paths[depth]);
        append_name(paths[depth + 1], name, len);
        if (strcmp(paths[depth + 1], wanted) == 0) {
            return true;
        }
    }
    return false;
}

static void assert_in_sample(const char *text, const char *path)
{
    if (!has_key(text, path)) {
        fail_msg("%s is not in %s", path, SAMPLE_FILE);
    }
}

static void every_key_is_in_the_sample(void **state)
{
    size_t len;
    char *text = read_text(SAMPLE_FILE, &len);

    (void) state;
    uncomment(text);
    for (size_t i = 0; i < settings_keys.count; i++) {
        const struct settings_key *key = &settings_keys.keys[i];

        assert_in_sample(text, key->path);
        for (size_t j = 0; key->type == SETTINGS_ENTRIES && j < key->entries->count; j++) {
            char path[PATH_SIZE];

            (void) snprintf(path, sizeof(path), "%s.*.%s", key->path, key->entries->keys[j].path);
            assert_in_sample(text, path);
        }
    }
    free(text);
}

static void every_default_is_a_value_the_file_may_have(void **state)
{
    (void) state;
    for (size_t i = 0; i < settings_keys.count; i++) {
        const struct settings_key *key = &settings_keys.keys[i];
        const char *dot = strchr(key->path, '.');
        const char *second = dot == NULL ? NULL : strchr(dot + 1, '.');
        const char *open = key->type == SETTINGS_TEXTS ? "[" : "";
        const char *close = key->type == SETTINGS_TEXTS ? "]" : "";
        char text[256];

        if (key->fallback == NULL || second != NULL) {
            continue;
        }
        if (dot == NULL) {
            (void) snprintf(text, sizeof(text), "%s: %s%s%s\n", key->path, open, key->fallback,
                            close);
        } else {
            (void) snprintf(text, sizeof(text), "%.*s: {%s: %s%s%s}\n", (int) (dot - key->path),
                            key->path, dot + 1, open, key->fallback, close);
        }

        struct settings *settings = parsed(text);
        struct settings *defaults = parsed("");

        if (differ(key, (const char *) settings, (const char *) defaults)) {
            fail_msg("%s of '%s' is not its default", key->path, text);
        }
        settings_free(settings);
        settings_free(defaults);
    }
}

static void every_key_says_what_it_means(void **state)
{
    (void) state;
    for (size_t i = 0; i < settings_keys.count; i++) {
        assert_non_null(settings_keys.keys[i].meaning);
        assert_true(settings_keys.keys[i].meaning[0] != '\0');
    }
}

/* The fuzzer's corpus: whatever it holds is read or refused with words. */
static void the_corpus_is_read_or_refused(void **state)
{
    DIR *corpus = opendir(CORPUS_DIRECTORY);
    const struct dirent *file;
    size_t files = 0;

    (void) state;
    assert_non_null(corpus);
    while ((file = readdir(corpus)) != NULL) {
        char path[1024];
        struct settings *settings = NULL;
        struct settings_problems problems;
        struct mx_error err;
        size_t len;
        char *text;

        if (file->d_name[0] == '.') {
            continue;
        }
        (void) snprintf(path, sizeof(path), "%s/%s", CORPUS_DIRECTORY, file->d_name);
        text = read_text(path, &len);
        if (settings_parse(text, len, file->d_name, &settings, &problems, &err) == MX_OK) {
            assert_int_equal(strncmp(file->d_name, "good-", 5), 0);
        } else {
            assert_int_equal(strncmp(file->d_name, "bad-", 4), 0);
            assert_true(problems.count > 0);
            assert_true(strlen(problems.text) > 0);
        }
        settings_free(settings);
        settings_problems_fini(&problems);
        free(text);
        files++;
    }
    (void) closedir(corpus);
    assert_true(files >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_is_the_defaults),
        cmocka_unit_test(the_commented_examples_of_the_sample_are_good),
        cmocka_unit_test(every_key_is_in_the_sample),
        cmocka_unit_test(every_default_is_a_value_the_file_may_have),
        cmocka_unit_test(every_key_says_what_it_means),
        cmocka_unit_test(the_corpus_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
