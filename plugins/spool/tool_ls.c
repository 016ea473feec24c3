// SPDX-License-Identifier: Apache-2.0
// `spool ls`: what is there, from the records themselves.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

struct tenant_sum {
    char *name;
    uint64_t batches;
    uint64_t bytes;
};

struct listing {
    struct tenant_sum *tenants;
    size_t tenant_count;
    uint64_t held;
    uint64_t held_bytes;
    uint64_t buried; // in segments
};

static bool add_tenant(struct listing *listing, const char *name, uint64_t bytes)
{
    struct tenant_sum *sum = listing->tenants;
    size_t i = 0;
    while (i < listing->tenant_count && strcmp(listing->tenants[i].name, name) != 0)
        i++;
    if (i == listing->tenant_count) {
        sum = reallocarray(listing->tenants, i + 1, sizeof *sum);
        if (sum == NULL)
            return false;
        listing->tenants = sum;
        sum[i] = (struct tenant_sum){.name = strdup(name)};
        if (sum[i].name == NULL)
            return false;
        listing->tenant_count++;
    }
    sum[i].batches++;
    sum[i].bytes += bytes;
    return true;
}

static bool list_segment(void *arg, const struct tool_segment *segment)
{
    struct listing *listing = arg;
    const struct found *found = segment->found;
    uint64_t held = 0, buried = 0, bytes = 0;
    for (size_t i = 0; i < found->count; i++) {
        const struct found_record *record = &found->records[i];
        if (bfr_tool_waiting(found, record) == 0) {
            buried++;
            continue;
        }
        held++;
        bytes += record->body_bytes;
        if (!add_tenant(listing, found->tenants[record->tenant], record->body_bytes)) {
            bfr_tool_complain("out of memory");
            return false;
        }
    }
    printf("segment %016llx: %llu held (%llu bytes), %llu buried, %llu of %llu bytes written%s%s\n",
           (unsigned long long)segment->file->id, (unsigned long long)held, (unsigned long long)bytes,
           (unsigned long long)buried, (unsigned long long)found->end_bytes,
           (unsigned long long)segment->file->file_bytes, segment->gaps > 0 ? ", damaged" : "",
           segment->file->header_damaged ? ", header damaged" : "");
    listing->held += held;
    listing->held_bytes += bytes;
    listing->buried += buried;
    return true;
}

// How many names in a directory end so.
static uint64_t count_names(int directory, const char *suffix)
{
    uint64_t count = 0;
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        size_t length = strlen(entry->d_name), wanted = strlen(suffix);
        count += entry->d_name[0] != '.' && length >= wanted && strcmp(entry->d_name + length - wanted, suffix) == 0;
    }
    if (stream != NULL)
        (void)closedir(stream);
    else if (fd >= 0)
        close(fd);
    return count;
}

static int compare_tenants(const void *left, const void *right)
{
    const struct tenant_sum *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static void print_sums(const struct disk_dir *dir, struct listing *listing)
{
    if (listing->tenant_count > 0)
        qsort(listing->tenants, listing->tenant_count, sizeof *listing->tenants, compare_tenants);
    for (size_t i = 0; i < listing->tenant_count; i++)
        printf("tenant %s: %llu held (%llu bytes)\n", listing->tenants[i].name,
               (unsigned long long)listing->tenants[i].batches, (unsigned long long)listing->tenants[i].bytes);
    printf("total: %llu held (%llu bytes), %llu dead letters in segments, %llu in files, %llu files in quarantine\n",
           (unsigned long long)listing->held, (unsigned long long)listing->held_bytes,
           (unsigned long long)listing->buried, (unsigned long long)count_names(dir->letters, ".batch"),
           (unsigned long long)count_names(dir->quarantine, ""));
}

int bfr_tool_ls(int argc, char **argv)
{
    struct disk_dir dir;
    struct listing listing = {.held = 0};
    if (!bfr_tool_operands(argc, argv, 1))
        return BFR_TOOL_USAGE;
    if (!bfr_tool_open_reading(&dir, argv[0], ""))
        return BFR_TOOL_FAILED;
    bool good = bfr_tool_each_segment(&dir, list_segment, &listing);
    print_sums(&dir, &listing);
    for (size_t i = 0; i < listing.tenant_count; i++)
        free(listing.tenants[i].name);
    free(listing.tenants);
    bfr_disk_dir_close(&dir);
    return good ? BFR_TOOL_GOOD : BFR_TOOL_FAILED;
}
