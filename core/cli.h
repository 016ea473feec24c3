// SPDX-License-Identifier: Apache-2.0
// The command line: one table of commands, each with its own help. A command gets what follows its name. [main]
#ifndef BFR_CORE_CLI_H
#define BFR_CORE_CLI_H

#include "config_load.h"

// What the flags of any command came to.
struct bfr_cli {
    const char *config_path; // NULL: not given
    struct bfr_config_flags flags;
    bool live; // --live
    int argc;  // operands that are left
    char **argv;
};

struct bfr_command {
    const char *words;    // "config show"
    const char *operands; // "[NAME]", for the usage line
    int operand_min, operand_max;
    const char *summary;
    int (*run)(const struct bfr_cli *cli); // returns an enum bfr_exit
};

int bfr_cli_run(const struct bfr_cli *cli);
int bfr_cli_check(const struct bfr_cli *cli);
int bfr_cli_check_live(const struct bfr_cli *cli);
int bfr_cli_config_show(const struct bfr_cli *cli);
int bfr_cli_config_schema(const struct bfr_cli *cli);
int bfr_cli_plugins_list(const struct bfr_cli *cli);
int bfr_cli_plugins_info(const struct bfr_cli *cli);
int bfr_cli_plugins_check(const struct bfr_cli *cli);
int bfr_cli_token_hash(const struct bfr_cli *cli);

#endif
