#include "unit/keys/fixture.h"

#include "keys/keydir.h"

#include <dirent.h>
#include <semaphore.h>

#define TIME_US    ((int64_t) 1767323045 * 1000000) /* 2026-01-02T03:04:05Z */
#define BASE       "2026a._domainkey.example.org.20260102T030405.ed25519.privatekey.pkcs8.pem"
#define OTHER_BASE "2026b._domainkey.example.org.20260102T030405.rsa2048.privatekey.pkcs8.pem"
#define NAME       "dkim/" BASE
#define OTHER      "dkim/" OTHER_BASE

static struct keydir *open_with(const char *path, gid_t group)
{
    struct keydir *dir = NULL;
    struct mx_error err;

    if (keydir_open(path, group, &dir, &err) != MX_OK) {
        fail_msg("keydir_open: %s", err.message);
    }
    return dir;
}

static struct keydir *open_dir(const char *path)
{
    return open_with(path, (gid_t) -1);
}

static struct secret secret_of(const char *text)
{
    struct secret secret = { NULL, 0 };

    assert_true(secret_copy(&secret, text, strlen(text)));
    return secret;
}

/* What came out of a job, and when it did. */
struct outcome {
    sem_t done;
    unsigned failed;
    unsigned place;
    struct mx_error err;
};

static atomic_uint done_count;

static void note(struct keydir_job *job, unsigned failed, const struct mx_error *err)
{
    struct outcome *outcome = job->context;

    outcome->failed = failed;
    outcome->place = atomic_fetch_add(&done_count, 1);
    outcome->err = *err;
    keydir_job_free(job);
    (void) sem_post(&outcome->done);
}

static struct keydir_job *new_job(struct outcome *outcome)
{
    struct keydir_job *job = calloc(1, sizeof(*job));

    assert_non_null(job);
    memset(outcome, 0, sizeof(*outcome));
    (void) sem_init(&outcome->done, 0, 0);
    job->done = note;
    job->context = outcome;
    return job;
}

/* `text` NULL: to move away. */
static void add(struct keydir_job *job, const char *name, const char *text)
{
    struct secret pem = { NULL, 0 };

    if (text != NULL) {
        pem = secret_of(text);
    }
    assert_true(keydir_job_add(job, name, text == NULL ? NULL : &pem));
    assert_null(pem.data);
}

static void await(struct outcome *outcome)
{
    while (sem_wait(&outcome->done) != 0) {
    }
    (void) sem_destroy(&outcome->done);
}

/* One file, done; how many failed. */
static unsigned do_one(struct keydir *dir, const char *name, const char *text,
                       struct outcome *outcome)
{
    struct keydir_job *job = new_job(outcome);

    add(job, name, text);
    keydir_submit(dir, job);
    await(outcome);
    return outcome->failed;
}

static void assert_content(const char *directory, const char *name, const char *text)
{
    size_t len;
    char *found = read_text(path_in(directory, name), &len);

    if (found == NULL) {
        fail_msg("no file %s", name);
    }
    assert_string_equal(found, text);
    free(found);
}

static void assert_absent(const char *directory, const char *name)
{
    struct stat info;

    assert_int_equal(lstat(path_in(directory, name), &info), -1);
}

static mode_t mode_of(const char *directory, const char *name)
{
    struct stat info;

    assert_int_equal(stat(path_in(directory, name), &info), 0);
    return info.st_mode & 07777;
}

static unsigned count_entries(const char *directory, const char *name)
{
    DIR *stream = opendir(path_in(directory, name));
    unsigned count = 0;

    assert_non_null(stream);
    while (readdir(stream) != NULL) {
        count++;
    }
    assert_int_equal(closedir(stream), 0);
    return count - 2; /* "." and ".." */
}

static void a_file_is_named_after_selector_domain_time_and_kind(void **state)
{
    struct arena *arena = arena_create(65536);

    (void) state;
    assert_string_equal(keydir_file_name(arena, "2026a", "example.org", TIME_US, KEY_ED25519),
                        NAME);
    assert_string_equal(keydir_file_name(arena, "2026b", "example.org", TIME_US, KEY_RSA2048),
                        OTHER);
    arena_destroy(arena);
}

