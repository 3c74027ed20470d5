#include "model/alias.h"

#include "model/address.h"
#include "model/check.h"
#include "model/fields.h"

const char *const alias_fixed[] = {
    "address", "canonical_address", "domain", "revision", "create_time", "update_time", NULL,
};

bool alias_check(struct model *model, const Mxadm__V1__Alias *alias, const char *path)
{
    struct name_address address;

    return field_address(model, check_path(model, "%s.address", path), alias->address, false,
                         &address);
}

struct record_key alias_key(struct model *model, const Mxadm__V1__Domain *domain,
                            const struct name_address *address)
{
    return record_key(RECORD_ALIAS, domain->name, address_localpart(model, domain, address));
}
