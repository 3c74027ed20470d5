/*
 * How a daemon starts, ends, and refuses to start; seen from outside.
 */
#include "support/admin.h"
#include "support/cmocka.h"
#include "support/daemon.h"
#include "support/facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const char settings[] =
    DAEMON_URLS "keys: {directory: $DIR/keys, rsa2048: {low: 2, high: 2}}\n";

/* Client and daemon hold all of them at once. */
#define IN_FLIGHT 500
static const char roomy_settings[] =
    DAEMON_URLS "limits: {contexts: 700, connections: 1000, in_flight_per_principal: 600}\n";

static struct daemon daemon_one;
static struct daemon daemon_two;

static int set_up(void **state)
{
    (void) state;
    daemon_init(&daemon_one, settings);
    daemon_init(&daemon_two, settings);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    daemon_fini(&daemon_one);
    daemon_fini(&daemon_two);
    return 0;
}

/* The log has all of these words. */
static void assert_said(const struct daemon *daemon, const char *words)
{
    char *text = daemon_log_text(daemon);

    if (strstr(text, words) == NULL) {
        print_error("not in the log: '%s'\n%s", words, text);
        fail();
    }
    free(text);
}

static void assert_not_said(const struct daemon *daemon, const char *words)
{
    char *text = daemon_log_text(daemon);

    if (strstr(text, words) != NULL) {
        print_error("in the log: '%s'\n%s", words, text);
        fail();
    }
    free(text);
}

static void assert_does_not_start(struct daemon *daemon, int expected)
{
    int code = 0;

    assert_false(daemon_try_start(daemon, &code));
    assert_int_equal(code, expected);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void add_domain(struct daemon *daemon, const char *domain, const char *account)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);

    (void) admin_done(admin_domain_add(client, domain, account, "first", NULL));
    mxadm_client_close(client);
}

static void assert_domain_is_there(struct daemon *daemon, const char *domain, const char *account)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);
    struct facts expected = { 0 };
    struct facts seen = { 0 };

    admin_domain_facts(&expected, domain, account, "first");
    admin_observe(client, &seen);
    facts_check_same(&expected, &seen);
    facts_fini(&expected);
    facts_fini(&seen);
    mxadm_client_close(client);
}

/* ---------------------------------------------------------- second daemons */

static void a_second_daemon_on_the_same_state_is_refused_and_told_by_whom(void **state)
{
    char other[2 * PATH_MAX];
    char words[64];

    (void) state;
    daemon_start(&daemon_one);
    (void) snprintf(other, sizeof(other),
                    "urls: [\"ipc://$DIR/socket\"]\nstate_directory: %s/state\n",
                    daemon_one.directory);
    daemon_configure(&daemon_two, other);
    assert_does_not_start(&daemon_two, DAEMON_EXIT_FAILED);
    (void) snprintf(words, sizeof(words), "mxadmd.lock' is in use by process %d",
                    (int) daemon_one.pid);
    assert_said(&daemon_two, words);
    add_domain(&daemon_one, "example.org", "alice");
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
}

static void a_second_daemon_on_the_same_socket_is_refused_and_told_by_whom(void **state)
{
    char other[2 * PATH_MAX];
    char words[64];

    (void) state;
    daemon_start(&daemon_one);
    (void) snprintf(other, sizeof(other),
                    "urls: [\"ipc://%s/socket\"]\nstate_directory: $DIR/state\n",
                    daemon_one.directory);
    daemon_configure(&daemon_two, other);
    assert_does_not_start(&daemon_two, DAEMON_EXIT_FAILED);
    (void) snprintf(words, sizeof(words), "socket.lock' is in use by process %d",
                    (int) daemon_one.pid);
    assert_said(&daemon_two, words);
    /* The first one's socket is still its own. */
    add_domain(&daemon_one, "example.org", "alice");
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
}

