// SPDX-License-Identifier: Apache-2.0
// The body of one request while it arrives: kept in the network buffers it came in, hashed on the way. A body that begins
// with the gzip magic is kept byte for byte; a plain one is stored as one gzip member. Owned by the request, touched on
// its loop alone; sealed, its bytes move to the batch.
#ifndef BFR_CORE_HTTP_BODY_H
#define BFR_CORE_HTTP_BODY_H

#include <openssl/evp.h>
#include <zlib.h>

#include <bfr/batch.h>

#include "http_digest.h"
#include "http_gzip_check.h"
#include "http_kept.h"
#include "http_refusal.h"

// RAM of a compressor, which the budget has to know of (zlib.h: (1 << 17) + (1 << 17) and a little).
#define BFR_BODY_COMPRESSOR_BYTES UINT64_C(278528)

enum bfr_body_kind {
    BFR_BODY_UNDECIDED = 1, // fewer than four bytes are here
    BFR_BODY_GZIP,
    BFR_BODY_PLAIN,
    BFR_BODY_DISCARD // counted, not kept
};

// What one body has to be.
struct bfr_body_rules {
    bool discard;   // count and compare it, keep nothing
    bool gzip_full; // webhook.gzip_check: full
    struct bfr_stated_digest digest;
};

struct bfr_body {
    enum bfr_body_kind kind;
    bool foreseen_gzip; // UNDECIDED, but what waits to be taken begins like gzip
    struct bfr_body_rules rules;
    enum bfr_refusal fault; // kept until the digest is known: what was damaged on the way is not the sender's fault
    struct bfr_kept kept;   // as stored
    uint64_t source_bytes;  // as received
    uint64_t stored_bytes;
    uint32_t crc; // running, not yet inverted
    uint8_t source_sha256[32];
    uint8_t stored_sha256[32];

    // Made once, used for one body after the other.
    const EVP_MD *sha256;      // borrowed
    struct bfr_blocks *blocks; // borrowed
    EVP_MD_CTX *source;
    EVP_MD_CTX *stored;
    z_stream deflater;
    bool deflating;
    struct bfr_gzip_check gzip;
};

// Once in the life of the struct. False when memory is short.
bool bfr_body_init(struct bfr_body *body, const EVP_MD *sha256, struct bfr_blocks *blocks);
void bfr_body_fini(struct bfr_body *body);

bool bfr_body_begin(struct bfr_body *body, const struct bfr_body_rules *rules);
void bfr_body_drop(struct bfr_body *body); // what begin and move made; harmless when there is nothing

// `next` is what will be taken next: look ahead, so that memory for a compressor is asked only when one may be needed.
void bfr_body_foresee(struct bfr_body *body, struct evbuffer *next);
// What it takes, or may take, beside its bytes: for compressing or for checking.
uint64_t bfr_body_overhead(const struct bfr_body *body);

// Take the first `size` bytes of `from`.
enum bfr_refusal bfr_body_move(struct bfr_body *body, struct evbuffer *from, size_t size);

// Read straight into the body: only when it is kept as it comes (GZIP). room: the vectors to write to, 0 when memory
// is short; filled: the first `size` bytes of those vectors were written.
int bfr_body_room(struct bfr_body *body, size_t size, struct evbuffer_iovec vectors[BFR_KEPT_VECTORS]);
enum bfr_refusal bfr_body_filled(struct bfr_body *body, struct evbuffer_iovec *vectors, int count, size_t size);

// The last byte was taken: checks and digests. Any refusal of a body, or none.
enum bfr_refusal bfr_body_finish(struct bfr_body *body);
uint32_t bfr_body_crc32c(const struct bfr_body *body); // after finish: RFC 3720 appendix B.4

#endif
