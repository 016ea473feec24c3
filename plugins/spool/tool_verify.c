// SPDX-License-Identifier: Apache-2.0
// `spool verify`: reads everything that is still wanted, down to the SHA-256 of each body, and compares each index with its
// segment. Changes nothing.
#include <dirent.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

struct verdict {
    uint64_t good;
    uint64_t damaged; // records, gaps, headers, indexes
};

static void damage(struct verdict *verdict, const struct tool_segment *segment, const char *what)
{
    verdict->damaged++;
    printf("segment %016llx: %s\n", (unsigned long long)segment->file->id, what);
}

static void verify_records(struct verdict *verdict, const struct tool_segment *segment)
{
    for (size_t i = 0; i < segment->found->count; i++) {
        struct tool_record *record = bfr_tool_read(segment, &segment->found->records[i]);
        uint8_t hash[SHA256_DIGEST_LENGTH];
        if (record != NULL)
            SHA256(record->body, (size_t)record->batch.body_bytes, hash);
        if (record == NULL || memcmp(hash, record->batch.stored_sha256, sizeof hash) != 0)
            damage(verdict, segment, "a record has not the SHA-256 it was stored with");
        else
            verdict->good++;
        free(record);
    }
}

// An index that leaves out a wanted record would hide it. One that lists more is out of date at worst: its records are read
// before they are used.
static void verify_index(struct verdict *verdict, const struct tool_segment *segment)
{
    struct found indexed;
    if (!bfr_segment_index_read(segment->file, segment->dir->segments, &indexed))
        return; // none, or one that the daemon would build again
    size_t at = 0;
    for (size_t i = 0; i < segment->found->count; i++) {
        uint64_t sequence = segment->found->records[i].sequence;
        while (at < indexed.count && indexed.records[at].sequence != sequence)
            at++;
        if (at == indexed.count) {
            damage(verdict, segment, "its index leaves out a record");
            break;
        }
    }
    bfr_found_free(&indexed);
}

static bool verify_segment(void *arg, const struct tool_segment *segment)
{
    struct verdict *verdict = arg;
    char text[128];
    if (segment->file->header_damaged)
        damage(verdict, segment, "its header is damaged");
    if (segment->found->marks_lost)
        damage(verdict, segment, "its settlement marks cannot be read; what they settled will be stored again");
    if (segment->gaps > 0) {
        snprintf(text, sizeof text, "%llu bytes in %llu places cannot be read", (unsigned long long)segment->gap_bytes,
                 (unsigned long long)segment->gaps);
        damage(verdict, segment, text);
    }
    // Torn, or damaged: at the end of a segment nobody can tell.
    if (segment->torn_bytes > 0) {
        snprintf(text, sizeof text, "its last record, %llu bytes, is not whole",
                 (unsigned long long)segment->torn_bytes);
        damage(verdict, segment, text);
    }
    verify_records(verdict, segment);
    verify_index(verdict, segment);
    return true;
}

// Every dead letter is two files.
static void verify_letters(struct verdict *verdict, const struct disk_dir *dir)
{
    int fd = openat(dir->letters, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        char *dot = strrchr(entry->d_name, '.');
        bool json = dot != NULL && strcmp(dot, ".json") == 0, batch = dot != NULL && strcmp(dot, ".batch") == 0;
        if (!json && !batch)
            continue;
        char other[NAME_MAX + 8];
        snprintf(other, sizeof other, "%.*s%s", (int)(dot - entry->d_name), entry->d_name, json ? ".batch" : ".json");
        if (faccessat(dir->letters, other, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
            verdict->damaged++;
            printf("dead letter %s: '%s' is missing\n", entry->d_name, other);
        }
    }
    if (stream != NULL)
        (void)closedir(stream);
    else if (fd >= 0)
        close(fd);
}

int bfr_tool_verify(int argc, char **argv)
{
    struct disk_dir dir;
    struct verdict verdict = {.good = 0};
    if (!bfr_tool_operands(argc, argv, 1))
        return BFR_TOOL_USAGE;
    if (!bfr_tool_open_reading(&dir, argv[0], ""))
        return BFR_TOOL_FAILED;
    bool readable = bfr_tool_each_segment(&dir, verify_segment, &verdict);
    verify_letters(&verdict, &dir);
    printf("%llu records good, %llu damages found\n", (unsigned long long)verdict.good,
           (unsigned long long)verdict.damaged);
    bfr_disk_dir_close(&dir);
    return readable && verdict.damaged == 0 ? BFR_TOOL_GOOD : BFR_TOOL_FAILED;
}
