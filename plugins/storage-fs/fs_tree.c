// SPDX-License-Identifier: Apache-2.0
// See fs_tree.h. openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS resolves both steps in one call; where it is
// missing, each step is opened by itself with O_NOFOLLOW, which comes to the same.
#include "fs_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIR_MODE 0750

bool bfr_fs_tree_init(struct fs_tree *tree, const char *directory)
{
    tree->directory = directory;
    atomic_init(&tree->no_openat2, false);
    tree->known = calloc(FS_KNOWN_DIRS, sizeof *tree->known);
    return tree->known != NULL && pthread_mutex_init(&tree->mutex, NULL) == 0;
}

void bfr_fs_tree_free(struct fs_tree *tree)
{
    if (tree->known == NULL)
        return;
    pthread_mutex_destroy(&tree->mutex);
    free(tree->known);
}

void bfr_fs_tree_path(const struct fs_tree *tree, const char *tenant, const char *dataset, const char *filename,
                      char *out)
{
    const char *const parts[] = {tenant, dataset, filename};
    size_t length = (size_t)snprintf(out, FS_PATH_SIZE, "%s", tree->directory);

    for (size_t i = 0; i < 3 && parts[i] != NULL && length < FS_PATH_SIZE; i++)
        length += (size_t)snprintf(out + length, FS_PATH_SIZE - length, "/%s", parts[i]);
}

// The name of a directory is on disk when its parent is synced. -1 with errno.
static int sync_parent(const char *path)
{
    char parent[PATH_MAX];
    char *slash;

    snprintf(parent, sizeof parent, "%s", path);
    slash = strrchr(parent, '/');
    if (slash != NULL) // "/a" has the parent "/"
        slash[slash == parent ? 1 : 0] = '\0';
    int fd = open(slash == NULL ? "." : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int status = fsync(fd);
    int error = errno;
    close(fd);
    errno = error;
    return status;
}

static bool make_one(const char *path, struct fs_result *result)
{
    if (mkdir(path, DIR_MODE) != 0) {
        if (errno == EEXIST)
            return true;
        bfr_fs_outage(result, errno, "make directory", path);
        return false;
    }
    if (sync_parent(path) == 0)
        return true;
    bfr_fs_outage(result, errno, "sync the parent of", path);
    return false;
}

bool bfr_fs_tree_make_root(struct fs_tree *tree, struct fs_result *result)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s", tree->directory) >= (int)sizeof path) {
        bfr_fs_outage(result, ENAMETOOLONG, "make directory", tree->directory);
        return false;
    }
    if (access(path, F_OK) == 0)
        return true;
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = '\0';
        if (access(path, F_OK) != 0 && !make_one(path, result))
            return false;
    }
    return make_one(path, result);
}

int bfr_fs_tree_open_root(struct fs_tree *tree, struct fs_result *result)
{
    int fd = open(tree->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        bfr_fs_outage(result, errno, "open directory", tree->directory);
    return fd;
}

bool bfr_fs_tree_try_root(struct fs_tree *tree, struct fs_result *result)
{
    int fd = bfr_fs_tree_open_root(tree, result);
    if (fd < 0)
        return false;
    bool ok = faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) == 0;
    if (!ok)
        bfr_fs_outage(result, errno, "write into", tree->directory);
    close(fd);
    return ok;
}

int bfr_fs_tree_open_step(int at_fd, const char *name)
{
    int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;

    if (fd < 0 && errno == ENOTDIR) { // what Linux says of a symbolic link here
        bool link = fstatat(at_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
        errno = link ? ELOOP : ENOTDIR;
    }
    return fd;
}

static int open_steps(int root_fd, const char *tenant, const char *dataset)
{
    int tenant_fd = bfr_fs_tree_open_step(root_fd, tenant);
    if (tenant_fd < 0)
        return -1;
    int fd = bfr_fs_tree_open_step(tenant_fd, dataset);
    int error = errno;
    close(tenant_fd);
    errno = error;
    return fd;
}

static int open_both(struct fs_tree *tree, int root_fd, const char *tenant, const char *dataset)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    char path[2 * BFR_ID_MAX + 2];

    if (atomic_load_explicit(&tree->no_openat2, memory_order_relaxed))
        return open_steps(root_fd, tenant, dataset);
    snprintf(path, sizeof path, "%s/%s", tenant, dataset);
    int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    // EPERM: what older container sandboxes answer to a call they do not know.
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        atomic_store_explicit(&tree->no_openat2, true, memory_order_relaxed);
        return open_steps(root_fd, tenant, dataset);
    }
    return fd;
}

