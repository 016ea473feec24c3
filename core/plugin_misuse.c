// SPDX-License-Identifier: Apache-2.0
// A plugin's breach of contract: one log line that names stage, plugin and breach, so that the report goes to the right
// author. Ends the process only where the environment asks for it (debug builds). Any thread, no lock.
#include <stdlib.h>

#include "log.h"
#include "plugin_host.h"

void bfr_stage_misuse(struct bfr_stage *stage, const char *what)
{
    bfr_say(BFR_LOG_ERROR, stage->name, "bug in a plugin: please report it to its author", "plugin",
            stage->plugin->name, "version", stage->plugin->version, "bug", what, NULL);
    if (stage->env->abort_on_misuse)
        abort();
}
