// SPDX-License-Identifier: Apache-2.0
// The volatile queue: batches in RAM until every consumer is done with them. One mutex guards everything after it in the
// struct; it is held for list work only, never across a call of the host. Shared by the files memory_*.c alone.
#ifndef BFR_SPOOL_MEMORY_QUEUE_H
#define BFR_SPOOL_MEMORY_QUEUE_H

#include <pthread.h>

#include <bfr/plugin.h>

#include "backlog.h"
#include "settle.h"
#include "tenants.h"
#include "trouble.h"

#define MEMORY_CONSUMERS_MAX 64

struct memory_queue {
    const struct bfr_host *host;
    uint64_t limit_bytes;
    uint32_t consumer_count; // fixed before start
    char **consumer_names;

    pthread_mutex_t mutex;
    struct backlog *backlogs; // one per consumer
    struct tenants tenants;
    struct list held;    // struct held; oldest first
    struct list letters; // struct held; in order of sequence
    uint64_t sequence;   // the last one given
    uint64_t held_batches;
    uint64_t held_bytes;
    uint64_t buried_batches;
    uint64_t buried_bytes;
    uint64_t reserved_bytes;
    bool refused; // someone was sent away for lack of room since room last came back
};

// One batch for one consumer. What the host knows as its lease is the first member.
struct claim {
    struct bfr_lease lease;
    struct held *held;
    struct backlog_entry waiting;
    uint8_t state; // enum claim_state
};

// One batch: waiting or leased (in queue->held), a dead letter (in queue->letters), or in transit between two lists, when
// one thread alone knows it.
struct held {
    struct list link;
    const struct bfr_batch *batch; // one reference of ours
    struct tenant *tenant;
    uint64_t sequence; // its id; a new one when it becomes a letter
    bool offered;      // false while its put is under way: not to be touched by anyone else
    struct settle settle;
    struct trouble trouble;
    struct claim claims[]; // one per consumer
};

uint32_t bfr_memory_new(const struct bfr_host *host, uint64_t limit_bytes, struct memory_queue **out,
                        struct bfr_err *err);
void bfr_memory_free(struct memory_queue *queue);

// The slots of the queue table.
uint32_t bfr_memory_consumers(void *self, const char *const *names, uint32_t count, struct bfr_err *err);
size_t bfr_memory_put(void *self, const struct bfr_delivery *const *deliveries, size_t count);
uint32_t bfr_memory_lease(void *self, const struct bfr_lease_request *request, struct bfr_lease **out,
                          uint64_t *out_next_ns);
void bfr_memory_ack(void *self, uint32_t consumer, struct bfr_lease *const *leases, uint32_t count, uint32_t *settled);
void bfr_memory_nack(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                     const struct bfr_nack *const *nacks, uint32_t count);
void bfr_memory_bury(void *self, uint32_t consumer, struct bfr_lease *const *leases,
                     const struct bfr_burial *const *burials, uint32_t count, uint32_t *settled);
void bfr_memory_stats(void *self, struct bfr_queue_stats *out);
uint32_t bfr_memory_reserve(void *self, const char *tenant, uint64_t bytes);
void bfr_memory_release(void *self, const char *tenant, uint64_t bytes);
uint32_t bfr_memory_letters(void *self, const struct bfr_filter *filter, const char *cursor, uint32_t limit,
                            bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg);
uint64_t bfr_memory_redrive(void *self, const struct bfr_filter *filter, bool dry_run,
                            void (*moved)(void *arg, const struct bfr_letter *letter), void *arg);
uint64_t bfr_memory_purge(void *self, const struct bfr_filter *filter, bool held, bool dry_run,
                          void (*gone)(void *arg, const struct bfr_letter *letter), void *arg);

// Between the files of the queue. `held` is in no list and counted nowhere; the mutex is not held.
void bfr_memory_forget(struct memory_queue *queue, struct held *held);
void bfr_memory_forget_all(struct memory_queue *queue, struct list *list);
// Make the waiting claims of a batch leasable. The mutex is held.
void bfr_memory_offer(struct memory_queue *queue, struct held *held);
// A body of that size is held from now on; false, and remembered, when there is no room. The mutex is held.
bool bfr_memory_take_room(struct memory_queue *queue, uint64_t bytes);
// True when someone waits for room that has just come back: call host->ready once the mutex is free. The mutex is held.
bool bfr_memory_room_returned(struct memory_queue *queue);

#endif
