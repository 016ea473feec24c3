// SPDX-License-Identifier: Apache-2.0
// "Did you mean ...?": the nearest of several names. Pure.
#ifndef BFR_CORE_CONFIG_HINT_H
#define BFR_CORE_CONFIG_HINT_H

#include <stddef.h>

// Edits (insert, delete, replace, swap of neighbours) between two names, upper and lower case alike. Names longer than 64
// bytes are as far apart as can be.
size_t bfr_hint_distance(const char *a, const char *b);

// Offers one candidate after another and keeps the nearest that is near enough to be a slip of the finger.
struct bfr_hint {
    const char *word;
    const char *nearest; // NULL while there is none
    size_t distance;
};
void bfr_hint_offer(struct bfr_hint *hint, const char *name);

#endif
