// SPDX-License-Identifier: Apache-2.0
// A plugin's breach of contract: one log line that names stage, plugin and breach, so that the report goes to the right
// author. Ends the process only where the environment asks for it (debug builds). Any thread, no lock.
#include <stdlib.h>

#include "log.h"
#include "plugin_host.h"

void bfr_stage_misuse(struct bfr_stage *stage, const char *what)
{
    // The breach is the message, so that repeats of one are folded and two different ones are not.
    bfr_say(BFR_LOG_ERROR, stage->name, what, "plugin", stage->plugin->name, "version", stage->plugin->version, "cause",
            "a bug in this plugin; report it to its author", NULL);
    if (stage->env->abort_on_misuse)
        abort();
}
