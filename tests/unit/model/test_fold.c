#include "base/buffer.h"
#include "model/fold.h"
#include "store/change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct mx_error err;

/* Adds a change of one record; NULL: absent. */
static enum mx_code add(struct fold *fold, const char *key, const char *before, const char *after)
{
    struct backend_edit edit = {
        .key = (const uint8_t *) key,
        .key_len = strlen(key),
        .before = (const uint8_t *) before,
        .before_len = before == NULL ? 0 : strlen(before),
        .after = (const uint8_t *) after,
        .after_len = after == NULL ? 0 : strlen(after),
    };
    struct buffer change = BUFFER_INIT;
    enum mx_code code;

    change_begin(&change, NULL, 0, 1);
    change_put_edit(&change, &edit);
    code = fold_add(fold, slice_of(change.data, change.len), &err);
    buffer_fini(&change);
    return code;
}

static void assert_edit(const struct backend_edit *edit, const char *key, const char *before,
                        const char *after)
{
    assert_int_equal(edit->key_len, strlen(key));
    assert_memory_equal(edit->key, key, edit->key_len);
    assert_int_equal(edit->before == NULL, before == NULL);
    assert_int_equal(edit->after == NULL, after == NULL);
    if (before != NULL) {
        assert_int_equal(edit->before_len, strlen(before));
        assert_memory_equal(edit->before, before, edit->before_len);
    }
    if (after != NULL) {
        assert_int_equal(edit->after_len, strlen(after));
        assert_memory_equal(edit->after, after, edit->after_len);
    }
}

static void many_changes_become_one_in_order_of_keys(void **state)
{
    struct fold *fold = fold_create(FOLD_BYTES_MAX, false);
    const struct backend_edit *edits;
    size_t count;

    (void) state;
    assert_int_equal(add(fold, "b", "1", "2"), MX_OK);
    assert_int_equal(add(fold, "a", NULL, "x"), MX_OK);
    assert_int_equal(add(fold, "b", "2", NULL), MX_OK);
    assert_int_equal(add(fold, "ab", "y", ""), MX_OK); /* empty is not absent */
    assert_int_equal(add(fold, "b", NULL, "3"), MX_OK);
    assert_int_equal(add(fold, "a", "x", NULL), MX_OK);
    edits = fold_edits(fold, &count);
    assert_int_equal(count, 3);
    assert_edit(&edits[0], "a", NULL, NULL);
    assert_edit(&edits[1], "ab", "y", "");
    assert_edit(&edits[2], "b", "1", "3");
    fold_destroy(fold);
}

static void what_was_before_can_be_kept_alone(void **state)
{
    struct fold *fold = fold_create(FOLD_BYTES_MAX, true);
    const struct backend_edit *edits;
    size_t count;

    (void) state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            char key[16];

            (void) snprintf(key, sizeof(key), "%04d", i);
            assert_int_equal(add(fold, key, round == 0 ? key : "later", "last"), MX_OK);
        }
    }
    edits = fold_edits(fold, &count);
    assert_int_equal(count, 5000);
    for (int i = 0; i < 5000; i++) {
        char key[16];

        (void) snprintf(key, sizeof(key), "%04d", i);
        assert_edit(&edits[i], key, key, NULL);
    }
    fold_destroy(fold);
}

static void a_fold_has_a_limit(void **state)
{
    struct fold *fold = fold_create((size_t) 256 * 1024, false);
    enum mx_code code = MX_OK;
    size_t count;
    int i;

    (void) state;
    for (i = 0; i < 100000 && code == MX_OK; i++) {
        char key[16];

        (void) snprintf(key, sizeof(key), "%d", i);
        code = add(fold, key, "a value", "another value");
    }
    assert_int_equal(code, MX_RESOURCE_EXHAUSTED);
    assert_true(i > 1000 && i < 20000);
    (void) fold_edits(fold, &count);
    fold_destroy(fold);
}

static void what_is_no_change_is_damaged(void **state)
{
    struct fold *fold = fold_create(FOLD_BYTES_MAX, false);

    (void) state;
    assert_int_equal(fold_add(fold, slice_of("\x01\x00\x02", 3), &err), MX_DATA_LOSS);
    assert_int_equal(fold_add(fold, slice_of("", 0), &err), MX_DATA_LOSS);
    fold_destroy(fold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_changes_become_one_in_order_of_keys),
        cmocka_unit_test(what_was_before_can_be_kept_alone),
        cmocka_unit_test(a_fold_has_a_limit),
        cmocka_unit_test(what_is_no_change_is_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
