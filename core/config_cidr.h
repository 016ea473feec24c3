// SPDX-License-Identifier: Apache-2.0
// IP networks written as "10.0.0.0/8" or "2001:db8::/32". Pure.
#ifndef BFR_CORE_CONFIG_CIDR_H
#define BFR_CORE_CONFIG_CIDR_H

#include <stdbool.h>
#include <stdint.h>

// IPv4 as ::ffff:a.b.c.d, so that one comparison serves both families.
struct bfr_cidr {
    uint8_t address[16];
    uint8_t bits; // of the 128 that count
};

// NULL when `text` is a network (a single address is one of all its bits); else what is wrong with it, for a sentence that
// begins with the text.
const char *bfr_cidr_parse(const char *text, struct bfr_cidr *out);
bool bfr_cidr_holds(const struct bfr_cidr *cidr, const uint8_t address[16]);

// An IPv4 address of four bytes in the form of sixteen.
void bfr_cidr_map_v4(const uint8_t v4[4], uint8_t out[16]);

#endif
