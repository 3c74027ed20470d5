/*
 * Applies a document of any size, staged in parts, and says how long that took,
 * and how long reads took meanwhile:
 *
 *     apply_file URL FILE [prune|plan]
 */
#include <mxadm/mxadm.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PART_BYTES ((size_t) 2 * 1024 * 1024)
#define TIMEOUT_MS 900000

static double now_s(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static bool call(mxadm_client *client, Mxadm__V1__ConfigApplyRequest *request, bool plan,
                 mxadm_result **result_out)
{
    mxadm_call_options options = MXADM_CALL_OPTIONS_INIT;

    options.timeout_ms = TIMEOUT_MS;
    options.validate_only = plan;
    if (mxadm_call(client, "ConfigApply", &request->base, &options, result_out) == MXADM_OK) {
        return true;
    }
    (void) fprintf(stderr, "%s (%s)\n", mxadm_result_message(*result_out),
                   mxadm_result_reason(*result_out));
    return false;
}

static bool stage(mxadm_client *client, FILE *file)
{
    char *part = malloc(PART_BYTES + 1);
    uint64_t offset = 0;
    bool going = part != NULL;
    size_t len;

    while (going && (len = fread(part, 1, PART_BYTES, file)) > 0) {
        Mxadm__V1__ConfigApplyRequest request = MXADM__V1__CONFIG_APPLY_REQUEST__INIT;
        mxadm_result *result = NULL;

        part[len] = '\0';
        request.stage = (char *) "apply_file";
        request.stage_offset = offset;
        request.yaml = part;
        going = call(client, &request, false, &result);
        mxadm_result_free(result);
        offset += len;
    }
    free(part);
    return going;
}

/* ------------------------------------------------------------------- reads */

struct reads {
    mxadm_client *client;
    atomic_bool stop;
    unsigned count;
    double worst_s;
};

static void *read_on(void *argument)
{
    struct reads *reads = argument;

    while (!atomic_load(&reads->stop)) {
        Mxadm__V1__DomainListRequest request = MXADM__V1__DOMAIN_LIST_REQUEST__INIT;
        double begin = now_s();

        if (mxadm_call(reads->client, "DomainList", &request.base, NULL, NULL) == MXADM_OK) {
            double took = now_s() - begin;

            reads->count++;
            reads->worst_s = took > reads->worst_s ? took : reads->worst_s;
        }
    }
    return NULL;
}

static bool apply(mxadm_client *client, const char *how)
{
    Mxadm__V1__ConfigApplyRequest request = MXADM__V1__CONFIG_APPLY_REQUEST__INIT;
    const Mxadm__V1__ConfigApplyResponse *response;
    mxadm_result *result = NULL;
    double begin = now_s();
    bool good;

    request.staged = (char *) "apply_file";
    request.prune = strcmp(how, "prune") == 0;
    good = call(client, &request, strcmp(how, "plan") == 0, &result);
    if (good) {
        response = (const Mxadm__V1__ConfigApplyResponse *) mxadm_result_response(result);
        (void) printf("apply: %.1f s, %llu added, %llu updated, %llu removed, %llu unchanged\n",
                      now_s() - begin, (unsigned long long) response->added,
                      (unsigned long long) response->updated,
                      (unsigned long long) response->removed,
                      (unsigned long long) response->unchanged);
    }
    mxadm_result_free(result);
    return good;
}

static bool run(mxadm_client *client, FILE *file, const char *how)
{
    struct reads reads = { .client = client };
    double begin = now_s();
    pthread_t thread;
    bool good;

    if (!stage(client, file)) {
        return false;
    }
    (void) printf("staging: %.1f s\n", now_s() - begin);
    if (pthread_create(&thread, NULL, read_on, &reads) != 0) {
        return false;
    }
    good = apply(client, how);
    atomic_store(&reads.stop, true);
    (void) pthread_join(thread, NULL);
    (void) printf("reads meanwhile: %u, the slowest %.1f ms\n", reads.count, reads.worst_s * 1e3);
    return good;
}

int main(int argc, char **argv)
{
    mxadm_client_options options = MXADM_CLIENT_OPTIONS_INIT;
    mxadm_client *client;
    const char *urls[1];
    FILE *file;
    bool good;

    if (argc < 3 || (file = fopen(argv[2], "r")) == NULL) {
        (void) fputs("usage: apply_file URL FILE [prune|plan]\n", stderr);
        return 2;
    }
    urls[0] = argv[1];
    options.urls = urls;
    options.url_count = 1;
    options.timeout_ms = TIMEOUT_MS;
    if (mxadm_client_open(&options, &client) != MXADM_OK) {
        return 1;
    }
    good = run(client, file, argc > 3 ? argv[3] : "");
    mxadm_client_close(client);
    (void) fclose(file);
    return good ? 0 : 1;
}
