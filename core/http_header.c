// SPDX-License-Identifier: Apache-2.0
// The names behind enum bfr_header. Pure.
#include "http_header.h"

#include <strings.h>

struct known {
    const char *name;
    unsigned char size;
    bool single;
};

#define NAME(text) text, sizeof(text) - 1

static const struct known table[BFR_HEADER_COUNT] = {
    [BFR_HEADER_OTHER] = {"", 0, false},
    [BFR_HEADER_HOST] = {NAME("host"), false},
    [BFR_HEADER_CONTENT_LENGTH] = {NAME("content-length"), false},
    [BFR_HEADER_TRANSFER_ENCODING] = {NAME("transfer-encoding"), false},
    [BFR_HEADER_CONNECTION] = {NAME("connection"), false},
    [BFR_HEADER_EXPECT] = {NAME("expect"), false},
    [BFR_HEADER_ACCEPT] = {NAME("accept"), false},
    [BFR_HEADER_AUTHORIZATION] = {NAME("authorization"), true},
    [BFR_HEADER_CONTENT_TYPE] = {NAME("content-type"), false},
    [BFR_HEADER_CONTENT_ENCODING] = {NAME("content-encoding"), false},
    [BFR_HEADER_CONTENT_DIGEST] = {NAME("content-digest"), false}, // several are one dictionary
    [BFR_HEADER_CONTENT_SHA256] = {NAME("x-content-sha256"), true},
    [BFR_HEADER_BATCH_ID] = {NAME("x-proxy-batch-id"), true},
    [BFR_HEADER_LINE_COUNT] = {NAME("x-proxy-line-count"), true},
    [BFR_HEADER_ORIGINAL_BYTES] = {NAME("x-proxy-original-bytes"), true},
    [BFR_HEADER_CREATED_AT] = {NAME("x-proxy-created-at"), true},
    [BFR_HEADER_DATA_HINT] = {NAME("x-proxy-data-hint"), true},
    [BFR_HEADER_FILENAME] = {NAME("x-proxy-filename"), true},
    [BFR_HEADER_TEST] = {NAME("x-proxy-test"), true},
    [BFR_HEADER_PLUGIN] = {NAME("x-proxy-plugin"), true},
};

enum bfr_header bfr_header_find(const char *name, size_t size)
{
    // The length tells nearly all of them apart, so there is about one comparison for a field.
    for (unsigned i = BFR_HEADER_OTHER + 1; i < BFR_HEADER_COUNT; i++)
        if (table[i].size == size && strncasecmp(table[i].name, name, size) == 0)
            return (enum bfr_header)i;
    return BFR_HEADER_OTHER;
}

bool bfr_header_is_single(enum bfr_header header)
{
    return table[header].single;
}
