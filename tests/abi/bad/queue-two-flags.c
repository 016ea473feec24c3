// SPDX-License-Identifier: Apache-2.0
// A queue that is VOLATILE and STABLE.
#include "base_queue.h"

static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, BFR_KIND_QUEUE,     "queue-two-flags",     "1.0.0",
    "Holds nothing", .life = &good_life, .vtable = &good_queue, .flags = BFR_FLAG_VOLATILE | BFR_FLAG_STABLE};
ENTRY(plugin)
