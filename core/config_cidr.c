// SPDX-License-Identifier: Apache-2.0
// Strict on purpose: who writes 10.0.0.1/8 may mean one machine or sixteen million, and what is trusted must not be guessed.
#include "config_cidr.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#define V4_OFFSET 96 // bits in front of an IPv4 address

void bfr_cidr_map_v4(const uint8_t v4[4], uint8_t out[16])
{
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, v4, 4);
}

// One to three digits, no sign, no leading zero. -1 when it is none or above `max`.
static int parse_length(const char *text, int max)
{
    size_t size = strlen(text);
    if (size < 1 || size > 3 || strspn(text, "0123456789") != size || (text[0] == '0' && size > 1))
        return -1;
    int length = 0;
    for (; *text != '\0'; text++)
        length = length * 10 + (*text - '0');
    return length <= max ? length : -1;
}

static bool has_bits_beyond(const struct bfr_cidr *cidr)
{
    for (unsigned bit = cidr->bits; bit < 128; bit++) {
        if ((cidr->address[bit / 8] & (0x80u >> (bit % 8))) != 0)
            return true;
    }
    return false;
}

const char *bfr_cidr_parse(const char *text, struct bfr_cidr *out)
{
    char address[INET6_ADDRSTRLEN];
    uint8_t v4[4];
    size_t size = strcspn(text, "/");
    if (size == 0 || size >= sizeof address)
        return "is not a network; write one like 10.0.0.0/8 or 2001:db8::/32";
    memcpy(address, text, size);
    address[size] = '\0';
    bool is_v4 = inet_pton(AF_INET, address, v4) == 1;
    if (is_v4)
        bfr_cidr_map_v4(v4, out->address);
    else if (inet_pton(AF_INET6, address, out->address) != 1)
        return "is not a network; write one like 10.0.0.0/8 or 2001:db8::/32";
    int length = is_v4 ? 32 : 128;
    if (text[size] == '/')
        length = parse_length(text + size + 1, length);
    if (length < 0)
        return is_v4 ? "has a bad length behind the '/'; it is a number from 0 to 32"
                     : "has a bad length behind the '/'; it is a number from 0 to 128";
    out->bits = (uint8_t)(is_v4 ? length + V4_OFFSET : length);
    return has_bits_beyond(out) ? "has address bits beyond its length; clear them, or write a longer length" : NULL;
}

bool bfr_cidr_holds(const struct bfr_cidr *cidr, const uint8_t address[16])
{
    unsigned whole = cidr->bits / 8;
    unsigned rest = cidr->bits % 8;
    if (memcmp(cidr->address, address, whole) != 0)
        return false;
    return rest == 0 || ((cidr->address[whole] ^ address[whole]) >> (8 - rest)) == 0;
}
