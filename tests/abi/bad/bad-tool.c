// SPDX-License-Identifier: Apache-2.0
// A tool of one word would stand in the way of the host's own commands.
#include "base.h"

static int do_nothing(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return BFR_TOOL_GOOD;
}

static const struct bfr_tool tools[] = {{"run", "", "take the place of the daemon", do_nothing}};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("bad-tool"), GOOD_TABLES,
                                         .tools = tools,  .tool_count = 1,           .tool_size = sizeof tools[0]};
ENTRY(plugin)
