// SPDX-License-Identifier: Apache-2.0
// See directory_cache.h. Lines of fields separated by tabs:
//
//     bytefreezer-directory 1 <scope>
//     A <account> <0|1 active>
//     T <tenant> <0|1> <hash of its token, or -> <name>        of the account before it
//     D <dataset> <0|1> <hint> <name>                          of the tenant before it
//     K <tenant> <SHA-256 of a key accepted for it>            after all of these; older files have none
//     E <SHA-256 of everything before this line>
#include "directory_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <bfr/text.h>

#include "control_json.h"

#define FILE_BYTES_MAX (256 << 20)
#define END_BYTES      67 // "E\t", 64 digits, newline
#define HEADER         "bytefreezer-directory\t1\t"

void bfr_directory_cache_init(struct directory_cache *cache, const char *path, const char *url, const char *account)
{
    uint8_t hash[DIRECTORY_HASH_SIZE] = {0};
    char text[1024];

    memset(cache, 0, sizeof *cache);
    cache->path = path;
    int length = snprintf(text, sizeof text, "%s\n%s", url, account);
    if (length > 0)
        (void)EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL);
    bfr_hex(hash, sizeof hash, cache->scope);
}

// ---- writing ----

struct output {
    FILE *file; // NULL: only the hash is wanted
    EVP_MD_CTX *digest;
};

// One field and the separator after it. What would break the line becomes a blank.
static void put(struct output *output, const char *field, char end)
{
    char text[DIRECTORY_NAME_MAX + 2];
    size_t length = 0;

    for (; field[length] != '\0' && length < sizeof text - 1; length++)
        text[length] = (unsigned char)field[length] < 0x20 || field[length] == 0x7f ? ' ' : field[length];
    text[length++] = end;
    (void)EVP_DigestUpdate(output->digest, text, length);
    if (output->file != NULL)
        (void)fwrite(text, 1, length, output->file); // ferror is asked at the end
}

static void put_dataset(struct output *output, const struct directory *directory, uint32_t number)
{
    const struct directory_dataset *dataset = &directory->datasets[number];

    put(output, "D", '\t');
    put(output, directory->texts + dataset->id, '\t');
    put(output, dataset->active ? "1" : "0", '\t');
    put(output, directory->texts + dataset->hint, '\t');
    put(output, directory->texts + dataset->name, '\n');
}

static void put_tenant(struct output *output, const struct directory *directory, const struct directory_tenant *tenant)
{
    char hash[2 * DIRECTORY_HASH_SIZE + 1] = "-";

    if (tenant->has_token)
        bfr_hex(tenant->token, sizeof tenant->token, hash);
    put(output, "T", '\t');
    put(output, directory->texts + tenant->id, '\t');
    put(output, tenant->active ? "1" : "0", '\t');
    put(output, hash, '\t');
    put(output, directory->texts + tenant->name, '\n');
    for (uint32_t at = tenant->first; at != DIRECTORY_NONE; at = directory->datasets[at].next)
        put_dataset(output, directory, at);
}

static void put_account(struct output *output, const struct directory *directory, uint32_t number)
{
    const struct directory_account *account = &directory->accounts[number];

    put(output, "A", '\t');
    put(output, directory->texts + account->id, '\t');
    put(output, account->active ? "1" : "0", '\n');
}

static void put_key(struct output *output, const struct key_record *record)
{
    char hash[2 * DIRECTORY_HASH_SIZE + 1];

    bfr_hex(record->key, sizeof record->key, hash);
    put(output, "K", '\t');
    put(output, record->tenant, '\t');
    put(output, hash, '\n');
}

// All that goes into the file.
struct content {
    const char *scope;
    const struct directory *directory;
    const struct keys *keys;
};

static void put_directory(struct output *output, const struct directory *directory)
{
    uint32_t account = DIRECTORY_NONE;

    for (uint32_t i = 0; i < directory->account_count; i++)
        put_account(output, directory, i);
    for (uint32_t i = 0; i < directory->tenant_count; i++) {
        if (directory->tenants[i].account != account) {
            account = directory->tenants[i].account;
            put_account(output, directory, account);
        }
        put_tenant(output, directory, &directory->tenants[i]);
    }
}

