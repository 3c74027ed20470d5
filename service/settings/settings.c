/*
 * From a tree of nodes to the struct, by the tables of keys.h. Reading goes on
 * behind every problem, so that one start tells them all.
 */
#include "settings/settings.h"

#include "base/buffer.h"
#include "settings/check.h"
#include "settings/keys.h"
#include "settings/rules.h"
#include "settings/tree.h"
#include "settings/value.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a person writes is some kilobytes; who feeds a core file is told at once. */
#define FILE_MAX ((size_t) 1024 * 1024)

/* A node takes about 150 bytes with its text, and a file of FILE_MAX has at most half as many
 * nodes as bytes; beyond, reading ends with RESOURCE_EXHAUSTED. */
#define MEMORY_MAX ((size_t) 128 * 1024 * 1024)

/* Of a value or key in a message; enough to find it, not enough to flood a terminal. */
#define QUOTED_MAX 80

/* Keys are suggested whose spelling is at most this far away. */
#define SUGGESTION_DISTANCE 2

struct reader {
    struct problems problems;
    struct arena *tree;  /* until reading is done */
    struct arena *arena; /* the settings' own */
    bool out_of_memory;
};

/* Zeroed memory of the settings; NULL marks the reader. */
static void *settings_alloc(struct reader *reader, size_t count, size_t size)
{
    void *memory = arena_alloc(reader->arena, count * size);

    reader->out_of_memory |= memory == NULL;
    return memory;
}

static const char *settings_text(struct reader *reader, const char *text)
{
    const char *copy = arena_strdup(reader->arena, text);

    reader->out_of_memory |= copy == NULL;
    return copy;
}

/* A text while reading; "" marks the reader. */
MX_PRINTF(2, 3)
static const char *message(struct reader *reader, const char *format, ...)
{
    va_list args;
    const char *text;

    va_start(args, format);
    text = arena_vprintf(reader->tree, format, args);
    va_end(args);
    reader->out_of_memory |= text == NULL;
    return text == NULL ? "" : text;
}

/* The text for a message, cut between two characters. */
static const char *quoted(struct reader *reader, const char *text)
{
    size_t len = QUOTED_MAX;

    if (strlen(text) <= QUOTED_MAX) {
        return text;
    }
    while (((unsigned char) text[len] & 0xc0) == 0x80) {
        len--;
    }
    return message(reader, "%.*s...", (int) len, text);
}

/*
 * Names that may have been meant
 */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance (Levenshtein); SIZE_MAX if a word is too long to be a key of ours. */
static size_t distance(const char *from, const char *to)
{
    size_t row[32 + 1];
    size_t from_len = strlen(from);
    size_t to_len = strlen(to);

    if (from_len > 32 || to_len > 32) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= to_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= from_len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= to_len; j++) {
            size_t above = row[j];

            row[j] = least(least(above, row[j - 1]) + 1, diagonal + (from[i - 1] != to[j - 1]));
            diagonal = above;
        }
    }
    return row[to_len];
}

static const char *last_name(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot == NULL ? path : dot + 1;
}

static bool is_in_section(const char *path, const char *section)
{
    size_t len = (size_t) (last_name(path) - path);

    return len == strlen(section) && strncmp(path, section, len) == 0;
}

/* A key of this section spelled alike, or the same name in another section; NULL: none. */
static const char *suggestion(const struct settings_table *table, const char *section,
                              const char *name)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;

    for (size_t i = 0; i < table->count; i++) {
        const char *path = table->keys[i].path;
        bool here = is_in_section(path, section);
        size_t far = distance(name, last_name(path));

        /* Two changes make any word of two letters into any other. */
        if (far < best_distance && far < strlen(name) &&
            (here ? far <= SUGGESTION_DISTANCE : far == 0)) {
            best = path;
            best_distance = far;
        }
    }
    return best;
}

/*
 * Values
 */

