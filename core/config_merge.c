// SPDX-License-Identifier: Apache-2.0
// Compares key by key, by meaning and not by spelling. Runs on the main thread; knows from the option tables alone what may
// change. Never names a value, which may be a secret.
#include "config_merge.h"

#include <string.h>

#include "bug.h"
#include "config_slots.h"
#include "config_state.h"

static bool is_live(const struct bfr_option *option)
{
    return (option->flags & BFR_OPTION_LIVE) != 0;
}

// --- the core

// Certificates may be exchanged, but whether a port speaks TLS at all is known to who opened it.
static bool switches_tls(enum bfr_core_index section, const struct bfr_values *fresh, const struct bfr_values *running)
{
    if (section != BFR_CORE_WEBHOOK_TLS && section != BFR_CORE_SERVER_TLS)
        return false;
    return (bfr_values_string(fresh, "certificate")[0] == '\0') !=
           (bfr_values_string(running, "certificate")[0] == '\0');
}

static void merge_section(enum bfr_core_index index, struct bfr_values *fresh, const struct bfr_values *running,
                          struct bfr_texts *needs_restart)
{
    const char *section = bfr_core_sections[index].name;
    bool fixed = switches_tls(index, fresh, running);
    for (uint32_t i = 0; i < fresh->count; i++) {
        const struct bfr_option *option = &fresh->options[i];
        if (bfr_slot_same(option->type, &fresh->slots[i], &running->slots[i]) || (is_live(option) && !fixed))
            continue;
        bfr_texts_add(needs_restart, "%s%s%s", section, section[0] == '\0' ? "" : ".", option->name);
        fresh->slots[i] = bfr_slot_copy(&fresh->arena, &running->slots[i]);
    }
}

static bool merge_core(struct bfr_config *fresh, const struct bfr_config *running, struct bfr_texts *needs_restart)
{
    bool good = true;
    for (size_t s = 0; s < BFR_CORE_SECTIONS; s++) {
        merge_section((enum bfr_core_index)s, fresh->sections[s], running->sections[s], needs_restart);
        good = good && !fresh->sections[s]->arena.failed;
    }
    if (good)
        bfr_core_fill((const struct bfr_values *const *)fresh->sections, &fresh->settings);
    return good;
}

// --- stages

static bool is_same_stage(const struct bfr_config_stage *a, const struct bfr_config_stage *b)
{
    return a->entry.service == b->entry.service && strcmp(a->entry.name, b->entry.name) == 0 &&
           strcmp(a->entry.plugin, b->entry.plugin) == 0;
}

// The stages of one list, `pipeline` or `services`, must be the same ones in the same order.
static bool same_list(const struct bfr_config *a, const struct bfr_config *b, bool services)
{
    size_t i = 0, k = 0;
    for (;; i++, k++) {
        while (i < a->stage_count && a->stages[i].entry.service != services)
            i++;
        while (k < b->stage_count && b->stages[k].entry.service != services)
            k++;
        if (i == a->stage_count || k == b->stage_count)
            return i == a->stage_count && k == b->stage_count;
        if (!is_same_stage(&a->stages[i], &b->stages[k]))
            return false;
    }
}

static struct bfr_values *find_values(const struct bfr_config *config, const struct bfr_config_stage *wanted)
{
    for (size_t i = 0; i < config->stage_count; i++) {
        if (is_same_stage(&config->stages[i], wanted))
            return config->stages[i].values;
    }
    return NULL;
}

// What a default names may be what another key inherited: only a key that somebody wrote, or wrote before, is named.
static void name_key(const struct bfr_config_stage *stage, const struct bfr_option *option,
                     struct bfr_texts *needs_restart)
{
    bfr_texts_add(needs_restart, "stage '%s': %s", stage->entry.name, option->name);
}

// True when something that may change has. What may not shares the texts of `running`.
static bool merge_stage(const struct bfr_config_stage *stage, struct bfr_values *fresh,
                        const struct bfr_values *running, struct bfr_texts *needs_restart)
{
    bool changed = false;
    for (uint32_t i = 0; i < fresh->count; i++) {
        const struct bfr_option *option = &fresh->options[i];
        bool same = bfr_slot_same(option->type, &fresh->slots[i], &running->slots[i]);
        if (is_live(option)) {
            changed = changed || !same;
            continue;
        }
        if (!same)
            name_key(stage, option, needs_restart);
        fresh->slots[i] = running->slots[i];
    }
    return changed;
}

// `list` becomes the stages of `running` with what has changed of each.
static void merge_stages(struct bfr_config *fresh, const struct bfr_config *running, struct bfr_config_stage *list,
                         struct bfr_texts *needs_restart)
{
    for (size_t i = 0; i < running->stage_count; i++) {
        const struct bfr_config_stage *old = &running->stages[i];
        struct bfr_values *values = find_values(fresh, old);
        list[i] = (struct bfr_config_stage){.entry = old->entry, .plugin = old->plugin};
        list[i].entry.place = (struct bfr_place){fresh->path, 0, 0};
        list[i].entry.plugin = bfr_arena_copy(&fresh->arena, old->entry.plugin, strlen(old->entry.plugin));
        list[i].entry.name = bfr_arena_copy(&fresh->arena, old->entry.name, strlen(old->entry.name));
        if (values != NULL && merge_stage(old, values, old->values, needs_restart))
            list[i].values = values;
    }
}

static bool is_among(const struct bfr_config_stage *list, size_t count, const struct bfr_values *values)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].values == values)
            return true;
    }
    return false;
}

bool bfr_config_merge(struct bfr_config *fresh, const struct bfr_config *running, struct bfr_texts *needs_restart)
{
    struct bfr_config_stage *list = bfr_arena_alloc(&fresh->arena, (running->stage_count + 1) * sizeof *list);
    if (list == NULL || !merge_core(fresh, running, needs_restart))
        return false;
    if (!same_list(fresh, running, false))
        bfr_texts_add(needs_restart, "pipeline");
    if (!same_list(fresh, running, true))
        bfr_texts_add(needs_restart, "services");
    merge_stages(fresh, running, list, needs_restart);
    for (size_t i = 0; i < fresh->stage_count; i++) {
        if (!is_among(list, running->stage_count, fresh->stages[i].values))
            bfr_values_free(fresh->stages[i].values);
    }
    fresh->stages = list;
    fresh->stage_count = running->stage_count;
    return !fresh->arena.failed && !needs_restart->failed;
}

const struct bfr_values *bfr_config_change(const struct bfr_config *fresh, size_t index)
{
    return fresh->stages[index].values;
}

// The places would point into the file that is gone.
static void forget_places(struct bfr_values *values, const char *file)
{
    for (uint32_t i = 0; i < values->count; i++)
        values->slots[i].place = (struct bfr_place){file, 0, 0};
}

void bfr_config_take_over(struct bfr_config *fresh, struct bfr_config *running)
{
    bfr_must(fresh->stage_count == running->stage_count);
    for (size_t i = 0; i < fresh->stage_count; i++) {
        struct bfr_config_stage *stage = &fresh->stages[i];
        struct bfr_values *former = running->stages[i].values;
        running->stages[i].values = NULL;
        if (stage->values == NULL)
            stage->values = former;
        else
            bfr_values_succeed(stage->values, former);
        forget_places(stage->values, fresh->path);
    }
}
