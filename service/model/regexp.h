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

/*
 * About how many microseconds compiling it takes at most, said without compiling: a byte 1, a class
 * of Unicode ("\pL") 1,200, what is repeated by count so many times as much; never less than it
 * has bytes. RE2's limit on memory ends each, so that no weight is beyond some 100,000. For who
 * compiles many, to refuse what would take too long.
 */
size_t regexp_weight(const char *text);

#ifdef __cplusplus
}
#endif
