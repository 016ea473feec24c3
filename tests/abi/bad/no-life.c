// SPDX-License-Identifier: Apache-2.0
// No life table.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("no-life"), .vtable = &good_sink};
ENTRY(plugin)
