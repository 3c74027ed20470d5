#include "store/backend.h"

#include <string.h>

const char *backend_result_name(enum backend_result result)
{
    switch (result) {
    case BACKEND_OK:
        return "OK";
    case BACKEND_CONFLICT:
        return "CONFLICT";
    case BACKEND_REPLAY:
        return "REPLAY";
    case BACKEND_TOO_BIG:
        return "TOO_BIG";
    case BACKEND_READ_ONLY:
        return "READ_ONLY";
    case BACKEND_FAILED:
        return "FAILED";
    case BACKEND_ABSENT:
        return "ABSENT";
    case BACKEND_COMPACTED:
        return "COMPACTED";
    case BACKEND_DIVERGED:
        return "DIVERGED";
    case BACKEND_CORRUPT:
        return "CORRUPT";
    case BACKEND_UNKNOWN:
        return "UNKNOWN";
    case BACKEND_UNAVAILABLE:
        return "UNAVAILABLE";
    }
    return "?";
}

struct position position_next(const struct position *position, const uint8_t *change,
                              size_t change_len)
{
    struct position next = { .revision = position->revision + 1 };
    uint8_t revision[8];
    struct digest_piece pieces[] = {
        { position->chain, sizeof(position->chain) },
        { revision, sizeof(revision) },
        { change, change_len },
    };

    for (size_t i = 0; i < sizeof(revision); i++) {
        revision[i] = (uint8_t) (next.revision >> (56 - 8 * i));
    }
    digest_pieces(pieces, sizeof(pieces) / sizeof(pieces[0]), next.chain);
    return next;
}

bool position_equal(const struct position *a, const struct position *b)
{
    return a->revision == b->revision && memcmp(a->chain, b->chain, sizeof(a->chain)) == 0;
}
