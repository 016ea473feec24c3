// SPDX-License-Identifier: Apache-2.0
// A started disk stage for tests, in a directory of its own, with its calls in short form. Real time, real files.
#ifndef BFR_TEST_DISK_STAGE_H
#define BFR_TEST_DISK_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugin_file.h"

#define WAIT_MS 20000

struct stage {
    struct bfr_fake *fake;
    const struct bfr_queue_vtable *table;
    void *self;
};

static char stage_directory[64];

// cmocka's set-up and tear-down of one test: a fresh directory.
static inline int make_directory(void **state)
{
    (void)state;
    snprintf(stage_directory, sizeof stage_directory, "/tmp/bfr-disk-XXXXXX");
    return mkdtemp(stage_directory) != NULL ? 0 : -1;
}

static inline int remove_directory(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", stage_directory);
    return system(command);
}

// `extra`: one more option, or NULL. `second`: the name of a second consumer, or NULL.
static inline struct stage open_stage_for(const char *first, const char *second, const char *extra)
{
    const char *const names[] = {first, second};
    char directory[96];
    const char *pairs[] = {directory, "max_size_bytes=16MiB", "segment_bytes=256KiB", extra};
    struct bfr_err err = {.size = sizeof err};
    struct stage stage;

    snprintf(directory, sizeof directory, "directory=%s", stage_directory);
    stage.fake = plugin_file_create(pairs, extra != NULL ? 4 : 3);
    stage.table = plugin_file_load()->vtable;
    stage.self = bfr_fake_self(stage.fake);
    assert_int_equal(stage.table->consumers(stage.self, names, second != NULL ? 2 : 1, &err), BFR_OK);
    plugin_file_start(stage.fake);
    return stage;
}

static inline struct stage open_stage(const char *extra)
{
    return open_stage_for("main", NULL, extra);
}

static inline struct bfr_queue_stats stats_of(struct stage *stage)
{
    struct bfr_queue_stats stats = {.size = sizeof stats};
    stage->table->stats(stage->self, &stats);
    return stats;
}

static inline uint32_t lease_many(struct stage *stage, uint32_t consumer, uint32_t flags, uint32_t most,
                                  struct bfr_lease **out, uint64_t *out_next_ns)
{
    const struct bfr_lease_request request = {
        .size = sizeof request, .consumer = consumer, .max_batches = most, .flags = flags, .max_bytes = UINT64_MAX};
    return stage->table->lease(stage->self, &request, out, out_next_ns);
}

// A body that tells its name and has `bytes` bytes; free it.
static inline char *body_of(const char *filename, size_t bytes)
{
    char *body = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        body[i] = (char)(filename[i % strlen(filename)] + (char)(i / 251));
    return body;
}

// Put one batch; returns its end.
static inline struct bfr_fake_end put_one(struct stage *stage, const char *tenant, const char *filename, size_t bytes)
{
    char *body = body_of(filename, bytes);
    const struct bfr_batch *batch = bfr_fake_batch(stage->fake, tenant, "web", filename, body, bytes);
    struct bfr_fake_end end = {0};
    uint64_t token;

    free(body);
    if (bfr_fake_put(stage->fake, &batch, 1, &token) == 1)
        assert_true(bfr_fake_wait(stage->fake, token, WAIT_MS, &end));
    bfr_fake_batch_release(stage->fake, batch);
    return end;
}

static inline void put_stored(struct stage *stage, const char *tenant, const char *filename, size_t bytes)
{
    struct bfr_fake_end end = put_one(stage, tenant, filename, bytes);
    if (end.outcome != BFR_STORED)
        fail_msg("outcome %u: %s", end.outcome, end.text);
}

// The next batch, waiting for it to be offered.
static inline struct bfr_lease *lease_one(struct stage *stage, uint32_t consumer)
{
    struct bfr_lease *lease = NULL;
    uint64_t next_ns;
    while (lease_many(stage, consumer, 0, 1, &lease, &next_ns) == 0)
        if (!bfr_fake_wait_ready(stage->fake, WAIT_MS))
            fail_msg("nothing to lease for consumer %u", consumer);
    return lease;
}

static inline bool has_lease(struct stage *stage, uint32_t consumer)
{
    struct bfr_lease *lease = NULL;
    uint64_t next_ns;
    return lease_many(stage, consumer, 0, 1, &lease, &next_ns) > 0;
}

// Is it the batch that body_of made?
static inline void assert_batch(const struct bfr_batch *batch, const char *filename, size_t bytes)
{
    char *body = body_of(filename, bytes);
    size_t at = 0;
    assert_string_equal(batch->filename, filename);
    assert_int_equal(batch->body_bytes, bytes);
    for (uint32_t i = 0; i < batch->span_count; i++) {
        assert_memory_equal(batch->spans[i].data, body + at, batch->spans[i].size);
        at += batch->spans[i].size;
    }
    assert_int_equal(at, bytes);
    free(body);
}

static inline uint32_t ack_one(struct stage *stage, uint32_t consumer, struct bfr_lease *lease)
{
    uint32_t settled = 0;
    stage->table->ack(stage->self, consumer, &lease, 1, &settled);
    return settled;
}

static inline void nack_one(struct stage *stage, uint32_t consumer, struct bfr_lease *lease, uint32_t attempts,
                            uint64_t not_before_ns, const char *text)
{
    const struct bfr_nack nack = {
        .size = sizeof nack, .attempts = attempts, .not_before_ns = not_before_ns, .text = text};
    const struct bfr_nack *const nacks[] = {&nack};
    stage->table->nack(stage->self, consumer, &lease, nacks, 1);
}

static inline uint32_t bury_one(struct stage *stage, uint32_t consumer, struct bfr_lease *lease, uint32_t reason,
                                uint32_t attempts, const char *text)
{
    const struct bfr_burial burial = {.size = sizeof burial, .reason = reason, .attempts = attempts, .text = text};
    const struct bfr_burial *const burials[] = {&burial};
    uint32_t settled = 0;
    stage->table->bury(stage->self, consumer, &lease, burials, 1, &settled);
    return settled;
}

// Wait for something that another thread does; fails the test when it does not happen.
static inline bool eventually(struct stage *stage, bool (*reached)(struct stage *stage))
{
    for (int i = 0; i < WAIT_MS && !reached(stage); i++)
        usleep(1000);
    return reached(stage);
}

static inline void count_lines(struct stage *stage, const char *part, int expected)
{
    const char *line;
    int count = 0;
    for (size_t i = 0; (line = bfr_fake_log(stage->fake, i)) != NULL; i++)
        count += strstr(line, part) != NULL ? 1 : 0;
    assert_int_equal(count, expected);
}

// Files of that ending in a part of the spool.
static inline int count_files(const char *part, const char *ending)
{
    char command[256], answer[32] = "";
    snprintf(command, sizeof command, "find '%s/.bfr/%s' -name '*%s' -type f | wc -l", stage_directory, part, ending);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(answer, sizeof answer, pipe));
    pclose(pipe);
    return atoi(answer);
}

#endif
