// SPDX-License-Identifier: Apache-2.0
// Adoption, step by step, between the keeper's other duties; it never holds up a start, a stop, or a sender. A step looks at
// a bounded number of directory entries and ends with nothing on its way. Files that have to wait for room are met again in
// another walk.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "adopt_state.h"
#include "letter_file.h"

#define EVENTS_AT_ONCE  256
#define LETTERS_AT_ONCE 64
#define BYTES_AT_ONCE   (UINT64_C(4) << 20)
#define PAUSE_FIRST_NS  DISK_NS_PER_S
#define PAUSE_MOST_NS   (60 * DISK_NS_PER_S)

bool bfr_adopt_stopping(void *arg)
{
    struct adopt *adopt = arg;
    pthread_mutex_lock(&adopt->queue->mutex);
    bool stop = adopt->queue->keeper_stop;
    pthread_mutex_unlock(&adopt->queue->mutex);
    return stop;
}

// --- what the spool has had

// Who waits for it plays no part, and what counts are the bytes as they came: in disk_seen's terms.
static struct bfr_batch as_key(const char *tenant, const char *dataset, const char *filename, const uint8_t source[32])
{
    struct bfr_batch key = {.size = sizeof key, .tenant = tenant, .dataset = dataset, .filename = filename};
    memcpy(key.stored_sha256, source, sizeof key.stored_sha256);
    return key;
}

void bfr_adopt_note(struct adopt *adopt, const struct bfr_batch *batch)
{
    const struct bfr_batch key = as_key(batch->tenant, batch->dataset, batch->filename, batch->source_sha256);
    (void)bfr_disk_seen_add(adopt->known, &key, NULL, 0, 1);
}

bool bfr_adopt_is_known(const struct adopt *adopt, const struct bfr_batch *batch)
{
    const struct bfr_batch key = as_key(batch->tenant, batch->dataset, batch->filename, batch->source_sha256);
    return bfr_disk_seen_has(adopt->known, &key, NULL, 0);
}

static void note_recent(void *arg, const struct bfr_recent *recent, uint64_t sequence)
{
    (void)sequence;
    struct adopt *adopt = arg;
    const struct bfr_batch key = as_key(recent->tenant, recent->dataset, recent->filename, recent->source_sha256);
    (void)bfr_disk_seen_add(adopt->known, &key, NULL, 0, 1);
}

static void take_in_recent(struct adopt *adopt)
{
    struct disk_queue *queue = adopt->queue;
    (void)bfr_recent_read(&queue->recent, note_recent, adopt);
    pthread_mutex_lock(&queue->work);
    adopt->letters = bfr_letter_list(queue->dir.letters, false, &adopt->letter_count);
    pthread_mutex_unlock(&queue->work);
    if (adopt->letters == NULL)
        adopt->letter_count = 0;
    adopt->phase = ADOPT_PHASE_LETTERS;
}

static void take_in_letters(struct adopt *adopt)
{
    struct disk_queue *queue = adopt->queue;
    struct letter_note note;
    for (size_t i = 0; i < LETTERS_AT_ONCE && adopt->letter_next < adopt->letter_count; i++) {
        if (!bfr_letter_read(queue->dir.letters, adopt->letters[adopt->letter_next++], &note))
            continue;
        bfr_adopt_note(adopt, &note.batch);
        bfr_letter_note_free(&note);
    }
    if (adopt->letter_next < adopt->letter_count)
        return;
    free(adopt->letters);
    adopt->letters = NULL;
    adopt->phase = ADOPT_PHASE_WALK;
}

// --- the walk

