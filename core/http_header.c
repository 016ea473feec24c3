// SPDX-License-Identifier: Apache-2.0
// The names behind enum bfr_header. Pure.
#include "http_header.h"

#include <strings.h>

struct known {
    const char *name;
    bool single;
};

static const struct known table[BFR_HEADER_COUNT] = {
    [BFR_HEADER_OTHER] = {"", false},
    [BFR_HEADER_HOST] = {"host", false},
    [BFR_HEADER_CONTENT_LENGTH] = {"content-length", false},
    [BFR_HEADER_TRANSFER_ENCODING] = {"transfer-encoding", false},
    [BFR_HEADER_CONNECTION] = {"connection", false},
    [BFR_HEADER_EXPECT] = {"expect", false},
    [BFR_HEADER_ACCEPT] = {"accept", false},
    [BFR_HEADER_AUTHORIZATION] = {"authorization", true},
    [BFR_HEADER_CONTENT_TYPE] = {"content-type", false},
    [BFR_HEADER_CONTENT_ENCODING] = {"content-encoding", false},
    [BFR_HEADER_CONTENT_DIGEST] = {"content-digest", false}, // several are one dictionary
    [BFR_HEADER_CONTENT_SHA256] = {"x-content-sha256", true},
    [BFR_HEADER_BATCH_ID] = {"x-proxy-batch-id", true},
    [BFR_HEADER_LINE_COUNT] = {"x-proxy-line-count", true},
    [BFR_HEADER_ORIGINAL_BYTES] = {"x-proxy-original-bytes", true},
    [BFR_HEADER_CREATED_AT] = {"x-proxy-created-at", true},
    [BFR_HEADER_DATA_HINT] = {"x-proxy-data-hint", true},
    [BFR_HEADER_FILENAME] = {"x-proxy-filename", true},
    [BFR_HEADER_TEST] = {"x-proxy-test", true},
    [BFR_HEADER_PLUGIN] = {"x-proxy-plugin", true},
};

#define SIZES    23
#define PER_SIZE 4

// The length tells nearly all of them apart, so there is about one comparison for a field. BFR_HEADER_OTHER ends a row.
static const unsigned char of_size[SIZES][PER_SIZE + 1] = {
    [4] = {BFR_HEADER_HOST},
    [6] = {BFR_HEADER_ACCEPT, BFR_HEADER_EXPECT},
    [10] = {BFR_HEADER_CONNECTION},
    [12] = {BFR_HEADER_CONTENT_TYPE, BFR_HEADER_TEST},
    [13] = {BFR_HEADER_AUTHORIZATION},
    [14] = {BFR_HEADER_CONTENT_LENGTH, BFR_HEADER_CONTENT_DIGEST, BFR_HEADER_PLUGIN},
    [16] = {BFR_HEADER_FILENAME, BFR_HEADER_CONTENT_ENCODING, BFR_HEADER_BATCH_ID, BFR_HEADER_CONTENT_SHA256},
    [17] = {BFR_HEADER_DATA_HINT, BFR_HEADER_TRANSFER_ENCODING},
    [18] = {BFR_HEADER_LINE_COUNT, BFR_HEADER_CREATED_AT},
    [22] = {BFR_HEADER_ORIGINAL_BYTES},
};

enum bfr_header bfr_header_find(const char *name, size_t size)
{
    if (size >= SIZES)
        return BFR_HEADER_OTHER;
    for (const unsigned char *header = of_size[size]; *header != BFR_HEADER_OTHER; header++)
        if (strncasecmp(table[*header].name, name, size) == 0)
            return (enum bfr_header) * header;
    return BFR_HEADER_OTHER;
}

bool bfr_header_is_single(enum bfr_header header)
{
    return table[header].single;
}
