// SPDX-License-Identifier: Apache-2.0
// From a finished body to a batch that owns it. The batch's spans are the network buffers themselves; they, and their share
// of the budget, are freed by the last release, on whatever thread that is.
#include "http_seal.h"

#include <stdlib.h>
#include <string.h>

// What a batch holds on to after its request is gone.
struct held_body {
    struct evbuffer *bytes;
    struct bfr_budget *budget;
    uint64_t memory;
    uint64_t beside; // of that, outside the blocks
};

// [any] From the last release of the batch.
static void free_body(void *arg)
{
    struct held_body *held = arg;
    evbuffer_free(held->bytes);
    bfr_blocks_beside(bfr_budget_blocks(held->budget), -(int64_t)held->beside);
    bfr_budget_give(held->budget, held->memory);
    bfr_budget_release(held->budget);
    free(held);
}

static void fill_batch(struct bfr_http_request *request, struct bfr_batch *batch)
{
    const struct bfr_body *body = &request->body;
    int64_t now_ns = bfr_clock_wall(request->shared->setup.clock);
    bfr_meta_read(&request->gate, body->source_bytes, now_ns, &request->meta);
    batch->size = sizeof *batch;
    batch->flags = (body->kind == BFR_BODY_PLAIN ? BFR_BATCH_COMPRESSED_HERE : 0) |
                   (request->name_made ? BFR_BATCH_NAME_GENERATED : 0);
    request->verdict.account[BFR_ID_MAX] = '\0';
    batch->account = request->verdict.account;
    batch->tenant = request->target.tenant;
    batch->dataset = request->target.dataset;
    batch->filename = request->filename;
    batch->batch_id = request->meta.batch_id;
    batch->data_hint = request->meta.data_hint;
    batch->content_type = request->meta.content_type;
    batch->line_count = request->meta.line_count;
    batch->original_bytes = request->meta.original_bytes;
    batch->created_ns = request->meta.created_ns;
    batch->received_ns = now_ns;
    batch->body_bytes = body->stored_bytes;
    memcpy(batch->stored_sha256, body->stored_sha256, sizeof batch->stored_sha256);
    memcpy(batch->source_sha256, body->source_sha256, sizeof batch->source_sha256);
    batch->crc32c = bfr_body_crc32c(body);
}

#define SPANS_ON_STACK 64

// The spans of the stored body. `room` has SPANS_ON_STACK of them; more come from malloc. NULL when memory is short.
static struct bfr_span *list_spans(struct evbuffer *bytes, struct bfr_span *room, uint32_t *out_count)
{
    _Static_assert(sizeof(struct bfr_span) == sizeof(struct evbuffer_iovec) &&
                       offsetof(struct bfr_span, size) == offsetof(struct evbuffer_iovec, iov_len),
                   "a span is an iovec");
    int count = evbuffer_peek(bytes, -1, NULL, NULL, 0);
    struct bfr_span *spans = count <= SPANS_ON_STACK ? room : malloc((size_t)count * sizeof *spans);
    if (spans == NULL)
        return NULL;
    evbuffer_peek(bytes, -1, NULL, (struct evbuffer_iovec *)spans, count);
    uint32_t kept = 0;
    for (int i = 0; i < count; i++)
        if (spans[i].size > 0)
            spans[kept++] = spans[i];
    *out_count = kept;
    return spans;
}

// RAM outside the blocks that the batch takes until it is released. `spans` are those in buffers. A buffer of libevent's is a power of two that holds its own head
// too, and a batch has a struct, its texts and the queues' entries: for small bodies all that is more than the body.
#define BUFFER_HEAD_BYTES 48u
#define BATCH_BYTES       UINT64_C(1024)

static uint64_t beside_bytes(const struct bfr_span *spans, uint32_t count)
{
    uint64_t sum = BATCH_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t room = 1024;
        while (room < spans[i].size + BUFFER_HEAD_BYTES)
            room *= 2;
        sum += room;
    }
    return sum;
}

// The batch is charged with what it holds: what was reserved beyond that goes back, what it takes beyond is there already.
static uint64_t settle_memory(struct bfr_http_request *request, uint64_t resident)
{
    if (request->memory > resident)
        bfr_budget_give(request->shared->budget, request->memory - resident);
    else
        bfr_budget_force(request->shared->budget, resident - request->memory);
    request->memory = 0;
    return resident;
}

struct bfr_batch *bfr_seal(struct bfr_http_request *request)
{
    struct bfr_span on_stack[SPANS_ON_STACK];
    struct bfr_batch source = {0};
    struct bfr_batch *batch = NULL;
    struct bfr_span *spans = NULL;
    struct held_body *held = malloc(sizeof *held);
    if (held == NULL)
        goto out;
    spans = list_spans(request->body.kept.bytes, on_stack, &source.span_count);
    if (spans == NULL)
        goto out;
    source.spans = spans;
    fill_batch(request, &source);
    batch = bfr_batch_new(&source, free_body, held);
    if (batch == NULL)
        goto out;

    held->bytes = request->body.kept.bytes;
    request->body.kept.bytes = NULL;
    held->budget = request->shared->budget;
    bfr_budget_retain(held->budget);
    uint32_t blocks = request->body.kept.block_count; // the last spans
    held->beside = beside_bytes(spans, source.span_count - blocks);
    held->memory = settle_memory(request, held->beside + (uint64_t)blocks * BFR_BLOCK_BYTES);
    bfr_blocks_beside(bfr_budget_blocks(held->budget), (int64_t)held->beside);
    held = NULL;
out:
    if (spans != on_stack)
        free(spans);
    free(held);
    return batch;
}
