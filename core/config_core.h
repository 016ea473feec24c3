// SPDX-License-Identifier: Apache-2.0
// The core's own keys: option tables by section, and the settings made from their values.
#ifndef BFR_CORE_CONFIG_CORE_H
#define BFR_CORE_CONFIG_CORE_H

#include <stdint.h>

#include <bfr/option.h>

#include "config_arena.h"
#include "config_diag.h"
#include "config_settings.h"
#include "config_values.h"

struct bfr_core_section {
    const char *name; // YAML key of the mapping, "a.b" when it lies in another; "" = the top level, the first section
    const char *help;
    const struct bfr_option *options;
    uint32_t count; // 0 when there are only mappings in it
};

#define BFR_CORE_SECTIONS 15

extern const struct bfr_core_section bfr_core_sections[BFR_CORE_SECTIONS];

// The keys of the mappings that lie in `parent`, NULL-terminated; returns their number.
size_t bfr_core_children(const char *parent, const char *out[BFR_CORE_SECTIONS]);

// The section that has `key`; NULL when none or the top level has.
const char *bfr_core_section_of(const char *key);

// Fill *out from the values of all sections, in the order of the table. Strings point into the values.
void bfr_core_fill(const struct bfr_values *const *sections, struct bfr_settings *out);

// From values with the table of `quotas.default`.
struct bfr_rate bfr_core_rate(const struct bfr_values *values);

// `webhook.threads`: 0 for "auto", else the number; UINT32_MAX when it is neither.
uint32_t bfr_core_threads(const char *text);

// Indices of the sections, in the order of the table.
enum bfr_core_index {
    BFR_CORE_TOP,
    BFR_CORE_APP,
    BFR_CORE_LOGGING,
    BFR_CORE_WEBHOOK,
    BFR_CORE_WEBHOOK_TLS, // behind the section in which they lie, as config_show.c prints them
    BFR_CORE_WEBHOOK_PROXY,
    BFR_CORE_SERVER,
    BFR_CORE_SERVER_TLS,
    BFR_CORE_MEMORY,
    BFR_CORE_RETRY,
    BFR_CORE_LANES, // read by the stages that inherit its keys
    BFR_CORE_DEDUP,
    BFR_CORE_METRICS,
    BFR_CORE_QUOTAS,
    BFR_CORE_QUOTAS_DEFAULT
};

// What no single key can tell: addresses, ports, limits that must fit each other. NULL sections had errors already and
// are left out.
void bfr_core_check(const struct bfr_values *const *sections, struct bfr_diag *diag);

#endif
