/*
 * A passphrase from a file or from whoever sits at the terminal, never from the
 * command line, which others can read.
 */
#pragma once

#include <stdbool.h>

#include "problem.h"

/* In bytes, as admin.proto has it (ConfigExportRequest). */
#define PASSPHRASE_MAX 1024

/* Wipe it when it is done with. */
struct passphrase {
    char text[PASSPHRASE_MAX + 1];
};

/* The first line of a file; with NULL asked for at the terminal, without echo, and with `twice`
 * asked for again to be sure. */
bool passphrase_read(struct passphrase *passphrase, const char *file, bool twice,
                     struct problem *problem);
