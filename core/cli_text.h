// SPDX-License-Identifier: Apache-2.0
// Text from somewhere else on a terminal: nothing of it moves the cursor, and it takes the columns that it is given. [main]
#ifndef BFR_CORE_CLI_TEXT_H
#define BFR_CORE_CLI_TEXT_H

#include <stdbool.h>
#include <stdio.h>

// Ask the environment whether UTF-8 may be written, and let wcwidth(3) know the columns of its characters. Without this call, or
// when it may not, what is not ASCII is shown as '?'. True: it may.
bool bfr_cli_text_init(void);

// Print `text` in `width` columns at most, cut with a '~'. Returns the columns.
unsigned bfr_cli_text_fit(FILE *out, const char *text, unsigned width);

// Print `text` in exactly `width` columns, cut with a '~' or padded; 0: as many as it takes. Returns the columns.
unsigned bfr_cli_text_print(FILE *out, const char *text, unsigned width);

#endif
