// SPDX-License-Identifier: Apache-2.0
// The other fates of a file: a dead letter, set aside, left. Keeper thread. A letter is written as files at once, not as a record
// that is then buried: a crash between the two would send it.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "adopt_state.h"
#include "disk_aside.h"
#include "disk_recent.h"
#include "disk_room.h"
#include "letter.h"
#include "letter_file.h"

#define ASIDE_SHARE 16 // at most this part of the spool

// --- dead letters

static void fill_note(struct adopt *adopt, const struct adopt_file *file, const struct bfr_batch *batch,
                      struct letter_note *out)
{
    const struct disk_set *set = adopt->queue->own_set;
    const struct adopt_meta *meta = &file->meta;
    int64_t modified_ns = (int64_t)file->info.st_mtim.tv_sec * INT64_C(1000000000) + file->info.st_mtim.tv_nsec;
    int64_t failed_ns = meta->failed_ns > 0 ? meta->failed_ns : modified_ns;
    // Its age counts from now: it is not to be gone before anybody has seen it here.
    *out = (struct letter_note){.batch = *batch, .buried_ns = batch->received_ns};
    bfr_letter_id(adopt->next_sequence++, out->id);
    out->letter = bfr_letter_of(batch, out->id);
    out->letter.reason = BFR_REASON_ADOPTED;
    out->letter.attempts = meta->retry_count;
    out->letter.first_error_ns = out->letter.last_error_ns = failed_ns;
    out->letter.first_error = out->letter.last_error = meta->failure_reason;
    for (uint32_t i = 0; i < set->count; i++)
        out->consumers[out->consumer_count++] = set->names[i];
}

static bool has_room(struct disk_queue *queue, uint64_t bytes)
{
    uint64_t files = bfr_disk_letter_blocks(bytes);
    pthread_mutex_lock(&queue->mutex);
    bool fits = bfr_disk_letters_fit(queue, files) && files <= bfr_disk_outside(queue) &&
                queue->free_bytes >= queue->options.min_free_bytes + files;
    pthread_mutex_unlock(&queue->mutex);
    return fits;
}

static void count_letter(struct disk_queue *queue, const struct bfr_letter *letter, uint64_t bytes)
{
    queue->host->account(queue->host, BFR_ACCOUNT_FOUND_BURIED, letter->tenant, 1, letter->body_bytes);
    pthread_mutex_lock(&queue->mutex);
    queue->buried_batches++;
    queue->buried_bytes += letter->body_bytes;
    queue->letters_bytes += bytes;
    pthread_mutex_unlock(&queue->mutex);
}

// `work` is held, so that nobody sees a letter that is taken back.
static enum adopt_fate write_letter(struct adopt *adopt, const struct adopt_file *file, const struct letter_note *note)
{
    struct disk_queue *queue = adopt->queue;
    const struct bfr_span span = {file->body.bytes, file->body.size};
    uint64_t bytes = 0;
    if (!bfr_letter_write(queue->dir.letters, note, &span, 1, &bytes))
        return ADOPT_LATER;
    if (!bfr_adopt_remove(file->tree->files, file->tree->name)) {
        int error = errno;
        (void)bfr_letter_remove(queue->dir.letters, strtoull(note->id, NULL, 16));
        return bfr_adopt_leave(adopt, file->tree, strerror(error));
    }
    (void)fsync(file->tree->files);
    count_letter(queue, &note->letter, bytes);
    return ADOPT_ADOPTED;
}

enum adopt_fate bfr_adopt_letter(struct adopt *adopt, const struct adopt_file *file, const struct bfr_batch *batch)
{
    struct letter_note note;
    if (!has_room(adopt->queue, batch->body_bytes))
        return ADOPT_LATER;
    fill_note(adopt, file, batch, &note);
    pthread_mutex_lock(&adopt->queue->work);
    enum adopt_fate fate = write_letter(adopt, file, &note);
    pthread_mutex_unlock(&adopt->queue->work);
    if (fate == ADOPT_ADOPTED) {
        bfr_adopt_note(adopt, batch);
        (void)bfr_disk_remember(adopt->queue, batch, BFR_KEY_BURIED); // posted since: a letter all the same
    }
    return fate;
}

