// SPDX-License-Identifier: Apache-2.0
// `tail` and `top`: a running daemon, watched through its API. [main]
#ifndef BFR_CORE_CLI_WATCH_H
#define BFR_CORE_CLI_WATCH_H

#include <stdio.h>

#include "cli.h"

// Is `word` one of them?
bool bfr_cli_watch_known(const char *word);
// Run it: cli->argv begins with that word, what follows are its own options. Returns an enum bfr_exit.
int bfr_cli_watch_run(struct bfr_cli *cli);
// A line for each in the list of commands.
void bfr_cli_watch_help(FILE *stream);

// What the options came to.
struct bfr_watch {
    const struct bfr_cli *cli;
    const char *api;              // NULL: the configuration says
    const char *tenant, *dataset; // tail; NULL: any
    bool json;                    // tail
    bool once;                    // top
    unsigned interval_s;          // top
};

int bfr_cli_tail_run(const struct bfr_watch *watch);
int bfr_cli_top_run(const struct bfr_watch *watch);

#endif
