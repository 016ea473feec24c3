// SPDX-License-Identifier: Apache-2.0
// A started memory stage for tests, with its calls in short form. Time stands still unless a test moves it.
#ifndef BFR_TEST_MEMORY_STAGE_H
#define BFR_TEST_MEMORY_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugin_file.h"

#define START_NS UINT64_C(1000000000)

struct stage {
    struct bfr_fake *fake;
    const struct bfr_queue_vtable *table;
    void *self;
};

static inline struct stage open_stage(const char *max_bytes, uint32_t consumers)
{
    const char *const names[] = {"one", "two", "three"};
    char pair[64];
    const char *pairs[] = {pair};
    struct bfr_err err = {.size = sizeof err};
    struct stage stage;

    snprintf(pair, sizeof pair, "max_bytes=%s", max_bytes);
    stage.fake = plugin_file_create(pairs, 1);
    stage.table = plugin_file_load()->vtable;
    stage.self = bfr_fake_self(stage.fake);
    bfr_fake_clock_set(stage.fake, START_NS);
    assert_int_equal(stage.table->consumers(stage.self, names, consumers, &err), BFR_OK);
    plugin_file_start(stage.fake);
    return stage;
}

// Put one batch of `bytes` zeros; returns whether it was taken.
static inline bool put_one(struct stage *stage, const char *tenant, const char *filename, size_t bytes)
{
    char *body = calloc(1, bytes);
    const struct bfr_batch *batch = bfr_fake_batch(stage->fake, tenant, "web", filename, body, bytes);
    uint64_t token;
    struct bfr_fake_end end;
    size_t taken = bfr_fake_put(stage->fake, &batch, 1, &token);

    free(body);
    if (taken == 1) {
        assert_true(bfr_fake_wait(stage->fake, token, 0, &end)); // inside put
        assert_int_equal(end.outcome, BFR_STORED);
    }
    bfr_fake_batch_release(stage->fake, batch);
    return taken == 1;
}

static inline uint32_t lease_many(struct stage *stage, uint32_t consumer, uint32_t flags, uint32_t most,
                                  struct bfr_lease **out, uint64_t *out_next_ns)
{
    const struct bfr_lease_request request = {
        .size = sizeof request, .consumer = consumer, .max_batches = most, .flags = flags, .max_bytes = UINT64_MAX};
    return stage->table->lease(stage->self, &request, out, out_next_ns);
}

// One lease, or NULL.
static inline struct bfr_lease *lease_one(struct stage *stage, uint32_t consumer, uint32_t flags)
{
    struct bfr_lease *lease = NULL;
    uint64_t next_ns;
    return lease_many(stage, consumer, flags, 1, &lease, &next_ns) == 1 ? lease : NULL;
}

static inline uint32_t ack_one(struct stage *stage, uint32_t consumer, struct bfr_lease *lease)
{
    uint32_t settled = 0;
    stage->table->ack(stage->self, consumer, &lease, 1, &settled);
    return settled;
}

static inline void nack_one(struct stage *stage, uint32_t consumer, struct bfr_lease *lease, uint32_t attempts,
                            uint64_t not_before_ns, const char *text)
{
    const struct bfr_nack nack = {
        .size = sizeof nack, .attempts = attempts, .not_before_ns = not_before_ns, .text = text};
    const struct bfr_nack *const nacks[] = {&nack};
    stage->table->nack(stage->self, consumer, &lease, nacks, 1);
}

static inline uint32_t bury_one(struct stage *stage, uint32_t consumer, struct bfr_lease *lease, uint32_t reason,
                                uint32_t attempts, const char *text)
{
    const struct bfr_burial burial = {.size = sizeof burial, .reason = reason, .attempts = attempts, .text = text};
    const struct bfr_burial *const burials[] = {&burial};
    uint32_t settled = 0;
    stage->table->bury(stage->self, consumer, &lease, burials, 1, &settled);
    return settled;
}

static inline struct bfr_queue_stats stats_of(struct stage *stage)
{
    struct bfr_queue_stats stats = {.size = sizeof stats};
    stage->table->stats(stage->self, &stats);
    return stats;
}

#endif
