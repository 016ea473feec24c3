// SPDX-License-Identifier: Apache-2.0
// See adopt_body.h. What the previous product wrote may end anywhere: it wrote in place and synced nothing. So a gzip stream
// counts as whole only when its last checksum was reached and matches.
#include "adopt_body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>
#include <zlib.h>

#include "file_read.h"
#include "record.h"

#define CHUNK_BYTES ((size_t)256 << 10)
#define GZIP_WINDOW (15 + 16)

struct job {
    bool (*stop)(void *arg);
    void *arg;
    uint8_t chunk[CHUNK_BYTES];
};

static bool is_all_zero(const uint8_t *bytes, size_t size)
{
    return size > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

// A piece of what has not been fed yet.
static void feed(z_stream *z, const uint8_t *bytes, size_t size, size_t *fed)
{
    size_t part = size - *fed < CHUNK_BYTES ? size - *fed : CHUNK_BYTES;
    z->next_in = (Bytef *)(uintptr_t)(bytes + *fed);
    z->avail_in = (uInt)part;
    *fed += part;
}

// One call of inflate after the other until the input is used up. ADOPT_BODY_GOOD: its last member is complete.
static enum adopt_judgement inflate_all(struct job *job, z_stream *z, const uint8_t *bytes, size_t size)
{
    size_t fed = 0;
    for (;;) {
        if (job->stop(job->arg))
            return ADOPT_BODY_STOPPED;
        if (z->avail_in == 0 && fed < size)
            feed(z, bytes, size, &fed);
        z->next_out = job->chunk;
        z->avail_out = CHUNK_BYTES;
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR) {
            errno = ENOMEM;
            return ADOPT_BODY_ERROR;
        }
        bool used_up = z->avail_in == 0 && fed == size;
        if (result == Z_STREAM_END && used_up)
            return ADOPT_BODY_GOOD;
        if (result == Z_STREAM_END)
            result = inflateReset(z); // another member
        // No progress without more input, and there is none: the stream is cut off.
        if (result != Z_OK && !(result == Z_BUF_ERROR && !used_up))
            return ADOPT_BODY_BROKEN;
    }
}

static enum adopt_judgement check_gzip(struct job *job, const uint8_t *bytes, size_t size)
{
    z_stream z = {.zalloc = NULL};
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        errno = ENOMEM;
        return ADOPT_BODY_ERROR;
    }
    enum adopt_judgement judgement = inflate_all(job, &z, bytes, size);
    inflateEnd(&z);
    return judgement;
}

// The plain `bytes` as one gzip member; NULL with errno. Free it.
static uint8_t *compress_plain(const uint8_t *bytes, size_t size, size_t *out_size)
{
    z_stream z = {.zalloc = NULL};
    uint8_t *packed = NULL;
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        errno = ENOMEM;
        return NULL;
    }
    size_t room = deflateBound(&z, size);
    packed = malloc(room);
    if (packed != NULL) {
        z.next_in = (Bytef *)(uintptr_t)bytes;
        z.avail_in = (uInt)size;
        z.next_out = packed;
        z.avail_out = (uInt)room;
        bool good = deflate(&z, Z_FINISH) == Z_STREAM_END;
        *out_size = room - z.avail_out;
        if (!good) {
            free(packed);
            packed = NULL;
            errno = ENOMEM;
        }
    }
    deflateEnd(&z);
    return packed;
}

static void seal(struct adopt_body *body)
{
    SHA256(body->bytes, body->size, body->stored_sha256);
    body->crc32c = bfr_crc32c(0, body->bytes, body->size);
}

// Plain bytes in body->bytes: their hash, and the member that is stored in their place.
static enum adopt_judgement pack(struct adopt_body *body)
{
    size_t size = 0;
    SHA256(body->bytes, body->size, body->source_sha256);
    uint8_t *packed = compress_plain(body->bytes, body->size, &size);
    if (packed == NULL)
        return ADOPT_BODY_ERROR;
    free(body->bytes);
    body->bytes = packed;
    body->size = size;
    body->compressed_here = true;
    seal(body);
    return ADOPT_BODY_GOOD;
}

static enum adopt_judgement judge(struct job *job, struct adopt_body *body, const char **why)
{
    if (is_all_zero(body->bytes, body->size)) {
        *why = "it holds nothing but zeros, as a crash leaves files whose bytes had not reached the disk";
        return ADOPT_BODY_BROKEN;
    }
    if (body->size < 2 || body->bytes[0] != 0x1f || body->bytes[1] != 0x8b)
        return pack(body);
    enum adopt_judgement judgement = check_gzip(job, body->bytes, body->size);
    if (judgement == ADOPT_BODY_BROKEN)
        *why = "its gzip stream is cut off or damaged";
    if (judgement == ADOPT_BODY_GOOD) {
        seal(body);
        memcpy(body->source_sha256, body->stored_sha256, sizeof body->source_sha256);
    }
    return judgement;
}

enum adopt_judgement bfr_adopt_body_read(int fd, size_t size, bool (*stop)(void *arg), void *arg,
                                         struct adopt_body *out, const char **why)
{
    struct job *job = malloc(sizeof *job);
    enum adopt_judgement judgement = ADOPT_BODY_ERROR;

    *out = (struct adopt_body){.bytes = malloc(size), .size = size};
    if (job != NULL && out->bytes != NULL && bfr_file_read_whole(fd, out->bytes, size)) {
        job->stop = stop;
        job->arg = arg;
        judgement = judge(job, out, why);
    }
    int saved = errno;
    free(job);
    if (judgement != ADOPT_BODY_GOOD) {
        free(out->bytes);
        out->bytes = NULL;
    }
    errno = saved;
    return judgement;
}
