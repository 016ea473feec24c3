// SPDX-License-Identifier: Apache-2.0
// A sink without a table.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("no-table"), .life = &good_life};
ENTRY(plugin)
