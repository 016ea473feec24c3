// SPDX-License-Identifier: Apache-2.0
// What of a body is kept: first in buffers of libevent's, which fit small bodies; when it grows large, from then on in
// blocks. Every byte stays where it was first written. Owned by the body, touched on its loop; sealed, its buffer goes to
// the batch and is freed on any thread.
#ifndef BFR_CORE_HTTP_KEPT_H
#define BFR_CORE_HTTP_KEPT_H

#include <stdbool.h>

#include <event2/buffer.h>

#include "http_blocks.h"

#define BFR_KEPT_AHEAD   5u // blocks that one read may need: one with a rest of room, and 256 KiB
#define BFR_KEPT_VECTORS ((int)BFR_KEPT_AHEAD)

struct bfr_kept {
    struct evbuffer *bytes;
    size_t slack;                   // free bytes in the buffers behind them, as far as known
    struct bfr_blocks *blocks;      // borrowed
    uint32_t block_count;           // that `bytes` refers to: all behind the buffers
    uint8_t *ahead[BFR_KEPT_AHEAD]; // the one being filled, and between room and fill those behind it
    unsigned ahead_count;
    size_t used; // bytes in ahead[0], not in `bytes` yet
};

bool bfr_kept_begin(struct bfr_kept *kept, struct bfr_blocks *blocks);
void bfr_kept_drop(struct bfr_kept *kept); // harmless when there is nothing

// Room for bytes to be written: about `size` of them, at least one, in at most `most` vectors. 0 when memory is short.
int bfr_kept_room(struct bfr_kept *kept, size_t size, struct evbuffer_iovec *vectors, int most);
// The first `size` bytes of that room were written. False when memory is short.
bool bfr_kept_fill(struct bfr_kept *kept, struct evbuffer_iovec *vectors, int count, size_t size);
// The first `size` bytes of `from`, which lie together at `data`.
bool bfr_kept_take(struct bfr_kept *kept, struct evbuffer *from, const void *data, size_t size);

// No more comes: `bytes` is all of it.
bool bfr_kept_close(struct bfr_kept *kept);

#endif
