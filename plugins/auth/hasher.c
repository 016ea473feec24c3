// SPDX-License-Identifier: Apache-2.0
// See hasher.h. Sets of four slots, taken in turn. A slot is found by its mark, a hash under a seed that the thread alone
// knows: nobody can aim at a set, and how long a search takes tells nothing about a part of a token.
#include "hasher.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#define SETS 64 // a power of two
#define WAYS 4

struct slot {
    uint64_t mark;
    size_t size; // of the token; 0: free
    uint8_t token[HASHER_TOKEN_MAX];
    uint8_t hash[HASHER_SIZE];
};

// One thread's.
struct own {
    EVP_MD_CTX *context; // used again and again, so that a hash costs no allocation
    uint64_t seed;
    unsigned turn; // whose slot goes next
    struct slot slots[SETS][WAYS];
};

static void free_own(void *arg)
{
    struct own *own = arg;

    if (own == NULL)
        return;
    EVP_MD_CTX_free(own->context);
    OPENSSL_cleanse(own, sizeof *own);
    free(own);
}

bool bfr_hasher_init(struct hasher *hasher)
{
    hasher->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (hasher->sha256 == NULL)
        return false;
    if (pthread_key_create(&hasher->own, free_own) == 0)
        return true;
    EVP_MD_free(hasher->sha256);
    hasher->sha256 = NULL;
    return false;
}

// The other threads have ended, and theirs with them.
void bfr_hasher_fini(struct hasher *hasher)
{
    if (hasher->sha256 == NULL)
        return;
    free_own(pthread_getspecific(hasher->own));
    pthread_key_delete(hasher->own);
    EVP_MD_free(hasher->sha256);
    hasher->sha256 = NULL;
}

static struct own *make_own(const struct hasher *hasher)
{
    struct own *own = calloc(1, sizeof *own);

    if (own == NULL)
        return NULL;
    own->context = EVP_MD_CTX_new();
    if (own->context != NULL && RAND_bytes((unsigned char *)&own->seed, sizeof own->seed) == 1 &&
        pthread_setspecific(hasher->own, own) == 0)
        return own;
    free_own(own);
    return NULL;
}

static uint64_t mix(uint64_t mark, uint64_t word)
{
    mark = (mark ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return mark ^ mark >> 32;
}

static uint64_t mark_of(const struct own *own, struct bfr_span text)
{
    uint64_t mark = mix(own->seed, text.size);
    uint64_t word;
    size_t at = 0;

    for (; at + sizeof word <= text.size; at += sizeof word) {
        memcpy(&word, text.data + at, sizeof word);
        mark = mix(mark, word);
    }
    for (; at < text.size; at++)
        mark = mix(mark, text.data[at]);
    return mark;
}

static const struct slot *find(const struct slot *set, uint64_t mark, struct bfr_span text)
{
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].mark == mark && set[i].size == text.size && CRYPTO_memcmp(set[i].token, text.data, text.size) == 0)
            return &set[i];
    return NULL;
}

static void remember(struct slot *slot, uint64_t mark, struct bfr_span text, const uint8_t hash[HASHER_SIZE])
{
    OPENSSL_cleanse(slot, sizeof *slot);
    slot->mark = mark;
    slot->size = text.size;
    memcpy(slot->token, text.data, text.size);
    memcpy(slot->hash, hash, HASHER_SIZE);
}

static bool hash_anew(const struct hasher *hasher, struct own *own, struct bfr_span text, uint8_t out[HASHER_SIZE])
{
    return EVP_DigestInit_ex(own->context, hasher->sha256, NULL) == 1 &&
           EVP_DigestUpdate(own->context, text.data, text.size) == 1 &&
           EVP_DigestFinal_ex(own->context, out, NULL) == 1;
}

bool bfr_hasher_hash(const struct hasher *hasher, struct bfr_span text, uint8_t out[HASHER_SIZE])
{
    struct own *own = pthread_getspecific(hasher->own);

    if (own == NULL)
        own = make_own(hasher);
    if (own == NULL || text.size == 0 || text.size > HASHER_TOKEN_MAX)
        return own != NULL && hash_anew(hasher, own, text, out);
    uint64_t mark = mark_of(own, text);
    struct slot *set = own->slots[mark & (SETS - 1)];
    const struct slot *slot = find(set, mark, text);
    if (slot != NULL) {
        memcpy(out, slot->hash, HASHER_SIZE);
        return true;
    }
    if (!hash_anew(hasher, own, text, out))
        return false;
    remember(&set[own->turn++ % WAYS], mark, text, out);
    return true;
}
