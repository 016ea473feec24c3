// SPDX-License-Identifier: Apache-2.0
// A fallback that its own type does not allow.
#include "base.h"

static const struct bfr_option options[] = {
    {.name = "room", .type = BFR_OPTION_SIZE, .fallback = "10 megabytes", .help = "how much"},
};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD,   GOOD_IDENTITY("bad-option"),
                                         options,           sizeof options / sizeof options[0],
                                         sizeof options[0], GOOD_TABLES};
ENTRY(plugin)
