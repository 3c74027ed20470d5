/* What the files of this room share about OpenSSL: turning its error queue into ours. */
#pragma once

#include "base/error.h"

/*
 * MX_INTERNAL with "`what`: " and the reason of OpenSSL's newest error of this thread; empties its
 * queue, so that no later call mistakes the error for its own.
 */
enum mx_code crypto_fail(struct mx_error *err, const char *what);
