// SPDX-License-Identifier: Apache-2.0
// Listing, redriving and purging dead letters, for people. Any thread but the pumps'; may wait for the disk. `work` is held, so
// that no letter moves meanwhile; `visit` is called without any lock, `moved` and `gone` with `work` alone.
#include "disk_letters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "disk_entry.h"
#include "disk_put.h"
#include "disk_room.h"
#include "filter.h"

#define PAGE_LETTERS 32

static bool matches(const struct bfr_filter *filter, const struct letter_note *note)
{
    return bfr_filter_matches(filter, &note->batch, note->id);
}

// A letter in hand: from its file, or a pinned entry.
struct in_hand {
    struct letter_note note;
    struct disk_entry *entry;      // NULL: it has files
    const struct bfr_batch *batch; // of the entry
};

static bool take_entry(struct disk_queue *queue, uint64_t after, struct in_hand *out)
{
    *out = (struct in_hand){.entry = bfr_disk_letter_pin(queue, after)};
    if (out->entry == NULL)
        return false;
    out->batch = bfr_disk_entry_envelope(queue, out->entry);
    bfr_disk_letter_note(out->entry, out->batch, &out->note);
    return true;
}

static void put_back(struct disk_queue *queue, struct in_hand *hand)
{
    if (hand->entry != NULL)
        bfr_disk_letter_unpin(queue, hand->entry);
    else
        bfr_letter_note_free(&hand->note);
    if (hand->batch != NULL)
        queue->host->batch_release(queue->host, hand->batch);
}

// --- walking all of them in order of id

// The letters with files, and how far the walk is. The next one is the lower of the next file and the next entry.
struct walk {
    struct disk_queue *queue;
    uint64_t *files;
    size_t file_count;
    size_t next;
    uint64_t after;
};

static void walk_begin(struct walk *walk, struct disk_queue *queue, uint64_t after)
{
    *walk = (struct walk){.queue = queue, .after = after};
    walk->files = bfr_letter_list(queue->dir.letters, false, &walk->file_count);
    if (walk->files == NULL)
        walk->file_count = 0;
    while (walk->next < walk->file_count && walk->files[walk->next] <= after)
        walk->next++;
}

static void walk_end(struct walk *walk)
{
    free(walk->files);
}

static bool walk_next(struct walk *walk, struct in_hand *out)
{
    struct disk_queue *queue = walk->queue;
    for (;;) {
        bool entry = take_entry(queue, walk->after, out);
        bool file = walk->next < walk->file_count;
        if (entry && (!file || out->entry->sequence < walk->files[walk->next])) {
            walk->after = out->entry->sequence;
            return true;
        }
        if (entry)
            put_back(queue, out);
        if (!file)
            return false;
        walk->after = walk->files[walk->next++];
        *out = (struct in_hand){.entry = NULL};
        if (bfr_letter_read(queue->dir.letters, walk->after, &out->note))
            return true; // else it was said at start
    }
}

// --- listing

// A letter that outlives the locks.
struct letter_copy {
    struct bfr_letter letter;
    char id[LETTER_ID_SIZE];
    char account[BFR_ID_MAX + 1];
    char tenant[BFR_ID_MAX + 1];
    char dataset[BFR_ID_MAX + 1];
    char filename[BFR_FILENAME_MAX + 1];
    char first_error[TROUBLE_TEXT_MAX + 1];
    char last_error[TROUBLE_TEXT_MAX + 1];
};

static const char *copy_into(char *place, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);
    memcpy(place, text, length);
    place[length] = '\0';
    return place;
}

// Point a text of the copied letter at the copy's own bytes.
#define COPY(copy, member)                                                                                             \
    ((copy)->letter.member = copy_into((copy)->member, sizeof(copy)->member, (copy)->letter.member))

static void copy_letter(const struct letter_note *note, struct letter_copy *out)
{
    out->letter = note->letter;
    COPY(out, id);
    COPY(out, account);
    COPY(out, tenant);
    COPY(out, dataset);
    COPY(out, filename);
    COPY(out, first_error);
    COPY(out, last_error);
}

// Up to `limit` matching letters after `after`, which moves on.
static uint32_t copy_page(struct disk_queue *queue, const struct bfr_filter *filter, uint64_t *after, uint32_t limit,
                          struct letter_copy *out)
{
    struct in_hand hand;
    struct walk walk;
    uint32_t count = 0;

    pthread_mutex_lock(&queue->work);
    walk_begin(&walk, queue, *after);
    while (count < limit && walk_next(&walk, &hand)) {
        if (matches(filter, &hand.note))
            copy_letter(&hand.note, &out[count++]);
        put_back(queue, &hand);
    }
    *after = walk.after;
    walk_end(&walk);
    pthread_mutex_unlock(&queue->work);
    return count;
}

