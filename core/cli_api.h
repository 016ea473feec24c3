// SPDX-License-Identifier: Apache-2.0
// The API of a running daemon, asked from the command line. [main]
#ifndef BFR_CORE_CLI_API_H
#define BFR_CORE_CLI_API_H

#include <poll.h>

#include <jansson.h>

#include "cli.h"

struct bfr_cli_api; // a connection to one daemon

// `url` NULL: where the configuration has its API. The token is RECEIVER_ADMIN_TOKEN, else that of the configuration if that
// was read. An enum bfr_exit; unless it is OK, what is wrong has been said.
int bfr_cli_api_open(const struct bfr_cli *cli, const char *url, struct bfr_cli_api **out);
void bfr_cli_api_close(struct bfr_cli_api *api); // NULL is allowed

// One request; `body` NULL: GET, else POST. The reply to a status of 200, or NULL after having said why not.
json_t *bfr_cli_api_call(struct bfr_cli_api *api, const char *path, const json_t *body);

// A GET that goes on while its caller does other things. One at a time. The body of a reply of status 200 goes to `take`, which
// returns false to end it; with NULL it is kept for bfr_cli_api_result. False: memory is short.
typedef bool bfr_cli_api_take(void *arg, const char *bytes, size_t size);
bool bfr_cli_api_begin(struct bfr_cli_api *api, const char *path, bfr_cli_api_take *take, void *arg);
// Until it has ended, one of `fds` is ready (poll(2)) or the time is over; negative: no limit. True: it has ended, or none was
// begun.
bool bfr_cli_api_wait(struct bfr_cli_api *api, struct pollfd *fds, size_t count, int timeout_ms);
// Let go of what has not ended; nothing happens when there is nothing.
void bfr_cli_api_cancel(struct bfr_cli_api *api);
// What was kept of one that has ended, as JSON; NULL with the reason in `error`.
json_t *bfr_cli_api_result(struct bfr_cli_api *api, char *error, size_t room);
// Was its reply of status 200 complete? False with the reason in `error`.
bool bfr_cli_api_complete(struct bfr_cli_api *api, char *error, size_t room);
const char *bfr_cli_api_place(const struct bfr_cli_api *api); // its URL

// `place`, which ends with '?' or '&', and behind it the query for what is of `tenant` and `dataset`; NULL: any. False: it has no
// room in `out`, or memory is short.
bool bfr_cli_api_select(struct bfr_cli_api *api, const char *place, const char *tenant, const char *dataset, char *out,
                        size_t room);

// `text` as part of a path or a query; free it with bfr_cli_api_release.
char *bfr_cli_api_escape(struct bfr_cli_api *api, const char *text);
void bfr_cli_api_release(char *escaped);

#endif
