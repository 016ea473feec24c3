// SPDX-License-Identifier: Apache-2.0
// The digests of digest.h and testkit.h. Pure functions.
#include "digest.h"

#include <string.h>

#include <bfr/testkit.h>

// FIPS 180-4, section 4.2.2.
static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, unsigned count)
{
    return word >> count | word << (32 - count);
}

static void schedule(const uint8_t block[64], uint32_t words[64])
{
    for (size_t i = 0; i < 16; i++)
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
                   block[4 * i + 3];
    for (size_t i = 16; i < 64; i++) {
        uint32_t low = rotate(words[i - 15], 7) ^ rotate(words[i - 15], 18) ^ words[i - 15] >> 3;
        uint32_t high = rotate(words[i - 2], 17) ^ rotate(words[i - 2], 19) ^ words[i - 2] >> 10;
        words[i] = words[i - 16] + low + words[i - 7] + high;
    }
}

static void absorb(uint32_t state[8], const uint8_t block[64])
{
    uint32_t words[64];
    schedule(block, words);
    uint32_t v[8];
    memcpy(v, state, sizeof v);
    for (size_t i = 0; i < 64; i++) {
        uint32_t big1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t first = v[7] + big1 + choice + round_constants[i] + words[i];
        uint32_t big0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += first;
        v[0] = first + big0 + majority;
    }
    for (size_t i = 0; i < 8; i++)
        state[i] += v[i];
}

void bfr_fake_sha256(const void *data, size_t size, uint8_t out[32])
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const uint8_t *bytes = data;
    size_t left = size;
    for (; left >= 64; left -= 64, bytes += 64)
        absorb(state, bytes);

    uint8_t tail[128] = {0}; // what is left, a one bit, zeros, the length in bits
    if (left > 0)
        memcpy(tail, bytes, left);
    tail[left] = 0x80;
    size_t tail_size = left < 56 ? 64 : 128;
    for (size_t i = 0; i < 8; i++)
        tail[tail_size - 1 - i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    absorb(state, tail);
    if (tail_size == 128)
        absorb(state, tail + 64);
    for (size_t i = 0; i < 32; i++)
        out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static uint32_t crc(uint32_t polynomial, const uint8_t *data, size_t size)
{
    uint32_t sum = ~UINT32_C(0);
    for (size_t i = 0; i < size; i++) {
        sum ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (polynomial & (0 - (sum & 1)));
    }
    return ~sum;
}

uint32_t bfr_fake_crc32(const void *data, size_t size)
{
    return crc(UINT32_C(0xedb88320), data, size);
}

uint32_t bfr_fake_crc32c(const void *data, size_t size)
{
    return crc(UINT32_C(0x82f63b78), data, size);
}

static void put_le32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

size_t bfr_fake_gzip(const void *data, size_t size, uint8_t *out)
{
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    const size_t most = 65535; // bytes in a stored block
    size_t blocks = size / most + 1;
    size_t total = sizeof head + 5 * blocks + size + 8;
    if (out == NULL)
        return total;
    memcpy(out, head, sizeof head);
    uint8_t *to = out + sizeof head;
    for (size_t block = 0, from = 0; block < blocks; block++) {
        size_t length = size - from < most ? size - from : most;
        *to++ = block + 1 == blocks; // final block, type 0
        *to++ = (uint8_t)length;
        *to++ = (uint8_t)(length >> 8);
        *to++ = (uint8_t)~length;
        *to++ = (uint8_t)(~length >> 8);
        memcpy(to, (const uint8_t *)data + from, length);
        to += length;
        from += length;
    }
    put_le32(to, bfr_fake_crc32(data, size));
    put_le32(to + 4, (uint32_t)size);
    return total;
}
