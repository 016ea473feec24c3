// SPDX-License-Identifier: Apache-2.0
// A plugin with one option of every type, and the way from a YAML text to findings, for the tests of the configuration.
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

#include "config_load.h"

static uint32_t fake_create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)host;
    (void)out_self;
    (void)err;
    return BFR_OK;
}

static void fake_destroy(void *self)
{
    (void)self;
}

static const struct bfr_life fake_life = {.size = sizeof fake_life, .create = fake_create, .destroy = fake_destroy};

static const struct bfr_option fake_options[] = {
    {.name = "place", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_REQUIRED, .help = "where it goes"},
    {.name = "mode", .type = BFR_OPTION_STRING, .fallback = "open", .choices = "open|tokens|control", .help = "how"},
    {.name = "ssl", .type = BFR_OPTION_BOOL, .fallback = "true", .help = "speak TLS"},
    {.name = "workers", .type = BFR_OPTION_INTEGER, .fallback = "10", .min = "1", .max = "64", .help = "threads"},
    {.name = "offset", .type = BFR_OPTION_INTEGER, .fallback = "0", .min = "-5", .help = "may be negative"},
    {.name = "share", .type = BFR_OPTION_NUMBER, .fallback = "0.5", .max = "1", .help = "part of the whole"},
    {.name = "room", .type = BFR_OPTION_SIZE, .fallback = "1GiB", .min = "64KiB", .help = "bytes at most"},
    {.name = "interval_ms", .type = BFR_OPTION_DURATION, .unit = "ms", .fallback = "5", .max = "1m", .help = "pause"},
    {.name = "directory", .type = BFR_OPTION_PATH, .help = "where files are"},
    {.name = "hosts", .type = BFR_OPTION_LIST, .fallback = "[a, b]", .help = "far ends"},
    {.name = "tags", .type = BFR_OPTION_MAP, .help = "labels"},
    {.name = "api_key", .type = BFR_OPTION_STRING, .flags = BFR_OPTION_SECRET, .help = "the key"},
};

#define FAKE_OPTION_COUNT ((uint32_t)(sizeof fake_options / sizeof fake_options[0]))

static const struct bfr_plugin fake_plugin = {
    BFR_PLUGIN_HEAD,
    .kind = BFR_KIND_SINK,
    .name = "fake",
    .version = "1.0",
    .summary = "one option of every type",
    .options = fake_options,
    .option_count = FAKE_OPTION_COUNT,
    .option_size = sizeof fake_options[0],
    .life = &fake_life,
};

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
