// SPDX-License-Identifier: Apache-2.0
// Finds and reads the configuration's file. Runs on the thread that reads the configuration. Never reads more than a
// configuration may have, so that a wrong path does no harm.
#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_env.h"
#include "config_tree.h"

static const char *const default_places[] = {"/etc/bytefreezer-receiver/config.yaml", "/etc/bytefreezer/config.yaml",
                                             "./config.yaml"};

const char *bfr_config_find(struct bfr_arena *arena, const char *path, const char *const *environment)
{
    const char *found = path;
    const char *named = bfr_env_get(environment, "CONFIG_FILE");
    if (found == NULL && named != NULL && named[0] != '\0')
        found = named;
    for (size_t i = 0; found == NULL && i < sizeof default_places / sizeof default_places[0]; i++) {
        // A file that is there but cannot be read is chosen too: going on to the next would hide the mistake.
        if (access(default_places[i], F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
            found = default_places[i];
    }
    return found == NULL ? NULL : bfr_arena_copy(arena, found, strlen(found));
}

ssize_t bfr_file_read_all(int fd, char *buffer, size_t room)
{
    size_t filled = 0;
    while (filled < room) {
        ssize_t got = read(fd, buffer + filled, room - filled);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        filled += (size_t)got;
    }
    return (ssize_t)filled;
}

static const char *advice_for(int error)
{
    switch (error) {
    case ENOENT:
        return "; check the path";
    case EACCES:
        return "; give the service user read access";
    case EISDIR:
        return "; name the file in it";
    default:
        return "";
    }
}

static bool is_regular(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

char *bfr_config_read_file(struct bfr_arena *arena, const char *path, bool regular, size_t *out_size,
                           struct bfr_diag *diag)
{
    const size_t room = BFR_TREE_MAX_BYTES + 1;
    char *text = bfr_arena_alloc(arena, room + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));
    if (fd >= 0 && regular && !is_regular(fd)) {
        bfr_diag_error(diag, (struct bfr_place){path, 0, 0},
                       "the configuration cannot be read again: this is not a regular file; restart to read it");
        close(fd);
        return NULL;
    }
    ssize_t got = fd < 0 || text == NULL ? -1 : bfr_file_read_all(fd, text, room);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (got >= 0) {
        *out_size = (size_t)got;
        return text;
    }
    if (text != NULL)
        bfr_diag_error(diag, (struct bfr_place){path, 0, 0}, "cannot read the configuration: %s%s", strerror(error),
                       advice_for(error));
    return NULL;
}

const char *bfr_config_directory(struct bfr_arena *arena, const char *path, struct bfr_diag *diag)
{
    char here[PATH_MAX] = "";
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (path[0] == '/')
        return bfr_arena_copy(arena, path, length);
    if (getcwd(here, sizeof here) == NULL) {
        bfr_diag_error(diag, (struct bfr_place){path, 0, 0},
                       "the working directory cannot be found (%s); name the configuration by its absolute path",
                       strerror(errno));
        return NULL;
    }
    return bfr_arena_format(arena, "%s%s%.*s", here[1] == '\0' ? "" : here, length == 0 ? "" : "/", (int)length, path);
}
