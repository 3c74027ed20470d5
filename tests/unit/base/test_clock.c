#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_monotonic_clock_does_not_go_back(void **state)
{
    int64_t before = clock_mono_us();

    (void) state;
    assert_true(clock_mono_us() >= before);
    assert_true(clock_mono_ms() >= before / 1000);
}

static void the_wall_clock_can_be_moved_and_the_monotonic_not(void **state)
{
    const int64_t day_us = INT64_C(86400) * 1000000;
    int64_t wall = clock_wall_us();
    int64_t mono = clock_mono_us();

    (void) state;
    clock_shift_wall(day_us);
    assert_true(clock_wall_us() >= wall + day_us);
    assert_true(clock_mono_us() < mono + day_us);
    clock_shift_wall(-day_us);
    assert_true(clock_wall_us() < wall + day_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_does_not_go_back),
        cmocka_unit_test(the_wall_clock_can_be_moved_and_the_monotonic_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
