#include "settings/problems.h"

#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every value in a message is cut by its author (settings.c, QUOTED_MAX); this bounds the rest. */
#define LINE_MAX_BYTES 1024

/* Kept back for the line that says how many more there are. */
#define LAST_LINE_BYTES 64

void problems_init(struct problems *problems, const char *file)
{
    memset(problems, 0, sizeof(*problems));
    problems->file = file;
}

void problems_fini(struct problems *problems)
{
    for (size_t i = 0; i < problems->kept_count; i++) {
        free(problems->kept[i].text);
    }
    free(problems->kept);
    problems_init(problems, problems->file);
}

bool problems_wanted(const struct problems *problems)
{
    return !problems->out_of_memory &&
           problems->bytes + LINE_MAX_BYTES + LAST_LINE_BYTES <= PROBLEMS_TEXT_MAX;
}

static bool keep(struct problems *problems, struct mark at, const char *line)
{
    if (problems->kept_count == problems->capacity) {
        size_t capacity = problems->capacity == 0 ? 16 : problems->capacity * 2;
        struct problem *kept = realloc(problems->kept, capacity * sizeof(*kept));

        if (kept == NULL) {
            return false;
        }
        problems->kept = kept;
        problems->capacity = capacity;
    }

    char *text = strdup(line);

    if (text == NULL) {
        return false;
    }
    problems->kept[problems->kept_count++] = (struct problem){ at, problems->count, text };
    problems->bytes += strlen(text) + 1;
    return true;
}

void problems_add(struct problems *problems, struct mark at, const char *key, const char *format,
                  ...)
{
    char what[LINE_MAX_BYTES / 2];
    char line[LINE_MAX_BYTES];
    char place[32] = "";
    va_list args;

    if (problems_wanted(problems)) {
        va_start(args, format);
        (void) vsnprintf(what, sizeof(what), format, args);
        va_end(args);
        if (at.line > 0) {
            (void) snprintf(place, sizeof(place), ":%u:%u", at.line, at.column);
        }
        (void) snprintf(line, sizeof(line), "%s%s: %s%s%s", problems->file, place,
                        key == NULL ? "" : key, key == NULL ? "" : ": ", what);
        problems->out_of_memory = !keep(problems, at, line);
    }
    problems->count++;
}

static int compare_places(const void *left, const void *right)
{
    const struct problem *a = left;
    const struct problem *b = right;

    if (a->at.line != b->at.line) {
        return a->at.line < b->at.line ? -1 : 1;
    }
    if (a->at.column != b->at.column) {
        return a->at.column < b->at.column ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static char *all_lines(const struct problems *problems)
{
    struct buffer text = BUFFER_INIT;

    for (size_t i = 0; i < problems->kept_count; i++) {
        buffer_put(&text, problems->kept[i].text, strlen(problems->kept[i].text));
        buffer_put_u8(&text, '\n');
    }
    if (problems->count > problems->kept_count) {
        char line[LAST_LINE_BYTES];
        int len = snprintf(line, sizeof(line), "and %zu problems more\n",
                           problems->count - problems->kept_count);

        buffer_put(&text, line, (size_t) len);
    }
    buffer_put_u8(&text, '\0');
    if (buffer_failed(&text)) {
        buffer_fini(&text);
        return NULL;
    }
    return (char *) text.data;
}

enum mx_code problems_tell(struct problems *problems, struct settings_problems *out,
                           struct mx_error *err)
{
    memset(out, 0, sizeof(*out));
    if (problems->count == 0) {
        return MX_OK;
    }
    if (problems->kept_count > 0) {
        qsort(problems->kept, problems->kept_count, sizeof(*problems->kept), compare_places);
        out->text = all_lines(problems);
    }
    if (problems->out_of_memory || out->text == NULL) {
        settings_problems_fini(out);
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "%s: out of memory", problems->file);
    }
    out->count = problems->count;
    return mx_fail(err, MX_INVALID_ARGUMENT, "%s", problems->kept[0].text);
}

void settings_problems_fini(struct settings_problems *problems)
{
    free(problems->text);
    memset(problems, 0, sizeof(*problems));
}
