// SPDX-License-Identifier: Apache-2.0
// Reading exactly so many bytes of an open file, whatever interrupts it. [any]
#ifndef BFR_SPOOL_FILE_READ_H
#define BFR_SPOOL_FILE_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/status.h>

// Exactly `size` bytes from `offset`; false with errno, 0 for a file that ends before.
BFR_MUST_CHECK bool bfr_file_read(int fd, void *out, size_t size, uint64_t offset);

// The first `size` bytes of a file that is known to have them; false with errno, EIO when it became shorter meanwhile.
BFR_MUST_CHECK bool bfr_file_read_whole(int fd, void *out, size_t size);

#endif
