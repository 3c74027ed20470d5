/*
 * The server itself: ServerInfo, and grpc.health.v1.Health/Check.
 */
#include "grpc/health/v1/health.pb-c.h"
#include "handlers/handlers.h"
#include "keys/pool.h"
#include "mxadm/v1/admin.pb-c.h"
#include "settings/settings.h"

#include <string.h>

/* -------------------------------------------------------------- ServerInfo */

static void add_pools(struct rpc_call *call, struct key_pool *pool,
                      Mxadm__V1__ServerInfoResponse *response)
{
    struct arena *arena = call_arena(call);

    response->key_pools = arena_alloc(arena, KEY_KINDS * sizeof(Mxadm__V1__KeyPoolInfo *));
    for (int kind = KEY_RSA2048; kind < KEY_KINDS; kind++) {
        Mxadm__V1__KeyPoolInfo *to = arena_alloc(arena, sizeof(*to));
        struct key_pool_info info;

        key_pool_info(pool, (enum key_kind) kind, &info);
        mxadm__v1__key_pool_info__init(to);
        to->algorithm = (Mxadm__V1__DkimSelector__Algorithm) kind;
        to->ready = info.ready;
        to->low_water = info.low;
        to->high_water = info.high;
        to->waiting = info.waiting;
        response->key_pools[response->n_key_pools++] = to;
    }
}

static uint64_t count(struct rpc_call *call, enum record_kind kind)
{
    struct record_key range = record_prefix(kind, NULL);

    return record_count(call_model(call), &range);
}

static void server_info(struct rpc_call *call)
{
    const Mxadm__V1__ServerInfoRequest *request = call_request(call);
    Mxadm__V1__ServerInfoResponse response = MXADM__V1__SERVER_INFO_RESPONSE__INIT;
    Google__Protobuf__Timestamp start;
    struct call_server_info info;

    call_server(call, &info);
    start = record_timestamp(info.start_us);
    response.version = (char *) info.version;
    response.revision = info.revision;
    response.revision_chain.data = info.position.chain;
    response.revision_chain.len = DIGEST_SIZE;
    response.host_name = (char *) call_settings(call)->host_name;
    response.start_time = &start;
    response.domain_count = count(call, RECORD_DOMAIN);
    response.account_count = count(call, RECORD_ACCOUNT);
    response.address_count = count(call, RECORD_ADDRESS);
    response.alias_count = count(call, RECORD_ALIAS);
    response.tls_public_key_count = count(call, RECORD_TLS_PUBLIC_KEY);
    response.oldest_revision = info.oldest_revision;
    response.message_bytes_limit = info.message_bytes;
    if (request->descriptor_set) {
        response.descriptor_set.data = (uint8_t *) info.descriptor_set.data;
        response.descriptor_set.len = info.descriptor_set.len;
    }
    add_pools(call, info.pool, &response);
    call_answer(call, &response.base);
}

const struct rpc_row server_rows[] = {
    { "ServerInfo", server_info, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { 0 },
};

/* ------------------------------------------------------------------ Health */

static void health_check(struct rpc_call *call)
{
    const Grpc__Health__V1__HealthCheckRequest *request = call_request(call);
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    struct call_server_info info;

    if (request->service[0] != '\0' &&
        strcmp(request->service, mxadm__v1__admin__descriptor.name) != 0) {
        status_resource(call_status(call), MX_NOT_FOUND, "SERVICE_UNKNOWN", "service",
                        name_show(call_arena(call), request->service), "there is no service %s",
                        name_show(call_arena(call), request->service));
        return;
    }
    call_server(call, &info);
    response.status = info.serving
                          ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                          : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
    call_answer(call, &response.base);
}

const struct rpc_row health_rows[] = {
    { "Check", health_check, RPC_READ, ROLE_NONE, false, false, NULL },
    { 0 },
};
