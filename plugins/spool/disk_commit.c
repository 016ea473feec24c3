// SPDX-License-Identifier: Apache-2.0
// The commit thread of the disk queue. It takes what waits, writes it with one pwritev and one fdatasync, and completes it in
// one call; what arrives meanwhile forms the next group. No batch is completed before its record is on the disk, and a
// group that failed in any way is completed with RETRY: the stage before keeps it, or its sender is told to come again.
#include "disk_commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "disk_entry.h"
#include "disk_group.h"
#include "disk_lease.h"
#include "disk_recent.h"
#include "disk_room.h"

#define MARKS_AFTER_NS (500 * DISK_NS_PER_MS)

// What the thread works with.
struct commit {
    struct disk_queue *queue;
    struct disk_group *group;
    struct bfr_completion completions[GROUP_ENTRIES_MAX];
    const struct bfr_completion *pointers[GROUP_ENTRIES_MAX];
};

// --- completing

// Those that the host put; errands are counted down under the mutex.
static void complete(struct commit *commit, struct disk_entry *const *entries, size_t count, uint32_t outcome,
                     const char *text)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->errand != NULL)
            continue;
        commit->completions[used] = (struct bfr_completion){
            .size = sizeof commit->completions[used],
            .outcome = outcome,
            .token = entries[i]->token,
            .flags = outcome == BFR_RETRY ? BFR_OUTAGE : 0,
            .text = text,
        };
        commit->pointers[used] = &commit->completions[used];
        used++;
    }
    if (used > 0)
        commit->queue->host->complete(commit->queue->host, commit->pointers, used);
}

// The mutex is held.
static void count_done(struct disk_queue *queue, struct disk_entry *const *entries, size_t count, bool good)
{
    for (size_t i = 0; i < count; i++) {
        queue->pending_count--;
        queue->pending_bytes -= entries[i]->body_bytes;
        if (entries[i]->errand == NULL)
            continue;
        entries[i]->errand->open--;
        entries[i]->errand->failed += good ? 0 : 1;
    }
    pthread_cond_broadcast(&queue->commit_done);
}

// None of these is on the disk as far as anybody is told. An errand's entry goes back to who sent it, not entered.
static void fail_entries(struct commit *commit, struct disk_entry *const *entries, size_t count)
{
    struct disk_queue *queue = commit->queue;
    struct disk_entry *chain = NULL;
    char text[sizeof queue->failure];

    pthread_mutex_lock(&queue->mutex);
    memcpy(text, queue->failure, sizeof text);
    for (size_t i = 0; i < count; i++)
        bfr_disk_entry_leave(queue, entries[i]);
    pthread_mutex_unlock(&queue->mutex);

    complete(commit, entries, count, BFR_RETRY, text[0] != '\0' ? text : "the disk queue is stopping");
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->errand != NULL)
            continue;
        entries[i]->next = chain;
        chain = entries[i];
    }
    pthread_mutex_lock(&queue->mutex);
    count_done(queue, entries, count, false);
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_entries_free(queue, chain);
}

// --- a group that is on the disk

// Held from now on, not to be leased yet. The mutex is held.
static void place_group(struct disk_queue *queue, struct disk_group *group)
{
    struct disk_segment *segment = queue->current;
    for (size_t i = 0; i < group->count; i++) {
        struct disk_entry *entry = group->entries[i];
        bfr_disk_entry_place(queue, entry, segment, true);
        bfr_disk_share_add(queue, entry->tenant, entry->body_bytes);
        bfr_disk_room_consume(queue, entry->tenant, entry->body_bytes);
        bfr_disk_copy_keep(queue, entry);
        if (segment->oldest_ns == 0)
            segment->oldest_ns = entry->received_ns;
    }
    segment->file.end_bytes += group->bytes;
    segment->records += group->count;
    bfr_disk_side_grow(queue, segment, group->entries, group->count);
    queue->failing = false;
    queue->failure[0] = '\0';
    queue->commits++;
    queue->commit_batches += group->count;
}

// Leasable, unless whoever sent an errand has something to do first. The mutex is held.
static void offer_group(struct disk_queue *queue, struct disk_group *group)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->entries[i]->errand == NULL)
            bfr_disk_entry_offer(queue, group->entries[i]);
    count_done(queue, group->entries, group->count, true);
    if (queue->marks_since_ns == 0)
        queue->marks_since_ns = queue->host->monotonic_ns(queue->host); // recent.log wants a sync too
}

