// SPDX-License-Identifier: Apache-2.0
// When the file system refuses: symbolic links, missing permission, no room, no directory. Always an outage with a text
// that helps, never a loss, and over as soon as the cause is gone.
#include "fs_stage.h"

#include <sys/mount.h>

#include "fs_tree.h"

static void assert_outage(const struct bfr_fake_end *end, const char *path_part, const char *cause, const char *way_out)
{
    assert_int_equal(end->outcome, BFR_RETRY);
    assert_int_equal(end->flags, BFR_OUTAGE);
    assert_text_has(end, path_part);
    assert_text_has(end, cause);
    assert_text_has(end, way_out);
}

static uint32_t health_of(struct stage *stage, struct bfr_health *health)
{
    *health = (struct bfr_health){.size = sizeof *health};
    assert_true(bfr_fake_health(stage->fake, health));
    return health->state;
}

static void test_a_link_in_any_step_of_the_path_is_not_followed(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;

    make_dir(&stage, "elsewhere");
    make_dir(&stage, "elsewhere/web");
    make_dir(&stage, "beta");
    assert_int_equal(symlink("elsewhere", path_of(&stage, "acme")), 0);
    assert_int_equal(symlink("../elsewhere/web", path_of(&stage, "beta/web")), 0);
    assert_int_equal(symlink("nowhere", path_of(&stage, "gone")), 0);

    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "x");
    assert_outage(&end, "/acme/web", "symbolic link", "put a real directory there");
    end = store(&stage, "beta", "web", "a.gz", "x");
    assert_outage(&end, "/beta/web", "symbolic link", "put a real directory there");
    end = store(&stage, "gone", "web", "a.gz", "x");
    assert_outage(&end, "/gone/web", "symbolic link", "put a real directory there");
    assert_int_equal(count_entries(&stage, "elsewhere/web"), 0);
    assert_false(exists(&stage, "nowhere"));
    close_stage(&stage);
}

// Kernels and sandboxes without openat2 get the same answers step by step.
static void test_without_openat2_the_answers_are_the_same(void **state)
{
    struct stage stage;
    struct fs_tree tree = {0};
    struct fs_result result = {.outcome = BFR_STORED};
    (void)state;

    make_root(&stage);
    make_dir(&stage, "elsewhere");
    make_dir(&stage, "elsewhere/web");
    make_dir(&stage, "beta");
    assert_int_equal(symlink("elsewhere", path_of(&stage, "acme")), 0);
    assert_int_equal(symlink("../elsewhere/web", path_of(&stage, "beta/web")), 0);
    assert_true(bfr_fs_tree_init(&tree, stage.root));
    atomic_store(&tree.no_openat2, true);
    int root = bfr_fs_tree_open_root(&tree, &result);
    assert_true(root >= 0);

    int fd = bfr_fs_tree_open(&tree, root, "good", "web", &result);
    assert_true(fd >= 0);
    close(fd);
    assert_true(exists(&stage, "good/web"));
    const char *const tenants[] = {"acme", "beta"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(bfr_fs_tree_open(&tree, root, tenants[i], "web", &result), -1);
        assert_int_equal(result.flags, BFR_OUTAGE);
        assert_non_null(strstr(result.text, "symbolic link"));
    }
    close(root);
    bfr_fs_tree_free(&tree);
    remove_root(&stage);
}

static void test_a_file_where_a_directory_should_be_is_an_outage_until_it_is_gone(void **state)
{
    struct stage stage = open_stage(NULL);
    struct bfr_health health;
    (void)state;

    write_file(&stage, "acme", "in the way");
    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "x");
    assert_outage(&end, "/acme/web", "Not a directory", "move it");
    assert_int_equal(health_of(&stage, &health), BFR_HEALTH_DEGRADED);
    assert_non_null(strstr(health.reason, "Not a directory"));

    assert_int_equal(unlink(path_of(&stage, "acme")), 0);
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_int_equal(health_of(&stage, &health), BFR_HEALTH_OK);
    assert_string_equal(health.reason, "");
    close_stage(&stage);
}

// One bad directory must not take the rest of its group with it.
static void test_an_outage_of_one_directory_leaves_the_others_alone(void **state)
{
    struct stage stage = open_stage("workers=1");
    const struct bfr_batch *batches[8];
    uint64_t tokens[8];
    struct bfr_fake_end end;
    char name[16];
    (void)state;

    write_file(&stage, "bad", "in the way");
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "%d.gz", i);
        batches[i] = bfr_fake_batch(stage.fake, i % 2 == 0 ? "bad" : "good", "web", name, "x", 1);
    }
    assert_int_equal(bfr_fake_put(stage.fake, batches, 8, tokens), 8);
    for (int i = 0; i < 8; i++) {
        assert_true(bfr_fake_wait(stage.fake, tokens[i], WAIT_MS, &end));
        assert_int_equal(end.outcome, i % 2 == 0 ? BFR_RETRY : BFR_STORED);
        bfr_fake_batch_release(stage.fake, batches[i]);
    }
    assert_int_equal(count_entries(&stage, "good/web"), 4);
    close_stage(&stage);
}

