#include "fake_rpc.h"
#include "net/server.h"
#include "raw.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Whether it is a thread of nng; then on how many processors it may run. */
static bool nng_thread(const char *tid, int *processors_out)
{
    char path[300];
    char name[32] = "";
    cpu_set_t set;
    FILE *file;

    (void) snprintf(path, sizeof(path), "/proc/self/task/%s/comm", tid);
    file = fopen(path, "re");
    if (file != NULL) {
        (void) !fgets(name, sizeof(name), file);
        (void) fclose(file);
    }
    if (strncmp(name, "nng:", 4) != 0) {
        return false;
    }
    assert_int_equal(sched_getaffinity(atoi(tid), sizeof(set), &set), 0);
    *processors_out = CPU_COUNT(&set);
    return true;
}

/* First of all tests: the first server is who starts nng. */
static void the_threads_of_nng_keep_to_one_processor_and_no_others_do(void **state)
{
    unsigned threads = 0;
    struct dirent *entry;
    cpu_set_t before;
    cpu_set_t after;
    struct rig rig;
    int processors;
    DIR *directory;

    (void) state;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    rig_init(&rig);
    rig_start(&rig);
    directory = opendir("/proc/self/task");
    assert_non_null(directory);
    while ((entry = readdir(directory)) != NULL) {
        if (nng_thread(entry->d_name, &processors)) {
            assert_int_equal(processors, 1);
            threads++;
        }
    }
    (void) closedir(directory);
    assert_true(threads > 0);
    assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
    rig_fini(&rig);
}

static void calls_are_served_at_all_urls_at_once(void **state)
{
    struct raw clients[RIG_URLS];
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig_start(&rig);
    for (int i = 0; i < RIG_URLS; i++) {
        clients[i] = raw_open(rig_url(&rig, i));
    }
    for (int i = 0; i < RIG_URLS; i++) {
        assert_true(raw_echoes(&clients[i], "echo"));
    }
    assert_int_equal(rig_counts(&rig).connections, RIG_URLS);
    for (int i = 0; i < RIG_URLS; i++) {
        raw_close(&clients[i]);
    }
    assert_true(rig_wait_connections(&rig, 0));
    rig_fini(&rig);
}

static struct rpc_peer ask_who_i_am(const char *url)
{
    struct raw client = raw_open(url);
    struct rpc_peer peer;
    uint32_t id;

    assert_true(raw_send(&client, 1, "w", 1));
    assert_int_equal(raw_receive(&client, &id, &peer, sizeof(peer)), sizeof(peer));
    raw_close(&client);
    return peer;
}

static void the_dispatcher_learns_who_calls(void **state)
{
    struct rpc_peer peer;
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig_start(&rig);
    peer = ask_who_i_am(rig_url(&rig, RIG_IPC));
    assert_int_equal(peer.kind, RPC_PEER_UNIX);
    assert_int_equal(peer.uid, geteuid());
    assert_int_equal(peer.gid, getegid());
    assert_int_equal(peer.pid, getpid());
    for (int i = RIG_TCP; i <= RIG_ABSTRACT; i++) {
        peer = ask_who_i_am(rig_url(&rig, i));
        assert_int_equal(peer.kind, RPC_PEER_LOOPBACK);
        assert_int_equal(peer.uid, (uid_t) -1);
    }
    rig_fini(&rig);
}

static void answers_may_come_late_from_another_thread(void **state)
{
    enum { CALLS = 200 };
    bool answered[CALLS] = { false };
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig_start(&rig);
    struct raw client = raw_open(rig_url(&rig, RIG_IPC));

    for (uint32_t i = 0; i < CALLS; i++) {
        assert_true(raw_send(&client, i, i % 2 == 0 ? "late" : "echo", 4));
    }
    for (int i = 0; i < CALLS; i++) {
        char text[8] = "";
        uint32_t id = CALLS;

        assert_int_equal(raw_receive(&client, &id, text, sizeof(text) - 1), 4);
        assert_in_range(id, 0, CALLS - 1);
        assert_false(answered[id]);
        answered[id] = true;
        assert_string_equal(text, id % 2 == 0 ? "late" : "echo");
    }
    raw_close(&client);
    rig_fini(&rig);
}

