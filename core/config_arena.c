// SPDX-License-Identifier: Apache-2.0
// Chunks of memory, filled from the front. Used by whoever reads a configuration, on that one thread. Never gives a
// single piece back, never frees a byte without wiping it.
#include "config_arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// With AddressSanitizer every piece is an allocation of its own, so that a read past its end is seen.
#if defined(__SANITIZE_ADDRESS__)
#define CHUNK_BYTES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHUNK_BYTES 1
#endif
#endif
#ifndef CHUNK_BYTES
#define CHUNK_BYTES 4096
#endif

struct bfr_arena_chunk {
    struct bfr_arena_chunk *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

static struct bfr_arena_chunk *add_chunk(struct bfr_arena *arena, size_t size)
{
    if (size < CHUNK_BYTES)
        size = CHUNK_BYTES;
    struct bfr_arena_chunk *chunk = calloc(1, sizeof *chunk + size);
    if (chunk == NULL) {
        arena->failed = true;
        return NULL;
    }
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *bfr_arena_alloc(struct bfr_arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    size_t step = CHUNK_BYTES == 1 ? size : (size + align - 1) / align * align; // an odd end is the chunk's end
    struct bfr_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size - chunk->used < step)
        chunk = add_chunk(arena, step);
    if (chunk == NULL)
        return NULL;
    void *piece = chunk->data + chunk->used;
    chunk->used += step;
    return piece;
}

char *bfr_arena_copy(struct bfr_arena *arena, const char *text, size_t size)
{
    char *copy = bfr_arena_alloc(arena, size + 1);
    if (copy != NULL && size > 0)
        memcpy(copy, text, size);
    return copy;
}

char *bfr_arena_format(struct bfr_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    char *text = size < 0 ? NULL : bfr_arena_alloc(arena, (size_t)size + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void bfr_arena_free(struct bfr_arena *arena)
{
    while (arena->chunks != NULL) {
        struct bfr_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        explicit_bzero(chunk->data, chunk->size);
        free(chunk);
    }
    arena->failed = false;
}
