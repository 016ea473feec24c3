// SPDX-License-Identifier: Apache-2.0
// Large is decided once, by size, and for good. In front of the blocks there are at most a few small buffers.
#include "http_kept.h"

#include <string.h>

// From here on a buffer of libevent's, a power of two, would be no smaller than a block.
#define LARGE_BYTES ((size_t)48 * 1024)

// No buffer of libevent's is smaller than 1 KiB. A client that sends byte by byte must not get one for each, or its body
// would cost a thousand times what the budget counts.
#define OWN_BUFFER_MIN 1024u

bool bfr_kept_begin(struct bfr_kept *kept, struct bfr_blocks *blocks)
{
    memset(kept, 0, sizeof *kept);
    kept->blocks = blocks;
    kept->bytes = evbuffer_new();
    return kept->bytes != NULL;
}

static void put_ahead(struct bfr_kept *kept, unsigned keep)
{
    while (kept->ahead_count > keep)
        bfr_blocks_put(kept->blocks, kept->ahead[--kept->ahead_count]);
}

void bfr_kept_drop(struct bfr_kept *kept)
{
    put_ahead(kept, 0);
    kept->used = 0;
    if (kept->bytes != NULL)
        evbuffer_free(kept->bytes);
    kept->bytes = NULL;
}

static bool is_large(const struct bfr_kept *kept, size_t more)
{
    return kept->block_count > 0 || kept->ahead_count > 0 || evbuffer_get_length(kept->bytes) + more > LARGE_BYTES;
}

static int room_in_blocks(struct bfr_kept *kept, size_t size, struct evbuffer_iovec *vectors, int most)
{
    int count = 0;
    for (size_t room = 0; room < size && count < most; count++) {
        if ((unsigned)count == kept->ahead_count) {
            uint8_t *block = bfr_blocks_take(kept->blocks);
            if (block == NULL)
                break;
            kept->ahead[kept->ahead_count++] = block;
        }
        size_t used = count == 0 ? kept->used : 0;
        vectors[count].iov_base = kept->ahead[count] + used;
        vectors[count].iov_len = BFR_BLOCK_BYTES - used;
        room += vectors[count].iov_len;
    }
    return count;
}

static int room_in_buffers(struct bfr_kept *kept, size_t size, struct evbuffer_iovec *vectors, int most)
{
    int count = evbuffer_reserve_space(kept->bytes, (ev_ssize_t)size, vectors, most < 2 ? most : 2);
    kept->slack = 0;
    for (int i = 0; i < count; i++)
        kept->slack += vectors[i].iov_len;
    return count > 0 ? count : 0;
}

int bfr_kept_room(struct bfr_kept *kept, size_t size, struct evbuffer_iovec *vectors, int most)
{
    return is_large(kept, size) ? room_in_blocks(kept, size, vectors, most)
                                : room_in_buffers(kept, size, vectors, most);
}

// [any] libevent lets go of a block.
static void on_block_free(const void *data, size_t size, void *arg)
{
    (void)size;
    bfr_blocks_put(arg, (uint8_t *)(uintptr_t)data);
}

// The first `used` bytes of the first block ahead join the others.
static bool join(struct bfr_kept *kept, size_t used)
{
    if (evbuffer_add_reference(kept->bytes, kept->ahead[0], used, on_block_free, kept->blocks) != 0)
        return false;
    kept->block_count++;
    kept->ahead_count--;
    memmove(&kept->ahead[0], &kept->ahead[1], kept->ahead_count * sizeof kept->ahead[0]);
    return true;
}

static bool fill_blocks(struct bfr_kept *kept, size_t size)
{
    kept->used += size;
    while (kept->used >= BFR_BLOCK_BYTES) {
        if (!join(kept, BFR_BLOCK_BYTES))
            return false;
        kept->used -= BFR_BLOCK_BYTES;
    }
    put_ahead(kept, kept->used > 0 ? 1 : 0);
    return true;
}

bool bfr_kept_fill(struct bfr_kept *kept, struct evbuffer_iovec *vectors, int count, size_t size)
{
    if (kept->ahead_count > 0)
        return fill_blocks(kept, size);
    kept->slack -= size;
    for (int i = 0; i < count; i++) {
        if (vectors[i].iov_len > size)
            vectors[i].iov_len = size;
        size -= vectors[i].iov_len;
    }
    return evbuffer_commit_space(kept->bytes, vectors, count) == 0;
}

static bool copy(struct bfr_kept *kept, const uint8_t *data, size_t size)
{
    while (size > 0) {
        struct evbuffer_iovec room;
        if (bfr_kept_room(kept, size, &room, 1) != 1)
            return false;
        size_t piece = room.iov_len < size ? room.iov_len : size;
        memcpy(room.iov_base, data, piece);
        if (!bfr_kept_fill(kept, &room, 1, piece))
            return false;
        data += piece;
        size -= piece;
    }
    return true;
}

bool bfr_kept_take(struct bfr_kept *kept, struct evbuffer *from, const void *data, size_t size)
{
    // Room behind the bytes that are there is filled first: with a buffer of its own for each of libevent's small reads, and
    // the rest of the large one before it lost, a body would take nearly twice what the budget counts.
    bool fits = size <= kept->slack;
    if (is_large(kept, size) || fits || size < OWN_BUFFER_MIN)
        return copy(kept, data, size) && evbuffer_drain(from, size) == 0;
    kept->slack = 0;
    return evbuffer_remove_buffer(from, kept->bytes, size) == (int)size;
}

bool bfr_kept_close(struct bfr_kept *kept)
{
    size_t used = kept->used;
    kept->used = 0;
    return used == 0 || join(kept, used);
}