/* Opens a second client, lets `offend` loose on a first one: only the first is closed. */
static void only_the_offender_is_closed(int url, void (*offend)(struct rig *, struct raw *))
{
    struct rig rig;

    rig_init(&rig);
    rig_start(&rig);
    struct raw bystander = raw_open(rig_url(&rig, url));
    struct raw offender = raw_open(rig_url(&rig, url));

    assert_true(raw_echoes(&offender, "echo"));
    offend(&rig, &offender);
    assert_true(raw_is_closed(&offender));
    assert_true(raw_echoes(&bystander, "echo"));
    assert_true(rig_wait_connections(&rig, 1));
    raw_close(&offender);
    raw_close(&bystander);
    rig_fini(&rig);
}

static void send_too_much(struct rig *rig, struct raw *client)
{
    size_t limit = rig->settings.limits.message_bytes;
    uint8_t *message = calloc(1, limit + 1);
    uint32_t id;

    assert_non_null(message);
    message[0] = 'e';
    assert_true(raw_send(client, 1, message, limit));
    assert_int_equal(raw_receive(client, &id, message, limit + 1), limit);
    /* The server may hang up while we still send. */
    (void) raw_send(client, 2, message, limit + 1);
    free(message);
}

static void a_message_above_the_limit_closes_its_connection_only(void **state)
{
    (void) state;
    for (int i = 0; i < RIG_URLS; i++) {
        only_the_offender_is_closed(i, send_too_much);
    }
}

static void announce_too_much(struct rig *rig, struct raw *client)
{
    assert_true(raw_announce(client, 1, rig->settings.limits.message_bytes + 1));
}

static void a_message_above_the_limit_is_not_even_read(void **state)
{
    (void) state;
    for (int i = 0; i < RIG_URLS; i++) {
        only_the_offender_is_closed(i, announce_too_much);
    }
}

/* 0, or why there is no answer of the same length. */
static int call_by_nng(nng_socket client, size_t len)
{
    nng_msg *message;
    int result;

    assert_int_equal(nng_msg_alloc(&message, len), 0);
    memset(nng_msg_body(message), 'e', len);
    assert_int_equal(nng_sendmsg(client, message, 0), 0);
    if ((result = nng_recvmsg(client, &message, 0)) == 0) {
        assert_int_equal(nng_msg_len(message), len);
        nng_msg_free(message);
    }
    return result;
}

static void the_limit_holds_within_the_process_too(void **state)
{
    nng_socket client;
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.urls[0] = "inproc://mxadm-test";
    rig.settings.url_count = 1;
    rig_start(&rig);
    assert_int_equal(nng_req0_open(&client), 0);
    /* No second try: a lost connection is an error. */
    assert_int_equal(nng_socket_set_ms(client, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE), 0);
    assert_int_equal(nng_dial(client, rig.urls[0], NULL, 0), 0);
    assert_int_equal(call_by_nng(client, rig.settings.limits.message_bytes), 0);
    assert_int_equal(call_by_nng(client, rig.settings.limits.message_bytes + 1), NNG_ECONNRESET);
    assert_int_equal(nng_close(client), 0);
    rig_fini(&rig);
}

static void send_garbage(struct rig *rig, struct raw *client)
{
    static const uint8_t garbage[64] = { 0xff, 0xfe, 0x80, 'S', 'P' };

    (void) rig;
    (void) send(client->fd, garbage, sizeof(garbage), MSG_NOSIGNAL);
}

static void garbage_closes_its_connection_only(void **state)
{
    (void) state;
    for (int i = 0; i < RIG_URLS; i++) {
        only_the_offender_is_closed(i, send_garbage);
    }
}

static void ask_for_no_memory(struct rig *rig, struct raw *client)
{
    (void) rig;
    assert_true(raw_send(client, 1, "x", 1));
}

static void an_answer_that_found_no_memory_closes_its_connection_only(void **state)
{
    (void) state;
    only_the_offender_is_closed(RIG_IPC, ask_for_no_memory);
}

