// SPDX-License-Identifier: Apache-2.0
// `dlq ls|show|retry|purge` of a running daemon. [main]
#ifndef BFR_CORE_CLI_DLQ_API_H
#define BFR_CORE_CLI_DLQ_API_H

#include "cli.h"

// cli->argv begins with "dlq". Returns an enum bfr_exit.
int bfr_cli_dlq_api_run(struct bfr_cli *cli);

#endif