static bool put_all(struct output *output, const struct content *content, uint8_t out_hash[DIRECTORY_HASH_SIZE])
{
    char hex[2 * DIRECTORY_HASH_SIZE + 1];

    if (EVP_DigestInit_ex(output->digest, EVP_sha256(), NULL) != 1)
        return false;
    put(output, "bytefreezer-directory", '\t');
    put(output, "1", '\t');
    put(output, content->scope, '\n');
    put_directory(output, content->directory);
    for (uint32_t i = 0; i < content->keys->count; i++)
        put_key(output, &content->keys->items[i]);
    if (EVP_DigestFinal_ex(output->digest, out_hash, NULL) != 1)
        return false;
    bfr_hex(out_hash, DIRECTORY_HASH_SIZE, hex);
    return output->file == NULL || fprintf(output->file, "E\t%s\n", hex) > 0;
}

// The directory that the file is in, opened. *out_name points into `path`.
static int open_parent(const char *path, const char **out_name)
{
    const char *slash = strrchr(path, '/');
    char parent[4096];

    *out_name = slash == NULL ? path : slash + 1;
    if (slash == NULL || slash == path)
        return open(slash == NULL ? "." : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    return open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// False with errno.
static bool write_file(int fd, struct output *output, const struct content *content,
                       uint8_t out_hash[DIRECTORY_HASH_SIZE])
{
    output->file = fdopen(fd, "w");
    if (output->file == NULL) {
        close(fd);
        return false;
    }
    bool ok =
        put_all(output, content, out_hash) && fflush(output->file) == 0 && ferror(output->file) == 0 && fsync(fd) == 0;
    int error = errno;
    ok = fclose(output->file) == 0 && ok;
    errno = error;
    return ok;
}

static uint32_t replace(struct directory_cache *cache, struct output *output, const struct content *content,
                        uint8_t out_hash[DIRECTORY_HASH_SIZE], struct bfr_err *err)
{
    char temporary[300];
    const char *name;
    int parent = open_parent(cache->path, &name);
    uint32_t status = BFR_EFAIL;

    snprintf(temporary, sizeof temporary, ".%.250s.new", name);
    if (parent >= 0)
        (void)unlinkat(parent, temporary, 0); // of a run that was killed
    int fd = parent < 0 ? -1 : openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && write_file(fd, output, content, out_hash) && renameat(parent, temporary, parent, name) == 0 &&
        fsync(parent) == 0)
        status = BFR_OK;
    else
        bfr_err_set(err, status, "%s: %s", cache->path, strerror(errno));
    if (status != BFR_OK && parent >= 0)
        (void)unlinkat(parent, temporary, 0);
    if (parent >= 0)
        close(parent);
    return status;
}

uint32_t bfr_directory_cache_write(struct directory_cache *cache, const struct directory *directory,
                                   const struct keys *keys, struct bfr_err *err)
{
    const struct content content = {cache->scope, directory, keys};
    struct output output = {.digest = EVP_MD_CTX_new()};
    uint8_t hash[DIRECTORY_HASH_SIZE];
    uint32_t status = BFR_OK;

    if (output.digest == NULL || keys->no_memory || !put_all(&output, &content, hash))
        status = bfr_err_set(err, BFR_ENOMEM, "%s: out of memory", cache->path);
    else if (memcmp(hash, cache->written, sizeof hash) != 0 || access(cache->path, F_OK) != 0) // somebody removed it
        status = replace(cache, &output, &content, hash, err);
    if (status == BFR_OK)
        memcpy(cache->written, hash, sizeof hash);
    EVP_MD_CTX_free(output.digest);
    return status;
}

// ---- reading ----

// The bytes of the file with a NUL after them, or NULL with errno. ENOENT: there is none; EPERM: others may have written it.
static char *slurp(const char *path, size_t *out_size, bool *out_private)
{
    struct stat info;
    size_t done = 0;
    char *data = NULL;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_BYTES_MAX)
        errno = EINVAL;
    else if ((info.st_uid != geteuid() && info.st_uid != 0) || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        errno = EPERM;
    else
        data = malloc((size_t)info.st_size + 1);
    while (data != NULL && done < (size_t)info.st_size) {
        ssize_t got = read(fd, data + done, (size_t)info.st_size - done);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    int error = errno;
    *out_private = (info.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    close(fd);
    errno = error;
    if (data != NULL)
        data[done] = '\0';
    *out_size = done;
    return data;
}

static bool is_whole(const char *data, size_t size, uint8_t out_hash[DIRECTORY_HASH_SIZE])
{
    char hex[2 * DIRECTORY_HASH_SIZE + 1];

    if (size < END_BYTES || memcmp(data + size - END_BYTES, "E\t", 2) != 0)
        return false;
    if (EVP_Digest(data, size - END_BYTES, out_hash, NULL, EVP_sha256(), NULL) != 1)
        return false;
    bfr_hex(out_hash, DIRECTORY_HASH_SIZE, hex);
    return memcmp(data + size - END_BYTES + 2, hex, sizeof hex - 1) == 0 && data[size - 1] == '\n';
}

static bool read_hash(const char *hex, uint8_t out[DIRECTORY_HASH_SIZE])
{
    size_t length = 0;

    return OPENSSL_hexstr2buf_ex(out, DIRECTORY_HASH_SIZE, &length, hex, '\0') == 1 && length == DIRECTORY_HASH_SIZE;
}

struct place {
    uint32_t account, tenant;
};

static bool add_key(struct keys *keys, char *const *field)
{
    uint8_t key[DIRECTORY_HASH_SIZE];

    if (!read_hash(field[2], key))
        return false;
    bfr_keys_add(keys, field[1], key);
    return !keys->no_memory;
}

// One line, already cut into fields (missing ones are ""). False: not such a line, or memory is short.
static bool add_line(struct directory *directory, struct keys *keys, struct place *place, char *const *field)
{
    bool active = strcmp(field[2], "1") == 0;

    if (!bfr_control_id_is_good(field[1]))
        return false;
    if (strcmp(field[0], "A") == 0) {
        place->account = bfr_directory_add_account(directory, &(struct account_record){field[1], active});
        place->tenant = DIRECTORY_NONE;
        return place->account != DIRECTORY_NONE;
    }
    if (strcmp(field[0], "T") == 0 && place->account != DIRECTORY_NONE) {
        struct tenant_record record = {.id = field[1], .account = "", .name = field[4], .active = active};
        record.has_token = strcmp(field[3], "-") != 0;
        if (record.has_token && !read_hash(field[3], record.token))
            return false;
        place->tenant = bfr_directory_add_tenant(directory, place->account, &record);
        return place->tenant != DIRECTORY_NONE;
    }
    if (strcmp(field[0], "K") == 0)
        return add_key(keys, field);
    if (strcmp(field[0], "D") != 0 || place->tenant == DIRECTORY_NONE)
        return false;
    struct dataset_record record = {field[1], field[4], field[3], active};
    return bfr_directory_add_dataset(directory, place->tenant, &record) != DIRECTORY_NONE;
}

static bool add_lines(struct directory *directory, struct keys *keys, char *text)
{
    struct place place = {DIRECTORY_NONE, DIRECTORY_NONE};
    static char empty[] = "";
    char *line;

    while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
        char *field[5] = {empty, empty, empty, empty, empty};
        for (size_t i = 0; i < 5 && line != NULL; i++)
            field[i] = strsep(&line, "\t");
        if (!add_line(directory, keys, &place, field))
            return false;
    }
    return true;
}

uint32_t bfr_directory_cache_read(struct directory_cache *cache, struct directory **out, struct keys *out_keys,
                                  struct bfr_err *err)
{
    size_t size = 0;
    size_t head = strlen(HEADER);
    struct directory *directory = NULL;
    uint32_t status = BFR_OK;
    bool is_private = false;
    char *data = slurp(cache->path, &size, &is_private);

    *out = NULL;
    memset(out_keys, 0, sizeof *out_keys);
    if (data == NULL && (errno == ENOENT || errno == ENOTDIR))
        return BFR_OK;
    if (data == NULL && errno == EPERM)
        return bfr_err_set(err, BFR_EFAIL, "%s: of another user, or others may write to it; it is ignored and replaced",
                           cache->path);
    if (data == NULL)
        return bfr_err_set(err, BFR_EFAIL, "%s: %s", cache->path, strerror(errno));
    if (size < head || memcmp(data, HEADER, head) != 0 || !is_whole(data, size, cache->written)) {
        status = bfr_err_set(err, BFR_EFAIL, "%s: damaged, or not a directory; it is ignored and will be replaced",
                             cache->path);
        memset(cache->written, 0, sizeof cache->written);
    } else if (strncmp(data + head, cache->scope, strlen(cache->scope)) == 0) {
        data[size - END_BYTES] = '\0';
        directory = bfr_directory_new();
        char *first = strchr(data, '\n');
        if (directory == NULL || first == NULL || !add_lines(directory, out_keys, first + 1))
            status = bfr_err_set(err, BFR_EFAIL, "%s: not readable, or out of memory", cache->path);
    }
    if (status == BFR_OK && directory != NULL) {
        bfr_directory_trim(directory);
        *out = directory;
        directory = NULL;
    } else {
        bfr_keys_free(out_keys);
    }
    if (!is_private)
        memset(cache->written, 0, sizeof cache->written); // so that the next round writes it anew, 0600
    bfr_directory_free(directory);
    free(data);
    return status;
}
