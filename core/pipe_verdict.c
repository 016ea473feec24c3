// SPDX-License-Identifier: Apache-2.0
// What a completion means: confirmed, tried again, or given up; charged to the batch or to the far end. Runs on the
// link's pump thread. Leases are ended in groups: one call to the queue, one lock of the ledger. The ledger changes
// before a waiter is answered, and a batch is released only after everything that its completion led to is done.
#include "pipe_link_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

// Leases that end the same way, with one call.
struct group {
    uint32_t count;
    struct bfr_lease *leases[BFR_LINK_GROUP];
    struct bfr_slot *slots[BFR_LINK_GROUP];
};

struct verdicts {
    struct group stored, again, buried;
    struct bfr_nack nacks[BFR_LINK_GROUP];
    struct bfr_burial burials[BFR_LINK_GROUP];
    bool spell_over; // `spell` is, with letters to be tried again
    struct bfr_spell spell;
};

static uint32_t group_add(struct group *group, struct bfr_slot *slot)
{
    group->leases[group->count] = slot->item;
    group->slots[group->count] = slot;
    return group->count++;
}

// Names the batch to the breaker, over all its attempts: a lease is another struct each time.
static uint64_t batch_hash(const struct bfr_link *link, const struct bfr_batch *batch)
{
    struct bfr_key key;
    if (!bfr_key_make(&link->seed, batch->tenant, batch->dataset, batch->filename, &key))
        return (uint64_t)(uintptr_t)batch;
    return key.hash;
}

static const char *slot_text(const struct bfr_slot *slot)
{
    return slot->text != NULL ? slot->text : "no reason given";
}

static void link_log(struct bfr_link *link, uint32_t level, const char *message, const struct bfr_slot *slot)
{
    const struct bfr_batch *batch = slot->view.batch;
    bfr_say(level, bfr_stage_name(link->set.target), message, "tenant", batch->tenant, "dataset", batch->dataset,
            "filename", batch->filename, "attempt", bfr_num(slot->view.attempt).text, "cause", slot_text(slot), NULL);
}

static void link_explain(struct bfr_link *link, const char *what, const struct bfr_slot *slot)
{
    pthread_mutex_lock(&link->lock);
    snprintf(link->reason, sizeof link->reason, "%s: %s", what, slot_text(slot));
    pthread_mutex_unlock(&link->lock);
}

// --- the sink's state

// The far end spoke about this batch, so it is there. The hash is paid for only while there is something to clear.
static void link_answered(struct bfr_link *link, const struct bfr_slot *slot, bool stored)
{
    if (bfr_breaker_clean(&link->breaker))
        return;
    if (!bfr_breaker_answer(&link->breaker, batch_hash(link, slot->view.batch), stored))
        return;
    atomic_store(&link->open, false);
    bfr_credit_ramp(&link->credit);
    bfr_say(BFR_LOG_INFO, bfr_stage_name(link->set.target), "sink is reachable again", NULL);
}

static void link_fatal(struct bfr_link *link, const struct bfr_slot *slot)
{
    link_explain(link, "stopped until it is reloaded or the daemon restarted", slot);
    if (!atomic_exchange(&link->fatal, true))
        link_log(link, BFR_LOG_ERROR, "stage cannot go on; its batches are held until a reload or restart", slot);
}

struct other_tenant {
    const char *tenant;
    bool found;
};

// A delivery that this turn has judged already cannot bring news any more; one that is completed but not judged can.
static bool find_other_tenant(void *arg, const struct bfr_slot *slot)
{
    struct other_tenant *search = arg;
    search->found = !slot->judged && strcmp(slot->view.batch->tenant, search->tenant) != 0;
    return !search->found;
}

