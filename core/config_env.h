// SPDX-License-Identifier: Apache-2.0
// The environment as a source of settings: BYTEFREEZER_RECEIVER_{KEY} for every core key outside lists ('.' as '_'), and
// shorter names for some. Empty = unset. What stands in stages and in older forms is config_legacy's.
#ifndef BFR_CORE_CONFIG_ENV_H
#define BFR_CORE_CONFIG_ENV_H

#include "config_tree.h"

#define BFR_ENV_PREFIX "BYTEFREEZER_RECEIVER_"

// The value in a "NAME=value" list, which may be NULL; NULL when absent.
const char *bfr_env_get(const char *const *environment, const char *name);

// What a variable says when it is meant for us; NULL when it is absent, empty, a service link of Kubernetes (warned about)
// or no UTF-8 (an error).
const char *bfr_env_value(const char *const *environment, const char *name, struct bfr_diag *diag);

// Put what the environment sets into the tree, over what the file says. The nodes' places name the variable, so that a
// wrong value is reported as that variable's.
void bfr_env_apply(struct bfr_arena *arena, struct bfr_node *root, const char *const *environment,
                   struct bfr_diag *diag);

// Warn about names with our prefix that are no setting: `older` says whether the keys of the older forms are.
void bfr_env_warn_unknown(struct bfr_arena *arena, const char *const *environment, bool older, struct bfr_diag *diag);

// PREFIX + SECTION_KEY in capitals; section "" = top level. NULL when memory is short.
const char *bfr_env_name(struct bfr_arena *arena, const char *section, const char *key);

// Put `text` under section.key (section "" = top level) with `source` as its place; for variables and flags.
void bfr_env_put(struct bfr_arena *arena, struct bfr_node *root, const char *section, const char *key,
                 const char *source, const char *text);

#endif
