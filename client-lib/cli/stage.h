/*
 * A document on its way to the server: whole, if it fits a message, else staged
 * there in parts under a random name.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <mxadm/mxadm.h>

#include "options.h"
#include "problem.h"
#include "progress.h"

#define STAGE_NAME_MAX 64

struct document {
    FILE *file; /* can be read from any place */
    uint64_t size;
    uint64_t part_bytes;       /* most of it that goes into one message */
    char *text;                /* if it fits; NULL: it is staged */
    char name[STAGE_NAME_MAX]; /* of the staged document */
    struct progress progress;
};

/* Opens a document; "-" is standard input. `message_bytes`: the largest request that the server
 * takes. */
bool document_open(struct document *document, const char *path, uint64_t message_bytes,
                   struct problem *problem);
void document_close(struct document *document);

/* Makes the request name the document, after having staged it if need be; else `result_out` is the
 * call that failed, or NULL, and `problem` says why. */
bool document_stage(struct document *document, mxadm_client *client, const struct options *options,
                    Mxadm__V1__ConfigApplyRequest *request, mxadm_result **result_out,
                    struct problem *problem);

/* Tells the server to forget what was staged, if anything was. */
void document_discard(struct document *document, mxadm_client *client);
