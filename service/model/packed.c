#include "model/packed.h"

#include "base/buffer.h"

static bool skip(struct packed_walk *walk, uint64_t len)
{
    if (len > (uint64_t) (walk->end - walk->at)) {
        return false;
    }
    walk->at += len;
    return true;
}

static bool read_field(struct packed_walk *walk)
{
    uint64_t tag;

    walk->bytes = slice_of(NULL, 0);
    if (walk->at >= walk->end || !varint_get(&walk->at, walk->end, &tag)) {
        return false;
    }
    walk->field = (unsigned) (tag >> 3);
    switch (tag & 7) {
    case 0:
        return varint_get(&walk->at, walk->end, &walk->number);
    case 1:
        return skip(walk, 8);
    case 2:
        if (!varint_get(&walk->at, walk->end, &walk->number)) {
            return false;
        }
        walk->bytes = slice_of(walk->at, (size_t) walk->number);
        return skip(walk, walk->number);
    default:
        return false; /* no message of ours has another type */
    }
}

bool packed_next(struct packed_walk *walk)
{
    const uint8_t *start = walk->at;
    bool more = read_field(walk);

    walk->whole = slice_of(start, (size_t) (walk->at - start));
    return more;
}

struct slice packed_bytes(struct slice packed, unsigned field)
{
    struct packed_walk walk = packed_walk(packed);

    while (packed_next(&walk)) {
        if (walk.field == field && walk.bytes.data != NULL) {
            return walk.bytes;
        }
    }
    return slice_of(NULL, 0);
}

uint64_t packed_number(struct slice packed, unsigned field)
{
    struct packed_walk walk = packed_walk(packed);

    while (packed_next(&walk)) {
        if (walk.field == field && walk.bytes.data == NULL) {
            return walk.number;
        }
    }
    return 0;
}
