#include "net/canary.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SCHEME      "abstract://"
#define NAME_PREFIX "mxadm-canary-"

/* The hello of the SP protocols: zero, "SP", version 0, the protocol's number, two zeros. */
#define HELLO_SIZE 8
static const uint8_t hello_of_req[HELLO_SIZE] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };

bool canary_init(struct canary *canary, int64_t now_ms)
{
    uint64_t random[2];

    *canary = (struct canary){ .since_ms = now_ms };
    if (getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random)) {
        return false;
    }
    (void) snprintf(canary->url, sizeof(canary->url), SCHEME NAME_PREFIX "%016llx%016llx",
                    (unsigned long long) random[0], (unsigned long long) random[1]);
    return true;
}

void canary_fly(struct canary *canary, int64_t now_ms)
{
    canary->flown = true;
    canary->since_ms = now_ms;
}

void canary_seen(struct canary *canary, uint32_t pipe)
{
    canary->pipe = pipe;
}

void canary_rest(struct canary *canary, int64_t now_ms)
{
    canary->flown = false;
    canary->since_ms = now_ms;
}

void canary_gone(struct canary *canary, uint32_t pipe, int64_t now_ms)
{
    if (canary->pipe == pipe) {
        canary->landings++;
        canary_rest(canary, now_ms);
    }
}

static int connect_to(const char *url)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *name = url + strlen(SCHEME);
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return -1;
    }
    /* An abstract name begins with a NUL and has no end but the length. */
    memcpy(address.sun_path + 1, name, len);
    if (connect(fd, (struct sockaddr *) &address,
                (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + len)) != 0) {
        int why = errno;

        (void) close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* Reads the listener's hello: when it is here, so is ours there, and hanging up loses neither. */
static enum canary_meeting await_hello(int fd, int stop_fd, int64_t deadline_ms)
{
    uint8_t hello[HELLO_SIZE];
    size_t got = 0;

    while (got < sizeof(hello)) {
        struct pollfd ready[2] = { { fd, POLLIN, 0 }, { stop_fd, POLLIN, 0 } };
        int64_t left = deadline_ms - clock_mono_ms();

        if (left <= 0) {
            return CANARY_NOT_HEARD;
        }
        (void) poll(ready, 2, (int) left);
        if (ready[1].revents != 0) {
            return CANARY_NO_VERDICT;
        }
        ssize_t len = recv(fd, hello + got, sizeof(hello) - got, 0);

        if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
            return CANARY_NOT_HEARD;
        }
        got += len > 0 ? (size_t) len : 0;
    }
    return CANARY_MET;
}

enum canary_meeting canary_meet(const char *url, int stop_fd, int64_t patience_ms)
{
    int64_t deadline_ms = clock_mono_ms() + patience_ms;
    int fd = connect_to(url);
    enum canary_meeting meeting;

    if (fd < 0) {
        return errno == EMFILE || errno == ENFILE ? CANARY_NO_VERDICT : CANARY_NOT_HEARD;
    }
    if (send(fd, hello_of_req, sizeof(hello_of_req), MSG_NOSIGNAL) != sizeof(hello_of_req)) {
        meeting = CANARY_NOT_HEARD;
    } else {
        meeting = await_hello(fd, stop_fd, deadline_ms);
    }
    (void) close(fd);
    return meeting;
}