static void a_client_that_never_reads_is_dropped_and_its_workers_are_free_again(void **state)
{
    (void) state;
    for (int url = 0; url < RIG_URLS; url++) {
        struct rig rig;

        rig_init(&rig);
        rig.settings.limits.contexts = 4;
        rig.settings.limits.send_timeout_ms = 100;
        rig_start(&rig);
        struct raw greedy = raw_open(rig_url(&rig, url));
        struct raw patient = raw_open(rig_url(&rig, url));

        for (uint32_t i = 0; i < 64; i++) {
            (void) raw_send(&greedy, i, "big", 3);
        }
        /* With all workers pinned, this waits until the greedy one is dropped. */
        assert_true(raw_echoes(&patient, "echo"));
        assert_true(rig_wait_connections(&rig, 1));
        assert_true(rig_wait_no_calls(&rig));
        assert_true(raw_echoes(&patient, "echo"));
        raw_close(&greedy);
        raw_close(&patient);
        rig_fini(&rig);
    }
}

/* The rig's send timeout is a minute, and a raw client waits ten seconds at most. */
static void while_most_workers_are_taken_no_answer_waits_for_long(void **state)
{
    (void) state;
    for (int url = 0; url < RIG_URLS; url++) {
        struct rig rig;

        rig_init(&rig);
        rig.settings.limits.contexts = 4;
        rig_start(&rig);
        struct raw greedy = raw_open(rig_url(&rig, url));
        struct raw patient = raw_open(rig_url(&rig, url));

        for (uint32_t i = 0; i < 64; i++) {
            (void) raw_send(&greedy, i, "big", 3);
        }
        assert_true(raw_echoes(&patient, "echo"));
        assert_true(rig_wait_connections(&rig, 1));
        assert_true(raw_echoes(&patient, "echo"));
        raw_close(&greedy);
        raw_close(&patient);
        rig_fini(&rig);
    }
}

static void connections_above_the_limit_are_refused(void **state)
{
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.settings.limits.connections = 2;
    rig_start(&rig);
    struct raw first = raw_open(rig_url(&rig, RIG_IPC));
    struct raw second = raw_open(rig_url(&rig, RIG_TCP));

    assert_true(raw_echoes(&first, "echo") && raw_echoes(&second, "echo"));
    struct raw third = raw_open(rig_url(&rig, RIG_IPC));

    assert_true(raw_is_closed(&third));
    raw_close(&third);
    assert_int_equal(rig_counts(&rig).connections, 2);

    raw_close(&second);
    assert_true(rig_wait_connections(&rig, 1));
    third = raw_open(rig_url(&rig, RIG_IPC));
    assert_true(raw_echoes(&first, "echo") && raw_echoes(&third, "echo"));
    raw_close(&first);
    raw_close(&third);
    rig_fini(&rig);
}

static void silent_connections_keep_nobody_out(void **state)
{
    enum { LIMIT = 4, SILENT = 40 };
    struct raw silent[SILENT];
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.settings.limits.connections = LIMIT;
    rig_start(&rig);
    struct raw busy = raw_open(rig_url(&rig, RIG_IPC));
    struct raw caller = raw_open(rig_url(&rig, RIG_TCP));

    assert_true(raw_send(&busy, 7, "hold", 4));
    assert_true(fake_rpc_wait_held(rig.rpc, 1));
    assert_true(raw_echoes(&caller, "echo"));
    for (int i = 0; i < SILENT; i++) {
        silent[i] = raw_open(rig_url(&rig, i % RIG_URLS));
    }
    struct raw late = raw_open(rig_url(&rig, RIG_ABSTRACT));

    assert_true(raw_echoes(&late, "echo") && raw_echoes(&caller, "echo"));
    /* Those that were silent longest have gone. */
    for (int i = 0; i < SILENT - LIMIT; i++) {
        assert_true(raw_is_closed(&silent[i]));
    }
    assert_int_equal(rig_counts(&rig).connections, LIMIT);
    assert_int_equal(fake_rpc_release(rig.rpc), 1);
    for (int i = 0; i < SILENT; i++) {
        raw_close(&silent[i]);
    }
    raw_close(&busy);
    raw_close(&caller);
    raw_close(&late);
    assert_true(rig_wait_connections(&rig, 0));
    rig_fini(&rig);
}

