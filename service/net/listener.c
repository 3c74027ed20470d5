#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* What sun_path holds, with its NUL. */
#define SOCKET_PATH_SIZE sizeof(((struct sockaddr_un *) NULL)->sun_path)

#define LOCK_SUFFIX      ".lock"

static const struct {
    const char *prefix;
    enum listener_scheme scheme;
} schemes[] = {
    { "ipc://", LISTENER_IPC },
    { "abstract://", LISTENER_ABSTRACT },
    { "tcp://", LISTENER_TCP },
    { "inproc://", LISTENER_INPROC },
};

/* Writes the scheme and where the rest of the URL starts. */
static enum mx_code parse_scheme(const char *url, enum listener_scheme *scheme_out,
                                 const char **rest_out, struct mx_error *err)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i].prefix);

        if (strncmp(url, schemes[i].prefix, len) == 0 && url[len] != '\0') {
            *scheme_out = schemes[i].scheme;
            *rest_out = url + len;
            return MX_OK;
        }
    }
    return mx_fail(err, MX_INVALID_ARGUMENT,
                   "urls: '%s' is no address to listen at: ipc:///path, abstract://name, "
                   "tcp://127.0.0.1:port or inproc://name",
                   url);
}

/* The directory of the socket, made if it is missing. */
static enum mx_code prepare_directory(const char *path, struct mx_error *err)
{
    char directory[SOCKET_PATH_SIZE];
    struct stat found;

    (void) snprintf(directory, sizeof(directory), "%s", path);
    char *slash = strrchr(directory, '/');

    slash[slash == directory ? 1 : 0] = '\0';
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "cannot make directory '%s': %s", directory,
                       strerror(errno));
    }
    if (stat(directory, &found) != 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "cannot look at directory '%s': %s", directory,
                       strerror(errno));
    }
    if ((found.st_uid != geteuid() && found.st_uid != 0) || (found.st_mode & 022) != 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION,
                       "directory '%s' of the socket is writable for others (owner %lu, mode "
                       "%04o): anyone could put a socket of theirs there",
                       directory, (unsigned long) found.st_uid, (unsigned) (found.st_mode & 07777));
    }
    return MX_OK;
}

/* Removes the socket of a dead daemon: with the lock held, nobody else's is there. */
static enum mx_code remove_stale(const char *path, struct mx_error *err)
{
    struct stat found;

    if (lstat(path, &found) != 0) {
        return MX_OK; /* if it is not simply missing, listening will say so */
    }
    if (!S_ISSOCK(found.st_mode)) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "'%s' is there and is not a socket", path);
    }
    if (unlink(path) != 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "cannot remove the old socket '%s': %s", path,
                       strerror(errno));
    }
    return MX_OK;
}

static enum mx_code prepare_path(struct listener *listener, const char *path, struct mx_error *err)
{
    char lock_path[SOCKET_PATH_SIZE + sizeof(LOCK_SUFFIX)];
    enum mx_code code;

    if (path[0] != '/') {
        return mx_fail(err, MX_INVALID_ARGUMENT, "urls: 'ipc://%s' has no absolute path", path);
    }
    if (strlen(path) >= SOCKET_PATH_SIZE) {
        return mx_fail(err, MX_INVALID_ARGUMENT,
                       "urls: 'ipc://%s' has a path longer than the %zu bytes of a socket's", path,
                       SOCKET_PATH_SIZE - 1);
    }
    if ((code = prepare_directory(path, err)) != MX_OK) {
        return code;
    }
    (void) snprintf(lock_path, sizeof(lock_path), "%s" LOCK_SUFFIX, path);
    if ((code = lock_acquire(lock_path, &listener->lock, err)) != MX_OK) {
        return code;
    }
    return remove_stale(path, err);
}

/* Only our own user needs to connect, unless the settings name others: then the directory says
 * who reaches the socket and the dispatcher, by the peer's uid, who may call. */
static int socket_mode(const struct settings *settings)
{
    for (size_t i = 0; i < settings->access.principal_count; i++) {
        if (settings->access.principals[i].uid != geteuid()) {
            return 0666;
        }
    }
    return 0600;
}

