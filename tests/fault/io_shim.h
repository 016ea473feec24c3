// SPDX-License-Identifier: Apache-2.0
// What the parts of the shim share: the control file, the rules in it, and the log of what was done. The layout of
// struct shim_control and of the log is also in tests/support/io_shim.py.
#ifndef BFR_TEST_IO_SHIM_H
#define BFR_TEST_IO_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHIM_MAGIC    UINT32_C(0x4d494853)
#define SHIM_RULES    8
#define SHIM_PATH_MAX 512
#define SHIM_FOR_EVER UINT32_MAX

// Kinds of calls; a rule names any of them.
enum shim_call {
    SHIM_WRITE = 1,
    SHIM_SYNC = 2,
    SHIM_RENAME = 4,
    SHIM_UNLINK = 8,
    SHIM_MKDIR = 16,
    SHIM_FALLOCATE = 32,
    SHIM_CREATE = 64,
    SHIM_TRUNCATE = 128
};

// After `skip` calls of these kinds, on a path that contains `match`, the next `times` fail with `error`; or, when that is 0,
// writes stop after `short_bytes` bytes, as write(2) may. The tests write all but the two counters.
struct shim_rule {
    uint32_t calls;
    uint32_t error;
    uint32_t skip;
    uint32_t times;
    uint32_t short_bytes;
    uint32_t seen;
    uint32_t hit;
    uint32_t reserved;
    char match[64];
};

struct shim_control {
    uint32_t magic;
    uint32_t recording;
    uint64_t log_bytes;            // how much of the log is written
    int64_t clock_ns;              // added to the time of day, not to the monotonic clock
    char directory[SHIM_PATH_MAX]; // only what is below it counts
    char log_path[SHIM_PATH_MAX];
    struct shim_rule rules[SHIM_RULES];
};

// NULL: no control file in the environment, so the shim does nothing.
struct shim_control *shim_control(void);

// The path of a descriptor, or of a name below a directory's, when it is below the watched directory: relative to that.
// False: it is none of our business. errno is kept.
bool shim_fd_path(int fd, char out[SHIM_PATH_MAX]);
bool shim_at_path(int directory, const char *name, char out[SHIM_PATH_MAX]);

// Shall this call fail? Sets errno and returns true. *limit, when not NULL, becomes the number of bytes that may be written.
bool shim_fails(enum shim_call call, const char *path, size_t *limit);

enum shim_op {
    OP_CREATE = 1, // number = inode, path
    OP_WRITE,      // number = inode, value = offset, data
    OP_SIZE,       // number = inode, value = the size it is cut or extended to
    OP_GROW,       // number = inode, value = the size it has at least
    OP_PUNCH,      // number = inode, value = offset, data = 8 bytes: length
    OP_SYNC_BEGIN, // number = inode, value = serial
    OP_SYNC_END,   // number = inode, value = serial: it went well
    OP_RENAME,     // path, data = the new path
    OP_UNLINK,     // path
    OP_MKDIR,      // number = inode, path
    OP_RMDIR       // path
};

bool shim_recording(void);
void shim_log(enum shim_op op, uint64_t number, uint64_t value, const char *path, const void *data, size_t size);
uint64_t shim_inode(int fd);

#endif