static void a_socket_left_by_a_killed_daemon_does_not_hinder_the_next(void **state)
{
    struct stat info;

    (void) state;
    daemon_start(&daemon_one);
    add_domain(&daemon_one, "example.org", "alice");
    daemon_kill(&daemon_one);
    assert_int_equal(stat(daemon_path(&daemon_one, "socket"), &info), 0);
    daemon_start(&daemon_one);
    assert_domain_is_there(&daemon_one, "example.org", "alice");
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
}

/* ----------------------------------------------------------------- SIGTERM */

struct flight {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned ended; /* protected by lock, as is all below */
    unsigned acknowledged;
    bool done[IN_FLIGHT];
};

struct call {
    struct flight *flight;
    unsigned number;
};

static void landed(mxadm_result *result, void *payload)
{
    struct call *call = payload;
    struct flight *flight = call->flight;
    bool done = mxadm_result_code(result) == MXADM_OK;

    mxadm_result_free(result);
    (void) pthread_mutex_lock(&flight->lock);
    flight->done[call->number] = done;
    flight->acknowledged += done ? 1 : 0;
    flight->ended++;
    (void) pthread_cond_broadcast(&flight->changed);
    (void) pthread_mutex_unlock(&flight->lock);
}

/* Calls are made once: a daemon that is stopping is not waited for. */
static mxadm_client *open_wide(const struct daemon *daemon)
{
    const char *url = daemon_url(daemon, 0);
    mxadm_client_options options = MXADM_CLIENT_OPTIONS_INIT;
    mxadm_client *client;

    options.urls = &url;
    options.url_count = 1;
    options.connections = IN_FLIGHT;
    options.max_attempts = 1;
    assert_int_equal(mxadm_client_open(&options, &client), MXADM_OK);
    return client;
}

static void begin_calls(mxadm_client *client, struct flight *flight, struct call *calls)
{
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        Mxadm__V1__AccountAddRequest request = MXADM__V1__ACCOUNT_ADD_REQUEST__INIT;
        char account[32];
        char address[64];

        (void) snprintf(account, sizeof(account), "a%u", i);
        (void) snprintf(address, sizeof(address), "a%u@example.org", i);
        request.account = account;
        request.address = address;
        calls[i] = (struct call){ flight, i };
        assert_int_equal(
            mxadm_call_async(client, "AccountAdd", &request.base, NULL, landed, &calls[i]),
            MXADM_OK);
    }
}

/* Counts accounts that were not acknowledged but made: that is allowed, half of one is not. */
static void assert_acknowledged_are_there(struct daemon *daemon, const struct flight *flight)
{
    mxadm_client *client = admin_open(daemon_url(daemon, 0), 0);
    struct facts expected = { 0 };
    struct facts seen = { 0 };

    admin_observe(client, &seen);
    admin_domain_facts(&expected, "example.org", "alice", "first");
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        struct facts account = { 0 };

        facts_add(&account, "account a%u", i);
        facts_add(&account, "address a%u@example.org -> a%u", i, i);
        if (flight->done[i] || facts_count_of(&seen, &account) > 0) {
            facts_add_all(&expected, &account);
        }
        facts_fini(&account);
    }
    facts_check_same(&expected, &seen);
    facts_fini(&expected);
    facts_fini(&seen);
    mxadm_client_close(client);
}

static void what_was_acknowledged_before_sigterm_is_there_afterwards(void **state)
{
    static struct flight flight = { .lock = PTHREAD_MUTEX_INITIALIZER,
                                    .changed = PTHREAD_COND_INITIALIZER };
    static struct call calls[IN_FLIGHT];
    mxadm_client *client;

    (void) state;
    daemon_configure(&daemon_one, roomy_settings);
    daemon_start(&daemon_one);
    add_domain(&daemon_one, "example.org", "alice");
    client = open_wide(&daemon_one);
    begin_calls(client, &flight, calls);
    (void) pthread_mutex_lock(&flight.lock);
    while (flight.acknowledged == 0 && flight.ended < IN_FLIGHT) {
        (void) pthread_cond_wait(&flight.changed, &flight.lock);
    }
    (void) pthread_mutex_unlock(&flight.lock);

    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
    assert_not_said(&daemon_one, "drain_incomplete");
    (void) pthread_mutex_lock(&flight.lock);
    while (flight.ended < IN_FLIGHT) {
        (void) pthread_cond_wait(&flight.changed, &flight.lock);
    }
    (void) pthread_mutex_unlock(&flight.lock);
    mxadm_client_close(client);
    assert_int_not_equal(flight.acknowledged, 0);
    print_message("%u of %d acknowledged\n", flight.acknowledged, IN_FLIGHT);

    daemon_start(&daemon_one);
    assert_acknowledged_are_there(&daemon_one, &flight);
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
}

