// SPDX-License-Identifier: Apache-2.0
// The header fields the edge knows; all others are checked for syntax and forgotten.
#ifndef BFR_CORE_HTTP_HEADER_H
#define BFR_CORE_HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>

enum bfr_header {
    BFR_HEADER_OTHER = 0,
    BFR_HEADER_HOST,
    BFR_HEADER_CONTENT_LENGTH,
    BFR_HEADER_TRANSFER_ENCODING,
    BFR_HEADER_CONNECTION,
    BFR_HEADER_EXPECT,
    BFR_HEADER_ACCEPT,
    BFR_HEADER_AUTHORIZATION,
    BFR_HEADER_CONTENT_TYPE,
    BFR_HEADER_CONTENT_ENCODING,
    BFR_HEADER_CONTENT_DIGEST,
    BFR_HEADER_CONTENT_SHA256,
    BFR_HEADER_BATCH_ID,
    BFR_HEADER_LINE_COUNT,
    BFR_HEADER_ORIGINAL_BYTES,
    BFR_HEADER_CREATED_AT,
    BFR_HEADER_DATA_HINT,
    BFR_HEADER_FILENAME,
    BFR_HEADER_TEST,
    BFR_HEADER_PLUGIN,
    BFR_HEADER_COUNT
};

// Names match in any case (RFC 9110 section 5.1).
enum bfr_header bfr_header_find(const char *name, size_t size);

// Two of them in one request are refused: a sender, or something in between, is confused about who it is.
bool bfr_header_is_single(enum bfr_header header);

#endif
