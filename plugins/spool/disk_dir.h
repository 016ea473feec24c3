// SPDX-License-Identifier: Apache-2.0
// The directory of a spool: `.bfr/` with its parts, and the lock that keeps a second process out. For the queue and for the
// tools. Everything below it is reached by descriptor; no link is followed.
#ifndef BFR_SPOOL_DISK_DIR_H
#define BFR_SPOOL_DISK_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bfr/status.h>

// What opening may come to, beside an enum bfr_status: another process works there.
#define DISK_DIR_IN_USE UINT32_C(1000)

struct disk_dir {
    const char *path; // as configured; the caller's
    int root;         // {path}/.bfr; -1: not open
    int segments;
    int letters; // dlq
    int quarantine;
    int lock;
    int lock_error; // of reading: why there is no lock; 0: there is
    bool reading;   // nothing may be changed; a part that is missing is -1
};

extern const struct disk_dir bfr_disk_dir_closed;

// Open and lock the spool in directory `path`, which is made, durably, with `make`. Without it BFR_ENOENT when there is no
// spool. On failure err->text names the directory and nothing is open.
BFR_MUST_CHECK uint32_t bfr_disk_dir_open(struct disk_dir *dir, const char *path, bool make, struct bfr_err *err);
// Open what is there for reading alone, also on a disk that cannot be written. The lock is shared with other readers; where it
// cannot be had, lock_error says why.
BFR_MUST_CHECK uint32_t bfr_disk_dir_open_reading(struct disk_dir *dir, const char *path, struct bfr_err *err);
void bfr_disk_dir_close(struct disk_dir *dir);

// The name of the file system if it forgets or cannot be trusted with syncs ("tmpfs", "overlayfs", "NFS"); NULL: it is fine.
const char *bfr_disk_dir_doubtful(const struct disk_dir *dir);

// May ranges of a file be given back to the file system here?
bool bfr_disk_dir_has_holes(const struct disk_dir *dir);

// Bytes that this process may still write to the file system; 0 when it does not say. *out_total: its size.
uint64_t bfr_disk_dir_free(const struct disk_dir *dir, uint64_t *out_total);

// What the directories themselves take, and the small files in the root that come and go.
uint64_t bfr_disk_dir_bytes(const struct disk_dir *dir);

// Write a whole file under a temporary name, sync it and rename it; the directory is the caller's to sync. False with errno.
BFR_MUST_CHECK bool bfr_disk_dir_write(int directory, const char *name, const void *bytes, size_t size);
// The whole file, a NUL behind it, or NULL with errno (EFBIG: more than `most`). Free it.
char *bfr_disk_dir_read(int directory, const char *name, size_t most, size_t *out_size);

#endif
