// SPDX-License-Identifier: Apache-2.0
// Built for the next major.
#include "base.h"

static const struct bfr_plugin plugin = {
    BFR_ABI_MAGIC, BFR_ABI_MAJOR + 1, 7, 0, sizeof plugin, GOOD_IDENTITY("other-major"), GOOD_TABLES};
ENTRY(plugin)
