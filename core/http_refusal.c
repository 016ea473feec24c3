// SPDX-License-Identifier: Apache-2.0
// The table behind http_refusal.h. The texts say what to change or that trying again is right: they end up in the
// sender's log, where nobody has this source at hand.
#include "http_refusal.h"

#include <stddef.h>

#include "bug.h"

static const struct bfr_refusal_info table[BFR_REFUSE_COUNT] = {
    [BFR_REFUSE_LINE_END] = {400, "line_end", "malformed request: a line must end in CR LF and hold no CR, LF or NUL"},
    [BFR_REFUSE_REQUEST_LINE] = {400, "request_line", "malformed request line: expected 'METHOD /path HTTP/1.1'"},
    [BFR_REFUSE_TARGET] = {400, "target", "the request target must be a path beginning with '/'"},
    [BFR_REFUSE_VERSION] = {400, "version", "only HTTP/1.1 and HTTP/1.0 are served here"},
    [BFR_REFUSE_FIELD] = {400, "field", "malformed header field: expected 'Name: value'"},
    [BFR_REFUSE_OBS_FOLD] = {400, "obs_fold", "a header field must not continue on a second line"},
    [BFR_REFUSE_HOST] = {400, "host", "exactly one valid Host field is required"},
    [BFR_REFUSE_CONTENT_LENGTH] = {400, "content_length", "Content-Length must be one decimal number"},
    [BFR_REFUSE_TRANSFER_ENCODING] = {400, "transfer_encoding", "the only Transfer-Encoding accepted is 'chunked'"},
    [BFR_REFUSE_LENGTH_CONFLICT] = {400, "length_conflict", "Content-Length and Transfer-Encoding exclude each other"},
    [BFR_REFUSE_BODY_NOT_ALLOWED] = {400, "body_not_allowed", "only POST may carry a body"},
    [BFR_REFUSE_CHUNK] = {400, "chunk", "malformed chunk: expected a hexadecimal size without extensions, then CR LF"},
    [BFR_REFUSE_HEAD_SIZE] = {431, "head_size", "the request head is larger than 16 KiB"},
    [BFR_REFUSE_FIELD_COUNT] = {431, "field_count", "the request has more than 100 header fields"},

    [BFR_REFUSE_NO_ROUTE] = {404, "no_route", "no such route: post to /{tenant}/{dataset}"},
    [BFR_REFUSE_METHOD] = {405, "method", "this route does not serve that method"},
    [BFR_REFUSE_PATH] = {400, "path", "the path must not hold '%', an empty segment or a trailing '/'"},
    [BFR_REFUSE_ID] = {400, "id", "tenant and dataset ids are 1 to 64 of A-Z a-z 0-9 . _ - without a leading dot"},
    [BFR_REFUSE_FILENAME] = {400, "filename",
                             "X-Proxy-Filename must be UTF-8 of at most 240 bytes without '/', '\\', '..' or controls"},
    [BFR_REFUSE_FILENAME_IDS] = {400, "filename_ids",
                                 "X-Proxy-Filename must begin with the tenant and dataset of the path"},
    [BFR_REFUSE_DUPLICATE_HEADER] = {400, "duplicate_header",
                                     "Authorization, X-Content-SHA256 and X-Proxy-* fields may be given only once"},
    [BFR_REFUSE_CONTENT_ENCODING] = {415, "content_encoding", "Content-Encoding must be gzip, identity or absent"},
    [BFR_REFUSE_DIGEST_FIELD] =
        {400, "digest_field",
         "Content-Digest must be like sha-256=:base64:, X-Content-SHA256 64 hexadecimal digits, "
         "and both must say the same"},
    [BFR_REFUSE_TOO_LARGE] = {413, "too_large", "the body is larger than this receiver accepts"},
    [BFR_REFUSE_EMPTY_BODY] = {400, "empty_body", "the body is empty"},
    [BFR_REFUSE_BAD_GZIP] = {400, "bad_gzip", "the body begins like gzip but its header is not valid"},
    [BFR_REFUSE_GZIP_STREAM] = {400, "gzip_stream",
                                "the body begins like gzip but does not decompress: bad data, a wrong checksum or "
                                "length, cut short, or something behind its end"},

    [BFR_REFUSE_DRAINING] = {503, "draining", "shutting down, try again"},
    [BFR_REFUSE_SPOOL_FULL] = {503, "spool_full", "no room in the spool, try again later"},
    [BFR_REFUSE_TENANT_SHARE] = {429, "tenant_share",
                                 "this tenant has used up its share of the spool, try again later"},
    [BFR_REFUSE_REQUEST_RATE] = {429, "request_rate", "this tenant sends more requests per second than it may"},
    [BFR_REFUSE_BYTE_RATE] = {429, "byte_rate", "this tenant sends more bytes per second than it may"},
    [BFR_REFUSE_MEMORY] = {503, "memory", "out of memory for bodies, try again later"},
    [BFR_REFUSE_DIGEST] = {503, "digest", "the body was damaged on the way: it is not what its digest says, try again"},
    [BFR_REFUSE_AUTH_UNKNOWN] = {503, "auth_unknown", "the sender's rights cannot be checked now, try again later"},
    [BFR_REFUSE_ACK_TIMEOUT] = {503, "ack_timeout", "not confirmed in time, try again"},
    [BFR_REFUSE_BUSY] = {503, "busy", "not accepted now, try again later"},
    [BFR_REFUSE_NOT_STORED] = {503, "not_stored", "the batch could not be stored and was set aside"},

    [BFR_REFUSE_TOKEN] = {401, "token", "a valid bearer token is required"},
    [BFR_REFUSE_FOREIGN] = {403, "foreign", "this token does not belong to that tenant"},
    [BFR_REFUSE_TENANT_GONE] = {410, "tenant_gone", "no such tenant"},
    [BFR_REFUSE_DATASET_GONE] = {404, "dataset_gone", "no such dataset"},
    [BFR_REFUSE_CONFLICT] = {409, "conflict", "a batch with this name and other bytes exists"},
};

const struct bfr_refusal_info *bfr_refusal_info(enum bfr_refusal refusal)
{
    bfr_must(refusal > BFR_REFUSE_NONE && refusal < BFR_REFUSE_COUNT);
    return &table[refusal];
}

const char *bfr_status_phrase(uint16_t status)
{
    static const struct {
        uint16_t status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Error";
}
