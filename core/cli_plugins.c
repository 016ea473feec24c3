// SPDX-License-Identifier: Apache-2.0
// Commands about plugins: list, info, check.
#include <stdio.h>

#include "app.h"
#include "cli.h"
#include "cli_plugin_dir.h"
#include "plugin_loader.h"

static int fail(const struct bfr_err *err)
{
    fprintf(stderr, "bytefreezer-receiver: %s\n", err->text);
    return BFR_EXIT_CONFIG;
}

int bfr_cli_plugins_list(const struct bfr_cli *cli)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_plugin_list list;
    if (bfr_plugin_list_read(cli, &list, &err) != BFR_OK)
        return fail(&err);
    for (size_t i = 0; i < list.count; i++) {
        const struct bfr_plugin *plugin = list.plugins[i];
        printf("%-12s %-8s %-10s %s\n", plugin->name, bfr_kind_name(plugin->kind), plugin->version, plugin->summary);
    }
    return list.refused == 0 ? BFR_EXIT_OK : BFR_EXIT_CONFIG;
}

int bfr_cli_plugins_info(const struct bfr_cli *cli)
{
    struct bfr_err err = {.size = sizeof err};
    char directory[4096];
    if (!bfr_plugin_dir_find(cli, directory, sizeof directory))
        return BFR_EXIT_CONFIG;
    const struct bfr_plugin *plugin = NULL;
    if (bfr_plugin_load(directory, cli->argv[0], &plugin, &err) != BFR_OK)
        return fail(&err);
    bfr_config_describe(plugin, stdout);
    return BFR_EXIT_OK;
}

int bfr_cli_plugins_check(const struct bfr_cli *cli)
{
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    if (bfr_plugin_load_file(cli->argv[0], &plugin, &err) != BFR_OK)
        return fail(&err);
    printf("%s: good: %s %s, kind %s, ABI %u.%u\n", cli->argv[0], plugin->name, plugin->version,
           bfr_kind_name(plugin->kind), plugin->abi_major, plugin->abi_minor);
    return BFR_EXIT_OK;
}
