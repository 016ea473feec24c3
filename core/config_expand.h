// SPDX-License-Identifier: Apache-2.0
// Variables of the environment inside values: ${NAME}, ${NAME:-default} (also when NAME is empty), $$ for a dollar sign.
// Any other dollar sign stands for itself. Keys are never expanded, and what a variable holds is never read as YAML.
#ifndef BFR_CORE_CONFIG_EXPAND_H
#define BFR_CORE_CONFIG_EXPAND_H

#include <bfr/status.h>

#include "config_tree.h"

// `environment`: "NAME=value" list, NULL-terminated; may be NULL. *out is `text` itself when nothing is to be expanded,
// else lives in the arena.
BFR_MUST_CHECK uint32_t bfr_expand_text(struct bfr_arena *arena, const char *text, const char *const *environment,
                                        const char **out, struct bfr_err *err);

// Every scalar of the tree. A scalar that cannot be expanded is reported and becomes BROKEN. `older`: the file is of an
// older form, in which $$ stands for itself unless a ${NAME} is beside it; secrets of old must not change.
void bfr_expand_tree(struct bfr_arena *arena, struct bfr_node *node, const char *const *environment, bool older,
                     struct bfr_diag *diag);

#endif
