// SPDX-License-Identifier: Apache-2.0
// Redriving: dead letters become held again. Any thread but the pumps'; the commit thread does the writing. `work` is held, so
// that no letter moves meanwhile, but let go of after each group: the keeper has its turns, so space comes back.
//
// One that is still in its segment gets a mark. One with files is written as a new record, many in one group, and the record
// names the letter: as long as the letter's .json is there, the record counts for nothing, to a reader and to the recovery.
// So the moment of change is the removal of that one name, and whatever stops the machine, a batch is dead or held, never
// both. Nothing is offered before the removal is durable: a batch that was stored must not come back as a letter.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "disk_commit.h"
#include "disk_entry.h"
#include "disk_keeper.h"
#include "disk_letter_walk.h"
#include "disk_put.h"
#include "disk_room.h"
#include "filter.h"

#define AT_ONCE       256
#define AT_ONCE_BYTES (UINT64_C(16) << 20)

// A letter whose record is on its way to the disk.
struct moving {
    struct letter_note note;
    struct disk_entry *entry;
    bool sent;    // the commit thread has had it
    bool swapped; // its files are gone
};

struct redrive {
    struct disk_queue *queue;
    const struct disk_told *told;
    struct moving *some; // AT_ONCE of them
    size_t count;
    uint64_t bytes;
    struct disk_errand errand;
    bool marks_flushed;
    int64_t once_ns; // the mark of BFR_FILTER_ONCE for what moves; 0: none
    uint64_t limit;  // of what may move
    uint64_t moved;
};

static void tell(const struct redrive *redrive, const struct letter_note *note)
{
    if (redrive->told->tell != NULL)
        redrive->told->tell(redrive->told->arg, &note->letter);
}

static void complain(const struct redrive *redrive, const struct letter_note *note, const char *why)
{
    bfr_log(redrive->queue->host, BFR_LOG_WARN, "dead letter cannot be taken back now", "id", note->id, "reason", why,
            NULL);
}

// --- in its segment

// Wanted again by those that buried it; those that confirmed it have it. The mutex is held.
static void revive(struct disk_queue *queue, struct disk_entry *entry, int64_t once_ns)
{
    list_remove(&entry->unfiled);
    for (uint32_t i = 0; i < entry->set->count; i++)
        if ((entry->buried >> i & 1) != 0)
            bfr_disk_mark(queue, entry, i, MARK_WANTED, 0);
    for (uint32_t i = 0; i < queue->consumer_count; i++)
        if (bfr_settle_redrive(&entry->settle, &entry->claims[i].state))
            entry->claims[i].lease.attempts = 0;
    // Consumers that are not configured any more have no claim; they wait for `spool waive` like others of theirs.
    entry->settle.open += entry->settle.buried;
    entry->settle.buried = 0;
    entry->buried = 0;
    bfr_trouble_redrive(&entry->trouble, once_ns);
    queue->buried_batches--;
    queue->buried_bytes -= entry->body_bytes;
    queue->held_batches++;
    queue->held_bytes += entry->body_bytes;
}

static void redrive_entry(struct redrive *redrive, struct letter_in_hand *hand)
{
    struct disk_queue *queue = redrive->queue;
    tell(redrive, &hand->note); // before it can be leased, so that the books never see it stored while it is buried
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_entry_withdraw(queue, hand->entry); // its claims are final: nothing waits, but it may be offered anew
    revive(queue, hand->entry, redrive->once_ns);
    bfr_disk_entry_offer(queue, hand->entry);
    pthread_mutex_unlock(&queue->mutex);
    redrive->moved++;
}

// --- from its files

