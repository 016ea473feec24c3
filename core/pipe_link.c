// SPDX-License-Identifier: Apache-2.0
// A link's turn: take what was completed, have it judged (pipe_verdict.c), lease while there is credit, put. Runs on
// the link's pump thread, or on the main thread in tests and at the end; the inbox is the only thing other threads
// touch. The lock guards the inbox alone and is never held while a plugin is called.
#include "pipe_link_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"
#include "log.h"

// Bodies in flight per link: a queue that reads them back from disk holds them in memory meanwhile. At most a quarter of the
// budget that senders share, so that a backlog on its way out leaves them room; one batch is always allowed.
#define IN_FLIGHT_BYTES_MAX (UINT64_C(64) << 20)
#define IN_FLIGHT_SHARE     4

uint64_t bfr_link_in_flight_max(uint64_t budget)
{
    uint64_t share = budget / IN_FLIGHT_SHARE;
    return share > 0 && share < IN_FLIGHT_BYTES_MAX ? share : IN_FLIGHT_BYTES_MAX;
}

// A target that is silent for longer than any sane transfer takes is worth a person's look.
#define SILENCE_NS (60 * BFR_NS_PER_S)

// --- the inbox

// The target completed a group: one lock, at most one wake-up, whatever its size.
static void on_done(void *arg, struct bfr_slot *list, size_t count)
{
    struct bfr_link *link = arg;
    (void)count;
    pthread_mutex_lock(&link->lock);
    *link->done_last = list;
    while (*link->done_last != NULL)
        link->done_last = &(*link->done_last)->next;
    pthread_mutex_unlock(&link->lock);
    link->set.wake(link->set.wake_arg);
}

// What was completed since the last turn. Either kind of news means that the target may have room again.
static struct bfr_slot *inbox_take(struct bfr_link *link)
{
    pthread_mutex_lock(&link->lock);
    struct bfr_slot *done = link->done_first;
    link->done_first = NULL;
    link->done_last = &link->done_first;
    if (link->target_ready || done != NULL)
        link->blocked = false;
    link->target_ready = false;
    pthread_mutex_unlock(&link->lock);
    return done;
}

// News that came during this turn, too late for it. `ready` counts only if a put was refused after it came.
static bool inbox_has_news(struct bfr_link *link)
{
    pthread_mutex_lock(&link->lock);
    bool news = link->done_first != NULL || link->retuned || (link->target_ready && link->blocked);
    pthread_mutex_unlock(&link->lock);
    return news;
}

void bfr_link_target_ready(struct bfr_link *link)
{
    // A link that was not refused anything has nothing to try again. One that is being refused right now sees the news
    // before its turn ends.
    pthread_mutex_lock(&link->lock);
    link->target_ready = true;
    bool waits = link->blocked;
    pthread_mutex_unlock(&link->lock);
    if (waits)
        link->set.wake(link->set.wake_arg);
}

void bfr_link_source_ready(struct bfr_link *link)
{
    link->set.wake(link->set.wake_arg);
}

// --- a reload

static struct bfr_tune tune_of(const struct bfr_settings *settings)
{
    return (struct bfr_tune){.initial_ms = settings->retry.initial_ms,
                             .max_ms = settings->retry.max_ms,
                             .probe_interval_ms = settings->retry.probe_interval_ms,
                             .attempts = settings->retry.attempts};
}

