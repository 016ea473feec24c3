// SPDX-License-Identifier: Apache-2.0
// One file on its way into a directory: a temporary name, bytes, sync, the final name. Nothing that stands under a final
// name is ever replaced. Knows no tree: works in the directory it is given. Any worker, concurrently.
//
// A temporary file is locked (flock) until it has its final name or is removed, so that a sweep of leftovers can tell a
// live one from a dead one.
#ifndef BFR_FS_FILE_H
#define BFR_FS_FILE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <bfr/batch.h>
#include <bfr/status.h>

#define FS_TEMP_NAME_SIZE 39 // ".bfr-" 16 hex digits "-" 16 hex digits NUL

// Makes temporary names; one per stage.
struct fs_temp_names {
    uint64_t nonce; // random; zero until init
    atomic_uint_fast64_t counter;
};

// A temporary file; none: fd -1 and name "" (FS_TEMP_NONE).
struct fs_temp {
    int fd;
    char name[FS_TEMP_NAME_SIZE];
};

#define FS_TEMP_NONE ((struct fs_temp){.fd = -1})

void bfr_fs_temp_names_init(struct fs_temp_names *names);
bool bfr_fs_temp_is_name(const char *name);

// All of these say false with errno set.
BFR_MUST_CHECK bool bfr_fs_temp_create(struct fs_temp *temp, int dir_fd, struct fs_temp_names *names);
BFR_MUST_CHECK bool bfr_fs_temp_write(struct fs_temp *temp, const struct bfr_span *spans, size_t count);
// Ask the kernel to begin writing to the disk; a hint.
void bfr_fs_temp_begin_sync(const struct fs_temp *temp);
// Data and size are on disk.
BFR_MUST_CHECK bool bfr_fs_temp_sync(struct fs_temp *temp);
// Give it its final name; EEXIST when that is taken, the temporary file stays then.
BFR_MUST_CHECK bool bfr_fs_temp_place(struct fs_temp *temp, int dir_fd, const char *name);
// Give it its final name, replacing what is there.
BFR_MUST_CHECK bool bfr_fs_temp_replace(struct fs_temp *temp, int dir_fd, const char *name);
// Remove what is left of it, if anything.
void bfr_fs_temp_discard(struct fs_temp *temp, int dir_fd);

// Do the spans have the CRC32C (and length) that the batch was accepted with?
bool bfr_fs_body_is_whole(const struct bfr_batch *batch, uint32_t *out_crc32c);

// What stands under a name. Zero is never valid.
enum fs_standing {
    FS_STANDING_SAME = 1,    // the same bytes, and they are on disk
    FS_STANDING_OTHER = 2,   // a regular file with other bytes; out_sha256 says which
    FS_STANDING_STRANGE = 3, // no regular file
    FS_STANDING_GONE = 4,    // nothing any more
    FS_STANDING_ERROR = 5    // errno says why it cannot be told
};
enum fs_standing bfr_fs_file_compare(int dir_fd, const char *name, const struct bfr_batch *batch,
                                     uint8_t out_sha256[32]);

#endif
