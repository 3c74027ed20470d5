#include "settings/check.h"

#include "settings/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <sys/un.h>

/* sun_path, with its NUL, or the NUL that an abstract name begins with. */
#define SOCKET_NAME_MAX (sizeof(((struct sockaddr_un *) NULL)->sun_path) - 1)
/* nng's NNG_MAXADDRLEN is 128, with a NUL. */
#define INPROC_NAME_MAX 127
/* RFC 1035 section 2.3.4, as text without the root's dot. */
#define HOST_NAME_MAX_BYTES 253
#define HOST_LABEL_MAX      63
/* As NAME_ACCOUNT_BYTES_MAX and NAME_LOCALPART_MAX in model/names.h, which is above this layer. */
#define NAME_MAX_BYTES 128
#define PORT_MAX       65535

static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* The address of "127.0.0.1:5000" or "[::1]:5000", and where the port begins. */
static const char *split_address(const char *text, char address[INET6_ADDRSTRLEN],
                                 const char **port_out)
{
    const char *begin = text[0] == '[' ? text + 1 : text;
    const char *end = text[0] == '[' ? strstr(begin, "]:") : strchr(begin, ':');
    size_t len;

    if (end == NULL) {
        return "has no port; write tcp://127.0.0.1:PORT or tcp://[::1]:PORT";
    }
    len = (size_t) (end - begin);
    if (len >= INET6_ADDRSTRLEN) {
        return "has no IP address behind tcp://";
    }
    memcpy(address, begin, len);
    address[len] = '\0';
    *port_out = end + (text[0] == '[' ? 2 : 1);
    return NULL;
}

static const char *check_tcp(const char *text)
{
    char address[INET6_ADDRSTRLEN];
    unsigned char binary[sizeof(struct in6_addr)];
    const char *port_text;
    uint64_t port;
    const char *wrong = split_address(text, address, &port_text);

    if (wrong != NULL) {
        return wrong;
    }
    /* No names: where the daemon listens must not depend on a resolver. */
    if (inet_pton(text[0] == '[' ? AF_INET6 : AF_INET, address, binary) != 1) {
        return "has no IP address behind tcp://";
    }
    if (!value_parse_number(port_text, &port) || port > PORT_MAX) {
        return "has no port from 0 to 65535";
    }
    return NULL;
}

static const char *check_socket_path(const char *text)
{
    if (text[0] != '/') {
        return "has no absolute path behind ipc://";
    }
    return strlen(text) > SOCKET_NAME_MAX ? "has a path longer than 107 bytes, the limit of Linux"
                                          : NULL;
}

static const char *check_socket_name(const char *text, size_t max)
{
    if (text[0] == '\0') {
        return "has no name behind the scheme";
    }
    return strlen(text) > max ? "has too long a name" : NULL;
}

const char *check_url(const char *text)
{
    const char *rest;

    if ((rest = after(text, "ipc://")) != NULL) {
        return check_socket_path(rest);
    }
    if ((rest = after(text, "tcp://")) != NULL) {
        return check_tcp(rest);
    }
    if ((rest = after(text, "abstract://")) != NULL) {
        return check_socket_name(rest, SOCKET_NAME_MAX);
    }
    if ((rest = after(text, "inproc://")) != NULL) {
        return check_socket_name(rest, INPROC_NAME_MAX);
    }
    return "begins with none of ipc://, tcp://, abstract://, inproc://";
}

bool check_url_is_remote(const char *url)
{
    const char *rest = after(url, "tcp://");
    char address[INET6_ADDRSTRLEN];
    const char *port;
    unsigned char v4[sizeof(struct in_addr)];

    if (rest == NULL || split_address(rest, address, &port) != NULL) {
        return false;
    }
    if (inet_pton(AF_INET, address, v4) == 1) {
        return v4[0] != IN_LOOPBACKNET;
    }

    struct in6_addr v6;

    return inet_pton(AF_INET6, address, &v6) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6);
}

const char *check_absolute_path(const char *text)
{
    return text[0] == '/' ? NULL : "is not an absolute path";
}

static const char *check_label(const char *label, size_t len)
{
    if (len == 0) {
        return "is not a host name: it has an empty label";
    }
    if (len > HOST_LABEL_MAX) {
        return "is not a host name: it has a label longer than 63 bytes";
    }
    if (label[0] == '-' || label[len - 1] == '-') {
        return "is not a host name: a label begins or ends with '-'";
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char) label[i];

        if (c >= 'A' && c <= 'Z') {
            return "is not a host name in lower case";
        }
        if (c < 0x80 && c != '-' && !isalnum(c)) {
            return "is not a host name: it has other characters than letters, digits, '-' and '.'";
        }
    }
    return NULL;
}

const char *check_host_name(const char *text)
{
    const char *label = text;

    if (strlen(text) > HOST_NAME_MAX_BYTES) {
        return "is not a host name: it is longer than 253 bytes";
    }
    for (;;) {
        size_t len = strcspn(label, ".");
        const char *wrong = check_label(label, len);

        if (wrong != NULL) {
            return wrong;
        }
        if (label[len] == '\0') {
            break;
        }
        label += len + 1;
    }
    /* RFC 3696 section 2: no top-level domain is all digits; this is an IPv4 address. */
    return strspn(label, "0123456789") == strlen(label) ? "is not a host name but a number" : NULL;
}

const char *check_ip(const char *text)
{
    unsigned char binary[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1
               ? NULL
               : "is not an IP address";
}

const char *check_sha256(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64
               ? NULL
               : "is not a SHA-256 digest of 64 hexadecimal digits";
}

const char *check_name(const char *text)
{
    if (text[0] == '\0') {
        return "is an empty name";
    }
    return strlen(text) > NAME_MAX_BYTES ? "is a name longer than 128 bytes" : NULL;
}

const char *check_localpart(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len > NAME_MAX_BYTES) {
        return "is not a localpart of 1 to 128 bytes";
    }
    if (text[0] == '.' || text[len - 1] == '.' || strstr(text, "..") != NULL) {
        return "is not a localpart: a dot stands at an end or beside another";
    }
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char) *c;

        if (byte >= 0x80 || (!isalnum(byte) && strchr("!#$%&'*+-/=?^_`{|}~.", byte) == NULL)) {
            return "is not an ASCII localpart without quotes";
        }
    }
    return NULL;
}
