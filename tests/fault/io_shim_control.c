// SPDX-License-Identifier: Apache-2.0
// The shim's control file and what it says about a call. Mapped once, read with every call, so that a test can change its
// mind while the daemon runs. Any thread.
#include "io_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct shim_control *control;

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("BFR_IO_SHIM");
    int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED && ((struct shim_control *)map)->magic == SHIM_MAGIC)
        control = map;
}

struct shim_control *shim_control(void)
{
    return control;
}

// Cut the watched directory off the front.
static bool below(const char *path, char out[SHIM_PATH_MAX])
{
    size_t length = strlen(control->directory);
    if (strncmp(path, control->directory, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return false;
    path += length + (path[length] == '/');
    size_t size = strlen(path) + 1;
    if (size > SHIM_PATH_MAX)
        return false;
    memcpy(out, path, size);
    return true;
}

// The absolute path of an open descriptor, or of the working directory; "" when there is none.
static void absolute(int fd, char out[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, out, PATH_MAX - 1);
    out[size > 0 ? size : 0] = '\0';
}

bool shim_fd_path(int fd, char out[SHIM_PATH_MAX])
{
    if (control == NULL)
        return false;
    char path[PATH_MAX];
    int saved = errno;
    absolute(fd, path);
    errno = saved;
    return below(path, out);
}

bool shim_at_path(int directory, const char *name, char out[SHIM_PATH_MAX])
{
    if (control == NULL || name == NULL)
        return false;
    if (name[0] == '/')
        return below(name, out);
    char path[2 * PATH_MAX];
    int saved = errno;
    absolute(directory, path);
    errno = saved;
    size_t used = strlen(path);
    if (name[0] != '\0')
        snprintf(path + used, sizeof path - used, "/%s", name);
    return below(path, out);
}

static bool rule_applies(struct shim_rule *rule, enum shim_call call, const char *path)
{
    if ((__atomic_load_n(&rule->calls, __ATOMIC_ACQUIRE) & call) == 0 || strstr(path, rule->match) == NULL)
        return false;
    if (__atomic_fetch_add(&rule->seen, 1, __ATOMIC_ACQ_REL) < rule->skip)
        return false;
    if (rule->times != SHIM_FOR_EVER && __atomic_load_n(&rule->hit, __ATOMIC_ACQUIRE) >= rule->times)
        return false;
    __atomic_fetch_add(&rule->hit, 1, __ATOMIC_ACQ_REL);
    return true;
}

bool shim_fails(enum shim_call call, const char *path, size_t *limit)
{
    for (size_t i = 0; i < SHIM_RULES; i++) {
        struct shim_rule *rule = &control->rules[i];
        if (!rule_applies(rule, call, path))
            continue;
        if (rule->error != 0) {
            errno = (int)rule->error;
            return true;
        }
        if (limit != NULL)
            *limit = rule->short_bytes;
    }
    return false;
}
