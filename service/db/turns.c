#include "db/turns.h"

#include <string.h>

void turns_init(struct turns *turns)
{
    memset(turns, 0, sizeof(*turns));
    (void) pthread_mutex_init(&turns->lock, NULL);
    (void) pthread_cond_init(&turns->given, NULL);
}

void turns_fini(struct turns *turns)
{
    (void) pthread_cond_destroy(&turns->given);
    (void) pthread_mutex_destroy(&turns->lock);
}

static void wait_as_commit(struct turns *turns)
{
    turns->commits_waiting++;
    while (turns->busy || (turns->other_next && turns->serving != turns->next_ticket)) {
        (void) pthread_cond_wait(&turns->given, &turns->lock);
    }
    turns->commits_waiting--;
}

static void wait_as_other(struct turns *turns)
{
    uint64_t ticket = turns->next_ticket++;

    while (turns->busy || ticket != turns->serving ||
           (turns->commits_waiting > 0 && !turns->other_next)) {
        (void) pthread_cond_wait(&turns->given, &turns->lock);
    }
    turns->serving++;
}

void turns_take(struct turns *turns, enum turn turn)
{
    (void) pthread_mutex_lock(&turns->lock);
    if (turn == TURN_COMMIT) {
        wait_as_commit(turns);
    } else {
        wait_as_other(turns);
    }
    turns->busy = true;
    (void) pthread_mutex_unlock(&turns->lock);
}

void turns_give(struct turns *turns, enum turn turn)
{
    (void) pthread_mutex_lock(&turns->lock);
    turns->busy = false;
    turns->other_next = turn == TURN_COMMIT;
    (void) pthread_cond_broadcast(&turns->given);
    (void) pthread_mutex_unlock(&turns->lock);
}
