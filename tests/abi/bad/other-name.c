// SPDX-License-Identifier: Apache-2.0
// Another name than its file has.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("somebody-else"), GOOD_TABLES};
ENTRY(plugin)