static void an_idle_connection_is_closed_but_not_one_with_a_call_in_work(void **state)
{
    struct rig rig;
    char text[8] = "";
    uint32_t id;

    (void) state;
    rig_init(&rig);
    rig.settings.limits.idle_timeout_ms = 100;
    rig_start(&rig);
    struct raw busy = raw_open(rig_url(&rig, RIG_IPC));

    assert_true(raw_send(&busy, 7, "hold", 4));
    assert_true(fake_rpc_wait_held(rig.rpc, 1));
    for (int i = 0; i < RIG_URLS; i++) {
        struct raw idle = raw_open(rig_url(&rig, i));

        assert_true(raw_is_closed(&idle));
        raw_close(&idle);
    }
    assert_int_equal(fake_rpc_release(rig.rpc), 1);
    assert_int_equal(raw_receive(&busy, &id, text, sizeof(text) - 1), 4);
    assert_string_equal(text, "hold");
    assert_true(raw_is_closed(&busy));
    raw_close(&busy);
    rig_fini(&rig);
}

static void a_call_that_waits_for_a_worker_is_no_idleness(void **state)
{
    char text[8] = "";
    uint32_t id;
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.settings.limits.contexts = 1;
    rig.settings.limits.idle_timeout_ms = 100;
    rig.timing.canary_interval_ms = 50;
    rig_start(&rig);
    struct raw busy = raw_open(rig_url(&rig, RIG_IPC));
    struct raw waiting = raw_open(rig_url(&rig, RIG_IPC));

    assert_true(raw_send(&busy, 1, "hold", 4));
    assert_true(fake_rpc_wait_held(rig.rpc, 1));
    assert_true(raw_send(&waiting, 2, "echo", 4));
    /* Several idle times, by the watch's own clock. */
    assert_true(rig_wait_canaries(&rig, 8));
    assert_int_equal(fake_rpc_release(rig.rpc), 1);
    assert_int_equal(raw_receive(&waiting, &id, text, sizeof(text) - 1), 4);
    assert_string_equal(text, "echo");
    raw_close(&waiting);
    raw_close(&busy);
    rig_fini(&rig);
}

/* A call that waits leaves its worker's place to another: 2 serve, whatever waits. */
static void calls_that_wait_keep_no_worker_from_the_others(void **state)
{
    enum { WAITING = 500 };
    struct rig rig;
    char text[8] = "";
    uint32_t id;

    (void) state;
    rig_init(&rig);
    rig.settings.limits.contexts = 2;
    rig.settings.limits.waiting_calls = WAITING;
    rig_start(&rig);
    struct raw patient = raw_open(rig_url(&rig, RIG_IPC));
    struct raw other = raw_open(rig_url(&rig, RIG_TCP));

    /* More than once: those that have rested serve again. */
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < WAITING; i++) {
            assert_true(raw_send(&patient, i, "park", 4));
        }
        assert_true(fake_rpc_wait_held(rig.rpc, WAITING));
        assert_true(raw_echoes(&other, "echo") && raw_echoes(&other, "later"));
        assert_true(raw_send(&other, 1, "park", 4));
        assert_int_equal(raw_receive(&other, &id, text, sizeof(text) - 1), 4);
        assert_string_equal(text, "full");
        assert_true(raw_echoes(&other, "echo"));
        assert_int_equal(fake_rpc_release(rig.rpc), WAITING);
        for (uint32_t i = 0; i < WAITING; i++) {
            assert_int_equal(raw_receive(&patient, &id, text, sizeof(text) - 1), 4);
            assert_string_equal(text, "park");
        }
        assert_true(rig_wait_no_calls(&rig));
    }
    assert_true(raw_echoes(&patient, "echo"));
    raw_close(&patient);
    raw_close(&other);
    rig_fini(&rig);
}

