#include "db/turns.h"

#include "base/clock.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* There is no event for "another thread waits for its turn": looked for, at most this long. */
#define QUEUE_AT_MOST_MS 30000

#define USERS_MAX        16

struct queue {
    struct turns turns;
    char order[USERS_MAX + 1]; /* written by whose turn it is */
    size_t count;
    pthread_t threads[USERS_MAX];
    size_t thread_count;
};

struct user {
    struct queue *queue;
    enum turn turn;
    char name;
};

static void *take_and_sign(void *context)
{
    struct user *user = context;
    struct queue *queue = user->queue;

    turns_take(&queue->turns, user->turn);
    queue->order[queue->count++] = user->name;
    turns_give(&queue->turns, user->turn);
    return NULL;
}

static size_t waiting(struct queue *queue)
{
    size_t count;

    (void) pthread_mutex_lock(&queue->turns.lock);
    count =
        queue->turns.commits_waiting + (size_t) (queue->turns.next_ticket - queue->turns.serving);
    (void) pthread_mutex_unlock(&queue->turns.lock);
    return count;
}

/* Starts the user and returns when it waits behind those before it. */
static void enqueue(struct queue *queue, struct user *user)
{
    int64_t deadline = clock_mono_ms() + QUEUE_AT_MOST_MS;
    size_t before = waiting(queue);

    assert_int_equal(
        pthread_create(&queue->threads[queue->thread_count++], NULL, take_and_sign, user), 0);
    while (waiting(queue) == before) {
        assert_true(clock_mono_ms() < deadline);
        (void) sched_yield();
    }
}

/* While somebody has a turn of kind `held`, users queue up by name: capitals are commits. */
static void assert_order(enum turn held, const char *names, const char *expected)
{
    struct queue queue = { .count = 0 };
    struct user users[USERS_MAX];

    turns_init(&queue.turns);
    turns_take(&queue.turns, held);
    for (size_t i = 0; names[i] != '\0'; i++) {
        bool commit = names[i] >= 'A' && names[i] <= 'Z';
        users[i] = (struct user){ &queue, commit ? TURN_COMMIT : TURN_OTHER, names[i] };
        enqueue(&queue, &users[i]);
    }
    turns_give(&queue.turns, held);
    for (size_t i = 0; i < queue.thread_count; i++) {
        assert_int_equal(pthread_join(queue.threads[i], NULL), 0);
    }
    turns_fini(&queue.turns);
    assert_string_equal(queue.order, expected);
}

static void others_go_in_the_order_in_which_they_came(void **state)
{
    (void) state;
    assert_order(TURN_OTHER, "abcd", "abcd");
    assert_order(TURN_COMMIT, "abcd", "abcd");
}

static void a_commit_waits_for_one_other_at_most(void **state)
{
    (void) state;
    assert_order(TURN_OTHER, "abcdX", "Xabcd");
    assert_order(TURN_COMMIT, "abcdX", "aXbcd");
}

static void turns_alternate_so_that_nobody_starves(void **state)
{
    (void) state;
    assert_order(TURN_COMMIT, "XXXabc", "aXbXcX");
    assert_order(TURN_OTHER, "abXXXX", "XaXbXX");
}

int main(void)
{
    const struct CMUnitTest sentences[] = {
        cmocka_unit_test(others_go_in_the_order_in_which_they_came),
        cmocka_unit_test(a_commit_waits_for_one_other_at_most),
        cmocka_unit_test(turns_alternate_so_that_nobody_starves),
    };

    return cmocka_run_group_tests_name("turns", sentences, NULL, NULL);
}
