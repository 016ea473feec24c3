// SPDX-License-Identifier: Apache-2.0
// Whom `dlq` asks: with --dir the plugin that knows the directory does the work, and no daemon may run there. A running daemon
// has the directory to itself and is asked through its API.
#include "cli_dlq.h"

#include <stdio.h>
#include <string.h>

#include "app.h"
#include "cli_tools.h"

static bool has_option(const struct bfr_cli *cli, const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; i < cli->argc; i++)
        if (strncmp(cli->argv[i], name, length) == 0 && (cli->argv[i][length] == '\0' || cli->argv[i][length] == '='))
            return true;
    return false;
}

int bfr_cli_dlq_run(struct bfr_cli *cli)
{
    if (has_option(cli, "--dir") || has_option(cli, "--help"))
        return bfr_cli_tool_run(cli);
    fprintf(stderr, "bytefreezer-receiver: 'dlq' needs --dir DIR, the directory of a stopped daemon's disk queue; see "
                    "'bytefreezer-receiver dlq --help'\n");
    return BFR_EXIT_USAGE;
}
