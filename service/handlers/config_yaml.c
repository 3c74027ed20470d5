/*
 * The configuration as a document: ConfigExport, ConfigApply.
 */
#include "handlers/config_yaml.h"

#include "handlers/handlers.h"

const struct rpc_row config_yaml_rows[] = {
    { "ConfigExport", config_export, RPC_READ_SLOW, ROLE_VIEWER, false, true, NULL },
    { "ConfigApply", config_apply, RPC_CHANGE, ROLE_ADMINISTRATOR, false, true,
      config_apply_prepare },
    { 0 },
};
