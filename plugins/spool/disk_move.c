// SPDX-License-Identifier: Apache-2.0
// See disk_move.h. The order makes it safe: a file {id}.moving says that a segment is being emptied; its records are written
// again, under their own sequence numbers, and synced; what consumers have done is marked there and synced; then the old
// file goes, or, if it cannot, its records are marked in it; and only then may the new ones be leased. Before the old file
// is gone recovery takes the new ones for copies and drops them; after it there is nothing left to mistake them for.
#include "disk_move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "disk_entry.h"
#include "disk_put.h"
#include "disk_read.h"
#include "disk_reclaim.h"
#include "disk_room.h"
#include "marks.h"

#define AGAIN_AFTER_NS (10 * DISK_NS_PER_S)
#define LIVE_SHARE     4 // at most that part of it is still wanted
#define LOW_SHARE      4 // and at most that part of the limit is left

// One record on its way.
struct move {
    struct disk_entry *old; // pinned, not to be leased
    struct disk_entry *anew;
};

struct moves {
    struct disk_queue *queue;
    struct disk_segment *segment;
    struct move *list;
    size_t count;
};

// --- which

static bool is_wanted(const struct disk_queue *queue)
{
    return queue->punch_unsupported && !queue->keeper_stop &&
           (queue->refused || bfr_disk_outside(queue) < queue->options.max_size_bytes / LOW_SHARE);
}

static bool is_movable(const struct disk_entry *entry)
{
    return entry->offered && !entry->pinned && entry->settle.leased == 0;
}

// Where somebody works on a record just now, the whole segment waits: part of it gives nothing back.
static bool is_worth_it(const struct disk_segment *segment, uint64_t now_ns)
{
    uint64_t bytes = 0;
    if (!segment->sealed || !segment->resident || !segment->counted || segment->parked > 0 || segment->live == 0 ||
        segment->marks_lost || segment->pins > 0 || now_ns < segment->retry_at_ns)
        return false;
    for (const struct list *node = segment->entries.next; node != &segment->entries; node = node->next) {
        const struct disk_entry *entry = LIST_OWNER(node, struct disk_entry, link);
        bytes += bfr_disk_entry_record_bytes(entry);
        if (!is_movable(entry) || bytes > segment->file.file_bytes / LIVE_SHARE)
            return false;
    }
    return true;
}

// The mutex is held.
static struct disk_segment *choose(struct disk_queue *queue)
{
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    if (!is_wanted(queue))
        return NULL;
    for (struct list *node = queue->segments.next; node != &queue->segments; node = node->next) {
        struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (is_worth_it(segment, now_ns))
            return segment;
    }
    return NULL;
}

// Out of what waits; until when it was put off stays with its claims.
static void set_aside(struct disk_queue *queue, struct disk_entry *entry)
{
    for (uint32_t i = 0; i < queue->consumer_count; i++) {
        struct due_entry *due = &entry->claims[i].waiting.due;
        due->at_ns = bfr_due_has(due) ? due->at_ns : 0;
    }
    bfr_disk_entry_withdraw(queue, entry);
    entry->pinned = true;
}

// Leasable as it was before: now, or when it was put off to. The mutex is held.
static void offer_again(struct disk_queue *queue, struct disk_entry *entry)
{
    entry->offered = true;
    for (uint32_t i = 0; i < queue->consumer_count; i++) {
        struct disk_claim *claim = &entry->claims[i];
        struct backlog *backlog = bfr_disk_backlog(queue, i, entry->lane);
        if (claim->state != CLAIM_WAITING)
            continue;
        if (claim->waiting.due.at_ns != 0)
            bfr_backlog_give_back(backlog, &claim->waiting, claim->waiting.due.at_ns);
        else
            bfr_backlog_add(backlog, &claim->waiting);
    }
}

// All that is in it, pinned and withdrawn; false for lack of memory. The mutex is held.
static bool take(struct moves *moves)
{
    struct disk_segment *segment = moves->segment;
    moves->list = calloc(segment->live, sizeof *moves->list);
    if (moves->list == NULL)
        return false;
    for (struct list *node = segment->entries.next; node != &segment->entries; node = node->next) {
        struct disk_entry *entry = LIST_OWNER(node, struct disk_entry, link);
        if (moves->count == segment->live)
            break;
        set_aside(moves->queue, entry);
        moves->list[moves->count++].old = entry;
    }
    segment->pins++;
    moves->queue->moving = true;
    return true;
}

// --- writing again

static const struct bfr_batch *batch_of(struct disk_queue *queue, const struct disk_entry *entry)
{
    const struct disk_place place = bfr_disk_place_of(entry);
    const struct bfr_batch *batch = NULL;
    if (entry->batch != NULL) { // pinned: nobody takes it away
        queue->host->batch_retain(queue->host, entry->batch);
        return entry->batch;
    }
    // What is damaged is its consumer's to find out.
    return bfr_disk_read_batch(queue, &place, &batch) == DISK_READ_OK ? batch : NULL;
}

