// SPDX-License-Identifier: Apache-2.0
// A sink with the flag of a queue.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("stray-flag"), GOOD_TABLES,
                                         .flags = BFR_FLAG_STABLE};
ENTRY(plugin)
