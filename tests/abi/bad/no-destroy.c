// SPDX-License-Identifier: Apache-2.0
// A life without an end.
#include "base.h"

static const struct bfr_life life = {sizeof life, .create = good_create};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("no-destroy"), .life = &life,
                                         .vtable = &good_sink};
ENTRY(plugin)
