// SPDX-License-Identifier: Apache-2.0
// The pipeline's front door, as the edge sees it: room, submit, answer. Knows nothing of HTTP.
#ifndef BFR_CORE_PIPE_INTAKE_H
#define BFR_CORE_PIPE_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"

struct bfr_pipeline;

// What becomes of a submitted batch, as far as its sender is told. Zero is never valid.
enum bfr_answer {
    BFR_ANSWER_ACCEPTED = 1,  // reached the configured ack level
    BFR_ANSWER_DUPLICATE = 2, // the same bytes under the same name have reached it before
    BFR_ANSWER_CONFLICT = 3,  // other bytes are known under this name
    BFR_ANSWER_BUSY = 4,      // not accepted: no room, draining, or the stage failed; the sender tries again
    BFR_ANSWER_REFUSED = 5    // ack: sink only: buried for another reason than conflict; the letter stays
};

// One sender that waits. Embedded in the edge's request; must stay until it is answered or abandoned.
struct bfr_waiter {
    // Called exactly once unless abandoned, from any thread, perhaps from inside submit, with no lock held. `text` is
    // static. [any]
    void (*on_answer)(struct bfr_waiter *waiter, uint32_t answer, const char *text);
    struct bfr_waiter *next; // internal
    void *owner;             // internal
};

// Room for `bytes` of `tenant` in every queue that rations it: enum bfr_room. What is not submitted is released. [loop]
uint32_t bfr_intake_reserve(struct bfr_pipeline *pipeline, const char *tenant, uint64_t bytes);
void bfr_intake_release(struct bfr_pipeline *pipeline, const char *tenant, uint64_t bytes);

// Memory is short: let queues give up copies in RAM of bodies that they can read back, about `bytes` of them. Returns how
// many bytes will come free, at once or as soon as their last holder lets go. [loop]
uint64_t bfr_intake_evict(struct bfr_pipeline *pipeline, uint64_t bytes);

// Hand in a sealed batch for which exactly body_bytes are reserved. Takes over the caller's reference and the
// reservation, whatever comes of it. [loop]
void bfr_intake_submit(struct bfr_pipeline *pipeline, struct bfr_batch *batch, struct bfr_waiter *waiter);

// Stop waiting (ack_timeout, sender gone). True: on_answer will not run. False: it has run or is running on another
// thread; wait for it. The batch stays what it is. [loop]
bool bfr_intake_abandon(struct bfr_pipeline *pipeline, struct bfr_waiter *waiter);

#endif