static int make_step(int at_fd, const char *name)
{
    return mkdirat(at_fd, name, DIR_MODE) == 0 || errno == EEXIST ? 0 : -1;
}

// Whatever is there already is fine, also a link: opening it is what refuses it.
static int make_both(int root_fd, const char *tenant, const char *dataset)
{
    if (make_step(root_fd, tenant) != 0)
        return -1;
    int tenant_fd = bfr_fs_tree_open_step(root_fd, tenant);
    if (tenant_fd < 0)
        return -1;
    int status = make_step(tenant_fd, dataset);
    int error = errno;
    close(tenant_fd);
    errno = error;
    return status;
}

// False when the file system does not tell when a directory was born: then it is never known.
static bool identify(int fd, struct fs_dir_identity *out)
{
    struct statx info;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) != 0 || (info.stx_mask & STATX_BTIME) == 0)
        return false;
    out->device = (uint64_t)info.stx_dev_major << 32 | info.stx_dev_minor;
    out->inode = info.stx_ino;
    out->born_ns = info.stx_btime.tv_sec * INT64_C(1000000000) + info.stx_btime.tv_nsec;
    return true;
}

static struct fs_dir_identity *known_slot(const struct fs_tree *tree, const struct fs_dir_identity *identity)
{
    uint64_t hash = (identity->inode ^ identity->device << 17) * UINT64_C(0x9e3779b97f4a7c15);
    return &tree->known[hash >> 40 & (FS_KNOWN_DIRS - 1)];
}

static bool is_known(struct fs_tree *tree, const struct fs_dir_identity *identity)
{
    pthread_mutex_lock(&tree->mutex);
    const struct fs_dir_identity *slot = known_slot(tree, identity);
    bool known = slot->inode == identity->inode && slot->device == identity->device &&
                 slot->born_ns == identity->born_ns && slot->inode != 0;
    pthread_mutex_unlock(&tree->mutex);
    return known;
}

static void remember(struct fs_tree *tree, const struct fs_dir_identity *identity)
{
    pthread_mutex_lock(&tree->mutex);
    *known_slot(tree, identity) = *identity;
    pthread_mutex_unlock(&tree->mutex);
}

// The name of the directory behind `fd` is an entry of its parent. Whoever made it, this process, another thread of it or
// one that crashed before its fsync: the first use in a process's life syncs the parent, later ones know.
static bool settle_name(struct fs_tree *tree, int fd, int parent_fd)
{
    struct fs_dir_identity identity;
    bool identified = identify(fd, &identity);

    if (identified && is_known(tree, &identity))
        return true;
    if (fsync(parent_fd) != 0)
        return false;
    if (identified)
        remember(tree, &identity);
    return true;
}

// The dataset is remembered only after the tenant above it, so knowing it is enough.
static bool settle_names(struct fs_tree *tree, int root_fd, const char *tenant, int dataset_fd)
{
    struct fs_dir_identity identity;

    if (identify(dataset_fd, &identity) && is_known(tree, &identity))
        return true;
    int tenant_fd = bfr_fs_tree_open_step(root_fd, tenant);
    if (tenant_fd < 0)
        return false;
    bool ok = settle_name(tree, tenant_fd, root_fd) && settle_name(tree, dataset_fd, tenant_fd);
    int error = errno;
    close(tenant_fd);
    errno = error;
    return ok;
}

int bfr_fs_tree_open(struct fs_tree *tree, int root_fd, const char *tenant, const char *dataset,
                     struct fs_result *result)
{
    const char *verb = "open directory";
    char path[FS_PATH_SIZE];
    int fd = open_both(tree, root_fd, tenant, dataset);

    if (fd < 0 && errno == ENOENT) {
        verb = "make directory";
        if (make_both(root_fd, tenant, dataset) == 0)
            fd = open_both(tree, root_fd, tenant, dataset);
    }
    if (fd >= 0 && settle_names(tree, root_fd, tenant, fd))
        return fd;
    if (fd >= 0)
        verb = "sync the parents of";
    int error = errno;
    bfr_fs_tree_path(tree, tenant, dataset, NULL, path);
    bfr_fs_outage(result, error, verb, path);
    if (fd >= 0)
        close(fd);
    return -1;
}
