// SPDX-License-Identifier: Apache-2.0
// Registers a metric whose name is the daemon's, or whatever name its option gives.
#include "base.h"

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)host->metric_register(host, BFR_METRIC_GAUGE, host->config_string(host, "metric"), "Mine.", NULL);
    return good_create(host, out_self, err);
}

static const struct bfr_option options[] = {
    {.name = "metric", .type = BFR_OPTION_STRING, .fallback = "requests_total", .help = "name to register"},
};
static const struct bfr_life life = {sizeof life, .create = create, .destroy = good_destroy};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD,     GOOD_IDENTITY("own-metric"),      .options = options,
                                         .option_count = 1,   .option_size = sizeof options[0], .life = &life,
                                         .vtable = &good_sink};
ENTRY(plugin)
