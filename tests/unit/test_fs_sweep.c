// SPDX-License-Identifier: Apache-2.0
// Temporary files that a crash left behind: removed at start, and nothing else is.
#include "fs_stage.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>

#include "fs_sweep.h"

static const char *const kept[] = {
    "acme/web/.bfr-0123456789abcdef-00000000000000zz",  // no hex
    "acme/web/.bfr-0123456789ABCDEF-0000000000000001",  // never written so
    "acme/web/.bfr-0123456789abcdef-00000000000000011", // too long
    "acme/web/.bfr-probe",
    "acme/web/a.gz",
    "acme/" LEFTOVER,
    LEFTOVER,
    "acme/web/deep/" LEFTOVER,
    ".hidden/web/" LEFTOVER,
};

static void make_tree(struct stage *stage)
{
    make_root(stage);
    make_dir(stage, "acme");
    make_dir(stage, "acme/web");
    make_dir(stage, "acme/web/deep");
    make_dir(stage, ".hidden");
    make_dir(stage, ".hidden/web");
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        write_file(stage, kept[i], "x");
}

// A sweep without a stage: the walk on this thread, over when it returns.
static uint64_t sweep_once(struct stage *stage, bool stopping)
{
    struct fs_tree tree = {0};
    struct fs_sweep sweep = {.tree = &tree};

    assert_true(bfr_fs_tree_init(&tree, stage->root));
    sweep.host = bfr_fake_host(stage->fake);
    atomic_store(&sweep.stopping, stopping);
    bfr_fs_sweep_run(&sweep);
    bfr_fs_tree_free(&tree);
    return sweep.removed;
}

static void open_host_elsewhere(struct stage *stage)
{
    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "directory=%s/elsewhere", stage->root);
    const char *pairs[] = {elsewhere};
    stage->fake = plugin_file_create(pairs, 1);
}

static void test_only_unlocked_regular_files_with_the_exact_name_go(void **state)
{
    struct stage stage;
    (void)state;

    make_tree(&stage);
    open_host_elsewhere(&stage);
    write_file(&stage, "acme/web/.bfr-0123456789abcdef-0000000000000001", "x");
    write_file(&stage, "acme/web/.bfr-fedcba9876543210-0000000000000002", "x");
    assert_int_equal(symlink("a.gz", path_of(&stage, "acme/web/.bfr-0123456789abcdef-0000000000000003")), 0);
    write_file(&stage, "acme/web/.bfr-0123456789abcdef-0000000000000004", "x");
    int live = open(path_of(&stage, "acme/web/.bfr-0123456789abcdef-0000000000000004"), O_RDONLY);
    assert_int_equal(flock(live, LOCK_EX), 0); // another process is writing this one

    assert_int_equal(sweep_once(&stage, false), 2);
    assert_false(exists(&stage, "acme/web/.bfr-0123456789abcdef-0000000000000001"));
    assert_false(exists(&stage, "acme/web/.bfr-fedcba9876543210-0000000000000002"));
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_true(exists(&stage, kept[i]));
    assert_true(exists(&stage, "acme/web/.bfr-0123456789abcdef-0000000000000003"));
    assert_true(exists(&stage, "acme/web/.bfr-0123456789abcdef-0000000000000004"));
    assert_true(plugin_file_logged(stage.fake, "removed temporary files of an earlier run"));
    close(live);
    close_stage(&stage);
}

static void test_no_link_is_followed_out_of_the_root(void **state)
{
    struct stage stage;
    (void)state;

    make_tree(&stage);
    open_host_elsewhere(&stage);
    make_dir(&stage, ".hidden/out");
    write_file(&stage, ".hidden/out/" LEFTOVER, "x");
    assert_int_equal(symlink(".hidden", path_of(&stage, "beta")), 0);
    assert_int_equal(symlink("../.hidden/out", path_of(&stage, "acme/out")), 0);
    assert_int_equal(sweep_once(&stage, false), 0);
    assert_true(exists(&stage, ".hidden/out/" LEFTOVER));
    close_stage(&stage);
}

static void test_a_stop_ends_the_walk(void **state)
{
    struct stage stage;
    (void)state;

    make_tree(&stage);
    open_host_elsewhere(&stage);
    write_file(&stage, "acme/web/" LEFTOVER, "x");
    assert_int_equal(sweep_once(&stage, true), 0);
    assert_true(exists(&stage, "acme/web/" LEFTOVER));
    close_stage(&stage);
}

static void test_the_stage_sweeps_when_it_starts(void **state)
{
    struct stage stage;
    char event[4096];
    (void)state;

    make_tree(&stage);
    write_file(&stage, "acme/web/" LEFTOVER, "x");
    struct pollfd watch = {.fd = inotify_init1(IN_CLOEXEC), .events = POLLIN};
    assert_true(inotify_add_watch(watch.fd, path_of(&stage, "acme/web"), IN_DELETE) >= 0);
    open_stage_at(&stage, stage.root, NULL);
    assert_int_equal(poll(&watch, 1, WAIT_MS), 1);
    assert_true(read(watch.fd, event, sizeof event) > 0);
    assert_false(exists(&stage, "acme/web/" LEFTOVER));
    close(watch.fd);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_unlocked_regular_files_with_the_exact_name_go),
        cmocka_unit_test(test_no_link_is_followed_out_of_the_root),
        cmocka_unit_test(test_a_stop_ends_the_walk),
        cmocka_unit_test(test_the_stage_sweeps_when_it_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