/* What a key's value must be, to follow "is not". */
static const char *expected(struct reader *reader, const struct settings_key *key)
{
    char min[VALUE_TEXT_SIZE];
    char max[VALUE_TEXT_SIZE];
    const char *choices = "";

    switch (key->type) {
    case SETTINGS_SECTION:
        return "a section (a map of keys)";
    case SETTINGS_ENTRIES:
        return "a map of names, each with its keys";
    case SETTINGS_TEXT:
        return "a text";
    case SETTINGS_TEXTS:
        return "a list";
    case SETTINGS_BOOL:
        return "true or false";
    case SETTINGS_UNSIGNED:
    case SETTINGS_UINT64:
        value_format_number(key->min, min);
        value_format_number(key->max, max);
        return message(reader, "a whole number from %s to %s", min, max);
    case SETTINGS_SIZE:
        value_format_size(key->min, min);
        value_format_size(key->max, max);
        return message(reader, "a size from %s to %s, such as 512KiB or 4MiB", min, max);
    case SETTINGS_DURATION:
        value_format_duration(key->min, min);
        value_format_duration(key->max, max);
        return message(reader, "a duration from %s to %s, such as 250ms, 30s, 5m or 24h", min, max);
    case SETTINGS_CHOICE:
    case SETTINGS_FLAG:
        for (const struct settings_choice *choice = key->choices; choice->name != NULL; choice++) {
            choices =
                message(reader, "%s%s'%s'", choices, choices[0] == '\0' ? "" : ", ", choice->name);
        }
        return key->choices[1].name == NULL ? choices : message(reader, "one of %s", choices);
    }
    return "";
}

static void refuse_kind(struct reader *reader, const struct settings_key *key, const char *path,
                        const struct tree_node *node)
{
    static const char *const kinds[] = {
        [TREE_TEXT] = "a text", [TREE_LIST] = "a list", [TREE_MAP] = "a map"
    };

    if (tree_is_nothing(node)) {
        problems_add(&reader->problems, node->at, path,
                     "has no value; leave the key out for its default");
        return;
    }
    problems_add(&reader->problems, node->at, path, "is %s, not %s (%s)", kinds[node->kind],
                 expected(reader, key), key->meaning);
}

static bool parse_number(const struct settings_key *key, const char *text, uint64_t *number_out)
{
    uint64_t number;
    bool good;

    if (key->type == SETTINGS_SIZE) {
        good = value_parse_size(text, &number);
    } else if (key->type == SETTINGS_DURATION) {
        good = value_parse_duration(text, &number);
    } else {
        good = value_parse_number(text, &number);
    }
    if (!good || number < key->min || number > key->max) {
        return false;
    }
    *number_out = number;
    return true;
}

static bool parse_choice(const struct settings_key *key, const char *text, int *value_out)
{
    for (const struct settings_choice *choice = key->choices; choice->name != NULL; choice++) {
        if (strcmp(text, choice->name) == 0) {
            *value_out = choice->value;
            return true;
        }
    }
    return false;
}

static bool store_number(const struct settings_key *key, const char *text, void *field)
{
    uint64_t number;

    if (!parse_number(key, text, &number)) {
        return false;
    }
    if (key->type == SETTINGS_UNSIGNED) {
        *(unsigned *) field = (unsigned) number;
    } else if (key->type == SETTINGS_SIZE) {
        *(size_t *) field = (size_t) number;
    } else if (key->type == SETTINGS_DURATION) {
        *(int64_t *) field = (int64_t) number;
    } else {
        *(uint64_t *) field = number;
    }
    return true;
}

static bool store_choice(const struct settings_key *key, const char *text, void *field)
{
    int value;

    if (!parse_choice(key, text, &value)) {
        return false;
    }
    if (key->type == SETTINGS_FLAG) {
        *(bool *) field = value != 0;
    } else {
        /* An enum is as good as an int here (asserted in keys.c), but not its alias. */
        memcpy(field, &value, sizeof(value));
    }
    return true;
}

static bool store_bool(const char *text, void *field)
{
    bool yes = strcmp(text, "true") == 0;

    if (!yes && strcmp(text, "false") != 0) {
        return false;
    }
    *(bool *) field = yes;
    return true;
}

