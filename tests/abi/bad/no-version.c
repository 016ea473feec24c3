// SPDX-License-Identifier: Apache-2.0
// No version.
#include "base.h"

static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD,  BFR_KIND_SINK, "no-version", NULL,
                                         "Has no version", GOOD_TABLES};
ENTRY(plugin)
