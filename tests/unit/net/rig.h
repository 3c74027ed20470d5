/*
 * A server under test with its fake dispatcher, in a directory of its own, at
 * an ipc, a tcp and an abstract URL at once.
 */
#pragma once

#include "net/server.h"
#include "settings/settings.h"

#include <stdbool.h>

enum { RIG_IPC, RIG_TCP, RIG_ABSTRACT, RIG_URLS };

struct rig {
    char directory[64];
    char ipc_url[128];
    char abstract_url[128];
    const char *urls[RIG_URLS];
    struct settings settings; /* to be changed before rig_start() */
    struct server_timing timing;
    struct rpc *rpc;
    struct server *server;
};

/* Directory, settings and dispatcher. */
void rig_init(struct rig *rig);

/* Fails the test if the server does not start. */
void rig_start(struct rig *rig);

const char *rig_url(const struct rig *rig, int which);

/* Stops and destroys all, removes the directory; fails the test if the server does not stop. */
void rig_fini(struct rig *rig);

/* Alone, when the server could not be stopped. */
void rig_remove_directory(struct rig *rig);

struct server_counts rig_counts(struct rig *rig);

/* Poll until so many connections are left, so many calls or none are in work; false: not in time.
 */
bool rig_wait_connections(struct rig *rig, unsigned count);
bool rig_wait_calls(struct rig *rig, unsigned count);
bool rig_wait_no_calls(struct rig *rig);

/* Polls until the canary has come home so often; false: not in time. */
bool rig_wait_canaries(struct rig *rig, uint64_t count);

/* Descriptors this process has open. */
unsigned open_descriptors(void);

/* Polls until so many are left; false: not in time. */
bool wait_descriptors(unsigned count);
