// SPDX-License-Identifier: Apache-2.0
// Settlement marks: read back as written, and a damaged one costs itself alone.
#include "segment_dir.h"

#define MARKS "0000000000000001.done"

struct marks_seen {
    struct mark marks[SEEN_MAX];
    size_t count;
};

static void see_mark(void *arg, const struct mark *mark)
{
    struct marks_seen *seen = arg;
    assert_true(seen->count < SEEN_MAX);
    seen->marks[seen->count++] = *mark;
}

static struct segment_file make_marks(const struct segment_dir *dir, unsigned count)
{
    struct segment_file segment;
    assert_true(bfr_segment_create(&segment, dir->fd, 1, 0, 4096));
    for (unsigned i = 0; i < count; i++)
        write_mark(&segment, i + 1, i % 2, MARK_CONFIRMED + i % 3);
    return segment;
}

static void test_marks_come_back_in_order(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_marks(&dir, 5);
    struct marks_seen seen = {.count = 0};
    assert_int_equal(segment.marks_bytes, 5 * MARK_BYTES);
    bfr_segment_close(&segment);
    assert_true(bfr_segment_open(&segment, dir.fd, 1));
    assert_true(bfr_marks_read(&segment, see_mark, &seen));
    assert_int_equal(seen.count, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_true(seen.marks[i].sequence == i + 1 && seen.marks[i].consumer == i % 2 &&
                    seen.marks[i].state == MARK_CONFIRMED + i % 3);
    assert_int_equal(segment.marks_bytes, 5 * MARK_BYTES);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_more_marks_than_one_read_takes(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_marks(&dir, 0);
    static uint8_t bytes[1300 * MARK_BYTES];
    struct found found;
    for (unsigned i = 0; i < 1300; i++) {
        const struct mark mark = {.sequence = i + 1, .consumer = MARK_EVERY_CONSUMER, .state = MARK_CONFIRMED};
        bfr_mark_encode(&mark, segment.nonce, bytes + (size_t)i * MARK_BYTES);
    }
    assert_true(bfr_marks_append(&segment, bytes, sizeof bytes));
    segment.end_bytes = SEGMENT_HEADER_BYTES;
    write_simple(&segment, 1300, "a.gz", 5);
    write_simple(&segment, 1301, "b.gz", 5);
    assert_true(bfr_segment_load(&segment, dir.fd, NULL, &found));
    assert_int_equal(segment.marks_bytes, sizeof bytes);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.records[0].sequence, 1301);
    bfr_found_free(&found);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_a_damaged_mark_costs_itself(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_marks(&dir, 3);
    size_t size;
    uint8_t *bytes = slurp(&dir, MARKS, &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        struct marks_seen seen = {.count = 0};
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        replace(&dir, MARKS, bytes, size);
        assert_true(bfr_marks_read(&segment, see_mark, &seen));
        assert_int_equal(seen.count, 2);
        for (size_t i = 0; i < seen.count; i++)
            assert_true(seen.marks[i].sequence != bit / 8 / MARK_BYTES + 1);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_a_torn_mark_is_written_over(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_marks(&dir, 3);
    size_t size;
    uint8_t *bytes = slurp(&dir, MARKS, &size);
    for (size_t cut = 0; cut <= size; cut++) {
        struct marks_seen seen = {.count = 0};
        replace(&dir, MARKS, bytes, cut);
        assert_true(bfr_marks_read(&segment, see_mark, &seen));
        assert_int_equal(seen.count, cut / MARK_BYTES);
        assert_int_equal(segment.marks_bytes, cut / MARK_BYTES * MARK_BYTES);
        write_mark(&segment, 77, 0, MARK_BURIED);
        seen.count = 0;
        assert_true(bfr_marks_read(&segment, see_mark, &seen));
        assert_int_equal(seen.count, cut / MARK_BYTES + 1);
        assert_int_equal(seen.marks[seen.count - 1].sequence, 77);
    }
    free(bytes);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

static void test_marks_of_another_life_do_not_count(void **state)
{
    (void)state;
    struct segment_dir dir = open_dir();
    struct segment_file segment = make_marks(&dir, 3);
    struct marks_seen seen = {.count = 0};
    segment.nonce ^= 1;
    assert_true(bfr_marks_read(&segment, see_mark, &seen));
    assert_int_equal(seen.count, 0);
    bfr_segment_close(&segment);
    close_dir(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks_come_back_in_order),
        cmocka_unit_test(test_more_marks_than_one_read_takes),
        cmocka_unit_test(test_a_damaged_mark_costs_itself),
        cmocka_unit_test(test_a_torn_mark_is_written_over),
        cmocka_unit_test(test_marks_of_another_life_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
