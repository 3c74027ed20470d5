#include "net/lock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/mxadm-lock-XXXXXX";
static char path[64];

static int make_directory(void **state)
{
    (void) state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    (void) snprintf(path, sizeof(path), "%s/lock", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void) state;
    (void) unlink(path);
    return rmdir(directory);
}

static void acquire(struct lock **lock_out)
{
    struct mx_error err;

    if (lock_acquire(path, lock_out, &err) != MX_OK) {
        fail_msg("%s", err.message);
    }
}

static void a_held_lock_is_refused_and_its_holder_named(void **state)
{
    struct lock *first = NULL;
    struct lock *second = NULL;
    struct mx_error err;
    char pid[24];

    (void) state;
    acquire(&first);
    assert_int_equal(lock_acquire(path, &second, &err), MX_FAILED_PRECONDITION);
    assert_null(second);
    (void) snprintf(pid, sizeof(pid), "process %ld", (long) getpid());
    assert_non_null(strstr(err.message, pid));
    assert_non_null(strstr(err.message, path));
    lock_release(first);
}

static void a_released_lock_can_be_taken_again(void **state)
{
    struct lock *lock = NULL;

    (void) state;
    acquire(&lock);
    lock_release(lock);
    acquire(&lock);
    lock_release(lock);
    lock_release(NULL);
}

/* Holds the lock, says so, and waits to be killed. */
static void hold_for_ever(int ready)
{
    struct lock *lock = NULL;
    struct mx_error err;

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails before it kills us */
    if (lock_acquire(path, &lock, &err) != MX_OK || write(ready, "x", 1) != 1) {
        _exit(1);
    }
    for (;;) {
        (void) pause();
    }
}

static void a_lock_ends_with_the_process_that_was_killed(void **state)
{
    struct lock *lock = NULL;
    struct mx_error err;
    int ready[2];
    char byte;

    (void) state;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        hold_for_ever(ready[1]);
    }
    (void) close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void) close(ready[0]);
    assert_int_equal(lock_acquire(path, &lock, &err), MX_FAILED_PRECONDITION);

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    acquire(&lock);
    lock_release(lock);
}

static void the_file_is_its_owners_alone(void **state)
{
    struct lock *lock = NULL;
    struct stat found;

    (void) state;
    (void) unlink(path);
    acquire(&lock);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    lock_release(lock);
}

static void a_link_is_not_followed(void **state)
{
    struct lock *lock = NULL;
    struct mx_error err;
    char target[80];

    (void) state;
    (void) unlink(path);
    (void) snprintf(target, sizeof(target), "%s.target", path);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(lock_acquire(path, &lock, &err), MX_FAILED_PRECONDITION);
    assert_int_equal(access(target, F_OK), -1);
    assert_int_equal(unlink(path), 0);
}

static void a_missing_directory_is_named(void **state)
{
    struct lock *lock = NULL;
    struct mx_error err;

    (void) state;
    assert_int_equal(lock_acquire("/nowhere/at/all.lock", &lock, &err), MX_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "/nowhere/at/all.lock"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_lock_is_refused_and_its_holder_named),
        cmocka_unit_test(a_released_lock_can_be_taken_again),
        cmocka_unit_test(a_lock_ends_with_the_process_that_was_killed),
        cmocka_unit_test(the_file_is_its_owners_alone),
        cmocka_unit_test(a_link_is_not_followed),
        cmocka_unit_test(a_missing_directory_is_named),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
