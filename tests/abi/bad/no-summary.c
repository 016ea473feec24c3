// SPDX-License-Identifier: Apache-2.0
// A summary of two lines.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, BFR_KIND_SINK,    "no-summary",
                                         "1.0.0",         "Says\ntoo much", GOOD_TABLES};
ENTRY(plugin)
