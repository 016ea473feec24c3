// SPDX-License-Identifier: Apache-2.0
// A queue for tests: keeps batches in a list, does what a queue must, and fails on request. A static descriptor each
// for the volatile and the stable kind; bfr_stage_self of a created stage is a struct fake_queue, whose public members
// the test reads and sets (under no lock while no other thread runs, else through the functions).
#ifndef BFR_TESTS_FAKE_QUEUE_H
#define BFR_TESTS_FAKE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include <bfr/plugin.h>

#define FAKE_CONSUMERS_MAX 4

// A key or batch that the queue "finds" when it starts.
struct fake_recovered {
    struct bfr_recent recent;
    bool held, buried;
    const struct bfr_batch *batch; // for held ones: the queue takes over the reference
};

enum fake_put {
    FAKE_PUT_STORE = 0,  // complete with `put_outcome` (0 = STORED) before put returns
    FAKE_PUT_BUSY,       // take nothing
    FAKE_PUT_HOLD,       // take, complete when the test says fake_queue_complete
    FAKE_PUT_STORE_LATER // hold the batch as stored but complete when the test says so
};

struct fake_item;

struct fake_queue {
    const struct bfr_host *host;
    pthread_mutex_t lock;

    // Set by the test.
    enum fake_put put_mode;
    uint32_t put_outcome;  // enum bfr_outcome; 0 = BFR_STORED
    uint32_t put_failures; // that many puts complete with `put_outcome`, then STORED again; 0 = all
    bool quiet;            // do not call ready (the test steps by hand)
    bool mute;             // stop does not complete what is held
    uint64_t limit_bytes;  // 0 = none; for reserve and stats
    const struct fake_recovered *recovered;
    size_t recovered_count;

    // Read by the test.
    uint32_t consumer_count;
    char consumer_names[FAKE_CONSUMERS_MAX][64];
    int64_t reserved_bytes; // given by reserve and neither released nor consumed; negative = released twice
    int64_t reserved_lowest;
    uint64_t taken, leases, acks, nacks, burials; // calls counted by batch
    uint64_t ack_calls;
    uint32_t last_burial_reason, last_burial_attempts;
    char last_text[128];
    uint64_t last_not_before_ns;
    uint32_t last_attempts;
    _Atomic uint32_t last_put_flags;
    bool started, drained, stopped;
    uint64_t lease_calls;
    struct bfr_filter last_filter; // of redrive; its texts may be gone
    char last_consumer[64];
    uint64_t redrives; // calls

    struct fake_item *items; // all it holds, oldest first
    struct fake_delivery {
        uint64_t token;
        const struct bfr_batch *batch;
    } open[256]; // put but not completed
    size_t open_count;
    uint64_t probes;
};

extern const struct bfr_plugin fake_queue_volatile;
extern const struct bfr_plugin fake_queue_stable;
extern const struct bfr_plugin fake_queue_stable_unrationed; // without reserve and release

// Complete everything that FAKE_PUT_HOLD kept back. Returns how many.
size_t fake_queue_complete(struct fake_queue *queue, uint32_t outcome);
// Held (not buried) batches now.
uint64_t fake_queue_held(struct fake_queue *queue);
uint64_t fake_queue_buried(struct fake_queue *queue);
uint64_t fake_queue_leased(struct fake_queue *queue);

#endif