/* Stores one text; false: it is not what the key expects. `text` lives with the settings. */
static bool store(const struct settings_key *key, const char *text, void *base)
{
    void *field = (char *) base + key->offset;

    switch (key->type) {
    case SETTINGS_TEXT:
        *(const char **) field = text;
        return true;
    case SETTINGS_BOOL:
        return store_bool(text, field);
    case SETTINGS_UNSIGNED:
    case SETTINGS_UINT64:
    case SETTINGS_SIZE:
    case SETTINGS_DURATION:
        return store_number(key, text, field);
    case SETTINGS_CHOICE:
    case SETTINGS_FLAG:
        return store_choice(key, text, field);
    case SETTINGS_SECTION:
    case SETTINGS_ENTRIES:
    case SETTINGS_TEXTS:
        break;
    }
    return false;
}

static bool check_text(struct reader *reader, const struct settings_key *key, const char *path,
                       const struct tree_node *node)
{
    const char *wrong = key->check == NULL ? NULL : key->check(node->text);

    if (wrong != NULL) {
        problems_add(&reader->problems, node->at, path, "'%s' %s", quoted(reader, node->text),
                     wrong);
    }
    return wrong == NULL;
}

static void read_single(struct reader *reader, const struct settings_key *key, const char *path,
                        const struct tree_node *node, void *base)
{
    bool is_number =
        key->type != SETTINGS_TEXT && key->type != SETTINGS_CHOICE && key->type != SETTINGS_FLAG;

    if (node->kind != TREE_TEXT || tree_is_nothing(node)) {
        refuse_kind(reader, key, path, node);
        return;
    }
    if (!check_text(reader, key, path, node)) {
        return;
    }
    if (is_number && !node->plain) {
        problems_add(&reader->problems, node->at, path, "is a text in quotes, not %s (%s)",
                     expected(reader, key), key->meaning);
        return;
    }

    const char *text = settings_text(reader, node->text);

    if (text != NULL && !store(key, text, base)) {
        problems_add(&reader->problems, node->at, path, "'%s' is not %s (%s)",
                     quoted(reader, node->text), expected(reader, key), key->meaning);
    }
}

