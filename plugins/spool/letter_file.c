// SPDX-License-Identifier: Apache-2.0
// See letter_file.h. The .json is written last and removed first: a letter exists while its .json does.
#include "letter_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bfr/text.h>
#include <jansson.h>

#include "disk_dir.h"
#include "letter.h"
#include "letter_json.h"

#define NAME_SIZE      32
#define JSON_BYTES_MAX ((size_t)1 << 20)
#define BODY_BYTES_MAX ((size_t)1 << 40)

void bfr_letter_id(uint64_t sequence, char out[LETTER_ID_SIZE])
{
    snprintf(out, LETTER_ID_SIZE, "%016" PRIx64, sequence);
}

bool bfr_letter_id_parse(const char *name, const char *suffix, uint64_t *sequence)
{
    if (strspn(name, "0123456789abcdef") != LETTER_ID_SIZE - 1 || strcmp(name + LETTER_ID_SIZE - 1, suffix) != 0)
        return false;
    *sequence = strtoull(name, NULL, 16);
    return true;
}

static void name_file(uint64_t sequence, const char *suffix, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "%016" PRIx64 "%s", sequence, suffix);
}

// --- the note as JSON

// A text that is no UTF-8 is not worth losing the letter for.
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : json_string("(not UTF-8)");
}

static int64_t time_from(const json_t *value)
{
    struct tm parts = {0};
    const char *text = json_string_value(value);
    const char *rest = text == NULL ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == NULL)
        return 0;
    long ns = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
    return (int64_t)timegm(&parts) * 1000000000 + ns;
}

static bool digest_from(const json_t *value, uint8_t out[32])
{
    const char *text = json_string_value(value);
    if (text == NULL || strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64)
        return false;
    for (size_t i = 0; i < 32; i++) {
        const char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static json_t *consumers_value(const struct letter_note *note)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < note->consumer_count; i++)
        json_array_append_new(list, text_value(note->consumers[i]));
    return list;
}

static json_t *note_to_json(const struct letter_note *note)
{
    const struct bfr_batch *batch = &note->batch;
    const struct {
        const char *key;
        json_t *value;
    } fields[] = {
        {"batch_id", text_value(batch->batch_id)},
        {"data_hint", text_value(batch->data_hint)},
        {"content_type", text_value(batch->content_type)},
        {"received_at", bfr_letter_time_value(batch->received_ns)},
        {"buried_at", bfr_letter_time_value(note->buried_ns)},
        {"crc32c", json_integer(batch->crc32c)},
        {"flags", json_integer(batch->flags)},
        {"consumers", consumers_value(note)},
    };
    json_t *root = bfr_letter_json(&note->letter, text_value);
    bool good = root != NULL;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        good = json_object_set_new(root, fields[i].key, fields[i].value) == 0 && good;
    if (good)
        return root;
    json_decref(root);
    return NULL;
}

char *bfr_letter_text(const struct letter_note *note, bool one_line)
{
    json_t *root = note_to_json(note);
    char *text = root == NULL ? NULL : json_dumps(root, one_line ? JSON_COMPACT : JSON_INDENT(2));
    json_decref(root);
    return text;
}

static const char *text_of(const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *root, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(root, key));
    return value > 0 ? (uint64_t)value : 0;
}

static uint32_t reason_of(const json_t *root)
{
    const char *name = text_of(root, "reason");
    for (uint32_t reason = BFR_REASON_CONFLICT; reason <= BFR_REASON_EXPIRED; reason++)
        if (strcmp(bfr_reason_name(reason), name) == 0)
            return reason;
    return BFR_REASON_REJECTED;
}

static void fill_batch(const json_t *root, struct bfr_batch *out)
{
    *out = (struct bfr_batch){
        .size = sizeof *out,
        .flags = (uint32_t)number_of(root, "flags"),
        .account = text_of(root, "account_id"),
        .tenant = text_of(root, "tenant_id"),
        .dataset = text_of(root, "dataset_id"),
        .filename = text_of(root, "filename"),
        .batch_id = text_of(root, "batch_id"),
        .data_hint = text_of(root, "data_hint"),
        .content_type = text_of(root, "content_type"),
        .line_count = number_of(root, "line_count"),
        .original_bytes = number_of(root, "original_size"),
        .created_ns = time_from(json_object_get(root, "created_at")),
        .received_ns = time_from(json_object_get(root, "received_at")),
        .body_bytes = number_of(root, "size"),
        .crc32c = (uint32_t)number_of(root, "crc32c"),
    };
}

static void fill_letter(const json_t *root, struct letter_note *note)
{
    const struct bfr_batch *batch = &note->batch;
    note->letter = bfr_letter_of(batch, note->id);
    note->letter.reason = reason_of(root);
    note->letter.attempts = (uint32_t)number_of(root, "attempts");
    note->letter.first_error_ns = time_from(json_object_get(root, "first_error_at"));
    note->letter.last_error_ns = time_from(json_object_get(root, "last_error_at"));
    note->letter.redriven_ns = time_from(json_object_get(root, "redriven_at"));
    note->letter.first_error = text_of(root, "first_error");
    note->letter.last_error = text_of(root, "last_error");
}