static struct disk_entry *copy_entry(struct disk_queue *queue, const struct disk_entry *old)
{
    struct disk_entry *entry = bfr_disk_entry_new(queue);
    if (entry == NULL)
        return NULL;
    entry->batch = batch_of(queue, old);
    if (entry->batch == NULL) {
        bfr_disk_entry_free(queue, entry);
        return NULL;
    }
    entry->moved = true;
    entry->sequence = old->sequence;
    entry->body_bytes = old->body_bytes;
    entry->body_crc32c = old->body_crc32c;
    entry->received_ns = old->received_ns;
    entry->lane = LANE_AGED;
    bfr_disk_entry_open(queue, entry, old->set, old->confirmed, old->buried);
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        entry->claims[i].lease.attempts = old->claims[i].lease.attempts;
    return entry;
}

// True when it is on the disk.
static bool write_anew(struct disk_queue *queue, struct move *move, struct disk_errand *errand)
{
    move->anew = copy_entry(queue, move->old);
    if (move->anew == NULL)
        return false;
    bfr_disk_room_promise(queue, move->old->tenant, move->old->body_bytes);
    if (bfr_disk_put_errand(queue, move->anew, errand))
        return true;
    bfr_disk_release(queue, move->old->tenant->name, move->old->body_bytes);
    bfr_disk_entry_free(queue, move->anew);
    move->anew = NULL;
    return false;
}

// All, in as few groups as the commit thread makes of them. What was not written is given up.
static bool write_all(struct moves *moves)
{
    struct disk_errand errand = {0};
    bool good = true;
    for (size_t i = 0; i < moves->count && good; i++)
        good = write_anew(moves->queue, &moves->list[i], &errand);
    good &= bfr_disk_errand_wait(moves->queue, &errand);
    for (size_t i = 0; i < moves->count; i++) {
        struct move *move = &moves->list[i];
        if (move->anew == NULL || move->anew->segment != NULL)
            continue;
        bfr_disk_release(moves->queue, move->old->tenant->name, move->old->body_bytes);
        bfr_disk_entry_free(moves->queue, move->anew);
        move->anew = NULL;
    }
    return good;
}

// --- marks

// Until all marks that there are now are on the disk, or were tried to be written.
static void flush_marks(struct disk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    uint64_t begun = queue->marks_begun;
    queue->marks_wanted = true;
    bfr_disk_poke_commit(queue);
    while (queue->marks_ended <= begun)
        pthread_cond_wait(&queue->commit_done, &queue->mutex);
    pthread_mutex_unlock(&queue->mutex);
}

// What some of its consumers have done with it already.
static bool mark_progress(struct disk_queue *queue, const struct disk_entry *entry)
{
    const struct trouble *trouble = &entry->trouble;
    for (uint32_t i = 0; i < entry->set->count; i++) {
        if ((entry->confirmed >> i & 1) != 0)
            bfr_disk_mark(queue, entry, i, MARK_CONFIRMED, 0);
        if ((entry->buried >> i & 1) != 0)
            bfr_disk_mark(queue, entry, i, MARK_BURIED, (trouble->reason & 0xff) | trouble->attempts << 8);
    }
    return (entry->confirmed | entry->buried) != 0;
}

static void carry_progress(struct moves *moves)
{
    bool marked = false;
    pthread_mutex_lock(&moves->queue->mutex);
    for (size_t i = 0; i < moves->count; i++) {
        struct move *move = &moves->list[i];
        if (move->anew == NULL)
            continue;
        move->anew->trouble = move->old->trouble;
        move->old->trouble = (struct trouble){0};
        for (uint32_t j = 0; j < moves->queue->consumer_count; j++)
            move->anew->claims[j].waiting.due.at_ns = move->old->claims[j].waiting.due.at_ns;
        marked |= mark_progress(moves->queue, move->anew);
    }
    pthread_mutex_unlock(&moves->queue->mutex);
    if (marked)
        flush_marks(moves->queue);
}

// --- the change-over

// The old one has just been uncounted.
static void count_new(struct disk_queue *queue, struct disk_entry *entry)
{
    bool letter = bfr_disk_entry_is_letter(entry);
    *(letter ? &queue->buried_batches : &queue->held_batches) += 1;
    *(letter ? &queue->buried_bytes : &queue->held_bytes) += entry->body_bytes;
    entry->moved = false;
}

static void leave_segment(struct moves *moves)
{
    struct disk_queue *queue = moves->queue;
    struct disk_entry *chain = NULL;
    pthread_mutex_lock(&queue->mutex);
    for (size_t i = 0; i < moves->count; i++) {
        struct disk_entry *old = moves->list[i].old;
        if (moves->list[i].anew != NULL) {
            bfr_disk_entry_purge(queue, old, &chain);
            count_new(queue, moves->list[i].anew);
        } else {
            offer_again(queue, old);
        }
        bfr_disk_entry_unpin(old, &chain);
    }
    moves->segment->pins--;
    queue->moving = false;
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
}

