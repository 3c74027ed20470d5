/*
 * Adds a domain with a first account and prints the DNS records to publish.
 *
 *     add_domain URL DOMAIN ACCOUNT LOCALPART
 *
 * Exits as mxadm does: 0 done, 1 refused, 2 usage, 3 unavailable or unknown.
 */
#include <mxadm/mxadm.h>

#include <stdio.h>

/* Long enough for two DKIM keys to be made, if the daemon has no spare ones. */
#define TIMEOUT_MS 10000

static int report(const mxadm_result *result)
{
    fprintf(stderr, "add_domain: %s (%s)\n", mxadm_result_message(result),
            mxadm_result_reason(result));
    switch (mxadm_result_code(result)) {
    case MXADM_UNAVAILABLE:
    case MXADM_DEADLINE_EXCEEDED:
        return 3;
    default:
        return 1;
    }
}

static int add_domain(mxadm_client *client, char *domain, char *account, char *localpart)
{
    Mxadm__V1__DomainAddRequest request = MXADM__V1__DOMAIN_ADD_REQUEST__INIT;
    mxadm_result *result;
    int code = 0;

    request.domain = domain;
    request.account = account;
    request.localpart = localpart;
    if (mxadm_call(client, "DomainAdd", &request.base, NULL, &result) != MXADM_OK) {
        code = report(result);
    }
    mxadm_result_free(result);
    return code;
}

static int print_records(mxadm_client *client, char *domain)
{
    Mxadm__V1__DomainRecordsRequest request = MXADM__V1__DOMAIN_RECORDS_REQUEST__INIT;
    const Mxadm__V1__DomainRecordsResponse *response;
    mxadm_result *result;
    int code = 0;

    request.domain = domain;
    if (mxadm_call(client, "DomainRecords", &request.base, NULL, &result) == MXADM_OK) {
        response = (const Mxadm__V1__DomainRecordsResponse *) mxadm_result_response(result);
        fputs(response->zone, stdout);
    } else {
        code = report(result);
    }
    mxadm_result_free(result);
    return code;
}

int main(int argc, char **argv)
{
    mxadm_client_options options = MXADM_CLIENT_OPTIONS_INIT;
    const char *urls[1];
    mxadm_client *client;
    int code;

    if (argc != 5) {
        fputs("usage: add_domain URL DOMAIN ACCOUNT LOCALPART\n", stderr);
        return 2;
    }
    urls[0] = argv[1];
    options.urls = urls;
    options.url_count = 1;
    options.timeout_ms = TIMEOUT_MS;
    options.max_attempts = 3;
    if (mxadm_client_open(&options, &client) != MXADM_OK) {
        fputs("add_domain: no memory for a client\n", stderr);
        return 1;
    }
    code = add_domain(client, argv[2], argv[3], argv[4]);
    if (code == 0) {
        code = print_records(client, argv[2]);
    }
    mxadm_client_close(client);
    return code;
}
