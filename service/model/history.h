/*
 * What the history of changes shows: who made a change, which of its records a
 * reader is let see, and these records as the contract has them.
 *
 * Words:
 *   head    who made a change, when and how (ChangeHead), in front of its edits
 *   filter  what a reader wants to see, and what it may
 *   stamp   revision and update time: what differs in nothing else is the same
 *
 * No secret leaves: a sealed private key is shown as its fingerprint, of the
 * vault's key nothing, an account without what its webhooks authorise with.
 */
#pragma once

#include "model/record.h"
#include "store/change.h"

/* All borrowed from the change. Times are packed google.protobuf.Timestamp. */
struct history_head {
    struct slice time;
    int64_t time_us;
    struct slice principal;
    struct slice method;
    struct slice request_id;
};

/* Opens a packed change and reads its head. False: damaged. */
bool history_open(struct slice change, struct history_head *head_out,
                  struct change_reader *reader_out);

struct history_filter {
    const char *domain;  /* a name; NULL: all */
    const char *account; /* NULL: all */
    /* Of who may see records of these domains only. */
    bool scoped;
    const char *const *domains;
    size_t domain_count;
    /* Where a member's account is looked up if the record does not say it. */
    const struct store_view *view;
};

/*
 * Whether the reader sees this edit. To a domain belong: itself, its selectors, keys, addresses and
 * aliases, members on either side, TLS keys that log in as one of its addresses. To an account:
 * itself, its addresses, its TLS keys, members that reach it.
 */
bool history_shows(const struct history_filter *filter, const struct backend_edit *edit);

/* A packed mxadm.v1.RecordChange, in the arena. A damaged record is reported. */
struct slice history_record_change(const struct model *model, const struct backend_edit *edit);

/* Whether two values under a key, absent ones too, are the same but for stamps. */
bool history_same(struct slice key, struct slice a, struct slice b);

/* Keys and marks that no operation of an administrator names: not counted as records. */
bool history_is_internal(enum record_kind kind);
