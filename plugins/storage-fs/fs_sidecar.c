// SPDX-License-Identifier: Apache-2.0
// See fs_sidecar.h.
#include "fs_sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include <bfr/text.h>

#define SIDECAR_BYTES_MAX 65536

void bfr_fs_sidecar_name(const char *filename, char out[FS_SIDECAR_NAME_SIZE])
{
    snprintf(out, FS_SIDECAR_NAME_SIZE, "%s.json", filename);
}

// RFC 3339, UTC, nanoseconds.
static void format_time(int64_t unix_ns, char out[40])
{
    time_t seconds = (time_t)(unix_ns / 1000000000);
    long rest = (long)(unix_ns % 1000000000);
    struct tm utc;
    char date[24];

    if (rest < 0) { // before 1970: round down
        rest += 1000000000;
        seconds--;
    }
    gmtime_r(&seconds, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, 40, "%s.%09ldZ", date, rest);
}

static char *envelope_text(const struct bfr_batch *batch)
{
    char stored[65], source[65], created[40], received[40];

    bfr_hex(batch->stored_sha256, sizeof batch->stored_sha256, stored);
    bfr_hex(batch->source_sha256, sizeof batch->source_sha256, source);
    format_time(batch->created_ns, created);
    format_time(batch->received_ns, received);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:b, s:s}", "account", batch->account,
        "tenant", batch->tenant, "dataset", batch->dataset, "filename", batch->filename, "batch_id", batch->batch_id,
        "data_hint", batch->data_hint, "content_type", batch->content_type, "created_at", created, "received_at",
        received, "line_count", (json_int_t)batch->line_count, "original_bytes", (json_int_t)batch->original_bytes,
        "bytes", (json_int_t)batch->body_bytes, "stored_sha256", stored, "source_sha256", source, "compressed_here",
        (int)((batch->flags & BFR_BATCH_COMPRESSED_HERE) != 0), "filename_source",
        (batch->flags & BFR_BATCH_NAME_GENERATED) != 0 ? "generated" : "proxy");
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

bool bfr_fs_sidecar_write(struct fs_temp *temp, int dir_fd, struct fs_temp_names *names, const struct bfr_batch *batch)
{
    char *text = envelope_text(batch);

    if (text == NULL) {
        errno = ENOMEM;
        return false;
    }
    const struct bfr_span spans[] = {{(const uint8_t *)text, strlen(text)}, {(const uint8_t *)"\n", 1}};
    bool ok = bfr_fs_temp_create(temp, dir_fd, names) && bfr_fs_temp_write(temp, spans, 2);
    int error = errno;
    free(text);
    errno = error;
    return ok;
}

static json_t *read_json(int dir_fd, const char *name)
{
    char text[SIDECAR_BYTES_MAX];
    size_t length = 0;
    ssize_t got = 0;
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return NULL;
    while (length < sizeof text && (got = read(fd, text + length, sizeof text - length)) > 0)
        length += (size_t)got;
    close(fd);
    return got != 0 ? NULL : json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
}

// Did we write it for this filename? Only then may it be replaced: a batch may be called "x.json" too.
static bool is_sidecar_of(int dir_fd, const char *name, const struct bfr_batch *batch)
{
    json_t *object = read_json(dir_fd, name);
    const char *tenant = json_string_value(json_object_get(object, "tenant"));
    const char *filename = json_string_value(json_object_get(object, "filename"));
    bool ours = tenant != NULL && strcmp(tenant, batch->tenant) == 0 && filename != NULL &&
                strcmp(filename, batch->filename) == 0 && json_is_string(json_object_get(object, "stored_sha256"));

    json_decref(object);
    return ours;
}

// The name is taken: by the sidecar of data that is there (then the data decides what becomes of the batch), by one whose
// data never came, or by something else.
static enum fs_sidecar_placed place_over(struct fs_temp *temp, int dir_fd, const char *name,
                                         const struct bfr_batch *batch)
{
    struct stat info;

    if (fstatat(dir_fd, batch->filename, &info, AT_SYMLINK_NOFOLLOW) == 0)
        return FS_SIDECAR_KEPT;
    if (errno != ENOENT)
        return FS_SIDECAR_ERROR;
    if (!is_sidecar_of(dir_fd, name, batch))
        return FS_SIDECAR_TAKEN;
    return bfr_fs_temp_replace(temp, dir_fd, name) ? FS_SIDECAR_PLACED : FS_SIDECAR_ERROR;
}

enum fs_sidecar_placed bfr_fs_sidecar_place(struct fs_temp *temp, int dir_fd, const struct bfr_batch *batch)
{
    char name[FS_SIDECAR_NAME_SIZE];

    bfr_fs_sidecar_name(batch->filename, name);
    if (bfr_fs_temp_place(temp, dir_fd, name))
        return FS_SIDECAR_PLACED;
    return errno == EEXIST ? place_over(temp, dir_fd, name, batch) : FS_SIDECAR_ERROR;
}
