// SPDX-License-Identifier: Apache-2.0
// Tenants with rates of their own. Runs on the thread that reads the configuration.
#include "config_quotas.h"

#include <string.h>

#include <bfr/batch.h>

#include "config_check.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static bool is_tenant(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= BFR_ID_MAX && text[0] != '.' && strspn(text, LETTERS) == size;
}

// NULL when absent or not a mapping, which is reported.
static const struct bfr_node *find_tenants(const struct bfr_node *root, struct bfr_diag *diag)
{
    const struct bfr_node *node = bfr_node_path(root, "quotas." BFR_QUOTAS_TENANTS);
    if (node == NULL || bfr_node_is_null(node) || node->kind == BFR_NODE_BROKEN)
        return NULL;
    if (node->kind == BFR_NODE_MAP)
        return node;
    bfr_diag_error(diag, node->place,
                   "quotas.tenants: found %s where tenants should be; write each below it, for example  acme: "
                   "{bytes_per_second: 10MiB}",
                   bfr_node_kind_name(node));
    return NULL;
}

// NULL: reported.
static struct bfr_values *check_tenant(struct bfr_config *config, const struct bfr_node *node, struct bfr_diag *diag)
{
    if (!is_tenant(node->key)) {
        bfr_diag_error(
            diag, node->key_place,
            "quotas.tenants: %s is no tenant id; those are 1 to 64 of A-Z a-z 0-9 . _ - without a leading dot",
            bfr_quote(node->key).text);
        return NULL;
    }
    if (node->kind != BFR_NODE_MAP) {
        if (node->kind != BFR_NODE_BROKEN)
            bfr_diag_error(diag, node->place,
                           "quotas.tenants.%s: found %s; write its rates, for example  {bytes_per_second: 10MiB}",
                           node->key, bfr_node_kind_name(node));
        return NULL;
    }
    const struct bfr_core_section *section = &bfr_core_sections[BFR_CORE_QUOTAS_DEFAULT];
    const struct bfr_check check = {
        .diag = diag,
        .title = bfr_arena_format(&config->arena, "quotas.tenants.%s", node->key),
        .separator = ".",
        .base_dir = config->base_dir,
        .environment = config->environment,
    };
    bool good = false;
    if (check.title == NULL)
        return NULL; // reported with the arena's failure
    return bfr_check_options(&check, node, node->place, section->options, section->count, sizeof section->options[0],
                             &good);
}

void bfr_quotas_list(struct bfr_config *config, const struct bfr_node *root, struct bfr_diag *diag)
{
    const struct bfr_node *map = find_tenants(root, diag);
    if (map == NULL || map->child_count == 0)
        return;
    config->quotas = bfr_arena_alloc(&config->arena, map->child_count * sizeof *config->quotas);
    struct bfr_tenant_quota *tenants = bfr_arena_alloc(&config->arena, map->child_count * sizeof *tenants);
    if (config->quotas == NULL || tenants == NULL)
        return;
    for (const struct bfr_node *node = map->children; node != NULL; node = node->next) {
        struct bfr_values *values = check_tenant(config, node, diag);
        if (values == NULL)
            continue;
        config->quotas[config->quota_count] = (struct bfr_config_quota){node->key, values};
        tenants[config->quota_count++] = (struct bfr_tenant_quota){node->key, bfr_core_rate(values)};
    }
    config->settings.quotas.tenants = tenants;
    config->settings.quotas.tenant_count = config->quota_count;
}

void bfr_quotas_free(struct bfr_config *config)
{
    for (size_t i = 0; i < config->quota_count; i++)
        bfr_values_free(config->quotas[i].values);
}
