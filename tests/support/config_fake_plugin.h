// SPDX-License-Identifier: Apache-2.0
// A plugin with one option of every type, linked in; nothing of it ever runs.
#ifndef BFR_TEST_CONFIG_FAKE_PLUGIN_H
#define BFR_TEST_CONFIG_FAKE_PLUGIN_H

#include <bfr/plugin.h>

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
    {.name = "token",
     .type = BFR_OPTION_STRING,
     .flags = BFR_OPTION_SECRET | BFR_OPTION_LIVE,
     .help = "may change while it runs"},
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

#endif
