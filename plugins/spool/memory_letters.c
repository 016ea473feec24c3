// SPDX-License-Identifier: Apache-2.0
// Dead letters of the volatile queue: list, redrive, purge. Any thread, for people:
// may walk lists under the mutex, but calls back only without it, from copies or with batches taken out of every list.
#include "memory_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <bfr/text.h>

#include "filter.h"
#include "letter.h"
#include "lowest.h"

#define PAGE_LETTERS 32

// Zero-padded, so that ids sort as text the way they sort as numbers.
static void write_id(const struct held *held, char *out)
{
    snprintf(out, LETTER_COPY_ID_SIZE, "%012" PRIu64, held->sequence);
}

// Borrows everything: good while nobody can change the batch's trouble.
static void fill_letter(const struct held *held, const char *id, struct bfr_letter *out)
{
    const struct bfr_batch *batch = held->batch;
    const struct trouble *trouble = &held->trouble;

    *out = bfr_letter_of(batch, id);
    out->reason = trouble->reason;
    out->attempts = trouble->attempts;
    out->first_error_ns = trouble->first_ns;
    out->last_error_ns = trouble->last_ns;
    out->redriven_ns = trouble->redriven_ns;
    out->first_error = trouble->first_text != NULL ? trouble->first_text : "";
    out->last_error = trouble->last_text != NULL ? trouble->last_text : "";
}

static void copy_letter(const struct held *held, struct letter_copy *out)
{
    char id[LETTER_COPY_ID_SIZE];
    struct bfr_letter letter;
    write_id(held, id);
    fill_letter(held, id, &letter);
    bfr_letter_copy(&letter, out);
}

static bool matches(const struct memory_queue *queue, const struct bfr_filter *filter, const struct held *held)
{
    const char *buriers[MEMORY_CONSUMERS_MAX];
    struct bfr_letter letter;
    char id[LETTER_COPY_ID_SIZE];
    uint32_t count = 0;

    write_id(held, id);
    if (!bfr_filter_matches(filter, held->batch, id))
        return false;
    if (!bfr_filter_of_letters(filter))
        return true;
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        if (held->claims[i].state == CLAIM_BURIED)
            buriers[count++] = queue->consumer_names[i];
    fill_letter(held, id, &letter);
    return bfr_filter_matches_letter(filter, &letter, buriers, count);
}

static bool is_wanted(const struct memory_queue *queue, const struct bfr_filter *filter, const struct held *held)
{
    bool retry = (filter->flags & BFR_FILTER_RETRY) != 0;
    if (retry && (!held->offered || held->trouble.first_ns == 0 || bfr_filter_of_letters(filter)))
        return false;
    return matches(queue, filter, held);
}

// Up to `limit`, at least 1, matching letters, or held batches, after `after`, which moves on to the last of them. Held
// batches do not stand in order after a redrive.
static uint32_t copy_page(struct memory_queue *queue, const struct bfr_filter *filter, uint64_t *after, uint32_t limit,
                          struct letter_copy *out)
{
    bool retry = (filter->flags & BFR_FILTER_RETRY) != 0;
    const struct list *list = retry ? &queue->held : &queue->letters;
    struct lowest lowest[PAGE_LETTERS];
    uint32_t count = 0;

    pthread_mutex_lock(&queue->mutex);
    for (struct list *node = list->next; node != list; node = node->next) {
        struct held *held = LIST_OWNER(node, struct held, link);
        if (held->sequence > *after && is_wanted(queue, filter, held))
            count = lowest_keep(lowest, count, limit, held->sequence, held);
        if (!retry && count == limit) // letters stand in order
            break;
    }
    for (uint32_t i = 0; i < count; i++) {
        copy_letter(lowest[i].thing, &out[i]);
        if (retry) // one sink may have buried it already
            out[i].letter.reason = 0;
        *after = lowest[i].sequence;
    }
    pthread_mutex_unlock(&queue->mutex);
    return count;
}

uint32_t bfr_memory_letters(void *self, const struct bfr_filter *filter, const char *cursor, uint32_t limit,
                            bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg)
{
    uint64_t after = cursor == NULL ? 0 : strtoull(cursor, NULL, 10);
    struct letter_copy *page = calloc(PAGE_LETTERS, sizeof *page);
    uint32_t visited = 0;
    bool more = page != NULL;

    while (more && visited < limit) {
        uint32_t wanted = limit - visited < PAGE_LETTERS ? limit - visited : PAGE_LETTERS;
        uint32_t count = copy_page(self, filter, &after, wanted, page);
        more = count == wanted;
        for (uint32_t i = 0; i < count; i++) {
            visited++;
            if (!visit(arg, &page[i].letter)) {
                more = false;
                break;
            }
        }
    }
    free(page);
    return visited;
}

// Count what matches in `list`, `most` at most; unless `out` is NULL, move it there. The mutex is held.
static uint64_t select_matching(const struct memory_queue *queue, struct list *list, const struct bfr_filter *filter,
                                uint64_t most, struct list *out)
{
    uint64_t count = 0;
    struct list *next;

    for (struct list *node = list->next; node != list && count < most; node = next) {
        struct held *held = LIST_OWNER(node, struct held, link);
        next = node->next;
        if (!held->offered || held->settle.leased > 0 || !matches(queue, filter, held))
            continue;
        count++;
        if (out != NULL) {
            list_remove(node);
            list_push_tail(out, node);
        }
    }
    return count;
}

