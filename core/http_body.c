// SPDX-License-Identifier: Apache-2.0
// Bytes are hashed where they lie, piece by piece, and then kept (http_kept.h). Runs on a loop, so a plain body is compressed at zlib's fastest level, piece by piece as it comes.
#include "http_body.h"

#include <isa-l/crc.h>
#include <string.h>

#define GZIP_SMALLEST 18u // RFC 1952: a header of 10 bytes and a trailer of 8
#define PIECE_MAX     (1u << 30)

bool bfr_body_init(struct bfr_body *body, const EVP_MD *sha256, struct bfr_blocks *blocks)
{
    memset(body, 0, sizeof *body);
    body->sha256 = sha256;
    body->blocks = blocks;
    body->source = EVP_MD_CTX_new();
    body->stored = EVP_MD_CTX_new();
    return body->source != NULL && body->stored != NULL;
}

void bfr_body_fini(struct bfr_body *body)
{
    bfr_body_drop(body);
    EVP_MD_CTX_free(body->source);
    EVP_MD_CTX_free(body->stored);
    body->source = NULL;
    body->stored = NULL;
}

bool bfr_body_begin(struct bfr_body *body, const struct bfr_body_rules *rules)
{
    body->rules = *rules;
    body->fault = BFR_REFUSE_NONE;
    body->kind = rules->discard ? BFR_BODY_DISCARD : BFR_BODY_UNDECIDED;
    body->foreseen_gzip = false;
    body->source_bytes = 0;
    body->stored_bytes = 0;
    body->crc = UINT32_MAX;
    return bfr_kept_begin(&body->kept, body->blocks) && EVP_DigestInit_ex2(body->source, body->sha256, NULL) == 1;
}

void bfr_body_drop(struct bfr_body *body)
{
    bfr_kept_drop(&body->kept);
    if (body->deflating)
        deflateEnd(&body->deflater);
    body->deflating = false;
    bfr_gzip_check_end(&body->gzip);
}

static bool digest_stored(struct bfr_body *body, EVP_MD_CTX *hash, const void *data, size_t size)
{
    for (const uint8_t *at = data; size > 0;) {
        size_t piece = size < PIECE_MAX ? size : PIECE_MAX;
        body->crc = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)piece, body->crc);
        if (EVP_DigestUpdate(hash, at, piece) != 1)
            return false;
        at += piece;
        size -= piece;
    }
    return true;
}

// The compressor's output goes to the body in steps of this size: small enough not to waste RAM on small bodies.
#define DEFLATE_STEP 16384u

// `flush` as in zlib: Z_NO_FLUSH for more to come, Z_FINISH for the end.
static bool deflate_piece(struct bfr_body *body, const void *data, size_t size, int flush)
{
    z_stream *z = &body->deflater;
    z->next_in = (Bytef *)(uintptr_t)data;
    z->avail_in = (uInt)size;
    int result;
    do {
        struct evbuffer_iovec out;
        if (bfr_kept_room(&body->kept, DEFLATE_STEP, &out, 1) != 1)
            return false;
        size_t room = out.iov_len < PIECE_MAX ? out.iov_len : PIECE_MAX;
        z->next_out = out.iov_base;
        z->avail_out = (uInt)room;
        result = deflate(z, flush);
        size_t made = room - z->avail_out;
        if (!digest_stored(body, body->stored, out.iov_base, made) || !bfr_kept_fill(&body->kept, &out, 1, made))
            return false;
    } while (z->avail_out == 0);
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
}

// A body that is not what it must be is refused at once, unless its digest can still tell whose fault that is.
static enum bfr_refusal find_fault(struct bfr_body *body, enum bfr_refusal refusal)
{
    if (refusal == BFR_REFUSE_MEMORY || !body->rules.digest.stated)
        return refusal;
    if (body->fault == BFR_REFUSE_NONE)
        body->fault = refusal;
    return BFR_REFUSE_NONE;
}

static enum bfr_refusal check_piece(struct bfr_body *body, const void *data, size_t size)
{
    if (!body->gzip.live || body->fault != BFR_REFUSE_NONE)
        return BFR_REFUSE_NONE;
    return find_fault(body, bfr_gzip_check_feed(&body->gzip, data, size));
}