static void a_client_that_hangs_up_gives_the_places_of_its_waiting_calls_back(void **state)
{
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.settings.limits.contexts = 2;
    rig.settings.limits.waiting_calls = 20;
    rig_start(&rig);
    struct raw stays = raw_open(rig_url(&rig, RIG_IPC));

    assert_true(raw_send(&stays, 1, "park", 4));
    for (int url = 0; url < RIG_URLS; url++) {
        struct raw leaves = raw_open(rig_url(&rig, url));

        for (uint32_t i = 0; i < 19; i++) {
            assert_true(raw_send(&leaves, i, "park", 4));
        }
        assert_true(fake_rpc_wait_held(rig.rpc, 20));
        raw_close(&leaves);
        assert_true(rig_wait_connections(&rig, 1));
        assert_true(rig_wait_calls(&rig, 1));
    }
    assert_int_equal(fake_rpc_release(rig.rpc), 1);
    raw_close(&stays);
    rig_fini(&rig);
}

static void stopping_does_not_wait_for_calls_that_wait(void **state)
{
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.settings.limits.waiting_calls = 100;
    rig_start(&rig);
    struct raw client = raw_open(rig_url(&rig, RIG_TCP));

    for (uint32_t i = 0; i < 100; i++) {
        assert_true(raw_send(&client, i, "park", 4));
    }
    assert_true(fake_rpc_wait_held(rig.rpc, 100));
    assert_true(server_stop(rig.server));
    assert_true(raw_is_closed(&client));
    raw_close(&client);
    assert_int_equal(fake_rpc_release(rig.rpc), 100);
    assert_int_equal(rig_counts(&rig).calls, 0);
    server_destroy(rig.server);
    rig.server = NULL;
    rig_fini(&rig);
}

static void clients_gone_before_the_hello_do_not_deafen_the_listener(void **state)
{
    enum { CONNECTS = 5000 };
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig_start(&rig);
    unsigned descriptors = open_descriptors();

    for (int i = 0; i < CONNECTS; i++) {
        /* The defect is ipc's. A queue of 128 connections, then a second's wait, is tcp's own. */
        int url = i % 50 == 0 ? RIG_TCP : i % 5 == 0 ? RIG_ABSTRACT : RIG_IPC;
        struct raw hasty;

        assert_true(raw_connect(&hasty, rig_url(&rig, url)));
        raw_close(&hasty);
    }
    for (int i = 0; i < RIG_URLS; i++) {
        struct raw client = raw_open(rig_url(&rig, i));

        assert_true(raw_echoes(&client, "echo"));
        raw_close(&client);
    }
    assert_true(rig_wait_connections(&rig, 0));
    assert_true(wait_descriptors(descriptors));
    rig_fini(&rig);
}

static void a_second_server_on_the_same_path_is_refused(void **state)
{
    struct server *second = NULL;
    struct mx_error err;
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.settings.url_count = 1;
    rig_start(&rig);
    assert_int_equal(server_start(&rig.settings, NULL, rig.rpc, &second, &err),
                     MX_FAILED_PRECONDITION);
    assert_null(second);
    assert_non_null(strstr(err.message, "in use by process"));

    struct raw client = raw_open(rig_url(&rig, RIG_IPC));

    assert_true(raw_echoes(&client, "echo"));
    raw_close(&client);
    rig_fini(&rig);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void) strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    (void) close(fd);
}

