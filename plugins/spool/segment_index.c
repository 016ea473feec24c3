// SPDX-License-Identifier: Apache-2.0
// The index of a sealed segment: what was unsettled when it was written, so that the segment need not be read to be
// counted or to be fair. Written to a temporary name and renamed, checked by a CRC over everything; a wrong one is ignored.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_read.h"
#include "little_endian.h"
#include "segment_load.h"

#define INDEX_HEADER_BYTES 64u
#define INDEX_RECORD_BYTES 56u
#define INDEX_BYTES_MAX    ((size_t)1 << 30)

static const uint8_t index_magic[8] = {'B', 'F', 'R', 'I', 1, 0, 0, 0};

static uint8_t *put_text(uint8_t *at, const char *text)
{
    size_t size = strlen(text) + 1;
    memcpy(at, text, size);
    return at + size;
}

static size_t tables_bytes(const struct found *found)
{
    size_t bytes = 0;
    for (size_t i = 0; i < found->tenant_count; i++)
        bytes += strlen(found->tenants[i]) + 1;
    for (size_t i = 0; i < found->set_count; i++) {
        bytes += 4;
        for (uint32_t j = 0; j < found->sets[i].count; j++)
            bytes += strlen(found->sets[i].names[j]) + 1;
    }
    return bytes;
}

static uint8_t *put_tables(uint8_t *at, const struct found *found)
{
    for (size_t i = 0; i < found->tenant_count; i++)
        at = put_text(at, found->tenants[i]);
    for (size_t i = 0; i < found->set_count; i++) {
        at = put32(at, found->sets[i].count);
        for (uint32_t j = 0; j < found->sets[i].count; j++)
            at = put_text(at, found->sets[i].names[j]);
    }
    return at;
}

static uint8_t *put_record(uint8_t *at, const struct found_record *record)
{
    at = put64(at, record->sequence);
    at = put64(at, record->offset);
    at = put64(at, record->body_bytes);
    at = put64(at, (uint64_t)record->received_ns);
    at = put32(at, record->envelope_bytes);
    at = put32(at, record->body_crc32c);
    at = put32(at, record->tenant);
    at = put32(at, record->set);
    at = put32(at, record->confirmed);
    return put32(at, record->buried);
}

// Header, tables, records, CRC32C of it all. NULL when memory is short.
static uint8_t *encode(const struct segment_file *segment, const struct found *found, size_t *out_size)
{
    size_t tables = tables_bytes(found);
    size_t size = INDEX_HEADER_BYTES + tables + found->count * INDEX_RECORD_BYTES + 4;
    uint8_t *bytes = calloc(1, size);
    if (bytes == NULL)
        return NULL;
    memcpy(bytes, index_magic, sizeof index_magic);
    uint8_t *at = put64(bytes + 8, segment->id);
    at = put64(at, segment->nonce);
    at = put64(at, found->end_bytes);
    at = put64(at, found->count);
    at = put32(at, (uint32_t)found->tenant_count);
    at = put32(at, (uint32_t)found->set_count);
    put64(at, tables);
    at = put_tables(bytes + INDEX_HEADER_BYTES, found);
    for (size_t i = 0; i < found->count; i++)
        at = put_record(at, &found->records[i]);
    put32(at, bfr_crc32c(0, bytes, size - 4));
    *out_size = size;
    return bytes;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, bytes, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        bytes += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

bool bfr_segment_index_write(const struct segment_file *segment, int directory, const struct found *found)
{
    char name[SEGMENT_NAME_SIZE], temporary[SEGMENT_NAME_SIZE];
    bfr_segment_name(segment->id, "idx", name);
    bfr_segment_name(segment->id, "tmp", temporary);
    size_t size = 0;
    uint8_t *bytes = encode(segment, found, &size);
    if (bytes == NULL) {
        errno = ENOMEM;
        return false;
    }
    int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && write_all(fd, bytes, size) && renameat(directory, temporary, directory, name) == 0;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (!good)
        (void)unlinkat(directory, temporary, 0);
    free(bytes);
    errno = saved;
    return good;
}

static uint8_t *read_file(int directory, const char *name, size_t *out_size)
{
    struct stat stat;
    uint8_t *bytes = NULL;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && (uint64_t)stat.st_size <= INDEX_BYTES_MAX &&
        stat.st_size >= (off_t)INDEX_HEADER_BYTES + 4)
        bytes = malloc((size_t)stat.st_size);
    if (bytes != NULL && !bfr_file_read(fd, bytes, (size_t)stat.st_size, 0)) {
        free(bytes);
        bytes = NULL;
    }
    close(fd);
    *out_size = (size_t)stat.st_size;
    return bytes;
}

