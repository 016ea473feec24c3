// SPDX-License-Identifier: Apache-2.0
// A kind that the host does not know.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, 9, "unknown-kind", "1.0.0", "Is of no kind", GOOD_TABLES};
ENTRY(plugin)
