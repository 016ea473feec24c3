// SPDX-License-Identifier: Apache-2.0
// The disk queue when its disk fails: writes and syncs that are refused, records that changed, marks and indexes that are lost.
// This program's pwritev and fdatasync come before the C library's, and fail when told to.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "disk_stage.h"

static atomic_int fail_writes; // that many more, each with ENOSPC
static atomic_int fail_syncs;  // likewise with EIO

static bool fails(atomic_int *left)
{
    int now = atomic_load(left);
    while (now > 0)
        if (atomic_compare_exchange_weak(left, &now, now - 1))
            return true;
    return false;
}

__attribute__((visibility("default"))) ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset);
__attribute__((visibility("default"))) int fdatasync(int fd);

ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset)
{
    if (fails(&fail_writes)) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t (*real)(int, const struct iovec *, int, off_t) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "pwritev");
    memcpy(&real, &symbol, sizeof real);
    return real(fd, vectors, count, offset);
}

static bool is_segment(int fd)
{
    char link[32], path[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length > 4 && memcmp(path + length - 4, ".seg", 4) == 0;
}

int fdatasync(int fd)
{
    if (is_segment(fd) && fails(&fail_syncs)) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = NULL;
    void *symbol = dlsym(RTLD_NEXT, "fdatasync");
    memcpy(&real, &symbol, sizeof real);
    return real(fd);
}

// Put until the queue takes it again; it leaves a failed disk alone for a moment.
static struct bfr_fake_end put_again(struct stage *stage, const char *name, size_t bytes)
{
    struct bfr_fake_end end = put_one(stage, "acme", name, bytes);
    for (int i = 0; i < WAIT_MS && end.outcome == 0; i++) {
        usleep(1000);
        end = put_one(stage, "acme", name, bytes);
    }
    return end;
}

static void expect_only(struct stage *stage, const char *const *names, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        struct bfr_lease *lease = lease_one(stage, 0);
        assert_batch(lease->batch, names[i], bytes);
        assert_int_equal(ack_one(stage, 0, lease), BFR_SETTLED_STORED);
    }
    assert_false(has_lease(stage, 0));
    assert_int_equal(stats_of(stage).held_batches, 0);
}

static void test_a_refused_write_is_an_outage_and_the_next_one_works(void **state)
{
    static const char *const names[] = {"one", "two", "three"};
    struct stage stage = open_stage(NULL);
    struct bfr_health health = {.size = sizeof health};
    (void)state;

    put_stored(&stage, "acme", "one", 1000);
    atomic_store(&fail_writes, 1);
    struct bfr_fake_end end = put_one(&stage, "acme", "two", 1000);
    assert_int_equal(end.outcome, BFR_RETRY);
    assert_int_equal(end.flags, BFR_OUTAGE);
    assert_non_null(strstr(end.text, "No space left"));
    bfr_fake_health(stage.fake, &health);
    assert_int_equal(health.state, BFR_HEALTH_FAILED);
    assert_int_equal(put_again(&stage, "two", 1000).outcome, BFR_STORED);
    bfr_fake_health(stage.fake, &health);
    assert_int_equal(health.state, BFR_HEALTH_OK);
    put_stored(&stage, "acme", "three", 1000);
    plugin_file_finish(stage.fake);
    stage = open_stage(NULL);
    expect_only(&stage, names, 3, 1000);
    plugin_file_finish(stage.fake);
}

