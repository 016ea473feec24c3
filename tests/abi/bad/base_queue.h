/* SPDX-License-Identifier: Apache-2.0 */
/* The good parts of a queue that holds nothing. */
#ifndef BAD_BASE_QUEUE_H
#define BAD_BASE_QUEUE_H

#include "base.h"

static UNUSED uint32_t consumers(void *self, const char *const *names, uint32_t count, struct bfr_err *err)
{
    (void)self;
    (void)names;
    (void)count;
    (void)err;
    return BFR_OK;
}

static UNUSED uint32_t lease(void *self, const struct bfr_lease_request *request, struct bfr_lease **out,
                             uint64_t *out_next_ns)
{
    (void)self;
    (void)request;
    (void)out;
    *out_next_ns = UINT64_MAX;
    return 0;
}

static UNUSED void ack(void *self, uint32_t consumer, struct bfr_lease *const *leases, uint32_t count,
                       uint32_t *settled)
{
    (void)self;
    (void)consumer;
    (void)leases;
    (void)count;
    (void)settled;
}

static UNUSED void nack(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                        const struct bfr_nack *const *nacks, uint32_t count)
{
    (void)self;
    (void)consumer;
    (void)leases;
    (void)nacks;
    (void)count;
}

static UNUSED void bury(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                        const struct bfr_burial *const *burials, uint32_t count, uint32_t *settled)
{
    (void)self;
    (void)consumer;
    (void)leases;
    (void)burials;
    (void)count;
    (void)settled;
}

static UNUSED void stats(void *self, struct bfr_queue_stats *out)
{
    (void)self;
    (void)out;
}

#define GOOD_QUEUE_SLOTS                                                                                               \
    .consumers = consumers, .put = good_put, .lease = lease, .ack = ack, .nack = nack, .bury = bury, .stats = stats

static UNUSED const struct bfr_queue_vtable good_queue = {sizeof good_queue, GOOD_QUEUE_SLOTS};

#endif