static enum bfr_refusal take_piece(struct bfr_body *body, const void *data, size_t size)
{
    if (body->kind == BFR_BODY_GZIP)
        return digest_stored(body, body->source, data, size) ? check_piece(body, data, size) : BFR_REFUSE_MEMORY;
    bool ok = EVP_DigestUpdate(body->source, data, size) == 1 &&
              (body->kind == BFR_BODY_DISCARD || deflate_piece(body, data, size, Z_NO_FLUSH));
    return ok ? BFR_REFUSE_NONE : BFR_REFUSE_MEMORY;
}

// Digest the first `size` bytes of `from`, and move them to the body (GZIP) or drop them (PLAIN: the output is there).
static enum bfr_refusal take_bytes(struct bfr_body *body, struct evbuffer *from, size_t size)
{
    while (size > 0) {
        struct evbuffer_iovec first;
        if (evbuffer_peek(from, -1, NULL, &first, 1) < 1)
            return BFR_REFUSE_MEMORY;
        size_t piece = first.iov_len < size ? first.iov_len : size;
        if (piece > PIECE_MAX)
            piece = PIECE_MAX;
        enum bfr_refusal refusal = take_piece(body, first.iov_base, piece);
        if (refusal != BFR_REFUSE_NONE)
            return refusal;
        bool taken = body->kind == BFR_BODY_GZIP ? bfr_kept_take(&body->kept, from, first.iov_base, piece)
                                                 : evbuffer_drain(from, piece) == 0;
        if (!taken)
            return BFR_REFUSE_MEMORY;
        size -= piece;
    }
    return BFR_REFUSE_NONE;
}

