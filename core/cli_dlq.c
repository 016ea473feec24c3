// SPDX-License-Identifier: Apache-2.0
// Whom `dlq` asks: with --dir the plugin that knows the directory does the work, and no daemon may run there. A running daemon
// has the directory to itself and is asked through its API.
#include "cli_dlq.h"

#include <stdio.h>
#include <string.h>

#include "cli_dlq_api.h"
#include "cli_tools.h"

static bool has_option(const struct bfr_cli *cli, const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; i < cli->argc; i++)
        if (strncmp(cli->argv[i], name, length) == 0 && (cli->argv[i][length] == '\0' || cli->argv[i][length] == '='))
            return true;
    return false;
}

static int print_help(struct bfr_cli *cli)
{
    int code = bfr_cli_tool_run(cli);
    puts(
        "Without --dir the dead letters of a running daemon are meant: --api URL says where its API is (default: where "
        "the\nconfiguration has it), RECEIVER_ADMIN_TOKEN is the token.");
    return code;
}

int bfr_cli_dlq_run(struct bfr_cli *cli)
{
    if (has_option(cli, "--help"))
        return print_help(cli);
    return has_option(cli, "--dir") ? bfr_cli_tool_run(cli) : bfr_cli_dlq_api_run(cli);
}
