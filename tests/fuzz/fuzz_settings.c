/* Fuzzes the reading of settings: any bytes are settings or problems told in words. */
#include "settings/settings.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings *settings = NULL;
    struct settings_problems problems;
    struct mx_error err;

    if (settings_parse((const char *) data, size, "fuzz", &settings, &problems, &err) == MX_OK) {
        if (problems.text != NULL || settings == NULL || settings->host_name == NULL) {
            abort();
        }
    } else if (settings != NULL || err.message[0] == '\0') {
        abort();
    }
    settings_free(settings);
    settings_problems_fini(&problems);
    return 0;
}
