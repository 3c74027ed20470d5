/*
 * Whether a configuration holds together: all rules about records and about what
 * they refer to, and that indexes are what a rebuild gives.
 *
 * The operations check what they touch, each in its own way (domain_save(),
 * address_remove(), ...). This says the same from the other side, record by
 * record, for who writes many records at once (ConfigApply, ConfigRollback) and
 * for tests, which hold both against each other.
 *
 * Words:
 *   problem    something wrong with one record, or with what it refers to
 *   dependant  a record that refers to another: it is looked at again when the
 *              other changes or goes
 *
 * Memory: a record without a problem leaves nothing in the model's arena, so that a walk over a
 * million records needs that of one.
 */
#pragma once

#include "model/record.h"

struct consistency_problem {
    struct slice key;     /* of the record (or index entry) that is wrong; borrowed for the call */
    const char *field;    /* path within it, "routes[0].transport"; "" for the record as a whole */
    const char *sentence; /* what is wrong, by name; in the model's arena */
};

/* False: enough, stop. */
typedef bool (*consistency_fn)(void *context, const struct consistency_problem *problem);

/*
 * One record of the view: its values, what it refers to, and what its kind demands of others (an
 * alias has a member, ...). `packed` is its value. True: no problem.
 */
bool consistency_check_record(struct model *model, struct slice key, struct slice packed,
                              consistency_fn problem, void *context);

/*
 * What the open request of model->draft has changed: each record it wrote, and each dependant of a
 * record that it changed or removed, found through the indexes; never the whole configuration,
 * unless all of it was changed. A record may be reported more than once. True: no problem.
 */
bool consistency_check_changes(struct model *model, consistency_fn problem, void *context);

/* Every record of the view, and every index entry against a rebuild. True: no problem. */
bool consistency_check_all(struct model *model, consistency_fn problem, void *context);
