// SPDX-License-Identifier: Apache-2.0
// What a file that was read again changes of the configuration in force: the keys that may change by reload
// (BFR_OPTION_LIVE) take its values, everything else keeps what it has. In two steps, so that nothing has changed when
// something in between fails. [main]
#ifndef BFR_CORE_CONFIG_MERGE_H
#define BFR_CORE_CONFIG_MERGE_H

#include "config_load.h"
#include "texts.h"

// Make of `fresh`, which has no errors and whose stages are bound, what will be in force, and add the keys that wait for a
// restart to `needs_restart`. `running` is only read, and its stages become those of `fresh`. False: memory is short.
BFR_MUST_CHECK bool bfr_config_merge(struct bfr_config *fresh, const struct bfr_config *running,
                                     struct bfr_texts *needs_restart);

// What stage `index` of `fresh` is to read from now on; NULL: what it has, nothing of it has changed.
const struct bfr_values *bfr_config_change(const struct bfr_config *fresh, size_t index);

// `fresh` takes over the values of the stages, so that `running` can be freed. Cannot fail.
void bfr_config_take_over(struct bfr_config *fresh, struct bfr_config *running);

#endif
