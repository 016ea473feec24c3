// SPDX-License-Identifier: Apache-2.0
// The way from a file to settings and stages, step by step. Runs on the thread that asks; keeps nothing but what hangs off
// struct bfr_config. Every step goes on as far as it can, so that one run finds every error.
#include "config_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "config_check.h"
#include "config_env.h"
#include "config_expand.h"
#include "config_file.h"
#include "config_legacy.h"
#include "config_quotas.h"
#include "config_slots.h"
#include "config_state.h"

#define MASK "***"

// Keys of the top level that are not options of it.
static const char *const top_keys[] = {"app",   "logging", "webhook", "server",   "memory",   "retry", "lanes",
                                       "dedup", "metrics", "quotas",  "pipeline", "services", NULL};
static const char *const stage_keys[] = {"plugin", "name", NULL};

// The mapping of a core section; NULL when absent, empty, or (then *out_good is false) not a mapping.
static const struct bfr_node *find_section(const struct bfr_node *root, const struct bfr_core_section *section,
                                           struct bfr_diag *diag, bool *out_good)
{
    *out_good = true;
    if (section->name[0] == '\0')
        return root;
    // "a.b": an `a` that is no mapping is reported by the section of that name.
    const struct bfr_node *node = bfr_node_path(root, section->name);
    if (node == NULL || node->kind == BFR_NODE_MAP || bfr_node_is_null(node))
        return node != NULL && node->kind == BFR_NODE_MAP ? node : NULL;
    *out_good = false;
    if (section->count == 0 && node->kind != BFR_NODE_BROKEN)
        bfr_diag_error(diag, node->place, "%s: found %s where its keys should be; write them below it", section->name,
                       bfr_node_kind_name(node));
    else if (node->kind != BFR_NODE_BROKEN)
        bfr_diag_error(diag, node->place,
                       "%s: found %s where its keys should be; write them below it, for example  %s: %s", section->name,
                       bfr_node_kind_name(node), section->options[0].name,
                       section->options[0].fallback[0] == '\0' ? "..." : section->options[0].fallback);
    return NULL;
}

static struct bfr_values *check_section(const struct bfr_config *config, const struct bfr_node *root,
                                        const struct bfr_core_section *section, struct bfr_diag *diag, bool *out_good)
{
    bool top = section->name[0] == '\0';
    bool is_map = false;
    const char *children[BFR_CORE_SECTIONS + 1];
    size_t child_count = bfr_core_children(section->name, children);
    if (section == &bfr_core_sections[BFR_CORE_QUOTAS]) {
        children[child_count++] = BFR_QUOTAS_TENANTS;
        children[child_count] = NULL;
    }
    const struct bfr_node *map = find_section(root, section, diag, &is_map);
    const struct bfr_check check = {
        .diag = diag,
        .title = section->name,
        .separator = top ? "" : ".",
        .base_dir = config->base_dir,
        .environment = config->environment,
        .reserved = top ? top_keys : children,
        .elsewhere = top ? bfr_core_section_of : NULL,
        .hints = top && config->legacy != NULL ? bfr_legacy_sections : NULL,
        .lenient = config->legacy != NULL,
    };
    struct bfr_values *values = bfr_check_options(&check, map, root->place, section->options, section->count,
                                                  sizeof section->options[0], out_good);
    *out_good = *out_good && is_map;
    return values;
}

// Settings are always readable: keys with errors hold their defaults. Rules over several keys are applied only to sections
// without errors, so that no finding is about a value that nobody wrote.
static void check_core(struct bfr_config *config, const struct bfr_node *root, struct bfr_diag *diag)
{
    const struct bfr_values *sound[BFR_CORE_SECTIONS] = {NULL};
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const struct bfr_core_section *section = &bfr_core_sections[s];
        bool good = false;
        if (root != NULL)
            config->sections[s] = check_section(config, root, section, diag, &good);
        sound[s] = good ? config->sections[s] : NULL;
        if (config->sections[s] == NULL)
            config->sections[s] = bfr_values_defaults(section->options, section->count, sizeof section->options[0]);
    }
    if (root != NULL)
        bfr_core_check(sound, diag);
    bfr_core_fill((const struct bfr_values *const *)config->sections, &config->settings);
    if (root != NULL)
        bfr_quotas_list(config, root, diag);
}

