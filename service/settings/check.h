/*
 * The grammars of the texts in a settings file.
 *
 * A check returns NULL when the text is good, else one clause that follows the
 * quoted text in a sentence ("is not an absolute path"); static.
 */
#pragma once

#include <stdbool.h>

/* ipc:///absolute/path, abstract://name, inproc://name, tcp://address:port. Whether the address
 * may be another than loopback is not decided here. */
const char *check_url(const char *text);

/* Of a good url: a tcp address that other machines may reach. */
bool check_url_is_remote(const char *url);

const char *check_absolute_path(const char *text);

/* The form only: labels, lengths, lower case. What names mean is the model's. */
const char *check_host_name(const char *text);

/* An IPv4 or IPv6 address. */
const char *check_ip(const char *text);

/* A SHA-256 digest: 64 hexadecimal digits. */
const char *check_sha256(const char *text);

/* A name that somebody else gave: an account, a mailbox, a transport, a unix group. */
const char *check_name(const char *text);

/* An unquoted ASCII localpart (RFC 5321 section 4.1.2, Dot-string). */
const char *check_localpart(const char *text);
