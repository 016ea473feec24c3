// SPDX-License-Identifier: Apache-2.0
// Commands that plugins bring along (bfr/tool.h): `spool ls` and its like. The daemon knows only whose the first word is. [main]
#ifndef BFR_CORE_CLI_TOOLS_H
#define BFR_CORE_CLI_TOOLS_H

#include <stdio.h>

#include "cli.h"

// Does `word` begin a command of a plugin?
bool bfr_cli_tool_known(const char *word);

// Run it: cli->argv begins with that word, and what follows the words belongs to the tool, but for --plugin-dir and
// --config. Returns an enum bfr_exit.
int bfr_cli_tool_run(struct bfr_cli *cli);

// A line for each such word in the list of commands.
void bfr_cli_tool_help(FILE *stream);

#endif
