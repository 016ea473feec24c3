// SPDX-License-Identifier: Apache-2.0
// SHA-256, CRC-32 and CRC-32C for test bodies, so that the test kit needs no library. Slow and plain on purpose.
#ifndef BFR_TESTKIT_DIGEST_H
#define BFR_TESTKIT_DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint32_t bfr_fake_crc32(const void *data, size_t size); // of gzip, RFC 1952 section 8

// Wrap `size` bytes in one gzip member of stored blocks (RFC 1951 section 3.2.4). Returns its length; `out` may be NULL
// to ask for it.
size_t bfr_fake_gzip(const void *data, size_t size, uint8_t *out);

#endif
