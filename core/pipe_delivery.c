// SPDX-License-Identifier: Apache-2.0
// Deliveries in flight to one stage. Called from loops, pumps and plugin threads; one mutex, taken once per group,
// never held while calling out.
//
// A token is a process-wide sequence number (44 bits) and the slot's index (20 bits). The index finds the slot without
// a search, the sequence number makes a token of the past worthless. Slots are recycled in order of release and only
// when more than SLACK are free: a plugin that completes through a stale struct then finds token 0, not somebody else's
// batch.
#include "pipe_delivery.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"

#define INDEX_BITS  20
#define INDEX_MASK  ((UINT64_C(1) << INDEX_BITS) - 1)
#define CHUNK_SLOTS 64
#define SLACK       256
#define LIMIT_MAX   (UINT32_C(1) << 19)

enum slot_state { SLOT_FREE = 1, SLOT_OPEN, SLOT_OUT, SLOT_DONE };

struct bfr_deliveries {
    pthread_mutex_t lock;
    struct bfr_stage *stage;
    _Atomic uint64_t *sequence;
    bfr_done_fn on_done;
    void *arg;
    size_t limit;
    uint32_t flags;           // of every delivery
    struct bfr_slot **chunks; // of CHUNK_SLOTS each; slots never move, plugins hold pointers to them
    size_t chunk_count, chunk_capacity;
    struct bfr_slot *free_first, **free_last; // in order of release
    size_t free_count;
    size_t used;
    bool aborted;
};

struct bfr_deliveries *bfr_deliveries_new(struct bfr_stage *stage, _Atomic uint64_t *tokens, size_t limit,
                                          bfr_done_fn on_done, void *arg)
{
    struct bfr_deliveries *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    pthread_mutex_init(&table->lock, NULL);
    table->stage = stage;
    table->sequence = tokens;
    table->on_done = on_done;
    table->arg = arg;
    table->limit = limit < LIMIT_MAX ? limit : LIMIT_MAX;
    table->free_last = &table->free_first;
    return table;
}

void bfr_deliveries_free(struct bfr_deliveries *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->chunk_count; i++) {
        for (size_t j = 0; j < CHUNK_SLOTS; j++)
            free(table->chunks[i][j].text);
        free(table->chunks[i]);
    }
    free(table->chunks);
    pthread_mutex_destroy(&table->lock);
    free(table);
}

struct bfr_stage *bfr_deliveries_stage(const struct bfr_deliveries *table)
{
    return table->stage;
}

static void free_append(struct bfr_deliveries *table, struct bfr_slot *slot)
{
    slot->state = SLOT_FREE;
    slot->view.token = 0;
    slot->next = NULL;
    *table->free_last = slot;
    table->free_last = &slot->next;
    table->free_count++;
}

static struct bfr_slot *free_take(struct bfr_deliveries *table)
{
    struct bfr_slot *slot = table->free_first;
    table->free_first = slot->next;
    if (table->free_first == NULL)
        table->free_last = &table->free_first;
    table->free_count--;
    return slot;
}

// Grows by whole chunks so that slots keep their addresses.
static bool chunk_add(struct bfr_deliveries *table)
{
    if (table->chunk_count == table->chunk_capacity) {
        size_t capacity = table->chunk_capacity == 0 ? 8 : 2 * table->chunk_capacity;
        struct bfr_slot **chunks = realloc(table->chunks, capacity * sizeof(struct bfr_slot *));
        if (chunks == NULL)
            return false;
        table->chunks = chunks;
        table->chunk_capacity = capacity;
    }
    struct bfr_slot *slots = calloc(CHUNK_SLOTS, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < CHUNK_SLOTS; i++) {
        slots[i].index = (uint32_t)(table->chunk_count * CHUNK_SLOTS + i);
        free_append(table, &slots[i]);
    }
    table->chunks[table->chunk_count++] = slots;
    return true;
}

void bfr_deliveries_await(struct bfr_deliveries *table)
{
    table->flags |= BFR_DELIVERY_AWAITED;
}

// Everything of the last delivery goes, its text too, and the slot gets a token that was never seen.
static void slot_open(struct bfr_deliveries *table, struct bfr_slot *slot)
{
    uint64_t sequence = atomic_fetch_add_explicit(table->sequence, 1, memory_order_relaxed) + 1;
    uint32_t index = slot->index;
    free(slot->text);
    *slot = (struct bfr_slot){
        .view = {.size = sizeof slot->view, .attempt = 1, .flags = table->flags},
        .state = SLOT_OPEN,
        .index = index,
        .token = sequence << INDEX_BITS | index,
    };
    slot->view.token = slot->token;
}

size_t bfr_deliveries_open(struct bfr_deliveries *table, struct bfr_slot **out, size_t count)
{
    size_t opened = 0;
    pthread_mutex_lock(&table->lock);
    while (opened < count && table->used < table->limit && !table->aborted) {
        bool slack = table->free_count > SLACK;
        while (!slack && chunk_add(table))
            slack = table->free_count > SLACK;
        if (!slack)
            break;
        out[opened] = free_take(table);
        slot_open(table, out[opened++]);
        table->used++;
    }
    pthread_mutex_unlock(&table->lock);
    return opened;
}

// Before the stage sees them: it may complete on another thread before its put returns.
static void slots_mark_out(struct bfr_deliveries *table, struct bfr_slot **slots, size_t count, uint64_t now_ns)
{
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < count; i++) {
        bfr_must(slots[i]->state == SLOT_OPEN && slots[i]->view.batch != NULL);
        slots[i]->state = SLOT_OUT;
        slots[i]->put_ns = now_ns;
    }
    pthread_mutex_unlock(&table->lock);
}

