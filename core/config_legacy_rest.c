// SPDX-License-Identifier: Apache-2.0
// What does not belong: keys in an older form's sections that nobody knows, and older keys in a native file. Takes both
// out of the tree, so that the checks after it meet native keys alone. Used on the thread that reads the configuration.
#include "config_legacy.h"

#include <stdio.h>
#include <string.h>

#include "config_hint.h"

struct walk {
    struct bfr_arena *arena;
    struct bfr_diag *diag;
    void (*on_leaf)(const struct walk *walk, const char *path, const struct bfr_node *leaf);
};

// Each leaf below `node` with its dotted path.
static void visit_leaves(const struct walk *walk, const char *path, const struct bfr_node *node)
{
    if (node->kind != BFR_NODE_MAP) {
        walk->on_leaf(walk, path, node);
        return;
    }
    for (const struct bfr_node *child = node->children; child != NULL; child = child->next) {
        const char *below = bfr_arena_format(walk->arena, "%s.%s", path, child->key);
        if (below != NULL)
            visit_leaves(walk, below, child);
    }
}

static void take_sections(const struct walk *walk, struct bfr_node *root)
{
    for (const char *const *name = bfr_legacy_sections; *name != NULL; name++) {
        struct bfr_node *section = bfr_node_take(root, *name);
        if (section != NULL)
            visit_leaves(walk, *name, section);
    }
}

static const struct bfr_legacy_ignored *find_ignored(const char *path)
{
    for (uint32_t i = 0; i < bfr_legacy_ignored_count; i++) {
        const char *known = bfr_legacy_ignored[i].path;
        size_t length = strlen(known);
        if (strncmp(known, path, length) == 0 && (known[length - 1] == '.' || path[length] == '\0'))
            return &bfr_legacy_ignored[i];
    }
    return NULL;
}

static void warn_unknown(const struct walk *walk, const char *path, const struct bfr_node *leaf)
{
    struct bfr_hint hint = {.word = path};
    for (uint32_t i = 0; i < bfr_legacy_count; i++) {
        for (size_t p = 0; p < BFR_LEGACY_PATHS && bfr_legacy_settings[i].paths[p] != NULL; p++)
            bfr_hint_offer(&hint, bfr_legacy_settings[i].paths[p]);
    }
    if (hint.nearest != NULL)
        bfr_diag_warning(walk->diag, leaf->key_place, "unknown key %s is ignored; did you mean '%s'?",
                         bfr_quote(path).text, hint.nearest);
    else
        bfr_diag_warning(walk->diag, leaf->key_place, "unknown key %s is ignored", bfr_quote(path).text);
}

static void warn_leaf(const struct walk *walk, const char *path, const struct bfr_node *leaf)
{
    const struct bfr_legacy_ignored *ignored = find_ignored(path);
    if (ignored == NULL)
        warn_unknown(walk, path, leaf);
    else if (ignored->advice != NULL)
        bfr_diag_warning(walk->diag, leaf->key_place, "%s is ignored: %s", bfr_quote(path).text, ignored->advice);
}

void bfr_legacy_drop_rest(struct bfr_arena *arena, struct bfr_node *root, struct bfr_diag *diag)
{
    const struct walk walk = {arena, diag, warn_leaf};
    take_sections(&walk, root);
}

static const struct bfr_legacy_setting *find_setting(const char *path)
{
    for (uint32_t i = 0; i < bfr_legacy_count; i++) {
        for (size_t p = 0; p < BFR_LEGACY_PATHS && bfr_legacy_settings[i].paths[p] != NULL; p++) {
            if (strcmp(bfr_legacy_settings[i].paths[p], path) == 0)
                return &bfr_legacy_settings[i];
        }
    }
    return NULL;
}

static void write_instead(const struct bfr_legacy_setting *setting, char *room, size_t size)
{
    const struct bfr_legacy_target *target = setting == NULL ? NULL : &setting->targets[0];
    const char *plugin = target == NULL ? NULL : bfr_legacy_plugin(target->place);
    if (setting != NULL && setting->instead != NULL)
        snprintf(room, size, "write %s instead", setting->instead);
    else if (plugin != NULL && target->place >= BFR_LEGACY_CONTROL)
        snprintf(room, size, "write '%s' in the entry '%s' under services:", target->key, plugin);
    else if (plugin != NULL)
        snprintf(room, size, "write '%s' in the %s stage of the pipeline", target->key, plugin);
    else if (target != NULL && target->place == BFR_LEGACY_CORE)
        snprintf(room, size, "write %s instead", target->key);
    else
        snprintf(room, size, "remove it, it has no meaning here");
}

static void refuse_leaf(const struct walk *walk, const char *path, const struct bfr_node *leaf)
{
    char instead[160];
    write_instead(find_setting(path), instead, sizeof instead);
    bfr_diag_error(walk->diag, leaf->key_place,
                   "%s is a key of the older form, which has no 'pipeline', and this file has one; %s",
                   bfr_quote(path).text, instead);
}

// Is the path also the native key that it leads to?
static bool is_native(const struct bfr_legacy_setting *setting, const char *path)
{
    return setting->targets[0].place == BFR_LEGACY_CORE && strcmp(setting->targets[0].key, path) == 0;
}

// Older keys in sections that both forms have, such as logging.encoding.
static void refuse_shared(const struct walk *walk, struct bfr_node *root, const char *path)
{
    const struct bfr_node *leaf = bfr_node_path(root, path);
    const char *dot = strchr(path, '.');
    if (leaf == NULL || dot == NULL)
        return;
    refuse_leaf(walk, path, leaf);
    char section[64];
    snprintf(section, sizeof section, "%.*s", (int)(dot - path), path);
    (void)bfr_node_take(bfr_node_find(root, section), dot + 1);
}

void bfr_legacy_refuse(struct bfr_arena *arena, struct bfr_node *root, struct bfr_diag *diag)
{
    const struct walk walk = {arena, diag, refuse_leaf};
    take_sections(&walk, root);
    for (uint32_t i = 0; i < bfr_legacy_count; i++) {
        const struct bfr_legacy_setting *setting = &bfr_legacy_settings[i];
        for (size_t p = 0; p < BFR_LEGACY_PATHS && setting->paths[p] != NULL; p++) {
            if (!is_native(setting, setting->paths[p]))
                refuse_shared(&walk, root, setting->paths[p]);
        }
    }
}
