// SPDX-License-Identifier: Apache-2.0
// No name.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, BFR_KIND_SINK, NULL, "1.0.0", "Has no name", GOOD_TABLES};
ENTRY(plugin)
