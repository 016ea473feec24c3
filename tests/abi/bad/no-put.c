// SPDX-License-Identifier: Apache-2.0
// A sink that leaves put empty.
#include "base.h"

static const struct bfr_sink_vtable sink = {.size = sizeof sink};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("no-put"), .life = &good_life, .vtable = &sink};
ENTRY(plugin)
