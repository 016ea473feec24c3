// SPDX-License-Identifier: Apache-2.0
// The first few of things that do not stand in order: those with the lowest sequences, rising. Guarded by whoever owns them.
#ifndef BFR_SPOOL_LOWEST_H
#define BFR_SPOOL_LOWEST_H

#include <stdint.h>

struct lowest {
    uint64_t sequence;
    void *thing;
};

// Into its place among the `count` that are kept, of `limit` (at least 1) at most; returns how many there are then.
static inline uint32_t lowest_keep(struct lowest *kept, uint32_t count, uint32_t limit, uint64_t sequence, void *thing)
{
    uint32_t at = count < limit ? count : limit - 1;
    if (count == limit && sequence > kept[at].sequence)
        return count;
    for (; at > 0 && kept[at - 1].sequence > sequence; at--)
        kept[at] = kept[at - 1];
    kept[at] = (struct lowest){sequence, thing};
    return count < limit ? count + 1 : count;
}

#endif