/* Path of the rig's socket; its directory is made. */
static const char *socket_path(struct rig *rig, mode_t directory_mode)
{
    char directory[96];

    (void) snprintf(directory, sizeof(directory), "%s/run", rig->directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(chmod(directory, directory_mode), 0);
    return rig->ipc_url + strlen("ipc://");
}

static void the_socket_of_a_dead_daemon_is_replaced(void **state)
{
    struct rig rig;

    (void) state;
    rig_init(&rig);
    make_socket(socket_path(&rig, 0700));
    rig_start(&rig);
    struct raw client = raw_open(rig_url(&rig, RIG_IPC));

    assert_true(raw_echoes(&client, "echo"));
    raw_close(&client);
    rig_fini(&rig);
}

static mode_t mode_of(const char *path)
{
    struct stat found;

    assert_int_equal(stat(path, &found), 0);
    return found.st_mode & 07777;
}

static void the_socket_is_its_owners_alone_unless_others_may_call(void **state)
{
    struct settings_principal other = { .uid = geteuid() + 1 };
    struct rig rig;
    char directory[96];

    (void) state;
    rig_init(&rig);
    rig_start(&rig);
    (void) snprintf(directory, sizeof(directory), "%s/run", rig.directory);
    assert_int_equal(mode_of(directory), 0700);
    assert_int_equal(mode_of(rig.ipc_url + strlen("ipc://")), 0600);
    rig_fini(&rig);

    rig_init(&rig);
    rig.settings.access.principals = &other;
    rig.settings.access.principal_count = 1;
    rig_start(&rig);
    assert_int_equal(mode_of(rig.ipc_url + strlen("ipc://")), 0666);
    rig_fini(&rig);
}

static void refuse_to_start(struct rig *rig, enum mx_code code, const char *words)
{
    struct mx_error err;

    assert_int_equal(server_start(&rig->settings, NULL, rig->rpc, &rig->server, &err), code);
    assert_null(rig->server);
    if (strstr(err.message, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, err.message);
    }
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct rig rig;

    (void) state;
    rig_init(&rig);
    const char *path = socket_path(&rig, 0700);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    (void) fclose(file);
    refuse_to_start(&rig, MX_FAILED_PRECONDITION, "is not a socket");
    assert_int_equal(access(path, F_OK), 0);
    rig_fini(&rig);
}

static void a_directory_that_others_may_write_is_refused(void **state)
{
    static const mode_t modes[] = { 0777, 01777, 0770, 0720, 0702 };

    (void) state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct rig rig;

        rig_init(&rig);
        (void) socket_path(&rig, modes[i]);
        refuse_to_start(&rig, MX_FAILED_PRECONDITION, "writable for others");
        rig_fini(&rig);
    }
}

static void an_address_that_cannot_be_used_is_named(void **state)
{
    static const struct {
        const char *url;
        enum mx_code code;
        const char *words;
    } cases[] = {
        { "http://127.0.0.1:1", MX_INVALID_ARGUMENT, "http://127.0.0.1:1" },
        { "ipc://", MX_INVALID_ARGUMENT, "'ipc://'" },
        { "", MX_INVALID_ARGUMENT, "''" },
        { "ipc://socket", MX_INVALID_ARGUMENT, "no absolute path" },
        { "ipc:///0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/"
          "0123456789/0123456789/0123456789",
          MX_INVALID_ARGUMENT, "107 bytes" },
        { "ipc:///nowhere/at/all", MX_FAILED_PRECONDITION, "/nowhere/at" },
        { "tcp://0.0.0.0:0", MX_FAILED_PRECONDITION, "not on loopback" },
        { "tcp://127.0.0.1:1:1", MX_INVALID_ARGUMENT, "tcp://127.0.0.1:1:1" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;

        rig_init(&rig);
        rig.urls[0] = cases[i].url;
        rig.settings.url_count = 1;
        refuse_to_start(&rig, cases[i].code, cases[i].words);
        rig_fini(&rig);
    }
}

static void tcp_beyond_loopback_is_served_when_the_settings_allow_it(void **state)
{
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.urls[RIG_TCP] = "tcp://0.0.0.0:0";
    rig.settings.allow_remote_tcp = true;
    rig_start(&rig);
    assert_int_equal(ask_who_i_am(rig_url(&rig, RIG_TCP)).kind, RPC_PEER_LOOPBACK);
    rig_fini(&rig);
}

static void the_limit_of_open_files_is_raised_to_what_connections_need(void **state)
{
    struct rlimit before;
    struct rlimit low;
    struct rlimit after;
    struct rig rig;

    (void) state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    rig_init(&rig);
    rig_start(&rig);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_true(after.rlim_cur > rig.settings.limits.connections);
    rig_fini(&rig);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max < UINT32_MAX) {
        rig_init(&rig);
        rig.settings.limits.connections = UINT32_MAX;
        refuse_to_start(&rig, MX_FAILED_PRECONDITION, "limits.connections");
        rig_fini(&rig);
    }
}

