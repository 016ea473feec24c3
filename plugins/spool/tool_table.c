// SPDX-License-Identifier: Apache-2.0
// Which commands there are.
#include "tool.h"

const struct bfr_tool bfr_spool_tools[TOOL_COUNT] = {
    {"spool ls", "DIR", "list segments, tenants, dead letters and what was set aside", bfr_tool_ls},
    {"spool verify", "DIR", "read every record; exit 1 when damage is found", bfr_tool_verify},
    {"spool export", "DIR OUT", "write what waits as files OUT/tenant/dataset/name; removes nothing", bfr_tool_export},
    {"spool import", "DIR IN [--sink NAME]...", "put files IN/tenant/dataset/name into the spool", bfr_tool_import},
    {"spool waive", "DIR --sink NAME", "stop waiting for a sink that is gone for good", bfr_tool_waive},
    {"dlq ls", "--dir DIR [--tenant T] [--dataset D] [--file NAME] [--id ID] [--json]", "list dead letters",
     bfr_tool_dlq_ls},
    {"dlq show", "ID --dir DIR [--json]", "all that is known of a dead letter", bfr_tool_dlq_show},
    {"dlq retry", "--dir DIR --tenant T [--dataset D] [--file NAME] [--id ID] [--sink NAME]... [--dry-run]",
     "offer dead letters to their sinks again", bfr_tool_dlq_retry},
    {"dlq purge", "--dir DIR --tenant T [--dataset D] [--file NAME] [--id ID] [--dry-run]",
     "delete dead letters for good", bfr_tool_dlq_purge},
};
