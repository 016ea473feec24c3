// SPDX-License-Identifier: Apache-2.0
// Commands about the configuration: run, check, config show, config schema.
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "app_assembly.h"
#include "cli.h"
#include "cli_plugin_dir.h"
#include "clock.h"

int bfr_cli_run(const struct bfr_cli *cli)
{
    return bfr_app_run(cli->config_path, &cli->flags);
}

static bool post_nothing(void *arg, void (*fn)(void *), void *fn_arg)
{
    (void)arg;
    (void)fn;
    (void)fn_arg;
    return false; // nothing is started, so nothing may be posted
}

static int exit_of(uint32_t status)
{
    return status == BFR_OK ? BFR_EXIT_OK : status == BFR_ENOMEM ? BFR_EXIT_FAILURE : BFR_EXIT_CONFIG;
}

int bfr_cli_check(const struct bfr_cli *cli)
{
    if (cli->live)
        return bfr_cli_check_live(cli);
    struct bfr_metrics *metrics = bfr_metrics_new();
    struct bfr_diag *diag = bfr_diag_new();
    uint32_t status = BFR_ENOMEM;
    if (metrics != NULL && diag != NULL) {
        const struct bfr_stage_env env = {.clock = &bfr_clock_system, .metrics = metrics, .post = post_nothing};
        struct bfr_assembly assembly;
        status = bfr_assembly_build(&assembly, cli->config_path, &cli->flags, &env, diag);
        bfr_diag_print(diag, stderr);
        if (status == BFR_OK) {
            printf("%s: good\n", bfr_config_path(assembly.config));
            bfr_assembly_clear(&assembly);
        }
    }
    bfr_diag_free(diag);
    bfr_metrics_free(metrics);
    return exit_of(status);
}

int bfr_cli_config_show(const struct bfr_cli *cli)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_diag *diag = bfr_diag_new();
    if (diag == NULL)
        return BFR_EXIT_FAILURE;
    struct bfr_assembly assembly;
    int code = exit_of(bfr_assembly_read(&assembly, cli->config_path, &cli->flags, diag));
    bfr_diag_print(diag, stderr);
    if (code == BFR_EXIT_OK && bfr_config_show(assembly.config, stdout, &err) != BFR_OK) {
        fprintf(stderr, "bytefreezer-receiver: %s\n", err.text);
        code = BFR_EXIT_FAILURE;
    }
    bfr_assembly_clear(&assembly);
    bfr_diag_free(diag);
    return code;
}

int bfr_cli_config_schema(const struct bfr_cli *cli)
{
    struct bfr_err err = {.size = sizeof err};
    struct bfr_plugin_list list;
    if (bfr_plugin_list_read(cli, &list, &err) != BFR_OK) {
        fprintf(stderr, "bytefreezer-receiver: %s\n", err.text);
        return BFR_EXIT_CONFIG;
    }
    int code = BFR_EXIT_OK;
    if (bfr_config_schema(list.plugins, list.count, stdout, &err) != BFR_OK) {
        fprintf(stderr, "bytefreezer-receiver: %s\n", err.text);
        code = BFR_EXIT_FAILURE;
    }
    return code;
}