static void apply_flags(struct bfr_config *config, struct bfr_node *root, const struct bfr_config_flags *flags,
                        struct bfr_diag *diag)
{
    const char *plugin_dir = flags->plugin_dir;
    if (plugin_dir != NULL && plugin_dir[0] != '/' && plugin_dir[0] != '\0') {
        // On a command line a path is relative to where the person stands, not to the file.
        const char *here = bfr_config_directory(&config->arena, "", diag);
        plugin_dir = here == NULL ? NULL : bfr_arena_format(&config->arena, "%s/%s", here, plugin_dir);
    }
    if (plugin_dir != NULL)
        bfr_env_put(&config->arena, root, "", "plugin_dir", "--plugin-dir", plugin_dir);
    if (flags->log_level != NULL)
        bfr_env_put(&config->arena, root, "logging", "level", "--log-level", flags->log_level);
}

static void apply_native(struct bfr_config *config, struct bfr_node *root, const char *const *environment,
                         struct bfr_diag *diag)
{
    bfr_legacy_refuse(&config->arena, root, diag);
    bfr_legacy_env_stages(&config->arena, root, environment, diag);
}

// Everything after the text has been read. `root` NULL: there is no tree, which has been reported.
static void build(struct bfr_config *config, struct bfr_node *root, const struct bfr_config_flags *flags,
                  struct bfr_diag *diag)
{
    config->environment = flags->environment;
    if (root != NULL && root->kind != BFR_NODE_MAP) {
        if (root->kind != BFR_NODE_BROKEN)
            bfr_diag_error(diag, root->place, "found %s; a configuration is a mapping of keys, such as 'pipeline:'",
                           bfr_node_kind_name(root));
        root = NULL;
    }
    if (root != NULL) {
        bool older = bfr_legacy_is_form(root);
        bfr_expand_tree(&config->arena, root, flags->environment, older, diag);
        if (older)
            config->legacy = bfr_legacy_translate(&config->arena, root, flags->environment, diag);
        else
            apply_native(config, root, flags->environment, diag);
        bfr_env_apply(&config->arena, root, flags->environment, diag);
        bfr_env_warn_unknown(&config->arena, flags->environment, older, diag);
        apply_flags(config, root, flags, diag);
    }
    check_core(config, root, diag);
    if (root != NULL)
        bfr_stages_list(config, root, diag);
    if (config->arena.failed)
        bfr_diag_error(diag, (struct bfr_place){config->path, 0, 0}, "out of memory while the configuration was read");
}

struct bfr_config *bfr_config_read(const char *path, const struct bfr_config_flags *flags, struct bfr_diag *diag)
{
    struct bfr_config *config = calloc(1, sizeof *config);
    if (config == NULL)
        return NULL;
    struct bfr_arena scratch = {0}; // the file's text is not needed once it is a tree
    struct bfr_node *root = NULL;
    size_t size = 0;
    char *text = NULL;
    if (path != NULL || !flags->again)
        config->path = bfr_config_find(&config->arena, path, flags->environment);
    if (config->path == NULL) { // defaults and the environment
        bfr_config_free(config);
        return bfr_config_parse("environment", "", flags, diag);
    }
    config->is_file = true;
    config->base_dir = bfr_config_directory(&config->arena, config->path, diag);
    if (config->base_dir != NULL)
        text = bfr_config_read_file(&scratch, config->path, flags->again, &size, diag);
    if (text != NULL)
        root = bfr_tree_parse(&config->arena, config->path, text, size, diag);
    config->arena.failed |= scratch.failed;
    bfr_arena_free(&scratch);
    build(config, root, flags, diag);
    return config;
}

struct bfr_config *bfr_config_parse(const char *name, const char *text, const struct bfr_config_flags *flags,
                                    struct bfr_diag *diag)
{
    struct bfr_config *config = calloc(1, sizeof *config);
    if (config == NULL)
        return NULL;
    struct bfr_node *root = NULL;
    config->path = bfr_arena_copy(&config->arena, name, strlen(name));
    if (config->path == NULL)
        config->path = "configuration";
    config->base_dir = bfr_config_directory(&config->arena, name, diag);
    if (config->base_dir != NULL)
        root = bfr_tree_parse(&config->arena, config->path, text, strlen(text), diag);
    build(config, root, flags, diag);
    return config;
}

