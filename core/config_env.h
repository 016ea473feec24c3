// SPDX-License-Identifier: Apache-2.0
// The environment as a source of settings: BYTEFREEZER_RECEIVER_{KEY} for every core key outside lists ('.' as '_'), and
// the shorter names RECEIVER_API_PORT, RECEIVER_WEBHOOK_PORT, LOG_LEVEL. Empty = unset.
#ifndef BFR_CORE_CONFIG_ENV_H
#define BFR_CORE_CONFIG_ENV_H

#include "config_tree.h"

// The value in a "NAME=value" list, which may be NULL; NULL when absent.
const char *bfr_env_get(const char *const *environment, const char *name);

// Put what the environment sets into the tree, over what the file says. The nodes' places name the variable, so that a
// wrong value is reported as that variable's.
void bfr_env_apply(struct bfr_arena *arena, struct bfr_node *root, const char *const *environment,
                   struct bfr_diag *diag);

// Put `text` under section.key (section "" = top level) with `source` as its place; for variables and flags.
void bfr_env_put(struct bfr_arena *arena, struct bfr_node *root, const char *section, const char *key,
                 const char *source, const char *text);

#endif
