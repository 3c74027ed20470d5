/*
 * Fields of requests as names: parsed, or reported as a field violation that
 * shows the value. False: reported.
 */
#pragma once

#include "model/record.h"

bool field_domain(struct model *model, const char *field, const char *text,
                  struct name_domain *out);
bool field_selector(struct model *model, const char *field, const char *text,
                    struct name_domain *out);
bool field_account(struct model *model, const char *field, const char *text, const char **name_out);
bool field_localpart(struct model *model, const char *field, const char *text,
                     const char **value_out);
/* "localpart@domain"; "@domain" too if `catchall`. */
bool field_address(struct model *model, const char *field, const char *text, bool catchall,
                   struct name_address *out);
