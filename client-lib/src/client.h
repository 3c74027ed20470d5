/*
 * What a watch needs of a client beside the public functions.
 */
#pragma once

#include <stdint.h>

#include <mxadm/mxadm.h>

/* With defaults filled in; borrowed from the client. NULL in a child process of the one that
 * opened it. */
const mxadm_client_options *client_options(const mxadm_client *client);

/* Ends all calls with MXADM_CANCELLED, also those that begin from now on: other threads may go on
 * using the client, until it is closed. */
void client_cancel(mxadm_client *client);

/* The pause after that many failures in a row: doubles with each, with a random part of up to half
 * taken off, so that clients that failed together don't come back together. */
int64_t backoff_ms(const mxadm_client_options *options, unsigned failures);
