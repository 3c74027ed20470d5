/* The generated functions of a service, as calls that wait. */
#include <mxadm/mxadm.h>

#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "result.h"

/* "package.Service/Method": the longest of ours has 41 bytes. */
#define METHOD_NAME_MAX 256

struct service {
    ProtobufCService base; /* first: protobuf-c hands us a pointer to it */
    mxadm_client *client;
    mxadm_call_options options; /* what it points to is the caller's */
    mxadm_result *result;       /* of the last call */
};

static void invoke(ProtobufCService *base, unsigned method_index, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *closure_data)
{
    struct service *service = (struct service *) base;
    const ProtobufCServiceDescriptor *descriptor = base->descriptor;
    char method[METHOD_NAME_MAX];
    (void) snprintf(method, sizeof(method), "%s/%s", descriptor->name,
                    descriptor->methods[method_index].name);
    mxadm_result_free(service->result);
    mxadm_call(service->client, method, request, &service->options, &service->result);
    closure(mxadm_result_response(service->result), closure_data);
}

static void destroy(ProtobufCService *base)
{
    struct service *service = (struct service *) base;
    mxadm_result_free(service->result);
    free(service);
}

mxadm_code mxadm_service_open(mxadm_client *client, const ProtobufCServiceDescriptor *descriptor,
                              const mxadm_call_options *options, ProtobufCService **service_out)
{
    mxadm_call_options read;
    if (options_read_call(options, &read) != MXADM_OK) {
        return MXADM_INVALID_ARGUMENT;
    }
    struct service *service = calloc(1, sizeof(*service));
    if (service == NULL) {
        return MXADM_RESOURCE_EXHAUSTED;
    }
    service->base.descriptor = descriptor != NULL ? descriptor : &mxadm__v1__admin__descriptor;
    service->base.invoke = invoke;
    service->base.destroy = destroy;
    service->client = client;
    service->options = read;
    service->options.size = sizeof(service->options);
    *service_out = &service->base;
    return MXADM_OK;
}

const mxadm_result *mxadm_service_result(const ProtobufCService *service)
{
    return ((const struct service *) service)->result;
}
