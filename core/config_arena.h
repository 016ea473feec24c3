// SPDX-License-Identifier: Apache-2.0
// Memory that is given back all at once: what one configuration, or one set of values, is made of. Holds secrets, so
// everything is wiped before it is freed. Failure is sticky: builders go on and the owner looks at `failed` once, at the
// end. Not thread-safe.
#ifndef BFR_CORE_CONFIG_ARENA_H
#define BFR_CORE_CONFIG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include <bfr/text.h> // BFR_PRINTF

struct bfr_arena_chunk;

// Zero-initialised is empty.
struct bfr_arena {
    struct bfr_arena_chunk *chunks;
    bool failed; // memory was short at least once
};

// Zeroed and aligned for any type; NULL when memory is short.
void *bfr_arena_alloc(struct bfr_arena *arena, size_t size);
// A copy with a NUL behind it.
char *bfr_arena_copy(struct bfr_arena *arena, const char *text, size_t size);
BFR_PRINTF(2, 3) char *bfr_arena_format(struct bfr_arena *arena, const char *format, ...);
// Wipe and free all; the arena is empty afterwards.
void bfr_arena_free(struct bfr_arena *arena);

#endif
