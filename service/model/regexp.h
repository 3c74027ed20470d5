/*
 * Regular expressions: whether one compiles in the syntax of RE2, which is what
 * mail hosts match with (mox is written in Go). RE2 works without backtracking:
 * no expression takes exponential time, and its memory is bounded.
 *
 * The one file behind this is C++, since RE2 is; nothing else of it shows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Longest expression, in bytes; the caller's to check. */
#define REGEXP_MAX 1024

/* Whether it compiles; if not, `why` gets RE2's words, cut at `size`. */
bool regexp_compiles(const char *text, char *why, size_t size);

#ifdef __cplusplus
}
#endif
