// SPDX-License-Identifier: Apache-2.0
// What the `spool` commands have in common: the lock, the complaints, a record read back.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

void bfr_tool_complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bytefreezer-receiver: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

bool bfr_tool_operands(int argc, char **argv, int count)
{
    for (int i = 0; i < argc; i++)
        if (argv[i][0] == '-')
            return false;
    return argc == count;
}

static bool report_open(uint32_t status, const struct bfr_err *err, const char *way_out)
{
    if (status != BFR_OK)
        bfr_tool_complain("%s%s", err->text, status == DISK_DIR_IN_USE ? way_out : "");
    return status == BFR_OK;
}

bool bfr_tool_open(struct disk_dir *dir, const char *path, const char *way_out)
{
    struct bfr_err err = {.size = sizeof err};
    return report_open(bfr_disk_dir_open(dir, path, false, &err), &err, way_out);
}

bool bfr_tool_open_reading(struct disk_dir *dir, const char *path, const char *way_out)
{
    struct bfr_err err = {.size = sizeof err};
    if (!report_open(bfr_disk_dir_open_reading(dir, path, &err), &err, way_out))
        return false;
    if (dir->lock_error != 0)
        bfr_tool_complain(
            "the spool in '%s' cannot be locked: %s; it is read all the same, so make sure that no daemon "
            "works there meanwhile",
            path, strerror(dir->lock_error));
    return true;
}

struct tool_record *bfr_tool_read(const struct tool_segment *segment, const struct found_record *record)
{
    size_t head = RECORD_HEADER_BYTES + (size_t)record->envelope_bytes;
    size_t size = head + (size_t)record->body_bytes;
    // Texts first, then the record as it stands.
    struct tool_record *out = malloc(sizeof *out + record->envelope_bytes + 16 + size);
    if (out == NULL) {
        bfr_tool_complain("out of memory for a record of %zu bytes", size);
        return NULL;
    }
    uint8_t *bytes = (uint8_t *)out->texts + record->envelope_bytes + 16;
    struct record_header header;
    bool good = bfr_segment_read(segment->file, bytes, size, record->offset) &&
                bfr_record_header_decode(bytes, segment->file->id, segment->file->nonce, &header) &&
                header.sequence == record->sequence && header.envelope_bytes == record->envelope_bytes &&
                header.body_bytes == record->body_bytes && bfr_record_check(bytes, &header) &&
                bfr_crc32c(0, bytes + head, size - head) == header.body_crc32c &&
                bfr_record_envelope_decode(bytes + RECORD_HEADER_BYTES, &header, &out->batch, out->consumers,
                                           &out->consumer_count, out->texts);
    if (good) {
        out->body = bytes + head;
        return out;
    }
    bfr_tool_complain("record %016llx cannot be read back", (unsigned long long)record->sequence);
    free(out);
    return NULL;
}

bool bfr_tool_name_is_safe(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f || *at == '/' || *at == '\\')
            return false;
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strlen(name) <= BFR_FILENAME_MAX;
}