void bfr_link_retune(struct bfr_link *link, const struct bfr_settings *settings)
{
    pthread_mutex_lock(&link->lock);
    link->tune = tune_of(settings);
    link->retuned = true;
    pthread_mutex_unlock(&link->lock);
    link->set.wake(link->set.wake_arg);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// A person has mended something, or shortened a wait: neither is to be waited for under the old rule.
static void take_tune(struct bfr_link *link, uint64_t now)
{
    pthread_mutex_lock(&link->lock);
    bool retuned = link->retuned;
    const struct bfr_tune tune = link->tune;
    link->retuned = false;
    pthread_mutex_unlock(&link->lock);
    if (!retuned)
        return;
    bfr_retry_limit(&link->retry, tune.initial_ms, tune.max_ms, tune.attempts);
    link->probe_interval_ns = tune.probe_interval_ms * BFR_NS_PER_MS;
    link->probe_at_ns = sooner(link->probe_at_ns, now + link->probe_interval_ns);
    link->blocked_until_ns = sooner(link->blocked_until_ns, now + link->probe_interval_ns);
    if (atomic_exchange(&link->fatal, false))
        bfr_say(BFR_LOG_INFO, bfr_stage_name(link->set.target), "stage is tried again after a reload", NULL);
}

// --- leasing and putting

// A refused put is tried again at the latest after this long, so that a plugin that forgets ready() costs speed only.
static void link_block(struct bfr_link *link, uint64_t now)
{
    link->blocked = true;
    link->blocked_until_ns = now + link->probe_interval_ns;
}

static uint32_t link_lease(struct bfr_link *link, uint32_t max_batches, uint32_t flags, uint64_t now,
                           struct bfr_lease **out, uint64_t *out_due)
{
    const struct bfr_lease_request request = {
        .size = sizeof request,
        .consumer = link->set.consumer,
        .max_batches = max_batches,
        .flags = flags,
        .max_bytes = link->in_flight_bytes_max - link->in_flight_bytes,
    };
    *out_due = UINT64_MAX;
    uint32_t count = link->queue->lease(link->queue_self, &request, out, out_due);
    if (count > max_batches) {
        bfr_stage_misuse(link->set.source, "lent more batches than were asked for");
        count = max_batches;
    }
    // A queue that lends nothing although something is due would otherwise be asked without pause.
    if (count == 0 && *out_due < now + BFR_NS_PER_MS)
        *out_due = now + BFR_NS_PER_MS;
    return count;
}

// How many of the leases have room in a target that the intake did not reserve in.
static uint32_t leases_reserve(struct bfr_link *link, struct bfr_lease **leases, uint32_t count)
{
    if (!link->set.rationed)
        return count;
    const struct bfr_queue_vtable *target = bfr_stage_queue(link->set.target);
    for (uint32_t i = 0; i < count; i++) {
        const struct bfr_batch *batch = leases[i]->batch;
        if (target->reserve(bfr_stage_self(link->set.target), batch->tenant, batch->body_bytes) != BFR_ROOM_OK)
            return i;
    }
    return count;
}

static void lease_unreserve(struct bfr_link *link, const struct bfr_batch *batch)
{
    if (!link->set.rationed)
        return;
    const struct bfr_queue_vtable *target = bfr_stage_queue(link->set.target);
    target->release(bfr_stage_self(link->set.target), batch->tenant, batch->body_bytes);
}

// Back to the queue as if nothing had happened: being busy is not a failure.
static void leases_return(struct bfr_link *link, struct bfr_lease **leases, uint32_t count)
{
    struct bfr_nack nacks[BFR_LINK_GROUP];
    const struct bfr_nack *list[BFR_LINK_GROUP];
    for (uint32_t i = 0; i < count; i++) {
        nacks[i] = (struct bfr_nack){.size = sizeof nacks[i], .attempts = leases[i]->attempts};
        list[i] = &nacks[i];
    }
    if (count > 0)
        link->queue->nack(link->queue_self, link->set.consumer, leases, list, count);
}

// `in_flight` is raised before the put: its completions may be judged by nobody but this thread, but others read the
// figure.
static void slots_fill(struct bfr_link *link, struct bfr_slot **slots, struct bfr_lease **leases, size_t count,
                       bool probe)
{
    for (size_t i = 0; i < count; i++) {
        struct bfr_slot *slot = slots[i];
        slot->view.batch = leases[i]->batch;
        slot->view.attempt = leases[i]->attempts + 1;
        slot->item = leases[i];
        slot->probe = probe;
        link->in_flight_bytes += leases[i]->batch->body_bytes;
        link->newest_token = slot->token;
    }
    atomic_fetch_add(&link->in_flight, count);
    link->probing |= probe && count > 0;
}

// Undo slots_fill for what the target did not take; gathers its leases behind `refused`.
static uint32_t slots_withdraw(struct bfr_link *link, struct bfr_slot **slots, size_t count, struct bfr_lease **refused)
{
    struct bfr_slot *list = NULL;
    uint32_t withdrawn = 0;
    for (size_t i = 0; i < count; i++) {
        struct bfr_slot *slot = slots[i];
        if (slot == NULL)
            continue;
        refused[withdrawn++] = slot->item;
        lease_unreserve(link, slot->view.batch);
        link->in_flight_bytes -= slot->view.batch->body_bytes;
        link->probing &= !slot->probe;
        slot->next = list;
        list = slot;
    }
    atomic_fetch_sub(&link->in_flight, withdrawn);
    bfr_deliveries_recycle(link->deliveries, list);
    return withdrawn;
}

// Offer leased batches to the target; what it does not take goes back, and the link waits until it is ready.
static void link_offer(struct bfr_link *link, struct bfr_lease **leases, uint32_t count, bool probe, uint64_t now)
{
    struct bfr_slot *slots[BFR_LINK_GROUP];
    struct bfr_lease *refused[BFR_LINK_GROUP];
    uint32_t reserved = leases_reserve(link, leases, count);
    uint32_t opened = (uint32_t)bfr_deliveries_open(link->deliveries, slots, reserved);
    uint32_t back = 0;
    for (uint32_t i = opened; i < count; i++) {
        if (i < reserved)
            lease_unreserve(link, leases[i]->batch);
        refused[back++] = leases[i];
    }
    slots_fill(link, slots, leases, opened, probe);
    size_t taken = opened > 0 ? bfr_deliveries_put(link->deliveries, slots, opened, now) : 0;
    if (taken < opened)
        back += slots_withdraw(link, slots, opened, refused + back);
    if (back == 0)
        return;
    leases_return(link, refused, back);
    link_block(link, now);
}

// What credit and memory allow, at most a group.
static uint32_t link_room(const struct bfr_link *link)
{
    size_t in_flight = atomic_load(&link->in_flight);
    if (in_flight >= link->credit.window || link->in_flight_bytes >= link->in_flight_bytes_max)
        return 0;
    size_t room = link->credit.window - in_flight;
    return room < BFR_LINK_GROUP ? (uint32_t)room : BFR_LINK_GROUP;
}

// Ends when credit is used up (a completion brings the next turn), the queue has nothing (it says when), or the target
// is busy.
static uint64_t feed_window(struct bfr_link *link, uint64_t now)
{
    struct bfr_lease *leases[BFR_LINK_GROUP];
    uint64_t due;
    uint32_t room;
    while (!link->blocked && (room = link_room(link)) > 0) {
        uint32_t count = link_lease(link, room, 0, now, leases, &due);
        if (count == 0)
            return due;
        link_offer(link, leases, count, false, now);
    }
    return link->blocked ? link->blocked_until_ns : UINT64_MAX;
}

// While the breaker is open: one real batch per interval, whatever its own backoff says.
static uint64_t feed_probe(struct bfr_link *link, uint64_t now)
{
    struct bfr_lease *lease;
    uint64_t due;
    if (link->probing) // one at a time: a far end that does not even answer is not to be flooded with probes
        return UINT64_MAX;
    if (now < link->probe_at_ns)
        return link->probe_at_ns;
    if (link->in_flight_bytes >= link->in_flight_bytes_max)
        return UINT64_MAX;
    if (link_lease(link, 1, BFR_LEASE_PROBE, now, &lease, &due) == 0)
        return due;
    link->probe_at_ns = now + bfr_retry_around(&link->retry, link->probe_interval_ns);
    link_offer(link, &lease, 1, true, now);
    return link->blocked ? link->blocked_until_ns : link->probe_at_ns;
}

static uint64_t link_feed(struct bfr_link *link, uint64_t now)
{
    if (atomic_load(&link->halted) || atomic_load(&link->fatal))
        return UINT64_MAX;
    if (link->blocked && now < link->blocked_until_ns)
        return link->blocked_until_ns;
    link->blocked = false;
    return link->breaker.open ? feed_probe(link, now) : feed_window(link, now);
}

// Judge first: it returns credit, and it may open or close the breaker, which decides how to feed.
// Since when has the target been silent? A completion ends a silence; being asked, or refusing, begins one.
static void note_silence(struct bfr_link *link, bool answered, uint64_t now)
{
    bool asked = link->blocked || atomic_load(&link->in_flight) > 0;
    if (!asked)
        atomic_store(&link->silent_since_ns, 0);
    else if (answered || atomic_load(&link->silent_since_ns) == 0)
        atomic_store(&link->silent_since_ns, now);
}

uint64_t bfr_link_step(struct bfr_link *link)
{
    uint64_t now = bfr_clock_now(link->set.clock);
    struct bfr_slot *done = inbox_take(link);
    bool answered = done != NULL;
    bfr_link_judge(link, done, now);
    take_tune(link, now);
    uint64_t due = link_feed(link, now);
    note_silence(link, answered, now);
    return inbox_has_news(link) ? now : due;
}

// --- the end

void bfr_link_halt(struct bfr_link *link)
{
    atomic_store(&link->halted, true);
}

void bfr_link_excuse(struct bfr_link *link)
{
    atomic_store(&link->excused, true);
}

// Judged as a RETRY that nobody is charged for: bfr_link_excuse came before.
void bfr_link_abort(struct bfr_link *link)
{
    struct bfr_slot *list = bfr_deliveries_abort(link->deliveries);
    bfr_link_judge(link, list, bfr_clock_now(link->set.clock));
}

// --- recovery

bool bfr_link_take_spell(struct bfr_link *link, struct bfr_spell *out)
{
    pthread_mutex_lock(&link->lock);
    struct bfr_spell *spell = link->spells;
    if (spell != NULL)
        link->spells = spell->next;
    if (link->spells == NULL)
        link->spells_last = &link->spells;
    pthread_mutex_unlock(&link->lock);
    if (spell == NULL)
        return false;
    *out = *spell;
    free(spell);
    return true;
}

// --- figures

struct bfr_deliveries *bfr_link_deliveries(struct bfr_link *link)
{
    return link->deliveries;
}

size_t bfr_link_in_flight(struct bfr_link *link)
{
    return atomic_load(&link->in_flight);
}

bool bfr_link_breaker_open(const struct bfr_link *link)
{
    return atomic_load(&link->open);
}

bool bfr_link_fatal(const struct bfr_link *link)
{
    return atomic_load(&link->fatal);
}

static void silence_health(struct bfr_link *link, struct bfr_health *out)
{
    uint64_t since = atomic_load(&link->silent_since_ns);
    uint64_t now = bfr_clock_now(link->set.clock);
    if (since == 0 || now < since + SILENCE_NS)
        return;
    out->state = BFR_HEALTH_DEGRADED;
    snprintf(out->reason, sizeof out->reason, "has taken or finished nothing for %llu s although batches wait for it",
             (unsigned long long)((now - since) / BFR_NS_PER_S));
}

void bfr_link_health(struct bfr_link *link, struct bfr_health *out)
{
    out->state = BFR_HEALTH_OK;
    out->reason[0] = '\0';
    if (!atomic_load(&link->fatal) && !atomic_load(&link->open)) {
        silence_health(link, out);
        return;
    }
    out->state = atomic_load(&link->fatal) ? BFR_HEALTH_FAILED : BFR_HEALTH_DEGRADED;
    pthread_mutex_lock(&link->lock);
    memcpy(out->reason, link->reason, sizeof link->reason);
    pthread_mutex_unlock(&link->lock);
}

struct bfr_stage *bfr_link_source(const struct bfr_link *link)
{
    return link->set.source;
}

struct bfr_stage *bfr_link_target(const struct bfr_link *link)
{
    return link->set.target;
}

uint32_t bfr_link_consumer(const struct bfr_link *link)
{
    return link->set.consumer;
}

struct bfr_link *bfr_link_new(const struct bfr_link_setup *setup)
{
    struct bfr_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->in_flight_bytes_max = bfr_link_in_flight_max(setup->settings->memory.budget);
    const struct bfr_tune tune = tune_of(setup->settings);
    pthread_mutex_init(&link->lock, NULL);
    link->set = *setup;
    link->to_sink = bfr_stage_kind(setup->target) == BFR_KIND_SINK;
    link->queue = bfr_stage_queue(setup->source);
    link->queue_self = bfr_stage_self(setup->source);
    link->done_last = &link->done_first;
    link->spells_last = &link->spells;
    link->deliveries = bfr_deliveries_new(setup->target, setup->tokens, setup->window, on_done, link);
    bfr_credit_init(&link->credit, setup->window);
    bfr_breaker_init(&link->breaker);
    if (link->deliveries == NULL || !bfr_hash_seed_init(&link->seed)) {
        bfr_link_free(link);
        return NULL;
    }
    bfr_retry_init(&link->retry, tune.initial_ms, tune.max_ms, tune.attempts, link->seed.k0);
    link->probe_interval_ns = tune.probe_interval_ms * BFR_NS_PER_MS;
    link->set.settings = NULL; // may be replaced by a reload
    return link;
}

void bfr_link_free(struct bfr_link *link)
{
    if (link == NULL)
        return;
    struct bfr_spell spell;
    while (bfr_link_take_spell(link, &spell))
        ;
    bfr_deliveries_free(link->deliveries);
    pthread_mutex_destroy(&link->lock);
    free(link);
}
