#include "raw.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADER_MAX (1 + 8 + 4)
#define LARGEST    ((size_t) 64 * 1024 * 1024)

static socklen_t unix_address(struct sockaddr_un *address, const char *name, bool is_abstract)
{
    size_t len = strlen(name);

    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + (is_abstract ? 1 : 0), name, len);
    return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len + 1);
}

static socklen_t tcp_address(struct sockaddr_in *address, const char *url)
{
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->sin_port = htons((uint16_t) strtoul(strrchr(url, ':') + 1, NULL, 10));
    return sizeof(*address);
}

bool raw_connect(struct raw *raw, const char *url)
{
    struct timeval patience = { RAW_PATIENCE_MS / 1000, 0 };
    struct sockaddr_storage address = { 0 };
    socklen_t len;

    raw->is_unix = strncmp(url, "tcp://", 6) != 0;
    if (!raw->is_unix) {
        len = tcp_address((struct sockaddr_in *) &address, url);
    } else {
        len = unix_address((struct sockaddr_un *) &address, strstr(url, "://") + 3,
                           strncmp(url, "abstract://", 11) == 0);
    }
    raw->fd = socket(raw->is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (raw->fd < 0) {
        return false;
    }
    (void) setsockopt(raw->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void) setsockopt(raw->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(raw->fd, (struct sockaddr *) &address, len) != 0) {
        raw_close(raw);
        return false;
    }
    return true;
}

void raw_close(struct raw *raw)
{
    (void) close(raw->fd);
    raw->fd = -1;
}

static bool read_all(struct raw *raw, void *data, size_t len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t n = recv(raw->fd, (char *) data + got, len - got, 0);

        if (n <= 0) {
            return false;
        }
        got += (size_t) n;
    }
    return true;
}

bool raw_hello(struct raw *raw)
{
    static const uint8_t ours[8] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
    static const uint8_t expected[8] = { 0, 'S', 'P', 0, 0, 0x31, 0, 0 };
    uint8_t theirs[8];

    return send(raw->fd, ours, sizeof(ours), MSG_NOSIGNAL) == sizeof(ours) &&
           read_all(raw, theirs, sizeof(theirs)) && memcmp(theirs, expected, sizeof(theirs)) == 0;
}

struct raw raw_open(const char *url)
{
    struct raw raw;

    if (!raw_connect(&raw, url) || !raw_hello(&raw)) {
        (void) fprintf(stderr, "no connection to %s: %s\n", url, strerror(errno));
        abort();
    }
    return raw;
}

static void put_be(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t) (value >> (8 * (bytes - 1 - i)));
    }
}

static uint64_t get_be(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | in[i];
    }
    return value;
}

/* Type (unix only), length, id; the id's high bit says that it is the last of the route. */
static size_t write_header(const struct raw *raw, uint32_t id, size_t len, uint8_t *out)
{
    size_t at = 0;

    if (raw->is_unix) {
        out[at++] = 1;
    }
    put_be(out + at, len + 4, 8);
    put_be(out + at + 8, id | UINT32_C(0x80000000), 4);
    return at + 12;
}

bool raw_send(struct raw *raw, uint32_t id, const void *body, size_t len)
{
    uint8_t header[HEADER_MAX];
    struct iovec parts[2] = { { header, write_header(raw, id, len, header) },
                              { (void *) (uintptr_t) body, len } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

    return sendmsg(raw->fd, &message, MSG_NOSIGNAL) == (ssize_t) (parts[0].iov_len + len);
}

bool raw_announce(struct raw *raw, uint32_t id, size_t len)
{
    uint8_t header[HEADER_MAX];
    size_t size = write_header(raw, id, len, header);

    return send(raw->fd, header, size, MSG_NOSIGNAL) == (ssize_t) size;
}

ssize_t raw_receive(struct raw *raw, uint32_t *id_out, void *body, size_t size)
{
    uint8_t header[HEADER_MAX];
    size_t type = raw->is_unix ? 1 : 0;

    if (!read_all(raw, header, type + 12)) {
        return -1;
    }
    size_t len = (size_t) get_be(header + type, 8) - 4;
    size_t kept = len < size ? len : size;
    char rest[4096];

    *id_out = (uint32_t) get_be(header + type + 8, 4) & UINT32_C(0x7fffffff);
    if (len > LARGEST || !read_all(raw, body, kept)) {
        return -1;
    }
    for (size_t left = len - kept; left > 0;) {
        size_t part = left < sizeof(rest) ? left : sizeof(rest);

        if (!read_all(raw, rest, part)) {
            return -1;
        }
        left -= part;
    }
    return (ssize_t) kept;
}

bool raw_is_closed(struct raw *raw)
{
    char rest[4096];
    ssize_t len;

    do {
        len = recv(raw->fd, rest, sizeof(rest), 0);
    } while (len > 0);
    return len == 0 || errno == ECONNRESET;
}

bool raw_echoes(struct raw *raw, const char *text)
{
    static uint32_t next_id = 1;
    char back[256];
    uint32_t id = 0;
    uint32_t expected = next_id++;

    if (!raw_send(raw, expected, text, strlen(text))) {
        return false;
    }
    ssize_t len = raw_receive(raw, &id, back, sizeof(back));

    return len == (ssize_t) strlen(text) && id == expected && memcmp(back, text, (size_t) len) == 0;
}
