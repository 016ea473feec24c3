// SPDX-License-Identifier: Apache-2.0
// Lending batches to consumers and taking them back.
#ifndef BFR_SPOOL_DISK_LEASE_H
#define BFR_SPOOL_DISK_LEASE_H

#include "disk_queue.h"

// The slots of the queue table.
uint32_t bfr_disk_lease(void *self, const struct bfr_lease_request *request, struct bfr_lease **out,
                        uint64_t *out_next_ns);
void bfr_disk_ack(void *self, uint32_t consumer, struct bfr_lease *const *leases, uint32_t count, uint32_t *settled);
void bfr_disk_nack(void *self, uint32_t consumer, struct bfr_lease *const *leases, const struct bfr_nack *const *nacks,
                   uint32_t count);
void bfr_disk_bury(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                   const struct bfr_burial *const *burials, uint32_t count, uint32_t *settled);
uint64_t bfr_disk_evict(void *self, uint64_t bytes);

// For one leased claim, without the host having asked. The mutex is held. All return what it made of the batch
// (enum bfr_settled) and put what is done with onto *chain.
uint32_t bfr_disk_confirm_claim(struct disk_queue *queue, struct disk_claim *claim, struct disk_entry **chain);
uint32_t bfr_disk_bury_claim(struct disk_queue *queue, struct disk_claim *claim, const struct bfr_burial *burial,
                             int64_t wall_ns, struct disk_entry **chain);
void bfr_disk_give_back_claim(struct disk_queue *queue, struct disk_claim *claim, uint64_t not_before_ns);

static inline uint32_t bfr_disk_consumer_of(const struct disk_claim *claim)
{
    return (uint32_t)(claim - claim->entry->claims);
}

#endif
