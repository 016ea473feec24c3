// SPDX-License-Identifier: Apache-2.0
// See fs_sweep.h.
#include "fs_sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bfr/text.h>

#include "fs_file.h"

#define DATASET_DEPTH 2 // temporary files live in {root}/{tenant}/{dataset}

static bool is_over(const struct fs_sweep *sweep)
{
    return atomic_load(&sweep->stopping) || sweep->seen >= FS_SWEEP_ENTRIES_MAX;
}

// A lock means that somebody, here or in another process, is writing it.
static bool is_leftover(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void sweep_file(struct fs_sweep *sweep, int dir_fd, const char *name)
{
    if (!bfr_fs_temp_is_name(name))
        return;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    if (is_leftover(fd) && unlinkat(dir_fd, name, 0) == 0)
        sweep->removed++;
    close(fd);
}

// Takes over dir_fd.
static void sweep_dir(struct fs_sweep *sweep, int dir_fd, int depth)
{
    DIR *dir = fdopendir(dir_fd);
    const struct dirent *entry;

    if (dir == NULL) {
        close(dir_fd);
        return;
    }
    while (!is_over(sweep) && (entry = readdir(dir)) != NULL) {
        sweep->seen++;
        if (depth == DATASET_DEPTH) {
            sweep_file(sweep, dir_fd, entry->d_name);
        } else if (entry->d_name[0] != '.') { // no id begins with a dot
            int fd = bfr_fs_tree_open_step(dir_fd, entry->d_name);
            if (fd >= 0)
                sweep_dir(sweep, fd, depth + 1);
        }
    }
    closedir(dir);
}

void bfr_fs_sweep_run(struct fs_sweep *sweep)
{
    struct fs_result result;
    int root_fd = bfr_fs_tree_open_root(sweep->tree, &result);

    if (root_fd < 0)
        return; // the workers meet the same fault and report it
    sweep_dir(sweep, root_fd, 0);
    if (sweep->removed > 0)
        bfr_log(sweep->host, BFR_LOG_INFO, "removed temporary files of an earlier run", "directory",
                sweep->tree->directory, "files", bfr_num((int64_t)sweep->removed).text, NULL);
    if (sweep->seen >= FS_SWEEP_ENTRIES_MAX)
        bfr_log(sweep->host, BFR_LOG_WARN,
                "too many files to look for leftovers everywhere; remove old .bfr-* files by hand while stopped",
                "directory", sweep->tree->directory, NULL);
}

static void *run_thread(void *self)
{
    bfr_fs_sweep_run(self);
    return NULL;
}

void bfr_fs_sweep_start(struct fs_sweep *sweep, const struct bfr_host *host, struct fs_tree *tree)
{
    sigset_t all, before;

    sweep->host = host;
    sweep->tree = tree;
    sweep->seen = sweep->removed = 0;
    atomic_init(&sweep->stopping, false);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // inherited
    int error = pthread_create(&sweep->thread, NULL, run_thread, sweep);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sweep->started = error == 0;
    if (sweep->started)
        (void)pthread_setname_np(sweep->thread, "bfr-fs-sweep");
    else
        bfr_log(host, BFR_LOG_WARN, "cannot start the search for leftovers; the next start tries again", "error",
                strerror(error), NULL);
}

void bfr_fs_sweep_stop(struct fs_sweep *sweep)
{
    if (!sweep->started)
        return;
    atomic_store(&sweep->stopping, true);
    pthread_join(sweep->thread, NULL);
    sweep->started = false;
}
