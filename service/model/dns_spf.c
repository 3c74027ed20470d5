#include "model/dns_text.h"
#include "settings/settings.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* An IPv4 or IPv6 address, in network order. */
struct address {
    int family;
    uint8_t bytes[16];
};

/* Addresses that no mail can come from over the internet (IANA special-purpose registries). */
static const struct {
    struct address address;
    unsigned bits;
} not_public[] = {
    { { AF_INET, { 0 } }, 8 },            /* unspecified */
    { { AF_INET, { 10 } }, 8 },           /* private */
    { { AF_INET, { 100, 64 } }, 10 },     /* shared by carriers' NAT */
    { { AF_INET, { 127 } }, 8 },          /* loopback */
    { { AF_INET, { 169, 254 } }, 16 },    /* link-local */
    { { AF_INET, { 172, 16 } }, 12 },     /* private */
    { { AF_INET, { 192, 168 } }, 16 },    /* private */
    { { AF_INET, { 224 } }, 3 },          /* multicast, reserved */
    { { AF_INET6, { 0 } }, 128 },         /* unspecified */
    { { AF_INET6, { [15] = 1 } }, 128 },  /* loopback */
    { { AF_INET6, { 0xfc } }, 7 },        /* private */
    { { AF_INET6, { 0xfe, 0x80 } }, 10 }, /* link-local */
    { { AF_INET6, { 0xff } }, 8 },        /* multicast */
};

static bool has_prefix(const struct address *address, const struct address *prefix, unsigned bits)
{
    unsigned rest = bits % 8;

    if (address->family != prefix->family || memcmp(address->bytes, prefix->bytes, bits / 8) != 0) {
        return false;
    }
    return rest == 0 || ((address->bytes[bits / 8] ^ prefix->bytes[bits / 8]) >> (8 - rest)) == 0;
}

static bool is_public(const struct address *address)
{
    for (size_t i = 0; i < sizeof(not_public) / sizeof(*not_public); i++) {
        if (has_prefix(address, &not_public[i].address, not_public[i].bits)) {
            return false;
        }
    }
    return true;
}

/* An IPv4 address mapped into IPv6 is that IPv4 address. */
static bool parse_address(const char *text, struct address *out)
{
    static const struct address mapped = { AF_INET6, { [10] = 0xff, [11] = 0xff } };

    memset(out, 0, sizeof(*out));
    out->family = AF_INET;
    if (inet_pton(AF_INET, text, out->bytes) == 1) {
        return true;
    }
    out->family = AF_INET6;
    if (inet_pton(AF_INET6, text, out->bytes) != 1) {
        return false;
    }
    if (has_prefix(out, &mapped, 96)) {
        out->family = AF_INET;
        memmove(out->bytes, out->bytes + 12, 4);
        memset(out->bytes + 4, 0, sizeof(out->bytes) - 4);
    }
    return true;
}

/* "ip4:192.0.2.1 ", once: the blank at its end makes the search find whole ones only. */
static void put_mechanism(struct dns_text *spf, const struct address *address)
{
    char ip[INET6_ADDRSTRLEN];
    char mechanism[sizeof("ip6: ") + INET6_ADDRSTRLEN];

    if (inet_ntop(address->family, address->bytes, ip, sizeof(ip)) == NULL) {
        return;
    }
    (void) snprintf(mechanism, sizeof(mechanism), "ip%c:%s ",
                    address->family == AF_INET ? '4' : '6', ip);
    if (!spf->failed && strstr(spf->data, mechanism) == NULL) {
        dns_text_put(spf, mechanism);
    }
}

static enum mx_code put_listener(struct dns_text *spf, const struct settings_listener *listener,
                                 struct mx_error *err)
{
    bool nat = listener->nat_ip_count > 0;
    const char **ips = nat ? listener->nat_ips : listener->ips;
    size_t count = nat ? listener->nat_ip_count : listener->ip_count;

    for (size_t i = 0; i < count; i++) {
        struct address address;

        if (!parse_address(ips[i], &address)) {
            return mx_fail(err, MX_INTERNAL, "listener \"%s\" has \"%s\", which is no IP address",
                           listener->name, ips[i]);
        }
        if (is_public(&address)) {
            put_mechanism(spf, &address);
        }
    }
    return MX_OK;
}

char *dns_spf(struct arena *arena, const struct settings *settings, struct mx_error *err)
{
    struct dns_text spf = { .arena = arena };
    char *text;

    dns_text_put(&spf, "v=spf1 ");
    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct settings_listener *listener = &settings->listeners[i];

        /* Behind a NAT of unknown addresses: what the listener is bound to is not what others
         * see. */
        if (!listener->smtp || listener->ips_nated) {
            continue;
        }
        if (put_listener(&spf, listener, err) != MX_OK) {
            return NULL;
        }
    }
    dns_text_put(&spf, "mx ~all");
    text = dns_text_take(&spf);
    if (text == NULL) {
        (void) mx_fail(err, MX_RESOURCE_EXHAUSTED, "the call needs more memory than it may have");
    }
    return text;
}