// --- broken ones

// For health.
static void note_trouble(struct disk_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    snprintf(queue->trouble_text, sizeof queue->trouble_text,
             "broken files of the previous product were set aside in quarantine; see the log");
    pthread_mutex_unlock(&queue->mutex);
}

// {kept}.txt: where it was and what is wrong with it. Log lines are folded when there are many; these are not.
static void write_origin(struct disk_queue *queue, const char *kept, const char *place, const char *why)
{
    char name[NAME_MAX + 1], text[ADOPT_PLACE_SIZE + 160];
    snprintf(name, sizeof name, "%.240s.txt", kept);
    int size = snprintf(text, sizeof text, "%s\n%s\n", place, why);
    if (!bfr_disk_dir_write(queue->dir.quarantine, name, text, (size_t)size))
        bfr_log(queue->host, BFR_LOG_WARN, "cannot write where a file in quarantine comes from", "kept", kept, "file",
                place, "reason", strerror(errno), NULL);
}

enum adopt_fate bfr_adopt_aside(struct adopt *adopt, const struct adopt_file *file, const char *why)
{
    struct disk_queue *queue = adopt->queue;
    const struct adopt_tree *tree = file->tree;
    char kept[NAME_MAX + 1], meta[NAME_MAX + 1], kept_meta[NAME_MAX + 1], place[ADOPT_PLACE_SIZE],
        path[ADOPT_PLACE_SIZE];

    if (!bfr_disk_aside_take(queue, (uint64_t)file->info.st_blocks * 512))
        return bfr_adopt_leave(adopt, tree, "it is broken, and quarantine is full");
    snprintf(kept, sizeof kept, "leftover-%016" PRIx64 "-%" PRIu64 "-%.180s",
             (uint64_t)queue->host->wall_ns(queue->host), adopt->aside_number++, tree->name);
    snprintf(kept_meta, sizeof kept_meta, "%.250s.meta", kept);
    // The meta first: without its data it would count as an orphan after a crash.
    if (snprintf(meta, sizeof meta, "%s.meta", tree->name) < (int)sizeof meta)
        (void)renameat(tree->files, meta, queue->dir.quarantine, kept_meta);
    if (renameat(tree->files, tree->name, queue->dir.quarantine, kept) != 0)
        return bfr_adopt_leave(adopt, tree, strerror(errno));
    bfr_adopt_place(tree, tree->name, place, sizeof place);
    write_origin(queue, kept, place, why);
    (void)fsync(queue->dir.quarantine);
    (void)fsync(tree->files);
    note_trouble(queue);
    snprintf(path, sizeof path, "%.300s/.bfr/quarantine/%s", queue->options.directory, kept);
    bfr_log(queue->host, BFR_LOG_WARN,
            "file of the previous product is broken; it is not adopted, and kept for a person to look at", "file",
            place, "reason", why, "kept", path, NULL);
    return ADOPT_ASIDE;
}

// --- what both need

bool bfr_adopt_remove(int directory, const char *name)
{
    char meta[NAME_MAX + 1];
    if (unlinkat(directory, name, 0) != 0)
        return false;
    if (snprintf(meta, sizeof meta, "%s.meta", name) < (int)sizeof meta)
        (void)unlinkat(directory, meta, 0);
    return true;
}

void bfr_adopt_place(const struct adopt_tree *tree, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s/%s/%s", tree->tenant_directory, tree->dataset_directory,
             bfr_adopt_part_names[tree->part], name);
}

enum adopt_fate bfr_adopt_leave(struct adopt *adopt, const struct adopt_tree *tree, const char *why)
{
    char place[ADOPT_PLACE_SIZE];
    bfr_adopt_place(tree, tree->name, place, sizeof place);
    bfr_log(adopt->queue->host, BFR_LOG_WARN, "file of the previous product is not adopted; it stays where it is",
            "directory", adopt->queue->options.directory, "file", place, "reason", why, NULL);
    return ADOPT_LEFT;
}
