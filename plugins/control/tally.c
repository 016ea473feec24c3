// SPDX-License-Identifier: Apache-2.0
// See tally.h. One entry per flow, found by the flow's number.
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#define GROWTH 64

struct tally {
    uint64_t mark;
    struct tally_entry *entries;
    uint32_t count, capacity;
    uint32_t at; // where the search goes on
};

struct tally *bfr_tally_new(void)
{
    return calloc(1, sizeof(struct tally));
}

void bfr_tally_free(struct tally *tally)
{
    if (tally == NULL)
        return;
    free(tally->entries);
    free(tally);
}

static struct tally_entry *entry_of(struct tally *tally, uint32_t number)
{
    if (number >= tally->capacity) {
        uint32_t capacity = number + GROWTH + tally->capacity / 2;
        struct tally_entry *entries = realloc(tally->entries, capacity * sizeof *entries);
        if (entries == NULL)
            return NULL;
        memset(entries + tally->capacity, 0, (capacity - tally->capacity) * sizeof *entries);
        tally->entries = entries;
        tally->capacity = capacity;
    }
    if (number >= tally->count)
        tally->count = number + 1;
    return &tally->entries[number];
}

static bool take_flow(void *arg, const struct bfr_flow *flow)
{
    struct tally_entry *entry = entry_of(arg, flow->number);
    if (entry == NULL)
        return false; // all of it again the next time
    entry->account = flow->account;
    entry->tenant = flow->tenant;
    entry->dataset = flow->dataset;
    entry->now = (struct tally_sums){.accepted_bytes = flow->accepted_bytes,
                                     .original_bytes = flow->original_bytes,
                                     .accepted_lines = flow->accepted_lines,
                                     .stored_bytes = flow->stored_bytes,
                                     .stored_lines = flow->stored_lines,
                                     .errors = flow->buried_batches};
    return true;
}

void bfr_tally_update(struct tally *tally, const struct bfr_host *host, const struct bfr_activity_1 *activity)
{
    if (activity != NULL)
        tally->mark = activity->flows(host, tally->mark, take_flow, tally);
}

// The sums as an array of numbers, which they are.
#define SUMS (sizeof(struct tally_sums) / sizeof(uint64_t))

static bool find_delta(const struct tally_sums *now, const struct tally_sums *told, struct tally_sums *out)
{
    uint64_t values[2][SUMS], delta[SUMS];
    bool any = false;
    memcpy(values[0], now, sizeof *now);
    memcpy(values[1], told, sizeof *told);
    for (size_t i = 0; i < SUMS; i++) {
        delta[i] = values[0][i] - values[1][i];
        any = any || delta[i] != 0;
    }
    memcpy(out, delta, sizeof *out);
    return any;
}

// The entry without a tenant stands for many, so there is nobody to tell of.
struct tally_entry *bfr_tally_next(struct tally *tally, unsigned *out_kind, struct tally_sums *out_delta)
{
    for (uint32_t looked_at = 0; looked_at < tally->count; looked_at++) {
        if (tally->at >= tally->count)
            tally->at = 0;
        struct tally_entry *entry = &tally->entries[tally->at];
        for (unsigned kind = 0; kind < 2 && entry->tenant != NULL && entry->tenant[0] != '\0'; kind++) {
            if (find_delta(&entry->now, &entry->told[kind], out_delta)) {
                *out_kind = kind;
                return entry;
            }
        }
        tally->at++;
    }
    return NULL;
}

void bfr_tally_told(struct tally_entry *entry, unsigned kind, const struct tally_sums *delta)
{
    uint64_t told[SUMS], more[SUMS];
    memcpy(told, &entry->told[kind], sizeof told);
    memcpy(more, delta, sizeof more);
    for (size_t i = 0; i < SUMS; i++)
        told[i] += more[i];
    memcpy(&entry->told[kind], told, sizeof told);
}
