/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The good parts that every bad plugin shares: a sink that takes nothing. Each plugin next to this file differs from a
 * good one in exactly the fault that its name and first comment tell.
 */
#ifndef BAD_BASE_H
#define BAD_BASE_H

#include <bfr/plugin.h>

#define UNUSED __attribute__((unused))

static UNUSED uint32_t good_create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    (void)host;
    (void)err;
    static char self;
    *out_self = &self;
    return BFR_OK;
}

static UNUSED void good_destroy(void *self)
{
    (void)self;
}

static UNUSED size_t good_put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    (void)self;
    (void)deliveries;
    (void)count;
    return 0;
}

static UNUSED const struct bfr_life good_life = {sizeof good_life, .create = good_create, .destroy = good_destroy};
static UNUSED const struct bfr_sink_vtable good_sink = {sizeof good_sink, .put = good_put};

#define GOOD_IDENTITY(plugin_name)                                                                                     \
    .kind = BFR_KIND_SINK, .name = (plugin_name), .version = "1.0.0", .summary = "Takes nothing"
#define GOOD_TABLES .life = &good_life, .vtable = &good_sink

#define ENTRY(descriptor)                                                                                              \
    const struct bfr_plugin *bfr_plugin_entry_v1(void)                                                                 \
    {                                                                                                                  \
        return &(descriptor);                                                                                          \
    }

#endif
