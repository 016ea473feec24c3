// SPDX-License-Identifier: Apache-2.0
// A good descriptor; create always fails, and everything else would crash.
#include "base.h"

static uint32_t create(const struct bfr_host *host, void **out_self, struct bfr_err *err)
{
    static const char text[] = "the shop is closed; come back tomorrow";
    (void)host;
    *out_self = (void *)text; /* against the rule: must be left alone */
    for (size_t i = 0; i < sizeof text; i++)
        err->text[i] = text[i];
    return BFR_EFAIL;
}

static void destroy(void *self)
{
    (void)self;
    __builtin_trap();
}

static const struct bfr_life life = {sizeof life, .create = create, .destroy = destroy};
static const struct bfr_plugin plugin = {BFR_PLUGIN_HEAD, GOOD_IDENTITY("failing-create"), .life = &life,
                                         .vtable = &good_sink};
ENTRY(plugin)
