// SPDX-License-Identifier: Apache-2.0
// One search for temporary keys: the sources in their order, the first that has keys wins. A source that is not set up is
// passed over; one that is set up and fails ends the search, because the next would have keys of somebody else. Runs on the
// client's thread.
#ifndef BFR_S3_FETCH_H
#define BFR_S3_FETCH_H

#include <bfr/http.h>

#include "s3_keys.h"
#include "s3_options.h"

#define S3_FETCH_BODY  16384
#define S3_FETCH_REPLY 65536

struct s3_fetch;

// How a source ended. Zero is never valid.
enum s3_found {
    S3_FOUND = 1,  // fetch->keys are good
    S3_ABSENT = 2, // not set up here
    S3_FAILED = 3, // fetch->why says why
    S3_LATER = 4   // bfr_s3_fetch_end will be called; only as return value of `begin`
};

struct s3_source {
    const char *name;
    uint32_t (*begin)(struct s3_fetch *fetch);
};

extern const struct s3_source bfr_s3_source_file;
extern const struct s3_source bfr_s3_source_web;
extern const struct s3_source bfr_s3_source_container;
extern const struct s3_source bfr_s3_source_machine;

struct s3_fetch {
    const struct bfr_host *host;
    const struct s3_options *options;
    struct bfr_http *http;
    void (*on_end)(void *arg, bool found);
    void *arg;

    bool running;
    size_t source; // index of the one that is asked
    struct s3_keys keys;
    struct bfr_err why;
    void (*on_reply)(struct s3_fetch *fetch, const struct bfr_http_reply *reply);
    struct bfr_span span;
    char body[S3_FETCH_BODY]; // of the request; may hold a token
    char token[2048];         // of the machine's metadata service
};

// Begin; on_end is called once, possibly before this returns.
void bfr_s3_fetch_begin(struct s3_fetch *fetch);
// The source that is asked has ended.
void bfr_s3_fetch_end(struct s3_fetch *fetch, uint32_t found);
// Of the source that has ended last.
const char *bfr_s3_fetch_source(const struct s3_fetch *fetch);

// For sources: a request, whose reply goes to on_reply. With `body` fetch->body is sent. S3_LATER or S3_FAILED.
uint32_t bfr_s3_fetch_ask(struct s3_fetch *fetch, const char *method, const char *url, const char *const *headers,
                          size_t header_count, bool body, uint32_t flags);
// For sources: write fetch->why and return S3_FAILED.
BFR_PRINTF(2, 3) uint32_t bfr_s3_fetch_fail(struct s3_fetch *fetch, const char *format, ...);
// For sources: what a reply that is no 200 means, as fetch->why.
uint32_t bfr_s3_fetch_refused(struct s3_fetch *fetch, const char *who, const struct bfr_http_reply *reply);
// For sources: a small text file without the blanks around it. The length, or -1 with errno.
long bfr_s3_fetch_read_file(const char *path, char *out, size_t room);

#endif