void bfr_config_free(struct bfr_config *config)
{
    if (config == NULL)
        return;
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++)
        bfr_values_free(config->sections[s]);
    bfr_quotas_free(config);
    for (size_t i = 0; i < config->stage_count; i++)
        bfr_values_free(config->stages[i].values);
    bfr_arena_free(&config->arena);
    free(config);
}

const struct bfr_settings *bfr_config_settings(const struct bfr_config *config)
{
    return &config->settings;
}

const char *bfr_config_path(const struct bfr_config *config)
{
    return config->path;
}

bool bfr_config_is_file(const struct bfr_config *config)
{
    return config->is_file;
}

struct bfr_place bfr_config_place(const struct bfr_config *config, const char *section, const char *key)
{
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        if (strcmp(bfr_core_sections[s].name, section) != 0)
            continue;
        const struct bfr_slot *slot = bfr_values_slot(config->sections[s], key);
        return slot != NULL && slot->given ? slot->place : (struct bfr_place){config->path, 0, 0};
    }
    bfr_bug("no such section of the configuration");
}

const struct bfr_slot *bfr_config_core_slot(const struct bfr_config *config, const char *path, uint32_t type)
{
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const char *name = bfr_core_sections[s].name;
        size_t length = strlen(name);
        if (length == 0 || strncmp(path, name, length) != 0 || path[length] != '.')
            continue;
        const struct bfr_values *values = config->sections[s];
        const struct bfr_slot *slot = bfr_values_slot(values, path + length + 1);
        if (slot != NULL)
            return slot->set && values->options[slot - values->slots].type == type ? slot : NULL;
    }
    return NULL;
}

size_t bfr_config_stage_count(const struct bfr_config *config)
{
    return config->stage_count;
}

const struct bfr_stage_entry *bfr_config_stage(const struct bfr_config *config, size_t index)
{
    bfr_must(index < config->stage_count);
    return &config->stages[index].entry;
}

const struct bfr_values *bfr_config_bind(struct bfr_config *config, size_t index, const struct bfr_plugin *plugin,
                                         struct bfr_diag *diag)
{
    bfr_must(index < config->stage_count);
    struct bfr_config_stage *stage = &config->stages[index];
    bfr_must(stage->values == NULL); // others may hold them
    const struct bfr_check check = {
        .diag = diag,
        .title = bfr_arena_format(&config->arena, "stage '%s'", stage->entry.name),
        .separator = ": ",
        .base_dir = config->base_dir,
        .environment = config->environment,
        .reserved = stage_keys,
        .core = config,
    };
    if (check.title == NULL) {
        bfr_diag_error(diag, stage->entry.place, "out of memory while the configuration was read");
        return NULL;
    }
    stage->plugin = plugin;
    bool good = false;
    struct bfr_values *values = bfr_check_options(&check, stage->keys, stage->entry.place, plugin->options,
                                                  plugin->option_count, plugin->option_size, &good);
    if (good)
        stage->values = values;
    else
        bfr_values_free(values);
    return stage->values;
}

// Report each secret among `values` that reads as it is shown. `title` and `separator` stand in front of the key.
static size_t refuse_masked(const struct bfr_values *values, const char *title, const char *separator,
                            struct bfr_diag *diag)
{
    size_t found = 0;
    for (uint32_t i = 0; values != NULL && i < values->count; i++) {
        const struct bfr_option *option = &values->options[i];
        const struct bfr_slot *slot = &values->slots[i];
        if ((option->flags & BFR_OPTION_SECRET) == 0 || slot->text == NULL || strcmp(slot->text, MASK) != 0)
            continue;
        bfr_diag_error(diag, slot->place,
                       "%s%s%s: '" MASK "' is how a secret is shown, not a secret; put the real one here, or its file "
                       "under '%s_file'",
                       title, separator, option->name, option->name);
        found++;
    }
    return found;
}

size_t bfr_config_refuse_masks(const struct bfr_config *config, struct bfr_diag *diag)
{
    size_t found = 0;
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const char *name = bfr_core_sections[s].name;
        found += refuse_masked(config->sections[s], name, name[0] == '\0' ? "" : ".", diag);
    }
    for (size_t i = 0; i < config->stage_count; i++) {
        char title[64];
        snprintf(title, sizeof title, "stage '%.40s'", config->stages[i].entry.name);
        found += refuse_masked(config->stages[i].values, title, ": ", diag);
    }
    return found;
}
