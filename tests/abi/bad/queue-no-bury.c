// SPDX-License-Identifier: Apache-2.0
// A queue that cannot bury.
#include "base_queue.h"

static const struct bfr_queue_vtable queue = {sizeof queue, .consumers = consumers, .put = good_put, .lease = lease,
                                              .ack = ack,   .nack = nack,           .stats = stats};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, BFR_KIND_QUEUE,     "queue-no-bury",  "1.0.0",
    "Holds nothing", .life = &good_life, .vtable = &queue, .flags = BFR_FLAG_VOLATILE};
ENTRY(plugin)
