// SPDX-License-Identifier: Apache-2.0
// The idempotency key of a batch, (tenant, dataset, filename), as bytes and as a keyed hash.
#ifndef BFR_CORE_PIPE_KEY_H
#define BFR_CORE_PIPE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/batch.h>

// The secret of one process: whoever chooses filenames must not be able to choose collisions.
struct bfr_hash_seed {
    uint64_t k0;
    uint64_t k1;
};

struct bfr_key {
    uint64_t hash;
    size_t size;                                             // bytes in use
    char bytes[2 * (BFR_ID_MAX + 1) + BFR_FILENAME_MAX + 1]; // tenant NUL dataset NUL filename NUL
};

// From the kernel's random source. False when there is none to be had.
bool bfr_hash_seed_init(struct bfr_hash_seed *out);

// SipHash-2-4.
uint64_t bfr_hash(const struct bfr_hash_seed *seed, const void *data, size_t size);

// False when a name is longer than the ABI allows; then *out is not to be used.
bool bfr_key_make(const struct bfr_hash_seed *seed, const char *tenant, const char *dataset, const char *filename,
                  struct bfr_key *out);

#endif
