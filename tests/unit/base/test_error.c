#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void codes_are_grpcs(void **state)
{
    (void) state;
    assert_int_equal(MX_NOT_FOUND, 5);
    assert_int_equal(MX_UNAUTHENTICATED, 16);
    assert_string_equal(mx_code_name(MX_OK), "OK");
    assert_string_equal(mx_code_name(MX_FAILED_PRECONDITION), "FAILED_PRECONDITION");
    assert_string_equal(mx_code_name((enum mx_code) 99), "UNKNOWN");
}

static void an_error_has_its_code_and_sentence(void **state)
{
    struct mx_error err;

    (void) state;
    assert_int_equal(mx_fail(&err, MX_NOT_FOUND, "no domain '%s'", "example.org"), MX_NOT_FOUND);
    assert_int_equal(err.code, MX_NOT_FOUND);
    assert_string_equal(err.message, "no domain 'example.org'");
}

static void a_long_sentence_is_cut_at_the_end(void **state)
{
    struct mx_error err;

    (void) state;
    (void) mx_fail(&err, MX_INTERNAL, "%01000d", 7);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_grpcs),
        cmocka_unit_test(an_error_has_its_code_and_sentence),
        cmocka_unit_test(a_long_sentence_is_cut_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