static void a_directory_that_everybody_may_write_to_is_refused(void **state)
{
    struct keydir *dir;
    struct mx_error err;

    assert_int_equal(chmod(*state, 0777), 0);
    assert_int_equal(keydir_open(*state, (gid_t) -1, &dir, &err), MX_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, *state));
}

static void the_longest_names_fit_the_file_system_and_differ(void **state)
{
    struct arena *arena = arena_create(65536);
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;
    char domain[236];
    char *one;
    char *two;

    memset(domain, 'a', sizeof(domain));
    domain[sizeof(domain) - 1] = '\0';
    one = keydir_file_name(arena, "2026a", domain, TIME_US, KEY_ED25519);
    domain[sizeof(domain) - 2] = 'b';
    two = keydir_file_name(arena, "2026a", domain, TIME_US, KEY_ED25519);
    assert_string_not_equal(one, two);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(do_one(dir, one, "one", &outcome), 0);
        assert_int_equal(do_one(dir, one, NULL, &outcome), 0);
    }
    assert_int_equal(count_entries(*state, "dkim/old"), 3);
    keydir_close(dir);
    arena_destroy(arena);
}

static void a_written_file_has_its_content_and_leaves_nothing_else(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;

    assert_int_equal(do_one(dir, NAME, "secret text", &outcome), 0);
    assert_content(*state, NAME, "secret text");
    assert_int_equal(count_entries(*state, "dkim"), 2); /* the file, and old */
    keydir_close(dir);
}

static void modes_do_not_depend_on_the_umask(void **state)
{
    static const mode_t umasks[] = { 0, 0077 };

    for (unsigned i = 0; i < 2; i++) {
        const char *path = path_in(*state, i == 0 ? "open" : "shut");
        char *copy = strdup(path);
        mode_t before = umask(umasks[i]);
        struct keydir *dir = open_dir(copy);
        struct outcome outcome;

        assert_int_equal(do_one(dir, NAME, "text", &outcome), 0);
        (void) umask(before);
        assert_int_equal(mode_of(copy, "."), 0700);
        assert_int_equal(mode_of(copy, "dkim"), 0700);
        assert_int_equal(mode_of(copy, "dkim/old"), 0700);
        assert_int_equal(mode_of(copy, NAME), 0600);
        keydir_close(dir);
        free(copy);
    }
}

static void a_group_may_read_if_the_settings_name_one(void **state)
{
    char *path = strdup(path_in(*state, "new"));
    mode_t before = umask(0077);
    struct keydir *dir = open_with(path, getegid());
    struct outcome outcome;
    struct stat info;

    assert_int_equal(do_one(dir, NAME, "text", &outcome), 0);
    (void) umask(before);
    assert_int_equal(mode_of(path, "."), 0750);
    assert_int_equal(mode_of(path, "dkim"), 0750);
    assert_int_equal(mode_of(path, NAME), 0640);
    assert_int_equal(stat(path_in(path, NAME), &info), 0);
    assert_int_equal(info.st_gid, getegid());
    keydir_close(dir);
    free(path);
}

static void a_removed_file_moves_to_old_and_overwrites_nothing_there(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;

    assert_int_equal(do_one(dir, NAME, "first", &outcome), 0);
    assert_int_equal(do_one(dir, NAME, NULL, &outcome), 0);
    assert_int_equal(do_one(dir, NAME, "second", &outcome), 0);
    assert_int_equal(do_one(dir, NAME, NULL, &outcome), 0);
    assert_absent(*state, NAME);
    assert_int_equal(count_entries(*state, "dkim/old"), 2);
    assert_content(path_in(*state, "dkim/old"), BASE, "first");
    assert_content(path_in(*state, "dkim/old"), BASE ".1", "second");
    keydir_close(dir);
}

static void removing_what_is_not_there_is_no_failure(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;

    assert_int_equal(do_one(dir, NAME, NULL, &outcome), 0);
    keydir_close(dir);
}

static void what_a_file_replaces_moves_to_old(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;

    assert_int_equal(do_one(dir, NAME, "first", &outcome), 0);
    assert_int_equal(do_one(dir, NAME, "second", &outcome), 0);
    assert_content(*state, NAME, "second");
    assert_content(path_in(*state, "dkim/old"), BASE, "first");
    keydir_close(dir);
}

