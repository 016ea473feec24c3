// SPDX-License-Identifier: Apache-2.0
// The daemon's life: build, start, listen, run, stop.
#ifndef BFR_CORE_APP_H
#define BFR_CORE_APP_H

#include "config_load.h"

// Exit codes of the program; part of its interface.
enum bfr_exit {
    BFR_EXIT_OK = 0,
    BFR_EXIT_FAILURE = 1, // port taken, spool locked, a stage did not start, something was lost at stop
    BFR_EXIT_USAGE = 2,
    BFR_EXIT_CONFIG = 78 // file missing or invalid, plugin refused, `create` failed (EX_CONFIG of sysexits.h)
};

// Run until a stop signal; returns an enum bfr_exit. [main]
int bfr_app_run(const char *config_path, const struct bfr_config_flags *flags);

#endif