// Returns true when the failure is the batch's own.
static bool link_outage(struct bfr_link *link, const struct bfr_slot *slot, uint64_t now)
{
    const struct bfr_batch *batch = slot->view.batch;
    struct other_tenant search = {batch->tenant, false};
    bool was_open = link->breaker.open;
    if (!was_open)
        bfr_deliveries_visit(link->deliveries, find_other_tenant, &search);
    uint64_t tenant = bfr_hash(&link->seed, batch->tenant, strlen(batch->tenant));
    uint32_t blame = bfr_breaker_outage(&link->breaker, batch_hash(link, batch), tenant, search.found);
    if (link->breaker.open) {
        link_explain(link, "far end unreachable, probing", slot);
        atomic_store(&link->open, true);
    }
    if (link->breaker.open && !was_open) {
        link->probe_at_ns = now + bfr_retry_around(&link->retry, link->probe_interval_ns);
        link_log(link, BFR_LOG_WARN, "sink is unreachable; batches are held, one probe per interval", slot);
    }
    return blame == BFR_BLAME_BATCH;
}

// --- one completion

static void nack_at(struct verdicts *verdicts, struct bfr_slot *slot, uint32_t attempts, uint64_t not_before_ns)
{
    uint32_t at = group_add(&verdicts->again, slot);
    verdicts->nacks[at] = (struct bfr_nack){
        .size = sizeof(struct bfr_nack), .attempts = attempts, .not_before_ns = not_before_ns, .text = slot_text(slot)};
}

static void bury(struct verdicts *verdicts, struct bfr_slot *slot, uint32_t reason, uint32_t attempts)
{
    uint32_t at = group_add(&verdicts->buried, slot);
    verdicts->burials[at] = (struct bfr_burial){
        .size = sizeof(struct bfr_burial), .reason = reason, .attempts = attempts, .text = slot_text(slot)};
}

// A failure of the batch's own.
static void judge_charged(struct bfr_link *link, struct verdicts *verdicts, struct bfr_slot *slot, uint64_t now)
{
    const struct bfr_lease *lease = slot->item;
    uint32_t failures = lease->attempts + 1;
    if (bfr_retry_exhausted(&link->retry, failures)) {
        bury(verdicts, slot, BFR_REASON_ATTEMPTS, failures);
        bfr_spell_buried(&link->spell, slot_text(slot));
        return;
    }
    link_log(link, BFR_LOG_WARN, "batch failed and will be tried again", slot);
    bfr_flows_failed(link->set.flows, slot->view.batch, slot->text);
    nack_at(verdicts, slot, failures, now + bfr_retry_delay(&link->retry, failures, slot->retry_after_ms));
}

// A failure of the far end. While the breaker is open the probes decide, so the batches themselves need not wait;
// before that, a batch that is alone in its trouble is tried as often as a probe would be.
static void judge_uncharged(struct bfr_link *link, struct verdicts *verdicts, struct bfr_slot *slot, uint64_t now)
{
    const struct bfr_lease *lease = slot->item;
    uint64_t wait_ns = slot->retry_after_ms < UINT32_MAX ? slot->retry_after_ms * BFR_NS_PER_MS : 0;
    if (!link->breaker.open && !atomic_load(&link->excused)) {
        uint64_t around = bfr_retry_around(&link->retry, link->probe_interval_ns);
        wait_ns = wait_ns > around ? wait_ns : around;
    }
    nack_at(verdicts, slot, lease->attempts, wait_ns > 0 ? now + wait_ns : 0);
}

static void judge_retry(struct bfr_link *link, struct verdicts *verdicts, struct bfr_slot *slot, uint64_t now)
{
    bool charged;
    bfr_credit_trouble(&link->credit, slot->token, link->newest_token);
    // A failure without OUTAGE says: I am here, it is the batch.
    if (slot->flags & BFR_OUTAGE) {
        charged = link_outage(link, slot, now);
    } else if (link->breaker.open && !slot->probe) {
        charged = false; // sent before the breaker opened: a casualty of the outage
    } else {
        link_answered(link, slot, false);
        charged = true;
    }
    if (charged)
        judge_charged(link, verdicts, slot, now);
    else
        judge_uncharged(link, verdicts, slot, now);
}

// A reason from a newer header than ours still buries the batch.
static uint32_t known_reason(uint32_t reason)
{
    return reason >= BFR_REASON_CONFLICT && reason < BFR_REASON_COUNT ? reason : BFR_REASON_REJECTED;
}