/* ---------------------------------------------------------------- settings */

static void bad_settings_are_told_by_file_and_line(void **state)
{
    char words[PATH_MAX + 64];

    (void) state;
    daemon_configure(&daemon_one, "state_directory: $DIR/state\n"
                                  "limits:\n"
                                  "  contexts: many\n"
                                  "no_such_key: 1\n");
    assert_does_not_start(&daemon_one, DAEMON_EXIT_SETTINGS);
    (void) snprintf(words, sizeof(words), "%s:3:", daemon_path(&daemon_one, "mxadmd.yaml"));
    assert_said(&daemon_one, words);
    assert_said(&daemon_one, "limits.contexts");
    (void) snprintf(words, sizeof(words), "%s:4:", daemon_path(&daemon_one, "mxadmd.yaml"));
    assert_said(&daemon_one, words);
    assert_said(&daemon_one, "no_such_key");

    assert_int_equal(daemon_check_config(&daemon_one), DAEMON_EXIT_SETTINGS);
    assert_said(&daemon_one, words);
}

/* What the settings accept, the objects made of them accept too. */
static void settings_at_their_limits_start(void **state)
{
    (void) state;
    daemon_configure(&daemon_one, DAEMON_URLS
                     "keys: {threads: 64, waiters_max: 65536, rsa2048: {low: 0, high: 0}}\n"
                     "limits: {contexts: 4096, in_flight_per_principal: 4095, group: 4096,"
                     " change_queue: 65536, pinned_lists: 4096, waiting_reads: 1000000,"
                     " waiting_calls: 1000000,"
                     " message_bytes: 64MiB}\n");
    daemon_start(&daemon_one);
    add_domain(&daemon_one, "example.org", "alice");
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
    daemon_configure(&daemon_one, DAEMON_URLS "keys: {threads: 65}\n");
    assert_does_not_start(&daemon_one, DAEMON_EXIT_SETTINGS);
}

static void checking_good_settings_touches_nothing(void **state)
{
    struct stat info;

    (void) state;
    assert_int_equal(daemon_check_config(&daemon_one), DAEMON_EXIT_OK);
    assert_int_not_equal(stat(daemon_path(&daemon_one, "state"), &info), 0);
    assert_int_not_equal(stat(daemon_path(&daemon_one, "keys"), &info), 0);
}

/* ------------------------------------------------------------------- files */

static void assert_mode(const struct daemon *daemon, const char *name, mode_t mode)
{
    struct stat info;

    assert_int_equal(stat(daemon_path(daemon, name), &info), 0);
    if ((info.st_mode & 07777) != mode) {
        print_error("mode of '%s': %04o, not %04o\n", name, info.st_mode & 07777, mode);
        fail();
    }
}

static void state_and_keys_are_closed_to_others(void **state)
{
    DIR *dir;
    struct dirent *entry;
    mode_t before = umask(0);
    unsigned files = 0;

    (void) state;
    daemon_start(&daemon_one);
    (void) umask(before);
    add_domain(&daemon_one, "example.org", "alice");
    assert_mode(&daemon_one, "state", 0700);
    assert_mode(&daemon_one, "keys", 0700);
    assert_mode(&daemon_one, "keys/dkim", 0700);
    dir = opendir(daemon_path(&daemon_one, "state"));
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char name[NAME_MAX + 16];

        if (entry->d_name[0] != '.') {
            (void) snprintf(name, sizeof(name), "state/%s", entry->d_name);
            assert_mode(&daemon_one, name, entry->d_type == DT_DIR ? 0700 : 0600);
            files++;
        }
    }
    (void) closedir(dir);
    assert_in_range(files, 3, 8); /* database, its log, kek, lock, staged documents */
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
}

