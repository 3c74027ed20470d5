/*
 * A gate before a backend: counts its commits, and can be shut, so that a test
 * decides when the disk answers. What it lets through, and all other verbs, is
 * the backend's behind it.
 */
#pragma once

#include "store/backend.h"

struct backend_gate;

/* Takes `behind` over. Aborts when out of memory: it is a test. */
struct backend *backend_gate_create(struct backend *behind, struct backend_gate **gate_out);

/* Commits wait from now on; or go on. Open it before the backend is closed. */
void backend_gate_shut(struct backend_gate *gate);
void backend_gate_open(struct backend_gate *gate);

/* Returns when a commit waits at the shut gate. False: none came within a minute. */
bool backend_gate_await(struct backend_gate *gate);

/* Commits so far, of whatever result. */
unsigned backend_gate_commits(struct backend_gate *gate);
