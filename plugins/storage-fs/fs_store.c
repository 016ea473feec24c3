// SPDX-License-Identifier: Apache-2.0
// See fs_store.h. The phases of a group, and why in this order:
//
//     write   every body goes to a temporary file, and the kernel is asked to begin writing it out
//     sync    one fdatasync a file: its bytes and length are on disk. By now most of them are, and on a journalling file
//             system the first one commits for all
//     place   renameat2(RENAME_NOREPLACE): the name appears at once with all bytes, or not at all
//     settle  one fsync per directory, for all names that were placed in it
//     report  all completions in one call
//
// A batch that fails in one phase leaves the later ones out; the others go on.
#include "fs_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs_group.h"
#include "fs_sidecar.h"

bool bfr_fs_store_init(struct fs_store *store, const struct bfr_host *host, const char *directory, bool sidecar)
{
    store->host = host;
    store->sidecar = sidecar;
    bfr_fs_temp_names_init(&store->names);
    pthread_mutex_init(&store->mutex, NULL);
    return bfr_fs_tree_init(&store->tree, directory);
}

void bfr_fs_store_free(struct fs_store *store)
{
    bfr_fs_tree_free(&store->tree);
    pthread_mutex_destroy(&store->mutex);
}

void bfr_fs_store_set_trouble(struct fs_store *store, const char *text)
{
    pthread_mutex_lock(&store->mutex);
    snprintf(store->trouble, sizeof store->trouble, "%s", text == NULL ? "" : text);
    pthread_mutex_unlock(&store->mutex);
}

void bfr_fs_store_health(struct fs_store *store, struct bfr_health *out)
{
    pthread_mutex_lock(&store->mutex);
    out->state = store->trouble[0] == '\0' ? BFR_HEALTH_OK : BFR_HEALTH_DEGRADED;
    snprintf(out->reason, sizeof out->reason, "%s", store->trouble);
    pthread_mutex_unlock(&store->mutex);
}

static bool is_good(const struct group_file *file)
{
    return file->result.outcome == BFR_STORED;
}

// The batch's directory, opened once for the whole group.
static struct group_dir *find_dir(struct group *group, const struct bfr_batch *batch)
{
    for (size_t i = 0; i < group->dir_count; i++)
        if (strcmp(group->dirs[i].tenant, batch->tenant) == 0 && strcmp(group->dirs[i].dataset, batch->dataset) == 0)
            return &group->dirs[i];

    struct group_dir *dir = &group->dirs[group->dir_count++];
    *dir = (struct group_dir){.tenant = batch->tenant, .dataset = batch->dataset};
    dir->fd = bfr_fs_tree_open(&group->store->tree, group->root_fd, batch->tenant, batch->dataset, &dir->result);
    return dir;
}

// What no retry would change.
static bool check_batch(struct group_file *file)
{
    const struct bfr_batch *batch = file->batch;
    uint32_t crc32c;

    if (bfr_fs_temp_is_name(batch->filename)) {
        bfr_fs_reject(&file->result, BFR_REASON_REJECTED,
                      "the filename '%s' is one of this sink's temporary names; the sender must choose another",
                      batch->filename);
        return false;
    }
    if (bfr_fs_body_is_whole(batch, &crc32c))
        return true;
    bfr_fs_reject(&file->result, BFR_REASON_DAMAGED,
                  "the bytes of '%s/%s/%s' changed since they were accepted: crc32c %08x now, %08x then; check the "
                  "machine's memory and disks",
                  batch->tenant, batch->dataset, batch->filename, crc32c, batch->crc32c);
    return false;
}

static void write_file(struct group *group, struct group_file *file)
{
    struct fs_store *store = group->store;
    const struct bfr_batch *batch = file->batch;

    if (!check_batch(file))
        return;
    file->dir = find_dir(group, batch);
    if (file->dir->fd < 0) {
        file->result = file->dir->result;
        return;
    }
    if (!bfr_fs_temp_create(&file->data, file->dir->fd, &store->names) ||
        !bfr_fs_temp_write(&file->data, batch->spans, batch->span_count)) {
        bfr_fs_group_fail(group, file, errno, "write");
        return;
    }
    bfr_fs_temp_begin_sync(&file->data);
    if (store->sidecar && !bfr_fs_sidecar_write(&file->sidecar, file->dir->fd, &store->names, batch))
        bfr_fs_group_fail(group, file, errno, "write the sidecar of");
}

