// SPDX-License-Identifier: Apache-2.0
// Every reason for which the edge answers anything but success: its status, its label in refused_total{reason}, and the
// one line the sender gets. Constant data.
#ifndef BFR_CORE_HTTP_REFUSAL_H
#define BFR_CORE_HTTP_REFUSAL_H

#include <stdint.h>

enum bfr_refusal {
    BFR_REFUSE_NONE = 0, // not refused

    // What the gate finds in a head or in the framing of a body.
    BFR_REFUSE_LINE_END,
    BFR_REFUSE_REQUEST_LINE,
    BFR_REFUSE_TARGET,
    BFR_REFUSE_VERSION,
    BFR_REFUSE_FIELD,
    BFR_REFUSE_OBS_FOLD,
    BFR_REFUSE_HOST,
    BFR_REFUSE_CONTENT_LENGTH,
    BFR_REFUSE_TRANSFER_ENCODING,
    BFR_REFUSE_LENGTH_CONFLICT,
    BFR_REFUSE_BODY_NOT_ALLOWED,
    BFR_REFUSE_CHUNK,
    BFR_REFUSE_HEAD_SIZE,
    BFR_REFUSE_FIELD_COUNT,

    // What the request asks for.
    BFR_REFUSE_NO_ROUTE,
    BFR_REFUSE_METHOD,
    BFR_REFUSE_PATH,
    BFR_REFUSE_ID,
    BFR_REFUSE_FILENAME,
    BFR_REFUSE_FILENAME_IDS,
    BFR_REFUSE_DUPLICATE_HEADER,
    BFR_REFUSE_CONTENT_ENCODING,
    BFR_REFUSE_DIGEST_FIELD,
    BFR_REFUSE_TOO_LARGE,
    BFR_REFUSE_EMPTY_BODY,
    BFR_REFUSE_BAD_GZIP,
    BFR_REFUSE_GZIP_STREAM,

    // What cannot be done now.
    BFR_REFUSE_DRAINING,
    BFR_REFUSE_SPOOL_FULL,
    BFR_REFUSE_TENANT_SHARE,
    BFR_REFUSE_REQUEST_RATE,
    BFR_REFUSE_BYTE_RATE,
    BFR_REFUSE_MEMORY,
    BFR_REFUSE_DIGEST,
    BFR_REFUSE_AUTH_UNKNOWN,
    BFR_REFUSE_ACK_TIMEOUT,
    BFR_REFUSE_BUSY,
    BFR_REFUSE_NOT_STORED,

    // What the auth stage or the duplicate memory knows.
    BFR_REFUSE_TOKEN,
    BFR_REFUSE_FOREIGN,
    BFR_REFUSE_TENANT_GONE,
    BFR_REFUSE_DATASET_GONE,
    BFR_REFUSE_CONFLICT,

    BFR_REFUSE_COUNT
};

struct bfr_refusal_info {
    uint16_t status;
    const char *label;
    const char *text; // one line, no full stop, no line end
};

const struct bfr_refusal_info *bfr_refusal_info(enum bfr_refusal refusal);

// "Not Found" for 404; "Error" for a status the edge does not use.
const char *bfr_status_phrase(uint16_t status);

#endif
