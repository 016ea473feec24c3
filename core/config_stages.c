// SPDX-License-Identifier: Apache-2.0
// The entries of `pipeline:` and `services:`: their plugins, names and keys. Used on the thread that reads the
// configuration. Knows no plugin: whether one exists, and what its keys mean, is found out later.
#include "config_state.h"

#include <string.h>

#include "config_check.h"

#define SMALLEST_PIPELINE "a smallest one is  pipeline: [{plugin: memory}, {plugin: fs, directory: /srv/batches}]"
#define PLUGIN_NAME_MAX   32
#define STAGE_NAME_MAX    32

static const char *const lower_case = "abcdefghijklmnopqrstuvwxyz0123456789";

static bool is_plugin_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return length > 0 && length <= PLUGIN_NAME_MAX && text[length] == '\0';
}

static bool is_stage_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return length > 0 && length <= STAGE_NAME_MAX && text[length] == '\0' && strchr(lower_case, text[0]) != NULL;
}

// The text of a scalar that must hold something; NULL after an error, or silently when one was reported before.
static const char *scalar_text(const struct bfr_node *node, const char *key, const char *way_out, struct bfr_diag *diag)
{
    if (node->kind == BFR_NODE_BROKEN)
        return NULL;
    if (node->kind == BFR_NODE_SCALAR && !bfr_node_is_null(node))
        return node->text;
    bfr_diag_error(diag, bfr_node_is_null(node) ? node->key_place : node->place, "'%s' needs a name, found %s; %s", key,
                   bfr_node_kind_name(node), way_out);
    return NULL;
}

static void report_no_plugin(const struct bfr_node *map, struct bfr_diag *diag)
{
    const struct bfr_node *first = map->children;
    if (first != NULL && is_plugin_name(first->key) && first->kind != BFR_NODE_SCALAR)
        bfr_diag_error(diag, map->place,
                       "this entry has no 'plugin'; write  - {plugin: %s, ...}  with the keys beside it", first->key);
    else
        bfr_diag_error(diag, map->place, "this entry has no 'plugin'; write  - plugin: NAME  and its keys below it");
}

static const char *plugin_of(const struct bfr_node *entry, struct bfr_diag *diag)
{
    const struct bfr_node *node = entry->kind == BFR_NODE_MAP ? bfr_node_find(entry, "plugin") : entry;
    if (node == NULL) {
        report_no_plugin(entry, diag);
        return NULL;
    }
    const char *name = scalar_text(node, "plugin", "write for example 'fs'", diag);
    if (name == NULL || is_plugin_name(name))
        return name;
    bfr_diag_error(
        diag, node->place,
        "%s is not a plugin's name; write the bare name (a-z, 0-9, '-', at most %d), without directory or .so",
        bfr_quote(name).text, PLUGIN_NAME_MAX);
    return NULL;
}

static const char *name_of(const struct bfr_node *entry, const char *plugin, struct bfr_place *out_place,
                           struct bfr_diag *diag)
{
    const struct bfr_node *node = entry->kind == BFR_NODE_MAP ? bfr_node_find(entry, "name") : NULL;
    *out_place = node == NULL ? entry->place : node->place;
    if (node == NULL)
        return plugin;
    const char *name = scalar_text(node, "name", "write one, or leave the key out", diag);
    if (name == NULL || is_stage_name(name))
        return name;
    bfr_diag_error(diag, node->place,
                   "%s is not a stage name; use a-z, 0-9, '_' and '-', at most %d, beginning with a letter or digit",
                   bfr_quote(name).text, STAGE_NAME_MAX);
    return NULL;
}

static const struct bfr_config_stage *find_stage(const struct bfr_config *config, const char *name)
{
    for (size_t i = 0; i < config->stage_count; i++) {
        if (strcmp(config->stages[i].entry.name, name) == 0)
            return &config->stages[i];
    }
    return NULL;
}

static void add_entry(struct bfr_config *config, const struct bfr_node *entry, bool service, struct bfr_diag *diag)
{
    if (entry->kind == BFR_NODE_BROKEN)
        return;
    if (entry->kind == BFR_NODE_LIST || bfr_node_is_null(entry)) {
        bfr_diag_error(diag, entry->place, "found %s where a stage should be; write  - plugin: NAME",
                       bfr_node_kind_name(entry));
        return;
    }
    struct bfr_place place;
    const char *plugin = plugin_of(entry, diag);
    const char *name = name_of(entry, plugin, &place, diag);
    if (plugin == NULL || name == NULL)
        return;
    const struct bfr_config_stage *other = find_stage(config, name);
    if (other != NULL) {
        bfr_diag_error(diag, place,
                       "the stage name '%s' is taken by the entry on line %u; give this one a 'name' of its own", name,
                       other->entry.place.line);
        return;
    }
    struct bfr_config_stage *stage = &config->stages[config->stage_count++];
    stage->entry.plugin = plugin;
    stage->entry.name = name;
    stage->entry.service = service;
    stage->entry.place = entry->place;
    stage->keys = entry->kind == BFR_NODE_MAP ? entry : NULL;
}

static void add_list(struct bfr_config *config, const struct bfr_node *list, bool service, struct bfr_diag *diag)
{
    for (const struct bfr_node *entry = list->children; entry != NULL; entry = entry->next)
        add_entry(config, entry, service, diag);
}

// The node under `key` when it is a list; NULL after an error, or when it is allowed to be absent.
static const struct bfr_node *find_list(const struct bfr_node *root, const char *key, const char *way_out,
                                        struct bfr_diag *diag)
{
    const struct bfr_node *node = bfr_node_find(root, key);
    if (node == NULL || node->kind == BFR_NODE_LIST || node->kind == BFR_NODE_BROKEN)
        return node != NULL && node->kind == BFR_NODE_LIST ? node : NULL;
    bfr_diag_error(diag, bfr_node_is_null(node) ? node->key_place : node->place, "%s: found %s instead of a list; %s",
                   key, bfr_node_kind_name(node), way_out);
    return NULL;
}

void bfr_stages_list(struct bfr_config *config, const struct bfr_node *root, struct bfr_diag *diag)
{
    const struct bfr_node *pipeline = find_list(root, "pipeline", SMALLEST_PIPELINE, diag);
    const struct bfr_node *services =
        find_list(root, "services", "write  services: [{plugin: NAME}]  or leave it out", diag);
    size_t room = (pipeline == NULL ? 0 : pipeline->child_count) + (services == NULL ? 0 : services->child_count);
    if (bfr_node_find(root, "pipeline") == NULL)
        bfr_diag_error(diag, root->place, "there is no 'pipeline'; " SMALLEST_PIPELINE);
    else if (pipeline != NULL && pipeline->child_count == 0)
        bfr_diag_error(diag, pipeline->place, "the pipeline is empty; " SMALLEST_PIPELINE);
    config->stages = bfr_arena_alloc(&config->arena, (room + 1) * sizeof *config->stages);
    if (config->stages == NULL)
        return;
    if (pipeline != NULL)
        add_list(config, pipeline, false, diag);
    if (services != NULL)
        add_list(config, services, true, diag);
}
