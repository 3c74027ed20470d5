/*
 * Unicode as names need it: code points, normalisation, letter case, IDNA. The
 * one file with ICU, chosen over libidn2 because that refuses emoji domains,
 * which real configurations have, and drops forbidden characters instead of
 * refusing them.
 *
 * Any thread; nothing is kept but ICU's own read-only tables.
 */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point at `*cursor`, which moves behind it; 0 at the end, where it stays; -1 if the
 * bytes are not UTF-8, and `*cursor` moves by at least one. */
int32_t unicode_next(const char **cursor);

bool unicode_is_ascii(const char *text);
bool unicode_is_valid(const char *text);

/* U+0000-001F, U+007F-009F. */
bool unicode_is_control(int32_t character);
/* U+2028 and U+2029, which end a line as a newline does. */
bool unicode_is_line_end(int32_t character);
/* Invisible marks that turn the direction of the text around them. */
bool unicode_is_bidi_control(int32_t character);
/* U+FFFE and the like: never a character. */
bool unicode_is_noncharacter(int32_t character);

bool unicode_is_mark(int32_t character);
/* Letters, marks, numbers and symbols that can be seen. */
bool unicode_is_visible(int32_t character);

/*
 * Below: valid UTF-8 only, and of a length that the caller has bounded; reordering many
 * combining marks takes time quadratic in their number. NULL: the arena is at its limit.
 */

/* Normalisation form C; may be `text` itself. */
const char *unicode_nfc(struct arena *arena, const char *text);

/* Simple lower case, a code point for a code point, without locale; may be `text` itself. */
const char *unicode_lower(struct arena *arena, const char *text);

/* Room that unicode_idna() writes into. A name of 253 bytes has a Unicode form of less. */
#define UNICODE_IDNA_SIZE 1024

/*
 * UTS #46, non-transitional, with STD3, hyphen, joiner and Bidi checks and DNS lengths. Both forms
 * are written. NULL when good, else a clause that says what is wrong; static.
 */
const char *unicode_idna(const char *text, char ascii[UNICODE_IDNA_SIZE],
                         char unicode[UNICODE_IDNA_SIZE]);