static void a_symbolic_link_is_replaced_not_followed(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;

    write_text(path_in(*state, "victim"), "safe", 4, 0600);
    assert_int_equal(symlink("../victim", path_in(*state, NAME)), 0);
    assert_int_equal(do_one(dir, NAME, "secret", &outcome), 0);
    assert_content(*state, "victim", "safe");
    assert_content(*state, NAME, "secret");
    keydir_close(dir);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    static const char *const names[] = { "",          "dkim",         "dkim/",     "dkim/..",
                                         "dkim/.x",   "dkim/a/b",     "dkim/old",  "a",
                                         "../dkim/a", "dkim/../evil", "/etc/evil", "dkim//evil",
                                         "dkim/old/a" };
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(do_one(dir, names[i], "text", &outcome), 1);
        assert_int_equal(outcome.err.code, MX_INVALID_ARGUMENT);
        assert_int_equal(do_one(dir, names[i], NULL, &outcome), 1);
    }
    assert_int_equal(count_entries(*state, "."), 1);
    assert_int_equal(count_entries(*state, "dkim"), 1);
    keydir_close(dir);
}

static void jobs_are_done_in_their_order_also_when_closing(void **state)
{
    enum { JOBS = 50 };
    struct keydir *dir = open_dir(*state);
    static struct outcome outcomes[JOBS];

    atomic_store(&done_count, 0);
    for (unsigned i = 0; i < JOBS; i++) {
        struct keydir_job *job = new_job(&outcomes[i]);

        add(job, i % 2 == 0 ? NAME : OTHER, i % 4 < 2 ? "text" : NULL);
        keydir_submit(dir, job);
    }
    keydir_close(dir);
    for (unsigned i = 0; i < JOBS; i++) {
        await(&outcomes[i]);
        assert_int_equal(outcomes[i].place, i);
        assert_int_equal(outcomes[i].failed, 0);
    }
    /* 48 and 49 wrote; 12 of each name were moved before. */
    assert_content(*state, NAME, "text");
    assert_content(*state, OTHER, "text");
    assert_int_equal(count_entries(*state, "dkim/old"), 24);
}

static void failures_are_counted_and_the_first_is_told(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;
    struct keydir_job *job = new_job(&outcome);

    /* A directory in a file's place can be neither replaced nor moved. */
    assert_int_equal(mkdir(path_in(*state, NAME), 0700), 0);
    add(job, NAME, "text");
    add(job, OTHER, "text");
    add(job, "dkim/../evil", "text");
    keydir_submit(dir, job);
    await(&outcome);
    assert_int_equal(outcome.failed, 2);
    assert_non_null(strstr(outcome.err.message, BASE));
    assert_content(*state, OTHER, "text");
    assert_int_equal(count_entries(*state, "dkim"), 3); /* no temporary file stays */
    keydir_close(dir);
}

static void a_directory_that_vanished_is_told(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct outcome outcome;

    assert_int_equal(rmdir(path_in(*state, "dkim/old")), 0);
    assert_int_equal(rmdir(path_in(*state, "dkim")), 0);
    assert_int_equal(do_one(dir, NAME, "text", &outcome), 1);
    assert_int_equal(outcome.err.code, MX_UNAVAILABLE);
    keydir_close(dir);
}

static void a_file_in_place_of_a_directory_is_refused(void **state)
{
    struct keydir *dir = NULL;
    struct mx_error err;

    write_text(path_in(*state, "dkim"), "", 0, 0600);
    assert_int_equal(keydir_open(*state, (gid_t) -1, &dir, &err), MX_UNAVAILABLE);
    assert_non_null(strstr(err.message, *state));
    assert_int_equal(keydir_open(path_in(*state, "no/such"), (gid_t) -1, &dir, &err),
                     MX_UNAVAILABLE);
    assert_null(dir);
    keydir_close(NULL);
}

/* Putting right */

static struct keydir_reconcile *begin(struct keydir *dir)
{
    struct keydir_reconcile *reconcile = NULL;
    struct mx_error err;

    assert_int_equal(keydir_reconcile_begin(dir, &reconcile, &err), MX_OK);
    return reconcile;
}

