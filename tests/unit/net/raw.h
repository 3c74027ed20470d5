/*
 * A client that speaks the SP protocol by hand over a socket of its own: it can
 * do what nng's clients don't (go away before the hello, never read), and has
 * none of nng's defects. Waits ten seconds at most, then fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RAW_PATIENCE_MS 10000

struct raw {
    int fd;
    bool is_unix; /* one byte more in front of each message */
};

/* ipc, abstract or tcp; false: refused. No hello yet. */
bool raw_connect(struct raw *raw, const char *url);
void raw_close(struct raw *raw);

/* Ours, then the server's. */
bool raw_hello(struct raw *raw);

/* connect and hello; fails the test if that fails. */
struct raw raw_open(const char *url);

bool raw_send(struct raw *raw, uint32_t id, const void *body, size_t len);

/* Only says that a message of so many bytes follows. */
bool raw_announce(struct raw *raw, uint32_t id, size_t len);

/* The body's length, cut to `size`; -1: closed or nothing came. */
ssize_t raw_receive(struct raw *raw, uint32_t *id_out, void *body, size_t size);

/* Whether the server hangs up in time; what it still says is thrown away. */
bool raw_is_closed(struct raw *raw);

/* Sends text, expects the same back. */
bool raw_echoes(struct raw *raw, const char *text);
