// SPDX-License-Identifier: Apache-2.0
// A list of accepted keys on its way between the facts and the disk: which key, by its SHA-256, is accepted for which tenant.
// Bounded like the facts that it comes from. Belongs to one thread; never holds a key.
#ifndef BFR_AUTH_KEYS_H
#define BFR_AUTH_KEYS_H

#include <bfr/batch.h>

#include "directory.h"

#define KEYS_MAX 16384 // as many as the facts remember

struct key_record {
    char tenant[BFR_ID_MAX + 1]; // with zeros to its end
    uint8_t key[DIRECTORY_HASH_SIZE];
};

struct keys {
    struct key_record *items;
    uint32_t count, room;
    bool no_memory; // something is missing
};

// What is beyond KEYS_MAX is left out.
void bfr_keys_add(struct keys *keys, const char *tenant, const uint8_t *key);
// So that the same set has the same bytes on disk.
void bfr_keys_sort(struct keys *keys);
void bfr_keys_free(struct keys *keys);

#endif
