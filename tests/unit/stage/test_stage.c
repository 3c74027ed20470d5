/*
 * Staged documents: parts, repeats, gaps, limits, what is forgotten when.
 */
#include "base/clock.h"
#include "stage/stage.h"
#include "support/cmocka.h"
#include "support/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct scratch scratch;
static struct stage *stage;
static uint64_t bytes;
static struct mx_error err;

static int setup(void **state)
{
    (void) state;
    scratch_init(&scratch);
    assert_int_equal(stage_create(scratch.directory, &stage, &err), MX_OK);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    stage_destroy(stage);
    scratch_fini(&scratch);
    return 0;
}

static enum stage_result add(const char *name, uint64_t offset, const char *text)
{
    return stage_add(stage, "uid:0", name, offset, text, strlen(text), &bytes, &err);
}

/* What is staged, as a text; NULL: nothing. */
static const char *content(const char *principal, const char *name)
{
    static char text[64];
    uint64_t len = 0;
    int fd = stage_open(stage, principal, name, &len);

    if (fd < 0) {
        return NULL;
    }
    assert_true(len < sizeof(text));
    assert_int_equal(read(fd, text, (size_t) len), (ssize_t) len);
    text[len] = '\0';
    (void) close(fd);
    return text;
}

static unsigned count_files(void)
{
    DIR *dir = opendir(scratch_path(&scratch, "staged"));
    unsigned count = 0;

    assert_non_null(dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    (void) closedir(dir);
    return count;
}

static void parts_make_a_document(void **state)
{
    (void) state;
    assert_int_equal(add("a", 0, "one "), STAGE_OK);
    assert_int_equal(bytes, 4);
    assert_int_equal(add("a", 4, "two"), STAGE_OK);
    assert_int_equal(bytes, 7);
    assert_string_equal(content("uid:0", "a"), "one two");
}

static void a_part_may_come_twice(void **state)
{
    (void) state;
    assert_int_equal(add("a", 0, "one "), STAGE_OK);
    assert_int_equal(add("a", 0, "one "), STAGE_OK);
    assert_int_equal(add("a", 4, "two"), STAGE_OK);
    assert_int_equal(add("a", 4, "two"), STAGE_OK);
    assert_int_equal(bytes, 7);
    assert_string_equal(content("uid:0", "a"), "one two");
}

static void a_gap_and_another_part_in_the_same_place_are_told(void **state)
{
    (void) state;
    assert_int_equal(add("a", 4, "two"), STAGE_GAP);
    assert_int_equal(bytes, 0);
    assert_int_equal(add("a", 0, "one "), STAGE_OK);
    assert_int_equal(add("a", 5, "two"), STAGE_GAP);
    assert_int_equal(bytes, 4);
    assert_int_equal(add("a", 4, "two"), STAGE_OK);
    assert_int_equal(add("a", 4, "2wo"), STAGE_GAP);
    assert_string_equal(content("uid:0", "a"), "one two");
}

static void the_first_part_begins_anew(void **state)
{
    (void) state;
    assert_int_equal(add("a", 0, "one "), STAGE_OK);
    assert_int_equal(add("a", 4, "two"), STAGE_OK);
    assert_int_equal(add("a", 0, "one "), STAGE_OK);
    assert_int_equal(bytes, 4);
    assert_string_equal(content("uid:0", "a"), "one ");
}

static void who_reads_keeps_what_was_there(void **state)
{
    uint64_t len = 0;
    char text[8] = "";
    int fd;

    (void) state;
    assert_int_equal(add("a", 0, "one"), STAGE_OK);
    fd = stage_open(stage, "uid:0", "a", &len);
    assert_int_equal(add("a", 0, "other"), STAGE_OK);
    assert_int_equal(read(fd, text, 7), 3);
    assert_string_equal(text, "one");
    (void) close(fd);
}

static void a_document_that_was_used_goes_but_not_one_begun_since(void **state)
{
    uint64_t len = 0;
    int fd;

    (void) state;
    assert_int_equal(add("a", 0, "one"), STAGE_OK);
    fd = stage_open(stage, "uid:0", "a", &len);
    assert_int_equal(add("a", 0, "other"), STAGE_OK);
    stage_used(stage, "uid:0", "a", fd);
    (void) close(fd);
    assert_string_equal(content("uid:0", "a"), "other");
    fd = stage_open(stage, "uid:0", "a", &len);
    stage_used(stage, "uid:0", "a", fd);
    (void) close(fd);
    assert_null(content("uid:0", "a"));
    assert_int_equal(count_files(), 0);
}

static void a_document_is_its_principals(void **state)
{
    (void) state;
    assert_int_equal(add("a", 0, "one"), STAGE_OK);
    assert_null(content("uid:1", "a"));
    assert_null(content("uid:0", "b"));
    assert_int_equal(stage_remove(stage, "uid:1", "a"), STAGE_ABSENT);
    assert_int_equal(stage_remove(stage, "uid:0", "a"), STAGE_OK);
    assert_null(content("uid:0", "a"));
    assert_int_equal(count_files(), 0);
}

static void documents_are_counted(void **state)
{
    char name[16];

    (void) state;
    for (int i = 0; i < STAGE_DOCUMENTS_MAX; i++) {
        (void) snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(add(name, 0, "x"), STAGE_OK);
    }
    assert_int_equal(add("more", 0, "x"), STAGE_FULL);
    assert_int_equal(stage_remove(stage, "uid:0", "n0"), STAGE_OK);
    assert_int_equal(add("more", 0, "x"), STAGE_OK);
}

static void an_hour_without_a_part_ends_a_document(void **state)
{
    int64_t now = clock_mono_ms();

    (void) state;
    assert_int_equal(add("a", 0, "one"), STAGE_OK);
    stage_expire(stage, now + STAGE_KEEP_MS - 60000);
    assert_non_null(content("uid:0", "a"));
    stage_expire(stage, now + STAGE_KEEP_MS + 60000);
    assert_null(content("uid:0", "a"));
    assert_int_equal(count_files(), 0);
}

static void a_start_leaves_nothing_of_an_earlier_run(void **state)
{
    struct stage *next;

    (void) state;
    assert_int_equal(add("a", 0, "one"), STAGE_OK);
    assert_int_equal(count_files(), 1);
    assert_int_equal(stage_create(scratch.directory, &next, &err), MX_OK);
    assert_int_equal(count_files(), 0);
    assert_int_equal(stage_bytes(next, "uid:0", "a"), 0);
    stage_destroy(next);
}

static void files_are_the_daemons_alone(void **state)
{
    struct stat found;
    uint64_t len;
    int fd;

    (void) state;
    assert_int_equal(add("a", 0, "one"), STAGE_OK);
    fd = stage_open(stage, "uid:0", "a", &len);
    assert_int_equal(fstat(fd, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    (void) close(fd);
}

static void names_are_plain(void **state)
{
    (void) state;
    assert_true(stage_is_name("a-Z_09"));
    assert_false(stage_is_name(""));
    assert_false(stage_is_name("a/b"));
    assert_false(stage_is_name(".."));
    assert_false(
        stage_is_name("0123456789012345678901234567890123456789012345678901234567890123x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_make_a_document, setup, teardown),
        cmocka_unit_test_setup_teardown(a_part_may_come_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_and_another_part_in_the_same_place_are_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_first_part_begins_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(who_reads_keeps_what_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_document_that_was_used_goes_but_not_one_begun_since,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_document_is_its_principals, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(an_hour_without_a_part_ends_a_document, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_leaves_nothing_of_an_earlier_run, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_the_daemons_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_plain, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
