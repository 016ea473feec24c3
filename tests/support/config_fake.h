// SPDX-License-Identifier: Apache-2.0
// The way from a YAML text to findings, with the fake plugin in every stage, for the tests of the configuration.
#ifndef BFR_TEST_CONFIG_FAKE_H
#define BFR_TEST_CONFIG_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config_fake_plugin.h"
#include "config_load.h"

// A configuration that was read, with its findings.
struct fake_run {
    struct bfr_config *config;
    struct bfr_diag *diag;
    char *findings;
};

// Bind every stage to the fake plugin and print what was found.
static inline void fake_finish(struct fake_run *run)
{
    size_t size = 0;
    assert_non_null(run->config);
    for (size_t i = 0; i < bfr_config_stage_count(run->config); i++)
        (void)bfr_config_bind(run->config, i, &fake_plugin, run->diag);
    FILE *stream = open_memstream(&run->findings, &size);
    assert_non_null(stream);
    bfr_diag_print(run->diag, stream);
    assert_int_equal(fclose(stream), 0);
}

static inline struct fake_run fake_parse(const char *text, const struct bfr_config_flags *flags)
{
    struct fake_run run = {.diag = bfr_diag_new()};
    assert_non_null(run.diag);
    run.config = bfr_config_parse("/etc/c.yaml", text, flags, run.diag);
    fake_finish(&run);
    return run;
}

static inline struct fake_run fake_read(const char *path, const struct bfr_config_flags *flags)
{
    struct fake_run run = {.diag = bfr_diag_new()};
    assert_non_null(run.diag);
    run.config = bfr_config_read(path, flags, run.diag);
    fake_finish(&run);
    return run;
}

static inline void fake_free(struct fake_run *run)
{
    free(run->findings);
    bfr_config_free(run->config);
    bfr_diag_free(run->diag);
}

#endif
