// SPDX-License-Identifier: Apache-2.0
// The breaker of one link to a sink: is the far end away, or is it this batch? Decides what is charged to a batch and
// whether the link sends batches or only probes.
#ifndef BFR_CORE_PIPE_BREAKER_H
#define BFR_CORE_PIPE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BFR_BREAKER_SUSPECTS 128

// A batch whose last attempt ended with OUTAGE.
struct bfr_suspect {
    uint64_t batch; // hash of its key
    bool at_fault;  // another batch has succeeded since
};

struct bfr_breaker {
    bool open;
    // Evidence for an outage: failures since the last success, of batches not known to be at fault.
    uint64_t first_batch, first_tenant;
    bool one_failed, several_failed, several_tenants;
    struct bfr_suspect suspects[BFR_BREAKER_SUSPECTS]; // ring, oldest replaced
    uint32_t suspect_count, suspect_next;
};

enum bfr_blame { BFR_BLAME_FAR_END = 1, BFR_BLAME_BATCH = 2 };

void bfr_breaker_init(struct bfr_breaker *breaker);
// The far end answered: it `stored` the batch `batch`, or judged it. Closes the breaker; true when it was open.
bool bfr_breaker_answer(struct bfr_breaker *breaker, uint64_t batch, bool stored);
// An attempt ended with OUTAGE. `other_tenants`: deliveries of other tenants are still in flight here, whose result
// will tell more. Returns enum bfr_blame. May open the breaker.
uint32_t bfr_breaker_outage(struct bfr_breaker *breaker, uint64_t batch, uint64_t tenant, bool other_tenants);
// No batch is under suspicion: an answer need not name its batch.
static inline bool bfr_breaker_clean(const struct bfr_breaker *breaker)
{
    return !breaker->open && !breaker->one_failed && breaker->suspect_count == 0;
}

#endif
