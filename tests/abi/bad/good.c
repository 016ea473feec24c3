// SPDX-License-Identifier: Apache-2.0
// Nothing: the plugin that the others are compared with.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("good"), GOOD_TABLES};
ENTRY(plugin)
