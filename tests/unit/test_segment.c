// SPDX-License-Identifier: Apache-2.0
// Segment files: made, recycled, opened again whatever happened to them, given back.
#include "segment_dir.h"

#define FILE_BYTES 65536u
#define NAME_1     "0000000000000001.seg"
#define NAME_2     "0000000000000002.seg"
#define FREE_1     "0000000000000001.free"

static void test_names_are_read_strictly(void **state)
{
    (void)state;
    char name[SEGMENT_NAME_SIZE];
    const char *suffix;
    uint64_t id = 0;
    bfr_segment_name(UINT64_C(0xabcdef0123456789), "done", name);
    assert_string_equal(name, "abcdef0123456789.done");
    assert_true(bfr_segment_name_parse(name, &id, &suffix));
    assert_true(id == UINT64_C(0xabcdef0123456789));
    assert_string_equal(suffix, "done");
    static const char *const bad[] = {"",
                                      "lock",
                                      "0000000000000000.seg",
                                      "000000000000001.seg",
                                      "00000000000000001.seg",
                                      "000000000000000A.seg",
                                      "0000000000000001",
                                      "-000000000000001.seg"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(bfr_segment_name_parse(bad[i], &id, &suffix));
}

static void test_a_new_segment_is_there_whole_and_private(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    struct stat stat;
    mode_t mask = umask(0);
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, FILE_BYTES));
    umask(mask);
    assert_int_equal(segment.end_bytes, SEGMENT_HEADER_BYTES);
    assert_int_equal(fstat(segment.fd, &stat), 0);
    assert_int_equal(stat.st_size, FILE_BYTES);
    assert_int_equal(stat.st_mode & 07777, 0600);
    assert_int_equal(fstat(segment.marks_fd, &stat), 0);
    assert_int_equal(stat.st_mode & 07777, 0600);
    uint64_t nonce = segment.nonce;
    bfr_segment_close(&segment);
    assert_true(bfr_segment_open(&segment, dir.fd, 1));
    assert_true(segment.nonce == nonce && segment.file_bytes == FILE_BYTES && !segment.header_damaged);
    bfr_segment_close(&segment);
    // Never over one that is there.
    assert_false(bfr_segment_create(&segment, dir.fd, 1, 0, FILE_BYTES));
    assert_int_equal(errno, EEXIST);
    close_dir(&dir);
}

static void test_a_group_is_written_across_more_vectors_than_one_call_takes(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    static struct iovec vectors[3000];
    static uint8_t bytes[3000], back[3000];
    for (size_t i = 0; i < 3000; i++) {
        bytes[i] = (uint8_t)(i * 7);
        vectors[i] = (struct iovec){bytes + i, 1};
    }
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, FILE_BYTES));
    assert_true(bfr_segment_write(&segment, vectors, 3000, 3000));
    assert_int_equal(segment.end_bytes, SEGMENT_HEADER_BYTES); // the caller moves it, after the sync
    assert_true(bfr_segment_sync(&segment));
    assert_true(bfr_segment_read(&segment, back, sizeof back, SEGMENT_HEADER_BYTES));
    assert_memory_equal(back, bytes, sizeof back);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_nothing_is_written_past_the_end(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    uint8_t byte[2] = {1, 2};
    struct iovec vector = {byte, 2};
    struct stat stat;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, FILE_BYTES));
    segment.end_bytes = FILE_BYTES - 1;
    assert_false(bfr_segment_write(&segment, &vector, 1, 2));
    assert_int_equal(errno, EFBIG);
    assert_int_equal(fstat(segment.fd, &stat), 0);
    assert_int_equal(stat.st_size, FILE_BYTES);
    assert_false(bfr_segment_read(&segment, byte, 2, FILE_BYTES - 1));
    assert_int_equal(errno, 0);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_a_recycled_segment_has_nothing_of_its_former_life(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    struct seen seen = {.records = 0};
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, FILE_BYTES));
    uint64_t nonce = segment.nonce;
    for (uint64_t i = 1; i <= 20; i++)
        write_simple(&segment, i, "a.gz", 500);
    bfr_segment_close(&segment);
    assert_true(bfr_segment_remove(dir.fd, 1, true));
    assert_true(exists(&dir, FREE_1) && !exists(&dir, NAME_1) && !exists(&dir, "0000000000000001.done"));

    assert_true(bfr_segment_create(&segment, dir.fd, 2, 1, FILE_BYTES));
    assert_false(exists(&dir, FREE_1));
    assert_true(segment.nonce != nonce);
    write_simple(&segment, 100, "b.gz", 40);
    uint64_t end = segment.end_bytes;
    bfr_segment_close(&segment);
    assert_true(scan_id(&dir, 2, &seen));
    assert_int_equal(seen.records, 1);
    assert_int_equal(seen.sequences[0], 100);
    assert_int_equal(seen.gaps, 0);
    assert_int_equal(seen.end, end);
    close_dir(&dir);
}

