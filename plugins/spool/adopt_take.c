// SPDX-License-Identifier: Apache-2.0
// One file of the previous product's tree becomes a record. Keeper thread. The order keeps every moment safe: the record is on
// the disk, the file is gone, the record may be leased. A crash in between leaves both, and recent.log, which is written with
// the record, tells the next life that they are one.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "adopt_name.h"
#include "adopt_state.h"
#include "disk_entry.h"
#include "disk_put.h"
#include "disk_recent.h"
#include "disk_room.h"

#define NS_PER_S   INT64_C(1000000000)
#define BODY_MAX   (UINT64_C(256) << 20) // it is in RAM as a whole
#define BODY_SHARE 4                     // and at most this part of the spool, as for senders

// --- what the file is

static int64_t modified_ns(const struct stat *info)
{
    int64_t ns = (int64_t)info->st_mtim.tv_sec * NS_PER_S + info->st_mtim.tv_nsec;
    return ns > 0 ? ns : 1;
}

// From the meta beside it; a retry's may still be in queue/.
static void read_meta(struct adopt_file *file)
{
    const struct adopt_tree *tree = file->tree;
    char name[NAME_MAX + 1];
    if (snprintf(name, sizeof name, "%s.meta", tree->name) >= (int)sizeof name) {
        file->meta = (struct adopt_meta){.line_count = 0};
        return;
    }
    if (bfr_adopt_meta_read(tree->files, name, &file->meta) || tree->part == ADOPT_QUEUE)
        return;
    int queue =
        openat(tree->dataset_fd, bfr_adopt_part_names[ADOPT_QUEUE], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (queue < 0)
        return;
    (void)bfr_adopt_meta_read(queue, name, &file->meta);
    close(queue);
}

// As the edge would have made it. Texts point into `file`.
static struct bfr_batch describe(struct adopt *adopt, struct adopt_file *file)
{
    struct adopt_meta *meta = &file->meta;
    const struct adopt_body *body = &file->body;
    if (meta->data_hint[0] == '\0')
        bfr_adopt_hint(file->filename, file->tree->tenant, file->tree->dataset, meta->data_hint,
                       sizeof meta->data_hint);
    struct bfr_batch batch = {
        .size = sizeof batch,
        .flags = body->compressed_here ? BFR_BATCH_COMPRESSED_HERE : 0,
        .account = "",
        .tenant = file->tree->tenant,
        .dataset = file->tree->dataset,
        .filename = file->filename,
        .batch_id = meta->batch_id[0] != '\0' ? meta->batch_id : "unknown",
        .data_hint = meta->data_hint,
        .content_type = "",
        .line_count = meta->line_count > 0 ? meta->line_count : 1,
        .original_bytes = meta->original_bytes > 0 ? meta->original_bytes : (uint64_t)file->info.st_size,
        .created_ns = meta->created_ns > 0 ? meta->created_ns : modified_ns(&file->info),
        .received_ns = adopt->queue->host->wall_ns(adopt->queue->host),
        .body_bytes = body->size,
        .crc32c = body->crc32c,
    };
    memcpy(batch.stored_sha256, body->stored_sha256, sizeof batch.stored_sha256);
    memcpy(batch.source_sha256, body->source_sha256, sizeof batch.source_sha256);
    return batch;
}

// --- its record

static struct disk_entry *make_entry(struct disk_queue *queue, const struct bfr_batch *source)
{
    struct disk_entry *entry = bfr_disk_entry_new(queue);
    if (entry == NULL)
        return NULL;
    uint8_t *body = (uint8_t *)(uintptr_t)source->spans[0].data;
    entry->batch = queue->host->batch_make(queue->host, source, free, body);
    if (entry->batch == NULL) {
        free(entry);
        return NULL;
    }
    entry->body_bytes = source->body_bytes;
    entry->body_crc32c = source->crc32c;
    entry->received_ns = source->received_ns;
    entry->lane = LANE_AGED; // it has waited for long; what senders post now need not wait behind it
    bfr_disk_entry_open(queue, entry, queue->own_set, 0, 0);
    return entry;
}

// Room was reserved for the file as it is; the batch may have another size.
static bool reserve_difference(struct disk_queue *queue, const struct bfr_batch *batch, uint64_t reserved)
{
    if (batch->body_bytes <= reserved) {
        bfr_disk_release(queue, batch->tenant, reserved - batch->body_bytes);
        return true;
    }
    return bfr_disk_reserve(queue, batch->tenant, batch->body_bytes - reserved) == BFR_ROOM_OK;
}

// The body goes with the record.
static enum adopt_fate send_off(struct adopt *adopt, struct adopt_file *file, const struct bfr_batch *batch)
{
    struct disk_queue *queue = adopt->queue;
    const struct bfr_span span = {file->body.bytes, file->body.size};
    struct adopt_item *item = &adopt->items[adopt->item_count];
    uint64_t reserved = (uint64_t)file->info.st_size;
    struct bfr_batch source = *batch;

    source.spans = &span;
    source.span_count = 1;
    if (!reserve_difference(queue, batch, reserved)) {
        bfr_disk_release(queue, batch->tenant, reserved);
        return ADOPT_FULL;
    }
    *item = (struct adopt_item){.entry = make_entry(queue, &source)};
    if (item->entry != NULL) {
        file->body.bytes = NULL;
        if (bfr_disk_put_errand(queue, item->entry, &item->errand)) {
            memcpy(item->name, file->tree->name, strlen(file->tree->name) + 1);
            adopt->item_count++;
            adopt->item_bytes += batch->body_bytes;
            return ADOPT_UNDER_WAY;
        }
        bfr_disk_entry_free(queue, item->entry);
    }
    bfr_disk_release(queue, batch->tenant, batch->body_bytes);
    return ADOPT_LATER;
}

// --- from the file to its fate

static bool is_under_way(const struct adopt *adopt, const char *filename)
{
    for (size_t i = 0; i < adopt->item_count; i++)
        if (strcmp(adopt->items[i].entry->batch->filename, filename) == 0)
            return true;
    return false;
}

static enum adopt_fate drop_double(struct adopt *adopt, const struct adopt_file *file)
{
    if (!bfr_adopt_remove(file->tree->files, file->tree->name))
        return bfr_adopt_leave(adopt, file->tree, strerror(errno));
    return ADOPT_DOUBLE;
}

// The body is good. Room for a record is reserved, unless it is a letter.
static enum adopt_fate file_away(struct adopt *adopt, struct adopt_file *file)
{
    bool letter = file->tree->part == ADOPT_DLQ;
    read_meta(file);
    struct bfr_batch batch = describe(adopt, file);
    // "a" and "a.gz" are one batch here: the first of them must be through before the other is looked up.
    if (is_under_way(adopt, file->filename))
        (void)bfr_adopt_flush(adopt);
    bool known = bfr_adopt_is_known(adopt, &batch);
    if (!letter && !known)
        return send_off(adopt, file, &batch);
    if (!letter)
        bfr_disk_release(adopt->queue, file->tree->tenant, (uint64_t)file->info.st_size);
    return known ? drop_double(adopt, file) : bfr_adopt_letter(adopt, file, &batch);
}

static enum adopt_fate reserve(struct adopt *adopt, const struct adopt_file *file)
{
    if (file->tree->part == ADOPT_DLQ)
        return ADOPT_UNDER_WAY;
    uint32_t room = bfr_disk_reserve(adopt->queue, file->tree->tenant, (uint64_t)file->info.st_size);
    return room == BFR_ROOM_OK ? ADOPT_UNDER_WAY : room == BFR_ROOM_SHARE ? ADOPT_LATER : ADOPT_FULL;
}

static enum adopt_fate take_body(struct adopt *adopt, struct adopt_file *file, int fd)
{
    const char *why = NULL;
    enum adopt_fate fate = reserve(adopt, file);
    if (fate != ADOPT_UNDER_WAY)
        return fate;
    enum adopt_judgement judgement =
        bfr_adopt_body_read(fd, (size_t)file->info.st_size, bfr_adopt_stopping, adopt, &file->body, &why);
    if (judgement == ADOPT_BODY_GOOD) {
        fate = file_away(adopt, file);
        free(file->body.bytes);
        return fate;
    }
    int error = errno;
    if (file->tree->part != ADOPT_DLQ)
        bfr_disk_release(adopt->queue, file->tree->tenant, (uint64_t)file->info.st_size);
    if (judgement == ADOPT_BODY_BROKEN)
        return bfr_adopt_aside(adopt, file, why);
    if (judgement == ADOPT_BODY_ERROR && error != ENOMEM)
        return bfr_adopt_leave(adopt, file->tree, strerror(error));
    return ADOPT_LATER;
}

enum adopt_fate bfr_adopt_take(struct adopt *adopt, const struct adopt_tree *tree)
{
    struct adopt_file file = {.tree = tree};
    uint64_t share = adopt->queue->options.max_size_bytes / BODY_SHARE, most = share < BODY_MAX ? share : BODY_MAX;
    int fd = openat(tree->files, tree->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    enum adopt_fate fate;

    if (fd < 0 || fstat(fd, &file.info) != 0)
        fate = bfr_adopt_leave(adopt, tree, errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    else if (!S_ISREG(file.info.st_mode))
        fate = bfr_adopt_leave(adopt, tree, "it is not a regular file");
    else if (faccessat(tree->files, ".", W_OK, AT_EACCESS) != 0)
        fate =
            bfr_adopt_leave(adopt, tree, "it could not be removed; make its directory writable for the service user");
    else if (!bfr_adopt_filename(tree->name, file.filename))
        fate = bfr_adopt_aside(adopt, &file, "no batch can have that name");
    else if (file.info.st_size == 0)
        fate = bfr_adopt_aside(adopt, &file, "it is empty");
    else if ((uint64_t)file.info.st_size > most)
        fate = bfr_adopt_leave(adopt, tree, "it is larger than 256 MiB or a quarter of max_size_bytes");
    else
        fate = take_body(adopt, &file, fd);
    if (fd >= 0)
        close(fd);
    return fate;
}

// --- the end of the way

static void tell_stuck(struct adopt *adopt, const char *name, int error)
{
    char place[ADOPT_PLACE_SIZE];
    bfr_adopt_place(&adopt->tree, name, place, sizeof place);
    bfr_log(adopt->queue->host, BFR_LOG_WARN,
            "file of the previous product is adopted and cannot be removed; remove it, or a later start sends it again",
            "directory", adopt->queue->options.directory, "file", place, "reason", strerror(error), NULL);
    adopt->sums.left++;
}

// A sender has posted the same batch meanwhile, and that one is on stable storage: this record is not offered.
static void give_up(struct disk_queue *queue, struct disk_entry *entry)
{
    struct disk_entry *chain = NULL;
    pthread_mutex_lock(&queue->mutex);
    bfr_disk_entry_purge(queue, entry, &chain);
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
}

enum conclusion {
    CONCLUDED_OFFER = 1, // its record is to be offered
    CONCLUDED_DOUBLE,
    CONCLUDED_FAILED, // there is no record, and the file stays
};

static enum conclusion conclude(struct adopt *adopt, struct adopt_item *item)
{
    struct disk_queue *queue = adopt->queue;
    struct disk_entry *entry = item->entry;
    if (!bfr_disk_errand_wait(queue, &item->errand)) {
        bfr_disk_release(queue, entry->batch->tenant, entry->body_bytes);
        bfr_disk_entry_free(queue, entry);
        adopt->sums.later++;
        return CONCLUDED_FAILED;
    }
    // The record is the batch from now on, whatever becomes of the file. One that stays is known to the next start by
    // recent.log, and behind that the sink finds the batch there; taking the record back could lose it.
    if (!bfr_adopt_remove(adopt->tree.files, item->name))
        tell_stuck(adopt, item->name, errno);
    bfr_adopt_note(adopt, entry->batch);
    if (bfr_disk_remember(queue, entry->batch, BFR_KEY_HELD)) {
        give_up(queue, entry);
        adopt->sums.doubles++;
        return CONCLUDED_DOUBLE;
    }
    queue->host->account(queue->host, BFR_ACCOUNT_FOUND_HELD, entry->batch->tenant, 1, entry->body_bytes);
    adopt->sums.adopted++;
    return CONCLUDED_OFFER;
}

bool bfr_adopt_flush(struct adopt *adopt)
{
    struct disk_queue *queue = adopt->queue;
    size_t good = 0, failed = 0, count = adopt->item_count;
    if (count == 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        enum conclusion conclusion = conclude(adopt, &adopt->items[i]);
        failed += conclusion == CONCLUDED_FAILED ? 1 : 0;
        if (conclusion == CONCLUDED_OFFER)
            adopt->items[good++].entry = adopt->items[i].entry;
    }
    (void)fsync(adopt->tree.files); // a file that comes back is a double
    pthread_mutex_lock(&queue->mutex);
    for (size_t i = 0; i < good; i++)
        bfr_disk_entry_offer(queue, adopt->items[i].entry);
    pthread_mutex_unlock(&queue->mutex);
    adopt->item_count = 0;
    adopt->item_bytes = 0;
    if (good > 0)
        queue->host->ready(queue->host);
    return failed == 0;
}