size_t bfr_deliveries_put(struct bfr_deliveries *table, struct bfr_slot **slots, size_t count, uint64_t now_ns)
{
    const struct bfr_delivery *views[BFR_PUT_MAX];
    uint64_t tokens[BFR_PUT_MAX];
    bfr_must(count <= BFR_PUT_MAX);
    for (size_t i = 0; i < count; i++) {
        views[i] = &slots[i]->view;
        tokens[i] = slots[i]->token;
    }
    slots_mark_out(table, slots, count, now_ns);

    size_t said = bfr_stage_put(table->stage, views, count);
    size_t taken = said, lied = 0;

    // From here on a taken slot may be completed, recycled and opened again: only its token tells.
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < count; i++) {
        if (i >= said && slots[i]->token == tokens[i] && slots[i]->state == SLOT_OUT) {
            slots[i]->state = SLOT_OPEN;
            continue;
        }
        slots[i] = NULL;
        if (i >= said) { // completed although not taken: the completion stands
            lied++;
            taken++;
        }
    }
    pthread_mutex_unlock(&table->lock);
    if (lied > 0)
        bfr_stage_misuse(table->stage, "completed a delivery that its put did not take");
    return taken;
}

void bfr_deliveries_recycle(struct bfr_deliveries *table, struct bfr_slot *list)
{
    pthread_mutex_lock(&table->lock);
    while (list != NULL) {
        struct bfr_slot *slot = list;
        list = slot->next;
        bfr_must(slot->state == SLOT_OPEN || slot->state == SLOT_DONE);
        free_append(table, slot);
        table->used--;
    }
    pthread_mutex_unlock(&table->lock);
}

// The open delivery that `token` names, or NULL.
static struct bfr_slot *slot_by_token(struct bfr_deliveries *table, uint64_t token)
{
    uint64_t index = token & INDEX_MASK;
    if (index >= table->chunk_count * CHUNK_SLOTS)
        return NULL;
    struct bfr_slot *slot = &table->chunks[index / CHUNK_SLOTS][index % CHUNK_SLOTS];
    return slot->token == token && slot->state == SLOT_OUT ? slot : NULL;
}

static bool outcome_known(uint32_t outcome)
{
    return outcome >= BFR_STORED && outcome <= BFR_FATAL;
}

// The completion is the plugin's, valid only during its call. An outcome nobody knows is treated as a failure that may
// pass.
static void slot_finish(struct bfr_slot *slot, const struct bfr_completion *completion)
{
    slot->state = SLOT_DONE;
    slot->outcome = outcome_known(completion->outcome) ? completion->outcome : BFR_RETRY;
    slot->flags = completion->flags;
    slot->reason = completion->reason;
    slot->retry_after_ms = completion->retry_after_ms;
    slot->text = completion->text != NULL ? strdup(completion->text) : NULL;
}

void bfr_deliveries_complete(struct bfr_deliveries *table, const struct bfr_completion *const *completions,
                             size_t count)
{
    struct bfr_slot *first = NULL, **last = &first;
    size_t done = 0;
    bool unknown = false;
    const char *misuse = NULL;

    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < count; i++) {
        struct bfr_slot *slot = slot_by_token(table, completions[i]->token);
        if (slot == NULL) {
            misuse = table->aborted ? "completed a delivery after stop"
                                    : "completed a delivery that is not open: a second or late completion";
            continue;
        }
        unknown |= !outcome_known(completions[i]->outcome);
        slot_finish(slot, completions[i]);
        *last = slot;
        last = &slot->next;
        done++;
    }
    *last = NULL;
    pthread_mutex_unlock(&table->lock);

    if (done > 0)
        table->on_done(table->arg, first, done);
    if (misuse != NULL)
        bfr_stage_misuse(table->stage, misuse);
    if (unknown)
        bfr_stage_misuse(table->stage, "completed a delivery with an outcome that does not exist");
}

size_t bfr_deliveries_count(struct bfr_deliveries *table)
{
    pthread_mutex_lock(&table->lock);
    size_t used = table->used;
    pthread_mutex_unlock(&table->lock);
    return used;
}

void bfr_deliveries_visit(struct bfr_deliveries *table, bool (*visit)(void *arg, const struct bfr_slot *slot),
                          void *arg)
{
    bool more = true;
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; more && i < table->chunk_count; i++) {
        for (size_t j = 0; more && j < CHUNK_SLOTS; j++) {
            const struct bfr_slot *slot = &table->chunks[i][j];
            if (slot->state == SLOT_OUT || slot->state == SLOT_DONE)
                more = visit(arg, slot);
        }
    }
    pthread_mutex_unlock(&table->lock);
}

struct bfr_slot *bfr_deliveries_abort(struct bfr_deliveries *table)
{
    struct bfr_slot *first = NULL, **last = &first;
    pthread_mutex_lock(&table->lock);
    table->aborted = true;
    for (size_t i = 0; i < table->chunk_count; i++) {
        for (size_t j = 0; j < CHUNK_SLOTS; j++) {
            struct bfr_slot *slot = &table->chunks[i][j];
            if (slot->state != SLOT_OUT)
                continue;
            slot->state = SLOT_DONE;
            slot->outcome = BFR_RETRY;
            *last = slot;
            last = &slot->next;
        }
    }
    *last = NULL;
    pthread_mutex_unlock(&table->lock);
    return first;
}
