#include "rig.h"

#include "base/clock.h"
#include "fake_rpc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 10000

static void die(const char *what)
{
    (void) fprintf(stderr, "%s\n", what);
    abort();
}

void rig_init(struct rig *rig)
{
    static unsigned number;

    memset(rig, 0, sizeof(*rig));
    (void) snprintf(rig->directory, sizeof(rig->directory), "/tmp/mxadm-net-XXXXXX");
    if (mkdtemp(rig->directory) == NULL) {
        die("no directory");
    }
    (void) snprintf(rig->ipc_url, sizeof(rig->ipc_url), "ipc://%s/run/socket", rig->directory);
    (void) snprintf(rig->abstract_url, sizeof(rig->abstract_url), "abstract://mxadm-test-%ld-%u",
                    (long) getpid(), number++);
    rig->urls[RIG_IPC] = rig->ipc_url;
    rig->urls[RIG_TCP] = "tcp://127.0.0.1:0";
    rig->urls[RIG_ABSTRACT] = rig->abstract_url;
    rig->settings.urls = rig->urls;
    rig->settings.url_count = RIG_URLS;
    rig->settings.limits.message_bytes = 64 * 1024;
    rig->settings.limits.contexts = 16;
    rig->settings.limits.connections = 512;
    rig->settings.limits.one_processor = true;
    rig->settings.limits.send_timeout_ms = 60000;
    rig->settings.limits.idle_timeout_ms = 60000;
    rig->timing = (struct server_timing) SERVER_TIMING_INIT;
    rig->rpc = fake_rpc_create();
}

void rig_start(struct rig *rig)
{
    struct mx_error err;

    if (server_start(&rig->settings, &rig->timing, rig->rpc, &rig->server, &err) != MX_OK) {
        die(err.message);
    }
}

const char *rig_url(const struct rig *rig, int which)
{
    return server_url(rig->server, (size_t) which);
}

void rig_remove_directory(struct rig *rig)
{
    static const char *const names[] = { "run/socket.lock", "run/socket" };
    char path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void) snprintf(path, sizeof(path), "%s/%s", rig->directory, names[i]);
        (void) unlink(path);
    }
    (void) snprintf(path, sizeof(path), "%s/run", rig->directory);
    (void) rmdir(path);
    if (rmdir(rig->directory) != 0) {
        die("something is left in the directory");
    }
}

void rig_fini(struct rig *rig)
{
    if (rig->server != NULL && !server_stop(rig->server)) {
        die("the server does not stop");
    }
    (void) fake_rpc_release(rig->rpc);
    fake_rpc_destroy(rig->rpc);
    server_destroy(rig->server);
    rig_remove_directory(rig);
}

struct server_counts rig_counts(struct rig *rig)
{
    struct server_counts counts;

    server_count(rig->server, &counts);
    return counts;
}

static void pause_shortly(void)
{
    struct timespec pause = { 0, 5 * 1000 * 1000 };

    (void) nanosleep(&pause, NULL);
}

bool rig_wait_connections(struct rig *rig, unsigned count)
{
    int64_t deadline_ms = clock_mono_ms() + PATIENCE_MS;

    while (rig_counts(rig).connections != count && clock_mono_ms() < deadline_ms) {
        pause_shortly();
    }
    return rig_counts(rig).connections == count;
}

bool rig_wait_calls(struct rig *rig, unsigned count)
{
    int64_t deadline_ms = clock_mono_ms() + PATIENCE_MS;

    while (rig_counts(rig).calls != count && clock_mono_ms() < deadline_ms) {
        pause_shortly();
    }
    return rig_counts(rig).calls == count;
}

bool rig_wait_no_calls(struct rig *rig)
{
    return rig_wait_calls(rig, 0);
}

bool rig_wait_canaries(struct rig *rig, uint64_t count)
{
    int64_t deadline_ms = clock_mono_ms() + PATIENCE_MS;

    while (rig_counts(rig).canaries < count && clock_mono_ms() < deadline_ms) {
        pause_shortly();
    }
    return rig_counts(rig).canaries >= count;
}

unsigned open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    if (directory == NULL) {
        die("no /proc/self/fd");
    }
    while (readdir(directory) != NULL) {
        count++;
    }
    (void) closedir(directory);
    return count;
}

bool wait_descriptors(unsigned count)
{
    int64_t deadline_ms = clock_mono_ms() + PATIENCE_MS;

    while (open_descriptors() > count && clock_mono_ms() < deadline_ms) {
        pause_shortly();
    }
    return open_descriptors() <= count;
}
