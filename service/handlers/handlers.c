#include "handlers/handlers.h"

#include "grpc/health/v1/health.pb-c.h"
#include "mxadm/v1/admin.pb-c.h"

const struct rpc_table handlers[] = {
    { &mxadm__v1__admin__descriptor, batch_rows },
    { &mxadm__v1__admin__descriptor, domain_rows },
    { &mxadm__v1__admin__descriptor, dkim_rows },
    { &mxadm__v1__admin__descriptor, account_rows },
    { &mxadm__v1__admin__descriptor, address_rows },
    { &mxadm__v1__admin__descriptor, config_rows },
    { &mxadm__v1__admin__descriptor, alias_rows },
    { &mxadm__v1__admin__descriptor, tls_public_key_rows },
    { &mxadm__v1__admin__descriptor, change_rows },
    { &mxadm__v1__admin__descriptor, config_history_rows },
    { &mxadm__v1__admin__descriptor, config_yaml_rows },
    { &mxadm__v1__admin__descriptor, server_rows },
    { &grpc__health__v1__health__descriptor, health_rows },
};

const size_t handlers_count = sizeof(handlers) / sizeof(handlers[0]);
