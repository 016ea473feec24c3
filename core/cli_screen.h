// SPDX-License-Identifier: Apache-2.0
// The terminal as a screen of our own: the alternate one, keys as they are pressed, no cursor. Whatever ends the process but
// SIGKILL gives the terminal back as it was. [main]
#ifndef BFR_CORE_CLI_SCREEN_H
#define BFR_CORE_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

// Standard input and output must be terminals. False: they cannot be used so.
bool bfr_cli_screen_enter(void);
void bfr_cli_screen_leave(void);
void bfr_cli_screen_size(unsigned *out_width, unsigned *out_height);
// Lines in the place of what is shown; each must fit. False: the terminal has gone.
bool bfr_cli_screen_show(const char *text, size_t size);

#endif