static void test_a_root_that_cannot_be_made_is_an_outage_and_not_a_failed_start(void **state)
{
    struct stage stage;
    struct bfr_health health;
    char below[128];
    (void)state;

    make_root(&stage);
    write_file(&stage, "file", "x");
    snprintf(below, sizeof below, "%s/file/data", stage.root);
    open_stage_at(&stage, below, NULL);
    assert_true(plugin_file_logged(stage.fake, "the directory cannot be used"));
    assert_int_equal(health_of(&stage, &health), BFR_HEALTH_DEGRADED);
    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "x");
    assert_outage(&end, "/file/data", "Not a directory", "move it");

    assert_int_equal(unlink(path_of(&stage, "file")), 0);
    make_dir(&stage, "file");
    make_dir(&stage, "file/data");
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    close_stage(&stage);
}

// Before the first batch, so that whoever starts the daemon sees it.
static void test_a_root_that_is_no_directory_is_told_at_the_start(void **state)
{
    struct stage stage;
    struct bfr_health health;
    char file[128];
    (void)state;

    make_root(&stage);
    write_file(&stage, "file", "x");
    snprintf(file, sizeof file, "%s/file", stage.root);
    open_stage_at(&stage, file, NULL);
    assert_true(plugin_file_logged(stage.fake, "the directory cannot be used"));
    assert_int_equal(health_of(&stage, &health), BFR_HEALTH_DEGRADED);
    assert_non_null(strstr(health.reason, "Not a directory"));

    assert_int_equal(unlink(file), 0);
    make_dir(&stage, "file");
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_int_equal(health_of(&stage, &health), BFR_HEALTH_OK);
    close_stage(&stage);
}

// Mounts need privileges that a container may not have. The test says so instead of passing silently.
static void mount_tmpfs(struct stage *stage, const char *options)
{
    make_root(stage);
    make_dir(stage, "small");
    if (mount("bfr-test", path_of(stage, "small"), "tmpfs", 0, options) != 0) {
        print_message("skipped: a small tmpfs cannot be mounted here (%s); run as root outside of a container\n",
                      strerror(errno));
        remove_root(stage);
        skip();
    }
}

static void unmount_tmpfs(struct stage *stage)
{
    assert_int_equal(umount(path_of(stage, "small")), 0);
    remove_root(stage);
}

static void test_a_full_disk_is_an_outage_that_ends_with_room(void **state)
{
    struct stage stage;
    static char large[600 * 1024];
    char directory[128];
    (void)state;

    mount_tmpfs(&stage, "size=1m");
    snprintf(directory, sizeof directory, "%s/small", stage.root);
    open_stage_at(&stage, directory, NULL);
    memset(large, 'x', sizeof large);
    const struct bfr_batch *first = bfr_fake_batch(stage.fake, "acme", "web", "a.gz", large, sizeof large);
    assert_int_equal(store_batch(&stage, first).outcome, BFR_STORED);
    const struct bfr_batch *second = bfr_fake_batch(stage.fake, "acme", "web", "b.gz", large, sizeof large);
    bfr_fake_host(stage.fake)->batch_retain(bfr_fake_host(stage.fake), second);
    struct bfr_fake_end end = store_batch(&stage, second);
    assert_outage(&end, "/acme/web/b.gz", "No space left on device", "free space");
    assert_int_equal(count_entries(&stage, "small/acme/web"), 1); // the attempt left nothing behind

    assert_int_equal(unlink(path_of(&stage, "small/acme/web/a.gz")), 0);
    assert_int_equal(store_batch(&stage, second).outcome, BFR_STORED);
    plugin_file_finish(stage.fake);
    unmount_tmpfs(&stage);
}

static void test_a_read_only_file_system_is_an_outage(void **state)
{
    struct stage stage;
    char directory[128];
    (void)state;

    mount_tmpfs(&stage, "size=1m");
    snprintf(directory, sizeof directory, "%s/small", stage.root);
    assert_int_equal(mount("", directory, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    open_stage_at(&stage, directory, NULL);
    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "x");
    assert_outage(&end, "/acme/web", "Read-only file system", "mount the file system writable");
    plugin_file_finish(stage.fake);
    unmount_tmpfs(&stage);
}

static void test_missing_permission_is_an_outage(void **state)
{
    const uid_t nobody = 65534;
    struct stage stage = open_stage(NULL);
    const uid_t before = geteuid();
    (void)state;

    make_dir(&stage, "acme");
    assert_int_equal(chmod(path_of(&stage, "acme"), 0500), 0);
    if (before == 0) { // permissions do not stop root; seteuid changes all threads
        assert_int_equal(chown(stage.root, nobody, (gid_t)-1), 0);
        assert_int_equal(chown(path_of(&stage, "acme"), nobody, (gid_t)-1), 0);
        assert_int_equal(seteuid(nobody), 0);
    }
    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "x");
    assert_outage(&end, "/acme/web", "Permission denied", "give the service user write");
    assert_int_equal(chmod(path_of(&stage, "acme"), 0700), 0);
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_int_equal(seteuid(before), 0);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_in_any_step_of_the_path_is_not_followed),
        cmocka_unit_test(test_without_openat2_the_answers_are_the_same),
        cmocka_unit_test(test_a_file_where_a_directory_should_be_is_an_outage_until_it_is_gone),
        cmocka_unit_test(test_an_outage_of_one_directory_leaves_the_others_alone),
        cmocka_unit_test(test_a_root_that_cannot_be_made_is_an_outage_and_not_a_failed_start),
        cmocka_unit_test(test_a_root_that_is_no_directory_is_told_at_the_start),
        cmocka_unit_test(test_a_full_disk_is_an_outage_that_ends_with_room),
        cmocka_unit_test(test_a_read_only_file_system_is_an_outage),
        cmocka_unit_test(test_missing_permission_is_an_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
