// SPDX-License-Identifier: Apache-2.0
// The deliveries in flight to one stage: each is completed exactly once, whatever the stage does.
#ifndef BFR_CORE_PIPE_DELIVERY_H
#define BFR_CORE_PIPE_DELIVERY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "plugin_stage.h"

struct bfr_deliveries;

// One delivery, from open to recycle. Whoever opened it owns it, except between put and completion.
struct bfr_slot {
    struct bfr_delivery view; // what the stage sees; first
    struct bfr_slot *next;    // list of the present owner
    void *item;               // of who opened it
    uint64_t put_ns;          // monotonic
    bool probe;               // of who opened it
    bool judged;              // of who opened it; starts false
    uint32_t state;           // internal
    uint32_t index;           // internal
    uint64_t token;           // internal: what the stage must name; `view` may be stale in its hands
    // Of the completion:
    uint32_t outcome;
    uint32_t flags;
    uint32_t reason;
    uint64_t retry_after_ms;
    char *text; // copied; NULL when there was none or memory was short
};

// Called on the thread that completes, with no lock held: `list` has `count` slots, in order, each of which must come
// back with bfr_deliveries_recycle. [any]
typedef void (*bfr_done_fn)(void *arg, struct bfr_slot *list, size_t count);

// `tokens` is shared by all tables of a pipeline, starts at 0 and makes every token unique. At most `limit` are open at
// once (at most 2^19). NULL when memory is short.
struct bfr_deliveries *bfr_deliveries_new(struct bfr_stage *stage, _Atomic uint64_t *tokens, size_t limit,
                                          bfr_done_fn on_done, void *arg);
void bfr_deliveries_free(struct bfr_deliveries *table);

// From now on every delivery says that a sender waits for it (BFR_DELIVERY_AWAITED). Before the first one. [main]
void bfr_deliveries_await(struct bfr_deliveries *table);

// Up to `count` fresh slots, with token, item NULL and attempt 1; fewer at the limit or when memory is short. [any]
size_t bfr_deliveries_open(struct bfr_deliveries *table, struct bfr_slot **out, size_t count);

// Offer the slots to the stage. Those it took are gone (slots[i] = NULL; they come back through on_done, perhaps they
// already have); the others are the caller's again. Returns how many it took. At most BFR_PUT_MAX at once. [loop or
// pump]
#define BFR_PUT_MAX 64
size_t bfr_deliveries_put(struct bfr_deliveries *table, struct bfr_slot **slots, size_t count, uint64_t now_ns);

// Give slots back; their tokens are dead. [any]
void bfr_deliveries_recycle(struct bfr_deliveries *table, struct bfr_slot *list);

// The stage's on_complete. Anything that is not the first end of an open delivery is that stage's misuse. [any]
void bfr_deliveries_complete(struct bfr_deliveries *table, const struct bfr_completion *const *completions,
                             size_t count);

// Not yet recycled. [any]
size_t bfr_deliveries_count(struct bfr_deliveries *table);

// Visit what is open or not yet recycled, under the table's lock: `visit` calls nothing and returns false to stop.
// [any]
void bfr_deliveries_visit(struct bfr_deliveries *table, bool (*visit)(void *arg, const struct bfr_slot *slot),
                          void *arg);

// The stage has stopped: hand over what it never completed, as RETRY. A completion from now on is misuse. [main]
struct bfr_slot *bfr_deliveries_abort(struct bfr_deliveries *table);

struct bfr_stage *bfr_deliveries_stage(const struct bfr_deliveries *table);

#endif
