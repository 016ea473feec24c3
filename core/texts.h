// SPDX-License-Identifier: Apache-2.0
// A growing list of texts: what somebody found, one after another. Not thread-safe. Zeroed is empty.
#ifndef BFR_CORE_TEXTS_H
#define BFR_CORE_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

#include <bfr/text.h> // BFR_PRINTF

struct bfr_texts {
    char **list;
    size_t count;
    size_t room;
    bool failed; // memory was short at least once: some are missing
};

BFR_PRINTF(2, 3) void bfr_texts_add(struct bfr_texts *texts, const char *format, ...);
// All of them with ", " between, cut to `room`.
void bfr_texts_join(const struct bfr_texts *texts, char *out, size_t room);
void bfr_texts_clear(struct bfr_texts *texts);

#endif