// Remove what a clean stop wrote to be fast next time, as if it had been killed.
static void forget_indexes(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -f '%s'/.bfr/segments/*.idx", stage_directory);
    assert_int_equal(system(command), 0);
}

static void test_after_a_failed_sync_the_segment_is_left_and_nothing_appears_twice(void **state)
{
    static const char *const names[] = {"one", "two", "three"};
    struct stage stage = open_stage(NULL);
    (void)state;

    put_stored(&stage, "acme", "one", 1000);
    atomic_store(&fail_syncs, 1);
    struct bfr_fake_end end = put_one(&stage, "acme", "two", 1000);
    assert_int_equal(end.outcome, BFR_RETRY);
    assert_non_null(strstr(end.text, "cannot sync"));
    assert_int_equal(put_again(&stage, "two", 1000).outcome, BFR_STORED);
    put_stored(&stage, "acme", "three", 1000);
    assert_int_equal(count_files("segments", ".seg"), 2);
    plugin_file_finish(stage.fake);
    forget_indexes(); // the doubtful record is still there, and good
    stage = open_stage(NULL);
    expect_only(&stage, names, 3, 1000);
    plugin_file_finish(stage.fake);
}

// The only segment, opened.
static int open_segment(const char *ending)
{
    char path[160], found[512] = "";
    snprintf(path, sizeof path, "%s/.bfr/segments", stage_directory);
    DIR *dir = opendir(path);
    const struct dirent *item;
    assert_non_null(dir);
    while ((item = readdir(dir)) != NULL)
        if (strstr(item->d_name, ending) != NULL)
            snprintf(found, sizeof found, "%s/%s", path, item->d_name);
    closedir(dir);
    int fd = open(found, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

static void flip(const char *ending, off_t offset)
{
    int fd = open_segment(ending);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

#define FIRST_RECORD 64

static void put_three(void)
{
    struct stage stage = open_stage(NULL);
    put_stored(&stage, "acme", "one", 1000);
    put_stored(&stage, "acme", "two", 1000);
    put_stored(&stage, "acme", "six", 1000);
    plugin_file_finish(stage.fake);
}

// The one that was written again has been stored meanwhile: the doubtful one is not to be sent for it.
static void test_a_doubtful_record_is_not_offered_when_its_repeat_is_settled(void **state)
{
    static const char *const names[] = {"before", "after"};
    struct stage stage = open_stage(NULL);
    (void)state;
    put_stored(&stage, "acme", "before", 1000);
    struct bfr_lease *before = lease_one(&stage, 0);
    atomic_store(&fail_syncs, 1);
    assert_int_equal(put_one(&stage, "acme", "doubtful", 1000).outcome, BFR_RETRY);
    assert_int_equal(put_again(&stage, "doubtful", 1000).outcome, BFR_STORED);
    struct bfr_lease *again = lease_one(&stage, 0);
    put_stored(&stage, "acme", "after", 1000);
    assert_string_equal(again->batch->filename, "doubtful");
    assert_int_equal(ack_one(&stage, 0, again), BFR_SETTLED_STORED);
    nack_one(&stage, 0, before, 0, 0, NULL);
    plugin_file_finish(stage.fake);
    forget_indexes();
    stage = open_stage(NULL);
    expect_only(&stage, names, 2, 1000);
    plugin_file_finish(stage.fake);
}

static void test_a_flipped_bit_costs_only_its_own_record(void **state)
{
    static const char *const names[] = {"two", "six"};
    (void)state;

    put_three();
    forget_indexes();
    flip(".seg", FIRST_RECORD + 900); // in the body of the first
    struct stage stage = open_stage(NULL);
    expect_only(&stage, names, 2, 1000);
    assert_true(plugin_file_logged(stage.fake, "is damaged"));
    plugin_file_finish(stage.fake);
    assert_int_equal(count_files("quarantine", ".bin"), 1);
}

static bool is_letter(struct stage *stage)
{
    return stats_of(stage).buried_batches == 1 && count_files("dlq", ".json") == 1;
}

static void test_damage_met_when_reading_back_makes_a_letter(void **state)
{
    static const char *const names[] = {"two", "six"};
    (void)state;

    put_three(); // with an index, so nobody looks at the bodies at start
    flip(".seg", FIRST_RECORD + 900);
    struct stage stage = open_stage(NULL);
    expect_only(&stage, names, 2, 1000);
    assert_true(eventually(&stage, is_letter));
    plugin_file_finish(stage.fake);
    assert_int_equal(count_files("quarantine", ".bin"), 1);
}

static void test_a_damaged_segment_header_costs_nothing(void **state)
{
    static const char *const names[] = {"one", "two", "six"};
    (void)state;

    put_three();
    forget_indexes();
    flip(".seg", 20);
    struct stage stage = open_stage(NULL);
    expect_only(&stage, names, 3, 1000);
    plugin_file_finish(stage.fake);
}

static void test_a_damaged_index_is_made_again(void **state)
{
    static const char *const names[] = {"one", "two", "six"};
    (void)state;

    put_three();
    flip(".idx", 70);
    struct stage stage = open_stage(NULL);
    expect_only(&stage, names, 3, 1000);
    plugin_file_finish(stage.fake);
}

static void test_marks_lost_after_a_hole_was_punched_bring_nothing_back(void **state)
{
    struct stage stage = open_stage("segment_bytes=1MiB");
    struct bfr_lease *kept = NULL;
    char name[16], command[160];
    (void)state;

    for (int i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "b%02d", i);
        put_stored(&stage, "acme", name, 60000);
    }
    plugin_file_finish(stage.fake); // the index lists all of them
    stage = open_stage("segment_bytes=1MiB");
    for (int i = 0; i < 16; i++) {
        struct bfr_lease *lease = lease_one(&stage, 0);
        if (i == 8)
            kept = lease;
        else
            ack_one(&stage, 0, lease);
    }
    for (int i = 0; i < WAIT_MS && stats_of(&stage).used_bytes > 300 * 1024; i++)
        usleep(1000);
    assert_true(stats_of(&stage).used_bytes <= 300 * 1024);
    nack_one(&stage, 0, kept, 0, 0, NULL);
    plugin_file_finish(stage.fake);
    snprintf(command, sizeof command, "for f in '%s'/.bfr/segments/*.done; do : > \"$f\"; done", stage_directory);
    assert_int_equal(system(command), 0);

    stage = open_stage("segment_bytes=1MiB");
    struct bfr_lease *lease = lease_one(&stage, 0);
    assert_batch(lease->batch, "b08", 60000);
    ack_one(&stage, 0, lease);
    assert_false(has_lease(&stage, 0));
    assert_int_equal(stats_of(&stage).held_batches, 0);
    assert_int_equal(stats_of(&stage).buried_batches, 0);
    plugin_file_finish(stage.fake);
}

static void test_a_newest_segment_cut_anywhere_keeps_what_is_before(void **state)
{
    struct stage stage;
    (void)state;

    put_three();
    for (off_t cut = 4096; cut > 0; cut -= 509) {
        forget_indexes();
        int fd = open_segment(".seg");
        assert_int_equal(ftruncate(fd, cut), 0);
        close(fd);
        stage = open_stage(NULL);
        struct bfr_lease *lease = NULL;
        // The first record takes 64 + 64 + about 250 + 1000 bytes.
        if (cut > 2000) {
            lease = lease_one(&stage, 0);
            assert_batch(lease->batch, "one", 1000);
            nack_one(&stage, 0, lease, 0, 0, NULL);
        }
        plugin_file_finish(stage.fake);
        if (cut <= 2000)
            break;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_refused_write_is_an_outage_and_the_next_one_works),
        TEST(test_after_a_failed_sync_the_segment_is_left_and_nothing_appears_twice),
        TEST(test_a_doubtful_record_is_not_offered_when_its_repeat_is_settled),
        TEST(test_a_flipped_bit_costs_only_its_own_record),
        TEST(test_damage_met_when_reading_back_makes_a_letter),
        TEST(test_a_damaged_segment_header_costs_nothing),
        TEST(test_a_damaged_index_is_made_again),
        TEST(test_marks_lost_after_a_hole_was_punched_bring_nothing_back),
        TEST(test_a_newest_segment_cut_anywhere_keeps_what_is_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
