// SPDX-License-Identifier: Apache-2.0
// See disk_recent.h. Failing here never fails a batch; health says that repeated deliveries may be stored again.
#include "disk_recent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bfr/text.h>

#include "recent_log.h"

#define RECENT_SHARE     16 // at most this part of the spool
#define RECENT_BYTES_MIN (UINT64_C(64) << 10)

// What it takes, for the books of room.
static void count_bytes(struct disk_queue *queue)
{
    uint64_t bytes = bfr_recent_bytes(&queue->recent);
    pthread_mutex_lock(&queue->mutex);
    queue->recent_bytes = bytes;
    pthread_mutex_unlock(&queue->mutex);
}

void bfr_disk_recent_open(struct disk_queue *queue)
{
    // Two files of half the share each.
    uint64_t most = queue->options.max_size_bytes / RECENT_SHARE / 2;
    bfr_recent_limit(&queue->recent, queue->options.recent_max_entries,
                     most > RECENT_BYTES_MIN ? most : RECENT_BYTES_MIN);
    if (!bfr_recent_open(&queue->recent, queue->dir.root) || !bfr_recent_read(&queue->recent, NULL, NULL))
        bfr_disk_recent_trouble(queue, errno);
    count_bytes(queue);
}

void bfr_disk_recent_add(struct disk_queue *queue, const uint8_t *bytes, size_t size, size_t entries)
{
    if (!bfr_recent_append(&queue->recent, bytes, size, entries))
        bfr_disk_recent_trouble(queue, errno);
    count_bytes(queue);
}

void bfr_disk_recent_sync(struct disk_queue *queue)
{
    if (!bfr_recent_sync(&queue->recent))
        bfr_disk_recent_trouble(queue, errno);
}

void bfr_disk_recent_found(struct disk_queue *queue, const struct bfr_batch *batch, uint64_t sequence)
{
    uint8_t entry[RECENT_ENTRY_MAX];
    size_t size = bfr_recent_encode(batch, sequence, entry);
    if (size > 0)
        bfr_disk_recent_add(queue, entry, size, 1);
}

void bfr_disk_recent_forget(struct disk_queue *queue, const struct bfr_batch *batch)
{
    bfr_disk_recent_found(queue, batch, RECENT_PURGED);
}

bool bfr_disk_remember(struct disk_queue *queue, const struct bfr_batch *batch, uint32_t state)
{
    struct bfr_recent recent = {.size = sizeof recent,
                                .tenant = batch->tenant,
                                .dataset = batch->dataset,
                                .filename = batch->filename,
                                .body_bytes = batch->body_bytes,
                                .received_ns = batch->received_ns};
    memcpy(recent.source_sha256, batch->source_sha256, sizeof recent.source_sha256);
    return queue->host->remember(queue->host, state, &recent);
}

// --- telling the host

// Sequences, rising once they are sorted.
struct numbers {
    uint64_t *list;
    size_t count, room;
};

// A key that was purged: what was received until then under it is not known any more. In any order with the entry of the
// batch, which the newest segment may bring in later once more.
struct purged {
    uint64_t key; // a hash
    int64_t until_ns;
};

struct telling {
    struct disk_queue *queue;
    void (*visit)(void *arg, const struct bfr_recent *recent, bool held, bool buried);
    void *arg;
    int64_t since_ns;
    uint64_t first_id; // the oldest segment that any of them was written to
    struct numbers held, buried;
    struct purged *purged;
    size_t purged_count, purged_room;
    bool failed; // memory was short
};

static bool numbers_add(struct numbers *numbers, uint64_t number)
{
    if (numbers->count == numbers->room) {
        size_t room = numbers->room == 0 ? 1024 : 2 * numbers->room;
        uint64_t *list = reallocarray(numbers->list, room, sizeof *list);
        if (list == NULL)
            return false;
        numbers->list = list;
        numbers->room = room;
    }
    numbers->list[numbers->count++] = number;
    return true;
}

