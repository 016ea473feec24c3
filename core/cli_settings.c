// SPDX-License-Identifier: Apache-2.0
// The configuration as far as commands need it that only look something up in it. Main thread.
#include "cli_settings.h"

#include <stdio.h>

#include "config_arena.h"
#include "config_file.h"

// Where there is none, it is one without a word in it: the environment is heard all the same.
struct bfr_config *bfr_cli_settings_read(const struct bfr_cli *cli)
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