// The text at *at, which must end before `end`; NULL when it does not.
static const char *take_text(const uint8_t **at, const uint8_t *end)
{
    const char *text = (const char *)*at;
    size_t length = strnlen(text, (size_t)(end - *at));
    if (length == (size_t)(end - *at))
        return NULL;
    *at += length + 1;
    return text;
}

static bool take_set(const uint8_t **at, const uint8_t *end, struct found *out)
{
    const char *names[RECORD_CONSUMERS_MAX];
    if (end - *at < 4)
        return false;
    uint32_t count = get32(*at), number;
    *at += 4;
    if (count == 0 || count > RECORD_CONSUMERS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if ((names[i] = take_text(at, end)) == NULL)
            return false;
    return bfr_found_set(out, names, count, &number) && number == out->set_count - 1;
}

static bool take_tables(const uint8_t *at, const uint8_t *end, uint32_t tenants, uint32_t sets, struct found *out)
{
    uint32_t number;
    for (uint32_t i = 0; i < tenants; i++) {
        const char *tenant = take_text(&at, end);
        if (tenant == NULL || !bfr_found_tenant(out, tenant, &number) || number != i)
            return false;
    }
    for (uint32_t i = 0; i < sets; i++)
        if (!take_set(&at, end, out))
            return false;
    return at == end;
}

static bool take_record(const uint8_t *at, const struct segment_file *segment, struct found *out)
{
    const struct found_record record = {.sequence = get64(at),
                                        .offset = get64(at + 8),
                                        .body_bytes = get64(at + 16),
                                        .received_ns = (int64_t)get64(at + 24),
                                        .envelope_bytes = get32(at + 32),
                                        .body_crc32c = get32(at + 36),
                                        .tenant = get32(at + 40),
                                        .set = get32(at + 44),
                                        .confirmed = get32(at + 48),
                                        .buried = get32(at + 52)};
    return record.offset < segment->file_bytes && record.body_bytes < segment->file_bytes &&
           record.envelope_bytes <= ENVELOPE_MAX_BYTES && record.tenant < out->tenant_count &&
           record.set < out->set_count && bfr_found_add(out, &record);
}

static bool decode(const uint8_t *bytes, size_t size, const struct segment_file *segment, struct found *out)
{
    if (memcmp(bytes, index_magic, sizeof index_magic) != 0 || get64(bytes + 8) != segment->id ||
        get64(bytes + 16) != segment->nonce || get32(bytes + size - 4) != bfr_crc32c(0, bytes, size - 4))
        return false;
    uint64_t count = get64(bytes + 32), tables = get64(bytes + 48);
    size_t room = size - 4 - INDEX_HEADER_BYTES;
    if (tables > room || count > room / INDEX_RECORD_BYTES || tables + count * INDEX_RECORD_BYTES != room)
        return false;
    const uint8_t *at = bytes + INDEX_HEADER_BYTES;
    if (!take_tables(at, at + tables, get32(bytes + 40), get32(bytes + 44), out))
        return false;
    at += tables;
    for (uint64_t i = 0; i < count; i++, at += INDEX_RECORD_BYTES)
        if (!take_record(at, segment, out))
            return false;
    out->end_bytes = get64(bytes + 24);
    return true;
}

bool bfr_segment_index_read(const struct segment_file *segment, int directory, struct found *out)
{
    char name[SEGMENT_NAME_SIZE];
    size_t size = 0;
    bfr_segment_name(segment->id, "idx", name);
    uint8_t *bytes = read_file(directory, name, &size);
    *out = (struct found){.count = 0};
    bool good = bytes != NULL && decode(bytes, size, segment, out);
    if (!good)
        bfr_found_free(out);
    free(bytes);
    return good;
}
