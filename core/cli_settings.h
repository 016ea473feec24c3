// SPDX-License-Identifier: Apache-2.0
// The configuration that `run` would use, for commands that look something up in it. [main]
#ifndef BFR_CORE_CLI_SETTINGS_H
#define BFR_CORE_CLI_SETTINGS_H

#include "cli.h"

// The core's settings are filled, no stage is bound. NULL after errors have been said on stderr.
struct bfr_config *bfr_cli_settings_read(const struct bfr_cli *cli);

#endif