enum mx_code listener_init(struct listener *listener, nng_socket socket, const char *url,
                           const struct settings *settings, struct mx_error *err)
{
    const char *rest = NULL;
    enum mx_code code;
    int result;

    *listener = (struct listener){ .allow_remote = settings->allow_remote_tcp };
    if ((code = parse_scheme(url, &listener->scheme, &rest, err)) != MX_OK) {
        return code;
    }
    if (listener->scheme == LISTENER_IPC && (code = prepare_path(listener, rest, err)) != MX_OK) {
        return code;
    }
    result = nng_listener_create(&listener->nng, socket, url);
    if (result == 0 && listener->scheme == LISTENER_IPC) {
        result =
            nng_listener_set_int(listener->nng, NNG_OPT_IPC_PERMISSIONS, socket_mode(settings));
    }
    if (result != 0) {
        return mx_fail(err, MX_INVALID_ARGUMENT, "urls: cannot use '%s': %s", url,
                       nng_strerror(result));
    }
    return MX_OK;
}

static bool ipv4_is_loopback(uint32_t address)
{
    return (ntohl(address) >> 24) == IN_LOOPBACKNET;
}

static bool is_loopback(const nng_sockaddr *address)
{
    if (address->s_family == NNG_AF_INET) {
        return ipv4_is_loopback(address->s_in.sa_addr);
    }
    if (address->s_family == NNG_AF_INET6) {
        struct in6_addr in6;
        uint32_t mapped;

        memcpy(&in6, address->s_in6.sa_addr, sizeof(in6));
        memcpy(&mapped, &in6.s6_addr[12], sizeof(mapped));
        return IN6_IS_ADDR_LOOPBACK(&in6) ||
               (IN6_IS_ADDR_V4MAPPED(&in6) && ipv4_is_loopback(mapped));
    }
    return false;
}

static enum mx_code check_bound_address(const struct listener *listener, const char *url,
                                        struct mx_error *err)
{
    nng_sockaddr address;

    if (listener->allow_remote) {
        return MX_OK;
    }
    if (nng_listener_get_addr(listener->nng, NNG_OPT_LOCADDR, &address) == 0 &&
        is_loopback(&address)) {
        return MX_OK;
    }
    return mx_fail(err, MX_FAILED_PRECONDITION,
                   "urls: '%s' is not on loopback, and plain tcp is neither encrypted nor "
                   "authenticated: see allow_remote_tcp",
                   url);
}

enum mx_code listener_start(struct listener *listener, const char *url, struct mx_error *err)
{
    int result = nng_listener_start(listener->nng, 0);
    char *bound;

    if (result != 0) {
        return mx_fail(err, MX_FAILED_PRECONDITION, "urls: cannot listen at '%s': %s", url,
                       nng_strerror(result));
    }
    result = nng_listener_get_string(listener->nng, NNG_OPT_URL, &bound);
    if (result != 0) {
        return mx_fail(err, MX_INTERNAL, "urls: no address of '%s': %s", url, nng_strerror(result));
    }
    listener->url = strdup(bound);
    nng_strfree(bound);
    if (listener->url == NULL) {
        return mx_fail(err, MX_RESOURCE_EXHAUSTED, "out of memory for '%s'", url);
    }
    return listener->scheme == LISTENER_TCP ? check_bound_address(listener, url, err) : MX_OK;
}

void listener_fini(struct listener *listener)
{
    free(listener->url);
    lock_release(listener->lock);
    *listener = (struct listener){ 0 };
}

static bool identify_unix(nng_pipe pipe, struct rpc_peer *peer_out)
{
    uint64_t uid;
    uint64_t gid;
    uint64_t pid;

    if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) != 0 ||
        nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_GID, &gid) != 0 ||
        nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid) != 0) {
        return false;
    }
    *peer_out = (struct rpc_peer){ RPC_PEER_UNIX, (uid_t) uid, (gid_t) gid, (pid_t) pid };
    return true;
}

/* Whose word nobody has: no number here may be taken for root's. */
static struct rpc_peer anybody(enum rpc_peer_kind kind)
{
    return (struct rpc_peer){ kind, (uid_t) -1, (gid_t) -1, 0 };
}

static bool identify_tcp(const struct listener *listener, nng_pipe pipe, struct rpc_peer *peer_out)
{
    nng_sockaddr address;

    if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &address) != 0) {
        return false;
    }
    if (is_loopback(&address)) {
        *peer_out = anybody(RPC_PEER_LOOPBACK);
        return true;
    }
    *peer_out = anybody(RPC_PEER_REMOTE);
    return listener->allow_remote;
}

bool listener_identify(const struct listener *listener, nng_pipe pipe, struct rpc_peer *peer_out)
{
    switch (listener->scheme) {
    case LISTENER_IPC:
        return identify_unix(pipe, peer_out);
    case LISTENER_TCP:
        return identify_tcp(listener, pipe, peer_out);
    case LISTENER_ABSTRACT:
    case LISTENER_INPROC:
        *peer_out = anybody(RPC_PEER_LOOPBACK);
        return true;
    }
    return false;
}
