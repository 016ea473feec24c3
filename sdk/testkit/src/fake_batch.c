// SPDX-License-Identifier: Apache-2.0
// Batches of the fake host: reference counted, each its own allocation, so that a look at a released one is caught by
// the sanitizers. The counts are guarded by the fake's lock. [any]
#include "fake.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bfr/text.h>

#include "digest.h"

// Spans, strings and the body, when it is owned, lie behind the struct in the same allocation.
struct counted_batch {
    struct bfr_batch batch; // first: its address is the block's
    size_t references;
    void (*free_body)(void *arg);
    void *free_arg;
    struct bfr_span spans[];
};

static struct counted_batch *counted(const struct bfr_batch *batch)
{
    return (struct counted_batch *)(uintptr_t)batch;
}

static void count_live(struct bfr_fake *fake, int change)
{
    pthread_mutex_lock(&fake->lock);
    fake->live_batches += (size_t)change;
    pthread_mutex_unlock(&fake->lock);
}

static void batch_retain(const struct bfr_host *host, const struct bfr_batch *batch)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    pthread_mutex_lock(&fake->lock);
    counted(batch)->references++;
    pthread_mutex_unlock(&fake->lock);
}

static void batch_release(const struct bfr_host *host, const struct bfr_batch *batch)
{
    struct bfr_fake *fake = bfr_fake_of(host);
    pthread_mutex_lock(&fake->lock);
    bool last = --counted(batch)->references == 0;
    fake->live_batches -= last;
    pthread_mutex_unlock(&fake->lock);
    if (!last)
        return;
    if (counted(batch)->free_body != NULL)
        counted(batch)->free_body(counted(batch)->free_arg);
    free(counted(batch));
}

enum { STRING_COUNT = 7 };

// The members of struct bfr_batch that are strings, in one place for both loops below.
static void string_slots(struct bfr_batch *batch, const char **slots[STRING_COUNT])
{
    slots[0] = &batch->account;
    slots[1] = &batch->tenant;
    slots[2] = &batch->dataset;
    slots[3] = &batch->filename;
    slots[4] = &batch->batch_id;
    slots[5] = &batch->data_hint;
    slots[6] = &batch->content_type;
}

// A copy of everything but the bodies, with room for `extra` bytes; *out_extra points there.
static struct counted_batch *copy_envelope(const struct bfr_batch *source, size_t extra, char **out_extra)
{
    struct bfr_batch envelope = *source;
    const char **slots[STRING_COUNT];
    string_slots(&envelope, slots);
    size_t spans_size = source->span_count * sizeof(struct bfr_span);
    size_t size = sizeof(struct counted_batch) + spans_size + extra;
    for (size_t i = 0; i < STRING_COUNT; i++)
        size += strlen(*slots[i]) + 1;

    struct counted_batch *made = malloc(size);
    if (made == NULL)
        return NULL;
    if (spans_size > 0)
        memcpy(made->spans, source->spans, spans_size);
    char *to = (char *)made->spans + spans_size;
    for (size_t i = 0; i < STRING_COUNT; i++) {
        size_t length = strlen(*slots[i]) + 1;
        *slots[i] = memcpy(to, *slots[i], length);
        to += length;
    }
    made->batch = envelope;
    made->batch.size = sizeof made->batch;
    made->batch.spans = made->spans;
    made->references = 1;
    made->free_body = NULL;
    *out_extra = to;
    return made;
}

static const struct bfr_batch *batch_make(const struct bfr_host *host, const struct bfr_batch *source,
                                          void (*free_body)(void *arg), void *arg)
{
    char *ignored;
    struct counted_batch *made = copy_envelope(source, 0, &ignored);
    if (made == NULL)
        return NULL;
    made->free_body = free_body;
    made->free_arg = arg;
    count_live(bfr_fake_of(host), 1);
    return &made->batch;
}

const struct bfr_batch *bfr_fake_batch(struct bfr_fake *fake, const char *tenant, const char *dataset,
                                       const char *filename, const void *body, size_t size)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct bfr_batch source = {
        .account = "account",
        .tenant = tenant,
        .dataset = dataset,
        .filename = filename,
        .batch_id = "unknown",
        .data_hint = "ndjson",
        .content_type = "application/x-ndjson",
        .line_count = 1,
        .original_bytes = size,
        .received_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
        .body_bytes = size,
        .crc32c = bfr_fake_crc32c(body, size),
        .span_count = size > 0,
        .spans = &(struct bfr_span){body, size},
    };
    source.created_ns = source.received_ns;
    bfr_fake_sha256(body, size, source.stored_sha256);
    bfr_fake_sha256(body, size, source.source_sha256);

    char *copy;
    struct counted_batch *made = copy_envelope(&source, size, &copy);
    if (made == NULL)
        return NULL;
    memcpy(copy, body, size);
    if (size > 0)
        made->spans[0].data = (const uint8_t *)copy;
    count_live(fake, 1);
    return &made->batch;
}

// Lines of NDJSON that carry the batch's name, so that two batches never have equal bytes.
static void write_lines(char *text, size_t size, const char *filename)
{
    size_t used = 0;
    while (used < size) {
        const char *const parts[] = {"{\"file\":\"", filename, "\"}\n"};
        for (size_t i = 0; i < 3; i++)
            for (const char *from = parts[i]; *from != '\0' && used < size; from++)
                text[used++] = *from;
    }
    if (size > 0)
        text[size - 1] = '\n';
}

const struct bfr_batch *bfr_fake_gzip_batch(struct bfr_fake *fake, const char *tenant, const char *dataset,
                                            const char *filename, size_t size)
{
    const struct bfr_batch *batch = NULL;
    size_t total = bfr_fake_gzip(NULL, size, NULL);
    char *text = malloc(size + 1);
    uint8_t *body = malloc(total);
    if (text == NULL || body == NULL)
        goto out;
    write_lines(text, size, filename);
    bfr_fake_gzip(text, size, body);
    batch = bfr_fake_batch(fake, tenant, dataset, filename, body, total);
out:
    free(text);
    free(body);
    return batch;
}

void bfr_fake_batch_release(struct bfr_fake *fake, const struct bfr_batch *batch)
{
    batch_release(&fake->table, batch);
}

size_t bfr_fake_live_batches(struct bfr_fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    size_t count = fake->live_batches;
    pthread_mutex_unlock(&fake->lock);
    return count;
}

void bfr_fake_fill_batches(struct bfr_host *table)
{
    table->batch_retain = batch_retain;
    table->batch_release = batch_release;
    table->batch_make = batch_make;
}