static bool is_repeated(const char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (texts[i] != NULL && strcmp(texts[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* One element; NULL: it is no good. */
static const char *read_element(struct reader *reader, const struct settings_key *key,
                                const char *path, const struct tree_node *node,
                                const char *const *others, size_t other_count)
{
    if (node->kind != TREE_TEXT || tree_is_nothing(node)) {
        problems_add(&reader->problems, node->at, path, "is not a text (%s)", key->meaning);
        return NULL;
    }
    if (!check_text(reader, key, path, node)) {
        return NULL;
    }
    if (is_repeated(others, other_count, node->text)) {
        problems_add(&reader->problems, node->at, path, "'%s' is given twice",
                     quoted(reader, node->text));
        return NULL;
    }
    return settings_text(reader, node->text);
}

static void store_texts(const struct settings_key *key, void *base, const char **texts,
                        size_t count)
{
    *(const char ***) ((char *) base + key->offset) = texts;
    *(size_t *) ((char *) base + key->count_offset) = count;
}

/* An element that is no good is NULL, so that the indexes stay those of the file. */
static void read_texts(struct reader *reader, const struct settings_key *key, const char *path,
                       const struct tree_node *node, void *base)
{
    const char **texts;
    size_t count = 0;

    if (node->kind != TREE_LIST) {
        refuse_kind(reader, key, path, node);
        return;
    }
    if (node->count < key->min || node->count > key->max) {
        problems_add(&reader->problems, node->at, path,
                     "has %zu elements; it takes from %llu to %llu (%s)", node->count,
                     (unsigned long long) key->min, (unsigned long long) key->max, key->meaning);
        return;
    }
    texts = settings_alloc(reader, node->count, sizeof(*texts));
    if (texts == NULL) {
        return;
    }
    for (const struct tree_node *child = node->first; child != NULL; child = child->next) {
        const char *child_path = message(reader, "%s[%zu]", path, count);

        texts[count] = read_element(reader, key, child_path, child, texts, count);
        count++;
    }
    store_texts(key, base, texts, count);
}

static void fill(struct reader *reader, const struct settings_table *table, const char *path,
                 const struct tree_node *map, void *base);

static bool name_is_taken(const struct tree_node *map, const struct tree_node *node)
{
    for (const struct tree_node *other = map->first; other != node; other = other->next) {
        if (strcmp(other->key, node->key) == 0) {
            return true;
        }
    }
    return false;
}

static void read_entry(struct reader *reader, const struct settings_key *key, const char *path,
                       const struct tree_node *map, const struct tree_node *node, void *entry)
{
    const char *name = settings_text(reader, node->key);
    const char *wrong = name == NULL ? NULL : key->entries->name(entry, name);
    const char *entry_path = message(reader, "%s.%s", path, quoted(reader, node->key));

    if (wrong != NULL) {
        problems_add(&reader->problems, node->key_at, path, "'%s' %s", quoted(reader, node->key),
                     wrong);
    }
    if (name_is_taken(map, node)) {
        problems_add(&reader->problems, node->key_at, entry_path, "is given twice");
    }
    fill(reader, key->entries, entry_path, node, entry);
}

static void read_entries(struct reader *reader, const struct settings_key *key, const char *path,
                         const struct tree_node *node, void *base)
{
    size_t size = key->entries->entry_size;
    char *entries;
    size_t count = 0;

    if (tree_is_nothing(node)) {
        return;
    }
    if (node->kind != TREE_MAP) {
        refuse_kind(reader, key, path, node);
        return;
    }
    entries = settings_alloc(reader, node->count, size);
    if (entries == NULL) {
        return;
    }
    for (const struct tree_node *child = node->first; child != NULL; child = child->next) {
        read_entry(reader, key, path, node, child, entries + count * size);
        count++;
    }
    memcpy((char *) base + key->offset, &entries, sizeof(entries));
    *(size_t *) ((char *) base + key->count_offset) = count;
}

/*
 * Maps of keys
 */

static void refuse_unknown(struct reader *reader, const struct scope *scope, const char *section,
                           const char *path, const struct tree_node *node)
{
    const char *meant = NULL;

    if (problems_wanted(&reader->problems)) {
        meant = suggestion(scope->table, section, node->key);
    }
    if (meant == NULL) {
        problems_add(&reader->problems, node->key_at, path, "there is no such key");
    } else {
        problems_add(&reader->problems, node->key_at, path,
                     "there is no such key; did you mean '%s'?", meant);
    }
}

static void read_section(struct reader *reader, const struct scope *scope, const char *section,
                         const struct tree_node *map);

static void read_value(struct reader *reader, const struct scope *scope,
                       const struct settings_key *key, const char *path,
                       const struct tree_node *node)
{
    switch (key->type) {
    case SETTINGS_SECTION:
        if (node->kind == TREE_MAP) {
            read_section(reader, scope, message(reader, "%s.", key->path), node);
        } else if (!tree_is_nothing(node)) {
            refuse_kind(reader, key, path, node);
        }
        return;
    case SETTINGS_ENTRIES:
        read_entries(reader, key, path, node, scope->base);
        return;
    case SETTINGS_TEXTS:
        read_texts(reader, key, path, node, scope->base);
        return;
    case SETTINGS_TEXT:
    case SETTINGS_BOOL:
    case SETTINGS_UNSIGNED:
    case SETTINGS_UINT64:
    case SETTINGS_SIZE:
    case SETTINGS_DURATION:
    case SETTINGS_CHOICE:
    case SETTINGS_FLAG:
        read_single(reader, key, path, node, scope->base);
        return;
    }
}

/* `section` is "" or ends in a dot. */
static void read_section(struct reader *reader, const struct scope *scope, const char *section,
                         const struct tree_node *map)
{
    for (const struct tree_node *node = map->first; node != NULL; node = node->next) {
        const char *own_path = message(reader, "%s%s", section, node->key);
        const char *shown = quoted(reader, own_path);
        const struct settings_key *key = settings_key_find(scope->table, own_path);
        const struct tree_node **given;

        if (scope->path != NULL) {
            shown = message(reader, "%s.%s", scope->path, shown);
        }
        /* A dot inside a name is no way around the sections: "limits.group: 1". */
        if (key == NULL || strchr(node->key, '.') != NULL) {
            refuse_unknown(reader, scope, section, shown, node);
            continue;
        }
        given = &scope->given[key - scope->table->keys];
        if (*given != NULL) {
            problems_add(&reader->problems, node->key_at, shown, "is given twice, first in line %u",
                         (*given)->key_at.line);
            continue;
        }
        *given = node;
        read_value(reader, scope, key, shown, node);
    }
}

/* The table's fallbacks are read as the file would be; keys_test proves that they are good. */
static void set_fallbacks(struct reader *reader, const struct settings_table *table, void *base)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct settings_key *key = &table->keys[i];

        if (key->fallback == NULL) {
            continue;
        }
        if (key->type == SETTINGS_TEXTS) {
            const char **texts = settings_alloc(reader, 1, sizeof(*texts));

            if (texts != NULL) {
                texts[0] = key->fallback;
                store_texts(key, base, texts, 1);
            }
        } else {
            (void) store(key, key->fallback, base);
        }
    }
}

static void demand_required(const struct scope *scope)
{
    for (size_t i = 0; i < scope->table->count; i++) {
        const struct settings_key *key = &scope->table->keys[i];

        if (key->required && scope->given[i] == NULL) {
            problems_add(scope->problems, scope->at, scope->path, "'%s' is missing (%s)", key->path,
                         key->meaning);
        }
    }
}

/* Fills one struct: the settings, or an entry named `path`. */
static void fill(struct reader *reader, const struct settings_table *table, const char *path,
                 const struct tree_node *map, void *base)
{
    struct scope scope = {
        .table = table, .path = path, .at = { 1, 1 }, .base = base, .problems = &reader->problems
    };

    scope.given = arena_alloc(reader->tree, table->count * sizeof(struct tree_node *));
    if (scope.given == NULL) {
        reader->out_of_memory = true;
        return;
    }
    set_fallbacks(reader, table, base);
    if (map != NULL) {
        scope.at = path == NULL ? map->at : map->key_at;
    }
    if (map != NULL && map->kind == TREE_MAP) {
        read_section(reader, &scope, "", map);
    } else if (map != NULL && !tree_is_nothing(map)) {
        problems_add(&reader->problems, map->at, path, "is not a map of keys");
        return;
    }
    demand_required(&scope);
    table->rules(&scope);
}

/*
 * Defaults that this machine decides
 */

static bool has_key(const struct tree_node *map, const char *name)
{
    const struct tree_node *node = map == NULL || map->kind != TREE_MAP ? NULL : map->first;

    while (node != NULL && strcmp(node->key, name) != 0) {
        node = node->next;
    }
    return node != NULL;
}

static const char *machine_name(struct reader *reader)
{
    char name[HOST_NAME_MAX + 1];
    const char *wrong;

    if (gethostname(name, sizeof(name)) != 0) {
        name[0] = '\0';
    }
    name[sizeof(name) - 1] = '\0';
    for (char *c = name; *c != '\0'; c++) {
        *c = (char) tolower((unsigned char) *c);
    }
    wrong = check_host_name(name);
    if (wrong != NULL) {
        problems_add(&reader->problems, (struct mark){ 0, 0 }, "host_name",
                     "is not given, and this machine's name '%s' %s", name, wrong);
    }
    return settings_text(reader, name);
}

static unsigned machine_cores(void)
{
    const struct settings_key *key = settings_key_find(&settings_keys, "keys.threads");
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (cores < (long) key->min) {
        return (unsigned) key->min;
    }
    return cores > (long) key->max ? (unsigned) key->max : (unsigned) cores;
}

/*
 * Reading
 */

static struct settings *read_settings(struct reader *reader, const char *text, size_t len)
{
    struct settings *settings = settings_alloc(reader, 1, sizeof(*settings));
    struct tree_node *root = NULL;

    if (settings == NULL || !tree_read(text, len, reader->tree, &reader->problems, &root)) {
        reader->out_of_memory = true;
        return NULL;
    }
    settings->memory = reader->arena;
    fill(reader, &settings_keys, NULL, root, settings);
    if (!has_key(root, "host_name")) {
        settings->host_name = machine_name(reader);
    }
    if (settings->keys.threads == 0) {
        settings->keys.threads = machine_cores();
    }
    return settings;
}

static enum mx_code parse_with(struct reader *reader, const char *text, size_t len,
                               struct settings **settings_out,
                               struct settings_problems *problems_out, struct mx_error *err)
{
    struct settings *settings;

    if (len > FILE_MAX) {
        problems_add(&reader->problems, (struct mark){ 0, 0 }, NULL,
                     "larger than 1 MiB, which no settings file is");
        return problems_tell(&reader->problems, problems_out, err);
    }
    reader->tree = arena_create(MEMORY_MAX);
    reader->arena = arena_create(MEMORY_MAX);
    settings =
        reader->tree == NULL || reader->arena == NULL ? NULL : read_settings(reader, text, len);
    if (settings == NULL || reader->out_of_memory) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "%s: out of memory", reader->problems.file);
    }

    enum mx_code code = problems_tell(&reader->problems, problems_out, err);

    if (code == MX_OK) {
        *settings_out = settings;
        reader->arena = NULL;
    }
    return code;
}

