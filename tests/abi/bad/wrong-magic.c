// SPDX-License-Identifier: Apache-2.0
// The magic of some other product.
#include "base.h"

static const struct bfr_plugin plugin = {UINT32_C(0x0badcafe),         BFR_ABI_MAJOR, BFR_ABI_MINOR, 0, sizeof plugin,
                                         GOOD_IDENTITY("wrong-magic"), GOOD_TABLES};
ENTRY(plugin)