static int compare_numbers(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static void numbers_sort(struct numbers *numbers)
{
    if (numbers->count > 1)
        qsort(numbers->list, numbers->count, sizeof *numbers->list, compare_numbers);
}

static bool numbers_have(const uint64_t *list, size_t count, uint64_t number)
{
    return count > 0 && bsearch(&number, list, count, sizeof *list, compare_numbers) != NULL;
}

// What of one segment is not settled. One that cannot be read now says nothing: its repeats are answered at once. `work` is
// held, so the file stays.
static bool note_segment(struct telling *telling, uint64_t id)
{
    int directory = telling->queue->dir.segments;
    struct segment_file file;
    struct found found;
    if (!bfr_segment_open(&file, directory, id))
        return true;
    bool read = bfr_segment_load(&file, directory, NULL, &found), good = read || errno != ENOMEM;
    bfr_segment_close(&file);
    for (size_t i = 0; read && good && i < found.count; i++) {
        const struct found_record *record = &found.records[i];
        uint32_t every = (uint32_t)((UINT64_C(1) << found.sets[record->set].count) - 1);
        bool open = (every & ~(record->confirmed | record->buried)) != 0;
        good = numbers_add(open ? &telling->held : &telling->buried, record->sequence);
    }
    if (read)
        bfr_found_free(&found);
    return good;
}

// The newest segment with a lower id; 0: there is none.
static uint64_t segment_before(struct disk_queue *queue, uint64_t id)
{
    uint64_t before = 0;
    pthread_mutex_lock(&queue->mutex);
    for (const struct list *node = queue->segments.prev; node != &queue->segments && before == 0; node = node->prev) {
        const struct disk_segment *segment = LIST_OWNER(node, struct disk_segment, link);
        before = segment->file.id < id ? segment->file.id : 0;
    }
    pthread_mutex_unlock(&queue->mutex);
    return before;
}

// Records may have moved on to later segments, never to earlier ones.
static bool note_segments(struct telling *telling)
{
    struct disk_queue *queue = telling->queue;
    uint64_t id = UINT64_MAX;
    bool good = true;
    while (good && (id = segment_before(queue, id)) >= telling->first_id && id != 0)
        good = note_segment(telling, id);
    numbers_sort(&telling->held);
    numbers_sort(&telling->buried);
    return good;
}

static uint64_t key_of(const struct bfr_recent *recent)
{
    const char *const names[] = {recent->tenant, recent->dataset, recent->filename};
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (size_t i = 0; i < 3; i++)
        for (const char *at = names[i]; at == names[i] || at[-1] != '\0'; at++)
            hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    return hash;
}

// By key, the latest first.
static int compare_purged(const void *left, const void *right)
{
    const struct purged *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->until_ns < b->until_ns) - (a->until_ns > b->until_ns);
}

static void purged_add(struct telling *telling, const struct bfr_recent *recent)
{
    if (telling->purged_count == telling->purged_room) {
        size_t room = telling->purged_room == 0 ? 256 : 2 * telling->purged_room;
        struct purged *list = reallocarray(telling->purged, room, sizeof *list);
        if (list == NULL) {
            telling->failed = true;
            errno = ENOMEM;
            return;
        }
        telling->purged = list;
        telling->purged_room = room;
    }
    telling->purged[telling->purged_count++] = (struct purged){key_of(recent), recent->received_ns};
}

static bool is_purged(const struct telling *telling, const struct bfr_recent *recent)
{
    if (telling->purged_count == 0)
        return false;
    uint64_t key = key_of(recent);
    size_t low = 0, high = telling->purged_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (telling->purged[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < telling->purged_count && telling->purged[low].key == key &&
           telling->purged[low].until_ns >= recent->received_ns;
}

static void find_first(void *arg, const struct bfr_recent *recent, uint64_t sequence)
{
    struct telling *telling = arg;
    if (sequence == RECENT_PURGED)
        purged_add(telling, recent);
    else if (recent->received_ns >= telling->since_ns && sequence >> 24 < telling->first_id)
        telling->first_id = sequence >> 24;
}

static void tell(void *arg, const struct bfr_recent *recent, uint64_t sequence)
{
    const struct telling *telling = arg;
    const struct disk_queue *queue = telling->queue;
    struct bfr_recent told = *recent;
    if (sequence == RECENT_PURGED || recent->received_ns < telling->since_ns || is_purged(telling, recent))
        return;
    told.flags = BFR_RECENT_COUNTED; // host->account has the sums
    bool held = numbers_have(telling->held.list, telling->held.count, sequence);
    bool buried = numbers_have(telling->buried.list, telling->buried.count, sequence) ||
                  numbers_have(queue->filed, queue->filed_count, sequence);
    telling->visit(telling->arg, &told, held, buried && !held);
}

void bfr_disk_recent(void *self, void (*visit)(void *arg, const struct bfr_recent *recent, bool held, bool buried),
                     void *arg)
{
    struct disk_queue *queue = self;
    struct telling telling = {.queue = queue, .visit = visit, .arg = arg, .first_id = UINT64_MAX};
    telling.since_ns = queue->host->wall_ns(queue->host) - (int64_t)(queue->options.recent_window_ms * DISK_NS_PER_MS);
    pthread_mutex_lock(&queue->work);
    bool good = bfr_recent_read(&queue->recent, find_first, &telling) && !telling.failed;
    if (telling.purged_count > 1)
        qsort(telling.purged, telling.purged_count, sizeof *telling.purged, compare_purged);
    if (!good || !note_segments(&telling) || !bfr_recent_read(&queue->recent, tell, &telling))
        bfr_disk_recent_trouble(queue, errno);
    pthread_mutex_unlock(&queue->work);
    free(telling.held.list);
    free(telling.buried.list);
    free(telling.purged);
}

void bfr_disk_recent_trouble(struct disk_queue *queue, int error)
{
    pthread_mutex_lock(&queue->mutex);
    bool news = queue->recent_error == 0;
    queue->recent_error = error;
    pthread_mutex_unlock(&queue->mutex);
    if (news)
        bfr_log(queue->host, BFR_LOG_WARN,
                "recent.log cannot be kept; batches sent twice around a restart may be stored twice", "directory",
                queue->options.directory, "reason", strerror(error), NULL);
}
