// SPDX-License-Identifier: Apache-2.0
// Tells an older form from the native one and runs the steps of the translation. Used on the thread that reads the
// configuration.
#include "config_legacy.h"

#include <string.h>

bool bfr_legacy_is_form(const struct bfr_node *root)
{
    return bfr_node_find(root, "pipeline") == NULL;
}

// The previous product took a key without a value for one that is not there.
static void drop_nulls(struct bfr_node *map)
{
    for (struct bfr_node *child = map->children, *next = NULL; child != NULL; child = next) {
        next = child->next;
        if (child->kind == BFR_NODE_MAP)
            drop_nulls(child);
        else if (bfr_node_is_null(child))
            (void)bfr_node_take(map, child->key);
    }
}

const struct bfr_legacy_found *bfr_legacy_translate(struct bfr_arena *arena, struct bfr_node *root,
                                                    const char *const *environment, struct bfr_diag *diag)
{
    drop_nulls(root);
    const struct bfr_legacy_found *found = bfr_legacy_resolve(arena, root, environment, diag);
    if (found == NULL)
        return NULL;
    bfr_legacy_drop_rest(arena, root, diag);
    bfr_legacy_compose(arena, root, found, diag);
    return found;
}
