// SPDX-License-Identifier: Apache-2.0
// The log of what was done below the watched directory, in order, for a test that builds what a power loss leaves. One
// entry is one write; its length is published in the control file afterwards. Any thread.
#include "io_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

struct log_head {
    uint32_t op;
    uint32_t path_bytes;
    uint64_t data_bytes;
    uint64_t number;
    uint64_t value;
};

bool shim_recording(void)
{
    struct shim_control *control = shim_control();
    return control != NULL && __atomic_load_n(&control->recording, __ATOMIC_ACQUIRE) != 0;
}

uint64_t shim_inode(int fd)
{
    struct stat stat;
    int saved = errno;
    uint64_t inode = fstat(fd, &stat) == 0 ? stat.st_ino : 0;
    errno = saved;
    return inode;
}

void shim_log(enum shim_op op, uint64_t number, uint64_t value, const char *path, const void *data, size_t size)
{
    struct shim_control *control = shim_control();
    struct log_head head = {op, (uint32_t)strlen(path), size, number, value};
    const struct iovec vectors[3] = {
        {&head, sizeof head}, {(void *)(uintptr_t)path, head.path_bytes}, {(void *)(uintptr_t)data, size}};
    int saved = errno;
    pthread_mutex_lock(&mutex);
    if (log_fd < 0)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, control->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (syscall(SYS_writev, log_fd, vectors, 3) == (long)(sizeof head + head.path_bytes + size))
        __atomic_fetch_add(&control->log_bytes, sizeof head + head.path_bytes + size, __ATOMIC_ACQ_REL);
    else
        __atomic_store_n(&control->magic, 0, __ATOMIC_RELEASE); // the test sees that its log is not whole
    pthread_mutex_unlock(&mutex);
    errno = saved;
}