static void end(struct keydir_reconcile *reconcile, unsigned moved, unsigned deleted)
{
    unsigned moved_found = 99;
    unsigned deleted_found = 99;
    struct mx_error err;

    assert_int_equal(keydir_reconcile_end(reconcile, &moved_found, &deleted_found, &err), MX_OK);
    assert_int_equal(moved_found, moved);
    assert_int_equal(deleted_found, deleted);
}

static void write_missing(struct keydir_reconcile *reconcile, const char *name,
                          const struct secret *pem)
{
    struct mx_error err;

    assert_int_equal(keydir_reconcile_write(reconcile, name, pem, &err), MX_OK);
}

/* A key with its text and fingerprint. */
struct sample {
    struct key *key;
    struct secret pem;
    uint8_t fingerprint[DIGEST_SIZE];
};

static struct sample make_sample(void)
{
    struct sample sample = { .key = make_key(KEY_ED25519) };
    struct mx_error err;

    assert_int_equal(key_pem(sample.key, "2026a", "example.org", TIME_US, &sample.pem, &err),
                     MX_OK);
    key_fingerprint(sample.key, sample.fingerprint);
    return sample;
}

static void free_sample(struct sample *sample)
{
    secret_free(&sample->pem);
    key_destroy(sample->key);
}

static void a_file_that_is_right_stays(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct sample sample = make_sample();
    struct keydir_reconcile *reconcile;

    write_text(path_in(*state, NAME), sample.pem.data, sample.pem.len, 0644);
    reconcile = begin(dir);
    assert_true(keydir_reconcile_has(reconcile, NAME, sample.fingerprint));
    end(reconcile, 0, 0);
    assert_content(*state, NAME, sample.pem.data);
    assert_int_equal(mode_of(*state, NAME), 0600);
    assert_int_equal(count_entries(*state, "dkim/old"), 0);
    free_sample(&sample);
    keydir_close(dir);
}

static void a_missing_file_is_written(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct sample sample = make_sample();
    struct keydir_reconcile *reconcile = begin(dir);

    assert_false(keydir_reconcile_has(reconcile, NAME, sample.fingerprint));
    write_missing(reconcile, NAME, &sample.pem);
    end(reconcile, 0, 0);
    assert_content(*state, NAME, sample.pem.data);
    free_sample(&sample);
    keydir_close(dir);
}

static void assert_rewritten(const char *path, const void *content, size_t len)
{
    struct keydir *dir = open_dir(path);
    struct sample sample = make_sample();
    struct keydir_reconcile *reconcile;
    unsigned before = count_entries(path, "dkim/old");

    write_text(path_in(path, NAME), content, len, 0600);
    reconcile = begin(dir);
    assert_false(keydir_reconcile_has(reconcile, NAME, sample.fingerprint));
    write_missing(reconcile, NAME, &sample.pem);
    end(reconcile, 0, 0);
    assert_content(path, NAME, sample.pem.data);
    assert_int_equal(count_entries(path, "dkim/old"), before + 1);
    free_sample(&sample);
    keydir_close(dir);
}

static void a_file_with_another_content_is_rewritten_and_kept_in_old(void **state)
{
    struct sample other = make_sample();
    char *huge = calloc(1, 100000);

    assert_rewritten(*state, other.pem.data, other.pem.len);
    assert_rewritten(*state, other.pem.data, other.pem.len / 2);
    assert_rewritten(*state, "", 0);
    assert_rewritten(*state, huge, 100000);
    assert_content(path_in(*state, "dkim/old"), BASE, other.pem.data);
    free(huge);
    free_sample(&other);
}

static void who_gives_up_leaves_all_files_where_they_are(void **state)
{
    struct keydir *dir = open_dir(*state);

    write_text(path_in(*state, OTHER), "other", 5, 0600);
    keydir_reconcile_abandon(begin(dir));
    assert_content(*state, OTHER, "other");
    assert_int_equal(count_entries(*state, "dkim/old"), 0);
    keydir_close(dir);
}

static void a_file_of_no_key_moves_to_old(void **state)
{
    struct keydir *dir = open_dir(*state);
    struct sample sample = make_sample();
    struct keydir_reconcile *reconcile;

    write_text(path_in(*state, NAME), sample.pem.data, sample.pem.len, 0600);
    write_text(path_in(*state, OTHER), "other", 5, 0600);
    reconcile = begin(dir);
    assert_true(keydir_reconcile_has(reconcile, NAME, NULL));
    end(reconcile, 1, 0);
    assert_content(*state, NAME, sample.pem.data);
    assert_absent(*state, OTHER);
    assert_content(path_in(*state, "dkim/old"), OTHER_BASE, "other");
    free_sample(&sample);
    keydir_close(dir);
}