// The batch is in no list: only this thread can change or free it while the host looks at it. One that is held has no
// reason, although a consumer may have buried it already.
static void tell(const struct held *held, bool dead, void (*call)(void *arg, const struct bfr_letter *letter),
                 void *arg)
{
    char id[LETTER_COPY_ID_SIZE];
    struct bfr_letter letter;

    if (call == NULL)
        return;
    write_id(held, id);
    fill_letter(held, id, &letter);
    if (!dead)
        letter.reason = 0;
    call(arg, &letter);
}

static void tell_all(const struct list *list, bool dead, void (*call)(void *arg, const struct bfr_letter *letter),
                     void *arg)
{
    for (struct list *node = list->next; node != list; node = node->next)
        tell(LIST_OWNER(node, struct held, link), dead, call, arg);
}

static void uncount_buried(struct memory_queue *queue, const struct list *list)
{
    for (struct list *node = list->next; node != list; node = node->next) {
        queue->buried_batches--;
        queue->buried_bytes -= LIST_OWNER(node, struct held, link)->batch->body_bytes;
    }
}

// Wanted again by those that buried it; those that confirmed it have it.
static void revive(struct memory_queue *queue, struct held *held, int64_t once_ns)
{
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        if (bfr_settle_redrive(&held->settle, &held->claims[i].state))
            held->claims[i].lease.attempts = 0;
    bfr_trouble_redrive(&held->trouble, once_ns);
    queue->held_batches++;
    queue->held_bytes += held->batch->body_bytes;
    list_push_head(&queue->held, &held->link); // older than what is held
    bfr_memory_offer(queue, held);
}

uint64_t bfr_memory_redrive(void *self, const struct bfr_filter *filter, bool dry_run,
                            void (*moved)(void *arg, const struct bfr_letter *letter), void *arg)
{
    struct memory_queue *queue = self;
    int64_t once_ns = (filter->flags & BFR_FILTER_ONCE) != 0 ? queue->host->wall_ns(queue->host) : 0;
    struct list chosen;

    list_init(&chosen);
    pthread_mutex_lock(&queue->mutex);
    uint64_t count =
        select_matching(queue, &queue->letters, filter, bfr_filter_limit(filter), dry_run ? NULL : &chosen);
    pthread_mutex_unlock(&queue->mutex);
    if (list_empty(&chosen))
        return count;

    // Told before it can be leased, so that the host's books never see a batch stored that they have as buried.
    tell_all(&chosen, true, moved, arg);
    pthread_mutex_lock(&queue->mutex);
    uncount_buried(queue, &chosen);
    while (!list_empty(&chosen)) {
        struct held *held = LIST_OWNER(chosen.prev, struct held, link); // from behind: each goes in front
        list_remove(&held->link);
        revive(queue, held, once_ns);
    }
    pthread_mutex_unlock(&queue->mutex);
    queue->host->ready(queue->host);
    return count;
}

// Out of every line they wait in. The mutex is held.
static void take_out_held(struct memory_queue *queue, const struct list *list)
{
    for (struct list *node = list->next; node != list; node = node->next) {
        struct held *held = LIST_OWNER(node, struct held, link);
        for (uint32_t i = 0; i < queue->consumer_count; i++)
            if (held->claims[i].state == CLAIM_WAITING)
                bfr_backlog_remove(&queue->backlogs[i], &held->claims[i].waiting);
        queue->held_batches--;
        queue->held_bytes -= held->batch->body_bytes;
        bfr_tenants_drop(&queue->tenants, held->tenant);
    }
}

static void take_out_letters(struct memory_queue *queue, const struct list *list)
{
    uncount_buried(queue, list);
    for (struct list *node = list->next; node != list; node = node->next)
        bfr_tenants_drop(&queue->tenants, LIST_OWNER(node, struct held, link)->tenant);
}

static void end(struct memory_queue *queue, struct list *list, bool dead,
                void (*gone)(void *arg, const struct bfr_letter *letter), void *arg)
{
    tell_all(list, dead, gone, arg);
    bfr_memory_forget_all(queue, list);
}

uint64_t bfr_memory_purge(void *self, const struct bfr_filter *filter, bool with_held, bool dry_run,
                          void (*gone)(void *arg, const struct bfr_letter *letter), void *arg)
{
    struct memory_queue *queue = self;
    struct list letters, held;
    bool wake = false;

    list_init(&letters);
    list_init(&held);
    pthread_mutex_lock(&queue->mutex);
    uint64_t count = select_matching(queue, &queue->letters, filter, UINT64_MAX, dry_run ? NULL : &letters);
    if (with_held && !bfr_filter_of_letters(filter))
        count += select_matching(queue, &queue->held, filter, UINT64_MAX, dry_run ? NULL : &held);
    take_out_letters(queue, &letters);
    take_out_held(queue, &held);
    if (!list_empty(&letters) || !list_empty(&held))
        wake = bfr_memory_room_returned(queue);
    pthread_mutex_unlock(&queue->mutex);

    end(queue, &letters, true, gone, arg);
    end(queue, &held, false, gone, arg);
    if (wake)
        queue->host->ready(queue->host);
    return count;
}