// Held, completed, offered, in this order: nobody can lease, and settle, a batch that its sender's side does not know to be
// accepted.
static void finish_group(struct commit *commit)
{
    struct disk_queue *queue = commit->queue;
    struct disk_group *group = commit->group;
    uint64_t copies = 0;

    pthread_mutex_lock(&queue->mutex);
    bool recovering = queue->failing;
    place_group(queue, group);
    if (queue->copies_bytes > queue->options.ram_copies_bytes)
        copies = queue->copies_bytes - queue->options.ram_copies_bytes;
    pthread_mutex_unlock(&queue->mutex);

    if (recovering)
        bfr_log(queue->host, BFR_LOG_INFO, "the spool can be written again", "directory", queue->options.directory,
                NULL);
    complete(commit, group->entries, group->count, BFR_STORED, NULL);
    bfr_disk_recent_add(queue, group->recent, group->recent_used, group->count);

    pthread_mutex_lock(&queue->mutex);
    offer_group(queue, group);
    queue->refused = false; // whoever was refused for what was on its way is told now
    pthread_mutex_unlock(&queue->mutex);
    queue->host->ready(queue->host);
    if (copies > 0)
        bfr_disk_evict(queue, copies);
    bfr_disk_figures_commit(queue, group->count);
}

// --- writing

static void write_group(struct commit *commit)
{
    struct disk_queue *queue = commit->queue;
    struct disk_group *group = commit->group;

    struct disk_segment *segment = queue->current; // there is one as soon as anything is in the group
    if (group->count == 0 || segment == NULL)
        return;
    struct segment_file *file = &segment->file;
    if (!bfr_segment_write(file, group->vectors, group->vector_count, group->bytes)) {
        // The end stays where it is: the next group goes over whatever of this one has arrived.
        bfr_disk_fail(queue, "write", file->id, errno);
        segment->records += group->count;
        fail_entries(commit, group->entries, group->count);
    } else if (!bfr_segment_sync(file)) {
        // After a failed sync the kernel may drop what it could not write and say so only once. Nothing more goes into this
        // segment, and nothing behind its last good end counts.
        bfr_disk_fail(queue, "sync", file->id, errno);
        bfr_disk_seal(queue);
        fail_entries(commit, group->entries, group->count);
    } else {
        finish_group(commit);
    }
    bfr_disk_group_clear(group);
}

// Put `entry` into the group, or fail it, writing the group and changing the segment as need be.
static void gather(struct commit *commit, struct disk_entry *entry)
{
    static const struct disk_segment none = {.file = {.fd = -1, .marks_fd = -1}};
    struct disk_queue *queue = commit->queue;
    uint64_t bytes = 0;

    for (bool rolled = false;;) {
        const struct disk_segment *segment = queue->current != NULL ? queue->current : &none;
        switch (bfr_disk_group_add(commit->group, segment, entry, &bytes)) {
        case GROUP_TAKEN:
            return;
        case GROUP_FULL:
            write_group(commit);
            continue;
        case GROUP_NO_ROOM:
            if (!rolled && bfr_disk_roll(queue, bytes)) {
                rolled = true;
                continue;
            }
            break;
        case GROUP_IMPOSSIBLE:
            bfr_disk_fail(queue, "encode a record for", 0, ENOMEM);
            break;
        }
        fail_entries(commit, &entry, 1);
        return;
    }
}

static void write_chain(struct commit *commit, struct disk_entry *chain)
{
    while (chain != NULL) {
        struct disk_entry *next = chain->next; // the entry belongs to others once it is offered
        gather(commit, chain);
        chain = next;
    }
    write_group(commit);
}

// --- the thread

// When the thread must turn without being told. The mutex is held.
static uint64_t next_turn(const struct disk_queue *queue)
{
    uint64_t due = UINT64_MAX;
    if (queue->marks_since_ns != 0)
        due = queue->marks_since_ns + MARKS_AFTER_NS;
    if (queue->failing && queue->refused && queue->retry_at_ns < due)
        due = queue->retry_at_ns;
    if (queue->pending_first != NULL) {
        uint64_t patience_ns = queue->pending_awaited ? 0 : queue->options.commit_interval_ms * DISK_NS_PER_MS;
        uint64_t gathered = queue->pending_since_ns + patience_ns;
        due = gathered < due ? gathered : due;
    }
    return due;
}