// One completion of a sink. REJECT is an answer: the far end is there, and it is this batch alone that it will not
// have.
static void judge_sink(struct bfr_link *link, struct verdicts *verdicts, struct bfr_slot *slot, uint64_t now)
{
    const struct bfr_lease *lease = slot->item;
    if (link->set.sink_figures != NULL)
        bfr_sink_figures_note(link->set.sink_figures, slot, now);
    if (slot->outcome != BFR_STORED)
        bfr_spell_failed(&link->spell, bfr_clock_wall(link->set.clock), now);
    if (slot->outcome == BFR_STORED) {
        bfr_credit_success(&link->credit);
        link_answered(link, slot, true);
        verdicts->spell_over = bfr_spell_stored(&link->spell, slot->put_ns, &verdicts->spell);
        group_add(&verdicts->stored, slot);
    } else if (slot->outcome == BFR_REJECT) {
        link_answered(link, slot, false);
        bury(verdicts, slot, known_reason(slot->reason), lease->attempts + 1);
    } else if (slot->outcome == BFR_FATAL) {
        link_fatal(link, slot);
        nack_at(verdicts, slot, lease->attempts, 0);
    } else if (atomic_load(&link->excused)) {
        judge_uncharged(link, verdicts, slot, now);
    } else {
        judge_retry(link, verdicts, slot, now);
    }
}

// A queue never causes a burial and never charges: whatever it says but STORED, the batch stays where it is.
static void judge_queue(struct bfr_link *link, struct verdicts *verdicts, struct bfr_slot *slot, uint64_t now)
{
    const struct bfr_lease *lease = slot->item;
    if (slot->outcome == BFR_STORED) {
        bfr_credit_success(&link->credit);
        link->streak = 0;
        group_add(&verdicts->stored, slot);
        return;
    }
    if (link->set.rationed) {
        const struct bfr_queue_vtable *target = bfr_stage_queue(link->set.target);
        const struct bfr_batch *batch = slot->view.batch;
        target->release(bfr_stage_self(link->set.target), batch->tenant, batch->body_bytes);
    }
    if (slot->outcome == BFR_FATAL) {
        link_fatal(link, slot);
        nack_at(verdicts, slot, lease->attempts, 0);
        return;
    }
    // A burst that was in flight together is one failure of the queue.
    if (slot->token > link->credit.cut_token)
        link->streak++;
    bfr_credit_trouble(&link->credit, slot->token, link->newest_token);
    if (!atomic_load(&link->excused))
        link_log(link, BFR_LOG_WARN, "queue did not take a batch; it stays in the queue before", slot);
    nack_at(verdicts, slot, lease->attempts, now + bfr_retry_delay(&link->retry, link->streak, slot->retry_after_ms));
}

// --- ending the leases

static void group_retain(const struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        bfr_batch_retain(group->slots[i]->view.batch);
}

static void group_release(const struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++)
        bfr_batch_release(group->slots[i]->view.batch);
}

// Only at the last queue does settling end a batch's way; before, it has merely moved on.
static void group_book(struct bfr_link *link, const struct group *group, const uint32_t *settled)
{
    struct bfr_booking bookings[BFR_LINK_GROUP];
    size_t count = 0;
    if (!link->to_sink)
        return;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct bfr_batch *batch = group->slots[i]->view.batch;
        if (settled[i] == BFR_SETTLED_STORED)
            bfr_flows_stored(link->set.flows, batch);
        if (settled[i] == BFR_SETTLED_STORED || settled[i] == BFR_SETTLED_BURIED)
            bookings[count++] = (struct bfr_booking){
                .move = settled[i] == BFR_SETTLED_STORED ? BFR_MOVE_STORED : BFR_MOVE_BURIED,
                .tenant = batch->tenant,
                .bytes = batch->body_bytes,
            };
    }
    bfr_ledger_book(link->set.ledger, bookings, count);
}

// Behind a queue each stored batch has reached that level; behind a sink only a settled one has reached them all. An
// ack can settle a batch as buried, when another sink had given it up before.
static void group_tell(struct bfr_link *link, const struct group *group, const uint32_t *settled)
{
    if (link->set.level == 0)
        return;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct bfr_batch *batch = group->slots[i]->view.batch;
        if (!link->to_sink || settled[i] == BFR_SETTLED_STORED)
            bfr_dedup_reach(link->set.dedup, batch, link->set.level);
        else if (settled[i] == BFR_SETTLED_BURIED)
            bfr_dedup_bury(link->set.dedup, batch, 0, true);
    }
}

