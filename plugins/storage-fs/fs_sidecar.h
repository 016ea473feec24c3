// SPDX-License-Identifier: Apache-2.0
// The sidecar `{filename}.json`: a batch's envelope as JSON beside its data. Placed before the data file, so that whoever
// sees the data finds the sidecar. Any worker, concurrently.
#ifndef BFR_FS_SIDECAR_H
#define BFR_FS_SIDECAR_H

#include "fs_file.h"

#define FS_SIDECAR_NAME_SIZE (BFR_FILENAME_MAX + sizeof ".json")

void bfr_fs_sidecar_name(const char *filename, char out[FS_SIDECAR_NAME_SIZE]);

// Write the envelope to a temporary file. False with errno.
BFR_MUST_CHECK bool bfr_fs_sidecar_write(struct fs_temp *temp, int dir_fd, struct fs_temp_names *names,
                                         const struct bfr_batch *batch);

// What placing it came to. Zero is never valid.
enum fs_sidecar_placed {
    FS_SIDECAR_PLACED = 1, // it is ours, with or without an orphan of an earlier try replaced
    FS_SIDECAR_KEPT = 2,   // one stands there beside data that stands there; left alone
    FS_SIDECAR_TAKEN = 3,  // something that is no sidecar of this name has the name; left alone
    FS_SIDECAR_ERROR = 4   // errno
};
enum fs_sidecar_placed bfr_fs_sidecar_place(struct fs_temp *temp, int dir_fd, const struct bfr_batch *batch);

#endif
