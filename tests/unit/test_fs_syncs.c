// SPDX-License-Identifier: Apache-2.0
// How often the fs sink syncs, in which order, and what it makes of a sync that fails. This program defines fsync,
// fdatasync and renameat2 itself, so that the plugin's calls come here first; they are counted and passed on.
#include "fs_stage.h"

#include <pthread.h>
#include <sys/syscall.h>

#include <bfr/abi.h>

static struct {
    pthread_mutex_t mutex;
    int dir_syncs;
    int data_syncs;
    int renames;
    int renames_before_last_data_sync;
    int dir_syncs_before_last_rename;
    int fail_dir_syncs; // that many fail with EIO
    int fail_data_syncs;
} calls = {.mutex = PTHREAD_MUTEX_INITIALIZER};

BFR_EXPORT int fsync(int fd)
{
    pthread_mutex_lock(&calls.mutex);
    calls.dir_syncs++;
    bool fail = calls.fail_dir_syncs > 0 && calls.fail_dir_syncs-- > 0;
    pthread_mutex_unlock(&calls.mutex);
    if (!fail)
        return (int)syscall(SYS_fsync, fd);
    errno = EIO;
    return -1;
}

BFR_EXPORT int fdatasync(int fd)
{
    pthread_mutex_lock(&calls.mutex);
    calls.data_syncs++;
    calls.renames_before_last_data_sync = calls.renames;
    bool fail = calls.fail_data_syncs > 0 && calls.fail_data_syncs-- > 0;
    pthread_mutex_unlock(&calls.mutex);
    if (!fail)
        return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

BFR_EXPORT int renameat2(int old_dir, const char *old_name, int new_dir, const char *new_name, unsigned flags)
{
    pthread_mutex_lock(&calls.mutex);
    calls.renames++;
    calls.dir_syncs_before_last_rename = calls.dir_syncs;
    pthread_mutex_unlock(&calls.mutex);
    return (int)syscall(SYS_renameat2, old_dir, old_name, new_dir, new_name, flags);
}

static void forget_calls(void)
{
    pthread_mutex_lock(&calls.mutex);
    calls.dir_syncs = calls.data_syncs = calls.renames = 0;
    calls.renames_before_last_data_sync = calls.dir_syncs_before_last_rename = 0;
    pthread_mutex_unlock(&calls.mutex);
}

// With one worker, what one put hands over to an idle sink is one group.
static void store_group(struct stage *stage, const char *tenant, int from, int count)
{
    const struct bfr_batch *batches[32];
    uint64_t tokens[32];
    struct bfr_fake_end end;
    char name[16];

    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%d.gz", from + i);
        batches[i] = bfr_fake_batch(stage->fake, tenant, "web", name, "x", 1);
    }
    assert_int_equal(bfr_fake_put(stage->fake, batches, (size_t)count, tokens), count);
    for (int i = 0; i < count; i++) {
        assert_true(bfr_fake_wait(stage->fake, tokens[i], WAIT_MS, &end));
        assert_int_equal(end.outcome, BFR_STORED);
        bfr_fake_batch_release(stage->fake, batches[i]);
    }
}

static void test_a_group_costs_one_sync_a_file_and_one_for_its_directory(void **state)
{
    struct stage stage = open_stage("workers=1");
    (void)state;

    forget_calls();
    store_group(&stage, "acme", 0, 20);
    assert_int_equal(calls.data_syncs, 20);
    assert_int_equal(calls.dir_syncs, 3); // the names of tenant and dataset, once; the names of the files
    assert_int_equal(calls.renames_before_last_data_sync, 0);
    assert_int_equal(calls.dir_syncs_before_last_rename, 2);

    forget_calls();
    store_group(&stage, "acme", 20, 20);
    assert_int_equal(calls.data_syncs, 20);
    assert_int_equal(calls.dir_syncs, 1);
    assert_int_equal(calls.dir_syncs_before_last_rename, 0);
    close_stage(&stage);
}

static void test_directories_that_were_there_already_are_synced_once_too(void **state)
{
    struct stage stage = open_stage("workers=1");
    (void)state;

    make_dir(&stage, "acme"); // perhaps by a process that died before its sync
    make_dir(&stage, "acme/web");
    forget_calls();
    store_group(&stage, "acme", 0, 1);
    assert_int_equal(calls.dir_syncs, 3);
    forget_calls();
    store_group(&stage, "acme", 1, 1);
    assert_int_equal(calls.dir_syncs, 1);
    close_stage(&stage);
}

static void test_a_directory_made_again_is_synced_again(void **state)
{
    struct stage stage = open_stage("workers=1");
    (void)state;

    store_group(&stage, "acme", 0, 1);
    assert_int_equal(unlink(path_of(&stage, "acme/web/0.gz")), 0);
    assert_int_equal(rmdir(path_of(&stage, "acme/web")), 0);
    make_dir(&stage, "acme/web"); // may well get the same inode number
    forget_calls();
    store_group(&stage, "acme", 1, 1);
    assert_int_equal(calls.dir_syncs, 2);
    close_stage(&stage);
}

static void test_a_file_that_cannot_be_synced_gets_no_name(void **state)
{
    struct stage stage = open_stage("workers=1");
    (void)state;

    store_group(&stage, "acme", 0, 1);
    calls.fail_data_syncs = 1;
    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "x");
    assert_int_equal(end.outcome, BFR_RETRY);
    assert_int_equal(end.flags, BFR_OUTAGE);
    assert_text_has(&end, "cannot sync");
    assert_text_has(&end, "check the disk");
    assert_int_equal(count_entries(&stage, "acme/web"), 1);
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    close_stage(&stage);
}

static void test_nothing_is_confirmed_whose_directory_was_not_synced(void **state)
{
    struct stage stage = open_stage("workers=1");
    (void)state;

    store_group(&stage, "acme", 0, 1);
    calls.fail_dir_syncs = 1;
    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "x");
    assert_int_equal(end.outcome, BFR_RETRY);
    assert_int_equal(end.flags, BFR_OUTAGE);
    assert_text_has(&end, "cannot sync directory");
    forget_calls();
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_int_equal(calls.dir_syncs, 1); // for the name that stands there already
    assert_int_equal(count_entries(&stage, "acme/web"), 2);
    close_stage(&stage);
}

static void test_a_new_directory_is_not_used_before_its_own_name_is_on_disk(void **state)
{
    struct stage stage = open_stage("workers=1");
    (void)state;

    calls.fail_dir_syncs = 1;
    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "x");
    assert_int_equal(end.outcome, BFR_RETRY);
    assert_int_equal(end.flags, BFR_OUTAGE);
    forget_calls();
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_int_equal(calls.dir_syncs, 3);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_group_costs_one_sync_a_file_and_one_for_its_directory),
        cmocka_unit_test(test_directories_that_were_there_already_are_synced_once_too),
        cmocka_unit_test(test_a_directory_made_again_is_synced_again),
        cmocka_unit_test(test_a_file_that_cannot_be_synced_gets_no_name),
        cmocka_unit_test(test_nothing_is_confirmed_whose_directory_was_not_synced),
        cmocka_unit_test(test_a_new_directory_is_not_used_before_its_own_name_is_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
