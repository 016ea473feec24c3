// SPDX-License-Identifier: Apache-2.0
// The disk queue on a file system without holes: a full spool of mostly settled segments gives its room back, and an end at
// any call on the way loses nothing and offers nothing twice. This program's calls on files come before the C library's.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "disk_stage.h"

#define BODY  5000
#define EVERY 12 // of so many batches one is still wanted
#define MOST  1000

static atomic_int calls_left; // 0: nothing ends; else the process ends at that call

static void count_call(void)
{
    if (atomic_load(&calls_left) > 0 && atomic_fetch_sub(&calls_left, 1) == 1)
        _exit(9); // as SIGKILL would: what was written is written
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

#define OVERRIDE __attribute__((visibility("default")))
OVERRIDE int fallocate(int fd, int mode, off_t offset, off_t size);
OVERRIDE ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset);
OVERRIDE ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset);
OVERRIDE int fdatasync(int fd);
OVERRIDE int fsync(int fd);
OVERRIDE int unlinkat(int directory, const char *name, int flags);
OVERRIDE int renameat(int from, const char *name, int to, const char *other);

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int (*call)(int, int, off_t, off_t) = (int (*)(int, int, off_t, off_t))(uintptr_t)real("fallocate");
    return call(fd, mode, offset, size);
}

ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset)
{
    ssize_t (*call)(int, const struct iovec *, int, off_t) =
        (ssize_t(*)(int, const struct iovec *, int, off_t))(uintptr_t)real("pwritev");
    count_call();
    return call(fd, vectors, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t (*call)(int, const void *, size_t, off_t) =
        (ssize_t(*)(int, const void *, size_t, off_t))(uintptr_t)real("pwrite");
    count_call();
    return call(fd, bytes, size, offset);
}

int fdatasync(int fd)
{
    int (*call)(int) = (int (*)(int))(uintptr_t)real("fdatasync");
    count_call();
    return call(fd);
}

int fsync(int fd)
{
    int (*call)(int) = (int (*)(int))(uintptr_t)real("fsync");
    count_call();
    return call(fd);
}

int unlinkat(int directory, const char *name, int flags)
{
    int (*call)(int, const char *, int) = (int (*)(int, const char *, int))(uintptr_t)real("unlinkat");
    count_call();
    return call(directory, name, flags);
}

int renameat(int from, const char *name, int to, const char *other)
{
    int (*call)(int, const char *, int, const char *) =
        (int (*)(int, const char *, int, const char *))(uintptr_t)real("renameat");
    count_call();
    return call(from, name, to, other);
}

static struct stage open_small(void)
{
    static const char *const names[] = {"main", "copy"};
    char directory[96];
    const char *pairs[] = {directory, "max_size_bytes=1MiB", "min_free_bytes=0"};
    struct bfr_err err = {.size = sizeof err};
    struct stage stage;
    snprintf(directory, sizeof directory, "directory=%s", stage_directory);
    stage.fake = plugin_file_create(pairs, 3);
    stage.table = plugin_file_load()->vtable;
    stage.self = bfr_fake_self(stage.fake);
    assert_int_equal(stage.table->consumers(stage.self, names, 2, &err), BFR_OK);
    plugin_file_start(stage.fake);
    return stage;
}

static bool is_counted(struct stage *stage)
{
    return plugin_file_logged(stage->fake, "the spool is counted");
}

static bool is_refused(struct stage *stage)
{
    if (stage->table->reserve(stage->self, "acme", BODY) != BFR_ROOM_OK)
        return true;
    stage->table->release(stage->self, "acme", BODY);
    return false;
}

static bool has_room(struct stage *stage)
{
    return !is_refused(stage);
}

static bool is_kept(const char *filename)
{
    return atoi(filename + strlen("batch-")) % EVERY == 0;
}

// Full; then all but some are done, and these some are confirmed by one of the two consumers. Returns how many are left.
// `lent`: they stay on lease, so that nothing moves yet.
static int fill_and_settle(struct stage *stage, bool lent)
{
    char name[32];
    struct bfr_lease *lease;
    uint64_t next_ns;
    int count = 0, kept = 0;
    while (stage->table->reserve(stage->self, "acme", BODY) == BFR_ROOM_OK) {
        snprintf(name, sizeof name, "batch-%d", count++);
        put_stored(stage, "acme", name, BODY);
    }
    for (int i = 0; i < count; i++)
        (void)ack_one(stage, 1, lease_one(stage, 1));
    for (int i = 0; i < count; i++) {
        lease = lease_one(stage, 0);
        if (is_kept(lease->batch->filename)) {
            kept++;
            if (!lent)
                nack_one(stage, 0, lease, 3, UINT64_MAX / 2, "not today");
        } else {
            (void)ack_one(stage, 0, lease);
        }
    }
    assert_int_equal(lease_many(stage, 0, 0, 1, &lease, &next_ns), 0);
    return kept;
}

// What is left waits for one consumer, each batch once, whole; the other one is done with all of it.
static void check_left(int kept)
{
    static bool seen[MOST];
    struct stage stage = open_small();
    assert_true(eventually(&stage, is_counted));
    memset(seen, 0, sizeof seen);
    assert_int_equal(stats_of(&stage).held_batches, kept);
    for (int i = 0; i < kept; i++) {
        struct bfr_lease *lease = lease_one(&stage, 0);
        int number = atoi(lease->batch->filename + strlen("batch-"));
        assert_true(is_kept(lease->batch->filename));
        assert_false(seen[number]);
        seen[number] = true;
        assert_batch(lease->batch, lease->batch->filename, BODY);
        assert_int_equal(ack_one(&stage, 0, lease), BFR_SETTLED_STORED);
    }
    assert_false(has_lease(&stage, 0));
    assert_false(has_lease(&stage, 1));
    plugin_file_finish(stage.fake);
}

static int moves_logged(struct stage *stage)
{
    const char *line;
    int count = 0;
    for (size_t i = 0; (line = bfr_fake_log(stage->fake, i)) != NULL; i++)
        count += strstr(line, "what was left in an old segment was moved") != NULL ? 1 : 0;
    return count;
}

static bool two_moved(struct stage *stage)
{
    (void)is_refused(stage); // somebody asks for room
    return moves_logged(stage) >= 2;
}

static void run(const char *command)
{
    assert_int_equal(system(command), 0);
}

static void test_a_full_spool_of_mostly_settled_segments_gives_room_without_holes(void **state)
{
    (void)state;
    struct stage stage = open_small();
    int kept = fill_and_settle(&stage, false);
    assert_true(kept > 5);
    assert_true(eventually(&stage, has_room));
    assert_true(eventually(&stage, two_moved) || has_room(&stage));
    assert_int_equal(stats_of(&stage).held_batches, kept);
    // As much again, with what is left staying where it is.
    char name[32];
    int more = 0;
    while (stage.table->reserve(stage.self, "acme", BODY) == BFR_ROOM_OK || eventually(&stage, has_room)) {
        snprintf(name, sizeof name, "batch-%d", MOST + more * EVERY + 1);
        put_stored(&stage, "acme", name, BODY);
        if (++more == 60)
            break;
    }
    assert_int_equal(more, 60);
    plugin_file_finish(stage.fake);
}

// The end comes at the given call after the start. False: two segments were emptied before it.
static bool end_at_call(int number)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        atomic_store(&calls_left, number);
        struct stage stage = open_small();
        _exit(eventually(&stage, two_moved) ? 0 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 9)
        fail_msg("the child ended with %d", WEXITSTATUS(status));
    return WEXITSTATUS(status) == 9;
}

static void test_an_end_at_any_call_loses_nothing_and_offers_nothing_twice(void **state)
{
    (void)state;
    char command[256];
    struct stage stage = open_small();
    int kept = fill_and_settle(&stage, true);
    plugin_file_finish(stage.fake);
    snprintf(command, sizeof command, "cp -a '%s' '%s.full'", stage_directory, stage_directory);
    run(command);
    int number = 1;
    while (end_at_call(number)) {
        check_left(kept);
        snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s.full' '%s'", stage_directory, stage_directory,
                 stage_directory);
        run(command);
        number++;
    }
    check_left(kept);
    assert_true(number > 30); // a start alone takes fewer
    snprintf(command, sizeof command, "rm -rf '%s.full'", stage_directory);
    run(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_full_spool_of_mostly_settled_segments_gives_room_without_holes,
                                        make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_an_end_at_any_call_loses_nothing_and_offers_nothing_twice, make_directory,
                                        remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
