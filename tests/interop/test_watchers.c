/*
 * Thousands of long polls at a real daemon, over a few connections, while others
 * are served: one change answers them all; what they take is said and bounded.
 */
#include "mxadm/v1/admin.pb-c.h"
#include "mxadm/v1/rpc.pb-c.h"
#include "support/admin.h"
#include "support/daemon.h"
#include "unit/net/raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS    4
#define POLLS          2000
#define POLLS_A_CLIENT (POLLS / CONNECTIONS)
/* Of the daemon, for each: the call, its context, and what malloc and the socket keep beside. */
#define BYTES_EACH_MAX 8000
/* What a sanitizer keeps beside each allocation is nobody's business. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void) fprintf(stderr, "watchers: %s:%d: ", __func__, __LINE__);                       \
            (void) fprintf(stderr, __VA_ARGS__);                                                   \
            (void) fputc('\n', stderr);                                                            \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static const char settings[] = DAEMON_URLS "limits: {contexts: 8, in_flight_per_principal: 7,"
                                           " waiting_calls: 3000}\n";

static struct daemon served;
static struct raw pollers[CONNECTIONS];

/* Memory in use, by the kernel. */
static size_t resident(void)
{
    char path[64];
    char line[256];
    size_t kib = 0;
    FILE *file;

    (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) served.pid);
    file = fopen(path, "r");
    CHECK(file != NULL, "no %s", path);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0) {
            kib = strtoul(line + 8, NULL, 10);
        }
    }
    (void) fclose(file);
    return kib * 1024;
}

/* A packed ChangeList that waits for what comes after a revision. */
static size_t pack_poll(uint64_t after, uint8_t *out, size_t size)
{
    Mxadm__V1__ChangeListRequest request = MXADM__V1__CHANGE_LIST_REQUEST__INIT;
    Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    static char method[] = "mxadm.v1.Admin/ChangeList";
    uint8_t message[64];

    request.after_revision = after;
    request.wait = true;
    timeout.seconds = 3600;
    envelope.method = method;
    envelope.timeout = &timeout;
    envelope.message.data = message;
    envelope.message.len = mxadm__v1__change_list_request__pack(&request, message);
    CHECK(mxadm__v1__request__get_packed_size(&envelope) <= size, "no room");
    return mxadm__v1__request__pack(&envelope, out);
}

static void poll_for(uint64_t after)
{
    uint8_t request[256];
    size_t len = pack_poll(after, request, sizeof(request));

    for (uint32_t i = 0; i < POLLS; i++) {
        CHECK(raw_send(&pollers[i % CONNECTIONS], i / CONNECTIONS, request, len), "send %u", i);
    }
}

/* Each poll has one answer, with that one change. */
static void read_answers(uint64_t revision)
{
    static uint8_t bytes[65536];
    bool seen[CONNECTIONS][POLLS_A_CLIENT] = { { false } };

    for (uint32_t i = 0; i < POLLS; i++) {
        uint32_t id;
        ssize_t len = raw_receive(&pollers[i % CONNECTIONS], &id, bytes, sizeof(bytes));
        Mxadm__V1__Response *response =
            len < 0 ? NULL : mxadm__v1__response__unpack(NULL, (size_t) len, bytes);
        Mxadm__V1__ChangeListResponse *changes;

        CHECK(response != NULL && response->status == NULL, "poll %u is not answered", i);
        CHECK(id < POLLS_A_CLIENT && !seen[i % CONNECTIONS][id], "answer to %u comes twice", id);
        seen[i % CONNECTIONS][id] = true;
        changes = mxadm__v1__change_list_response__unpack(NULL, response->message.len,
                                                          response->message.data);
        CHECK(changes != NULL && changes->n_changes == 1 &&
                  changes->changes[0]->revision == revision && changes->revision == revision,
              "poll %u has another change", i);
        mxadm__v1__change_list_response__free_unpacked(changes, NULL);
        mxadm__v1__response__free_unpacked(response, NULL);
    }
}

/* Requests of one connection are received in order: what is behind the polls has an answer when all
 * of them wait. */
static void wait_until_all_wait(void)
{
    char answer[64];
    uint32_t id;

    for (int i = 0; i < CONNECTIONS; i++) {
        Mxadm__V1__Request envelope = MXADM__V1__REQUEST__INIT;
        static char health[] = "grpc.health.v1.Health/Check";
        uint8_t request[64];

        envelope.method = health;
        CHECK(raw_send(&pollers[i], POLLS, request, mxadm__v1__request__pack(&envelope, request)),
              "send");
        CHECK(raw_receive(&pollers[i], &id, answer, sizeof(answer)) > 0 && id == POLLS,
              "a poll was answered, or health was not");
    }
}

int main(void)
{
    mxadm_client *client;
    size_t before;
    size_t grown = 0;

    daemon_init(&served, settings);
    daemon_start(&served);
    client = admin_open(daemon_url(&served, 0), 0);
    (void) admin_done(admin_domain_add(client, "example.org", "alice", "alice", NULL));
    for (int i = 0; i < CONNECTIONS; i++) {
        pollers[i] = raw_open(daemon_url(&served, i % 2));
    }
    before = resident();
    for (int round = 0; round < 3; round++) {
        char account[32];
        char address[64];
        uint64_t revision = (uint64_t) round + 1;

        poll_for(revision);
        wait_until_all_wait();
        grown = grown == 0 ? resident() - before : grown;
        for (int i = 0; i < 200; i++) {
            mxadm_result_free(admin_address_lookup(client, "alice@example.org"));
        }
        (void) snprintf(account, sizeof(account), "a%d", round);
        (void) snprintf(address, sizeof(address), "a%d@example.org", round);
        CHECK(admin_done(admin_account_add(client, account, address, NULL)) == revision + 1,
              "another revision");
        read_answers(revision + 1);
    }
    (void) printf("%d waiting calls took %zu KiB, %zu bytes each\n", POLLS, grown / 1024,
                  grown / POLLS);
    CHECK(IS_SANITIZED || grown / POLLS <= BYTES_EACH_MAX, "%zu bytes for each", grown / POLLS);
    /* The daemon ends with all of them waiting, at once and in order. */
    poll_for(4);
    wait_until_all_wait();
    CHECK(daemon_stop(&served) == DAEMON_EXIT_OK, "the daemon did not end well");
    for (int i = 0; i < CONNECTIONS; i++) {
        raw_close(&pollers[i]);
    }
    mxadm_client_close(client);
    daemon_fini(&served);
    return 0;
}
