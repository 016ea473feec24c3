// SPDX-License-Identifier: Apache-2.0
// Needs a minor that no host has.
#include "base.h"

static const struct bfr_plugin plugin = {
    BFR_ABI_MAGIC, BFR_ABI_MAJOR, 999, 999, sizeof plugin, GOOD_IDENTITY("newer-minor"), GOOD_TABLES};
ENTRY(plugin)
