// SPDX-License-Identifier: Apache-2.0
// What the fs sink stores: bytes, names, groups, duplicates, conflicts.
#include "fs_stage.h"

#include <bfr/text.h>

static void test_a_batch_becomes_a_file_with_exactly_its_bytes(void **state)
{
    struct stage stage = open_stage(NULL);
    struct stat info;
    (void)state;

    struct bfr_fake_end end = store(&stage, "acme", "web", "a.ndjson.gz", "hello");
    assert_int_equal(end.outcome, BFR_STORED);
    assert_content(&stage, "acme/web/a.ndjson.gz", "hello");
    assert_int_equal(count_entries(&stage, "acme/web"), 1); // no temporary file stays
    assert_int_equal(stat(path_of(&stage, "acme/web/a.ndjson.gz"), &info), 0);
    assert_int_equal(info.st_mode & 07137, 0); // at most 0640
    assert_int_equal(stat(path_of(&stage, "acme/web"), &info), 0);
    assert_int_equal(info.st_mode & 07027, 0); // at most 0750
    close_stage(&stage);
}

static void test_a_missing_directory_is_made_with_all_above_it(void **state)
{
    struct stage stage;
    char deep[128];
    (void)state;

    make_root(&stage);
    snprintf(deep, sizeof deep, "%s/some/where", stage.root);
    open_stage_at(&stage, deep, NULL);
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_content(&stage, "some/where/acme/web/a.gz", "x");
    close_stage(&stage);
}

// More spans than one writev takes, and a body larger than a pipe or page.
static void test_many_spans_are_written_in_order(void **state)
{
    enum { SPANS = 200, SPAN = 1000 };
    struct stage stage = open_stage(NULL);
    struct bfr_span spans[SPANS];
    static uint8_t body[SPANS * SPAN], read_back[SPANS * SPAN + 1];
    (void)state;

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 31 >> 3);
    for (size_t i = 0; i < SPANS; i++)
        spans[i] = (struct bfr_span){body + i * SPAN, SPAN};
    const struct bfr_batch *whole = bfr_fake_batch(stage.fake, "acme", "web", "a.gz", body, sizeof body);
    struct bfr_batch pieces = *whole;
    pieces.spans = spans;
    pieces.span_count = SPANS;
    const struct bfr_host *host = bfr_fake_host(stage.fake);
    const struct bfr_batch *batch = host->batch_make(host, &pieces, NULL, NULL);
    bfr_fake_batch_release(stage.fake, whole);
    assert_int_equal(store_batch(&stage, batch).outcome, BFR_STORED);

    int fd = open(path_of(&stage, "acme/web/a.gz"), O_RDONLY);
    assert_int_equal(read(fd, read_back, sizeof read_back), sizeof body);
    assert_memory_equal(read_back, body, sizeof body);
    close(fd);
    close_stage(&stage);
}

static void test_a_crowd_over_many_directories_is_stored_whole(void **state)
{
    enum { COUNT = 600 };
    struct stage stage = open_stage(NULL);
    const struct bfr_batch *batches[COUNT];
    uint64_t tokens[COUNT];
    char tenant[16], name[32], body[32], below[64];
    size_t taken = 0;
    (void)state;

    for (int i = 0; i < COUNT; i++) {
        snprintf(tenant, sizeof tenant, "t%d", i % 5);
        snprintf(name, sizeof name, "%d.gz", i);
        snprintf(body, sizeof body, "body %d", i);
        batches[i] = bfr_fake_batch(stage.fake, tenant, i % 2 == 0 ? "even" : "odd", name, body, strlen(body));
    }
    while (taken < COUNT) {
        size_t now = bfr_fake_put(stage.fake, batches + taken, COUNT - taken, tokens + taken);
        taken += now;
        if (now == 0) // a full hand-over says when it has room
            assert_true(bfr_fake_wait_ready(stage.fake, WAIT_MS));
    }
    assert_true(bfr_fake_wait_all(stage.fake, WAIT_MS));
    for (int i = 0; i < COUNT; i++) {
        struct bfr_fake_end end;
        assert_true(bfr_fake_wait(stage.fake, tokens[i], 0, &end));
        assert_int_equal(end.outcome, BFR_STORED);
        snprintf(below, sizeof below, "t%d/%s/%d.gz", i % 5, i % 2 == 0 ? "even" : "odd", i);
        snprintf(body, sizeof body, "body %d", i);
        assert_content(&stage, below, body);
        bfr_fake_batch_release(stage.fake, batches[i]);
    }
    close_stage(&stage);
}

static void test_the_same_bytes_under_the_same_name_are_stored(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;

    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_int_equal(count_entries(&stage, "acme/web"), 1);
    close_stage(&stage);
}

static void test_other_bytes_under_the_same_name_are_a_conflict_and_stay(void **state)
{
    struct stage stage = open_stage(NULL);
    uint8_t sha256[32];
    char hex[65];
    (void)state;

    assert_int_equal(store(&stage, "acme", "web", "a.gz", "first").outcome, BFR_STORED);
    struct bfr_fake_end end = store(&stage, "acme", "web", "a.gz", "second");
    assert_int_equal(end.outcome, BFR_REJECT);
    assert_int_equal(end.reason, BFR_REASON_CONFLICT);
    bfr_fake_sha256("first", 5, sha256);
    bfr_hex(sha256, 32, hex);
    assert_text_has(&end, hex);
    bfr_fake_sha256("second", 6, sha256);
    bfr_hex(sha256, 32, hex);
    assert_text_has(&end, hex);
    assert_content(&stage, "acme/web/a.gz", "first");
    assert_int_equal(count_entries(&stage, "acme/web"), 1);
    close_stage(&stage);
}

