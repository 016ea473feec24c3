// SPDX-License-Identifier: Apache-2.0
// Finds the plugin directory in force and loads what is in it, by name.
#include "cli_plugin_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_settings.h"
#include "plugin_loader.h"

bool bfr_plugin_dir_find(const struct bfr_cli *cli, char *out, size_t size)
{
    if (cli->flags.plugin_dir != NULL) {
        snprintf(out, size, "%s", cli->flags.plugin_dir);
        return true;
    }
    struct bfr_config *config = bfr_cli_settings_read(cli);
    if (config == NULL)
        return false;
    snprintf(out, size, "%s", bfr_config_settings(config)->plugin_dir);
    bfr_config_free(config);
    return true;
}

// "fs" of "fs.so"; false for other files.
static bool plugin_name(const char *file, char *out, size_t size)
{
    size_t length = strlen(file);
    if (length <= 3 || length - 3 >= size || strcmp(file + length - 3, ".so") != 0)
        return false;
    memcpy(out, file, length - 3);
    out[length - 3] = '\0';
    return true;
}

static void load_one(const char *directory, const char *name, struct bfr_plugin_list *out)
{
    struct bfr_err err = {.size = sizeof err};
    const struct bfr_plugin *plugin = NULL;
    if (bfr_plugin_load(directory, name, &plugin, &err) == BFR_OK) {
        out->plugins[out->count++] = plugin;
    } else {
        fprintf(stderr, "bytefreezer-receiver: %s\n", err.text);
        out->refused++;
    }
}

uint32_t bfr_plugin_list_read(const struct bfr_cli *cli, struct bfr_plugin_list *out, struct bfr_err *err)
{
    char directory[4096];
    if (!bfr_plugin_dir_find(cli, directory, sizeof directory))
        return bfr_err_set(err, BFR_EINVAL, "the plugin directory is not known because the configuration has errors");
    struct dirent **files = NULL;
    int count = scandir(directory, &files, NULL, alphasort);
    if (count < 0)
        return bfr_err_set(err, BFR_EFAIL, "cannot read the plugin directory '%s': %s; name another with --plugin-dir",
                           directory, strerror(errno));
    *out = (struct bfr_plugin_list){.count = 0};
    for (int i = 0; i < count; i++) {
        char name[256];
        if (plugin_name(files[i]->d_name, name, sizeof name) && out->count < BFR_PLUGIN_LIST_MAX)
            load_one(directory, name, out);
        free(files[i]);
    }
    free(files);
    return BFR_OK;
}
