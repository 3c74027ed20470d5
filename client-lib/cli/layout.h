/*
 * What a person expects beyond what the descriptors say: which fields may be
 * given without a flag, which columns a table has, what is printed as it is.
 * An operation or record without a row here works too.
 */
#pragma once

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

#define LAYOUT_FIELDS_MAX 6

/* Paths of the fields that positional arguments fill, in order, NULL-terminated; a repeated one
 * takes all that are left. `buffer` is used where there is no row. */
const char *const *layout_positionals(const ProtobufCMethodDescriptor *method,
                                      const char *buffer[LAYOUT_FIELDS_MAX]);

/* Whether such records are shown as a table among other fields, too. */
bool layout_is_table(const ProtobufCMessageDescriptor *record);

/* Paths of the columns of a table of such records, NULL-terminated. */
const char *const *layout_columns(const ProtobufCMessageDescriptor *record,
                                  const char *buffer[LAYOUT_FIELDS_MAX]);

/* Names of the response's text fields that are printed as they are, nothing else with them; NULL:
 * none. */
const char *const *layout_raw(const ProtobufCMethodDescriptor *method);
