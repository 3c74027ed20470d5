/*
 * The key directory at start: opened, if the settings name one, and put right by
 * what the store says. A crash may have left it behind the store.
 */
#pragma once

#include "keys/keydir.h"

struct settings;
struct store;
struct vault;

/* `*keydir_out` stays as it is without a directory in the settings. */
MX_MUST_USE enum mx_code key_files_open(const struct settings *settings, struct store *store,
                                        struct vault *vault, struct keydir **keydir_out,
                                        struct mx_error *err);
