// SPDX-License-Identifier: Apache-2.0
// Options shorter than ABI 1.0 has them.
#include "base.h"

static const struct bfr_option options[] = {{.name = "room", .type = BFR_OPTION_SIZE, .help = "how much"}};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("short-option"), options, 1, sizeof(void *),
                                         GOOD_TABLES};
ENTRY(plugin)