static void offer_new(struct moves *moves)
{
    pthread_mutex_lock(&moves->queue->mutex);
    for (size_t i = 0; i < moves->count; i++)
        if (moves->list[i].anew != NULL)
            offer_again(moves->queue, moves->list[i].anew);
    pthread_mutex_unlock(&moves->queue->mutex);
    moves->queue->host->ready(moves->queue->host);
}

static bool announce(const struct disk_queue *queue, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];
    bfr_segment_name(id, "move", name);
    int fd = openat(queue->dir.segments, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    close(fd);
    return fsync(queue->dir.segments) == 0;
}

static void conclude(const struct disk_queue *queue, uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];
    bfr_segment_name(id, "move", name);
    (void)unlinkat(queue->dir.segments, name, 0);
}

static void empty_segment(struct moves *moves)
{
    struct disk_queue *queue = moves->queue;
    struct disk_segment *segment = moves->segment;
    uint64_t id = segment->file.id, now_ns = queue->host->monotonic_ns(queue->host);
    bool good = announce(queue, id) && write_all(moves);
    int error = errno;
    carry_progress(moves);
    leave_segment(moves);
    if (good && bfr_disk_remove_id(queue, id)) {
        bfr_log(queue->host, BFR_LOG_INFO, "what was left in an old segment was moved, for its space", "segment",
                bfr_num((int64_t)id).text, "records", bfr_num((int64_t)moves->count).text, NULL);
    } else {
        segment->retry_at_ns = now_ns + AGAIN_AFTER_NS;
        flush_marks(queue);
        bfr_log(queue->host, BFR_LOG_WARN, "an old segment cannot be emptied for its space now; it is tried again",
                "segment", bfr_num((int64_t)id).text, "reason", good ? "it cannot be removed" : strerror(error), NULL);
    }
    conclude(queue, id);
    offer_new(moves);
}

bool bfr_disk_move_one(struct disk_queue *queue)
{
    struct moves moves = {.queue = queue};
    pthread_mutex_lock(&queue->mutex);
    moves.segment = choose(queue);
    bool good = moves.segment != NULL && take(&moves);
    pthread_mutex_unlock(&queue->mutex);
    if (good)
        empty_segment(&moves);
    free(moves.list);
    return good;
}

// --- after a crash

static int compare_numbers(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

// The records that a segment which was being emptied still has.
static bool note_originals(struct disk_queue *queue, uint64_t id)
{
    struct segment_file file;
    struct found found;
    if (!bfr_segment_open(&file, queue->dir.segments, id))
        return true; // it is tried again when it is counted; its batches may then be offered twice
    bool good = bfr_segment_load(&file, queue->dir.segments, NULL, &found);
    bfr_segment_close(&file);
    if (!good)
        return errno != ENOMEM;
    uint64_t *list = reallocarray(queue->moved, queue->moved_count + found.count + 1, sizeof *list);
    if (list != NULL) {
        queue->moved = list;
        for (size_t i = 0; i < found.count; i++)
            list[queue->moved_count++] = found.records[i].sequence;
    }
    bfr_found_free(&found);
    return list != NULL;
}

bool bfr_disk_move_recover(struct disk_queue *queue)
{
    bool good = true;
    for (struct list *node = queue->segments.next; node != &queue->segments && good; node = node->next) {
        struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        segment->emptying = bfr_segment_file_exists(queue->dir.segments, segment->file.id, "move");
        if (segment->emptying)
            good = note_originals(queue, segment->file.id);
    }
    if (queue->moved_count > 1)
        qsort(queue->moved, queue->moved_count, sizeof *queue->moved, compare_numbers);
    return good;
}

static bool is_emptying(const struct disk_queue *queue, uint64_t id)
{
    for (const struct list *node = queue->segments.next; node != &queue->segments; node = node->next) {
        const struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (segment->file.id == id)
            return segment->emptying;
    }
    return false;
}

bool bfr_disk_move_is_copy(const struct disk_queue *queue, uint64_t id, uint64_t sequence)
{
    return queue->moved_count > 0 &&
           bsearch(&sequence, queue->moved, queue->moved_count, sizeof sequence, compare_numbers) != NULL &&
           !is_emptying(queue, id);
}

void bfr_disk_move_recovered(struct disk_queue *queue)
{
    for (struct list *node = queue->segments.next; node != &queue->segments; node = node->next) {
        struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        if (segment->emptying && !queue->copies_unmarked)
            conclude(queue, segment->file.id);
        segment->emptying = false;
    }
    free(queue->moved);
    queue->moved = NULL;
    queue->moved_count = 0;
}
