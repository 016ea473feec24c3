// SPDX-License-Identifier: Apache-2.0
// Deficit round robin (Shreedhar and Varghese, 1995), see fair.h. A lane is in a ring only while it has entries, so the
// cost does not grow with the number of tenants. A body larger than the quantum takes several rounds to save up for:
// one visit per 64 KiB of body, which is nothing beside sending the body.
#include "fair.h"

void bfr_fair_init(struct fair *fair)
{
    list_init(&fair->ready_lanes);
    list_init(&fair->waiting_lanes);
}

void bfr_fair_lane_init(struct fair_lane *lane)
{
    list_init(&lane->in_ready);
    list_init(&lane->in_waiting);
    list_init(&lane->ready);
    list_init(&lane->waiting);
    lane->deficit_bytes = 0;
    lane->in_turn = false;
}

void bfr_fair_entry_init(struct fair_entry *entry, struct fair_lane *lane, uint64_t bytes)
{
    list_init(&entry->in_ready);
    list_init(&entry->in_waiting);
    entry->lane = lane;
    entry->bytes = bytes;
}

// Joins the end of the probe line: whatever comes back from a try has been tried last.
void bfr_fair_wait(struct fair *fair, struct fair_entry *entry)
{
    struct fair_lane *lane = entry->lane;

    if (list_empty(&lane->waiting))
        list_push_tail(&fair->waiting_lanes, &lane->in_waiting);
    list_push_tail(&lane->waiting, &entry->in_waiting);
}

void bfr_fair_ready(struct fair *fair, struct fair_entry *entry, bool first)
{
    struct fair_lane *lane = entry->lane;

    if (list_empty(&lane->ready))
        list_push_tail(&fair->ready_lanes, &lane->in_ready);
    if (first)
        list_push_head(&lane->ready, &entry->in_ready);
    else
        list_push_tail(&lane->ready, &entry->in_ready);
}

// An idle tenant saves nothing up: its deficit ends with its last ready entry.
static void end_turn(struct fair_lane *lane)
{
    list_remove(&lane->in_ready);
    lane->deficit_bytes = 0;
    lane->in_turn = false;
}

void bfr_fair_remove(struct fair_entry *entry)
{
    struct fair_lane *lane = entry->lane;

    list_remove(&entry->in_ready);
    if (list_empty(&lane->ready))
        end_turn(lane);
    list_remove(&entry->in_waiting);
    if (list_empty(&lane->waiting))
        list_remove(&lane->in_waiting);
}

struct fair_entry *bfr_fair_next(struct fair *fair, uint64_t max_bytes)
{
    while (!list_empty(&fair->ready_lanes)) {
        struct fair_lane *lane = LIST_OWNER(fair->ready_lanes.next, struct fair_lane, in_ready);
        struct fair_entry *entry = LIST_OWNER(lane->ready.next, struct fair_entry, in_ready);

        if (!lane->in_turn) {
            lane->in_turn = true;
            lane->deficit_bytes += FAIR_QUANTUM_BYTES;
        }
        if (entry->bytes <= lane->deficit_bytes) {
            if (entry->bytes > max_bytes)
                return NULL; // the turn goes on with the next call
            lane->deficit_bytes -= entry->bytes;
            bfr_fair_remove(entry);
            return entry;
        }
        // Not enough saved up: the deficit stays, the turn passes on.
        lane->in_turn = false;
        list_remove(&lane->in_ready);
        list_push_tail(&fair->ready_lanes, &lane->in_ready);
    }
    return NULL;
}

// Probes are rare and cost no deficit: they are the pipeline's expense, not the tenant's.
struct fair_entry *bfr_fair_probe(struct fair *fair)
{
    if (list_empty(&fair->waiting_lanes))
        return NULL;
    struct fair_lane *lane = LIST_OWNER(fair->waiting_lanes.next, struct fair_lane, in_waiting);
    struct fair_entry *entry = LIST_OWNER(lane->waiting.next, struct fair_entry, in_waiting);

    list_remove(&lane->in_waiting);
    list_push_tail(&fair->waiting_lanes, &lane->in_waiting);
    bfr_fair_remove(entry);
    return entry;
}