static bool fill_note(const json_t *root, struct letter_note *out)
{
    const json_t *consumers = json_object_get(root, "consumers"), *name;
    size_t i;
    fill_batch(root, &out->batch);
    if (out->batch.tenant[0] == '\0' ||
        !digest_from(json_object_get(root, "stored_sha256"), out->batch.stored_sha256) ||
        !digest_from(json_object_get(root, "source_sha256"), out->batch.source_sha256))
        return false;
    out->buried_ns = time_from(json_object_get(root, "buried_at"));
    out->consumer_count = 0;
    json_array_foreach(consumers, i, name)
    {
        if (json_string_value(name) != NULL && out->consumer_count < RECORD_CONSUMERS_MAX)
            out->consumers[out->consumer_count++] = json_string_value(name);
    }
    fill_letter(root, out);
    return true;
}

// --- files

static bool write_body(int directory, const char *name, const struct bfr_span *body, size_t span_count)
{
    char temporary[NAME_SIZE + 4];
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0;
    for (size_t i = 0; i < span_count && good; i++) {
        for (size_t done = 0; done < body[i].size && good;) {
            ssize_t wrote = write(fd, body[i].data + done, body[i].size - done);
            if (wrote < 0 && errno == EINTR)
                continue;
            good = wrote > 0;
            done += good ? (size_t)wrote : 0;
        }
    }
    good = good && fsync(fd) == 0 && renameat(directory, temporary, directory, name) == 0;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (!good)
        (void)unlinkat(directory, temporary, 0);
    errno = saved;
    return good;
}

bool bfr_letter_write(int directory, const struct letter_note *note, const struct bfr_span *body, size_t span_count,
                      uint64_t *out_bytes)
{
    char name[NAME_SIZE];
    uint64_t sequence = strtoull(note->id, NULL, 16);
    char *text = bfr_letter_text(note, false);
    if (text == NULL) {
        errno = ENOMEM;
        return false;
    }
    name_file(sequence, ".batch", name);
    bool good = write_body(directory, name, body, span_count);
    name_file(sequence, ".json", name);
    good = good && bfr_disk_dir_write(directory, name, text, strlen(text)) && fsync(directory) == 0;
    int saved = errno;
    free(text);
    if (good)
        *out_bytes = bfr_letter_bytes(directory, sequence);
    else
        (void)bfr_letter_remove(directory, sequence);
    errno = saved;
    return good;
}

bool bfr_letter_read(int directory, uint64_t sequence, struct letter_note *out)
{
    char name[NAME_SIZE];
    size_t size = 0;
    *out = (struct letter_note){.texts = NULL};
    bfr_letter_id(sequence, out->id);
    name_file(sequence, ".json", name);
    char *text = bfr_disk_dir_read(directory, name, JSON_BYTES_MAX, &size);
    if (text == NULL)
        return false;
    json_t *root = json_loadb(text, size, 0, NULL);
    free(text);
    if (root != NULL && fill_note(root, out)) {
        out->texts = root;
        return true;
    }
    json_decref(root);
    errno = EINVAL;
    return false;
}

char *bfr_letter_read_body(int directory, const struct letter_note *note)
{
    char name[NAME_SIZE];
    size_t size = 0;
    name_file(strtoull(note->id, NULL, 16), ".batch", name);
    char *body = bfr_disk_dir_read(directory, name, BODY_BYTES_MAX, &size);
    if (body == NULL)
        return NULL;
    if (size == note->batch.body_bytes && bfr_crc32c(0, body, size) == note->batch.crc32c)
        return body;
    free(body);
    errno = EILSEQ;
    return NULL;
}

void bfr_letter_note_free(struct letter_note *note)
{
    json_decref(note->texts);
    note->texts = NULL;
}

bool bfr_letter_remove(int directory, uint64_t sequence)
{
    char name[NAME_SIZE];
    name_file(sequence, ".json", name);
    if (unlinkat(directory, name, 0) != 0 && errno != ENOENT)
        return false;
    name_file(sequence, ".batch", name);
    return unlinkat(directory, name, 0) == 0 || errno == ENOENT;
}

static int compare_sequences(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

// A temporary file, or a body whose .json was not written or is gone already.
static void tidy_up(int fd, const char *name)
{
    char json[NAME_SIZE];
    struct stat info;
    uint64_t sequence;
    size_t length = strlen(name);
    bool temporary = length > 4 && strcmp(name + length - 4, ".tmp") == 0;
    bool half = bfr_letter_id_parse(name, ".batch", &sequence);
    if (half) {
        name_file(sequence, ".json", json);
        half = fstatat(fd, json, &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
    }
    if (temporary || half)
        (void)unlinkat(fd, name, 0);
}

uint64_t *bfr_letter_list(int directory, bool tidy, size_t *out_count)
{
    size_t count = 0, room = 64;
    uint64_t *list = malloc(room * sizeof *list);
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *item;
    bool good = dir != NULL && list != NULL;
    while (good && (item = readdir(dir)) != NULL) {
        if (tidy)
            tidy_up(fd, item->d_name);
        if (!bfr_letter_id_parse(item->d_name, ".json", &list[count]) || ++count < room)
            continue;
        uint64_t *grown = reallocarray(list, room * 2, sizeof *list);
        good = grown != NULL;
        list = good ? grown : list;
        room *= 2;
    }
    if (dir != NULL)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    if (!good) {
        free(list);
        return NULL;
    }
    qsort(list, count, sizeof *list, compare_sequences);
    *out_count = count;
    return list;
}

uint64_t bfr_letter_bytes(int directory, uint64_t sequence)
{
    static const char *const suffixes[] = {".json", ".batch"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < 2; i++) {
        char name[NAME_SIZE];
        struct stat info;
        name_file(sequence, suffixes[i], name);
        if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0)
            bytes += (uint64_t)info.st_blocks * 512;
    }
    return bytes;
}
