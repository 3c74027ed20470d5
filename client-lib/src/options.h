/*
 * The options structs of the public header, checked and completed: what comes
 * from programs built against an older or a newer header than ours.
 */
#pragma once

#include <mxadm/mxadm.h>

/* Longest time a call may take: the daemon refuses more (rpc.proto, Request.timeout). */
#define TIMEOUT_MAX_MS 3600000

/* How many a call may have: the daemon refuses more (rpc.proto, Request.metadata). */
#define OPTIONS_METADATA_MAX 32

/* MXADM_OK or MXADM_INVALID_ARGUMENT; defaults are filled in. Strings stay borrowed. */
mxadm_code options_read_client(const mxadm_client_options *given,
                               mxadm_client_options *options_out);
mxadm_code options_read_call(const mxadm_call_options *given, mxadm_call_options *options_out);
mxadm_code options_read_watch(const mxadm_watch_options *given, mxadm_watch_options *options_out);