static void end_stored(struct bfr_link *link, struct group *group)
{
    uint32_t settled[BFR_LINK_GROUP] = {0};
    if (group->count == 0)
        return;
    // The ack ends our right to the batch, and the books need its names afterwards.
    group_retain(group);
    link->queue->ack(link->queue_self, link->set.consumer, group->leases, group->count, settled);
    group_book(link, group, settled);
    group_tell(link, group, settled);
    group_release(group);
}

static void end_again(struct bfr_link *link, struct verdicts *verdicts)
{
    struct group *group = &verdicts->again;
    const struct bfr_nack *list[BFR_LINK_GROUP];
    if (group->count == 0)
        return;
    for (uint32_t i = 0; i < group->count; i++)
        list[i] = &verdicts->nacks[i];
    link->queue->nack(link->queue_self, link->set.consumer, group->leases, list, group->count);
}

static void end_buried(struct bfr_link *link, struct verdicts *verdicts)
{
    struct group *group = &verdicts->buried;
    const struct bfr_burial *list[BFR_LINK_GROUP];
    uint32_t settled[BFR_LINK_GROUP] = {0};
    if (group->count == 0)
        return;
    for (uint32_t i = 0; i < group->count; i++)
        list[i] = &verdicts->burials[i];
    group_retain(group);
    link->queue->bury(link->queue_self, link->set.consumer, group->leases, list, group->count, settled);
    group_book(link, group, settled);
    for (uint32_t i = 0; i < group->count; i++) {
        uint32_t reason = verdicts->burials[i].reason;
        bfr_series_add(link->set.figures->buried[reason], 1);
        link_log(link, BFR_LOG_ERROR, "batch is a dead letter now", group->slots[i]);
        bfr_flows_buried(link->set.flows, group->slots[i]->view.batch, reason, group->slots[i]->text);
        if (link->set.level != 0)
            bfr_dedup_bury(link->set.dedup, group->slots[i]->view.batch, reason, settled[i] == BFR_SETTLED_BURIED);
    }
    group_release(group);
}

// Before the verdict, so that the judges see what is still in the air without this one.
static void slot_landed(struct bfr_link *link, struct bfr_slot *slot)
{
    slot->judged = true;
    link->in_flight_bytes -= slot->view.batch->body_bytes;
    if (slot->probe)
        link->probing = false;
}

// The burials of the spell are in the queue by now, and whatever fails from here on fails later than `to_ns`. Without memory
// they are letters that a person may redrive.
static void note_spell(struct bfr_link *link, const struct verdicts *verdicts)
{
    struct bfr_spell *spell = verdicts->spell_over && link->set.recovered != NULL ? malloc(sizeof *spell) : NULL;
    if (spell == NULL)
        return;
    *spell = verdicts->spell;
    spell->next = NULL;
    spell->to_ns = bfr_clock_wall(link->set.clock);
    pthread_mutex_lock(&link->lock);
    *link->spells_last = spell;
    link->spells_last = &spell->next;
    pthread_mutex_unlock(&link->lock);
    link->set.recovered(link->set.wake_arg);
}

// In completion order, because the breaker reads it as a story: who failed, who was stored after that.
void bfr_link_judge(struct bfr_link *link, struct bfr_slot *done, uint64_t now)
{
    while (done != NULL) {
        struct verdicts verdicts = {0};
        struct bfr_slot *first = done, *last = NULL;
        uint32_t count = 0;
        for (; done != NULL && count < BFR_LINK_GROUP && !verdicts.spell_over;
             last = done, done = done->next, count++) {
            slot_landed(link, done);
            if (link->to_sink)
                judge_sink(link, &verdicts, done, now);
            else
                judge_queue(link, &verdicts, done, now);
        }
        last->next = NULL;
        end_stored(link, &verdicts.stored);
        end_again(link, &verdicts);
        end_buried(link, &verdicts);
        note_spell(link, &verdicts);
        bfr_deliveries_recycle(link->deliveries, first);
        atomic_fetch_sub(&link->in_flight, count);
    }
}
