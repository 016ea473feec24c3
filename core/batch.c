// SPDX-License-Identifier: Apache-2.0
// The host's side of a batch: struct, span array and strings in one allocation, freed by the last release on whatever
// thread that happens. Nothing here changes a batch after it was made.
#include "batch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bug.h"

#define BATCH_MAGIC UINT32_C(0xb47c4ed5)

struct batch {
    struct bfr_batch view; // first: the view's address is the batch's
    uint32_t magic;
    atomic_uint holders;
    void (*free_body)(void *arg);
    void *arg;
};

static struct batch *from_view(const struct bfr_batch *view)
{
    struct batch *batch = (struct batch *)(uintptr_t)view;
    bfr_must(batch->magic == BATCH_MAGIC);
    return batch;
}

// Copy `text` to *at and advance it; returns where the copy stands.
static const char *put_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

struct bfr_batch *bfr_batch_new(const struct bfr_batch *source, void (*free_body)(void *arg), void *arg)
{
    const char *const texts[] = {source->account,  source->tenant,    source->dataset,     source->filename,
                                 source->batch_id, source->data_hint, source->content_type};
    size_t text_bytes = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        text_bytes += strlen(texts[i]) + 1;
    size_t span_bytes = source->span_count * sizeof(struct bfr_span);

    struct batch *batch = malloc(sizeof *batch + span_bytes + text_bytes);
    if (batch == NULL)
        return NULL;
    batch->view = *source;
    batch->magic = BATCH_MAGIC;
    atomic_init(&batch->holders, 1);
    batch->free_body = free_body;
    batch->arg = arg;

    struct bfr_span *spans = (struct bfr_span *)(batch + 1);
    if (span_bytes > 0)
        memcpy(spans, source->spans, span_bytes);
    char *at = (char *)spans + span_bytes;
    struct bfr_batch *view = &batch->view;
    view->size = sizeof *view;
    view->spans = spans;
    view->account = put_text(&at, source->account);
    view->tenant = put_text(&at, source->tenant);
    view->dataset = put_text(&at, source->dataset);
    view->filename = put_text(&at, source->filename);
    view->batch_id = put_text(&at, source->batch_id);
    view->data_hint = put_text(&at, source->data_hint);
    view->content_type = put_text(&at, source->content_type);
    return view;
}

void bfr_batch_retain(const struct bfr_batch *view)
{
    unsigned before = atomic_fetch_add_explicit(&from_view(view)->holders, 1, memory_order_relaxed);
    bfr_must(before > 0);
}

void bfr_batch_release(const struct bfr_batch *view)
{
    struct batch *batch = from_view(view);
    unsigned before = atomic_fetch_sub_explicit(&batch->holders, 1, memory_order_acq_rel);
    bfr_must(before > 0);
    if (before > 1)
        return;
    batch->magic = 0;
    if (batch->free_body != NULL)
        batch->free_body(batch->arg);
    free(batch);
}
