// SPDX-License-Identifier: Apache-2.0
// The API of a running daemon, asked from the command line. [main]
#ifndef BFR_CORE_CLI_API_H
#define BFR_CORE_CLI_API_H

#include <jansson.h>

#include "cli.h"

struct bfr_cli_api; // a connection to one daemon

// `url` NULL: where the configuration has its API. The token is RECEIVER_ADMIN_TOKEN, else that of the configuration if that
// was read. An enum bfr_exit; unless it is OK, what is wrong has been said.
int bfr_cli_api_open(const struct bfr_cli *cli, const char *url, struct bfr_cli_api **out);
void bfr_cli_api_close(struct bfr_cli_api *api); // NULL is allowed

// One request; `body` NULL: GET, else POST. The reply to a status of 200, or NULL after having said why not.
json_t *bfr_cli_api_call(struct bfr_cli_api *api, const char *path, const json_t *body);

// `text` as part of a path or a query; free it with bfr_cli_api_release.
char *bfr_cli_api_escape(struct bfr_cli_api *api, const char *text);
void bfr_cli_api_release(char *escaped);

#endif
