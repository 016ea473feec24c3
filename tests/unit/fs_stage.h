// SPDX-License-Identifier: Apache-2.0
// A started fs stage on a temporary directory, with small helpers to store into it and look at what is there.
#ifndef BFR_TEST_FS_STAGE_H
#define BFR_TEST_FS_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin_file.h"

#define WAIT_MS  20000
#define LEFTOVER ".bfr-0123456789abcdef-0000000000000007"

struct stage {
    struct bfr_fake *fake;
    char root[64];
};

static inline void make_root(struct stage *stage)
{
    snprintf(stage->root, sizeof stage->root, "/tmp/bfr-test-fs-XXXXXX");
    assert_non_null(mkdtemp(stage->root));
}

// `extra`: one more option, or NULL.
static inline void open_stage_at(struct stage *stage, const char *directory, const char *extra)
{
    char pair[256];
    const char *pairs[] = {pair, extra};

    snprintf(pair, sizeof pair, "directory=%s", directory);
    stage->fake = plugin_file_create(pairs, extra == NULL ? 1 : 2);
    plugin_file_start(stage->fake);
}

static inline struct stage open_stage(const char *extra)
{
    struct stage stage;
    make_root(&stage);
    open_stage_at(&stage, stage.root, extra);
    return stage;
}

static inline int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void remove_root(struct stage *stage)
{
    assert_int_equal(nftw(stage->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
}

static inline void close_stage(struct stage *stage)
{
    plugin_file_finish(stage->fake);
    remove_root(stage);
}

static inline struct bfr_fake_end store_batch(struct stage *stage, const struct bfr_batch *batch)
{
    struct bfr_fake_end end;
    uint64_t token;

    assert_int_equal(bfr_fake_put(stage->fake, &batch, 1, &token), 1);
    assert_true(bfr_fake_wait(stage->fake, token, WAIT_MS, &end));
    bfr_fake_batch_release(stage->fake, batch);
    return end;
}

static inline struct bfr_fake_end store(struct stage *stage, const char *tenant, const char *dataset,
                                        const char *filename, const char *body)
{
    return store_batch(stage, bfr_fake_batch(stage->fake, tenant, dataset, filename, body, strlen(body)));
}

static inline char *path_of(const struct stage *stage, const char *below)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", stage->root, below);
    return path;
}

static inline void write_file(const struct stage *stage, const char *below, const char *text)
{
    FILE *file = fopen(path_of(stage, below), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void make_dir(const struct stage *stage, const char *below)
{
    assert_int_equal(mkdir(path_of(stage, below), 0755), 0);
}

static inline void assert_content(const struct stage *stage, const char *below, const char *expected)
{
    char text[4096];
    FILE *file = fopen(path_of(stage, below), "r");
    if (file == NULL)
        fail_msg("no file %s", below);
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    fclose(file);
    assert_string_equal(text, expected);
}

static inline bool exists(const struct stage *stage, const char *below)
{
    struct stat info;
    return lstat(path_of(stage, below), &info) == 0;
}

// Entries of a directory, without "." and "..".
static inline int count_entries(const struct stage *stage, const char *below)
{
    const struct dirent *entry;
    int count = 0;
    DIR *dir = opendir(path_of(stage, below));

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static inline void assert_text_has(const struct bfr_fake_end *end, const char *part)
{
    if (strstr(end->text, part) == NULL)
        fail_msg("'%s' is not in: %s", part, end->text);
}

#endif