// By now the kernel has been writing for as long as the rest of the group took: this mostly waits for nothing.
static void sync_file(struct group *group, struct group_file *file)
{
    if (!bfr_fs_temp_sync(&file->data) || (group->store->sidecar && !bfr_fs_temp_sync(&file->sidecar)))
        bfr_fs_group_fail(group, file, errno, "sync");
}

// What stands under a final name is not removed even when this fails: a reader may have it. The retry finds the same
// bytes there and syncs again.
static void settle_dir(struct group *group, struct group_dir *dir)
{
    char path[FS_PATH_SIZE];

    if (fsync(dir->fd) == 0)
        return;
    int error = errno;
    bfr_fs_tree_path(&group->store->tree, dir->tenant, dir->dataset, NULL, path);
    bfr_fs_outage(&dir->result, error, "sync directory", path);
    for (size_t i = 0; i < group->file_count; i++)
        if (group->files[i].dir == dir && is_good(&group->files[i]))
            group->files[i].result = dir->result;
}

// One outage in the group is worth telling, though the rest was stored.
static void report_health(struct group *group)
{
    const char *outage = NULL;
    bool stored = false;

    for (size_t i = 0; i < group->file_count; i++) {
        if (is_good(&group->files[i]))
            stored = true;
        else if (group->files[i].result.outcome == BFR_RETRY)
            outage = group->files[i].result.text;
    }
    if (outage != NULL || stored)
        bfr_fs_store_set_trouble(group->store, outage);
}

static void report(struct group *group, const struct bfr_delivery *const *deliveries)
{
    struct bfr_completion completions[FS_GROUP_MAX];
    const struct bfr_completion *pointers[FS_GROUP_MAX];

    for (size_t i = 0; i < group->file_count; i++) {
        const struct fs_result *result = &group->files[i].result;
        completions[i] = (struct bfr_completion){
            .size = sizeof completions[i],
            .outcome = result->outcome,
            .token = deliveries[i]->token,
            .flags = result->flags,
            .reason = result->reason,
            .text = result->outcome == BFR_STORED ? NULL : result->text,
        };
        pointers[i] = &completions[i];
    }
    group->store->host->complete(group->store->host, pointers, group->file_count);
}

static void for_good(struct group *group, void (*step)(struct group *group, struct group_file *file))
{
    for (size_t i = 0; i < group->file_count; i++)
        if (is_good(&group->files[i]))
            step(group, &group->files[i]);
}

static void store_files(struct group *group)
{
    for_good(group, write_file);
    for_good(group, sync_file);
    for_good(group, bfr_fs_group_place);
    for (size_t i = 0; i < group->dir_count; i++)
        if (group->dirs[i].to_settle)
            settle_dir(group, &group->dirs[i]);
}

static void clean_up(struct group *group)
{
    for (size_t i = 0; i < group->file_count; i++) {
        struct group_file *file = &group->files[i];
        if (file->dir == NULL || file->dir->fd < 0)
            continue;
        bfr_fs_temp_discard(&file->data, file->dir->fd);
        bfr_fs_temp_discard(&file->sidecar, file->dir->fd);
    }
    for (size_t i = 0; i < group->dir_count; i++)
        if (group->dirs[i].fd >= 0)
            close(group->dirs[i].fd);
    if (group->root_fd >= 0)
        close(group->root_fd);
}

void bfr_fs_store_group(void *self, const struct bfr_delivery *const *deliveries, size_t count)
{
    struct fs_result no_root = {.outcome = BFR_STORED};
    struct group group = {.store = self, .file_count = count};

    group.root_fd = bfr_fs_tree_open_root(&group.store->tree, &no_root);
    for (size_t i = 0; i < count; i++)
        group.files[i] = (struct group_file){
            .batch = deliveries[i]->batch, .data = FS_TEMP_NONE, .sidecar = FS_TEMP_NONE, .result = no_root};
    store_files(&group);
    clean_up(&group);
    report_health(&group);
    report(&group, deliveries);
}