uint32_t bfr_disk_letters(void *self, const struct bfr_filter *filter, const char *cursor, uint32_t limit,
                          bool (*visit)(void *arg, const struct bfr_letter *letter), void *arg)
{
    uint64_t after = cursor == NULL ? 0 : strtoull(cursor, NULL, 16);
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

// --- purging

static bool purge_entry(struct disk_queue *queue, struct disk_entry *entry)
{
    struct disk_entry *chain = NULL; // stays empty: the entry is pinned
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_mark(queue, entry, MARK_EVERY_CONSUMER, MARK_PURGED, 0);
    bfr_disk_share_remove(queue, entry->tenant, entry->body_bytes);
    bfr_disk_entry_end(queue, entry, &chain);
    pthread_mutex_unlock(&queue->mutex);
    return true;
}

uint64_t bfr_disk_purge(void *self, const struct bfr_filter *filter, bool held, bool dry_run,
                        void (*gone)(void *arg, const struct bfr_letter *letter), void *arg)
{
    struct disk_queue *queue = self;
    const struct disk_told told = {gone, arg};
    struct in_hand hand;
    struct walk walk;
    uint64_t count = 0;

    pthread_mutex_lock(&queue->work);
    walk_begin(&walk, queue, 0);
    while (walk_next(&walk, &hand)) {
        bool hit = matches(filter, &hand.note);
        if (hit && !dry_run)
            hit = hand.entry != NULL ? purge_entry(queue, hand.entry) : bfr_disk_letter_drop(queue, &hand.note);
        count += hit ? 1 : 0;
        if (hit && !dry_run && gone != NULL)
            gone(arg, &hand.note.letter);
        put_back(queue, &hand);
    }
    walk_end(&walk);
    (void)fsync(queue->dir.letters);
    if (held)
        count += bfr_disk_purge_held(queue, filter, dry_run, &told);
    pthread_mutex_unlock(&queue->work);
    if (count > 0 && !dry_run)
        queue->host->ready(queue->host);
    return count;
}

// --- redriving

// Wanted again by those that buried it; those that confirmed it have it. The mutex is held.
static void revive(struct disk_queue *queue, struct disk_entry *entry)
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
    bfr_trouble_clear(&entry->trouble);
    queue->buried_batches--;
    queue->buried_bytes -= entry->body_bytes;
    queue->held_batches++;
    queue->held_bytes += entry->body_bytes;
}

static bool redrive_entry(struct disk_queue *queue, struct in_hand *hand, const struct disk_told *told)
{
    if (told->tell != NULL) // before it can be leased, so that the books never see it stored while they have it buried
        told->tell(told->arg, &hand->note.letter);
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_entry_withdraw(queue, hand->entry); // its claims are final: nothing waits, but it may be offered anew
    revive(queue, hand->entry);
    bfr_disk_entry_offer(queue, hand->entry);
    pthread_mutex_unlock(&queue->mutex);
    return true;
}

// The body from its file as an entry that the commit thread can write. NULL with errno.
static struct disk_entry *entry_from_file(struct disk_queue *queue, const struct letter_note *note)
{
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
    entry->body_bytes = source.body_bytes;
    entry->body_crc32c = source.crc32c;
    entry->received_ns = source.received_ns;
    bfr_disk_entry_open(queue, entry, set, 0, 0);
    return entry;
}

// The letter's record is on the disk: the letter goes, then the record may be leased. If the letter does not go, the record
// does.
static bool swap_in(struct disk_queue *queue, struct disk_entry *entry, const struct letter_note *note,
                    const struct disk_told *told)
{
    struct disk_entry *chain = NULL;
    bool good = bfr_disk_letter_drop(queue, note);
    if (good && told->tell != NULL)
        told->tell(told->arg, &note->letter);
    pthread_mutex_lock(&queue->mutex);
    if (good) {
        bfr_disk_entry_offer(queue, entry);
    } else {
        bfr_disk_mark(queue, entry, MARK_EVERY_CONSUMER, MARK_PURGED, 0);
        bfr_disk_share_remove(queue, entry->tenant, entry->body_bytes);
        bfr_disk_entry_end(queue, entry, &chain);
    }
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
    return good;
}

static bool redrive_file(struct disk_queue *queue, const struct letter_note *note, const struct disk_told *told)
{
    struct disk_errand errand = {0};
    const char *why = NULL;
    struct disk_entry *entry = entry_from_file(queue, note);
    bool good = false;

    if (entry == NULL) {
        why = errno == EILSEQ ? "its .batch is damaged" : strerror(errno);
    } else if (bfr_disk_reserve(queue, note->letter.tenant, note->letter.body_bytes) != BFR_ROOM_OK) {
        why = "the spool has no room";
        bfr_disk_entry_free(queue, entry);
    } else if (!bfr_disk_put_errand(queue, entry, &errand) || !bfr_disk_errand_wait(queue, &errand)) {
        why = "it cannot be written";
        bfr_disk_release(queue, note->letter.tenant, note->letter.body_bytes);
        bfr_disk_entry_free(queue, entry);
    } else {
        good = swap_in(queue, entry, note, told);
    }
    if (why != NULL)
        bfr_log(queue->host, BFR_LOG_WARN, "dead letter cannot be taken back now", "id", note->id, "reason", why, NULL);
    return good;
}

uint64_t bfr_disk_redrive(void *self, const struct bfr_filter *filter, bool dry_run,
                          void (*moved)(void *arg, const struct bfr_letter *letter), void *arg)
{
    struct disk_queue *queue = self;
    const struct disk_told told = {moved, arg};
    struct in_hand hand;
    struct walk walk;
    uint64_t count = 0;

    pthread_mutex_lock(&queue->work);
    walk_begin(&walk, queue, 0);
    while (walk_next(&walk, &hand)) {
        bool hit = matches(filter, &hand.note);
        if (hit && !dry_run)
            hit = hand.entry != NULL ? redrive_entry(queue, &hand, &told) : redrive_file(queue, &hand.note, &told);
        count += hit ? 1 : 0;
        put_back(queue, &hand);
    }
    walk_end(&walk);
    (void)fsync(queue->dir.letters);
    pthread_mutex_unlock(&queue->work);
    if (count > 0 && !dry_run)
        queue->host->ready(queue->host);
    return count;
}
