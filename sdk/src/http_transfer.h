// SPDX-License-Identifier: Apache-2.0
// One request on its way: an easy handle of libcurl with what its callbacks need. Internal to libbfr-http; not installed.
//
// A transfer is made and set up by the thread that submits, then belongs to the client's thread until it is recycled.
#ifndef BFR_HTTP_TRANSFER_H
#define BFR_HTTP_TRANSFER_H

#include <curl/curl.h>

#include <bfr/http.h>

#define BFR_HTTP_HEADERS_MAX 16384 // bytes of the reply's head that are kept
#define BFR_HTTP_LINES_MAX                                                                                             \
    262144 // and that are read: with interim replies and trailers, of which libcurl takes any number

struct bfr_http_transfer {
    struct bfr_http_transfer *next; // in the list that it is in: free, submitted, open
    CURL *easy;
    struct curl_slist *lines;
    char error[CURL_ERROR_SIZE];

    // Of the request. The spans are the caller's.
    const struct bfr_span *spans;
    size_t span_count;
    uint64_t body_bytes;
    size_t span;   // the next byte to send: which span,
    size_t offset; // and where in it
    size_t reply_max;
    bool once;
    bool (*on_body)(void *arg, const uint8_t *data, size_t size);
    void (*on_done)(void *arg, const struct bfr_http_reply *reply);
    void *arg;

    // Against standing still.
    uint64_t stall_ns; // 0: not watched
    uint64_t moved_ns; // CLOCK_MONOTONIC of the last byte either way
    curl_off_t moved;  // bytes then
    bool stalled;

    // Of the reply.
    bool too_large;
    uint8_t *body;
    size_t body_bytes_in;
    size_t body_room;
    size_t line_bytes; // of heads and trailers so far
    size_t head_bytes;
    char head[BFR_HTTP_HEADERS_MAX]; // "name: value" strings one after the other, each ended by NUL; the last reply's
};

struct bfr_http_transfer *bfr_http_transfer_new(void);
void bfr_http_transfer_free(struct bfr_http_transfer *transfer);

// Set up for one request. BFR_ENOMEM or BFR_EINVAL: nothing is held.
BFR_MUST_CHECK uint32_t bfr_http_transfer_begin(struct bfr_http_transfer *transfer,
                                                const struct bfr_http_settings *settings,
                                                const struct bfr_http_request *request);

// It is over: tell the one who asked, then forget the request. `stopped`: it was cut off by a stop.
void bfr_http_transfer_end(struct bfr_http_transfer *transfer, CURLcode code, bool stopped);

// Forget the request without telling anybody.
void bfr_http_transfer_reset(struct bfr_http_transfer *transfer);

#endif
