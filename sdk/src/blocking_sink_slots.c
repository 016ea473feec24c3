// SPDX-License-Identifier: Apache-2.0
// The pool's calls in the shape of table slots, for a stage whose struct begins with the pool. Adds nothing of its own.
#include <bfr/blocking_sink.h>

static struct bfr_blocking_sink *pool_of(void *self)
{
    return *(struct bfr_blocking_sink **)self;
}

uint32_t bfr_blocking_sink_slot_start(void *self, struct bfr_err *err)
{
    return bfr_blocking_sink_start(pool_of(self), err);
}

void bfr_blocking_sink_slot_drain(void *self, uint64_t deadline_ns)
{
    bfr_blocking_sink_drain(pool_of(self), deadline_ns);
}

void bfr_blocking_sink_slot_stop(void *self)
{
    bfr_blocking_sink_stop(pool_of(self));
}

size_t bfr_blocking_sink_slot_put(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    return bfr_blocking_sink_put(pool_of(self), deliveries, count);
}

uint32_t bfr_blocking_sink_slot_window(void *self)
{
    return bfr_blocking_sink_window(pool_of(self));
}
