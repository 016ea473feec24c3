// SPDX-License-Identifier: Apache-2.0
// Dead letters become files, and old ones go. Keeper thread. A letter is a letter from the moment it is buried, by its mark;
// the file comes later, and without room it stays in its segment, where every call finds it all the same.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "disk_aside.h"
#include "disk_entry.h"
#include "disk_letters.h"
#include "disk_recent.h"
#include "disk_read.h"
#include "disk_room.h"
#include "letter.h"

#define AGAIN_AFTER_NS (5 * DISK_NS_PER_S)
#define LOOK_EVERY_NS  (60 * DISK_NS_PER_S)

bool bfr_disk_letters_list(struct disk_queue *queue)
{
    errno = 0;
    queue->filed = bfr_letter_list(queue->dir.letters, true, &queue->filed_count);
    if (queue->filed != NULL)
        return true;
    queue->filed_count = 0;
    return errno != ENOMEM;
}

static void count_letter(struct disk_queue *queue, uint64_t sequence)
{
    struct letter_note note;
    char id[LETTER_ID_SIZE];
    if (!bfr_letter_read(queue->dir.letters, sequence, &note)) {
        bfr_letter_id(sequence, id);
        bfr_log(queue->host, BFR_LOG_WARN, "dead letter cannot be read; its files stay where they are", "id", id,
                "reason", errno == EINVAL ? "its .json is damaged" : strerror(errno), NULL);
        return;
    }
    queue->host->account(queue->host, BFR_ACCOUNT_FOUND_BURIED, note.letter.tenant, 1, note.letter.body_bytes);
    uint64_t bytes = bfr_letter_bytes(queue->dir.letters, sequence);
    pthread_mutex_lock(&queue->mutex);
    queue->buried_batches++;
    queue->buried_bytes += note.letter.body_bytes;
    queue->letters_bytes += bytes;
    pthread_mutex_unlock(&queue->mutex);
    bfr_letter_note_free(&note);
}

void bfr_disk_letters_count(struct disk_queue *queue)
{
    pthread_mutex_lock(&queue->work);
    for (size_t i = 0; i < queue->filed_count; i++)
        count_letter(queue, queue->filed[i]);
    pthread_mutex_unlock(&queue->work);
}

bool bfr_disk_letter_drop(struct disk_queue *queue, const struct letter_note *note)
{
    uint64_t sequence = strtoull(note->id, NULL, 16);
    uint64_t bytes = bfr_letter_bytes(queue->dir.letters, sequence);
    if (!bfr_letter_remove(queue->dir.letters, sequence)) {
        bfr_log(queue->host, BFR_LOG_WARN, "dead letter cannot be removed", "id", note->id, "reason", strerror(errno),
                NULL);
        return false;
    }
    pthread_mutex_lock(&queue->mutex);
    queue->buried_batches--;
    queue->buried_bytes -= note->letter.body_bytes;
    queue->letters_bytes -= bytes < queue->letters_bytes ? bytes : queue->letters_bytes;
    pthread_mutex_unlock(&queue->mutex);
    return true;
}

// --- filing

struct disk_entry *bfr_disk_letter_pin(struct disk_queue *queue, uint64_t after, uint64_t last)
{
    struct disk_entry *found = NULL;
    pthread_mutex_lock(&queue->mutex);
    for (struct list *node = queue->unfiled.next; node != &queue->unfiled; node = node->next) {
        struct disk_entry *entry = LIST_OWNER(node, struct disk_entry, unfiled);
        if (entry->sequence > after && entry->sequence <= last) {
            found = entry;
            last = entry->sequence;
        }
    }
    if (found != NULL) {
        found->pinned = true;
        found->segment->pins++;
    }
    pthread_mutex_unlock(&queue->mutex);
    return found;
}

void bfr_disk_letter_unpin(struct disk_queue *queue, struct disk_entry *entry)
{
    struct disk_entry *chain = NULL;
    pthread_mutex_lock(&queue->mutex);
    entry->segment->pins--;
    bfr_disk_entry_unpin(entry, &chain);
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
}

const struct bfr_batch *bfr_disk_entry_envelope(struct disk_queue *queue, const struct disk_entry *entry)
{
    const struct disk_place place = bfr_disk_place_of(entry);
    const struct bfr_batch *batch = NULL;
    pthread_mutex_lock(&queue->mutex);
    if (entry->batch != NULL) {
        batch = entry->batch;
        queue->host->batch_retain(queue->host, batch);
    }
    pthread_mutex_unlock(&queue->mutex);
    if (batch == NULL)
        (void)bfr_disk_read_envelope(queue, &place, &batch);
    return batch;
}

