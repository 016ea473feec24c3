// SPDX-License-Identifier: Apache-2.0
// Tools shorter than ABI 1.0 has them.
#include "base.h"

static const struct bfr_tool tools[] = {{.words = "spool ls"}};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("short-tool"), GOOD_TABLES, .tools = tools,
                                         .tool_count = 2, .tool_size = sizeof(void *)};
ENTRY(plugin)
