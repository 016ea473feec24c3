// SPDX-License-Identifier: Apache-2.0
// A hash index from 64-bit hashes to small numbers, open addressing, growing. Equal hashes may occur: who looks up walks
// all candidates and compares keys himself. Built on the main thread, then only read, by any thread.
#ifndef BFR_AUTH_INDEX_H
#define BFR_AUTH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_slot {
    uint64_t hash;
    uint32_t number; // 1 + the number stored; 0: free
};

struct index {
    struct index_slot *slots; // a power of two of them; NULL when empty
    size_t slot_count;
    size_t used;
};

// False when memory is short.
bool bfr_index_add(struct index *index, uint64_t hash, uint32_t number);
void bfr_index_free(struct index *index);

// Walk the numbers stored under `hash`. Start with *cursor = 0; false: no more.
bool bfr_index_next(const struct index *index, uint64_t hash, size_t *cursor, uint32_t *out_number);

// A hash of a text that belongs to number `salt` (0 when it belongs to nobody).
uint64_t bfr_index_hash(uint32_t salt, const char *text);

#endif
