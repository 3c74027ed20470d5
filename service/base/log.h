/*
 * The daemon's log: one line an event, to standard error, as text or JSON.
 *
 * An event has a level, a fixed name and fields. Only rpc/, net/ and main.c
 * log; everything else returns. Secrets never become fields. Values are
 * escaped, so that no input can forge a line. Any thread; a line is written
 * whole. Where a line is full a text is cut, and fields that follow are left
 * out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARNING,
    LOG_ERROR,
    LOG_AUDIT, /* written whatever the least level: who saw a secret, who may not do what */
};

struct log_field {
    const char *key;
    const char *text; /* NULL: the number counts */
    int64_t number;
};

#define LOG_TEXT(key, text)                                                                        \
    (struct log_field)                                                                             \
    {                                                                                              \
        (key), (text) == NULL ? "" : (text), 0                                                     \
    }
#define LOG_NUMBER(key, number)                                                                    \
    (struct log_field)                                                                             \
    {                                                                                              \
        (key), NULL, (int64_t) (number)                                                            \
    }

/* Before the first thread starts. Default: LOG_INFO, text. */
void log_configure(enum log_level least, bool json);

/* Whether a line of this level would be written. */
bool log_enabled(enum log_level level);

void log_event(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

/* log_write(LOG_INFO, "listening", LOG_TEXT("url", url)); at least one field. */
#define log_write(level, event, ...)                                                               \
    log_event((level), (event), (const struct log_field[]){ __VA_ARGS__ },                         \
              sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))