static void a_cut_name_is_known_as_ours(void **state)
{
    struct arena *arena = arena_create(65536);
    struct keydir *dir = open_dir(*state);
    char selector[231];
    char *name;

    memset(selector, 's', sizeof(selector));
    selector[sizeof(selector) - 1] = '\0';
    name = keydir_file_name(arena, selector, "example.org", TIME_US, KEY_RSA4096);
    write_text(path_in(*state, name), "text", 4, 0600);
    end(begin(dir), 1, 0);
    assert_absent(*state, name);
    keydir_close(dir);
    arena_destroy(arena);
}

static void temporary_files_of_a_crash_are_deleted(void **state)
{
    struct keydir *dir = open_dir(*state);

    write_text(path_in(*state, "dkim/.mxadm.0123456789abcdef.tmp"), "half", 4, 0600);
    write_text(path_in(*state, "dkim/.mxadm.ffffffffffffffff.tmp"), "", 0, 0600);
    end(begin(dir), 0, 2);
    assert_int_equal(count_entries(*state, "dkim"), 1);
    keydir_close(dir);
}

static void foreign_files_are_left_alone(void **state)
{
    static const char *const names[] = {
        "dkim/README",
        "dkim/.mxadm.0123456789abcdeX.tmp",
        "dkim/.mxadm.0123456789abcdef.tmp2",
        "dkim/.hidden",
        "dkim/2026a._domainkey.example.org.20260102T030405.ed25519.privatekey.pkcs8.pem~",
        "dkim/2026a._domainkey.example.org.20260102T030405.dsa.privatekey.pkcs8.pem",
        "dkim/2026a._domainkey.example.org.2026010XT030405.ed25519.privatekey.pkcs8.pem",
        "dkim/2026a.example.org.20260102T030405.ed25519.privatekey.pkcs8.pem",
        "dkim/ed25519.privatekey.pkcs8.pem",
    };
    struct keydir *dir = open_dir(*state);
    enum { COUNT = sizeof(names) / sizeof(names[0]) };

    for (size_t i = 0; i < COUNT; i++) {
        write_text(path_in(*state, names[i]), "foreign", 7, 0644);
    }
    assert_int_equal(mkdir(path_in(*state, NAME), 0700), 0);
    end(begin(dir), 0, 0);
    for (size_t i = 0; i < COUNT; i++) {
        assert_content(*state, names[i], "foreign");
        assert_int_equal(mode_of(*state, names[i]), 0644);
    }
    assert_int_equal(mode_of(*state, NAME), 0700);
    keydir_close(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_named_after_selector_domain_time_and_kind),
        TEST(a_directory_that_everybody_may_write_to_is_refused),
        TEST(the_longest_names_fit_the_file_system_and_differ),
        TEST(a_written_file_has_its_content_and_leaves_nothing_else),
        TEST(modes_do_not_depend_on_the_umask),
        TEST(a_group_may_read_if_the_settings_name_one),
        TEST(a_removed_file_moves_to_old_and_overwrites_nothing_there),
        TEST(removing_what_is_not_there_is_no_failure),
        TEST(what_a_file_replaces_moves_to_old),
        TEST(a_symbolic_link_is_replaced_not_followed),
        TEST(names_that_lead_elsewhere_are_refused),
        TEST(jobs_are_done_in_their_order_also_when_closing),
        TEST(failures_are_counted_and_the_first_is_told),
        TEST(a_directory_that_vanished_is_told),
        TEST(a_file_in_place_of_a_directory_is_refused),
        TEST(a_file_that_is_right_stays),
        TEST(a_missing_file_is_written),
        TEST(a_file_with_another_content_is_rewritten_and_kept_in_old),
        TEST(who_gives_up_leaves_all_files_where_they_are),
        TEST(a_file_of_no_key_moves_to_old),
        TEST(a_cut_name_is_known_as_ours),
        TEST(temporary_files_of_a_crash_are_deleted),
        TEST(foreign_files_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
