/*
 * Taking turns on one database connection.
 *
 * Two kinds of user: commits, which somebody waits for, and others (looking a
 * request up, a step of a tail or of a trim), which are short but may be many.
 * While both wait, turns alternate: a commit waits for one other at most, and
 * nobody starves. Others go in the order in which they came.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum turn { TURN_COMMIT, TURN_OTHER };

struct turns {
    pthread_mutex_t lock; /* protects all below; never held while somebody works */
    pthread_cond_t given;
    bool busy;
    bool other_next; /* the last turn was a commit's */
    unsigned commits_waiting;
    uint64_t next_ticket; /* of the others */
    uint64_t serving;
};

void turns_init(struct turns *turns);
void turns_fini(struct turns *turns);

/* Waits until it is our turn. Not reentrant. */
void turns_take(struct turns *turns, enum turn turn);
void turns_give(struct turns *turns, enum turn turn);
