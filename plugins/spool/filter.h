// SPDX-License-Identifier: Apache-2.0
// Does a batch match a struct bfr_filter? The rules are those of bfr/queue.h.
#ifndef BFR_SPOOL_FILTER_H
#define BFR_SPOOL_FILTER_H

#include <stdbool.h>

#include <bfr/queue.h>

// Before the rest is read: may a batch of that tenant?
bool bfr_filter_may_match(const struct bfr_filter *filter, const char *tenant);
bool bfr_filter_matches(const struct bfr_filter *filter, const struct bfr_batch *batch, const char *id);
// Does it ask for what only a dead letter has? Then no held batch matches.
bool bfr_filter_of_letters(const struct bfr_filter *filter);
// What it asks of a letter beyond its names. `consumers`: who buried it.
bool bfr_filter_matches_letter(const struct bfr_filter *filter, const struct bfr_letter *letter,
                               const char *const *consumers, uint32_t count);
// The most that may be redriven.
uint64_t bfr_filter_limit(const struct bfr_filter *filter);

#endif
