// SPDX-License-Identifier: Apache-2.0
// How much of each flow the control service has been told. What could not be told stays and is told with the next.
#ifndef BFR_TALLY_H
#define BFR_TALLY_H

#include <bfr/ext/activity.h>
#include <bfr/plugin.h>

struct tally_sums {
    uint64_t accepted_bytes, original_bytes, accepted_lines;
    uint64_t stored_bytes, stored_lines;
    uint64_t errors; // batches given up
};

struct tally_entry {
    const char *account, *tenant, *dataset; // as long as the host
    struct tally_sums now;
    struct tally_sums told[2]; // of each of two kinds of telling
};

struct tally;

struct tally *bfr_tally_new(void); // NULL when memory is short
void bfr_tally_free(struct tally *tally);

// Take over what has changed.
void bfr_tally_update(struct tally *tally, const struct bfr_host *host, const struct bfr_activity_1 *activity);
// The next entry with something untold, from where the last search ended; NULL: nothing is untold. *out_kind says which
// telling, *out_delta what.
struct tally_entry *bfr_tally_next(struct tally *tally, unsigned *out_kind, struct tally_sums *out_delta);
void bfr_tally_told(struct tally_entry *entry, unsigned kind, const struct tally_sums *delta);

#endif