static bool start_deflating(struct bfr_body *body)
{
    memset(&body->deflater, 0, sizeof body->deflater);
    // 15 + 16: a gzip member, with no name and no time in it, so that equal bodies give equal members.
    if (deflateInit2(&body->deflater, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    body->deflating = true;
    return EVP_DigestInit_ex2(body->stored, body->sha256, NULL) == 1;
}

static bool start_checking(struct bfr_body *body)
{
    return !body->rules.gzip_full || body->fault != BFR_REFUSE_NONE || bfr_gzip_check_begin(&body->gzip);
}

// RFC 1952 section 2.3: method 8, and the three upper flags are reserved.
static bool bad_gzip_head(const uint8_t *lead, size_t size)
{
    return (size > 2 && lead[2] != 8) || (size > 3 && (lead[3] & 0xe0) != 0);
}

// Find out from its first bytes what it is.
static enum bfr_refusal decide_by(struct bfr_body *body, const uint8_t *lead, size_t size)
{
    bool gzip = size >= 2 && lead[0] == 0x1f && lead[1] == 0x8b;
    enum bfr_refusal refusal = BFR_REFUSE_NONE;
    if (gzip && bad_gzip_head(lead, size))
        refusal = find_fault(body, BFR_REFUSE_BAD_GZIP);
    if (refusal != BFR_REFUSE_NONE)
        return refusal;
    body->kind = gzip ? BFR_BODY_GZIP : BFR_BODY_PLAIN;
    return (gzip ? start_checking(body) : start_deflating(body)) ? BFR_REFUSE_NONE : BFR_REFUSE_MEMORY;
}

#define LEAD_BYTES 4u

// What came so far lies in `kept`, undigested: catch up.
static enum bfr_refusal decide(struct bfr_body *body)
{
    uint8_t lead[LEAD_BYTES];
    size_t size = (size_t)evbuffer_copyout(body->kept.bytes, lead, sizeof lead);
    enum bfr_refusal refusal = decide_by(body, lead, size);
    if (refusal != BFR_REFUSE_NONE)
        return refusal;

    struct evbuffer *waiting = body->kept.bytes;
    if (!bfr_kept_begin(&body->kept, body->blocks))
        refusal = BFR_REFUSE_MEMORY;
    else
        refusal = take_bytes(body, waiting, evbuffer_get_length(waiting));
    evbuffer_free(waiting);
    return refusal;
}

void bfr_body_foresee(struct bfr_body *body, struct evbuffer *next)
{
    uint8_t lead[2];
    if (body->kind != BFR_BODY_UNDECIDED)
        return;
    size_t size = (size_t)evbuffer_copyout(body->kept.bytes, lead, sizeof lead);
    size += (size_t)evbuffer_copyout(next, lead + size, sizeof lead - size);
    body->foreseen_gzip = size == sizeof lead && lead[0] == 0x1f && lead[1] == 0x8b;
}

uint64_t bfr_body_overhead(const struct bfr_body *body)
{
    if (body->kind == BFR_BODY_PLAIN || (body->kind == BFR_BODY_UNDECIDED && !body->foreseen_gzip))
        return BFR_BODY_COMPRESSOR_BYTES;
    return body->rules.gzip_full && body->kind != BFR_BODY_DISCARD ? BFR_GZIP_CHECK_BYTES : 0;
}

enum bfr_refusal bfr_body_move(struct bfr_body *body, struct evbuffer *from, size_t size)
{
    body->source_bytes += size;
    if (body->kind == BFR_BODY_UNDECIDED && body->source_bytes == size && size >= LEAD_BYTES) {
        uint8_t lead[LEAD_BYTES]; // nearly always: nothing has to be kept until it is known
        evbuffer_copyout(from, lead, sizeof lead);
        enum bfr_refusal refusal = decide_by(body, lead, sizeof lead);
        if (refusal != BFR_REFUSE_NONE)
            return refusal;
    }
    if (body->kind != BFR_BODY_UNDECIDED)
        return take_bytes(body, from, size);
    if (evbuffer_remove_buffer(from, body->kept.bytes, size) != (int)size)
        return BFR_REFUSE_MEMORY;
    return body->source_bytes >= LEAD_BYTES ? decide(body) : BFR_REFUSE_NONE;
}

int bfr_body_room(struct bfr_body *body, size_t size, struct evbuffer_iovec vectors[BFR_KEPT_VECTORS])
{
    return bfr_kept_room(&body->kept, size, vectors, BFR_KEPT_VECTORS);
}

enum bfr_refusal bfr_body_filled(struct bfr_body *body, struct evbuffer_iovec *vectors, int count, size_t size)
{
    body->source_bytes += size;
    size_t left = size;
    for (int i = 0; i < count && left > 0; i++) {
        size_t piece = vectors[i].iov_len < left ? vectors[i].iov_len : left;
        left -= piece;
        enum bfr_refusal refusal = take_piece(body, vectors[i].iov_base, piece);
        if (refusal != BFR_REFUSE_NONE)
            return refusal;
    }
    return bfr_kept_fill(&body->kept, vectors, count, size) ? BFR_REFUSE_NONE : BFR_REFUSE_MEMORY;
}

// What is wrong with a gzip body that can be known only at its end.
static enum bfr_refusal check_end(const struct bfr_body *body)
{
    if (body->kind == BFR_BODY_GZIP && body->source_bytes < GZIP_SMALLEST)
        return BFR_REFUSE_BAD_GZIP;
    return body->gzip.live ? bfr_gzip_check_finish(&body->gzip) : BFR_REFUSE_NONE;
}

static bool finish_stored(struct bfr_body *body)
{
    if (!bfr_kept_close(&body->kept))
        return false;
    body->stored_bytes = evbuffer_get_length(body->kept.bytes);
    if (body->kind == BFR_BODY_PLAIN)
        return EVP_DigestFinal_ex(body->stored, body->stored_sha256, NULL) == 1;
    memcpy(body->stored_sha256, body->source_sha256, sizeof body->stored_sha256);
    return true;
}

enum bfr_refusal bfr_body_finish(struct bfr_body *body)
{
    const struct bfr_stated_digest *digest = &body->rules.digest;
    enum bfr_refusal refusal = BFR_REFUSE_NONE;
    if (body->source_bytes == 0 && body->kind != BFR_BODY_DISCARD)
        return BFR_REFUSE_EMPTY_BODY;
    if (body->kind == BFR_BODY_UNDECIDED)
        refusal = decide(body);
    if (refusal != BFR_REFUSE_NONE)
        return refusal;
    if (body->kind == BFR_BODY_PLAIN && !deflate_piece(body, "", 0, Z_FINISH))
        return BFR_REFUSE_MEMORY;
    if (EVP_DigestFinal_ex(body->source, body->source_sha256, NULL) != 1 || !finish_stored(body))
        return BFR_REFUSE_MEMORY;
    if (digest->stated && memcmp(digest->sha256, body->source_sha256, sizeof digest->sha256) != 0)
        return BFR_REFUSE_DIGEST;
    return body->fault != BFR_REFUSE_NONE ? body->fault : check_end(body);
}

uint32_t bfr_body_crc32c(const struct bfr_body *body)
{
    return ~body->crc;
}
