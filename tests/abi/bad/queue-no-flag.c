// SPDX-License-Identifier: Apache-2.0
// A queue that does not say whether it survives a crash.
#include "base_queue.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, BFR_KIND_QUEUE,     "queue-no-flag",      "1.0.0",
                                         "Holds nothing", .life = &good_life, .vtable = &good_queue};
ENTRY(plugin)
