// SPDX-License-Identifier: Apache-2.0
// The place phase of a group: final names, and what to make of a name that is taken. Never replaces or removes a data
// file; the one thing it may remove is a sidecar that it has just placed itself.
#include <errno.h>
#include <unistd.h>

#include "fs_group.h"
#include "fs_sidecar.h"

#define PLACE_TRIES 8

void bfr_fs_group_fail(const struct group *group, struct group_file *file, int error, const char *verb)
{
    char path[FS_PATH_SIZE];

    bfr_fs_tree_path(&group->store->tree, file->batch->tenant, file->batch->dataset, file->batch->filename, path);
    bfr_fs_outage(&file->result, error, verb, path);
}

// `standing_sha256` is NULL when what stands there has no bytes to hash.
static void conflict(const struct group *group, struct group_file *file, const uint8_t *standing_sha256)
{
    char path[FS_PATH_SIZE];
    char there[65] = "";
    char here[65];

    bfr_fs_tree_path(&group->store->tree, file->batch->tenant, file->batch->dataset, file->batch->filename, path);
    if (standing_sha256 == NULL) {
        bfr_fs_reject(&file->result, BFR_REASON_CONFLICT,
                      "'%s' exists and is no regular file; move it away and retry the batch", path);
        return;
    }
    bfr_hex(standing_sha256, 32, there);
    bfr_hex(file->batch->stored_sha256, 32, here);
    bfr_fs_reject(&file->result, BFR_REASON_CONFLICT,
                  "'%s' exists with other bytes: sha256 %s there, %s in this batch; move it away and retry the batch",
                  path, there, here);
}

// True when the outcome is known; false: the name is free again.
static bool judge_standing(struct group *group, struct group_file *file)
{
    uint8_t sha256[32];

    switch (bfr_fs_file_compare(file->dir->fd, file->batch->filename, file->batch, sha256)) {
    case FS_STANDING_SAME:
        file->dir->to_settle = true;
        return true;
    case FS_STANDING_OTHER:
        conflict(group, file, sha256);
        return true;
    case FS_STANDING_STRANGE:
        conflict(group, file, NULL);
        return true;
    case FS_STANDING_GONE:
        return false;
    case FS_STANDING_ERROR:
        break;
    }
    bfr_fs_group_fail(group, file, errno, "compare with what stands at");
    return true;
}

static void place_data(struct group *group, struct group_file *file)
{
    // A reader may consume and delete a file between our finding it and looking into it.
    for (int i = 0; i < PLACE_TRIES; i++) {
        if (bfr_fs_temp_place(&file->data, file->dir->fd, file->batch->filename)) {
            file->dir->to_settle = true;
            return;
        }
        if (errno != EEXIST) {
            bfr_fs_group_fail(group, file, errno, "rename into");
            return;
        }
        if (judge_standing(group, file))
            return;
    }
    bfr_fs_group_fail(group, file, EEXIST, "rename into");
}

// False when the outcome is known already.
static bool place_sidecar(struct group *group, struct group_file *file, bool *out_placed)
{
    char path[FS_PATH_SIZE];

    switch (bfr_fs_sidecar_place(&file->sidecar, file->dir->fd, file->batch)) {
    case FS_SIDECAR_PLACED:
        *out_placed = true;
        return true;
    case FS_SIDECAR_KEPT:
        return true;
    case FS_SIDECAR_TAKEN:
        bfr_fs_tree_path(&group->store->tree, file->batch->tenant, file->batch->dataset, file->batch->filename, path);
        bfr_fs_reject(&file->result, BFR_REASON_CONFLICT,
                      "'%s.json' exists and is not the sidecar of this name; move it away and retry the batch", path);
        return false;
    case FS_SIDECAR_ERROR:
        break;
    }
    bfr_fs_group_fail(group, file, errno, "place the sidecar of");
    return false;
}

void bfr_fs_group_place(struct group *group, struct group_file *file)
{
    char name[FS_SIDECAR_NAME_SIZE];
    bool sidecar_placed = false;

    if (group->store->sidecar && !place_sidecar(group, file, &sidecar_placed))
        return;
    place_data(group, file);
    // Other bytes stand there without a sidecar: ours would describe the wrong ones.
    if (sidecar_placed && file->result.outcome == BFR_REJECT) {
        bfr_fs_sidecar_name(file->batch->filename, name);
        (void)unlinkat(file->dir->fd, name, 0);
    }
}
