// SPDX-License-Identifier: Apache-2.0
// The text of one request to the store: path, query and header lines, in a buffer of its own, bounded. Pure. A request that
// does not fit says so at its end and is not sent.
#ifndef BFR_S3_REQUEST_H
#define BFR_S3_REQUEST_H

#include <bfr/text.h>

#define S3_FIELDS_MAX   48
#define S3_PATH_SIZE    2048
#define S3_REQUEST_TEXT 24576 // a session token alone may have some kilobytes

struct s3_request {
    const char *method;
    const char *query;       // canonical: encoded, sorted, "name=value&..."; "" without. Static text
    char path[S3_PATH_SIZE]; // canonical: percent-encoded, beginning with '/'
    char payload[65];        // SHA-256 of the body, hex
    size_t count;
    const char *lines[S3_FIELDS_MAX]; // "name: value", names in lower case
    size_t used;
    bool overflow;
    char text[S3_REQUEST_TEXT];
};

// A mark to come back to: what was added since is dropped.
struct s3_mark {
    size_t count;
    size_t used;
};

// Begin with an empty path and no lines. `payload` is 32 bytes, or NULL for an empty body.
void bfr_s3_request_begin(struct s3_request *request, const char *method, const char *query, const uint8_t *payload);
// Append one segment to the path: a slash and the encoded text.
void bfr_s3_request_add_segment(struct s3_request *request, const char *text);
// Add "name: value". The value is printable ASCII.
BFR_PRINTF(3, 4) void bfr_s3_request_add(struct s3_request *request, const char *name, const char *format, ...);
// Add "x-amz-meta-name: value" for any text: what a header cannot carry, or what a store may change on its way into the
// signature, goes as an encoded word (RFC 2047), as S3 itself gives it back.
void bfr_s3_request_add_meta(struct s3_request *request, const char *name, const char *value);

struct s3_mark bfr_s3_request_mark(const struct s3_request *request);
// Drops and wipes: what was added may be a session token.
void bfr_s3_request_rewind(struct s3_request *request, struct s3_mark mark);

// Percent-encode all but unreserved characters (RFC 3986 section 2.3), and '/' where it is kept, into out[0..room). Returns
// the length without the NUL, or 0 with an empty text when it does not fit.
size_t bfr_s3_encode(const char *text, bool keep_slash, char *out, size_t room);

#endif