static void stopping_does_not_wait_for_calls_in_work(void **state)
{
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig_start(&rig);
    struct raw client = raw_open(rig_url(&rig, RIG_TCP));

    for (uint32_t i = 0; i < 8; i++) {
        assert_true(raw_send(&client, i, "hold", 4));
    }
    assert_true(fake_rpc_wait_held(rig.rpc, 8));
    assert_true(server_stop(rig.server));
    assert_true(raw_is_closed(&client));
    raw_close(&client);
    /* The dispatcher answers what it has; nobody hears it, and nothing is lost. */
    assert_int_equal(fake_rpc_release(rig.rpc), 8);
    assert_int_equal(rig_counts(&rig).calls, 0);
    server_destroy(rig.server);
    rig.server = NULL;
    rig_fini(&rig);
}

static void *drain(void *arg)
{
    return server_drain(arg, RAW_PATIENCE_MS) ? arg : NULL;
}

static void draining_waits_for_the_calls_that_came_before(void **state)
{
    char text[8] = "";
    void *drained;
    uint32_t id;
    pthread_t thread;
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig_start(&rig);
    struct raw client = raw_open(rig_url(&rig, RIG_IPC));

    assert_true(raw_send(&client, 1, "hold", 4));
    assert_true(fake_rpc_wait_held(rig.rpc, 1));
    assert_false(server_drain(rig.server, 0));
    /* One that comes after it is still handed on, and is not waited for. */
    assert_true(raw_echoes(&client, "echo"));
    assert_int_equal(pthread_create(&thread, NULL, drain, rig.server), 0);
    assert_int_equal(fake_rpc_release(rig.rpc), 1);
    assert_int_equal(raw_receive(&client, &id, text, sizeof(text) - 1), 4);
    assert_int_equal(pthread_join(thread, &drained), 0);
    assert_non_null(drained);

    assert_true(raw_send(&client, 2, "hold", 4));
    assert_true(fake_rpc_wait_held(rig.rpc, 1));
    assert_true(server_drain(rig.server, 0));
    raw_close(&client);
    rig_fini(&rig);
}

/* --- A reaper that hangs: all pipes of a process are taken apart by one thread of nng. ------- */

struct blocker {
    nng_socket socket;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_blocking;
    bool may_go;
};

static void block_the_reaper(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct blocker *blocker = arg;

    (void) pipe;
    (void) event;
    (void) pthread_mutex_lock(&blocker->lock);
    blocker->is_blocking = true;
    (void) pthread_cond_broadcast(&blocker->changed);
    while (!blocker->may_go) {
        (void) pthread_cond_wait(&blocker->changed, &blocker->lock);
    }
    (void) pthread_mutex_unlock(&blocker->lock);
}

