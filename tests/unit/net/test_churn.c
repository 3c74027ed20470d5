/*
 * Clients that are killed with requests in flight leave nothing behind: their
 * connections and descriptors go, and new clients are served. With a stock nng
 * 1.5.2 they do leave something (cmake -DMXADM_NNG_CURES=OFF shows it; see
 * service/net/nng_cures.c).
 *
 * The clients are this program itself, run with the argument --client.
 */
#include "net/server.h"
#include "raw.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS   200
#define AT_ONCE   20 /* alive together */
#define IN_FLIGHT 16

extern char **environ;

/* This program. */
static char program[4096];

/* --- The client ------------------------------------------------------------------------------ */

static bool call(struct raw *raw, uint32_t id)
{
    static const char prompt[512] = "echo";
    static const char late[512] = "late";

    return raw_send(raw, id, id % 2 == 0 ? prompt : late, sizeof(prompt));
}

/* Whether the server still keeps the connection: on a machine that has no time for this process it
 * looks like one that does not read. */
static bool call_until(struct raw *raw, long answers)
{
    char body[512];
    uint32_t id;

    for (id = 0; id < IN_FLIGHT; id++) {
        if (!call(raw, id)) {
            return false;
        }
    }
    for (long got = 0; got < answers; got++) {
        if (raw_receive(raw, &id, body, sizeof(body)) < 0 || !call(raw, id)) {
            return false;
        }
    }
    return true;
}

/* Keeps IN_FLIGHT requests in flight for ever; after so many answers it says that it is ready to
 * be killed. */
static int run_client(const char *url, long answers)
{
    struct raw raw = raw_open(url);
    char body[512];
    uint32_t id;
    bool is_kept;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    is_kept = call_until(&raw, answers);
    if (write(STDOUT_FILENO, "r", 1) != 1) {
        return 1;
    }
    while (is_kept) {
        is_kept = raw_receive(&raw, &id, body, sizeof(body)) >= 0 && call(&raw, id);
    }
    for (;;) {
        (void) pause();
    }
}

/* --- The test -------------------------------------------------------------------------------- */

struct client {
    pid_t pid;
    int ready;
};

static struct client spawn_client(const char *url, int number)
{
    char answers[16];
    char mode[] = "--client";
    char *arguments[] = { program, mode, (char *) (uintptr_t) url, answers, NULL };
    posix_spawn_file_actions_t actions;
    struct client client;
    int ends[2];

    /* Each dies at another moment of its work. */
    (void) snprintf(answers, sizeof(answers), "%d", number * 7 % 50);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO), 0);
    assert_int_equal(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    assert_int_equal(posix_spawn(&client.pid, program, &actions, NULL, arguments, environ), 0);
    (void) posix_spawn_file_actions_destroy(&actions);
    (void) close(ends[1]);
    client.ready = ends[0];
    return client;
}

static void kill_when_ready(struct client *client)
{
    char byte;
    int status;

    assert_int_equal(read(client->ready, &byte, 1), 1);
    (void) close(client->ready);
    assert_int_equal(kill(client->pid, SIGKILL), 0);
    assert_int_equal(waitpid(client->pid, &status, 0), client->pid);
    assert_true(WIFSIGNALED(status));
}

static void serve_a_new_client(const char *url)
{
    struct raw client = raw_open(url);

    assert_true(raw_echoes(&client, "echo"));
    raw_close(&client);
}

static void churn(int url)
{
    struct client clients[AT_ONCE];
    struct rig rig;

    rig_init(&rig);
    rig.settings.limits.contexts = 64;
    rig_start(&rig);
    serve_a_new_client(rig_url(&rig, url));
    assert_true(rig_wait_connections(&rig, 0));
    unsigned descriptors = open_descriptors();

    for (int round = 0; round < CLIENTS / AT_ONCE; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            clients[i] = spawn_client(rig_url(&rig, url), round * AT_ONCE + i);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            kill_when_ready(&clients[i]);
        }
    }
    if (!rig_wait_connections(&rig, 0)) {
        fail_msg("%u of %d connections are left", rig_counts(&rig).connections, CLIENTS);
    }
    if (!wait_descriptors(descriptors)) {
        fail_msg("%u descriptors are open, %u were", open_descriptors(), descriptors);
    }
    assert_true(rig_wait_no_calls(&rig));
    for (int i = 0; i < RIG_URLS; i++) {
        serve_a_new_client(rig_url(&rig, i));
    }
    rig_fini(&rig);
}

static void clients_killed_over_ipc_leave_nothing_behind(void **state)
{
    (void) state;
    churn(RIG_IPC);
}

static void clients_killed_over_tcp_leave_nothing_behind(void **state)
{
    (void) state;
    churn(RIG_TCP);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_killed_over_ipc_leave_nothing_behind),
        cmocka_unit_test(clients_killed_over_tcp_leave_nothing_behind),
    };

    if (argc == 4 && strcmp(argv[1], "--client") == 0) {
        return run_client(argv[2], strtol(argv[3], NULL, 10));
    }
    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
