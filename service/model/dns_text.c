#include "model/dns_text.h"

#include "model/dns.h"

#include <stdio.h>
#include <string.h>

/* Doubling from here, a zone of some selectors takes few steps. */
#define CAPACITY_MIN ((size_t) 256)

/* Comments are wrapped so that a line with its "; " fits a terminal. */
#define COMMENT_WIDTH 76

void dns_text_put_bytes(struct dns_text *text, const char *data, size_t len)
{
    size_t needed = text->len + len + 1;

    if (text->failed) {
        return;
    }
    if (needed > text->capacity) {
        size_t capacity = needed * 2 > CAPACITY_MIN ? needed * 2 : CAPACITY_MIN;
        char *grown = arena_alloc(text->arena, capacity);

        if (grown == NULL) {
            text->failed = true;
            return;
        }
        if (text->len > 0) {
            memcpy(grown, text->data, text->len);
        }
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void dns_text_put(struct dns_text *text, const char *piece)
{
    dns_text_put_bytes(text, piece, strlen(piece));
}

char *dns_text_take(struct dns_text *text)
{
    dns_text_put(text, "");
    return text->failed ? NULL : text->data;
}

/* A byte within a quoted string. */
static void put_quoted_byte(struct dns_text *text, unsigned char byte)
{
    char escaped[sizeof("\\255")];

    if (byte == '"' || byte == '\\') {
        (void) snprintf(escaped, sizeof(escaped), "\\%c", byte);
    } else if (byte < 0x20 || byte > 0x7e) {
        (void) snprintf(escaped, sizeof(escaped), "\\%03u", (unsigned) byte);
    } else {
        (void) snprintf(escaped, sizeof(escaped), "%c", byte);
    }
    dns_text_put(text, escaped);
}

char *dns_quote(struct arena *arena, const char *value, const char *between)
{
    struct dns_text text = { .arena = arena };

    dns_text_put(&text, "\"");
    for (size_t i = 0; value[i] != '\0'; i++) {
        if (between != NULL && i > 0 && i % DNS_STRING_MAX == 0) {
            dns_text_put(&text, "\"");
            dns_text_put(&text, between);
            dns_text_put(&text, "\"");
        }
        put_quoted_byte(&text, (unsigned char) value[i]);
    }
    dns_text_put(&text, "\"");
    return dns_text_take(&text);
}

static bool is_plain_in_mailto(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("-._~+$*'", byte) != NULL);
}

char *dns_mailto_encode(struct arena *arena, const char *localpart)
{
    struct dns_text text = { .arena = arena };

    for (; *localpart != '\0'; localpart++) {
        char piece[sizeof("%2C")];

        if (is_plain_in_mailto(*localpart)) {
            (void) snprintf(piece, sizeof(piece), "%c", *localpart);
        } else {
            (void) snprintf(piece, sizeof(piece), "%%%02X", (unsigned) (unsigned char) *localpart);
        }
        dns_text_put(&text, piece);
    }
    return dns_text_take(&text);
}

/* Where the line that starts here ends: at the last blank that fits, or behind a longer word. */
static size_t line_length(const char *words)
{
    size_t fits = 0;

    for (size_t at = 0;; at++) {
        if (at > COMMENT_WIDTH && fits > 0) {
            return fits;
        }
        if (words[at] == '\0') {
            return at;
        }
        if (words[at] == ' ') {
            fits = at;
        }
    }
}

static void put_comment(struct dns_text *text, const char *words)
{
    while (*words != '\0') {
        size_t len = line_length(words);

        dns_text_put(text, "; ");
        dns_text_put_bytes(text, words, len);
        dns_text_put(text, "\n");
        words += len;
        words += *words == ' ';
    }
}

static bool is_long_text(const Mxadm__V1__DnsRecord *record)
{
    return strcmp(record->type, "TXT") == 0 && strlen(record->data) > DNS_STRING_MAX;
}

/* A long TXT record stands in parentheses, one string a line; each line of a commented-out record
 * is a comment. */
static void put_data(struct dns_text *text, const Mxadm__V1__DnsRecord *record, const char *prefix)
{
    char *strings, *between;

    if (!is_long_text(record)) {
        dns_text_put(text, record->zone_data);
        return;
    }
    between = arena_printf(text->arena, "\n%s\t", prefix);
    strings = between == NULL ? NULL : dns_quote(text->arena, record->data, between);
    if (strings == NULL) {
        text->failed = true;
        return;
    }
    dns_text_put(text, "(");
    dns_text_put(text, between);
    dns_text_put(text, strings);
    dns_text_put(text, " )");
}

static void put_record(struct dns_text *text, const Mxadm__V1__DnsRecord *record)
{
    const char *prefix = record->optional ? ";; " : "";

    dns_text_put(text, prefix);
    dns_text_put(text, record->name);
    dns_text_put(text, ". ");
    dns_text_put(text, record->type);
    dns_text_put(text, " ");
    put_data(text, record, prefix);
    dns_text_put(text, "\n");
}

static void put_head(struct dns_text *text, const char *domain)
{
    char ttl[64];

    (void) snprintf(ttl, sizeof(ttl), "$TTL %d\n", DNS_TTL);
    dns_text_put(text, "; DNS records for mail of ");
    dns_text_put(text, domain);
    dns_text_put(text, ".\n");
    put_comment(text, "The time to live is short, so that mistakes are soon forgotten. Raise it "
                      "once all works.");
    dns_text_put(text, ttl);
}

char *dns_zone(struct arena *arena, const char *domain, Mxadm__V1__DnsRecord *const *records,
               size_t count, const char *const *remarks, size_t remark_count)
{
    struct dns_text text = { .arena = arena };
    const char *comment = "";

    put_head(&text, domain);
    for (size_t i = 0; i < count; i++) {
        /* Records with one purpose follow each other and have their comment once. */
        if (strcmp(records[i]->comment, comment) != 0) {
            comment = records[i]->comment;
            dns_text_put(&text, "\n");
            put_comment(&text, comment);
        }
        put_record(&text, records[i]);
    }
    for (size_t i = 0; i < remark_count; i++) {
        dns_text_put(&text, "\n");
        put_comment(&text, remarks[i]);
    }
    return dns_text_take(&text);
}
