// SPDX-License-Identifier: Apache-2.0
// Keys and their hash. Pure functions, any thread, no allocation.
//
// The hash is SipHash-2-4 with a random seed, written out here: filenames come from senders, and a table that could be
// made to degenerate into one long chain would be a way to stop the daemon. OpenSSL has the same function behind
// EVP_MAC, but setting up a context for every hundred bytes costs several times the hash itself.
#include "pipe_key.h"

#include <string.h>
#include <sys/random.h>

#include <endian.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

uint64_t bfr_hash(const struct bfr_hash_seed *seed, const void *data, size_t size)
{
    struct sip s = {seed->k0 ^ UINT64_C(0x736f6d6570736575), seed->k1 ^ UINT64_C(0x646f72616e646f6d),
                    seed->k0 ^ UINT64_C(0x6c7967656e657261), seed->k1 ^ UINT64_C(0x7465646279746573)};
    const uint8_t *at = data;
    size_t left = size;
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        sip_word(&s, le64toh(word));
    }
    uint64_t last = (uint64_t)(size & 0xff) << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)at[i] << (8 * i);
    sip_word(&s, last);
    s.v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

bool bfr_hash_seed_init(struct bfr_hash_seed *out)
{
    return getrandom(out, sizeof *out, 0) == (ssize_t)sizeof *out;
}

// Append `text` with its NUL. False when it is longer than `max`.
static bool append(struct bfr_key *key, const char *text, size_t max)
{
    size_t length = strnlen(text, max + 1);
    if (length > max)
        return false;
    memcpy(key->bytes + key->size, text, length + 1);
    key->size += length + 1;
    return true;
}

bool bfr_key_make(const struct bfr_hash_seed *seed, const char *tenant, const char *dataset, const char *filename,
                  struct bfr_key *out)
{
    out->size = 0;
    if (!append(out, tenant, BFR_ID_MAX) || !append(out, dataset, BFR_ID_MAX) ||
        !append(out, filename, BFR_FILENAME_MAX))
        return false;
    out->hash = bfr_hash(seed, out->bytes, out->size);
    return true;
}
