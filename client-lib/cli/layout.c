#include "layout.h"

#include <string.h>

struct row {
    const char *name;
    const char *fields[LAYOUT_FIELDS_MAX];
};

static const struct row positionals[] = {
    { "DomainSave", { "domain.name" } },
    { "DomainTemplate", { "domain", "account" } },
    { "DKIMAdd", { "domain", "selector" } },
    { "DKIMRemove", { "domain", "selector" } },
    { "DKIMSave", { "dkim_selector.domain", "dkim_selector.name" } },
    { "DKIMKeyExport", { "domain", "selector" } },
    { "AccountAdd", { "account", "address" } },
    { "AccountSave", { "account.name" } },
    { "AccountTemplate", { "account", "address" } },
    { "AddressAdd", { "address", "account" } },
    { "AddressSave", { "address.address" } },
    { "AliasAdd", { "address", "members" } },
    { "AliasUpdate", { "alias.address" } },
    { "AliasAddressesAdd", { "address", "members" } },
    { "AliasAddressesRemove", { "address", "members" } },
    { "TLSPublicKeyAdd", { "certificate", "login_address" } },
    { "TLSPublicKeyUpdate", { "tls_public_key.fingerprint" } },
    { "ConfigRollback", { "revision" } },
    { "ConfigDiff", { "from_revision", "to_revision" } },
    { "ChangeList", { "after_revision" } },
};

static const struct row columns[] = {
    { "Domain", { "name", "disabled", "dmarc.account", "description" } },
    { "DkimSelector", { "name", "state", "algorithm", "hash", "expiration" } },
    { "Account", { "name", "domain", "full_name", "login_disabled" } },
    { "Address", { "address", "account", "kind", "mailbox" } },
    { "Alias", { "address", "post_public", "list_members", "allow_msg_from" } },
    { "AliasMember", { "address", "account" } },
    { "TlsPublicKey", { "fingerprint", "type", "name", "account", "login_address" } },
    { "DnsRecord", { "name", "ttl", "type", "zone_data" } },
    { "Change", { "revision", "time", "principal", "method" } },
    { "KeyPoolInfo", { "algorithm", "ready", "low_water", "high_water", "waiting" } },
};

static const struct row raws[] = {
    { "DomainRecords", { "zone" } },
    { "DKIMKeyMake", { "private_key", "record" } },
    { "DKIMKeyExport", { "private_key" } },
    { "ConfigExport", { "yaml" } },
};

static const char *const *find(const struct row *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i].fields;
        }
    }
    return NULL;
}

#define FIND(rows, name) find(rows, sizeof(rows) / sizeof(rows[0]), name)

/* Without a row: the first field, if it is a single text. */
const char *const *layout_positionals(const ProtobufCMethodDescriptor *method,
                                      const char *buffer[LAYOUT_FIELDS_MAX])
{
    const char *const *fields = FIND(positionals, method->name);
    if (fields != NULL) {
        return fields;
    }
    const ProtobufCMessageDescriptor *request = method->input;
    buffer[0] = buffer[1] = NULL;
    if (request->n_fields > 0 && request->fields[0].type == PROTOBUF_C_TYPE_STRING &&
        request->fields[0].label != PROTOBUF_C_LABEL_REPEATED) {
        buffer[0] = request->fields[0].name;
    }
    return buffer;
}

bool layout_is_table(const ProtobufCMessageDescriptor *record)
{
    return FIND(columns, record->short_name) != NULL;
}

/* Without a row: the first few single values. */
const char *const *layout_columns(const ProtobufCMessageDescriptor *record,
                                  const char *buffer[LAYOUT_FIELDS_MAX])
{
    const char *const *fields = FIND(columns, record->short_name);
    if (fields != NULL) {
        return fields;
    }
    size_t count = 0;
    for (unsigned i = 0; i < record->n_fields && count < LAYOUT_FIELDS_MAX - 1; i++) {
        const ProtobufCFieldDescriptor *field = &record->fields[i];
        if (field->label != PROTOBUF_C_LABEL_REPEATED && field->type != PROTOBUF_C_TYPE_MESSAGE &&
            field->type != PROTOBUF_C_TYPE_BYTES) {
            buffer[count++] = field->name;
        }
    }
    buffer[count] = NULL;
    return buffer;
}

const char *const *layout_raw(const ProtobufCMethodDescriptor *method)
{
    return FIND(raws, method->name);
}
