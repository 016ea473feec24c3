// SPDX-License-Identifier: Apache-2.0
// The limit of the disk queue holds for all that it has under its directory, as the file system counts it, also when the
// batches are so small that marks, indexes and the duplicate memory are most of it; and space comes back without needing any.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "disk_stage.h"

#define LIMIT  (UINT64_C(16) << 20)
#define BODY   100
#define GROUP  64
#define LEASES 64

static uint64_t disk_usage(void)
{
    char command[128], answer[32] = "";
    snprintf(command, sizeof command, "du -sB1 '%s' 2>/dev/null", stage_directory);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(answer, sizeof answer, pipe));
    pclose(pipe);
    return strtoull(answer, NULL, 10);
}

static void assert_within_limit(const char *when)
{
    uint64_t usage = disk_usage();
    if (usage > LIMIT)
        fail_msg("%s: %llu bytes are in use, %llu more than the limit", when, (unsigned long long)usage,
                 (unsigned long long)(usage - LIMIT));
}

// Reserve and put a group of tiny batches; returns how many were admitted. What was admitted must be stored.
static size_t put_group(struct stage *stage, uint64_t *number)
{
    const struct bfr_batch *batches[GROUP];
    uint64_t tokens[GROUP];
    char body[BODY + 1], name[64];
    size_t admitted = 0;
    while (admitted < GROUP && stage->table->reserve(stage->self, "acme", BODY) == BFR_ROOM_OK) {
        snprintf(name, sizeof name, "batch-%010llu-of-tiny-ones.ndjson.gz", (unsigned long long)++*number);
        snprintf(body, sizeof body, "%0*llu", BODY, (unsigned long long)*number);
        batches[admitted++] = bfr_fake_batch(stage->fake, "acme", "web", name, body, BODY);
    }
    assert_int_equal(bfr_fake_put(stage->fake, batches, admitted, tokens), admitted);
    for (size_t i = 0; i < admitted; i++) {
        struct bfr_fake_end end;
        assert_true(bfr_fake_wait(stage->fake, tokens[i], WAIT_MS, &end));
        if (end.outcome != BFR_STORED)
            fail_msg("admitted, and not stored: %s", end.text);
        bfr_fake_batch_release(stage->fake, batches[i]);
    }
    return admitted;
}

// Until it is full; returns how many batches that were.
static uint64_t fill(struct stage *stage, uint64_t *number)
{
    uint64_t count = 0;
    size_t admitted;
    do {
        admitted = put_group(stage, number);
        count += admitted;
    } while (admitted == GROUP);
    return count;
}

static uint64_t settle(struct stage *stage, uint64_t most)
{
    struct bfr_lease *leases[LEASES];
    uint32_t settled[LEASES], count;
    uint64_t done = 0, next_ns;
    while (done < most && (count = lease_many(stage, 0, 0, LEASES, leases, &next_ns)) > 0) {
        stage->table->ack(stage->self, 0, leases, count, settled);
        done += count;
    }
    return done;
}

static bool has_room(struct stage *stage)
{
    if (stage->table->reserve(stage->self, "acme", BODY) != BFR_ROOM_OK)
        return false;
    stage->table->release(stage->self, "acme", BODY);
    return true;
}

static bool is_empty(struct stage *stage)
{
    return stats_of(stage).held_batches == 0;
}

static bool is_counted(struct stage *stage)
{
    return plugin_file_logged(stage->fake, "the spool is counted");
}

static bool is_mostly_free(struct stage *stage)
{
    return stats_of(stage).used_bytes < LIMIT / 4;
}

static void test_tiny_batches_stay_within_the_limit_and_give_their_room_back(void **state)
{
    (void)state;
    struct stage stage = open_stage("min_free_bytes=0");
    uint64_t number = 0, first = fill(&stage, &number);
    assert_within_limit("full");
    assert_true(first * BODY > LIMIT / 16); // most of it is for records all the same
    // A quarter is settled: room without anything else ending.
    assert_int_equal(settle(&stage, first / 4) > 0, true);
    assert_true(eventually(&stage, has_room));
    assert_within_limit("a quarter settled");
    assert_true(fill(&stage, &number) > 0);
    assert_within_limit("full again");
    plugin_file_finish(stage.fake);
    assert_within_limit("stopped");
    // What a restart finds counts for as much.
    stage = open_stage("min_free_bytes=0");
    assert_true(eventually(&stage, is_counted));
    assert_within_limit("started again");
    while (!is_empty(&stage))
        if (settle(&stage, UINT64_MAX) == 0)
            (void)bfr_fake_wait_ready(stage.fake, 1000);
    assert_true(eventually(&stage, is_mostly_free));
    assert_true(fill(&stage, &number) > first / 2);
    assert_within_limit("full for the third time");
    plugin_file_finish(stage.fake);
}

// What is on its way counts as if it were there: many small promises are not one small promise.
static void test_what_is_promised_is_kept_when_it_all_comes_at_once(void **state)
{
    (void)state;
    struct stage stage = open_stage("min_free_bytes=0");
    uint64_t promised = 0, number = 0;
    while (stage.table->reserve(stage.self, "acme", 1) == BFR_ROOM_OK)
        promised++;
    assert_true(promised < LIMIT / 1000);
    stage.table->release(stage.self, "acme", promised);
    assert_true(has_room(&stage));
    assert_int_equal(put_group(&stage, &number), GROUP);
    plugin_file_finish(stage.fake);
}

// --- a file system without a free byte

static int mount_small(void **state)
{
    if (make_directory(state) != 0)
        return -1;
    *state = mount("tmpfs", stage_directory, "tmpfs", 0, "size=8m") == 0 ? stage_directory : NULL;
    return 0;
}

static int unmount_small(void **state)
{
    if (*state != NULL)
        (void)umount2(stage_directory, MNT_DETACH);
    return remove_directory(state);
}

static void write_to_the_last_byte(void)
{
    char path[96], block[4096] = "x";
    snprintf(path, sizeof path, "%s/filler", stage_directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    for (size_t size = sizeof block; size > 0;)
        if (write(fd, block, size) <= 0)
            size /= 2;
    close(fd);
    struct statvfs info;
    assert_int_equal(statvfs(stage_directory, &info), 0);
    assert_int_equal(info.f_bfree, 0);
}

static uint64_t free_blocks(void)
{
    struct statvfs info;
    assert_int_equal(statvfs(stage_directory, &info), 0);
    return info.f_bfree;
}

static bool has_free_segment(struct stage *stage)
{
    (void)stage;
    return free_blocks() * 4096 >= UINT64_C(256) << 10;
}

static void test_settling_on_a_disk_filled_to_the_last_byte_frees_space(void **state)
{
    if (*state == NULL)
        skip(); // mounting needs root
    struct stage stage = open_stage("min_free_bytes=0");
    uint64_t number = 0;
    for (int i = 0; i < 60; i++)
        assert_int_equal(put_group(&stage, &number), GROUP);
    write_to_the_last_byte();
    assert_int_equal(free_blocks(), 0);
    // More than the preallocated marks files take: some of them cannot be written.
    assert_int_equal(settle(&stage, UINT64_MAX), number);
    assert_true(eventually(&stage, is_empty));
    stage.table->reserve(stage.self, "acme", LIMIT); // somebody waits: no spares
    assert_true(eventually(&stage, has_free_segment));
    plugin_file_finish(stage.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tiny_batches_stay_within_the_limit_and_give_their_room_back,
                                        make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_what_is_promised_is_kept_when_it_all_comes_at_once, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(test_settling_on_a_disk_filled_to_the_last_byte_frees_space, mount_small,
                                        unmount_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
