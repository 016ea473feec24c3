// SPDX-License-Identifier: Apache-2.0
// The inside of a link, for pipe_link.c (leasing and putting) and pipe_verdict.c (what a completion means).
#ifndef BFR_CORE_PIPE_LINK_STATE_H
#define BFR_CORE_PIPE_LINK_STATE_H

#include <pthread.h>

#include "pipe_breaker.h"
#include "pipe_credit.h"
#include "pipe_key.h"
#include "pipe_link.h"
#include "pipe_retry.h"
#include "pipe_spell.h"

#define BFR_LINK_GROUP BFR_PUT_MAX // leases ended or offered with one call

// What a reload may change of a link.
struct bfr_tune {
    uint64_t initial_ms, max_ms, probe_interval_ms;
    uint32_t attempts;
};

struct bfr_link {
    struct bfr_link_setup set;
    bool to_sink;
    const struct bfr_queue_vtable *queue; // of the source
    void *queue_self;
    struct bfr_deliveries *deliveries;

    // Written by any thread, under `lock`.
    pthread_mutex_t lock;
    struct bfr_slot *done_first, **done_last; // completed, not yet judged
    bool target_ready;                        // since the present turn began
    char reason[200];                         // why the link is open or fatal
    bool retuned;                             // `tune` is to be taken
    struct bfr_tune tune;
    struct bfr_spell *spells, **spells_last; // over, not yet taken

    // The pump's own.
    struct bfr_credit credit;
    struct bfr_retry retry;
    uint64_t probe_interval_ns;
    struct bfr_breaker breaker;
    struct bfr_spell spell; // the present one
    struct bfr_hash_seed seed;
    uint64_t in_flight_bytes;
    uint64_t in_flight_bytes_max;
    uint64_t newest_token;
    uint64_t probe_at_ns;
    uint64_t blocked_until_ns;
    uint32_t streak; // failures of a queue since its last success
    bool probing;    // a probe is in flight

    // Read by others.
    _Atomic uint64_t silent_since_ns; // the target has had something to answer since then, and has not; 0: nothing
    atomic_bool blocked;              // the target refused a put: wait for ready, a completion or blocked_until_ns
    atomic_size_t in_flight;
    atomic_bool open;
    atomic_bool fatal;
    atomic_bool halted;
    atomic_bool excused;
};

// End the leases of `done` as their completions say, and give the slots back. [pump]
void bfr_link_judge(struct bfr_link *link, struct bfr_slot *done, uint64_t now);

#endif
