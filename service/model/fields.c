#include "model/fields.h"

static bool report(struct model *model, const char *field, const char *text, const char *wrong)
{
    if (wrong == NULL) {
        return true;
    }
    if (text[0] == '\0') {
        status_field(model->status, field, "is required");
    } else {
        status_field(model->status, field, "%s %s", name_show(model->arena, text), wrong);
    }
    return false;
}

bool field_domain(struct model *model, const char *field, const char *text, struct name_domain *out)
{
    return report(model, field, text, name_parse_domain(model->arena, text, out));
}

bool field_selector(struct model *model, const char *field, const char *text,
                    struct name_domain *out)
{
    return report(model, field, text, name_parse_selector(model->arena, text, out));
}

bool field_account(struct model *model, const char *field, const char *text, const char **name_out)
{
    return report(model, field, text, name_parse_account(model->arena, text, name_out));
}

bool field_localpart(struct model *model, const char *field, const char *text,
                     const char **value_out)
{
    return report(model, field, text, name_parse_localpart(model->arena, text, value_out));
}

bool field_address(struct model *model, const char *field, const char *text, bool catchall,
                   struct name_address *out)
{
    return report(model, field, text, name_parse_address(model->arena, text, catchall, out));
}