// The body from its file as an entry that the commit thread can write. NULL with errno.
static struct disk_entry *entry_from_file(const struct redrive *redrive, const struct letter_note *note)
{
    struct disk_queue *queue = redrive->queue;
    char *body = bfr_letter_read_body(queue->dir.letters, note);
    const struct bfr_span span = {(const uint8_t *)body, (size_t)note->batch.body_bytes};
    const struct disk_set *set = NULL;
    struct disk_entry *entry = NULL;
    struct bfr_batch source = note->batch;
    if (body == NULL)
        return NULL;
    source.span_count = span.size > 0 ? 1 : 0;
    source.spans = &span;
    set = note->consumer_count > 0 ? bfr_disk_set(queue, note->consumers, note->consumer_count) : queue->own_set;
    entry = set == NULL ? NULL : bfr_disk_entry_new(queue);
    if (entry != NULL)
        entry->batch = queue->host->batch_make(queue->host, &source, free, body);
    if (entry == NULL || entry->batch == NULL) {
        free(body);
        free(entry);
        errno = ENOMEM;
        return NULL;
    }
    entry->letter = strtoull(note->id, NULL, 16);
    entry->body_bytes = source.body_bytes;
    entry->body_crc32c = source.crc32c;
    entry->received_ns = source.received_ns;
    entry->trouble.redriven_ns = note->letter.redriven_ns;
    bfr_trouble_redrive(&entry->trouble, redrive->once_ns);
    bfr_disk_entry_open(queue, entry, set, 0, 0);
    return entry;
}

// Make it ready to be written. True: the note is the redrive's now.
static bool take_one(struct redrive *redrive, struct letter_note *note)
{
    struct disk_queue *queue = redrive->queue;
    const char *why = NULL;
    struct disk_entry *entry = entry_from_file(redrive, note);
    if (entry == NULL) {
        why = errno == EILSEQ ? "its .batch is damaged" : strerror(errno);
    } else if (bfr_disk_reserve(queue, note->letter.tenant, note->letter.body_bytes) != BFR_ROOM_OK) {
        why = "the spool has no room";
        bfr_disk_entry_free(queue, entry);
    }
    if (why != NULL) {
        complain(redrive, note, why);
        return false;
    }
    struct moving *moving = &redrive->some[redrive->count++];
    *moving = (struct moving){.note = *note, .entry = entry};
    // The copied letter points at the copied id.
    moving->note.letter.id = moving->note.id;
    redrive->bytes += note->letter.body_bytes;
    return true;
}

// All of them to the commit thread, in one go, so that it has them in few groups; and wait for it.
static void write_some(struct redrive *redrive)
{
    for (size_t i = 0; i < redrive->count; i++)
        redrive->some[i].sent = bfr_disk_put_errand(redrive->queue, redrive->some[i].entry, &redrive->errand);
    (void)bfr_disk_errand_wait(redrive->queue, &redrive->errand);
}

// A record that is there takes the place of the letter.
static void swap_one(struct redrive *redrive, struct moving *moving)
{
    struct disk_queue *queue = redrive->queue;
    const struct bfr_letter *letter = &moving->note.letter;
    if (moving->entry->segment != NULL) {
        moving->swapped = bfr_disk_letter_drop(queue, &moving->note);
        return;
    }
    complain(redrive, &moving->note,
             moving->sent ? "it cannot be written" : "the queue is stopping, or memory is short");
    bfr_disk_release(queue, letter->tenant, letter->body_bytes);
    bfr_disk_entry_free(queue, moving->entry);
    moving->entry = NULL;
}

// Held, and to be leased; or the letter did not go, so that the record does. The mutex is held.
static void settle_one(struct disk_queue *queue, struct moving *moving, struct disk_entry **chain)
{
    struct disk_entry *entry = moving->entry;
    if (moving->swapped) {
        bfr_disk_entry_offer(queue, entry);
    } else if (entry != NULL) {
        bfr_disk_entry_purge(queue, entry, chain);
    }
}

