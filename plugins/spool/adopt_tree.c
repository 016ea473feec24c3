// SPDX-License-Identifier: Apache-2.0
// See adopt_tree.h. Directories that are empty once they have been walked are removed, but none that the previous product did not
// make: a tenant's or dataset's only when one of the three was in it.
#include "adopt_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "adopt_name.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

enum { TENANTS = 0, DATASETS = 1, FILES = 2 };

const char *const bfr_adopt_part_names[ADOPT_PARTS] = {"retry", "dlq", "queue"};

static DIR *open_stream(int at, const char *name)
{
    int fd = openat(at, name, DIR_FLAGS);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL && fd >= 0)
        close(fd);
    return stream;
}

static void close_stream(struct adopt_tree *tree, int level)
{
    if (tree->streams[level] != NULL)
        (void)closedir(tree->streams[level]);
    tree->streams[level] = NULL;
}

// The next name that is not hidden; NULL: no more.
static const char *next_name(DIR *stream)
{
    const struct dirent *item;
    do
        item = readdir(stream);
    while (item != NULL && item->d_name[0] == '.');
    return item != NULL ? item->d_name : NULL;
}

// Bodies that the previous product refused lie in malformed_proxy/ and malformed_local/: nobody's.
bool bfr_adopt_is_tenant(const char *name, char id[BFR_ID_MAX + 1])
{
    return strncmp(name, "malformed_", strlen("malformed_")) != 0 && bfr_adopt_id(name, id);
}

bool bfr_adopt_tree_open(struct adopt_tree *tree, int base)
{
    *tree = (struct adopt_tree){.dataset_fd = -1, .files = -1};
    tree->streams[TENANTS] = open_stream(base, ".");
    return tree->streams[TENANTS] != NULL;
}

void bfr_adopt_tree_close(struct adopt_tree *tree)
{
    for (int level = FILES; level >= TENANTS; level--)
        close_stream(tree, level);
    if (tree->dataset_fd >= 0)
        close(tree->dataset_fd);
    tree->dataset_fd = tree->files = -1;
}

static void leave_part(struct adopt_tree *tree)
{
    close_stream(tree, FILES);
    tree->files = -1;
    tree->leaving = false;
    (void)unlinkat(tree->dataset_fd, bfr_adopt_part_names[tree->part], AT_REMOVEDIR);
    tree->part++;
}

static void enter_part(struct adopt_tree *tree)
{
    tree->streams[FILES] = open_stream(tree->dataset_fd, bfr_adopt_part_names[tree->part]);
    if (tree->streams[FILES] == NULL) {
        tree->part++;
        return;
    }
    tree->files = dirfd(tree->streams[FILES]);
    tree->ours[TENANTS] = tree->ours[DATASETS] = true;
}

static void leave_dataset(struct adopt_tree *tree)
{
    close(tree->dataset_fd);
    tree->dataset_fd = -1;
    if (tree->ours[DATASETS])
        (void)unlinkat(dirfd(tree->streams[DATASETS]), tree->dataset_directory, AT_REMOVEDIR);
}

static void enter_dataset(struct adopt_tree *tree, const char *name)
{
    if (!bfr_adopt_id(name, tree->dataset))
        return;
    tree->dataset_fd = openat(dirfd(tree->streams[DATASETS]), name, DIR_FLAGS);
    memcpy(tree->dataset_directory, name, strlen(name) + 1);
    tree->part = 0;
    tree->ours[DATASETS] = false;
}

static void leave_tenant(struct adopt_tree *tree)
{
    close_stream(tree, DATASETS);
    if (tree->ours[TENANTS])
        (void)unlinkat(dirfd(tree->streams[TENANTS]), tree->tenant_directory, AT_REMOVEDIR);
}

static void enter_tenant(struct adopt_tree *tree, const char *name)
{
    if (!bfr_adopt_is_tenant(name, tree->tenant))
        return;
    tree->streams[DATASETS] = open_stream(dirfd(tree->streams[TENANTS]), name);
    memcpy(tree->tenant_directory, name, strlen(name) + 1);
    tree->ours[TENANTS] = false;
}

enum adopt_event bfr_adopt_tree_next(struct adopt_tree *tree)
{
    if (tree->leaving) {
        leave_part(tree);
        return ADOPT_MOVED;
    }
    if (tree->streams[FILES] != NULL) {
        tree->name = next_name(tree->streams[FILES]);
        tree->leaving = tree->name == NULL;
        return tree->leaving ? ADOPT_LEAVING : ADOPT_ENTRY;
    }
    if (tree->dataset_fd >= 0) {
        if (tree->part < ADOPT_PARTS)
            enter_part(tree);
        else
            leave_dataset(tree);
        return ADOPT_MOVED;
    }
    int level = tree->streams[DATASETS] != NULL ? DATASETS : TENANTS;
    const char *name = next_name(tree->streams[level]);
    if (name == NULL && level == TENANTS)
        return ADOPT_END;
    if (name == NULL)
        leave_tenant(tree);
    else
        (level == TENANTS ? enter_tenant : enter_dataset)(tree, name);
    return ADOPT_MOVED;
}
