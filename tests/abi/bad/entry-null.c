// SPDX-License-Identifier: Apache-2.0
// The entry returns NULL.
#include "base.h"

const struct bfr_plugin *bfr_plugin_entry_v1(void)
{
    return NULL;
}