enum mx_code settings_parse(const char *text, size_t len, const char *name,
                            struct settings **settings_out, struct settings_problems *problems_out,
                            struct mx_error *err)
{
    struct reader reader = { .tree = NULL };
    enum mx_code code;

    memset(problems_out, 0, sizeof(*problems_out));
    problems_init(&reader.problems, name);
    code = parse_with(&reader, text, len, settings_out, problems_out, err);
    arena_destroy(reader.tree);
    arena_destroy(reader.arena);
    problems_fini(&reader.problems);
    return code;
}

void settings_free(struct settings *settings)
{
    if (settings != NULL) {
        arena_destroy(settings->memory);
    }
}

/* Up to one byte more than FILE_MAX, which settings_parse() refuses then. 0 or an errno. */
static int read_file(const char *path, struct buffer *content)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result = fd < 0 ? errno : 0;

    while (result == 0 && content->len <= FILE_MAX) {
        size_t before = content->len;
        size_t room = FILE_MAX + 1 - before < 16384 ? FILE_MAX + 1 - before : 16384;
        uint8_t *into = buffer_reserve(content, room);
        ssize_t got = into == NULL ? -1 : read(fd, into, room);

        if (into == NULL) {
            result = ENOMEM;
        } else if (got < 0 && errno != EINTR) {
            result = errno;
        } else {
            content->len = before + (got < 0 ? 0 : (size_t) got);
        }
        if (got == 0) {
            break;
        }
    }
    if (fd >= 0) {
        (void) close(fd);
    }
    return result;
}

static enum mx_code cannot_read(const char *path, int number,
                                struct settings_problems *problems_out, struct mx_error *err)
{
    struct problems problems;
    enum mx_code code;

    problems_init(&problems, path);
    problems_add(&problems, (struct mark){ 0, 0 }, NULL, "cannot be read: %s", strerror(number));
    code = problems_tell(&problems, problems_out, err);
    problems_fini(&problems);
    if (number == ENOENT) {
        code = MX_NOT_FOUND;
    } else if (number == EACCES || number == EPERM) {
        code = MX_PERMISSION_DENIED;
    }
    err->code = code;
    return code;
}

enum mx_code settings_load(const char *path, struct settings **settings_out,
                           struct settings_problems *problems_out, struct mx_error *err)
{
    struct buffer content = BUFFER_INIT;
    enum mx_code code;
    int result;

    if (path == NULL) {
        return settings_parse("", 0, "defaults", settings_out, problems_out, err);
    }
    result = read_file(path, &content);
    if (result == 0) {
        code = settings_parse((const char *) content.data, content.len, path, settings_out,
                              problems_out, err);
    } else {
        code = cannot_read(path, result, problems_out, err);
    }
    buffer_fini(&content);
    return code;
}
