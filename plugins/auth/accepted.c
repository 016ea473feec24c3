// SPDX-License-Identifier: Apache-2.0
// See accepted.h. Sets of four slots; the one that ends first makes room. A slot is written under an odd version: a reader
// that meets one, or another version at the end than at the beginning, has found nothing. Every word is an atomic, so that
// what a reader sees meanwhile is old or new, and the version tells.
#include "accepted.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/batch.h>

#include "index.h"

#define SETS      8192 // a power of two; twice the keys that the facts keep
#define WAYS      4
#define KEY_BYTES 32
#define WORDS     ((KEY_BYTES + BFR_ID_MAX + 1 + 7) / 8)

struct slot {
    _Atomic uint64_t version; // odd: being written
    _Atomic uint64_t until_ns;
    _Atomic uint64_t words[WORDS]; // the key, then the tenant
};

struct accepted {
    struct slot slots[SETS][WAYS];
};

// What a slot says, as its words.
struct name {
    uint64_t words[WORDS];
};

struct accepted *bfr_accepted_new(void)
{
    return calloc(1, sizeof(struct accepted));
}

void bfr_accepted_free(struct accepted *accepted)
{
    free(accepted);
}

uint64_t bfr_accepted_bytes(void)
{
    return sizeof(struct accepted);
}

// The set in which it belongs. A SHA-256 is as good a hash as any.
static size_t name_of(const char *tenant, const uint8_t *key, struct name *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->words, key, KEY_BYTES);
    memcpy((char *)out->words + KEY_BYTES, tenant, strnlen(tenant, BFR_ID_MAX));
    return (size_t)((out->words[0] ^ bfr_index_hash(0, tenant)) & (SETS - 1));
}

// All words, whatever the first ones say: the time tells nothing about a key.
static bool is_same(const struct slot *slot, const struct name *name)
{
    uint64_t difference = 0;

    for (size_t i = 0; i < WORDS; i++)
        difference |= atomic_load_explicit(&slot->words[i], memory_order_acquire) ^ name->words[i];
    return difference == 0;
}

bool bfr_accepted_find(const struct accepted *accepted, const char *tenant, const uint8_t *key, uint64_t now_ns)
{
    struct name name;
    const struct slot *set = accepted->slots[name_of(tenant, key, &name)];

    for (size_t i = 0; i < WAYS; i++) {
        uint64_t version = atomic_load_explicit(&set[i].version, memory_order_acquire);
        uint64_t until_ns = atomic_load_explicit(&set[i].until_ns, memory_order_acquire);
        bool found = is_same(&set[i], &name) && now_ns < until_ns;
        if (found && (version & 1) == 0 && atomic_load_explicit(&set[i].version, memory_order_relaxed) == version)
            return true;
    }
    return false;
}

static void write_slot(struct slot *slot, const struct name *name, uint64_t until_ns)
{
    uint64_t version = atomic_load_explicit(&slot->version, memory_order_relaxed);

    // Each of the following stores releases the odd version: who sees any of them sees it too.
    atomic_store_explicit(&slot->version, version + 1, memory_order_relaxed);
    atomic_store_explicit(&slot->until_ns, until_ns, memory_order_release);
    for (size_t i = 0; i < WORDS; i++)
        atomic_store_explicit(&slot->words[i], name->words[i], memory_order_release);
    atomic_store_explicit(&slot->version, version + 2, memory_order_release);
}

void bfr_accepted_put(struct accepted *accepted, const char *tenant, const uint8_t *key, uint64_t until_ns)
{
    struct name name;
    struct slot *set = accepted->slots[name_of(tenant, key, &name)];
    struct slot *place = NULL;

    for (size_t i = 0; i < WAYS && (place == NULL || !is_same(place, &name)); i++)
        if (place == NULL || is_same(&set[i], &name) ||
            atomic_load_explicit(&set[i].until_ns, memory_order_relaxed) <
                atomic_load_explicit(&place->until_ns, memory_order_relaxed))
            place = &set[i];
    if (until_ns != 0 || is_same(place, &name))
        write_slot(place, &name, until_ns);
}
