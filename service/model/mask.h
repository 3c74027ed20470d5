/*
 * Field masks of Save operations (google.protobuf.FieldMask, AIP-134): which
 * fields of the request's record are taken over.
 *
 * A path is a field's name, or names joined by dots through messages that are
 * not repeated: "description", "dmarc.mailbox". "*" stands for all fields. A
 * list is taken over as a whole. A path below a message that the request's
 * record does not have clears that field; a message that then has nothing set
 * stays, if the stored record had it.
 */
#pragma once

#include "model/record.h"

#include <google/protobuf/field_mask.pb-c.h>

/* Paths in one mask: far more than any record has fields. */
#define MASK_PATHS_MAX 100

/*
 * Takes the masked fields of `from` over into `to`, which is of the same type. Neither is copied
 * deeply: `to` borrows from `from` afterwards, messages on the way to a path are copied first.
 * Fields named in `fixed` (ended by NULL: those that identify the record or that the server makes)
 * are left alone, also if the mask names them. Reports what is wrong with the mask, as
 * "update_mask" or "update_mask.paths[N]", and returns false.
 */
bool mask_apply(struct model *model, const Google__Protobuf__FieldMask *mask,
                const char *const *fixed, const ProtobufCMessage *from, ProtobufCMessage *to);
