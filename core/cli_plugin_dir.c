// SPDX-License-Identifier: Apache-2.0
// Finds the plugin directory in force and loads what is in it, by name.
#include "cli_plugin_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_file.h"
#include "plugin_loader.h"

// The configuration that `run` would use, or, where there is none, one without a word in it: the environment is heard all
// the same. NULL after a report.
static struct bfr_config *read_config(const struct bfr_cli *cli)
{
    struct bfr_diag *diag = bfr_diag_new(), *absence = bfr_diag_new();
    struct bfr_arena arena = {0};
    struct bfr_config *config = NULL;
    if (diag == NULL || absence == NULL)
        goto out;
    const char *path = bfr_config_find(&arena, cli->config_path, cli->flags.environment);
    if (path == NULL) {
        config = bfr_config_parse("environment", "", &cli->flags, absence);
        goto out;
    }
    config = bfr_config_read(path, &cli->flags, diag);
    if (config != NULL && bfr_diag_errors(diag) > 0) {
        bfr_diag_print(diag, stderr);
        bfr_config_free(config);
        config = NULL;
    }
out:
    bfr_arena_free(&arena);
    bfr_diag_free(absence);
    bfr_diag_free(diag);
    return config;
}

bool bfr_plugin_dir_find(const struct bfr_cli *cli, char *out, size_t size)
{
    if (cli->flags.plugin_dir != NULL) {
        snprintf(out, size, "%s", cli->flags.plugin_dir);
        return true;
    }
    struct bfr_config *config = read_config(cli);
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
