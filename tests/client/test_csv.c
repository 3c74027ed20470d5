/* Comma-separated values, and the line that shows how far an import has come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "csv.h"
#include "progress.h"

#define TEXT_MAX 512

/* All rows of a text in one line: fields in brackets, rows with their line's number. */
static void rows_of(const char *text, size_t len, char *out)
{
    FILE *file = fmemopen((void *) text, len, "r");
    struct csv csv;
    uint64_t line;
    assert_non_null(file);
    csv_init(&csv, file);
    out[0] = '\0';
    while (csv_next(&csv, &line)) {
        snprintf(out + strlen(out), TEXT_MAX - strlen(out), "%d:", (int) line);
        for (size_t i = 0; i < csv.count; i++) {
            snprintf(out + strlen(out), TEXT_MAX - strlen(out), "[%s]", csv_field(&csv, i));
        }
        if (csv.problem != NULL) {
            snprintf(out + strlen(out), TEXT_MAX - strlen(out), "!");
        }
    }
    csv_fini(&csv);
    fclose(file);
}

static void rows_and_fields_are_read_as_rfc_4180_has_them(void **state)
{
    static const struct {
        const char *text;
        const char *rows;
    } cases[] = {
        { "a,b\nc,d\n", "1:[a][b]2:[c][d]" },
        { "a,b\r\nc,d", "1:[a][b]2:[c][d]" },
        { "\xef\xbb\xbf"
          "a,b\n",
          "1:[a][b]" },
        { "a,,\n,\n", "1:[a][][]2:[][]" },
        { "a,\r\n", "1:[a][]" },
        { "a,", "1:[a][]" },
        { "\"a,b\",\"say \"\"hi\"\"\"\n", "1:[a,b][say \"hi\"]" },
        { "\"two\nlines\",x\ny\n", "1:[two\nlines][x]3:[y]" },
        { "\"\"\n", "1:[]" },
        { "\n\r\na\n\nb\n", "3:[a]5:[b]" },
        { " a , b \n", "1:[ a ][ b ]" },
        { "\"a\"x,b\nc\n", "1:[ax][b]!2:[c]" },
        { "a\"b\n", "1:[a\"b]!" },
        { "\"open\n", "1:[open\n]!" },
        { "a\rb\n", "1:[a\rb]" },
        { "\xc3\xa4,\xe2\x82\xac\n", "1:[\xc3\xa4][\xe2\x82\xac]" },
        { "", "" },
        { "\n", "" },
    };
    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char rows[TEXT_MAX];
        if (cases[i].text[0] != '\0') { /* fmemopen() takes no empty memory */
            rows_of(cases[i].text, strlen(cases[i].text), rows);
            assert_string_equal(rows, cases[i].rows);
        }
    }
}

static void a_nul_byte_is_told_and_left_out(void **state)
{
    char rows[TEXT_MAX];
    (void) state;
    rows_of("a\0b,c\nd\n", 8, rows);
    assert_string_equal(rows, "1:[ab][c]!2:[d]");
}

static void a_row_that_is_too_long_is_cut_and_the_next_is_read(void **state)
{
    size_t len = CSV_ROW_BYTES_MAX + 1000;
    char *text = malloc(len + 8);
    (void) state;
    memset(text, 'x', len);
    strcpy(text + len, "\nnext\n");
    FILE *file = fmemopen(text, strlen(text), "r");
    struct csv csv;
    uint64_t line;
    csv_init(&csv, file);
    assert_true(csv_next(&csv, &line));
    assert_non_null(csv.problem);
    assert_int_equal(strlen(csv_field(&csv, 0)), CSV_ROW_BYTES_MAX);
    assert_true(csv_next(&csv, &line));
    assert_null(csv.problem);
    assert_string_equal(csv_field(&csv, 0), "next");
    assert_string_equal(csv_field(&csv, 1), "");
    assert_false(csv_next(&csv, &line));
    csv_fini(&csv);
    fclose(file);
    free(text);
}

static void what_is_written_is_read_again(void **state)
{
    static const char *const fields[] = { "plain",        "",       "a,b",     "\"",
                                          "two\r\nlines", " blank", "\xc3\xa4" };
    char text[TEXT_MAX] = "";
    char rows[TEXT_MAX];
    (void) state;
    FILE *file = fmemopen(text, sizeof(text), "w");
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        fputs(i > 0 ? "," : "", file);
        csv_write(file, fields[i]);
    }
    fputc('\n', file);
    fclose(file);
    rows_of(text, strlen(text), rows);
    assert_string_equal(rows, "1:[plain][][a,b][\"][two\r\nlines][ blank][\xc3\xa4]");
}

static void progress_is_a_bar_a_count_and_a_rate(void **state)
{
    char text[PROGRESS_TEXT_MAX];
    (void) state;
    progress_text(text, "lines", 50, 100, 1200, 2000);
    assert_string_equal(text, "[###############               ]  50%  1200 lines, 600/s");
    progress_text(text, "lines", 0, 0, 10, 0);
    assert_string_equal(text, "10 lines, 10000/s");
    progress_text(text, NULL, 3000000, 3000000, 0, 1);
    assert_string_equal(text, "[##############################] 100%  3.0 MB");
    progress_text(text, NULL, 9, 3, 0, 1); /* a file that grew */
    assert_string_equal(text, "[##############################] 100%  0.0 MB");
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_fields_are_read_as_rfc_4180_has_them),
        cmocka_unit_test(a_nul_byte_is_told_and_left_out),
        cmocka_unit_test(a_row_that_is_too_long_is_cut_and_the_next_is_read),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(progress_is_a_bar_a_count_and_a_rate),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
