/*
 * A watch, as its two halves see it: watch.c follows the changes, watch_list.c
 * lists what there is.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include <mxadm/mxadm.h>

/*
 * A watch is at `position`: everything up to that revision has been delivered,
 * and of the next one `offset` records.
 */
struct mxadm_watch {
    /* Set at the beginning, read only. */
    mxadm_client *client; /* its own, of one connection */
    char *domain;         /* NULL: all */
    char *account;        /* NULL: all */
    mxadm_watch_callback callback;
    void *payload;
    pid_t owner; /* the process; not a child's */
    pthread_t thread;

    pthread_mutex_t lock; /* protects `closing` */
    pthread_cond_t close_cond;
    bool closing;

    /* The thread's alone. */
    enum { WATCH_START_NOW, WATCH_LIST, WATCH_FOLLOW } stage;
    uint64_t position;
    uint64_t offset;
    bool behind;       /* CAUGHT_UP is due when there is nothing more */
    bool lost;         /* LOST was delivered, RESUMED was not */
    unsigned failures; /* since the last good answer */
};

void watch_deliver(struct mxadm_watch *watch, mxadm_watch_event event);

/* A call within a watch. A good answer ends an outage. Free the result. */
mxadm_code watch_call(struct mxadm_watch *watch, const char *method,
                      const ProtobufCMessage *request, const mxadm_call_options *options,
                      mxadm_result **result_out);

/* Delivers RESET and all records, and puts the position to where the listing began. Else returns
 * how it ended, with the result of the call that failed. */
mxadm_code watch_list(struct mxadm_watch *watch, mxadm_result **result_out);