static const char *or_nothing(const char *text)
{
    return text != NULL ? text : "";
}

void bfr_disk_letter_note(const struct disk_entry *entry, const struct bfr_batch *batch, struct letter_note *out)
{
    const struct trouble *trouble = &entry->trouble;
    *out = (struct letter_note){.buried_ns = trouble->last_ns};
    bfr_letter_id(entry->sequence, out->id);
    if (batch != NULL)
        out->batch = *batch;
    else // its tenant is known from the index
        out->batch = (struct bfr_batch){.account = "",
                                        .tenant = entry->tenant->name,
                                        .dataset = "",
                                        .filename = "",
                                        .batch_id = "",
                                        .data_hint = "",
                                        .content_type = "",
                                        .body_bytes = entry->body_bytes,
                                        .crc32c = entry->body_crc32c,
                                        .received_ns = entry->received_ns};
    batch = &out->batch;
    out->letter = bfr_letter_of(batch, out->id);
    out->letter.reason = trouble->reason;
    out->letter.attempts = trouble->attempts;
    out->letter.first_error_ns = trouble->recalled ? 0 : trouble->first_ns;
    out->letter.last_error_ns = trouble->last_ns;
    out->letter.redriven_ns = trouble->redriven_ns;
    out->letter.first_error = or_nothing(trouble->first_text);
    out->letter.last_error = or_nothing(trouble->last_text);
    for (uint32_t i = 0; i < entry->set->count; i++)
        if ((entry->buried >> i & 1) != 0)
            out->consumers[out->consumer_count++] = entry->set->names[i];
}

static void set_waiting(struct disk_queue *queue, bool wait)
{
    pthread_mutex_lock(&queue->mutex);
    queue->letters_wait = wait;
    pthread_mutex_unlock(&queue->mutex);
}

static bool has_room(struct disk_queue *queue, uint64_t bytes)
{
    uint64_t files = bfr_disk_letter_blocks(bytes);
    pthread_mutex_lock(&queue->mutex);
    bool in_share = bfr_disk_letters_fit(queue, files), fits = in_share && files <= bfr_disk_outside(queue);
    bool news = !fits && !queue->letters_wait;
    queue->letters_wait = !fits;
    pthread_mutex_unlock(&queue->mutex);
    if (news && !in_share)
        bfr_log(
            queue->host, BFR_LOG_WARN,
            "dead letters have filled their share of the spool; further ones stay in their segments; retry or purge "
            "some, or raise dlq_max_share",
            "directory", queue->options.directory, NULL);
    else if (news)
        bfr_log(queue->host, BFR_LOG_WARN,
                "the spool is full; dead letters stay in their segments until there is room for files of their own",
                "directory", queue->options.directory, NULL);
    return fits;
}

// What is left of a body that does not check, as it stands there. NULL: nothing can be had; free it.
static uint8_t *read_raw(const struct disk_entry *entry)
{
    uint8_t *bytes = malloc((size_t)entry->body_bytes + 1);
    uint64_t at = entry->offset + RECORD_HEADER_BYTES + entry->envelope_bytes;
    if (bytes != NULL && bfr_segment_read(&entry->segment->file, bytes, (size_t)entry->body_bytes, at))
        return bytes;
    free(bytes);
    return NULL;
}

static bool write_damaged(struct disk_queue *queue, const struct disk_entry *entry, uint64_t *out_bytes)
{
    const struct bfr_batch *envelope = bfr_disk_entry_envelope(queue, entry);
    uint8_t *raw = read_raw(entry);
    const struct bfr_span span = {raw, raw == NULL ? 0 : (size_t)entry->body_bytes};
    struct letter_note note;
    bfr_disk_aside_bytes(queue, &entry->segment->file, entry->offset,
                         entry->offset + bfr_disk_entry_record_bytes(entry), false);
    bfr_disk_letter_note(entry, envelope, &note);
    bool good = bfr_letter_write(queue->dir.letters, &note, &span, raw == NULL ? 0 : 1, out_bytes);
    int saved = errno;
    free(raw);
    if (envelope != NULL)
        queue->host->batch_release(queue->host, envelope);
    errno = saved;
    return good;
}