static bool marks_due(const struct disk_queue *queue, uint64_t now_ns)
{
    return queue->marks_wanted || (queue->marks_since_ns != 0 && now_ns >= queue->marks_since_ns + MARKS_AFTER_NS);
}

static struct disk_entry *take_pending(struct disk_queue *queue)
{
    struct disk_entry *chain = queue->pending_first;
    queue->pending_first = NULL;
    queue->pending_last = &queue->pending_first;
    queue->pending_since_ns = 0;
    queue->pending_awaited = false;
    return chain;
}

// Sleep until there is something to do. The mutex is held.
static void wait_for_work(struct disk_queue *queue)
{
    for (;;) {
        uint64_t now_ns = queue->host->monotonic_ns(queue->host);
        uint64_t due = next_turn(queue);
        if (queue->commit_stop || queue->marks_wanted || due <= now_ns)
            return;
        bfr_disk_wait(queue, &queue->commit_wanted, due);
    }
}

// One turn; false: the end. The mutex is held, and released meanwhile.
static bool turn(struct commit *commit)
{
    struct disk_queue *queue = commit->queue;

    wait_for_work(queue);
    bool stop = queue->commit_stop;
    uint64_t now_ns = queue->host->monotonic_ns(queue->host);
    struct disk_entry *chain = take_pending(queue);
    bool marks = marks_due(queue, now_ns) || stop;
    bool again = queue->failing && queue->refused && now_ns >= queue->retry_at_ns;
    queue->refused &= !again;
    pthread_mutex_unlock(&queue->mutex);

    if (again)
        queue->host->ready(queue->host);
    while (stop && chain != NULL) {
        struct disk_entry *next = chain->next;
        fail_entries(commit, &chain, 1);
        chain = next;
    }
    write_chain(commit, chain);
    if (marks)
        bfr_disk_sync_marks(queue);

    pthread_mutex_lock(&queue->mutex);
    return !stop;
}

static void *commit_main(void *arg)
{
    struct commit *commit = arg;
    struct disk_queue *queue = commit->queue;

    pthread_mutex_lock(&queue->mutex);
    while (turn(commit))
        ;
    pthread_mutex_unlock(&queue->mutex);
    bfr_disk_group_free(commit->group);
    free(commit);
    return NULL;
}

uint32_t bfr_disk_commit_start(struct disk_queue *queue, struct bfr_err *err)
{
    struct commit *commit = calloc(1, sizeof *commit);
    struct disk_group *group = bfr_disk_group_new();
    uint32_t status;

    if (commit == NULL || group == NULL) {
        status = bfr_err_set(err, BFR_ENOMEM, "out of memory for the commit thread");
    } else {
        commit->queue = queue;
        commit->group = group;
        queue->commit_stop = false;
        queue->commit_runs = true;
        status = bfr_disk_thread(&queue->commit_thread, "disk-commit", commit_main, commit, err);
    }
    if (status != BFR_OK) {
        queue->commit_runs = false;
        bfr_disk_group_free(group);
        free(commit);
    }
    return status; // NOLINT(clang-analyzer-unix.Malloc): the thread frees what it was given
}

void bfr_disk_commit_drain(struct disk_queue *queue, uint64_t deadline_ns)
{
    pthread_mutex_lock(&queue->mutex);
    while (queue->pending_count > 0 && queue->host->monotonic_ns(queue->host) < deadline_ns)
        bfr_disk_wait(queue, &queue->commit_done, deadline_ns);
    pthread_mutex_unlock(&queue->mutex);
}

void bfr_disk_commit_stop(struct disk_queue *queue)
{
    if (!queue->commit_runs)
        return;
    pthread_mutex_lock(&queue->mutex);
    queue->commit_stop = true;
    pthread_cond_signal(&queue->commit_wanted);
    pthread_mutex_unlock(&queue->mutex);
    pthread_join(queue->commit_thread, NULL);
    queue->commit_runs = false;
}
