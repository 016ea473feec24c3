// SPDX-License-Identifier: Apache-2.0
// A link: one queue to one of its consumers. Leases batches, puts them downstream, and ends each lease as the
// completion says. Free of threads: bfr_link_step is one turn, whoever calls it, one at a time.
#ifndef BFR_CORE_PIPE_LINK_H
#define BFR_CORE_PIPE_LINK_H

#include "pipe_dedup.h"
#include "pipe_delivery.h"
#include "pipe_figures.h"
#include "pipe_flows.h"
#include "pipe_ledger.h"
#include "pipe_spell.h"

struct bfr_link;

struct bfr_link_setup {
    const struct bfr_clock *clock;
    const struct bfr_settings *settings; // retry, as it is at first, and memory; read by bfr_link_new alone
    struct bfr_stage *source;            // a queue
    uint32_t consumer;                   // which one of it
    struct bfr_stage *target;            // a queue or a sink
    uint32_t window;                     // most batches in flight
    uint32_t
        level;     // enum bfr_ack_level that is reached when the target has stored a batch (a queue) or when the source
                   // has settled it (a sink); 0: nobody waits for it
    bool rationed; // the target rations room and the intake did not reserve it: the link does
    struct bfr_ledger *ledger;
    struct bfr_flows *flows; // may be NULL
    struct bfr_dedup *dedup;
    const struct bfr_pipe_figures *figures;
    const struct bfr_sink_figures *sink_figures; // NULL for a queue
    _Atomic uint64_t *tokens;
    void (*wake)(void *arg); // there is something to do: call step soon. [any]
    void *wake_arg;
    void (*recovered)(void *arg); // there is a spell to take; with wake_arg. [pump]
};

struct bfr_link *bfr_link_new(const struct bfr_link_setup *setup); // NULL when memory is short
void bfr_link_free(struct bfr_link *link);

// One turn: end what was completed, then lease and put what credit allows. Returns when it wants the next turn
// (monotonic), UINT64_MAX when only a wake-up brings news. [pump]
uint64_t bfr_link_step(struct bfr_link *link);

// The target's completions go here.
struct bfr_deliveries *bfr_link_deliveries(struct bfr_link *link);
// The target said ready: a put that was refused may succeed now. [any]
void bfr_link_target_ready(struct bfr_link *link);
// The source said ready: there may be more to lease. [any]
void bfr_link_source_ready(struct bfr_link *link);

// After a reload: other limits from the next turn on, and a target that gave up for good is tried again. [any]
void bfr_link_retune(struct bfr_link *link, const struct bfr_settings *settings);

// For the end: lease no more / charge no more failures, the target is giving up what it cannot finish. [main]
void bfr_link_halt(struct bfr_link *link);
void bfr_link_excuse(struct bfr_link *link);
// The target has stopped: take back what it never completed. The pump is gone. [main]
void bfr_link_abort(struct bfr_link *link);

// A dry spell of the sink that is over and left letters to be tried again; false: there is none. [recovery]
bool bfr_link_take_spell(struct bfr_link *link, struct bfr_spell *out);

// Figures. [any]
size_t bfr_link_in_flight(struct bfr_link *link);
bool bfr_link_breaker_open(const struct bfr_link *link);
bool bfr_link_fatal(const struct bfr_link *link); // its target gave up for good
// How the link finds its target; OK with an empty reason when all is well.
void bfr_link_health(struct bfr_link *link, struct bfr_health *out);

// Most bytes of bodies that a link has in flight, one batch apart, out of a memory.budget of so many. [any]
uint64_t bfr_link_in_flight_max(uint64_t budget);

struct bfr_stage *bfr_link_source(const struct bfr_link *link);
struct bfr_stage *bfr_link_target(const struct bfr_link *link);
uint32_t bfr_link_consumer(const struct bfr_link *link);

#endif
