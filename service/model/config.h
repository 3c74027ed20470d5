/*
 * Settings of the whole configuration: one record, absent until it is first
 * saved (mox-behaviour 2.1, 2.13, 3.2, 3.9, 3.10).
 */
#pragma once

#include "model/record.h"
#include "mxadm/v1/model.pb-c.h"

/* Fields that a Save leaves alone; ended by NULL. */
extern const char *const config_fixed[];

/* Whether its own values are good, and what they name of the settings: what is wrong is reported
 * below `path`. */
bool config_check(struct model *model, const Mxadm__V1__Config *config, const char *path);

/* Makes names in it what records hold: to be done before the check and before storing. */
void config_normalise(struct model *model, Mxadm__V1__Config *config);

/* The packed record; an empty one if there is none. Borrowed from the view. */
struct slice config_get(const struct model *model);

/* Stores the settings as `after` after all checks; what is wrong is reported below `path`. `before`
 * is what is stored. Returns what is stored then. */
struct slice config_save(struct model *model, const Mxadm__V1__Config *before,
                         Mxadm__V1__Config *after, const char *path);
