// SPDX-License-Identifier: Apache-2.0
// Index or scan, then the marks: what of a segment is still wanted. Used by recovery on a background thread and by the
// tools; touches nothing that lives in a queue.
#include "segment_load.h"

#include <errno.h>
#include <stdlib.h>

#include "marks.h"

struct listed_mark {
    struct mark mark;
    size_t position; // in the file
};

struct mark_list {
    struct listed_mark *marks; // after sort_marks: by sequence, and as written within one
    size_t count;
    bool short_of_memory;
};

static void collect_mark(void *arg, const struct mark *mark)
{
    struct mark_list *list = arg;
    if (list->count % 1024 == 0) {
        struct listed_mark *marks = reallocarray(list->marks, list->count + 1024, sizeof *marks);
        if (marks == NULL) {
            list->short_of_memory = true;
            return;
        }
        list->marks = marks;
    }
    if (!list->short_of_memory) {
        list->marks[list->count] = (struct listed_mark){*mark, list->count};
        list->count++;
    }
}

static int compare_marks(const void *left, const void *right)
{
    const struct listed_mark *a = left, *b = right;
    if (a->mark.sequence != b->mark.sequence)
        return a->mark.sequence < b->mark.sequence ? -1 : 1;
    return a->position < b->position ? -1 : a->position > b->position;
}

// The marks of one record keep their order: the last one of a consumer counts.
static void sort_marks(struct mark_list *list)
{
    bool sorted = true;
    for (size_t i = 1; i < list->count && sorted; i++)
        sorted = list->marks[i - 1].mark.sequence <= list->marks[i].mark.sequence;
    if (!sorted)
        qsort(list->marks, list->count, sizeof *list->marks, compare_marks);
}

// How far the consumers of one record are, by its own numbering, and what the last burial said.
struct progress {
    uint32_t confirmed;
    uint32_t buried;
    uint32_t burial;
};

static void apply_mark(const struct mark *mark, uint32_t every, struct progress *progress)
{
    uint32_t bits = mark->consumer == MARK_EVERY_CONSUMER   ? every
                    : mark->consumer < RECORD_CONSUMERS_MAX ? UINT32_C(1) << mark->consumer & every
                                                            : 0;
    progress->buried &= ~bits;
    if (mark->state == MARK_WANTED)
        return; // what somebody confirmed stays confirmed
    progress->confirmed &= ~bits;
    if (mark->state == MARK_BURIED) {
        progress->buried |= bits;
        progress->burial = mark->burial;
    } else {
        progress->confirmed |= bits;
    }
}

// What the marks say of one record with `count` consumers.
static void apply_marks(const struct mark_list *list, uint64_t sequence, uint32_t count, struct progress *progress)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->marks[middle].mark.sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t every = (uint32_t)((UINT64_C(1) << count) - 1);
    for (; low < list->count && list->marks[low].mark.sequence == sequence; low++)
        apply_mark(&list->marks[low].mark, every, progress);
}

static bool all_confirmed(uint32_t confirmed, uint32_t count)
{
    return confirmed == (uint32_t)((UINT64_C(1) << count) - 1);
}

// A load on its way.
struct load {
    const struct mark_list *marks;
    const struct found_events *events;
    struct found *found;
    bool short_of_memory;
};

// The envelope of a record, opened.
struct opened {
    struct bfr_batch batch;
    const char *consumers[RECORD_CONSUMERS_MAX];
    uint32_t consumer_count;
    char texts[ENVELOPE_MAX_BYTES + 16];
};

static bool open_envelope(const struct record_header *header, const uint8_t *envelope, struct opened *out)
{
    return bfr_record_envelope_decode(envelope, header, &out->batch, out->consumers, &out->consumer_count, out->texts);
}

static bool is_settled(void *arg, const struct record_header *header, const uint8_t *envelope)
{
    const struct load *load = arg;
    struct opened opened;
    struct progress progress = {0};
    if (!open_envelope(header, envelope, &opened))
        return false;
    apply_marks(load->marks, header->sequence, opened.consumer_count, &progress);
    return all_confirmed(progress.confirmed, opened.consumer_count);
}

static void pass_gap(void *arg, uint64_t from, uint64_t to, bool torn)
{
    const struct load *load = arg;
    if (load->events != NULL && load->events->on_gap != NULL)
        load->events->on_gap(load->events->arg, from, to, torn);
}

static void add_record(void *arg, const struct record_header *header, uint64_t offset, const uint8_t *envelope,
                       bool settled)
{
    struct load *load = arg;
    struct opened opened;
    if (load->events != NULL && load->events->on_record != NULL)
        load->events->on_record(load->events->arg, header, offset, envelope, settled);
    if (settled)
        return;
    if (!open_envelope(header, envelope, &opened)) {
        // It checks, and yet says nothing that can be used: for a person to look at, never to be dropped in silence.
        pass_gap(arg, offset, offset + bfr_record_bytes(header->envelope_bytes, header->body_bytes), false);
        return;
    }
    struct found_record record = {.sequence = header->sequence,
                                  .offset = offset,
                                  .body_bytes = header->body_bytes,
                                  .envelope_bytes = header->envelope_bytes,
                                  .body_crc32c = header->body_crc32c,
                                  .received_ns = header->received_ns};
    struct progress progress = {0};
    apply_marks(load->marks, header->sequence, opened.consumer_count, &progress);
    record.confirmed = progress.confirmed;
    record.buried = progress.buried;
    record.burial = progress.burial;
    if (!bfr_found_tenant(load->found, opened.batch.tenant, &record.tenant) ||
        !bfr_found_set(load->found, opened.consumers, opened.consumer_count, &record.set) ||
        !bfr_found_add(load->found, &record))
        load->short_of_memory = true;
}

static bool load_by_scan(struct segment_file *segment, struct load *load)
{
    const struct scan_events events = {add_record, pass_gap, is_settled, load};
    load->found->scanned = true;
    if (!bfr_segment_scan(segment, &events, &load->found->end_bytes))
        return false;
    if (load->short_of_memory)
        errno = ENOMEM;
    return !load->short_of_memory;
}

// Take out of an indexed list what has been settled since the index was written.
static void drop_settled(struct found *found, const struct mark_list *marks)
{
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        struct found_record record = found->records[i];
        uint32_t count = found->sets[record.set].count;
        struct progress progress = {record.confirmed, record.buried, 0};
        apply_marks(marks, record.sequence, count, &progress);
        record.confirmed = progress.confirmed;
        record.buried = progress.buried;
        record.burial = progress.burial;
        if (!all_confirmed(record.confirmed, count))
            found->records[kept++] = record;
    }
    found->count = kept;
}

bool bfr_segment_load(struct segment_file *segment, int directory, const struct found_events *events, struct found *out)
{
    struct mark_list marks = {.count = 0};
    struct load load = {&marks, events, out, false};
    *out = (struct found){.count = 0};
    // Marks that cannot be read are lost marks: what they settled is offered again.
    bool marks_lost = !bfr_marks_read(segment, collect_mark, &marks);
    bool good = !marks.short_of_memory;
    if (good) {
        sort_marks(&marks);
        if (bfr_segment_index_read(segment, directory, out))
            drop_settled(out, &marks);
        else
            good = load_by_scan(segment, &load);
    }
    int saved = marks.short_of_memory ? ENOMEM : errno;
    out->marks_lost = marks_lost;
    if (good)
        segment->end_bytes = out->end_bytes;
    else
        bfr_found_free(out);
    free(marks.marks);
    errno = saved;
    return good;
}
