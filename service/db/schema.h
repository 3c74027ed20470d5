/*
 * The schema of the database, embedded from the files in schema/ by embed.cmake.
 */
#pragma once

/* "mxad": says in the file's header whose it is (PRAGMA application_id). */
#define SCHEMA_APPLICATION_ID 0x6d786164

/* Step i brings a database from version i to i + 1; a new file is version 0. */
extern const char *const schema_steps[];
/* The version after all steps. */
extern const int schema_newest;
