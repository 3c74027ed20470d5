/*
 * Numbers as a settings file writes them: plain, as a duration ("250ms", "30s",
 * "5m", "24h") and as a size ("512KiB", "4MiB", "1GiB", or bytes).
 *
 * Strict, so that nothing is guessed: decimal digits without sign or leading
 * zero, one unit directly behind, nothing else. A zero needs no unit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool value_parse_number(const char *text, uint64_t *number_out);
bool value_parse_duration(const char *text, uint64_t *ms_out);
bool value_parse_size(const char *text, uint64_t *bytes_out);

/* Room for the longest text below. */
#define VALUE_TEXT_SIZE 32

/* In the largest unit that divides it. */
void value_format_number(uint64_t number, char text[VALUE_TEXT_SIZE]);
void value_format_duration(uint64_t ms, char text[VALUE_TEXT_SIZE]);
void value_format_size(uint64_t bytes, char text[VALUE_TEXT_SIZE]);
