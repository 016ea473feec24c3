// SPDX-License-Identifier: Apache-2.0
// The short names of the environment in a native file: RECEIVER_S3_* go to the only s3 stage, the names of the control
// service to what talks to it. Used on the thread that reads the configuration.
#include "config_legacy.h"

#include <string.h>

#include "config_env.h"

struct overlay {
    struct bfr_arena *arena;
    struct bfr_node *root;
    const char *const *environment;
    struct bfr_diag *diag;
};

static const char *text_of(const struct bfr_node *map, const char *key)
{
    const struct bfr_node *node = map->kind == BFR_NODE_MAP ? bfr_node_find(map, key) : NULL;
    return node != NULL && node->kind == BFR_NODE_SCALAR ? node->text : "";
}

static bool is_use_of(const struct bfr_node *entry, const char *plugin)
{
    const char *name = entry->kind == BFR_NODE_SCALAR ? entry->text : text_of(entry, "plugin");
    return strcmp(name, plugin) == 0;
}

// Only what talks to the control service wants its names.
static bool wants(const struct bfr_node *entry, uint32_t place)
{
    return place != BFR_LEGACY_AUTH || strcmp(text_of(entry, "mode"), "control") == 0;
}

// A bare name becomes a mapping, so that a key can stand beside it.
static void make_mapping(const struct overlay *overlay, struct bfr_node *entry)
{
    struct bfr_node *plugin = bfr_node_new(overlay->arena, BFR_NODE_SCALAR, entry->place);
    if (entry->kind == BFR_NODE_MAP || plugin == NULL)
        return;
    plugin->text = entry->text;
    entry->kind = BFR_NODE_MAP;
    entry->text = NULL;
    bfr_node_put(entry, "plugin", plugin);
}

static void put(const struct overlay *overlay, struct bfr_node *entry, const char *key, const char *variable,
                const char *text)
{
    make_mapping(overlay, entry);
    struct bfr_node *node = bfr_node_new(overlay->arena, BFR_NODE_SCALAR, (struct bfr_place){variable, 0, 0});
    const char *twin = bfr_arena_format(overlay->arena, "%s_file", key);
    if (entry->kind != BFR_NODE_MAP || node == NULL || twin == NULL)
        return;
    (void)bfr_node_take(entry, twin); // the environment wins over the file that the file names, too
    node->text = text;
    bfr_node_put(entry, key, node);
}

static size_t count_uses(const struct bfr_node *root, const char *list, uint32_t place)
{
    size_t count = 0;
    const struct bfr_node *entries = bfr_node_find(root, list);
    for (const struct bfr_node *entry = entries == NULL ? NULL : entries->children; entry != NULL; entry = entry->next)
        count += is_use_of(entry, bfr_legacy_plugin(place)) && wants(entry, place);
    return count;
}

static void overlay_target(const struct overlay *overlay, const struct bfr_legacy_target *target, const char *variable,
                           const char *text)
{
    const char *list = target->place >= BFR_LEGACY_CONTROL ? "services" : "pipeline";
    if (target->place == BFR_LEGACY_S3 && count_uses(overlay->root, list, target->place) > 1) {
        bfr_diag_warning(overlay->diag, (struct bfr_place){variable, 0, 0},
                         "ignored: the pipeline has several s3 stages; write ${%s} into the one that is meant",
                         variable);
        return;
    }
    struct bfr_node *entries = bfr_node_find(overlay->root, list);
    for (struct bfr_node *entry = entries == NULL ? NULL : entries->children; entry != NULL; entry = entry->next) {
        if (is_use_of(entry, bfr_legacy_plugin(target->place)) && wants(entry, target->place))
            put(overlay, entry, target->key, variable, text);
    }
}

static void overlay_setting(const struct overlay *overlay, const struct bfr_legacy_setting *setting)
{
    for (size_t v = 0; v < BFR_LEGACY_VARIABLES && setting->variables[v] != NULL; v++) {
        const char *variable = setting->variables[v];
        const char *text = bfr_env_value(overlay->environment, variable, overlay->diag);
        if (text == NULL)
            continue;
        for (size_t i = 0; i < BFR_LEGACY_TARGETS && setting->targets[i].place != BFR_LEGACY_NOWHERE; i++)
            overlay_target(overlay, &setting->targets[i], variable, text);
        return; // the first one wins
    }
}

void bfr_legacy_env_stages(struct bfr_arena *arena, struct bfr_node *root, const char *const *environment,
                           struct bfr_diag *diag)
{
    const struct overlay overlay = {arena, root, environment, diag};
    for (uint32_t i = 0; i < bfr_legacy_count; i++)
        overlay_setting(&overlay, &bfr_legacy_settings[i]);
}
