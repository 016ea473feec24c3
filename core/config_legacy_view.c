// SPDX-License-Identifier: Apache-2.0
// The way back: what is in effect, by the older forms' names, for reports and API replies that keep the old shape. A native
// file is looked at through the same table that translates an older one. Read-only; all stages must be bound. Any thread.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_slots.h"
#include "config_state.h"

#define MASK "***"

static const struct bfr_legacy_setting *find_setting(const char *path, uint32_t *out_index)
{
    for (uint32_t i = 0; i < bfr_legacy_count; i++) {
        for (size_t p = 0; p < BFR_LEGACY_PATHS && bfr_legacy_settings[i].paths[p] != NULL; p++) {
            if (strcmp(bfr_legacy_settings[i].paths[p], path) != 0)
                continue;
            *out_index = i;
            return &bfr_legacy_settings[i];
        }
    }
    return NULL;
}

static const struct bfr_config_stage *find_stage(const struct bfr_config *config, const char *plugin)
{
    for (size_t i = 0; i < config->stage_count; i++) {
        if (strcmp(config->stages[i].entry.plugin, plugin) == 0)
            return &config->stages[i];
    }
    return NULL;
}

// The values that hold the target's key, and that key; NULL when the pipeline has no such stage.
static const struct bfr_values *find_values(const struct bfr_config *config, const struct bfr_legacy_target *target,
                                            const char **out_key)
{
    *out_key = target->key;
    if (target->place != BFR_LEGACY_CORE) {
        const struct bfr_config_stage *stage = find_stage(config, bfr_legacy_plugin(target->place));
        return stage == NULL ? NULL : stage->values;
    }
    const char *dot = strchr(target->key, '.');
    *out_key = dot + 1;
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        const char *name = bfr_core_sections[s].name;
        if (strlen(name) == (size_t)(dot - target->key) && strncmp(name, target->key, strlen(name)) == 0)
            return config->sections[s];
    }
    return NULL;
}

// Milliseconds in the option's own unit, which is that of the older key.
static int64_t in_unit(const struct bfr_option *option, int64_t ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; option->unit != NULL && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(units[i].unit, option->unit) == 0)
            return ms / units[i].ms;
    }
    return ms / 1000;
}

static void print_list(const char *const *list, size_t count, char *out, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < count && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i == 0 ? "" : ",", list[i]);
}

static void print_slot(const struct bfr_option *option, const struct bfr_slot *slot, char *out, size_t room)
{
    const char *text = slot->text == NULL ? "" : slot->text;
    if ((option->flags & BFR_OPTION_SECRET) != 0)
        snprintf(out, room, "%s", text[0] == '\0' ? "" : MASK);
    else if (option->type == BFR_OPTION_LIST)
        print_list(slot->list, slot->list_count, out, room);
    else if (option->type == BFR_OPTION_DURATION)
        snprintf(out, room, "%" PRId64, in_unit(option, slot->integer));
    else if (option->type == BFR_OPTION_SIZE)
        snprintf(out, room, "%" PRId64, slot->integer);
    else
        snprintf(out, room, "%s", text);
}

// False when the pipeline has nothing that holds the setting.
static bool print_target(const struct bfr_config *config, const struct bfr_legacy_setting *setting, char *out,
                         size_t room)
{
    for (size_t i = 0; i < BFR_LEGACY_TARGETS && setting->targets[i].place != BFR_LEGACY_NOWHERE; i++) {
        const char *key = NULL;
        const struct bfr_values *values = find_values(config, &setting->targets[i], &key);
        const struct bfr_slot *slot = values == NULL ? NULL : bfr_values_slot(values, key);
        if (slot == NULL || !slot->set)
            continue;
        print_slot(&values->options[slot - values->slots], slot, out, room);
        return true;
    }
    return false;
}

static bool asks_control(const struct bfr_config *config)
{
    const struct bfr_config_stage *auth = find_stage(config, bfr_legacy_plugin(BFR_LEGACY_AUTH));
    const struct bfr_slot *mode = auth == NULL || auth->values == NULL ? NULL : bfr_values_slot(auth->values, "mode");
    return mode != NULL && mode->text != NULL && strcmp(mode->text, "control") == 0;
}

// Switches of the older forms are stages that are there, or are not.
static const char *read_switch(const struct bfr_config *config, uint32_t index)
{
    uint32_t place = BFR_LEGACY_NOWHERE;
    switch (index) {
    case BFR_LEGACY_CONTROL_ENABLED:
        return asks_control(config) ? "true" : "false";
    case BFR_LEGACY_SPOOLING:
        place = BFR_LEGACY_DISK;
        break;
    case BFR_LEGACY_HEALTH_REPORTING: // the service may be there for other things
        return find_stage(config, bfr_legacy_plugin(BFR_LEGACY_CONTROL)) == NULL ? "false" : NULL;
    case BFR_LEGACY_SOC_ENABLED:
        place = BFR_LEGACY_SOC;
        break;
    case BFR_LEGACY_OTEL:
        if (config->settings.metrics.port != 0)
            return "true";
        place = BFR_LEGACY_OTLP;
        break;
    default:
        return NULL;
    }
    return find_stage(config, bfr_legacy_plugin(place)) == NULL ? "false" : "true";
}

// What the file said about a key that changes nothing here, else the older forms' default.
static void print_kept(const struct bfr_config *config, uint32_t index, char *out, size_t room)
{
    const struct bfr_node *node = config->legacy == NULL ? NULL : config->legacy[index].node;
    size_t used = 0;
    if (node == NULL || node->kind == BFR_NODE_SCALAR) {
        const char *fallback = bfr_legacy_settings[index].fallback;
        snprintf(out, room, "%s", node != NULL ? node->text : fallback != NULL ? fallback : "");
        return;
    }
    for (const struct bfr_node *child = node->children; child != NULL && used < room; child = child->next) {
        if (child->kind == BFR_NODE_SCALAR)
            used += (size_t)snprintf(out + used, room - used, "%s%s", used == 0 ? "" : ",", child->text);
    }
}

uint32_t bfr_config_older_text(const struct bfr_config *config, const char *path, char *out, size_t room)
{
    uint32_t index = 0;
    out[0] = '\0';
    const struct bfr_legacy_setting *setting = find_setting(path, &index);
    if (setting == NULL)
        return BFR_EINVAL;
    const char *state = read_switch(config, index);
    if (state != NULL)
        snprintf(out, room, "%s", state);
    else if (!print_target(config, setting, out, room))
        print_kept(config, index, out, room);
    return BFR_OK;
}