static void finish_some(struct redrive *redrive)
{
    struct disk_queue *queue = redrive->queue;
    struct disk_entry *chain = NULL;
    if (redrive->count == 0)
        return;
    write_some(redrive);
    for (size_t i = 0; i < redrive->count; i++)
        swap_one(redrive, &redrive->some[i]);
    if (fsync(queue->dir.letters) != 0)
        bfr_log(queue->host, BFR_LOG_WARN,
                "dead letters were taken back, but their removal cannot be synced; a loss of power may bring them back",
                "directory", queue->options.directory, "reason", strerror(errno), NULL);
    for (size_t i = 0; i < redrive->count; i++) {
        if (redrive->some[i].swapped)
            tell(redrive, &redrive->some[i].note);
        redrive->moved += redrive->some[i].swapped ? 1 : 0;
    }
    pthread_mutex_lock(&queue->mutex);
    for (size_t i = 0; i < redrive->count; i++)
        settle_one(queue, &redrive->some[i], &chain);
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
    for (size_t i = 0; i < redrive->count; i++)
        bfr_letter_note_free(&redrive->some[i].note);
    redrive->count = 0;
    redrive->bytes = 0;
    redrive->errand = (struct disk_errand){0};
    queue->host->ready(queue->host);
}

// True: what was in the hand is the redrive's now.
static bool redrive_file(struct redrive *redrive, struct letter_note *note)
{
    // The record that the letter was made from must not come back once the letter is gone.
    if (!redrive->marks_flushed && !bfr_disk_marks_flush(redrive->queue)) {
        complain(redrive, note, "settlement marks cannot be written");
        return false;
    }
    redrive->marks_flushed = true;
    if (redrive->count == AT_ONCE || redrive->bytes + note->letter.body_bytes > AT_ONCE_BYTES)
        finish_some(redrive);
    return take_one(redrive, note);
}

// From the letter behind `after` on until a group is full or the limit reached. False: that was all.
static bool redrive_some(struct redrive *redrive, const struct bfr_filter *filter, bool dry_run, uint64_t *after,
                         uint64_t last, uint64_t *matched)
{
    struct disk_queue *queue = redrive->queue;
    struct letter_in_hand hand;
    struct letter_walk walk;
    bool full = false, spent = false;

    pthread_mutex_lock(&queue->work);
    redrive->marks_flushed = false; // the keeper may have made letters of others since
    bfr_letter_walk_begin(&walk, queue, *after, last);
    while (!full && !spent && bfr_letter_walk_next(&walk, &hand)) {
        bool hit = bfr_letter_matches(filter, &hand.note);
        bool taken = false;
        *matched += hit ? 1 : 0;
        if (hit && !dry_run && hand.entry != NULL)
            redrive_entry(redrive, &hand);
        else if (hit && !dry_run)
            taken = redrive_file(redrive, &hand.note);
        if (!taken)
            bfr_letter_put_back(queue, &hand);
        spent = (dry_run ? *matched : redrive->moved + redrive->count) >= redrive->limit;
        full = redrive->count == AT_ONCE || redrive->bytes >= AT_ONCE_BYTES;
    }
    *after = walk.after;
    bfr_letter_walk_end(&walk);
    finish_some(redrive);
    pthread_mutex_unlock(&queue->work);
    return full && !spent;
}

uint64_t bfr_disk_redrive(void *self, const struct bfr_filter *filter, bool dry_run,
                          void (*moved)(void *arg, const struct bfr_letter *letter), void *arg)
{
    struct disk_queue *queue = self;
    const struct disk_told told = {moved, arg};
    bool once = (filter->flags & BFR_FILTER_ONCE) != 0;
    struct redrive redrive = {.queue = queue,
                              .told = &told,
                              .once_ns = once ? queue->host->wall_ns(queue->host) : 0,
                              .limit = bfr_filter_limit(filter)};
    uint64_t matched = 0, after = 0, last = bfr_letter_walk_last(queue);

    redrive.some = calloc(AT_ONCE, sizeof *redrive.some);
    if (redrive.some == NULL)
        return 0;
    while (redrive_some(&redrive, filter, dry_run, &after, last, &matched))
        bfr_disk_keeper_pass(queue);
    free(redrive.some);
    if (redrive.moved > 0)
        queue->host->ready(queue->host);
    return dry_run ? matched : redrive.moved;
}
