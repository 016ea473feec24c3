// SPDX-License-Identifier: Apache-2.0
// From a plugin's bare name to its checked descriptor. Main thread only. The file that was checked is the file that is
// loaded: it is reached both times through one descriptor of its directory, and a directory that only root and the
// daemon's own user can write to is a condition. Never unmaps what it has mapped.
#include "plugin_loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bfr/text.h>

#include "plugin_check.h"
#include "plugin_file.h"

#define ENTRY "bfr_plugin_entry_v1"

// A file that is mapped, whether its plugin was accepted or not. The dynamic linker recognises a file by the name it
// was opened as, and that name has the number of our directory descriptor in it; so the descriptor stays open, lest its
// number come to stand for another directory.
struct loaded {
    struct loaded *next;
    struct bfr_plugin_file file; // `path` is not kept
    void *handle;
};

// What is mapped is a fact of the process, as dlopen's own list is: hence no owner but the file scope.
static struct loaded *registry;

// What dlerror said, without the name under which the file was opened: that means nothing to a reader.
static const char *load_error(const char *opened_as)
{
    const char *text = dlerror();
    size_t length = strlen(opened_as);
    if (text == NULL)
        return "unknown error";
    if (strncmp(text, opened_as, length) == 0 && strncmp(text + length, ": ", 2) == 0)
        return text + length + 2;
    return text;
}

// NODELETE: threads and thread-local destructors of a plugin may outlive any moment at which it seems unused.
static uint32_t map_file(const struct bfr_plugin_file *file, void **out_handle, struct bfr_err *err)
{
    char opened_as[64 + sizeof file->name];
    // By number rather than /proc/self, so that debuggers and symbolizers, which are other processes, find it too.
    snprintf(opened_as, sizeof opened_as, "/proc/%ld/fd/%d/%s", (long)getpid(), file->directory_fd, file->name);
    if (access(opened_as, F_OK) != 0)
        return bfr_err_set(err, BFR_EFAIL, "plugin '%s': cannot be reached through '/proc/%ld/fd': %s; mount /proc",
                           file->path, (long)getpid(), strerror(errno));
    void *handle = dlopen(opened_as, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': cannot be loaded: %s; 'ldd -r' on the file shows what is missing", file->path,
                           load_error(opened_as));
    *out_handle = handle;
    return BFR_OK;
}

static uint32_t call_entry(const char *path, void *handle, const struct bfr_plugin **out, struct bfr_err *err)
{
    const struct bfr_plugin *(*entry)(void);
    *(void **)&entry = dlsym(handle, ENTRY);
    if (entry == NULL)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': it does not export '" ENTRY "'; define that function with BFR_EXPORT, extern "
                           "\"C\" in C++, or remove the file if it is no plugin",
                           path);
    const struct bfr_plugin *plugin = entry();
    if (plugin == NULL)
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': '" ENTRY "' returned NULL; return the address of a static descriptor", path);
    *out = plugin;
    return BFR_OK;
}

static bool same_inode(const struct stat *left, const struct stat *right)
{
    return left->st_dev == right->st_dev && left->st_ino == right->st_ino;
}

static const struct loaded *find_loaded(const struct bfr_plugin_file *file)
{
    const struct loaded *known = registry;
    while (known != NULL &&
           !(same_inode(&known->file.directory, &file->directory) && strcmp(known->file.name, file->name) == 0))
        known = known->next;
    return known;
}

// Map the file and remember it. The registry takes over the directory's descriptor.
static uint32_t load_first_time(struct bfr_plugin_file *file, void **out_handle, struct bfr_err *err)
{
    struct loaded *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return bfr_err_set(err, BFR_ENOMEM, "plugin '%s': out of memory", file->path);
    uint32_t status = map_file(file, out_handle, err);
    if (status != BFR_OK) {
        free(entry);
        return status;
    }
    *entry = (struct loaded){.next = registry, .file = *file, .handle = *out_handle};
    entry->file.path = NULL;
    file->directory_fd = -1;
    registry = entry;
    return BFR_OK;
}

static uint32_t find_handle(struct bfr_plugin_file *file, void **out_handle, struct bfr_err *err)
{
    const struct loaded *known = find_loaded(file);
    if (known == NULL)
        return load_first_time(file, out_handle, err);
    if (!same_inode(&known->file.file, &file->file))
        return bfr_err_set(err, BFR_EINVAL,
                           "plugin '%s': the file was replaced after it had been loaded, and a loaded plugin stays; "
                           "restart the daemon to use the new one",
                           file->path);
    *out_handle = known->handle;
    return BFR_OK;
}

// The checks on the descriptor are repeated for a file that is mapped already: cheap, and one way through.
uint32_t bfr_plugin_load_file(const char *path, const struct bfr_plugin **out, struct bfr_err *err)
{
    struct bfr_plugin_file file;
    const struct bfr_plugin *plugin = NULL;
    void *handle = NULL;
    uint32_t status = bfr_plugin_file_open(path, &file, err);
    if (status != BFR_OK)
        return status;
    status = find_handle(&file, &handle, err);
    if (status == BFR_OK)
        status = call_entry(path, handle, &plugin, err);
    if (status == BFR_OK)
        status = bfr_plugin_check(plugin, path, err);
    if (status == BFR_OK)
        status = bfr_plugin_check_name(plugin, path, file.plugin_name, err);
    if (status == BFR_OK)
        *out = plugin;
    bfr_plugin_file_close(&file);
    return status;
}

uint32_t bfr_plugin_load(const char *plugin_dir, const char *name, const struct bfr_plugin **out, struct bfr_err *err)
{
    char path[4096];
    if (!bfr_plugin_name_valid(name))
        return bfr_err_set(
            err, BFR_EINVAL,
            "plugin '%.80s': that is no plugin's name; write the bare name, 1 to %d bytes of a-z, 0-9 and "
            "'-', of a file in '%s', without directory and '.so'",
            name, BFR_PLUGIN_NAME_MAX, plugin_dir);
    if ((size_t)snprintf(path, sizeof path, "%s/%s.so", plugin_dir, name) >= sizeof path)
        return bfr_err_set(err, BFR_EINVAL, "plugin '%s': 'plugin_dir' is longer than %zu bytes; use a shorter path",
                           name, sizeof path);
    return bfr_plugin_load_file(path, out, err);
}
