// SPDX-License-Identifier: Apache-2.0
// Calls a function that nobody defines.
#include "base.h"

void nobody_defines_this(void *self);

static const struct bfr_life life = {sizeof life, .create = good_create, .destroy = nobody_defines_this};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("undefined-symbol"), .life = &life,
                                         .vtable = &good_sink};
ENTRY(plugin)
