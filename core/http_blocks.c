// SPDX-License-Identifier: Apache-2.0
// A free list under a mutex. The last block put back is the next one taken: it is the one whose bytes are in the cache.
// What is resident is what was in use at once, and no more than the limit of it stays when it is free.
#include "http_blocks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bug.h"

// Under a sanitizer each block is its own allocation, so that a use after the end is seen.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEP_FREE false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEEP_FREE false
#endif
#endif
#ifndef KEEP_FREE
#define KEEP_FREE true
#endif

struct free_block {
    struct free_block *next;
};

struct bfr_blocks {
    uint64_t limit;
    _Atomic int64_t beside;
    pthread_mutex_t lock;     // of all below
    struct free_block *spare; // the last one put back is first
    uint64_t spare_bytes;
    _Atomic uint64_t mapped; // read without the lock, too
};

struct bfr_blocks *bfr_blocks_new(uint64_t limit)
{
    struct bfr_blocks *blocks = calloc(1, sizeof *blocks);
    if (blocks == NULL)
        return NULL;
    blocks->limit = limit;
    pthread_mutex_init(&blocks->lock, NULL);
    return blocks;
}

static uint8_t *map_block(void)
{
    if (!KEEP_FREE)
        return malloc(BFR_BLOCK_BYTES);
    void *block = mmap(NULL, BFR_BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block != MAP_FAILED ? block : NULL;
}

// Neighbours are one mapping to the kernel. Where taking one out of the middle would make too many of them, its pages go
// and the block stays.
static bool unmap_block(void *block)
{
    if (!KEEP_FREE) {
        free(block);
        return true;
    }
    return munmap(block, BFR_BLOCK_BYTES) == 0 || (madvise(block, BFR_BLOCK_BYTES, MADV_DONTNEED), false);
}

static bool is_too_much(const struct bfr_blocks *blocks)
{
    int64_t beside = atomic_load_explicit(&blocks->beside, memory_order_relaxed);
    uint64_t mapped = atomic_load_explicit(&blocks->mapped, memory_order_relaxed);
    return !KEEP_FREE || mapped + (beside > 0 ? (uint64_t)beside : 0) > blocks->limit;
}

// Under the lock.
static void keep(struct bfr_blocks *blocks, void *block)
{
    struct free_block *spare = block;
    spare->next = blocks->spare;
    blocks->spare = spare;
    blocks->spare_bytes += BFR_BLOCK_BYTES;
}

// Under the lock. NULL when there is none.
static void *pick(struct bfr_blocks *blocks)
{
    struct free_block *spare = blocks->spare;
    if (spare == NULL)
        return NULL;
    blocks->spare = spare->next;
    blocks->spare_bytes -= BFR_BLOCK_BYTES;
    return spare;
}

// Under the lock.
static bool give_back(struct bfr_blocks *blocks, void *block)
{
    if (!unmap_block(block)) {
        keep(blocks, block);
        return false;
    }
    atomic_fetch_sub_explicit(&blocks->mapped, BFR_BLOCK_BYTES, memory_order_relaxed);
    return true;
}

void bfr_blocks_free(struct bfr_blocks *blocks)
{
    if (blocks == NULL)
        return;
    bfr_must(blocks->spare_bytes == atomic_load(&blocks->mapped));
    for (void *block; (block = pick(blocks)) != NULL;)
        (void)unmap_block(block);
    pthread_mutex_destroy(&blocks->lock);
    free(blocks);
}

uint8_t *bfr_blocks_take(struct bfr_blocks *blocks)
{
    pthread_mutex_lock(&blocks->lock);
    void *block = pick(blocks);
    pthread_mutex_unlock(&blocks->lock);
    if (block == NULL && (block = map_block()) != NULL)
        atomic_fetch_add_explicit(&blocks->mapped, BFR_BLOCK_BYTES, memory_order_relaxed);
    return block;
}

void bfr_blocks_put(struct bfr_blocks *blocks, uint8_t *block)
{
    pthread_mutex_lock(&blocks->lock);
    if (is_too_much(blocks))
        give_back(blocks, block);
    else
        keep(blocks, block);
    pthread_mutex_unlock(&blocks->lock);
}

void bfr_blocks_beside(struct bfr_blocks *blocks, int64_t change)
{
    atomic_fetch_add_explicit(&blocks->beside, change, memory_order_relaxed);
    if (change <= 0 || !is_too_much(blocks))
        return;
    pthread_mutex_lock(&blocks->lock);
    for (void *block; is_too_much(blocks) && (block = pick(blocks)) != NULL;)
        if (!give_back(blocks, block))
            break;
    pthread_mutex_unlock(&blocks->lock);
}

uint64_t bfr_blocks_mapped(struct bfr_blocks *blocks)
{
    return atomic_load_explicit(&blocks->mapped, memory_order_relaxed);
}
