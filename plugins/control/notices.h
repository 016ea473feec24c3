// SPDX-License-Identifier: Apache-2.0
// Messages about trouble that wait to be sent: each distinct one once, with a count, again only after a pause, and no more
// of them than the bound. For a service's own thread.
#ifndef BFR_NOTICES_H
#define BFR_NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTICES_MAX 256 // distinct ones that are remembered

// Two are the same when all but the sample are; the newest sample is kept.
struct notice {
    const char *type; // static, as is the message
    const char *message;
    const char *severity; // static
    char account[65], tenant[65], dataset[65];
    char subject[65]; // what it is about beside these: the name of a stage
    char sample[192];
    uint64_t count;   // since it was last sent; 0: nothing waits
    uint64_t sent_ns; // 0: never
};

struct notices {
    uint64_t pause_ns; // between two of the same
    uint64_t dropped;  // had no place
    size_t count;
    struct notice list[NOTICES_MAX];
};

// Add `notice->count` occurrences. False: there is no place, it is counted as dropped.
bool bfr_notices_add(struct notices *notices, const struct notice *notice);
// The next one that may be sent; NULL without one. Valid until the next add.
struct notice *bfr_notices_next(struct notices *notices, uint64_t now_ns);
// It was sent with that count.
void bfr_notices_sent(struct notice *notice, uint64_t count, uint64_t now_ns);

#endif
