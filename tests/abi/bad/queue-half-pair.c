// SPDX-License-Identifier: Apache-2.0
// A queue that reserves room and never gives it back.
#include "base_queue.h"

static uint32_t reserve(void *self, const char *tenant, uint64_t bytes)
{
    (void)self;
    (void)tenant;
    (void)bytes;
    return BFR_ROOM_OK;
}

static const struct bfr_queue_vtable queue = {sizeof queue, GOOD_QUEUE_SLOTS, .reserve = reserve};
static const struct bfr_plugin plugin = {
    BFR_PLUGIN_HEAD, BFR_KIND_QUEUE,     "queue-half-pair", "1.0.0",
    "Holds nothing", .life = &good_life, .vtable = &queue,  .flags = BFR_FLAG_VOLATILE};
ENTRY(plugin)
