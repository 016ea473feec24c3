// SPDX-License-Identifier: Apache-2.0
// Strict where the specification leaves room: version 1 has single spaces, addresses of the announced family and ports
// without signs or leading zeros; version 2 has a known command, family and length. Nothing is guessed about an address
// that will be trusted.
#include "http_proxy.h"

#include <arpa/inet.h>
#include <isa-l/crc.h>
#include <stdbool.h>
#include <string.h>

#include "config_cidr.h"

#define V1_MAX       107u // with its CR LF
#define V2_FIXED     16u
#define TLV_FIXED    3u
#define TLV_CRC32C   0x03u
#define COMMAND_MASK 0x0fu

static const uint8_t v1_start[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_start[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static enum bfr_proxy_result bad(struct bfr_proxy_header *out, const char *wrong)
{
    out->wrong = wrong;
    return BFR_PROXY_BAD;
}

// CLIENT: it begins with all of `start`; MORE: with a part of it, and ends there.
static enum bfr_proxy_result begins(const uint8_t *data, size_t size, const uint8_t *start, size_t start_size)
{
    size_t common = size < start_size ? size : start_size;
    if (memcmp(data, start, common) != 0)
        return BFR_PROXY_BAD;
    return size < start_size ? BFR_PROXY_MORE : BFR_PROXY_CLIENT;
}

enum bfr_proxy_result bfr_proxy_sniff(const uint8_t *data, size_t size)
{
    if (size == 0)
        return BFR_PROXY_MORE;
    if (data[0] == v1_start[0])
        return begins(data, size, v1_start, sizeof v1_start);
    return begins(data, size, v2_start, sizeof v2_start);
}

// ---- version 1 ----

// The next word of a line that ends in NUL, at a single space; NULL when there is none.
static char *next_word(char **line)
{
    char *word = *line;
    if (word == NULL)
        return NULL;
    char *space = strchr(word, ' ');
    if (space != NULL)
        *space = '\0';
    *line = space == NULL ? NULL : space + 1;
    return word;
}

static bool read_address(const char *text, bool v6, uint8_t out[16])
{
    uint8_t v4[4];
    if (text == NULL)
        return false;
    if (v6)
        return inet_pton(AF_INET6, text, out) == 1;
    if (inet_pton(AF_INET, text, v4) != 1)
        return false;
    bfr_cidr_map_v4(v4, out);
    return true;
}

static bool read_port(const char *text, uint16_t *out)
{
    size_t length = text == NULL ? 0 : strlen(text);
    if (length < 1 || length > 5 || strspn(text, "0123456789") != length || (text[0] == '0' && length > 1))
        return false;
    uint32_t port = 0;
    for (; *text != '\0'; text++)
        port = port * 10 + (uint32_t)(*text - '0');
    *out = (uint16_t)port;
    return port <= UINT16_MAX;
}

// `line` is what stands between "PROXY " and CR LF.
static enum bfr_proxy_result parse_line(char *line, struct bfr_proxy_header *out)
{
    char *rest = line;
    const char *family = next_word(&rest);
    if (strcmp(family, "UNKNOWN") == 0)
        return BFR_PROXY_LOCAL; // what follows is to be ignored
    bool v6 = strcmp(family, "TCP6") == 0;
    if (!v6 && strcmp(family, "TCP4") != 0)
        return bad(out, "its family is not TCP4, TCP6 or UNKNOWN");
    uint8_t destination[16];
    uint16_t destination_port;
    if (!read_address(next_word(&rest), v6, out->address) || !read_address(next_word(&rest), v6, destination))
        return bad(out, "an address is missing or not of its family");
    if (!read_port(next_word(&rest), &out->port) || !read_port(next_word(&rest), &destination_port) || rest != NULL)
        return bad(out, "a port is missing or not a number from 0 to 65535, or something follows");
    return BFR_PROXY_CLIENT;
}

static enum bfr_proxy_result parse_v1(const uint8_t *data, size_t size, struct bfr_proxy_header *out)
{
    char line[V1_MAX];
    size_t looked = size < V1_MAX ? size : V1_MAX;
    const uint8_t *end = memchr(data, '\r', looked);
    if (end == NULL)
        return size < V1_MAX ? BFR_PROXY_MORE : bad(out, "its line is longer than 107 bytes");
    size_t length = (size_t)(end - data);
    if (length + 1 >= V1_MAX)
        return bad(out, "its line is longer than 107 bytes");
    if (length + 1 == size)
        return BFR_PROXY_MORE;
    if (end[1] != '\n')
        return bad(out, "a CR is not followed by LF");
    size_t words = length - sizeof v1_start;
    memcpy(line, data + sizeof v1_start, words);
    line[words] = '\0';
    if (strlen(line) != words)
        return bad(out, "its line holds a NUL");
    out->size = length + 2;
    return parse_line(line, out);
}

// ---- version 2 ----

static uint16_t read_16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

// The checksum is that of the whole header with its own four bytes as zero.
static bool crc_matches(const uint8_t *header, size_t size, const uint8_t *value)
{
    uint8_t copy[BFR_PROXY_MAX];
    memcpy(copy, header, size);
    memset(copy + (value - header), 0, 4);
    uint32_t crc = ~crc32_iscsi(copy, (int)size, UINT32_MAX);
    return value[0] == crc >> 24 && value[1] == (crc >> 16 & 0xff) && value[2] == (crc >> 8 & 0xff) &&
           value[3] == (crc & 0xff);
}

// The extensions from `at` on: well formed, and with a checksum that is right if there is one. NULL: they are good.
static const char *check_extensions(const uint8_t *header, size_t at, size_t size)
{
    while (at < size) {
        if (size - at < TLV_FIXED)
            return "an extension is cut short";
        size_t length = read_16(header + at + 1);
        const uint8_t *value = header + at + TLV_FIXED;
        if (length > size - at - TLV_FIXED)
            return "an extension is longer than the header";
        if (header[at] == TLV_CRC32C && (length != 4 || !crc_matches(header, size, value)))
            return "its checksum does not match";
        at += TLV_FIXED + length;
    }
    return NULL;
}

// Bytes of the address block of a family and protocol; 0 = its content is not known.
static size_t address_size(uint8_t family)
{
    switch (family) {
    case 0x11: // TCP over IPv4
        return 12;
    case 0x21: // TCP over IPv6
        return 36;
    default:
        return 0;
    }
}

static void read_source(const uint8_t *header, struct bfr_proxy_header *out)
{
    const uint8_t *addresses = header + V2_FIXED;
    if (header[13] == 0x11) {
        bfr_cidr_map_v4(addresses, out->address);
        out->port = read_16(addresses + 8);
    } else {
        memcpy(out->address, addresses, sizeof out->address);
        out->port = read_16(addresses + 32);
    }
}

static enum bfr_proxy_result parse_v2(const uint8_t *header, size_t size, struct bfr_proxy_header *out)
{
    if (size > 12 && (header[12] >> 4 != 2 || (header[12] & COMMAND_MASK) > 1))
        return bad(out, "its version or command is not known");
    if (size < V2_FIXED)
        return BFR_PROXY_MORE;
    size_t whole = V2_FIXED + read_16(header + 14);
    bool local = (header[12] & COMMAND_MASK) == 0;
    size_t addresses = address_size(header[13]);
    if (whole > BFR_PROXY_MAX)
        return bad(out, "it is longer than 4096 bytes");
    if (!local && header[13] != 0 && addresses == 0)
        return bad(out, "its family is not TCP over IPv4 or IPv6");
    if (!local && whole - V2_FIXED < addresses)
        return bad(out, "it is too short for its addresses");
    if (size < whole)
        return BFR_PROXY_MORE;
    out->size = whole;
    // Of LOCAL and of an unspecified family the rest is to be skipped unread.
    if (local || addresses == 0)
        return BFR_PROXY_LOCAL;
    out->wrong = check_extensions(header, V2_FIXED + addresses, whole);
    if (out->wrong != NULL)
        return BFR_PROXY_BAD;
    read_source(header, out);
    return BFR_PROXY_CLIENT;
}

enum bfr_proxy_result bfr_proxy_parse(const uint8_t *data, size_t size, struct bfr_proxy_header *out)
{
    memset(out, 0, sizeof *out);
    enum bfr_proxy_result start = bfr_proxy_sniff(data, size);
    if (start == BFR_PROXY_MORE)
        return start;
    if (start == BFR_PROXY_BAD)
        return bad(out, "the connection does not begin with one");
    return data[0] == v1_start[0] ? parse_v1(data, size, out) : parse_v2(data, size, out);
}
