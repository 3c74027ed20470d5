#include "model/dns_builder.h"

#include "model/dns_text.h"
#include "model/names.h"
#include "settings/settings.h"

#include <assert.h>
#include <string.h>

/* Records that any domain has at most, besides those for each TLS key and selector. */
#define FIXED_RECORDS 24

const char *dns_format(struct dns_builder *builder, const char *pattern, ...)
{
    va_list args;
    const char *text;

    va_start(args, pattern);
    text = arena_vprintf(builder->arena, pattern, args);
    va_end(args);
    if (text == NULL) {
        builder->failed = true;
        return "";
    }
    return text;
}

bool dns_reserve_records(struct dns_builder *builder)
{
    const struct settings *settings = builder->input->settings;

    builder->capacity = FIXED_RECORDS + builder->input->selector_count;
    for (size_t i = 0; i < settings->listener_count; i++) {
        builder->capacity += settings->listeners[i].tlsa_count;
    }
    builder->records = arena_alloc(builder->arena, builder->capacity * sizeof(*builder->records));
    return builder->records != NULL;
}

void dns_remark(struct dns_builder *builder, const char *sentence)
{
    assert(builder->remark_count < DNS_REMARKS_MAX);
    builder->remarks[builder->remark_count++] = sentence;
}

Mxadm__V1__DnsRecord *dns_make_record(struct arena *arena, const char *type, const char *name,
                                      const char *data, const char *comment)
{
    Mxadm__V1__DnsRecord *record = arena_alloc(arena, sizeof(*record));
    const char *zone_data = strcmp(type, "TXT") == 0 ? dns_quote(arena, data, " ") : data;

    if (record == NULL || zone_data == NULL) {
        return NULL;
    }
    mxadm__v1__dns_record__init(record);
    /* protobuf-c's fields are not const; nobody writes through them. */
    record->name = (char *) name;
    record->ttl = DNS_TTL;
    record->type = (char *) type;
    record->data = (char *) data;
    record->zone_data = (char *) zone_data;
    record->comment = (char *) comment;
    return record;
}

void dns_add_record(struct dns_builder *builder, Mxadm__V1__DnsRecord *record)
{
    if (record == NULL) {
        builder->failed = true;
    } else if (strlen(record->name) > NAME_DOMAIN_MAX) {
        builder->left_out++;
    } else {
        assert(builder->count < builder->capacity);
        builder->records[builder->count++] = record;
    }
}

void dns_add(struct dns_builder *builder, const char *type, const char *name, const char *data,
             const char *comment)
{
    dns_add_record(builder, dns_make_record(builder->arena, type, name, data, comment));
}

void dns_add_optional(struct dns_builder *builder, const char *type, const char *name,
                      const char *data, const char *comment)
{
    Mxadm__V1__DnsRecord *record = dns_make_record(builder->arena, type, name, data, comment);

    if (record != NULL) {
        record->optional = true;
    }
    dns_add_record(builder, record);
}

void dns_add_alias(struct dns_builder *builder, const char *name, const char *comment)
{
    if (strcmp(name, builder->host) == 0 || strcmp(name, builder->domain) == 0) {
        return;
    }
    for (size_t i = 0; i < builder->count; i++) {
        if (strcmp(builder->records[i]->type, "CNAME") == 0 &&
            strcmp(builder->records[i]->name, name) == 0) {
            return;
        }
    }
    dns_add(builder, "CNAME", name, dns_format(builder, "%s.", builder->host), comment);
}
