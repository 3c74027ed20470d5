#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* One line is at most 4096 bytes, which a pipe takes without a reader. */
static char line[8192];
static int saved_stderr;
static int pipe_end;

static void capture_begin(void)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void) close(ends[1]);
    pipe_end = ends[0];
}

/* What has been logged since; behind the time, which differs. */
static const char *capture_end(void)
{
    size_t len = 0;
    ssize_t got;

    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    (void) close(saved_stderr);
    while ((got = read(pipe_end, line + len, sizeof(line) - 1 - len)) > 0) {
        len += (size_t) got;
    }
    (void) close(pipe_end);
    line[len] = '\0';
    return line;
}

static void assert_ends(const char *text, const char *end)
{
    size_t len = strlen(text);

    assert_true(len >= strlen(end));
    assert_string_equal(text + len - strlen(end), end);
}

static void an_event_is_one_line_of_text(void **state)
{
    (void) state;
    log_configure(LOG_INFO, false);
    capture_begin();
    log_write(LOG_WARNING, "listening", LOG_TEXT("url", "ipc:///x"), LOG_NUMBER("pid", -12));
    assert_ends(capture_end(), "Z warning listening url=\"ipc:///x\" pid=-12\n");
}

static void an_event_is_one_object_of_json(void **state)
{
    const char *text;

    (void) state;
    log_configure(LOG_INFO, true);
    capture_begin();
    log_write(LOG_ERROR, "failed", LOG_TEXT("why", "say \"no\"\\"), LOG_NUMBER("n", 3));
    text = capture_end();
    assert_memory_equal(text, "{\"time\":\"2", 10);
    assert_ends(text, "Z\",\"level\":\"error\",\"event\":\"failed\","
                      "\"why\":\"say \\\"no\\\"\\\\\",\"n\":3}\n");
}

static void what_is_below_the_level_is_not_written(void **state)
{
    (void) state;
    log_configure(LOG_WARNING, false);
    capture_begin();
    log_write(LOG_INFO, "chatter", LOG_NUMBER("n", 1));
    assert_string_equal(capture_end(), "");
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARNING));
}

static void what_is_for_the_audit_is_written_whatever_the_level(void **state)
{
    (void) state;
    log_configure(LOG_ERROR, false);
    assert_true(log_enabled(LOG_AUDIT));
    assert_false(log_enabled(LOG_WARNING));
    log_configure(LOG_INFO, false);
}

static void no_value_can_forge_a_line(void **state)
{
    const char *text;

    (void) state;
    log_configure(LOG_INFO, false);
    capture_begin();
    log_write(LOG_INFO, "call", LOG_TEXT("name", "x\" ok=\"1\n2026 error forged\x1b[2J\x7f"));
    text = capture_end();
    assert_ends(text, "name=\"x\\\" ok=\\\"1\\u000a2026 error forged\\u001b[2J\\u007f\"\n");
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

/* U+009B begins a terminal's commands as ESC [ does, U+202E turns the line around. */
static void no_value_can_command_a_terminal(void **state)
{
    (void) state;
    log_configure(LOG_INFO, false);
    capture_begin();
    log_write(LOG_INFO, "call",
              LOG_TEXT("name", "\xc2\x9b"
                               "2J \xe2\x80\xae \xe2\x80\xa8 \xe2\x81\xa6 \xd8\x9c"),
              LOG_TEXT("plain", "\xc2\xa0 \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
              LOG_TEXT("broken", "\xff \x9b \xe2\x82 \xf0\x9f\x98"));
    assert_ends(capture_end(),
                " name=\"\\u009b2J \\u202e \\u2028 \\u2066 \\u061c\""
                " plain=\"\xc2\xa0 \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\""
                " broken=\"\\ufffd \\ufffd \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd\"\n");
}

/* However long the values, wherever the line is full: an object, and a whole line. */
static void a_line_that_is_too_long_is_cut_between_its_quotes(void **state)
{
    static char value[5000];

    (void) state;
    log_configure(LOG_INFO, true);
    for (size_t len = 3900; len < 4200; len++) {
        const char *text;
        memset(value, 'v', len);
        value[len] = '\0';
        capture_begin();
        log_write(LOG_INFO, "long", LOG_TEXT("one", value), LOG_TEXT("two", "second"),
                  LOG_NUMBER("three", 3));
        text = capture_end();
        assert_true(strlen(text) <= 4096);
        if (strstr(text, "three") != NULL) {
            assert_ends(text, "vvv\",\"two\":\"second\",\"three\":3}\n");
        } else if (strstr(text, "two") != NULL) {
            assert_non_null(strstr(text, "vvv\",\"two\":\""));
            assert_ends(text, "\"}\n");
        } else {
            assert_ends(text, "vvv\"}\n");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_line_of_text),
        cmocka_unit_test(an_event_is_one_object_of_json),
        cmocka_unit_test(what_is_below_the_level_is_not_written),
        cmocka_unit_test(what_is_for_the_audit_is_written_whatever_the_level),
        cmocka_unit_test(no_value_can_forge_a_line),
        cmocka_unit_test(no_value_can_command_a_terminal),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_between_its_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
