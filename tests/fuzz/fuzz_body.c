// SPDX-License-Identifier: Apache-2.0
// A body under webhook.gzip_check: full: the verdict does not depend on the pieces it comes in, what is kept is what was
// sent, and zlib's own reader of files agrees on whether it is gzip. The first byte chooses the pieces.
#include <stdint.h>
#include <string.h>

#include "bug.h"
#include "http_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum bfr_refusal receive(struct bfr_body *body, const uint8_t *data, size_t size, size_t step)
{
    static const struct bfr_body_rules rules = {.gzip_full = true};
    struct evbuffer *raw = evbuffer_new();
    enum bfr_refusal refusal = BFR_REFUSE_NONE;
    bfr_must(raw != NULL && bfr_body_begin(body, &rules));
    for (size_t at = 0; at < size && refusal == BFR_REFUSE_NONE; at += step) {
        size_t piece = size - at < step ? size - at : step;
        evbuffer_add(raw, data + at, piece);
        refusal = bfr_body_move(body, raw, piece);
    }
    if (refusal == BFR_REFUSE_NONE)
        refusal = bfr_body_finish(body);
    evbuffer_free(raw);
    return refusal;
}

// Members one after the other, each inflated whole.
static bool is_gzip(const uint8_t *data, size_t size)
{
    uint8_t nowhere[4096];
    z_stream z = {0};
    bool good = size > 0;
    while (good && size > 0) {
        int result = Z_OK;
        bfr_must(inflateInit2(&z, 31) == Z_OK);
        z.next_in = (Bytef *)(uintptr_t)data;
        z.avail_in = (uInt)size;
        while (result == Z_OK) {
            z.next_out = nowhere;
            z.avail_out = sizeof nowhere;
            result = inflate(&z, Z_SYNC_FLUSH);
        }
        good = result == Z_STREAM_END;
        data += size - z.avail_in;
        size = z.avail_in;
        inflateEnd(&z);
    }
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bfr_body body;
    if (body.sha256 == NULL)
        bfr_must(bfr_body_init(&body, EVP_sha256(), bfr_blocks_new(1 << 20)));
    if (size < 1)
        return 0;
    size_t step = (size_t)data[0] + 1;
    data++, size--;
    enum bfr_refusal whole = receive(&body, data, size, size > 0 ? size : 1);
    bfr_body_drop(&body);
    enum bfr_refusal split = receive(&body, data, size, step);
    bfr_must((whole == BFR_REFUSE_NONE) == (split == BFR_REFUSE_NONE));
    bool magic = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    if (magic)
        bfr_must((split == BFR_REFUSE_NONE) == is_gzip(data, size));
    else
        bfr_must(split == (size > 0 ? BFR_REFUSE_NONE : BFR_REFUSE_EMPTY_BODY));
    if (magic && split == BFR_REFUSE_NONE)
        bfr_must(body.stored_bytes == size && memcmp(evbuffer_pullup(body.kept.bytes, -1), data, size) == 0);
    bfr_body_drop(&body);
    return 0;
}