static bool is_gone(int directory, const char *name)
{
    struct stat info;
    return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

// A meta whose data, `length` bytes of its name, is gone. One that lies in queue/ while its data went on is still wanted.
static bool is_orphan(const struct adopt_tree *tree, size_t length)
{
    char data[NAME_MAX + 1], moved[NAME_MAX + 16];
    snprintf(data, sizeof data, "%.*s", (int)length, tree->name);
    if (!is_gone(tree->files, data))
        return false;
    for (unsigned part = ADOPT_RETRY; part < ADOPT_QUEUE && tree->part == ADOPT_QUEUE; part++) {
        snprintf(moved, sizeof moved, "%s/%s", bfr_adopt_part_names[part], data);
        if (!is_gone(tree->dataset_fd, moved))
            return false;
    }
    return true;
}

static bool is_meta(const char *name, size_t *out_length)
{
    size_t size = strlen(name), tail = strlen(".meta");
    *out_length = size > tail ? size - tail : 0;
    return size > tail && strcmp(name + size - tail, ".meta") == 0;
}

static void count(struct adopt *adopt, enum adopt_fate fate)
{
    struct adopt_sums *sums = &adopt->sums;
    sums->letters += fate == ADOPT_ADOPTED;
    sums->aside += fate == ADOPT_ASIDE;
    sums->doubles += fate == ADOPT_DOUBLE;
    sums->left += fate == ADOPT_LEFT;
    sums->later += fate == ADOPT_LATER || fate == ADOPT_FULL;
}

// False: without room there is no point in going on.
static bool look_at(struct adopt *adopt)
{
    struct adopt_tree *tree = &adopt->tree;
    size_t length;
    if (is_meta(tree->name, &length)) {
        if (is_orphan(tree, length) && unlinkat(tree->files, tree->name, 0) == 0)
            adopt->sums.metas++;
        return true;
    }
    enum adopt_fate fate = bfr_adopt_take(adopt, tree);
    count(adopt, fate);
    return fate != ADOPT_FULL;
}

static void tell(struct adopt *adopt, bool end)
{
    const struct adopt_sums *sums = &adopt->sums;
    if (sums->adopted + sums->letters + sums->aside + sums->doubles + sums->metas + sums->left + sums->later == 0)
        return;
    bfr_log(adopt->queue->host, BFR_LOG_INFO,
            end ? "files of the previous product are adopted"
                : "some files of the previous product cannot be adopted now; they are tried again as there is room",
            "adopted", bfr_num((int64_t)sums->adopted).text, "dead_letters", bfr_num((int64_t)sums->letters).text,
            "set_aside", bfr_num((int64_t)sums->aside).text, "known_before", bfr_num((int64_t)sums->doubles).text,
            "metas_removed", bfr_num((int64_t)sums->metas).text, "left", bfr_num((int64_t)sums->left).text, "waiting",
            bfr_num((int64_t)sums->later).text, NULL);
}

static void end_walk(struct adopt *adopt)
{
    uint64_t later = adopt->sums.later;
    bfr_adopt_tree_close(&adopt->tree);
    if (later == 0) {
        tell(adopt, true);
        adopt->phase = ADOPT_PHASE_DONE;
        return;
    }
    if (adopt->said_later == 0)
        tell(adopt, false);
    adopt->said_later = later;
    adopt->pause_ns = adopt->pause_ns == 0                  ? PAUSE_FIRST_NS
                      : 2 * adopt->pause_ns < PAUSE_MOST_NS ? 2 * adopt->pause_ns
                                                            : PAUSE_MOST_NS;
    adopt->retry_at_ns = adopt->queue->host->monotonic_ns(adopt->queue->host) + adopt->pause_ns;
    adopt->phase = ADOPT_PHASE_PAUSE;
}

static void walk(struct adopt *adopt)
{
    bool more = true;
    for (size_t i = 0; i < EVENTS_AT_ONCE && more && !bfr_adopt_stopping(adopt); i++) {
        switch (bfr_adopt_tree_next(&adopt->tree)) {
        case ADOPT_ENTRY:
            more = look_at(adopt);
            break;
        case ADOPT_LEAVING:
            more = bfr_adopt_flush(adopt);
            break;
        case ADOPT_MOVED:
            break;
        case ADOPT_END:
            more = false;
            break;
        }
        if (adopt->item_count == ADOPT_FILES_AT_ONCE || adopt->item_bytes >= BYTES_AT_ONCE)
            break;
    }
    more = bfr_adopt_flush(adopt) && more;
    if (!more)
        end_walk(adopt);
}

// Those that were left are met, and told of, once more.
static void begin_again(struct adopt *adopt)
{
    if (adopt->queue->host->monotonic_ns(adopt->queue->host) < adopt->retry_at_ns)
        return;
    adopt->sums.later = adopt->sums.left = 0;
    if (bfr_adopt_tree_open(&adopt->tree, adopt->base))
        adopt->phase = ADOPT_PHASE_WALK;
}

bool bfr_adopt_step(struct disk_queue *queue)
{
    struct adopt *adopt = queue->adopt;
    if (adopt == NULL)
        return false;
    switch (adopt->phase) {
    case ADOPT_PHASE_RECENT:
        take_in_recent(adopt);
        break;
    case ADOPT_PHASE_LETTERS:
        take_in_letters(adopt);
        break;
    case ADOPT_PHASE_WALK:
        walk(adopt);
        break;
    case ADOPT_PHASE_PAUSE:
        begin_again(adopt);
        break;
    case ADOPT_PHASE_DONE:
        break;
    }
    if (adopt->phase == ADOPT_PHASE_DONE)
        bfr_adopt_close(queue);
    return queue->adopt != NULL && adopt->phase != ADOPT_PHASE_PAUSE;
}

// --- beginning and end

static bool has_tenants(int base)
{
    int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *item;
    char id[BFR_ID_MAX + 1];
    bool found = false;
    if (stream == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (!found && (item = readdir(stream)) != NULL)
        found = bfr_adopt_is_tenant(item->d_name, id);
    (void)closedir(stream);
    return found;
}

void bfr_adopt_open(struct disk_queue *queue)
{
    int base = openat(queue->dir.root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct adopt *adopt = base >= 0 && has_tenants(base) ? calloc(1, sizeof *adopt) : NULL;
    if (adopt == NULL) {
        if (base >= 0)
            close(base);
        return;
    }
    adopt->queue = queue;
    adopt->base = base;
    adopt->phase = ADOPT_PHASE_RECENT;
    adopt->known = bfr_disk_seen_new();
    // Letters are named like records, and no name is ever given twice: an id that no segment will have.
    adopt->next_sequence = queue->next_segment_id++ << 24;
    queue->adopt = adopt;
    if (!bfr_adopt_tree_open(&adopt->tree, base)) {
        bfr_log(queue->host, BFR_LOG_WARN, "files of the previous product cannot be listed; they stay where they are",
                "directory", queue->options.directory, "reason", strerror(errno), NULL);
        bfr_adopt_close(queue);
    }
}

void bfr_adopt_close(struct disk_queue *queue)
{
    struct adopt *adopt = queue->adopt;
    if (adopt == NULL)
        return;
    bfr_adopt_tree_close(&adopt->tree);
    bfr_disk_seen_free(adopt->known);
    free(adopt->letters);
    close(adopt->base);
    free(adopt);
    queue->adopt = NULL;
}