static bool write_letter(struct disk_queue *queue, const struct disk_entry *entry, uint64_t *out_bytes)
{
    const struct disk_place place = bfr_disk_place_of(entry);
    const struct bfr_batch *batch = NULL;
    struct letter_note note;

    switch (bfr_disk_read_batch(queue, &place, &batch)) {
    case DISK_READ_OK:
        break;
    case DISK_READ_DAMAGED:
    case DISK_READ_HOLE:
        return write_damaged(queue, entry, out_bytes);
    case DISK_READ_MEMORY:
        errno = ENOMEM;
        return false;
    default:
        return false;
    }
    bfr_disk_letter_note(entry, batch, &note);
    bool good = bfr_letter_write(queue->dir.letters, &note, batch->spans, batch->span_count, out_bytes);
    int saved = errno;
    queue->host->batch_release(queue->host, batch);
    errno = saved;
    return good;
}

// It has files now: the segment need not keep it any longer.
static void leave_segment(struct disk_queue *queue, struct disk_entry *entry, uint64_t bytes)
{
    struct disk_entry *chain = NULL;
    uint64_t body_bytes = entry->body_bytes, fixed_bytes = bfr_disk_dir_bytes(&queue->dir);
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_entry_purge(queue, entry, &chain);
    queue->buried_batches++; // still one
    queue->buried_bytes += body_bytes;
    queue->letters_bytes += bytes;
    queue->fixed_bytes = fixed_bytes;
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
}

bool bfr_disk_letters_file_one(struct disk_queue *queue)
{
    uint64_t now_ns = queue->host->monotonic_ns(queue->host), bytes = 0;
    if (now_ns < queue->letters_retry_ns)
        return false;
    struct disk_entry *entry = bfr_disk_letter_pin(queue, 0, UINT64_MAX);
    if (entry == NULL) {
        set_waiting(queue, false);
        return false;
    }
    bool fits = has_room(queue, entry->body_bytes);
    bool good = fits && write_letter(queue, entry, &bytes);
    if (good) {
        leave_segment(queue, entry, bytes);
    } else {
        queue->letters_retry_ns = now_ns + AGAIN_AFTER_NS;
        if (fits)
            bfr_log(queue->host, BFR_LOG_WARN, "dead letter cannot be filed yet; it stays in its segment", "directory",
                    queue->options.directory, "reason", strerror(errno), NULL);
    }
    bfr_disk_letter_unpin(queue, entry);
    return good;
}

// --- age

static bool is_old(struct disk_queue *queue, const struct letter_note *note)
{
    int64_t age_ns = queue->host->wall_ns(queue->host) - note->buried_ns;
    return note->buried_ns > 0 && age_ns > (int64_t)(queue->options.dlq_max_age_ms * DISK_NS_PER_MS);
}

static void expire_one(struct disk_queue *queue, uint64_t sequence)
{
    struct letter_note note;
    if (!bfr_letter_read(queue->dir.letters, sequence, &note))
        return;
    bool old = is_old(queue, &note);
    if (old)
        bfr_disk_recent_forget(queue, &note.batch); // first, as for every purge
    if (old && bfr_disk_letter_drop(queue, &note)) {
        (void)bfr_disk_remember(queue, &note.batch, BFR_KEY_FREE);
        queue->host->account(queue->host, BFR_ACCOUNT_PURGED_BURIED, note.letter.tenant, 1, note.letter.body_bytes);
        bfr_log(queue->host, BFR_LOG_INFO, "dead letter is past dlq_max_age and purged", "id", note.id, "tenant",
                note.letter.tenant, "dataset", note.letter.dataset, "filename", note.letter.filename, NULL);
    }
    bfr_letter_note_free(&note);
}

void bfr_disk_letters_expire(struct disk_queue *queue)
{
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    size_t count = 0;
    if (queue->options.dlq_max_age_ms == 0 || now_ns < queue->letters_look_ns)
        return;
    queue->letters_look_ns = now_ns + LOOK_EVERY_NS;
    uint64_t *list = bfr_letter_list(queue->dir.letters, false, &count);
    for (size_t i = 0; list != NULL && i < count; i++)
        expire_one(queue, list[i]);
    free(list);
    bfr_disk_recent_sync(queue);
    (void)fsync(queue->dir.letters);
}
