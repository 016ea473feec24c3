// SPDX-License-Identifier: Apache-2.0
// `dlq ls|show|retry|purge`: dead letters, of a running daemon or in a directory. [main]
#ifndef BFR_CORE_CLI_DLQ_H
#define BFR_CORE_CLI_DLQ_H

#include "cli.h"

#define BFR_CLI_DLQ_WORD "dlq"

// cli->argv begins with the word. Returns an enum bfr_exit.
int bfr_cli_dlq_run(struct bfr_cli *cli);

#endif
