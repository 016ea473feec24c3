// SPDX-License-Identifier: Apache-2.0
// What went wrong with one batch, for people: attempts, reason, the first and the last error and when. Owns its texts;
// empty costs no allocation. When memory is short a text is left out, never the event. Guarded by the queue's mutex.
#ifndef BFR_SPOOL_TROUBLE_H
#define BFR_SPOOL_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#define TROUBLE_TEXT_MAX 511 // bytes kept of one error text

struct trouble {
    uint32_t reason; // enum bfr_reason of the first burial; 0: not buried
    uint32_t attempts;
    int64_t first_ns; // Unix time; 0: no error yet
    int64_t last_ns;
    char *first_text; // NULL: none
    char *last_text;
    int64_t redriven_ns; // when it was redriven with BFR_FILTER_ONCE; 0: never
    bool recalled;       // found at start: the times are those of finding it
};

// One more failure at `wall_ns`; `attempts` is the highest that any consumer reports. `text` may be NULL.
void bfr_trouble_add(struct trouble *trouble, uint32_t attempts, const char *text, int64_t wall_ns);
// The consumer gave up; the first reason stays.
void bfr_trouble_bury(struct trouble *trouble, uint32_t reason);
// As new.
void bfr_trouble_clear(struct trouble *trouble);
// It is tried anew: as new but for the mark of BFR_FILTER_ONCE, which is set when `once_ns` is not 0.
void bfr_trouble_redrive(struct trouble *trouble, int64_t once_ns);

#endif
