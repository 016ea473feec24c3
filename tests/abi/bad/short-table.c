// SPDX-License-Identifier: Apache-2.0
// A table whose declared size ends before put, although put is filled.
#include "base.h"

static const struct bfr_sink_vtable sink = {.size = sizeof(uint32_t), .put = good_put};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("short-table"), .life = &good_life,
                                         .vtable = &sink};
ENTRY(plugin)
