// SPDX-License-Identifier: Apache-2.0
// The breaker's judgement. Pure; pump thread only.
//
// An OUTAGE is the sink's word for "nobody's batches can be stored now", and it may be wrong: a batch that makes the
// far end time out looks the same. So one batch proves nothing. Two distinct ones do, and of two tenants where there
// are any, because one tenant's batches may share the fault (its bucket prefix is forbidden). Nothing is charged on
// suspicion: a batch is charged only once another was stored after it failed, which is what an outage cannot do.
#include "pipe_breaker.h"

#include <string.h>

void bfr_breaker_init(struct bfr_breaker *breaker)
{
    memset(breaker, 0, sizeof *breaker);
}

static struct bfr_suspect *suspect_find(struct bfr_breaker *breaker, uint64_t batch)
{
    for (uint32_t i = 0; i < breaker->suspect_count; i++) {
        if (breaker->suspects[i].batch == batch)
            return &breaker->suspects[i];
    }
    return NULL;
}

// When more batches than that are under suspicion the oldest is let off: it is merely never charged for this failure.
static void suspect_add(struct bfr_breaker *breaker, uint64_t batch)
{
    struct bfr_suspect *at;
    if (breaker->suspect_count < BFR_BREAKER_SUSPECTS) {
        at = &breaker->suspects[breaker->suspect_count++];
    } else {
        at = &breaker->suspects[breaker->suspect_next];
        breaker->suspect_next = (breaker->suspect_next + 1) % BFR_BREAKER_SUSPECTS;
    }
    *at = (struct bfr_suspect){.batch = batch};
}

static void suspect_remove(struct bfr_breaker *breaker, struct bfr_suspect *suspect)
{
    *suspect = breaker->suspects[--breaker->suspect_count];
    breaker->suspect_next = 0;
}

static void evidence_clear(struct bfr_breaker *breaker)
{
    breaker->one_failed = breaker->several_failed = breaker->several_tenants = false;
}

static void evidence_add(struct bfr_breaker *breaker, uint64_t batch, uint64_t tenant)
{
    if (!breaker->one_failed) {
        breaker->one_failed = true;
        breaker->first_batch = batch;
        breaker->first_tenant = tenant;
    }
    breaker->several_failed |= batch != breaker->first_batch;
    breaker->several_tenants |= tenant != breaker->first_tenant;
}

bool bfr_breaker_answer(struct bfr_breaker *breaker, uint64_t batch, bool stored)
{
    bool was_open = breaker->open;
    breaker->open = false;
    evidence_clear(breaker);
    struct bfr_suspect *self = suspect_find(breaker, batch);
    if (self != NULL)
        suspect_remove(breaker, self);
    for (uint32_t i = 0; stored && i < breaker->suspect_count; i++)
        breaker->suspects[i].at_fault = true;
    return was_open;
}

uint32_t bfr_breaker_outage(struct bfr_breaker *breaker, uint64_t batch, uint64_t tenant, bool other_tenants)
{
    struct bfr_suspect *suspect = suspect_find(breaker, batch);
    if (suspect == NULL)
        suspect_add(breaker, batch);
    else if (suspect->at_fault && !breaker->one_failed)
        return BFR_BLAME_BATCH; // no evidence against the far end, and so no open breaker either
    evidence_add(breaker, batch, tenant);
    if (breaker->several_failed && (breaker->several_tenants || !other_tenants))
        breaker->open = true;
    return BFR_BLAME_FAR_END;
}
