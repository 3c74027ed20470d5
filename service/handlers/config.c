/*
 * Settings of the whole configuration: ConfigSave, ConfigGet.
 */
#include "model/config.h"
#include "handlers/handlers.h"
#include "model/mask.h"
#include "mxadm/v1/admin.pb-c.h"

static void config_save_call(struct rpc_call *call)
{
    const Mxadm__V1__ConfigSaveRequest *request = call_request(call);
    struct model *model = call_model(call);
    struct slice packed = config_get(model);
    Mxadm__V1__Config *before;
    Mxadm__V1__Config *after;

    if (request->config == NULL) {
        status_field(model->status, "config", "is required");
        return;
    }
    before = record_unpack(model, RECORD_CONFIG, packed);
    after = record_unpack(model, RECORD_CONFIG, packed);
    if (!mask_apply(model, request->update_mask, config_fixed, &request->config->base,
                    &after->base)) {
        return;
    }
    packed = config_save(model, before, after, "config");
    if (status_ok(model->status)) {
        call_answer_field(call, 1, packed);
    }
}

static void config_get_call(struct rpc_call *call)
{
    call_answer_field(call, 1, config_get(call_model(call)));
}

const struct rpc_row config_rows[] = {
    { "ConfigSave", config_save_call, RPC_CHANGE, ROLE_ADMINISTRATOR, false, false, NULL },
    { "ConfigGet", config_get_call, RPC_READ, ROLE_VIEWER, false, false, NULL },
    { 0 },
};
