// SPDX-License-Identifier: Apache-2.0
// Blocks of one size, in which large bodies are kept: a body of any size takes whole blocks, every free block serves any
// body, and none costs a page fault twice. From the heap, where each thread's free pieces are of no use to the others, as
// much again as the budget could be resident. Bodies outlive the server in queues, so the blocks count their users: their
// budget owns them, and counts those.
#ifndef BFR_CORE_HTTP_BLOCKS_H
#define BFR_CORE_HTTP_BLOCKS_H

#include <stdint.h>

#define BFR_BLOCK_BYTES 65536u // what the budget is taken in, too

struct bfr_blocks;

// `limit`: bytes beyond which no free block is kept, together with what is beside them. NULL when memory is short. [any]
struct bfr_blocks *bfr_blocks_new(uint64_t limit);
void bfr_blocks_free(struct bfr_blocks *blocks); // every block was put back; NULL is allowed

uint8_t *bfr_blocks_take(struct bfr_blocks *blocks);            // not cleared; NULL when memory is short [any]
void bfr_blocks_put(struct bfr_blocks *blocks, uint8_t *block); // [any]

// So many more bytes, or fewer, of bodies are resident outside the blocks. When it becomes too much, free blocks go. [any]
void bfr_blocks_beside(struct bfr_blocks *blocks, int64_t change);

// Bytes of blocks that exist, in use or free. [any]
uint64_t bfr_blocks_mapped(struct bfr_blocks *blocks);

#endif
