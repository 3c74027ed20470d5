#include "bench/envelope.h"

#include "bench/bench.h"
#include "bench/load.h"
#include "mxadm/v1/rpc.pb-c.h"

/* More than any call of a benchmark takes. */
#define TIMEOUT_S 30

size_t envelope_pack(const char *method, const uint8_t *message, size_t message_len,
                     const struct envelope_id *id, uint8_t room[])
{
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    uint64_t bytes[2]; /* of 16 bytes, scattered like random ones */

    timeout.seconds = TIMEOUT_S;
    envelope.method = (char *) method;
    envelope.timeout = &timeout;
    envelope.message.data = (uint8_t *) message;
    envelope.message.len = message_len;
    if (id != NULL) {
        bytes[0] = bench_scramble(id->number + 1);
        bytes[1] = bench_scramble(id->number) ^ id->kind;
        envelope.request_id.data = (uint8_t *) bytes;
        envelope.request_id.len = sizeof(bytes);
    }
    bench_check(mxadm__v1__request__get_packed_size(&envelope) <= LOAD_REQUEST_MAX,
                "a request is too long");
    return mxadm__v1__request__pack(&envelope, room);
}
