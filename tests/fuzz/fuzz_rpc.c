/*
 * Requests from hostile bytes into the whole daemon without its transport: each
 * is answered once, with an answer that keeps the contract's promises (the
 * fixture holds it against them), and a refused one leaves no revision behind.
 *
 * Nobody may wait for a key, so that no input costs the time of making one; nor
 * may a read wait for a revision.
 */
#include "support/rpc_fixture.h"

#include <stdio.h>
#include <stdlib.h>

/* Calls between two starts on the same data. */
#define CALLS_A_START 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fixture *fixture;

static void finish(void)
{
    fixture_destroy(fixture);
}

static void start(void)
{
    static const struct fixture_options options = {
        .keys = "  waiters_max: 0\n"
                "  rsa2048: { low: 2, high: 2 }\n"
                "  ed25519: { low: 4, high: 8 }\n",
        .limits = "  waiting_calls: 0\n",
    };

    const struct reply *reply;

    fixture = fixture_create(&options);
    (void) atexit(finish);
    do { /* until there are keys for it */
        fixture_forget(fixture);
        reply = ask(fixture, &root, "DomainAdd", "domain", "example.org", "account", "alice",
                    "localpart", "alice", NULL);
    } while (reply->code == MX_RESOURCE_EXHAUSTED);
    OK(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned calls;
    const struct reply *reply;
    uint64_t revision;

    if (fixture == NULL) {
        start();
    }
    revision = fixture_revision(fixture);
    reply = ask_bytes(fixture, &root, NULL, data, size);
    if (fixture_revision(fixture) != revision + (reply->revision > revision) ||
        (reply->code != MX_OK && fixture_revision(fixture) != revision)) {
        (void) fprintf(stderr, "a %s call left revision %llu, answered %llu\n",
                       mx_code_name(reply->code), (unsigned long long) fixture_revision(fixture),
                       (unsigned long long) reply->revision);
        abort();
    }
    fixture_forget(fixture);
    if (++calls % CALLS_A_START == 0) {
        fixture_restart(fixture);
    }
    return 0;
}