/* The names of the files for keys, in the order of the directory. */
static unsigned key_files(const struct daemon *daemon, char names[][NAME_MAX + 1], unsigned room)
{
    DIR *dir = opendir(daemon_path(daemon, "keys/dkim"));
    struct dirent *entry;
    unsigned count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strstr(entry->d_name, "._domainkey.") != NULL && count < room) {
            (void) snprintf(names[count++], NAME_MAX + 1, "%s", entry->d_name);
        }
    }
    (void) closedir(dir);
    return count;
}

static const char *key_path(const struct daemon *daemon, const char *name)
{
    static char path[2 * PATH_MAX];

    (void) snprintf(path, sizeof(path), "%s/keys/dkim/%s", daemon->directory, name);
    return path;
}

static void the_key_directory_is_put_right_at_start(void **state)
{
    static const char stray[] =
        "gone._domainkey.example.org.20200101T000000.rsa2048.privatekey.pkcs8.pem";
    char names[2][NAME_MAX + 1];
    char old[NAME_MAX + 16];
    mxadm_client *client;
    struct stat info;

    (void) state;
    daemon_start(&daemon_one);
    add_domain(&daemon_one, "example.org", "alice");
    daemon_kill(&daemon_one);
    assert_int_equal(key_files(&daemon_one, names, 2), 2);
    assert_int_equal(unlink(key_path(&daemon_one, names[0])), 0);
    write_file(key_path(&daemon_one, names[1]), "garbled", 7);
    write_file(key_path(&daemon_one, stray), "of a key that is gone", 21);
    write_file(key_path(&daemon_one, ".mxadm.0123456789abcdef.tmp"), "half", 4);

    daemon_start(&daemon_one);
    assert_said(&daemon_one, "key_directory_put_right");
    client = admin_open(daemon_url(&daemon_one, 0), 0);
    assert_int_equal(admin_check_keys(client, daemon_path(&daemon_one, "keys")), 2);
    mxadm_client_close(client);
    (void) snprintf(old, sizeof(old), "old/%s", stray);
    assert_int_equal(stat(key_path(&daemon_one, old), &info), 0);
    assert_int_equal(stat(key_path(&daemon_one, names[0]), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);

    daemon_start(&daemon_one);
    assert_not_said(&daemon_one, "key_directory_put_right");
}

static void another_key_encryption_key_is_refused_at_start(void **state)
{
    uint8_t other[32];
    char kept[32];
    FILE *file;

    (void) state;
    daemon_start(&daemon_one);
    add_domain(&daemon_one, "example.org", "alice");
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
    file = fopen(daemon_path(&daemon_one, "state/kek"), "re");
    assert_non_null(file);
    assert_int_equal(fread(kept, 1, sizeof(kept), file), sizeof(kept));
    (void) fclose(file);

    memset(other, 'x', sizeof(other));
    write_file(daemon_path(&daemon_one, "state/kek"), other, sizeof(other));
    assert_does_not_start(&daemon_one, DAEMON_EXIT_FAILED);
    assert_said(&daemon_one, "key-encryption key");

    /* A new one is not made in its place: what is sealed could never be read. */
    assert_int_equal(unlink(daemon_path(&daemon_one, "state/kek")), 0);
    assert_does_not_start(&daemon_one, DAEMON_EXIT_FAILED);
    assert_said(&daemon_one, "key-encryption key file");

    write_file(daemon_path(&daemon_one, "state/kek"), kept, sizeof(kept));
    assert_int_equal(chmod(daemon_path(&daemon_one, "state/kek"), 0600), 0);
    daemon_start(&daemon_one);
    assert_domain_is_there(&daemon_one, "example.org", "alice");
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
}

/* --------------------------------------------------------------- full disk */

#define SMALL_DISK "size=2m,mode=0700"

/* A small disk for the state, of this test alone. False: this user may not mount. */
static bool mount_small_disk(const struct daemon *daemon)
{
    const char *path = daemon_path(daemon, "state");

    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mkdir(path, 0700) == 0 && mount("none", path, "tmpfs", 0, SMALL_DISK) == 0;
}

static void fill_disk(const char *path)
{
    static const char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ssize_t len;

    assert_true(fd >= 0);
    do {
        len = write(fd, block, sizeof(block));
    } while (len > 0);
    assert_int_equal(errno, ENOSPC);
    (void) close(fd);
}

/* What was added before counts among the facts. */
static mxadm_result *add_until_refused(mxadm_client *client, struct facts *facts)
{
    for (unsigned i = 0;; i++) {
        mxadm_result *result;
        char account[32];
        char address[64];

        (void) snprintf(account, sizeof(account), "full%u", i);
        (void) snprintf(address, sizeof(address), "full%u@example.org", i);
        result = admin_account_add(client, account, address, NULL);
        if (mxadm_result_code(result) != MXADM_OK) {
            return result;
        }
        mxadm_result_free(result);
        facts_add(facts, "account %s", account);
        facts_add(facts, "address %s -> %s", address, account);
    }
}

static void assert_refused_for_the_disk(mxadm_result *result)
{
    assert_int_equal(mxadm_result_code(result), MXADM_RESOURCE_EXHAUSTED);
    assert_string_equal(mxadm_result_reason(result), "COMMIT_FAILED");
    assert_non_null(strstr(mxadm_result_message(result), "disk is full"));
    mxadm_result_free(result);
}

static void a_full_disk_refuses_changes_and_answers_reads(void **state)
{
    struct facts expected = { 0 };
    struct facts seen = { 0 };
    mxadm_client *client;

    (void) state;
    if (!mount_small_disk(&daemon_one)) {
        print_error("SKIPPED: this user may not mount a small disk: %s\n", strerror(errno));
        skip();
    }
    daemon_start(&daemon_one);
    add_domain(&daemon_one, "example.org", "alice");
    admin_domain_facts(&expected, "example.org", "alice", "first");
    fill_disk(daemon_path(&daemon_one, "state/filler"));
    client = open_wide(&daemon_one);
    assert_refused_for_the_disk(add_until_refused(client, &expected));
    admin_observe(client, &seen);
    facts_check_same(&expected, &seen);
    assert_int_equal(unlink(daemon_path(&daemon_one, "state/filler")), 0);
    (void) admin_done(admin_account_add(client, "after", "after@example.org", NULL));
    mxadm_client_close(client);
    facts_add(&expected, "account after");
    facts_add(&expected, "address after@example.org -> after");

    daemon_kill(&daemon_one);
    daemon_start(&daemon_one);
    client = admin_open(daemon_url(&daemon_one, 0), 0);
    facts_fini(&seen);
    admin_observe(client, &seen);
    facts_check_same(&expected, &seen);
    mxadm_client_close(client);
    facts_fini(&expected);
    facts_fini(&seen);
    assert_int_equal(daemon_stop(&daemon_one), DAEMON_EXIT_OK);
    assert_int_equal(umount2(daemon_path(&daemon_one, "state"), MNT_DETACH), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define SENTENCE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        SENTENCE(a_second_daemon_on_the_same_state_is_refused_and_told_by_whom),
        SENTENCE(a_second_daemon_on_the_same_socket_is_refused_and_told_by_whom),
        SENTENCE(a_socket_left_by_a_killed_daemon_does_not_hinder_the_next),
        SENTENCE(what_was_acknowledged_before_sigterm_is_there_afterwards),
        SENTENCE(bad_settings_are_told_by_file_and_line),
        SENTENCE(settings_at_their_limits_start),
        SENTENCE(checking_good_settings_touches_nothing),
        SENTENCE(state_and_keys_are_closed_to_others),
        SENTENCE(the_key_directory_is_put_right_at_start),
        SENTENCE(another_key_encryption_key_is_refused_at_start),
        SENTENCE(a_full_disk_refuses_changes_and_answers_reads),
#undef SENTENCE
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