static void wedge(struct blocker *blocker)
{
    char url[96];

    (void) snprintf(url, sizeof(url), "abstract://mxadm-test-blocker-%ld", (long) getpid());
    *blocker =
        (struct blocker){ .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    assert_int_equal(nng_rep0_open(&blocker->socket), 0);
    assert_int_equal(
        nng_pipe_notify(blocker->socket, NNG_PIPE_EV_REM_POST, block_the_reaper, blocker), 0);
    assert_int_equal(nng_listen(blocker->socket, url, NULL, 0), 0);
    struct raw client = raw_open(url);

    raw_close(&client);
    (void) pthread_mutex_lock(&blocker->lock);
    while (!blocker->is_blocking) {
        (void) pthread_cond_wait(&blocker->changed, &blocker->lock);
    }
    (void) pthread_mutex_unlock(&blocker->lock);
}

static void unwedge(struct blocker *blocker)
{
    (void) pthread_mutex_lock(&blocker->lock);
    blocker->may_go = true;
    (void) pthread_cond_broadcast(&blocker->changed);
    (void) pthread_mutex_unlock(&blocker->lock);
    assert_int_equal(nng_close(blocker->socket), 0);
}

static void the_canary_notices_that_connections_are_not_removed_any_more(void **state)
{
    struct blocker blocker;
    struct rig rig;

    (void) state;
    rig_init(&rig);
    rig.timing.canary_interval_ms = 10;
    rig.timing.canary_patience_ms = 2000;
    rig_start(&rig);
    for (int i = 0; i < 20; i++) {
        struct raw client = raw_open(rig_url(&rig, RIG_IPC));

        assert_true(raw_echoes(&client, "echo"));
        raw_close(&client);
    }
    assert_true(rig_wait_canaries(&rig, 5));
    assert_true(rig_wait_connections(&rig, 0));
    assert_false(fake_rpc_wait_failed(rig.rpc, 0));
    wedge(&blocker);
    assert_true(fake_rpc_wait_failed(rig.rpc, RAW_PATIENCE_MS));
    unwedge(&blocker);
    rig_fini(&rig);
}

static void stopping_does_not_wait_for_ever_for_nng(void **state)
{
    static struct rig rig; /* what cannot be freed stays reachable */
    struct blocker blocker;

    (void) state;
    rig_init(&rig);
    rig.timing.stop_patience_ms = 100;
    rig_start(&rig);
    struct raw client = raw_open(rig_url(&rig, RIG_IPC));

    assert_true(raw_echoes(&client, "echo"));
    wedge(&blocker);
    assert_false(server_stop(rig.server));
    server_destroy(rig.server);
    raw_close(&client);
    unwedge(&blocker);
    rig_remove_directory(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_threads_of_nng_keep_to_one_processor_and_no_others_do),
        cmocka_unit_test(calls_are_served_at_all_urls_at_once),
        cmocka_unit_test(the_dispatcher_learns_who_calls),
        cmocka_unit_test(answers_may_come_late_from_another_thread),
        cmocka_unit_test(a_message_above_the_limit_closes_its_connection_only),
        cmocka_unit_test(a_message_above_the_limit_is_not_even_read),
        cmocka_unit_test(the_limit_holds_within_the_process_too),
        cmocka_unit_test(garbage_closes_its_connection_only),
        cmocka_unit_test(an_answer_that_found_no_memory_closes_its_connection_only),
        cmocka_unit_test(a_client_that_never_reads_is_dropped_and_its_workers_are_free_again),
        cmocka_unit_test(while_most_workers_are_taken_no_answer_waits_for_long),
        cmocka_unit_test(connections_above_the_limit_are_refused),
        cmocka_unit_test(silent_connections_keep_nobody_out),
        cmocka_unit_test(an_idle_connection_is_closed_but_not_one_with_a_call_in_work),
        cmocka_unit_test(a_call_that_waits_for_a_worker_is_no_idleness),
        cmocka_unit_test(clients_gone_before_the_hello_do_not_deafen_the_listener),
        cmocka_unit_test(a_second_server_on_the_same_path_is_refused),
        cmocka_unit_test(the_socket_of_a_dead_daemon_is_replaced),
        cmocka_unit_test(the_socket_is_its_owners_alone_unless_others_may_call),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(a_directory_that_others_may_write_is_refused),
        cmocka_unit_test(an_address_that_cannot_be_used_is_named),
        cmocka_unit_test(tcp_beyond_loopback_is_served_when_the_settings_allow_it),
        cmocka_unit_test(the_limit_of_open_files_is_raised_to_what_connections_need),
        cmocka_unit_test(stopping_does_not_wait_for_calls_in_work),
        cmocka_unit_test(stopping_does_not_wait_for_calls_that_wait),
        cmocka_unit_test(calls_that_wait_keep_no_worker_from_the_others),
        cmocka_unit_test(a_client_that_hangs_up_gives_the_places_of_its_waiting_calls_back),
        cmocka_unit_test(draining_waits_for_the_calls_that_came_before),
        cmocka_unit_test(the_canary_notices_that_connections_are_not_removed_any_more),
        /* Last: leaves what is left of a server behind. */
        cmocka_unit_test(stopping_does_not_wait_for_ever_for_nng),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
