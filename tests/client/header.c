/* The public header alone, as strict C99 and as C++: every macro is used, since one that nobody
 * compiles may not compile. */
#include <mxadm/mxadm.h>

static int check(void)
{
    mxadm_client_options client_options = MXADM_CLIENT_OPTIONS_INIT;
    mxadm_call_options call_options = MXADM_CALL_OPTIONS_INIT;
    mxadm_watch_options watch_options = MXADM_WATCH_OPTIONS_INIT;
    const char *url = MXADM_DEFAULT_URL;
    unsigned char id[MXADM_REQUEST_ID_SIZE] = { 0 };
    const char *version = MXADM_VERSION_STRING;
    size_t count = 0;

    call_options.request_id = id;
    if (mxadm_services(&count) == NULL || count == 0 || mxadm_method_find("DomainAdd") == NULL) {
        return 1;
    }
    return client_options.size == sizeof(client_options) &&
                   call_options.size == sizeof(call_options) &&
                   watch_options.size == sizeof(watch_options) && url[0] == 'i' &&
                   version[0] == '0' + MXADM_VERSION_MAJOR &&
                   MXADM_VERSION_MINOR + MXADM_VERSION_PATCH >= 0 &&
                   mxadm_code_name(MXADM_OK)[0] == 'O'
               ? 0
               : 1;
}

MXADM_API int header_works(void);

int header_works(void)
{
    return check();
}

int main(void)
{
    return header_works();
}
