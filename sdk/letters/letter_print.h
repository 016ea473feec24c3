// SPDX-License-Identifier: Apache-2.0
// Dead letters on standard output, for `dlq ls` and `dlq show`: from a directory and from a running daemon alike.
#ifndef BFR_LETTER_PRINT_H
#define BFR_LETTER_PRINT_H

#include <stdbool.h>

#include <jansson.h>

// A name or a message may come from anywhere: nothing of it moves the cursor.
void bfr_letter_print_safely(const char *text);

// As JSON on one line, without its end; false when memory is short.
bool bfr_letter_print_json(const json_t *value);

// A row of the table; the `first` one has the heading before it.
void bfr_letter_print_row(const json_t *letter, bool first);

// All fields, a line each; false when memory is short.
bool bfr_letter_print_fields(const json_t *letter);

#endif
