// SPDX-License-Identifier: Apache-2.0
// See disk_seen.h: an open-addressed table of digests. A name counts by two hashes with seeds of their own, content by its
// whole SHA-256. When memory is short nothing more is noted: a batch is then offered twice, and the sink finds it there.
#include "disk_seen.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_SLOTS 1024

struct seen_key {
    uint64_t names[2];
    uint8_t sha256[32];
};

struct seen_slot {
    struct seen_key key; // all zero: free
    uint64_t sequence;   // of the record that was met first
    bool settled;        // that one is settled
};

struct disk_seen {
    uint64_t seeds[2];
    struct seen_slot *slots;
    size_t room; // a power of two
    size_t count;
};

struct disk_seen *bfr_disk_seen_new(void)
{
    struct disk_seen *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return NULL;
    seen->room = FIRST_SLOTS;
    seen->slots = calloc(seen->room, sizeof *seen->slots);
    if (seen->slots == NULL || getrandom(seen->seeds, sizeof seen->seeds, 0) != (ssize_t)sizeof seen->seeds) {
        bfr_disk_seen_free(seen);
        return NULL;
    }
    return seen;
}

void bfr_disk_seen_free(struct disk_seen *seen)
{
    if (seen == NULL)
        return;
    free(seen->slots);
    free(seen);
}

// FNV-1a over a text with its NUL.
static uint64_t hash_text(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    while (*text++ != '\0');
    return hash;
}

static uint64_t hash_names(uint64_t seed, const struct bfr_batch *batch, const char *const *consumers, uint32_t count)
{
    uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325) ^ seed, batch->tenant);
    hash = hash_text(hash, batch->dataset);
    hash = hash_text(hash, batch->filename);
    for (uint32_t i = 0; i < count; i++)
        hash = hash_text(hash, consumers[i]);
    hash ^= hash >> 32;
    return (hash * UINT64_C(0x9e3779b97f4a7c15)) | 1; // never a free slot
}

// Where `key` is or would be.
static struct seen_slot *find(struct seen_slot *slots, size_t room, const struct seen_key *key)
{
    size_t at = key->names[1] & (room - 1);
    while (slots[at].key.names[0] != 0 && memcmp(&slots[at].key, key, sizeof *key) != 0)
        at = (at + 1) & (room - 1);
    return &slots[at];
}

static bool grow(struct disk_seen *seen)
{
    struct seen_slot *slots = calloc(2 * seen->room, sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < seen->room; i++)
        if (seen->slots[i].key.names[0] != 0)
            *find(slots, 2 * seen->room, &seen->slots[i].key) = seen->slots[i];
    free(seen->slots);
    seen->slots = slots;
    seen->room *= 2;
    return true;
}

static struct seen_key key_of(const struct disk_seen *seen, const struct bfr_batch *batch, const char *const *consumers,
                              uint32_t consumer_count)
{
    struct seen_key key;
    key.names[0] = hash_names(seen->seeds[0], batch, consumers, consumer_count);
    key.names[1] = hash_names(seen->seeds[1], batch, consumers, consumer_count) >> 1;
    memcpy(key.sha256, batch->stored_sha256, sizeof key.sha256);
    return key;
}

bool bfr_disk_seen_has(const struct disk_seen *seen, const struct bfr_batch *batch, const char *const *consumers,
                       uint32_t consumer_count)
{
    if (seen == NULL)
        return false;
    const struct seen_key key = key_of(seen, batch, consumers, consumer_count);
    return find(seen->slots, seen->room, &key)->key.names[0] != 0;
}

// The slot of that key, made if need be; *out_new. NULL when memory is short.
static struct seen_slot *note(struct disk_seen *seen, const struct seen_key *key, const struct seen_slot *fresh,
                              bool *out_new)
{
    struct seen_slot *slot = find(seen->slots, seen->room, key);
    *out_new = slot->key.names[0] == 0;
    if (!*out_new)
        return slot;
    if (seen->count >= seen->room / 2) {
        if (!grow(seen))
            return NULL;
        slot = find(seen->slots, seen->room, key);
    }
    *slot = *fresh;
    seen->count++;
    return slot;
}

bool bfr_disk_seen_add(struct disk_seen *seen, const struct bfr_batch *batch, const char *const *consumers,
                       uint32_t consumer_count, uint64_t sequence)
{
    bool is_new;
    if (seen == NULL)
        return false;
    const struct seen_slot fresh = {key_of(seen, batch, consumers, consumer_count), sequence, false};
    struct seen_slot *slot = note(seen, &fresh.key, &fresh, &is_new);
    if (slot == NULL || is_new || slot->sequence == sequence)
        return false;
    if (!slot->settled || slot->sequence > sequence)
        return true;
    *slot = fresh;
    return false;
}

void bfr_disk_seen_add_settled(struct disk_seen *seen, const struct bfr_batch *batch, const char *const *consumers,
                               uint32_t consumer_count, uint64_t sequence)
{
    bool is_new;
    if (seen == NULL)
        return;
    const struct seen_slot fresh = {key_of(seen, batch, consumers, consumer_count), sequence, true};
    struct seen_slot *slot = note(seen, &fresh.key, &fresh, &is_new);
    if (slot != NULL && slot->settled && slot->sequence < sequence)
        slot->sequence = sequence; // the last one counts
}
