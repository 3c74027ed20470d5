/* Changes as people read them: which records, and which of their fields. */
#pragma once

#include <stdio.h>

#include <mxadm/mxadm.h>

/* A change with its records, each on a line, and of those that were updated the fields:
 *
 *   revision 12  2026-01-02T03:04:05Z  uid:0  AccountSave
 *     ~ account alice
 *         full-name: "Alice" -> "Alice A."
 */
void change_print(FILE *out, const Mxadm__V1__Change *change);

/* The same records without their change. */
void change_print_records(FILE *out, Mxadm__V1__RecordChange *const *records, size_t count);

/* "account alice" */
void change_print_name(FILE *out, const Mxadm__V1__Record *record);

/* A message as one line of JSON. */
void change_print_json(FILE *out, const ProtobufCMessage *message);