static void test_a_directory_or_link_under_the_name_is_a_conflict(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;

    make_dir(&stage, "acme");
    make_dir(&stage, "acme/web");
    make_dir(&stage, "acme/web/dir.gz");
    write_file(&stage, "victim", "x");
    assert_int_equal(symlink("../../victim", path_of(&stage, "acme/web/link.gz")), 0);
    assert_int_equal(mkfifo(path_of(&stage, "acme/web/fifo.gz"), 0600), 0);
    const char *const names[] = {"dir.gz", "link.gz", "fifo.gz"};
    for (size_t i = 0; i < 3; i++) {
        struct bfr_fake_end end = store(&stage, "acme", "web", names[i], "x");
        assert_int_equal(end.outcome, BFR_REJECT);
        assert_int_equal(end.reason, BFR_REASON_CONFLICT);
        assert_text_has(&end, names[i]);
    }
    assert_content(&stage, "victim", "x");
    assert_int_equal(count_entries(&stage, "acme/web"), 3);
    close_stage(&stage);
}

static void test_a_body_that_changed_since_it_was_accepted_is_not_stored(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;

    const struct bfr_batch *good = bfr_fake_batch(stage.fake, "acme", "web", "a.gz", "hello", 5);
    struct bfr_batch damaged = *good;
    damaged.crc32c ^= 1u << 7;
    const struct bfr_host *host = bfr_fake_host(stage.fake);
    const struct bfr_batch *batch = host->batch_make(host, &damaged, NULL, NULL);
    struct bfr_fake_end end = store_batch(&stage, batch);
    assert_int_equal(end.outcome, BFR_REJECT);
    assert_int_equal(end.reason, BFR_REASON_DAMAGED);
    assert_text_has(&end, "acme/web/a.gz");
    assert_false(exists(&stage, "acme/web/a.gz"));
    bfr_fake_batch_release(stage.fake, good);
    close_stage(&stage);
}

static void test_a_directory_removed_meanwhile_is_made_again(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;

    assert_int_equal(store(&stage, "acme", "web", "a.gz", "x").outcome, BFR_STORED);
    assert_int_equal(unlink(path_of(&stage, "acme/web/a.gz")), 0);
    assert_int_equal(rmdir(path_of(&stage, "acme/web")), 0);
    assert_int_equal(rmdir(path_of(&stage, "acme")), 0);
    assert_int_equal(store(&stage, "acme", "web", "b.gz", "y").outcome, BFR_STORED);
    assert_content(&stage, "acme/web/b.gz", "y");
    close_stage(&stage);
}

static void test_a_temporary_name_is_refused_as_a_filename(void **state)
{
    struct stage stage = open_stage(NULL);
    (void)state;

    struct bfr_fake_end end = store(&stage, "acme", "web", LEFTOVER, "x");
    assert_int_equal(end.outcome, BFR_REJECT);
    assert_int_equal(end.reason, BFR_REASON_REJECTED);
    assert_int_equal(store(&stage, "acme", "web", LEFTOVER ".gz", "x").outcome, BFR_STORED);
    close_stage(&stage);
}

static void test_stop_completes_what_was_taken(void **state)
{
    enum { COUNT = 128 };
    struct stage stage = open_stage("workers=1");
    const struct bfr_batch *batches[COUNT];
    uint64_t tokens[COUNT];
    char name[16];
    (void)state;

    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%d.gz", i);
        batches[i] = bfr_fake_batch(stage.fake, "acme", "web", name, "x", 1);
    }
    size_t taken = bfr_fake_put(stage.fake, batches, COUNT, tokens);
    assert_true(taken > 0);
    bfr_fake_stop(stage.fake);
    assert_int_equal(bfr_fake_open(stage.fake), 0);
    for (size_t i = 0; i < taken; i++) {
        struct bfr_fake_end end;
        assert_true(bfr_fake_wait(stage.fake, tokens[i], 0, &end));
        assert_true(end.outcome == BFR_STORED || end.outcome == BFR_RETRY);
    }
    for (int i = 0; i < COUNT; i++)
        bfr_fake_batch_release(stage.fake, batches[i]);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_becomes_a_file_with_exactly_its_bytes),
        cmocka_unit_test(test_a_missing_directory_is_made_with_all_above_it),
        cmocka_unit_test(test_many_spans_are_written_in_order),
        cmocka_unit_test(test_a_crowd_over_many_directories_is_stored_whole),
        cmocka_unit_test(test_the_same_bytes_under_the_same_name_are_stored),
        cmocka_unit_test(test_other_bytes_under_the_same_name_are_a_conflict_and_stay),
        cmocka_unit_test(test_a_directory_or_link_under_the_name_is_a_conflict),
        cmocka_unit_test(test_a_body_that_changed_since_it_was_accepted_is_not_stored),
        cmocka_unit_test(test_a_directory_removed_meanwhile_is_made_again),
        cmocka_unit_test(test_a_temporary_name_is_refused_as_a_filename),
        cmocka_unit_test(test_stop_completes_what_was_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