static void test_a_spare_of_another_size_is_not_recycled(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, FILE_BYTES));
    bfr_segment_close(&segment);
    assert_true(bfr_segment_remove(dir.fd, 1, true));
    assert_true(bfr_segment_create(&segment, dir.fd, 2, 1, 2 * FILE_BYTES));
    assert_false(exists(&dir, FREE_1));
    bfr_segment_close(&segment);
    assert_true(bfr_segment_open(&segment, dir.fd, 2));
    assert_int_equal(segment.file_bytes, 2 * FILE_BYTES);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

// The machine stopped while a file changed from segment 1 to segment 2.
static void test_a_file_between_two_lives_is_told_from_a_damaged_one(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, FILE_BYTES));
    write_simple(&segment, 1, "a.gz", 40);
    bfr_segment_close(&segment);
    assert_int_equal(renameat(dir.fd, NAME_1, dir.fd, NAME_2), 0);
    assert_false(bfr_segment_open(&segment, dir.fd, 2));
    assert_int_equal(errno, ESTALE);
    assert_int_equal(segment.fd, -1);
    close_dir(&dir);
}

static void test_what_is_no_segment_says_so(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    static uint8_t zeros[FILE_BYTES];
    assert_false(bfr_segment_open(&segment, dir.fd, 1));
    assert_int_equal(errno, ENOENT);
    replace(&dir, NAME_1, zeros, 10);
    assert_false(bfr_segment_open(&segment, dir.fd, 1));
    assert_int_equal(errno, 0);
    replace(&dir, NAME_1, zeros, sizeof zeros);
    assert_false(bfr_segment_open(&segment, dir.fd, 1));
    assert_int_equal(errno, 0);
    assert_false(exists(&dir, "0000000000000001.done"));
    close_dir(&dir);
}

static void test_marks_that_cannot_be_opened_are_no_damage_of_the_segment(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, FILE_BYTES));
    bfr_segment_close(&segment);
    assert_int_equal(unlinkat(dir.fd, "0000000000000001.done", 0), 0);
    assert_int_equal(symlinkat("elsewhere", dir.fd, "0000000000000001.done"), 0);
    assert_false(bfr_segment_open(&segment, dir.fd, 1));
    assert_int_equal(errno, ELOOP);
    close_dir(&dir);
}

static void test_any_damage_of_the_segment_header_costs_no_record(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    size_t size;
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, 4096));
    write_simple(&segment, 1, "a.gz", 40);
    write_simple(&segment, 2, "b.gz", 40);
    bfr_segment_close(&segment);
    uint8_t *bytes = slurp(&dir, NAME_1, &size);
    for (size_t bit = 0; bit < (size_t)8 * SEGMENT_HEADER_BYTES; bit++) {
        struct seen seen = {.records = 0};
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        replace(&dir, NAME_1, bytes, size);
        assert_true(scan_id(&dir, 1, &seen));
        assert_int_equal(seen.records, 2);
        assert_int_equal(seen.gaps, 0);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    memset(bytes, 0, SEGMENT_HEADER_BYTES); // the whole of it gone
    replace(&dir, NAME_1, bytes, size);
    struct seen seen = {.records = 0};
    assert_true(scan_id(&dir, 1, &seen));
    assert_int_equal(seen.records, 2);
    free(bytes);
    close_dir(&dir);
}

static void test_punched_stretches_are_zero_and_cost_no_space(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment;
    struct seen seen = {.records = 0};
    uint64_t offsets[4];
    assert_true(bfr_segment_create(&segment, dir.fd, 1, 0, 1 << 20));
    for (uint64_t i = 0; i < 4; i++)
        offsets[i] = write_simple(&segment, i + 1, "a.gz", 100000 + 77 * i);
    assert_true(bfr_segment_punch(&segment, offsets[1], offsets[3]));
    uint8_t byte;
    for (uint64_t at = offsets[1]; at < offsets[3]; at++) {
        assert_true(bfr_segment_read(&segment, &byte, 1, at));
        assert_int_equal(byte, 0);
    }
    scan_open(&segment, &seen); // no mark is known: the hole is no damage all the same
    assert_int_equal(seen.records, 2);
    assert_true(has_seen(&seen, 1) && has_seen(&seen, 4));
    assert_int_equal(seen.gaps, 0);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_read_strictly),
        cmocka_unit_test(test_a_new_segment_is_there_whole_and_private),
        cmocka_unit_test(test_a_group_is_written_across_more_vectors_than_one_call_takes),
        cmocka_unit_test(test_nothing_is_written_past_the_end),
        cmocka_unit_test(test_a_recycled_segment_has_nothing_of_its_former_life),
        cmocka_unit_test(test_a_spare_of_another_size_is_not_recycled),
        cmocka_unit_test(test_a_file_between_two_lives_is_told_from_a_damaged_one),
        cmocka_unit_test(test_what_is_no_segment_says_so),
        cmocka_unit_test(test_marks_that_cannot_be_opened_are_no_damage_of_the_segment),
        cmocka_unit_test(test_any_damage_of_the_segment_header_costs_no_record),
        cmocka_unit_test(test_punched_stretches_are_zero_and_cost_no_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
