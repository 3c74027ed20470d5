#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* FIPS 180-2, appendix B.1. */
static const uint8_t of_abc[DIGEST_SIZE] = {
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
};

static void it_is_sha256(void **state)
{
    uint8_t out[DIGEST_SIZE];

    (void) state;
    digest("abc", 3, out);
    assert_memory_equal(out, of_abc, DIGEST_SIZE);
}

static void pieces_count_as_one(void **state)
{
    static const struct digest_piece pieces[] = { { "a", 1 }, { NULL, 0 }, { "bc", 2 } };
    uint8_t out[DIGEST_SIZE];
    uint8_t empty[DIGEST_SIZE];

    (void) state;
    digest_pieces(pieces, 3, out);
    assert_memory_equal(out, of_abc, DIGEST_SIZE);
    digest_pieces(NULL, 0, out);
    digest("", 0, empty);
    assert_memory_equal(out, empty, DIGEST_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_sha256),
        cmocka_unit_test(pieces_count_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
